//! Feeds `devsnap_fuzz::lockdown_answer`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::lockdown_answer(data));
