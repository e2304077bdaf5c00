//! Feeds `devsnap_fuzz::usbmuxd_message`, guided by coverage.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| devsnap_fuzz::usbmuxd_message(data));
