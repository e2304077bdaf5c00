//! Everything the two hosts say to the phone, line beside line.
use crate::diff::{Line, side_by_side};
use crate::expected::{
    Expected, IN_MORE_BYTES, IN_OTHER_ORDER, Only, WITH_ONE_FEWER, are_in_the_document,
    in_a_backup, in_a_restore,
};
use crate::hear::Saying;
use crate::show::{HIDDEN, NOT_COMPARED};
use std::fmt::Write as _;

/// What of a comparison nobody expects.
pub(crate) struct Findings(String);

impl Findings {
    /// Holds what was said in a backup against the table.
    pub(crate) fn of(said: &[Vec<Saying>; 2]) -> Findings {
        Findings::by(&in_a_backup(), &[Written::InOtherOrder, Written::InMoreBytes], said)
    }

    /// Holds what was said against a table.
    pub(crate) fn by(table: &[Expected], written: &[Written], said: &[Vec<Saying>; 2]) -> Findings {
        let texts =
            [0, 1].map(|host| said[host].iter().map(|s| s.text.as_str()).collect::<Vec<_>>());
        let mut occurred = vec![0; table.len()];
        let mut seen = Vec::new();
        let mut findings = String::new();
        let mut after = "the beginning";
        for line in side_by_side(&texts[0], &texts[1]) {
            let (only, text) = match line {
                Line::Both(theirs, ours) => {
                    after = texts[0][theirs];
                    match how_written(&said[0][theirs], &said[1][ours]) {
                        Written::Alike => {}
                        how if written.contains(&how) => seen.push(how),
                        _ => {
                            let [t, o] =
                                [&said[0][theirs], &said[1][ours]].map(|s| s.written.len());
                            let _ = writeln!(findings, "≠ in other bytes, {t} and {o}: {after}");
                        }
                    }
                    continue;
                }
                Line::Theirs(at) => (Only::Theirs, texts[0][at]),
                Line::Ours(at) => (Only::Ours, texts[1][at]),
            };
            match table.iter().position(|expected| expected.is(only, text)) {
                Some(number) => occurred[number] += 1,
                None => {
                    let who = if only == Only::Theirs { "− idevicebackup2" } else { "+ devsnap" };
                    let _ = writeln!(findings, "{who}: {text}\n      after {after}");
                }
            }
        }
        for (expected, occurred) in table.iter().zip(occurred) {
            let (only, line, times) = (expected.only, expected.line, expected.times);
            if occurred != times {
                let _ = writeln!(findings, "{occurred} times, not {times}: {only:?} {line}");
            }
        }
        for how in written.iter().filter(|how| !seen.contains(how)) {
            let _ = writeln!(findings, "no longer: {}", how.why());
        }
        Findings(findings)
    }

    #[track_caller]
    pub(crate) fn are_none(&self, of: &str) {
        let findings = &self.0;
        assert!(findings.is_empty(), "{of}, what differs and is not in the table:\n{findings}");
    }
}

/// How two lists are written that say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Alike,
    InOtherOrder,
    InMoreBytes,
    /// An object fewer: one byte, and two for where it is.
    WithOneFewer,
    Otherwise,
}

impl Written {
    fn why(self) -> &'static str {
        match self {
            Written::InOtherOrder => IN_OTHER_ORDER,
            Written::InMoreBytes => IN_MORE_BYTES,
            Written::WithOneFewer => WITH_ONE_FEWER,
            Written::Alike | Written::Otherwise => "",
        }
    }
}

fn how_written(theirs: &Saying, ours: &Saying) -> Written {
    let is_hidden = HIDDEN.iter().any(|hidden| theirs.text.contains(hidden));
    // Objects of a dictionary are numbered otherwise: as many, of the same sizes.
    let has_dictionary = theirs.text.replace("{}", "").contains('{');
    let is_binary = theirs.written.starts_with(b"bplist00");
    let more = ours.written.len().checked_sub(theirs.written.len());
    if theirs.written == ours.written || is_hidden {
        Written::Alike
    } else if is_binary && has_dictionary && more == Some(0) {
        Written::InOtherOrder
    } else if is_binary && theirs.text.contains("[2.0, 2.1]") && more == Some(4) {
        Written::InMoreBytes
    } else if is_binary && theirs.text.contains("RestoreSystemFiles") && more.is_none() {
        let fewer = theirs.written.len() - ours.written.len();
        if fewer == 3 { Written::WithOneFewer } else { Written::Otherwise }
    } else {
        Written::Otherwise
    }
}

#[test]
fn the_document_has_the_same_differences() {
    let expected = in_a_backup().into_iter().chain(in_a_restore(true));
    let whys = expected.map(|expected| expected.why).chain([
        IN_OTHER_ORDER,
        IN_MORE_BYTES,
        WITH_ONE_FEWER,
    ]);
    are_in_the_document(whys.chain(NOT_COMPARED));
}

#[test]
fn a_difference_that_is_not_in_the_table_is_found_and_one_that_is_gone_too() {
    let saying = |text: &str| Saying { at: 0, text: text.to_owned(), written: Vec::new() };
    let theirs = vec![saying("afc: one"), saying("afc: two")];
    let ours = vec![saying("afc: one"), saying("afc: three")];
    let Findings(findings) = Findings::of(&[theirs, ours]);
    for found in [
        "− idevicebackup2: afc: two\n      after afc: one",
        "+ devsnap: afc: three",
        "0 times, not 26",
    ] {
        assert!(findings.contains(found), "{findings}");
    }
    let with_bytes = |bytes: &[u8]| Saying { written: bytes.to_vec(), ..saying("a: XML [1]") };
    let Findings(findings) = Findings::of(&[vec![with_bytes(b"a")], vec![with_bytes(b"b")]]);
    assert!(findings.contains("≠ in other bytes, 1 and 1: a: XML [1]"), "{findings}");
}
