//! Feeds `devsnap_fuzz::writer_key`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::writer_key(data));
