//! Pages that are hostile, damaged or lost.
use bytes::Bytes;
use std::collections::BTreeSet;

use super::{Memory, build, cutter, nth_key, phone};
use crate::codec::{put_bytes, put_varint};
use crate::error::{ErrorKind, Result};
use crate::id::BlobId;
use crate::tree::page::{Child, Items, PageWriter, Totals, decode};
use crate::tree::{Entry, LEVEL_MAX, PageRef, PageSource, PageStore, Scan, walk};

/// A store that answers every id with the same page, whatever it is asked for.
struct Liar(Bytes);
impl PageSource for Liar {
    fn read_page(&self, _: BlobId) -> Result<Bytes> {
        Ok(self.0.clone())
    }
}

fn inner(level: u8, entries: u64) -> Bytes {
    let totals = Totals { entries, size_bytes: 0 };
    let child = Child { first_key: b"a".to_vec(), id: BlobId::from_bytes([1; 32]), totals };
    let mut writer = PageWriter::default();
    writer.push(&child);
    writer.take(level).bytes.into()
}

fn scan_error(source: &impl PageSource, root: PageRef) -> ErrorKind {
    let mut scan = Scan::new(source, Some(&root));
    let error = scan.next().unwrap().unwrap_err();
    assert!(scan.next().is_none(), "behind the root's only page there is nothing");
    error.kind()
}

#[test]
fn a_cycle_of_pages_and_a_bottomless_tree_are_refused() {
    let root =
        |level| PageRef { id: BlobId::from_bytes([1; 32]), level, entries: 1, size_bytes: 0 };
    assert_eq!(scan_error(&Liar(inner(3, 1)), root(3)), ErrorKind::Damaged);
    assert_eq!(scan_error(&Liar(inner(LEVEL_MAX, 1)), root(LEVEL_MAX)), ErrorKind::Damaged);
    assert_eq!(scan_error(&Liar(inner(LEVEL_MAX + 1, 1)), root(LEVEL_MAX + 1)), ErrorKind::Damaged);
    assert_eq!(scan_error(&Liar(inner(255, 1)), root(255)), ErrorKind::Damaged);
}

#[test]
fn a_page_that_is_not_what_its_parent_says_is_refused() {
    let leaf = |keys: &[&str]| {
        let mut writer = PageWriter::default();
        for key in keys {
            let (key, value) = (key.as_bytes().to_vec(), Bytes::new());
            writer.push(&Entry { key, value, size_bytes: 1 });
        }
        writer.take(0).bytes
    };
    // What a parent says: two entries from "b" on, all below "d".
    let refused = |page: Vec<u8>, level: u8| {
        let store = Memory::default();
        let id = store.write_page(page).unwrap();
        let other = store.write_page(leaf(&["d"])).unwrap();
        let child = |key: &str, id, entries| Child {
            first_key: key.as_bytes().to_vec(),
            id,
            totals: Totals { entries, size_bytes: entries },
        };
        let mut writer = PageWriter::default();
        writer.push(&child("b", id, 2));
        writer.push(&child("d", other, 1));
        let root = store.write_page(writer.take(level).bytes).unwrap();
        let root = PageRef { id: root, level, entries: 3, size_bytes: 3 };
        Scan::new(&store, Some(&root)).find_map(Result::err).map(|error| error.kind())
    };
    assert_eq!(refused(leaf(&["b", "c"]), 1), None);
    assert_eq!(refused(leaf(&["b", "c"]), 2), Some(ErrorKind::Damaged), "level");
    assert_eq!(refused(leaf(&["a", "c"]), 1), Some(ErrorKind::Damaged), "first key");
    assert_eq!(refused(leaf(&["b", "d"]), 1), Some(ErrorKind::Damaged), "last key");
    assert_eq!(refused(leaf(&["b"]), 1), Some(ErrorKind::Damaged), "totals");
    assert_eq!(refused(vec![2, 0], 1), Some(ErrorKind::TooNew), "version");
}

#[test]
fn pages_of_wrong_order_wrong_paths_or_wasteful_spelling_do_not_decode() {
    // Entries as (shared, rest of the key).
    let page = |entries: &[(u64, &[u8])]| {
        let mut bytes = vec![1, 0];
        put_varint(&mut bytes, entries.len() as u64);
        for (shared, rest) in entries {
            put_varint(&mut bytes, *shared);
            put_bytes(&mut bytes, rest);
            bytes.extend([0, 0]);
        }
        decode(&bytes.into()).is_ok()
    };
    assert!(page(&[(0, b""), (0, b"ab"), (1, b"c"), (2, b"\0d")]));
    assert!(!page(&[]), "no entries");
    assert!(!page(&[(0, b"b"), (0, b"a")]), "falling");
    assert!(!page(&[(0, b"a"), (1, b"")]), "twice the same");
    assert!(!page(&[(1, b"a")]), "shared with nothing");
    assert!(!page(&[(0, b"ab"), (0, b"ac")]), "a prefix not shared");
    for bad in [b"..".as_slice(), b"a/b", b"a\0", b"\0a", b"a\0\0b", &[b'a'; 2000]] {
        assert!(!page(&[(0, bad)]), "{bad:?}");
    }
    let long = vec![[b'd'; 1000].as_slice(); 15].join(&0);
    let mut entries = vec![(0, long.as_slice())];
    let counted: Vec<[u8; 3]> = (0..40).map(|i| [0, b'0' + i / 10, b'0' + i % 10]).collect();
    entries.push((long.len() as u64, &counted[0]));
    entries.extend(counted[1..].iter().map(|rest| {
        let tens_change = rest[2] == b'0';
        let shared = long.len() as u64 + if tens_change { 1 } else { 2 };
        (shared, if tens_change { &rest[1..] } else { &rest[2..] })
    }));
    assert!(page(&entries[..17]));
    assert!(!page(&entries), "keys that become far longer than the page");
}

/// The keys that a scan gives, from `start` on, and the kinds of its errors.
fn scanned(store: &Memory, root: &PageRef, start: &[u8]) -> (Vec<Vec<u8>>, Vec<ErrorKind>) {
    let (mut keys, mut errors) = (Vec::new(), Vec::new());
    let mut scan = Scan::new(store, Some(root));
    scan.seek(start);
    for entry in scan {
        match entry {
            Ok(entry) => keys.push(entry.key),
            Err(error) => errors.push(error.kind()),
        }
    }
    (keys, errors)
}

/// All keys in the page `id` and in the pages under it.
fn keys_below(store: &Memory, id: BlobId) -> BTreeSet<Vec<u8>> {
    match decode(&store.read_page(id).unwrap()).unwrap().items {
        Items::Leaf(entries) => entries.into_iter().map(|entry| entry.key).collect(),
        Items::Inner(children) => {
            children.into_iter().flat_map(|child| keys_below(store, child.id)).collect()
        }
    }
}

#[test]
fn a_scan_passes_over_a_lost_page_and_gives_all_the_rest() {
    let (store, model) = (Memory::default(), phone(400));
    let root = build(&store, &cutter(512), &model).unwrap();
    assert!(root.level >= 2, "there are pages of pages");
    let mut pages = Vec::new();
    walk(
        &store,
        Some(&root),
        |id, level| {
            pages.push((id, level));
            true
        },
        |_| Ok(()),
    )
    .unwrap();
    let middle = nth_key(&model, 200);
    for (id, level) in pages {
        let below = keys_below(&store, id);
        let lost = store.pages.borrow_mut().remove(&id).unwrap();
        for start in [b"".as_slice(), &middle] {
            let (keys, errors) = scanned(&store, &root, start);
            let wanted: Vec<&Vec<u8>> = model
                .keys()
                .filter(|key| key.as_slice() >= start && !below.contains(*key))
                .collect();
            assert_eq!(
                keys.iter().collect::<Vec<_>>(),
                wanted,
                "without {} of {level}",
                id.short()
            );
            let is_wanted = below.iter().any(|key| key.as_slice() >= start);
            assert_eq!(errors.first(), is_wanted.then_some(&ErrorKind::NotFound));
            assert!(errors.len() <= 1);
        }
        store.pages.borrow_mut().insert(id, lost);
    }
}
