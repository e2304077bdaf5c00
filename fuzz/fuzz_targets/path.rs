//! Feeds `devsnap_fuzz::path`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::path(data));
