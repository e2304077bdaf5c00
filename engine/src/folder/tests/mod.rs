//! A folder read and written back, compared by a reader that shares no code with either.
mod compare;
mod memory;
mod reading;
mod writing;
