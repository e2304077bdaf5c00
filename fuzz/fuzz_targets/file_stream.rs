//! Feeds `devsnap_fuzz::file_stream`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::file_stream(data));
