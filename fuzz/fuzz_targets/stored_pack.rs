//! Feeds `devsnap_fuzz::stored_pack`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::stored_pack(data));
