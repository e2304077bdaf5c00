//! A backup set on disk, held against the truth.
use devsnap_simulator::contents::{Truth, compare, truth};
use std::collections::BTreeSet;
use std::path::Path;

/// The truth about the newest backup of a phone.
pub(crate) fn newest(phone: &Path) -> Truth {
    let date = *truth::backups(phone).unwrap().last().expect("a backup was made");
    Truth::read(&truth::backup_path(phone, date)).unwrap()
}

/// Compares the set in `folder` with `truth`: every row, every blob, every byte.
#[track_caller]
pub(crate) fn compare(folder: &Path, password: Option<&str>, truth: &Truth) {
    if let Err(difference) = compare::compare(folder, password, truth, &mut || true) {
        panic!("{difference}");
    }
}

/// The names of all blobs in a set.
pub(crate) fn blobs_of(folder: &Path) -> BTreeSet<String> {
    compare::blobs_of(folder).unwrap()
}
