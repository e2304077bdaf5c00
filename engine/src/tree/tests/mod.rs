//! The tree against a `BTreeMap`, and what it promises about reading and writing little.
mod hostile;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use proptest::prelude::*;

use super::page::{Child, Item, PageWriter, decode};
use super::*;
use crate::error::{Error, ErrorKind};

/// Pages in memory, counting.
#[derive(Default)]
struct Memory {
    pages: RefCell<HashMap<BlobId, Bytes>>,
    reads: Cell<usize>,
    writes: Cell<usize>,
}

impl Memory {
    fn reset(&self) {
        self.reads.set(0);
        self.writes.set(0);
    }
}

impl PageSource for Memory {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        self.reads.set(self.reads.get() + 1);
        let page = self.pages.borrow().get(&id).cloned();
        page.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("reading page {}", id.short())))
    }
}

impl PageStore for Memory {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        self.writes.set(self.writes.get() + 1);
        let id = BlobId::from_bytes(*blake3::keyed_hash(&[7; 32], &page).as_bytes());
        self.pages.borrow_mut().insert(id, page.into());
        Ok(id)
    }
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;
type Batch = BTreeMap<Vec<u8>, Option<(Vec<u8>, u64)>>;

fn cutter(target_bytes: u32) -> PageCutter {
    PageCutter::new(TreeParams::around(target_bytes), [3; 32]).unwrap()
}

fn edits(batch: &Batch) -> impl Iterator<Item = Result<Edit>> {
    batch.iter().map(|(key, put)| {
        Ok(match put {
            Some((value, size)) => Edit::put(key.clone(), value.clone(), *size),
            None => Edit::remove(key.clone()),
        })
    })
}

fn build(store: &Memory, cutter: &PageCutter, model: &Model) -> Option<PageRef> {
    let puts = model.iter().map(|(key, (value, size))| (key.clone(), Some((value.clone(), *size))));
    apply(store, cutter, None, edits(&puts.collect())).unwrap()
}

fn change(model: &mut Model, batch: &Batch) {
    for (key, put) in batch {
        match put {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

fn all(store: &Memory, root: Option<&PageRef>) -> Model {
    let entry = |entry: Result<Entry>| {
        let entry = entry.unwrap();
        (entry.key, (entry.value.to_vec(), entry.size_bytes))
    };
    Scan::new(store, root).map(entry).collect()
}

/// Few names, so that batches meet; some long, so that pages fill with one entry.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-d]{1,2}(\0[a-e!]{1,2}){0,2}".prop_map(String::into_bytes),
        1 => "[a-c]{150,200}".prop_map(String::into_bytes),
        1 => Just(Vec::new()),
    ]
}

fn batch(len: usize) -> impl Strategy<Value = Batch> {
    let value = (proptest::collection::vec(any::<u8>(), 0..40), 0u64..1000);
    let put = prop_oneof![3 => value.prop_map(Some), 2 => Just(None)];
    proptest::collection::btree_map(key(), put, 0..len)
}

fn history() -> impl Strategy<Value = Vec<Batch>> {
    proptest::collection::vec(prop_oneof![batch(150), batch(4)], 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_holds_what_was_put_and_its_root_does_not_know_its_history(history in history()) {
        let (store, cutter) = (Memory::default(), cutter(160));
        let (mut root, mut model) = (None, Model::new());
        for batch in &history {
            root = apply(&store, &cutter, root.as_ref(), edits(batch)).unwrap();
            change(&mut model, batch);
            prop_assert_eq!(&all(&store, root.as_ref()), &model);
            prop_assert_eq!(root, build(&Memory::default(), &cutter, &model));
        }
        let sum = model.values().map(|(_, size)| size).sum::<u64>();
        let totals = root.map_or((0, 0), |root| (root.entries, root.size_bytes));
        prop_assert_eq!(totals, (model.len() as u64, sum));
    }

    #[test]
    fn edits_one_by_one_in_any_order_give_the_same_root(
        batch in batch(60).prop_flat_map(|batch| {
            Just(batch.into_iter().collect::<Vec<_>>()).prop_shuffle()
        }),
        base in batch(100),
    ) {
        let (store, cutter) = (Memory::default(), cutter(128));
        let start = apply(&store, &cutter, None, edits(&base)).unwrap();
        let at_once = batch.iter().cloned().collect();
        let expected = apply(&store, &cutter, start.as_ref(), edits(&at_once)).unwrap();
        let mut root = start;
        for (key, put) in batch {
            let one = Batch::from([(key, put)]);
            root = apply(&store, &cutter, root.as_ref(), edits(&one)).unwrap();
        }
        prop_assert_eq!(root, expected);
    }

    #[test]
    fn a_diff_is_the_difference_of_the_maps(base in batch(150), later in batch(20), other in batch(150)) {
        let (store, cutter) = (Memory::default(), cutter(160));
        let old = apply(&store, &cutter, None, edits(&base)).unwrap();
        let near = apply(&store, &cutter, old.as_ref(), edits(&later)).unwrap();
        let far = apply(&store, &cutter, None, edits(&other)).unwrap();
        for (a, b) in [(old, near), (near, old), (old, far), (old, None), (None, far), (far, far)] {
            let (was, is) = (all(&store, a.as_ref()), all(&store, b.as_ref()));
            let keys: BTreeSet<_> = was.keys().chain(is.keys()).cloned().collect();
            let value = |map: &Model, key: &Vec<u8>| map.get(key).map(|v| Bytes::from(v.0.clone()));
            let expected: Vec<_> = keys
                .into_iter()
                .filter(|key| was.get(key) != is.get(key))
                .map(|key| Difference { old: value(&was, &key), new: value(&is, &key), key })
                .collect();
            let found: Vec<_> = Diff::new(&store, a.as_ref(), b.as_ref()).map(Result::unwrap).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_scan_goes_on_where_it_is_sent(base in batch(200), targets in proptest::collection::vec(key(), 1..6)) {
        let store = Memory::default();
        let root = apply(&store, &cutter(128), None, edits(&base)).unwrap();
        let model = all(&store, root.as_ref());
        let mut scan = Scan::new(&store, root.as_ref());
        let mut from = Vec::new();
        let mut passed = None;
        for target in targets {
            scan.seek(&target);
            from = target.clone().max(from);
            let mut rest = model.range(from.clone()..);
            let expected = rest.find(|(key, _)| Some(*key) > passed.as_ref()).map(|(key, _)| key.clone());
            let found = scan.next().map(|entry| entry.unwrap().key);
            prop_assert_eq!(&found, &expected);
            let got = get(&store, root.as_ref(), &target).unwrap().map(|entry| entry.key);
            prop_assert_eq!(got, model.contains_key(&target).then_some(target));
            passed = found.or(passed);
        }
    }

    #[test]
    fn no_bytes_make_the_page_decoder_panic_and_a_page_has_one_spelling(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        level in 0u8..3,
    ) {
        let mut page = vec![1, level];
        page.extend(bytes);
        respell(&Bytes::from(page));
    }

    #[test]
    fn a_damaged_page_is_refused_or_is_another_page(base in batch(30), at: prop::sample::Index, xor in 1u8..) {
        let store = Memory::default();
        apply(&store, &cutter(400), None, edits(&base)).unwrap();
        let pages: Vec<Bytes> = store.pages.borrow().values().cloned().collect();
        for page in pages {
            prop_assert!(decode(&page).is_ok());
            let mut damaged = page.to_vec();
            let at = at.index(damaged.len());
            damaged[at] ^= xor;
            respell(&Bytes::from(damaged));
            prop_assert!(decode(&page.slice(..at)).is_err());
        }
    }
}

/// If `bytes` decode, writing the page again must give `bytes`.
fn respell(bytes: &Bytes) {
    fn write<T: Item>(items: &[T], level: u8) -> Vec<u8> {
        let mut writer = PageWriter::default();
        for item in items {
            writer.push(item);
        }
        writer.take(level).bytes
    }
    if let Ok(page) = decode(bytes) {
        let again = match page.level {
            0 => write(Entry::of(&page), 0),
            level => write(Child::of(&page), level),
        };
        assert_eq!(&again, bytes);
    }
}

/// `count` entries named as a phone's backup names them, with nodes of 65 bytes.
fn phone(count: u32) -> Model {
    (0..count)
        .map(|i| {
            let hash = blake3::hash(&i.to_le_bytes()).to_hex();
            let key = format!("00008101-000A1B2C3D4E001E\0{}\0{}", &hash[..2], &hash[..40]);
            (key.into_bytes(), (hash.as_bytes()[..].repeat(2)[..65].to_vec(), u64::from(i)))
        })
        .collect()
}

fn nth_key(model: &Model, n: usize) -> Vec<u8> {
    model.keys().nth(n).unwrap().clone()
}

#[test]
fn an_edit_of_one_key_reads_and_writes_a_page_per_level() {
    let (store, cutter) = (Memory::default(), cutter(4096));
    let model = phone(100_000);
    let root = build(&store, &cutter, &model).unwrap();
    assert!(root.level >= 2, "the tree has levels to save: {root:?}");
    let depth = usize::from(root.level) + 1;
    for n in [0, 1, 500, 33_333, 99_998, 99_999] {
        for put in [Some((vec![1; 65], 1)), None] {
            store.reset();
            let one = Batch::from([(nth_key(&model, n), put)]);
            let next = apply(&store, &cutter, Some(&root), edits(&one)).unwrap();
            assert_ne!(next, Some(root));
            // A cut that moves takes the next page with it, seldom one more.
            assert!(store.reads.get() <= depth * 4, "{n}: {} reads", store.reads.get());
            assert!(store.writes.get() <= depth * 4, "{n}: {} writes", store.writes.get());
            store.reset();
            let differences = Diff::new(&store, Some(&root), next.as_ref()).count();
            assert_eq!(differences, 1);
            assert!(store.reads.get() <= depth * 8, "{n}: {} reads of a diff", store.reads.get());
        }
    }
    store.reset();
    get(&store, Some(&root), &nth_key(&model, 77_777)).unwrap().unwrap();
    assert_eq!(store.reads.get(), depth);
}

#[test]
fn entries_appended_one_by_one_are_all_kept() {
    let (store, cutter) = (Memory::default(), cutter(256));
    let model = phone(300);
    let mut root = None;
    for (key, value) in &model {
        // At times the old root ends in a cut and is the first page of the new tree as it is.
        let before = root.map_or(0, |root: PageRef| root.entries);
        let one = Batch::from([(key.clone(), Some(value.clone()))]);
        root = apply(&store, &cutter, root.as_ref(), edits(&one)).unwrap();
        assert_eq!(root.unwrap().entries, before + 1);
    }
    assert_eq!(root, build(&store, &cutter, &model));
}

#[test]
fn a_put_of_what_is_there_and_a_remove_of_what_is_not_change_nothing() {
    let (store, cutter) = (Memory::default(), cutter(256));
    let model = phone(2000);
    let root = build(&store, &cutter, &model);
    let (key, value) = model.iter().nth(700).unwrap();
    let same = Batch::from([(key.clone(), Some(value.clone())), (b"absent".to_vec(), None)]);
    assert_eq!(apply(&store, &cutter, root.as_ref(), edits(&same)).unwrap(), root);
    assert_eq!(apply(&store, &cutter, root.as_ref(), std::iter::empty()).unwrap(), root);
    let nothing = Batch::from([(b"absent".to_vec(), None)]);
    assert_eq!(apply(&store, &cutter, None, edits(&nothing)).unwrap(), None);
}

#[test]
fn a_tree_that_shrinks_loses_its_levels_and_one_that_is_emptied_its_root() {
    let (store, cutter) = (Memory::default(), cutter(256));
    let model = phone(5000);
    let mut root = build(&store, &cutter, &model);
    let tall = root.unwrap().level;
    // From the right, so that only the leftmost path is left, then from the left.
    let keys: Vec<_> = model.keys().cloned().collect();
    for part in [&keys[2500..], &keys[1..2500], &keys[..1]] {
        let batch = part.iter().map(|key| (key.clone(), None)).collect();
        root = apply(&store, &cutter, root.as_ref(), edits(&batch)).unwrap();
        if let Some(root) = root {
            let left = all(&store, Some(&root));
            assert_eq!(Some(root), build(&Memory::default(), &cutter, &left));
            assert!(root.level < tall || left.len() == 2500);
        }
    }
    assert_eq!(root, None);
}

#[test]
fn paths_of_the_longest_kind_still_end_in_a_root() {
    let (store, cutter) = (Memory::default(), cutter(1024));
    let deep = |i: u32| {
        let mut key = vec![[b'd'; 1000].as_slice(); 15].join(&0);
        key.extend_from_slice(format!("\0{i:08}").as_bytes());
        (key, (vec![0; 30_000], 1))
    };
    let model: Model = (0..200).map(deep).collect();
    let root = build(&store, &cutter, &model).unwrap();
    assert_eq!(root.entries, 200);
    assert!(store.pages.borrow().values().all(|page| page.len() <= PAGE_LEN_MAX));
    assert_eq!(all(&store, Some(&root)), model);
}

#[test]
fn a_walk_shows_every_page_once_and_passes_what_is_known() {
    let (store, cutter) = (Memory::default(), cutter(512));
    let mut model = phone(3000);
    let first = build(&store, &cutter, &model);
    let mut seen = BTreeSet::new();
    let mut entries = 0;
    let enter = |id, _| {
        assert!(seen.insert(id), "shown twice");
        true
    };
    walk(&store, first.as_ref(), enter, |_| {
        entries += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(entries, 3000);
    assert_eq!(seen.len(), store.pages.borrow().len(), "a first build writes nothing in vain");

    let one = Batch::from([(nth_key(&model, 1500), Some((vec![9; 65], 0)))]);
    change(&mut model, &one);
    let second = apply(&store, &cutter, first.as_ref(), edits(&one)).unwrap();
    store.reset();
    walk(&store, second.as_ref(), |id, _| seen.insert(id), |_| Ok(())).unwrap();
    assert!(store.reads.get() <= 8, "{} reads", store.reads.get());
}

#[test]
fn edits_that_cannot_be_are_refused() {
    let refused = |edits: Vec<Edit>| {
        let edits = edits.into_iter().map(Ok);
        apply(&Memory::default(), &cutter(256), None, edits).map_err(|error| error.kind())
    };
    let put = |key: &str, len| Edit::put(key, vec![0; len], 0);
    assert!(refused(vec![put("a", 1), put("b", NODE_LEN_MAX)]).is_ok());
    assert_eq!(refused(vec![put("b", 1), put("a", 1)]), Err(ErrorKind::Invalid));
    assert_eq!(refused(vec![put("a", 1), Edit::remove("a")]), Err(ErrorKind::Invalid));
    assert_eq!(refused(vec![put("a/b", 1)]), Err(ErrorKind::Invalid));
    assert_eq!(refused(vec![put("a", NODE_LEN_MAX + 1)]), Err(ErrorKind::Invalid));
}

#[test]
fn pages_gather_around_the_target_and_keep_within_the_maximum() {
    let (store, cutter) = (Memory::default(), cutter(4096));
    build(&store, &cutter, &phone(50_000));
    let lengths: Vec<usize> =
        store.pages.borrow().values().filter(|page| page[1] == 0).map(Bytes::len).collect();
    let mean = lengths.iter().sum::<usize>() / lengths.len();
    assert!((3700..=4500).contains(&mean), "mean {mean}");
    let longest = lengths.iter().max().copied().unwrap_or_default();
    assert!(longest <= 8192 + 200, "longest {longest}");
    let at_max = lengths.iter().filter(|len| **len >= 8192).count();
    assert!(at_max * 100 < lengths.len(), "{at_max} of {} forced", lengths.len());
}

#[test]
fn sizes_that_cannot_be_cut_are_refused() {
    let sizes = |min_bytes, target_bytes, max_bytes| {
        TreeParams { min_bytes, target_bytes, max_bytes }.validate().is_ok()
    };
    assert!(sizes(1, 2, 3) && sizes(2048, 4096, 65536));
    assert!(!sizes(0, 2, 3) && !sizes(2, 2, 3) && !sizes(1, 3, 3) && !sizes(1, 2, 65537));
}
