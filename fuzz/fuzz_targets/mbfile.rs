//! Feeds `devsnap_fuzz::mbfile`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::mbfile(data));
