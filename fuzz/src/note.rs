//! Notes on snapshots.
use crate::config::open_fixed;
use crate::fixed::{object_of, signed};
use crate::memory::Shelf;
use devsnap_engine::backend::{ObjectKey, ObjectKind};
use devsnap_engine::id::SnapshotId;
use devsnap_engine::repository::Repository;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The map of `docs/format.md`.
#[derive(Serialize, Deserialize)]
struct Written {
    snapshot: ByteArray<32>,
    at_secs: i64,
    at_nanos: u32,
    add_tags: Vec<String>,
    remove_tags: Vec<String>,
    description: Option<String>,
}

/// A note says of its snapshot what is written in it, and of all others nothing; one that is no note,
/// or lies under another name, says nothing at all. Input: what is signed.
pub fn note(data: &[u8]) {
    static OPENED: OnceLock<Mutex<(Arc<Shelf>, Repository)>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| Mutex::new(open_fixed()));
    let (shelf, repository) = &*opened.lock().unwrap_or_else(PoisonError::into_inner);

    let object = object_of(ObjectKind::Note, &signed("note", data));
    let name = blake3::hash(&object).to_hex();
    let key = |name: &str| ObjectKey::new(ObjectKind::Note, name);
    let notes_of = |objects| {
        shelf.replace_all(ObjectKind::Note, objects);
        repository.notes().expect("because memory answers and what is no note is passed over")
    };
    let elsewhere = notes_of(vec![(key(&"5a".repeat(32)), object.clone())]);
    let unsigned = blake3::hash(data).to_hex();
    let unsealed = notes_of(vec![(key(&unsigned), data.to_vec())]);
    let here = notes_of(vec![(key(&name), object)]);
    shelf.replace_all(ObjectKind::Note, Vec::new());

    let old = ["old".to_owned(), "kept".to_owned()];
    let nothing = (old.to_vec(), None);
    let written = rmp_serde::from_slice::<Written>(data).ok();
    let of = written.as_ref().map_or([0x5a; 32], |written| *written.snapshot);
    let said = |notes: &devsnap_engine::repository::Notes, of| {
        let of = SnapshotId::from_bytes(of);
        (notes.tags(&of, &old), notes.description(&of))
    };
    assert_eq!(said(&elsewhere, of), nothing);
    assert_eq!(said(&unsealed, of), nothing);
    let mut other = of;
    other[31] ^= 1;
    assert_eq!(said(&here, other), nothing);
    let (tags, description) = said(&here, of);
    let Some(written) = written else {
        return assert_eq!((tags, description), nothing);
    };
    assert_eq!(description, written.description.filter(|text| !text.is_empty()));
    assert!(written.add_tags.iter().take(900).all(|tag| tags.contains(tag)));
    let from_where = |tag| written.add_tags.contains(tag) || old.contains(tag);
    assert!(tags.iter().all(from_where) && tags.len() <= 1000);
    let stays = |tag: &&String| !written.remove_tags.contains(tag);
    assert!(old.iter().filter(stays).all(|tag| tags.contains(tag)));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seed = |add: &[&str], remove: &[&str], description: Option<&str>| {
        let texts = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        let written = Written {
            snapshot: ByteArray::new([0x33; 32]),
            at_secs: 1_800_000_000,
            at_nanos: 7,
            add_tags: texts(add),
            remove_tags: texts(remove),
            description: description.map(str::to_owned),
        };
        rmp_serde::to_vec_named(&written).expect("because every field has a form")
    };
    vec![
        seed(&["holiday", "kept"], &["old"], Some("before the update")),
        seed(&[], &["kept"], Some("")),
        seed(&["old"], &["old"], None),
    ]
}
