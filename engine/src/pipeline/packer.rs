//! Sealed blocks in the order of their places ▸ a pack file on disk, hashed meanwhile.
use super::Shared;
use super::budget::Permit;
use super::places::Given;
use crate::backend::STAGED_PACK_PREFIX;
use crate::error::{Error, Result};
use crate::id::{BlobId, PackId};
use crate::index::IndexedPack;
use crate::pack::{PackBuilder, Place, Rounding};
use crate::uncached;
use crossbeam_channel::{Receiver, Sender};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::FileExt;
use tempfile::{NamedTempFile, TempPath};

/// Blobs of a block: name, offset in its plaintext, length.
pub(super) type Blobs = Vec<(BlobId, u32, u32)>;

/// What workers send.
pub(super) enum ToPack {
    /// A block for its place.
    Block(Block),
    /// No more places of this pack are given out.
    Close {
        serial: u64,
        builder: PackBuilder,
        /// How many places were given.
        blocks: u32,
        /// Whether it is full, or only the last of its kind.
        full: bool,
    },
}

/// A sealed block.
pub(super) struct Block {
    pub(super) given: Given,
    pub(super) sealed: Vec<u8>,
    pub(super) raw_len: u32,
    pub(super) blobs: Blobs,
    pub(super) permit: Option<Permit>,
}

/// A finished pack on this computer's disk.
pub(super) struct Finished {
    pub(super) file: TempPath,
    pub(super) pack: IndexedPack,
}

/// A pack that is being written.
struct Filling {
    file: NamedTempFile,
    /// Written so far.
    len_bytes: u64,
    /// Whether the file becomes the object itself; else it is read once more, to be sent.
    is_final: bool,
    hasher: blake3::Hasher,
    next: u32,
    early: BTreeMap<u32, Block>,
    written: Vec<(Place, u32, Blobs)>,
    closed: Option<(PackBuilder, u32, bool)>,
}

/// Writes packs until all workers are gone.
pub(super) fn run(shared: &Shared, from: &Receiver<ToPack>, to: &Sender<Finished>) {
    let mut filling = HashMap::new();
    for message in from {
        if shared.is_stopped() {
            continue;
        }
        match take(shared, &mut filling, message) {
            Ok(Some(finished)) => {
                // Uploaders end only after this thread.
                let _ = to.send(finished);
            }
            Ok(None) => {}
            Err(error) => shared.fail(error),
        }
    }
}

fn take(
    shared: &Shared,
    filling: &mut HashMap<u64, Filling>,
    message: ToPack,
) -> Result<Option<Finished>> {
    let serial = match &message {
        ToPack::Block(block) => block.given.pack,
        ToPack::Close { serial, .. } => *serial,
    };
    let pack = match filling.entry(serial) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Filling::begin(shared)?),
    };
    match message {
        ToPack::Block(block) => {
            pack.early.insert(block.given.place.ordinal, block);
            while let Some(block) = pack.early.remove(&pack.next) {
                pack.append(block)?;
            }
        }
        ToPack::Close { builder, blocks, full, .. } => pack.closed = Some((builder, blocks, full)),
    }
    let whole = pack.closed.as_ref().is_some_and(|(_, blocks, _)| pack.next == *blocks);
    match whole.then(|| filling.remove(&serial)).flatten() {
        Some(pack) => pack.finish(shared).map(Some),
        None => Ok(None),
    }
}

const DOING: &str = "writing a pack to a temporary file";

impl Filling {
    fn begin(shared: &Shared) -> Result<Self> {
        let staging = shared.repository.backend().staging();
        let folder = staging.unwrap_or(&shared.scratch);
        let file = tempfile::Builder::new().prefix(STAGED_PACK_PREFIX).tempfile_in(folder);
        let file = file.map_err(|e| Error::local(DOING, e))?;
        Ok(Filling {
            file,
            len_bytes: 0,
            is_final: staging.is_some(),
            hasher: blake3::Hasher::new(),
            next: 0,
            early: BTreeMap::new(),
            written: Vec::new(),
            closed: None,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        let (file, at) = (self.file.as_file(), self.len_bytes);
        let written = match self.is_final {
            true => uncached::write_all_at(file, bytes, at),
            false => file.write_all_at(bytes, at),
        };
        written.map_err(|e| Error::local(DOING, e))?;
        self.len_bytes += bytes.len() as u64;
        Ok(())
    }

    fn append(&mut self, block: Block) -> Result<()> {
        let Block { given, sealed, raw_len, blobs, permit } = block;
        if self.next == 0 {
            self.write(&given.header)?;
        }
        self.write(&sealed)?;
        drop(permit);
        self.written.push((given.place, raw_len, blobs));
        self.next += 1;
        Ok(())
    }

    fn finish(mut self, shared: &Shared) -> Result<Finished> {
        let (mut builder, _, full) = self.closed.take().expect("because only closed packs end");
        for (place, raw_len, blobs) in std::mem::take(&mut self.written) {
            builder.record(place, raw_len, &blobs);
        }
        let header = *builder.header();
        let rounding = if full { Rounding::Full } else { Rounding::Last };
        let ending = builder.finish(shared.repository.keys(), rounding)?;
        self.write(&ending.bytes)?;
        let id = PackId::from_bytes(*self.hasher.finalize().as_bytes());
        let pack = IndexedPack { id, header, pack_len: ending.pack_len, footer: ending.footer };
        Ok(Finished { file: self.file.into_temp_path(), pack })
    }
}
