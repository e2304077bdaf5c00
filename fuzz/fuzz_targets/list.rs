//! Feeds `devsnap_fuzz::list`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::list(data));
