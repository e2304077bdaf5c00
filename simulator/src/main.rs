//! An iPhone in software, for tests. **Not built yet.**
//!
//! It will play the device's side of usbmuxd, lockdown and MobileBackup2 well enough that
//! unmodified idevicebackup2 and pymobiledevice3 back it up and restore it. It will share no code
//! with `devsnap-device`: a shared codec would hide its own mistakes.
use std::process::ExitCode;

/// Says that there is nothing here yet, and fails, so that no test takes silence for a phone.
fn main() -> ExitCode {
    eprintln!("devsnap-simulator is not built yet");
    ExitCode::from(2)
}
