//! Feeds `devsnap_fuzz::within`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::within(data));
