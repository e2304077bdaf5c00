//! Feeds `devsnap_fuzz::object_name`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::object_name(data));
