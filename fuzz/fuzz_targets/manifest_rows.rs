//! Feeds `devsnap_fuzz::manifest_rows`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::manifest_rows(data));
