//! What a page size costs: ten days of scattered edits to a phone's tree, as a table.
//!
//! `cargo run --release -p devsnap-benches --bin page-sizes`; the numbers stand in
//! `docs/decisions/0005-page-size.md`.
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error as StdError;

use bytes::Bytes;
use devsnap_engine::error::{Error, ErrorKind, Result};
use devsnap_engine::id::BlobId;
use devsnap_engine::tree::{Edit, PageCutter, PageSource, PageStore, TreeParams, apply};

const ENTRIES: u64 = 100_000;
const DAYS: u64 = 10;
/// Pages are sealed together up to this many bytes, as small contents are.
const BUNDLE_LEN: usize = 256 * 1024;

/// Keeps pages in memory.
#[derive(Default)]
struct Memory {
    pages: RefCell<HashMap<BlobId, Bytes>>,
}

impl PageSource for Memory {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        let page = self.pages.borrow().get(&id).cloned();
        page.ok_or_else(|| Error::new(ErrorKind::NotFound, "reading a page"))
    }
}

impl PageStore for Memory {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        let id = BlobId::from_bytes(*blake3::keyed_hash(&[7; 32], &page).as_bytes());
        self.pages.borrow_mut().insert(id, page.into());
        Ok(id)
    }
}

/// Bytes that depend on `what` and `n` and on nothing else.
fn noise(what: &str, n: u64) -> [u8; 32] {
    *blake3::Hasher::new().update(what.as_bytes()).update(&n.to_le_bytes()).finalize().as_bytes()
}

fn number(what: &str, n: u64) -> u64 {
    noise(what, n).iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A path as a phone's backup has it: `<UDID>/<2 hex digits>/<SHA-1 in hex>`.
fn key(file: u64) -> Vec<u8> {
    let hash = blake3::hash(&noise("file", file)).to_hex();
    format!("00008101-000A1B2C3D4E001E\0{}\0{}", &hash[..2], &hash[..40]).into_bytes()
}

/// A file's node of 65 bytes: mode and owner, times within a year, one chunk with a random id.
fn node(version: u64) -> Vec<u8> {
    let mut node = vec![0, 0xa4, 0x03, 0xf5, 0x03, 0xf5, 0x03];
    for time in ["mtime", "birth"] {
        node.extend((1_790_000_000 + number(time, version) % 31_000_000).to_le_bytes());
        node.extend([0; 4]);
    }
    node.extend([2, 33]);
    node.extend(noise("chunk", version));
    node
}

/// Bytes of `pages` after zstd level 3, sealed up to `together` bytes at once.
fn compressed(pages: &[Vec<u8>], together: usize) -> std::io::Result<usize> {
    let mut total = 0;
    let mut bundle = Vec::new();
    let mut seal = |bundle: &mut Vec<u8>| -> std::io::Result<()> {
        total += zstd::bulk::compress(bundle, 3)?.len();
        bundle.clear();
        Ok(())
    };
    for page in pages {
        if !bundle.is_empty() && bundle.len() + page.len() > together {
            seal(&mut bundle)?;
        }
        bundle.extend_from_slice(page);
    }
    if !bundle.is_empty() {
        seal(&mut bundle)?;
    }
    Ok(total)
}

/// The pages in `store` that are not among those `before`.
fn fresh(store: &Memory, before: &BTreeSet<BlobId>) -> Vec<Vec<u8>> {
    let pages = store.pages.borrow();
    let mut fresh: Vec<_> = pages.iter().filter(|(id, _)| !before.contains(id)).collect();
    // In order of level and first key, as an edit writes them.
    fresh.sort_by(|a, b| (a.1[1], &a.1[3..]).cmp(&(b.1[1], &b.1[3..])));
    fresh.into_iter().map(|(_, page)| page.to_vec()).collect()
}

fn kib(bytes: usize) -> usize {
    bytes / 1024
}

fn row(label: &str, pages: &[Vec<u8>], per: usize) -> std::io::Result<()> {
    let raw = pages.iter().map(Vec::len).sum::<usize>();
    let (alone, bundled) = (compressed(pages, 0)?, compressed(pages, BUNDLE_LEN)?);
    println!(
        "| {label} | {} | {} | {} | {} |",
        pages.len() / per,
        kib(raw / per),
        kib(alone / per),
        kib(bundled / per)
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    println!("| pages | rows | raw KiB | zstd-3, page by page | zstd-3, bundles of 256 KiB |");
    println!("|---|---|---|---|---|");
    for target_kib in [2, 4, 8, 16] {
        let cutter = PageCutter::new(TreeParams::around(target_kib * 1024), [3; 32])?;
        for percent in [1, 3] {
            let store = Memory::default();
            let mut files: BTreeMap<Vec<u8>, ()> = (0..ENTRIES).map(|n| (key(n), ())).collect();
            let puts = files.keys().zip(0..).map(|(key, n)| Ok(Edit::put(key.clone(), node(n), 9)));
            let mut root = apply(&store, &cutter, None, puts)?;
            let mut known = BTreeSet::new();
            if percent == 1 {
                row(&format!("{target_kib} KiB, first snapshot"), &fresh(&store, &known), 1)?;
            }
            let mut written = Vec::new();
            for day in 1..=DAYS {
                known.extend(store.pages.borrow().keys().copied());
                let edits = a_day(&mut files, day, ENTRIES * percent / 100);
                root = apply(&store, &cutter, root.as_ref(), edits.into_values().map(Ok))?;
                written.extend(fresh(&store, &known));
            }
            let label = format!("{target_kib} KiB, a day of {percent} %");
            row(&label, &written, usize::try_from(DAYS)?)?;
        }
    }
    Ok(())
}

/// Of `count` edits, eight in ten change a file, one adds one and one removes one.
fn a_day(files: &mut BTreeMap<Vec<u8>, ()>, day: u64, count: u64) -> BTreeMap<Vec<u8>, Edit> {
    let names: Vec<Vec<u8>> = files.keys().cloned().collect();
    let mut edits = BTreeMap::new();
    for n in 0..count {
        let unique = day << 32 | n;
        let pick = usize::try_from(number("pick", unique) % names.len() as u64)
            .expect("because it is below a length");
        let edit = match n % 10 {
            0 => Edit::put(key(unique), node(unique), 9),
            1 => Edit::remove(names[pick].clone()),
            _ => Edit::put(names[pick].clone(), node(unique), 9),
        };
        match &edit {
            Edit::Put(entry) => files.insert(entry.key.clone(), ()),
            Edit::Remove(key) => files.remove(key),
        };
        edits.insert(edit.key().to_vec(), edit);
    }
    edits
}
