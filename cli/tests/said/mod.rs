//! What a program said, and what it must never say.
use std::process::Output;

/// The password of test repositories.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(crate) fn ends_with(output: &Output, code: i32, words: &str) {
    let said = err(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(!said.contains(PASSWORD) && !said.contains("panicked"), "{said}");
}
