//! The canonical bytes of a page.
//!
//! ```text
//! version  u8       1
//! level    u8       0 in a leaf
//! count    varint   entries, at least 1
//! entries           in strictly rising order of key
//!   shared   varint   leading bytes the key has in common with the one before, all of them
//!   rest     bytes    the rest of the key, behind its length
//!   leaf:  size   varint   · value  bytes
//!   inner: child  32 bytes · entries varint · size varint   (the key is the child's first)
//! ```
//!
//! One content has one spelling: varints are shortest, prefixes longest, nothing is left over.
use bytes::Bytes;

use crate::codec::{Decoder, Malformed, put_bytes, put_varint};
use crate::id::{BlobId, ID_LEN};
use crate::node::NODE_LEN_MAX;
use crate::path::{BadPath, PATH_LEN_MAX, check_name};

use super::params::Filled;
use super::{Entry, KEYS_LEN_MAX, LEVEL_MAX, PAGE_LEN_MAX};

const VERSION: u8 = 1;

/// What a page and all below it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    pub(super) entries: u64,
    pub(super) size_bytes: u64,
}

impl Totals {
    /// Saturating, so that sparse files of 2⁶³ bytes are a wrong total and not a refused tree;
    /// still the same in whatever order it is added up.
    fn add(&mut self, other: Totals) {
        self.entries = self.entries.saturating_add(other.entries);
        self.size_bytes = self.size_bytes.saturating_add(other.size_bytes);
    }
}

/// An inner page's entry: a page one level below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) first_key: Vec<u8>,
    pub(super) id: BlobId,
    pub(super) totals: Totals,
}

/// A decoded page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) level: u8,
    pub(super) items: Items,
}

/// The entries of a page, never none.
#[derive(Debug)]
pub(super) enum Items {
    Leaf(Vec<Entry>),
    Inner(Vec<Child>),
}

/// Why bytes are not a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPage {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("page version {0}")]
    TooNew(u8),
}

/// What a page is a list of.
pub(super) trait Item: Clone {
    /// The fewest bytes one takes in a page.
    const LEN_MIN: usize;
    fn key(&self) -> &[u8];
    fn totals(&self) -> Totals;
    /// Appends what follows the key.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads what follows the key.
    fn take(key: Vec<u8>, from: &mut Decoder<'_>, page: &Bytes) -> Result<Self, Malformed>;
    /// Itself, if it is a page.
    fn as_child(&self) -> Option<&Child> {
        None
    }
    /// The items of `page`; none when it is of the other sort.
    fn of(page: &Page) -> &[Self];
}

impl Item for Entry {
    const LEN_MIN: usize = 4;
    fn key(&self) -> &[u8] {
        &self.key
    }
    fn totals(&self) -> Totals {
        Totals { entries: 1, size_bytes: self.size_bytes }
    }
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.size_bytes);
        put_bytes(out, &self.value);
    }
    fn take(key: Vec<u8>, from: &mut Decoder<'_>, page: &Bytes) -> Result<Self, Malformed> {
        let size_bytes = from.varint("size of an entry")?;
        let value = page.slice_ref(from.bytes(NODE_LEN_MAX, "value of an entry")?);
        Ok(Entry { key, value, size_bytes })
    }
    fn of(page: &Page) -> &[Self] {
        match &page.items {
            Items::Leaf(entries) => entries,
            Items::Inner(_) => &[],
        }
    }
}

impl Item for Child {
    const LEN_MIN: usize = 2 + ID_LEN + 2;
    fn key(&self) -> &[u8] {
        &self.first_key
    }
    fn totals(&self) -> Totals {
        self.totals
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.as_bytes());
        put_varint(out, self.totals.entries);
        put_varint(out, self.totals.size_bytes);
    }
    fn as_child(&self) -> Option<&Child> {
        Some(self)
    }
    fn take(first_key: Vec<u8>, from: &mut Decoder<'_>, _: &Bytes) -> Result<Self, Malformed> {
        let id = BlobId::from_bytes(from.array("id of a child")?);
        let entries = from.varint("entries of a child")?;
        let size_bytes = from.varint("size of a child")?;
        Ok(Child { first_key, id, totals: Totals { entries, size_bytes } })
    }
    fn of(page: &Page) -> &[Self] {
        match &page.items {
            Items::Leaf(_) => &[],
            Items::Inner(children) => children,
        }
    }
}

impl Page {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        match &self.items {
            Items::Leaf(entries) => entries.len(),
            Items::Inner(children) => children.len(),
        }
    }

    /// The key at `at`, if there are so many.
    pub(super) fn key(&self, at: usize) -> Option<&[u8]> {
        match &self.items {
            Items::Leaf(entries) => entries.get(at).map(Item::key),
            Items::Inner(children) => children.get(at).map(Item::key),
        }
    }

    /// How many keys are below `key`.
    pub(super) fn count_below(&self, key: &[u8]) -> usize {
        match &self.items {
            Items::Leaf(entries) => entries.partition_point(|item| item.key() < key),
            Items::Inner(children) => children.partition_point(|item| item.key() < key),
        }
    }

    /// What the page and all below it hold, as its entries say.
    pub(super) fn totals(&self) -> Totals {
        match &self.items {
            Items::Leaf(entries) => sum(entries),
            Items::Inner(children) => sum(children),
        }
    }
}

fn sum<T: Item>(items: &[T]) -> Totals {
    let mut totals = Totals::default();
    items.iter().for_each(|item| totals.add(item.totals()));
    totals
}

/// Whether `key` is the key of some path.
pub(super) fn check_key(key: &[u8]) -> Result<(), BadPath> {
    if key.len() > PATH_LEN_MAX {
        return Err(BadPath::TooLong);
    }
    if key.is_empty() {
        return Ok(());
    }
    key.split(|&b| b == 0).try_for_each(check_name)
}

/// The page that `bytes` spell. Bounded by `PAGE_LEN_MAX` and `KEYS_LEN_MAX`, whatever they say.
pub(super) fn decode(bytes: &Bytes) -> Result<Page, BadPage> {
    if bytes.len() > PAGE_LEN_MAX {
        return Err(Malformed("length of a page").into());
    }
    let mut from = Decoder::new(bytes);
    match from.u8("page version")? {
        VERSION => {}
        0 => return Err(Malformed("page version").into()),
        newer => return Err(BadPage::TooNew(newer)),
    }
    let level = from.u8("level of a page")?;
    if level > LEVEL_MAX {
        return Err(Malformed("level of a page").into());
    }
    let items = if level == 0 {
        Items::Leaf(decode_items(&mut from, bytes)?)
    } else {
        Items::Inner(decode_items(&mut from, bytes)?)
    };
    from.finish("end of a page")?;
    Ok(Page { level, items })
}

fn decode_items<T: Item>(from: &mut Decoder<'_>, page: &Bytes) -> Result<Vec<T>, Malformed> {
    let count_max = from.remaining() / T::LEN_MIN;
    let count = from.count(count_max, "number of entries")?;
    if count == 0 {
        return Err(Malformed("a page without entries"));
    }
    let mut items: Vec<T> = Vec::with_capacity(count);
    let mut keys_len = 0;
    for _ in 0..count {
        if keys_len >= KEYS_LEN_MAX {
            return Err(Malformed("keys longer than a page may hold"));
        }
        let key = take_key(from, items.last().map(Item::key))?;
        keys_len += key.len();
        items.push(T::take(key, from, page)?);
    }
    Ok(items)
}

/// The next key, which must be above `previous` and share with it exactly what it says.
fn take_key(from: &mut Decoder<'_>, previous: Option<&[u8]>) -> Result<Vec<u8>, Malformed> {
    let shared_max = previous.map_or(0, <[u8]>::len);
    let shared = from.count(shared_max, "shared prefix of a key")?;
    let rest = from.bytes(PATH_LEN_MAX - shared, "rest of a key")?;
    if let Some(previous) = previous {
        // Above, and different at once: otherwise more would be shared.
        let rises = match previous.get(shared) {
            None => !rest.is_empty(),
            Some(there) => rest.first() > Some(there),
        };
        if !rises {
            return Err(Malformed("order of keys"));
        }
    }
    let mut key = Vec::with_capacity(shared + rest.len());
    key.extend_from_slice(&previous.unwrap_or_default()[..shared]);
    key.extend_from_slice(rest);
    check_key(&key).map_err(|_| Malformed("path of a key"))?;
    Ok(key)
}

/// A page being written, entry by entry.
#[derive(Default)]
pub(super) struct PageWriter {
    body: Vec<u8>,
    count: usize,
    keys_len: usize,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    totals: Totals,
}

/// A page's bytes and what its parent says of it.
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) first_key: Vec<u8>,
    pub(super) totals: Totals,
}

impl PageWriter {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends `item`, whose key must be above all before it.
    pub(super) fn push<T: Item>(&mut self, item: &T) -> Filled {
        let key = item.key();
        debug_assert!(self.count == 0 || self.last_key.as_slice() < key, "keys rise");
        let before = self.body.len();
        let shared = self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count();
        put_varint(&mut self.body, shared as u64);
        put_bytes(&mut self.body, &key[shared..]);
        item.put(&mut self.body);
        if self.count == 0 {
            self.first_key = key.to_vec();
        }
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.count += 1;
        self.keys_len += key.len();
        self.totals.add(item.totals());
        let len = self.body.len();
        Filled { count: self.count, len, last_len: len - before, keys_len: self.keys_len }
    }

    /// The page, as one of `level`; the writer is empty again.
    pub(super) fn take(&mut self, level: u8) -> Written {
        let page = std::mem::take(self);
        let mut bytes = Vec::with_capacity(page.body.len() + 12);
        bytes.extend_from_slice(&[VERSION, level]);
        put_varint(&mut bytes, page.count as u64);
        bytes.extend_from_slice(&page.body);
        debug_assert!(bytes.len() <= PAGE_LEN_MAX, "the cutter bounds pages");
        Written { bytes, first_key: page.first_key, totals: page.totals }
    }
}
