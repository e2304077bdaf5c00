//! Where each object lies: the only place that spells folder names.
//!
//! Packs go into 256 folders by the first byte of their name, so that no folder of a local disk
//! grows past some thousands of files; everything else is small and few.
use super::{ObjectKey, ObjectKind};

/// The folder of all objects of `kind`, with a slash at its end.
pub fn folder_of(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Config => "config/",
        ObjectKind::Session => "sessions/",
        ObjectKind::Snapshot => "snapshots/",
        ObjectKind::Note => "notes/",
        ObjectKind::IndexSegment => "index/",
        ObjectKind::MetaPack => "meta/",
        ObjectKind::DataPack => "data/",
        ObjectKind::Gc => "gc/",
    }
}

/// Whether objects of `kind` lie in folders named after the first two characters of their name.
fn is_spread(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::MetaPack | ObjectKind::DataPack)
}

/// The object's path below the repository's root, with slashes.
pub fn path_of(key: &ObjectKey) -> String {
    let folder = folder_of(key.kind());
    let name = key.name();
    match name.get(..2) {
        Some(first) if is_spread(key.kind()) => format!("{folder}{first}/{name}"),
        _ => format!("{folder}{name}"),
    }
}

/// The object of `kind` that lies at `path`, when that is where it belongs.
///
/// Anything else in the folder (a stray file, a temporary name) is not ours and gives `None`.
pub fn key_at(kind: ObjectKind, path: &str) -> Option<ObjectKey> {
    let name = path.rsplit('/').next()?;
    let key = ObjectKey::parse(kind, name)?;
    (path_of(&key) == path).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_one_place_and_is_found_there() {
        for kind in ObjectKind::ALL {
            let key = ObjectKey::new(kind, "7f3a.beat-3");
            assert_eq!(key_at(kind, &path_of(&key)), Some(key));
        }
    }

    #[test]
    fn strangers_in_a_folder_are_not_taken_for_objects() {
        assert_eq!(key_at(ObjectKind::DataPack, "data/ab/cd00"), None);
        assert_eq!(key_at(ObjectKind::DataPack, "data/cd00"), None);
        assert_eq!(key_at(ObjectKind::Snapshot, "snapshots/.hidden"), None);
        assert_eq!(key_at(ObjectKind::Snapshot, "snapshots/Upper"), None);
        assert_eq!(key_at(ObjectKind::Snapshot, "snapshots/a/b"), None);
    }
}
