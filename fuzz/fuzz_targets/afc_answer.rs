//! Feeds `devsnap_fuzz::afc_answer`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::afc_answer(data));
