//! Feeds `devsnap_fuzz::pack_list`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::pack_list(data));
