//! Feeds `devsnap_fuzz::backup_session`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::backup_session(data));
