//! Feeds `devsnap_fuzz::keybag`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::keybag(data));
