//! Feeds `devsnap_fuzz::chunker_params`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::chunker_params(data));
