//! Feeds `devsnap_fuzz::session_mark`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::session_mark(data));
