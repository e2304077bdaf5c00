//! Reading what is stored: locate ▸ get ▸ open ▸ verify. No byte leaves this file unverified but
//! from [`read_blocks`](Repository::read_blocks), whose caller compares ids itself.
use super::read_ahead::ReadAhead;
use super::staging::{StagedNow, StagedPacks};
use super::{Repository, meta_cache::MetaCache};
use crate::backend::ObjectKey;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, PackId};
use crate::index::KnownPack;
use crate::pack::{BlobLocation, BlockEntry, PackKey, PackKind};
use crate::tree::PageSource;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Opened blocks kept in memory, in bytes: neighbours in a tree lie in one block.
const BLOCKS_MAX: u64 = 16 << 20;

/// Pack keys kept in memory; finding one costs an X25519 operation.
const KEYS_MAX: usize = 1024;

type BlockId = (PackId, u32);

#[derive(Clone)]
struct BlockWeight;

impl quick_cache::Weighter<BlockId, Bytes> for BlockWeight {
    fn weight(&self, _: &BlockId, block: &Bytes) -> u64 {
        block.len() as u64 + 64
    }
}

/// What reading keeps in memory.
pub(super) struct ReadCaches {
    blocks: quick_cache::sync::Cache<BlockId, Bytes, BlockWeight>,
    keys: quick_cache::sync::Cache<PackId, Arc<PackKey>>,
    meta: Option<MetaCache>,
    staged: StagedNow,
}

impl ReadCaches {
    pub(super) fn new(meta: Option<MetaCache>) -> Self {
        let blocks = quick_cache::sync::Cache::with_weighter(256, BLOCKS_MAX, BlockWeight);
        let keys = quick_cache::sync::Cache::new(KEYS_MAX);
        ReadCaches { blocks, keys, meta, staged: StagedNow::default() }
    }

    /// Looks for packs of content here first, while somebody holds them.
    pub(super) fn use_staged(&self, packs: &Arc<StagedPacks>) {
        self.staged.add(packs);
    }
}

impl Repository {
    /// Where a blob is; `None` when it is not stored.
    ///
    /// Before it is taken for lost, packs that no segment lists are looked through, once.
    ///
    /// # Errors
    ///
    /// The local index could not be read; those packs could not be listed.
    pub fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        match self.index().locate(id)? {
            None if self.adopt_unlisted_packs()? > 0 => self.index().locate(id),
            found => Ok(found),
        }
    }

    /// The plaintexts of neighbouring blocks of one pack, in the order asked: (ordinal, entry),
    /// ascending by offset. They are fetched with one request.
    ///
    /// A block that opens is one that was sealed for this place in this pack. Whether a part of it
    /// is the blob that is wanted, [`verify_blob`](Self::verify_blob) tells.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged); [`NotFound`](ErrorKind::NotFound) when the pack is gone.
    pub fn read_blocks(
        &self,
        kind: PackKind,
        pack: &PackId,
        blocks: &[(u32, BlockEntry)],
    ) -> Result<Vec<Vec<u8>>> {
        let (Some((_, first)), Some((_, last))) = (blocks.first(), blocks.last()) else {
            return Ok(Vec::new());
        };
        let known = self.known_pack(pack)?;
        let end = u64::from(last.offset) + u64::from(last.stored_len);
        let start = u64::from(first.offset);
        if start > end || end > known.pack_len || known.header.kind != kind {
            return Err(Error::new(ErrorKind::Damaged, format!("reading pack {}", pack.short()))
                .because("blocks lie outside the pack"));
        }
        let key = self.pack_key(&known)?;
        let open = |stretch: Bytes| open_blocks(&key, pack, blocks, start, &stretch);
        let opened = match self.fetch_copy(&known, start..end) {
            Some(copy) => match open(copy) {
                // A copy that this computer's disk spoilt is no damage of the store.
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    self.forget_copy(&known);
                    self.fetch(&known, start..end).and_then(open)
                }
                opened => opened,
            },
            None => self.fetch(&known, start..end).and_then(open),
        };
        match opened {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                // Another computer's sweep may have moved what was in it: whoever asks again
                // where a blob is gets an answer that is level with the store. Marks are not looked
                // for: a writer holds to those it found when it opened its session.
                self.level_index()?;
                self.index().add_missing(pack);
                Err(e)
            }
            // It may be what is said of it that is wrong.
            Err(e) if e.kind() == ErrorKind::Damaged && self.index().is_disputed(pack) => Err(e),
            Err(e) if e.kind() == ErrorKind::Damaged => {
                // The next run stores what it held again; that it cannot be noted hides nothing.
                let _ = self.index().note_damaged(pack, true);
                Err(e)
            }
            opened => opened,
        }
    }

    /// A stretch of this computer's copy of a pack, if there is one.
    fn fetch_copy(&self, pack: &KnownPack, range: Range<u64>) -> Option<Bytes> {
        match pack.header.kind {
            PackKind::Data => self.caches().staged.read(&pack.id, &range),
            PackKind::Meta => self.caches().meta.as_ref()?.copy(pack, &range),
        }
    }

    /// Drops this computer's copies of a pack.
    fn forget_copy(&self, pack: &KnownPack) {
        match (pack.header.kind, &self.caches().meta) {
            (PackKind::Data, _) => self.caches().staged.forget(&pack.id),
            (PackKind::Meta, Some(meta)) => meta.forget(pack),
            (PackKind::Meta, None) => {}
        }
    }

    /// Finds the key of a pack anew: it was found with a header that was not the pack's.
    pub(super) fn forget_pack_key(&self, pack: &PackId) {
        self.caches().keys.remove(pack);
    }

    fn known_pack(&self, pack: &PackId) -> Result<KnownPack> {
        self.index().live_pack(pack).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("reading pack {}", pack.short()))
                .because("no segment of the index lists it")
        })
    }

    /// A stretch of a pack from the store.
    fn fetch(&self, pack: &KnownPack, range: Range<u64>) -> Result<Bytes> {
        let key = ObjectKey::new(pack.header.kind.object_kind(), pack.id.to_hex());
        match &self.caches().meta {
            Some(meta) if pack.header.kind == PackKind::Meta => {
                meta.get(self.backend(), pack, &key, range)
            }
            _ => Ok(self.backend().get(&key, range)?),
        }
    }

    fn pack_key(&self, pack: &KnownPack) -> Result<Arc<PackKey>> {
        if let Some(key) = self.caches().keys.get(&pack.id) {
            return Ok(key);
        }
        self.require_full("reading contents")?;
        // A pack says to nobody whom it was sealed to: each secret is tried, the newest first.
        let mut secrets = self.keys().secrets();
        let mut found = secrets.next().map(|secret| PackKey::find(self.id(), secret, &pack.header));
        for secret in secrets {
            if !matches!(&found, Some(Err(e)) if e.kind() == ErrorKind::Damaged) {
                break;
            }
            found = Some(PackKey::find(self.id(), secret, &pack.header));
        }
        let key = found.expect("because a full key has a secret")?;
        let key = Arc::new(key);
        self.caches().keys.insert(pack.id, key.clone());
        Ok(key)
    }

    /// Goes on only if `plain` is the content that `id` names.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn verify_blob(&self, id: &BlobId, plain: &[u8]) -> Result<()> {
        self.verify_named(PackKind::Data, id, plain)
    }

    /// Goes on only if `plain` is the blob of this kind that `id` names.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn verify_named(&self, kind: PackKind, id: &BlobId, plain: &[u8]) -> Result<()> {
        if self.name_of(kind, plain) == *id {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Damaged, format!("reading blob {}", id.short()))
            .because("its bytes do not match its name"))
    }

    /// The name of a blob: contents and pages are named under different keys.
    pub fn name_of(&self, kind: PackKind, plain: &[u8]) -> BlobId {
        match kind {
            PackKind::Data => self.keys().content_id(plain),
            PackKind::Meta => self.keys().page_id(plain),
        }
    }

    /// One blob, verified.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when it is not stored, or its pack went meanwhile and no
    /// other has it; [`Damaged`](ErrorKind::Damaged).
    pub fn read_blob(&self, kind: PackKind, id: &BlobId) -> Result<Bytes> {
        let missing = || {
            Error::new(ErrorKind::NotFound, format!("reading blob {}", id.short()))
                .because("it is not stored")
        };
        let mut location = self.locate(id)?.ok_or_else(missing)?;
        let mut was_settled = false;
        loop {
            match self.read_at(kind, id, &location) {
                // Another computer's sweep may have moved it since the index was level; or the pack
                // is lost, and a later run has stored what it held again; or somebody has said of
                // the pack what is not so.
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Damaged) => {
                    let is_settled = !was_settled && self.settle(&location.pack)?;
                    was_settled |= is_settled;
                    let is_other = |other: &BlobLocation| is_settled || other.pack != location.pack;
                    match self.locate(id)?.filter(is_other) {
                        Some(other) => location = other,
                        None => return Err(e),
                    }
                }
                read => return read,
            }
        }
    }

    /// A content blob from a block that was fetched ahead, verified; `None` when it must be read on
    /// demand, for whatever reason.
    pub(super) fn read_fetched(&self, ahead: &ReadAhead, id: &BlobId) -> Option<Bytes> {
        let at = self.index().locate(id).ok()??;
        let block = ahead.take(&at)?;
        self.blob_in(PackKind::Data, id, &at, &block).ok()
    }

    fn read_at(&self, kind: PackKind, id: &BlobId, at: &BlobLocation) -> Result<Bytes> {
        let block_id = (at.pack, at.ordinal);
        let block = match self.caches().blocks.get(&block_id) {
            Some(block) => block,
            None => {
                let mut read = self.read_blocks(kind, &at.pack, &[(at.ordinal, at.block)])?;
                let block = Bytes::from(read.pop().expect("because one block was asked for"));
                self.caches().blocks.insert(block_id, block.clone());
                block
            }
        };
        self.blob_in(kind, id, at, &block)
    }

    /// The blob that an opened block should hold at this place, verified.
    fn blob_in(
        &self,
        kind: PackKind,
        id: &BlobId,
        at: &BlobLocation,
        block: &Bytes,
    ) -> Result<Bytes> {
        let end = at.offset as usize + at.len as usize;
        if end > block.len() {
            return Err(Error::new(ErrorKind::Damaged, format!("reading blob {}", id.short()))
                .because("it ends behind its block"));
        }
        let plain = block.slice(at.offset as usize..end);
        self.verify_named(kind, id, &plain)?;
        Ok(plain)
    }
}

/// The plaintexts of blocks in `stretch`, which begins at `start` in the pack.
fn open_blocks(
    key: &PackKey,
    pack: &PackId,
    blocks: &[(u32, BlockEntry)],
    start: u64,
    stretch: &Bytes,
) -> Result<Vec<Vec<u8>>> {
    let open = |(ordinal, block): &(u32, BlockEntry)| {
        let from = u64::from(block.offset).checked_sub(start).unwrap_or(u64::MAX);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let sealed = stretch.get(from..).and_then(|s| s.get(..block.stored_len as usize));
        let sealed = sealed.ok_or_else(|| {
            Error::new(ErrorKind::Damaged, format!("reading pack {}", pack.short()))
                .because("blocks are not in order")
        })?;
        key.open(*ordinal, sealed, block.raw_len)
    };
    blocks.iter().map(open).collect()
}

impl PageSource for Repository {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        if self.is_write_only() {
            return self.own_page(&id);
        }
        self.read_blob(PackKind::Meta, &id)
    }
}
