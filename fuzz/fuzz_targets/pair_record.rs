//! Feeds `devsnap_fuzz::pair_record`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::pair_record(data));
