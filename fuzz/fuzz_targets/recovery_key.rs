//! Feeds `devsnap_fuzz::recovery_key`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::recovery_key(data));
