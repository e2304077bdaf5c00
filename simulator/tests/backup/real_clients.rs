//! Unmodified idevicebackup2 and pymobiledevice3.
