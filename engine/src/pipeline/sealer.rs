//! name ▸ claim ▸ bundle ▸ compress ▸ place ▸ seal ▸ verify: what a worker does with a piece.
//!
//! A claimed blob is always stored, whatever becomes of the content that brought it: others have
//! been told that it is known. Small blobs are bundled, compressible ones and others apart, and
//! compressed and sealed as one block: a phone has hundreds of thousands of tiny files.
use super::Shared;
use super::budget::Permit;
use super::flush::Rally;
use super::intake::Naming;
use super::packer::{Block, ToPack};
use super::places::Places;
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::index::Claim;
use crate::pack::{PackKey, PackKind};
use crate::seal::Compressor;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A bundle is sealed when it holds this many bytes.
const BUNDLE_BYTES: usize = 256 << 10;

/// Pages are bundled less: reading one page opens its whole block.
const PAGE_BUNDLE_BYTES: usize = 64 << 10;

/// What a worker is given.
pub(super) enum Work {
    /// One chunk, large enough to be a block of its own.
    Chunk(Piece),
    /// Small ones, in the order they came.
    Batch(Vec<Piece>),
    /// A blob that is stored already, to be stored in another pack too.
    Again { kind: PackKind, id: BlobId, plain: Vec<u8>, permit: Permit },
    /// A page of a tree or list, named already.
    Page {
        /// Its name.
        id: BlobId,
        /// Its bytes.
        page: Vec<u8>,
    },
    /// Every worker takes one of these, and seals what it still keeps back.
    Flush(Arc<Rally>),
}

/// A piece of a content.
pub(super) struct Piece {
    pub(super) plain: Vec<u8>,
    pub(super) permit: Permit,
    pub(super) content: Arc<Naming>,
    /// Which chunk of the content it is.
    pub(super) position: usize,
}

/// Small blobs on their way into one block.
#[derive(Default)]
struct Bundle {
    plain: Vec<u8>,
    blobs: Vec<(BlobId, u32, u32)>,
}

/// One worker.
pub(super) struct Sealer {
    shared: Arc<Shared>,
    places: Arc<Places>,
    compressor: Compressor,
    compressible: Bundle,
    incompressible: Bundle,
    pages: Bundle,
}

impl Sealer {
    pub(super) fn new(shared: Arc<Shared>, places: Arc<Places>) -> Result<Self> {
        let compressor = Compressor::new()?;
        let bundle = Bundle::default;
        Ok(Sealer {
            shared,
            places,
            compressor,
            compressible: bundle(),
            incompressible: bundle(),
            pages: bundle(),
        })
    }

    /// Works until there is no more.
    pub(super) fn run(&mut self, to_do: &Receiver<Work>) {
        for work in to_do {
            if self.shared.is_stopped() {
                continue;
            }
            if let Err(error) = self.work(work) {
                self.shared.fail(error);
            }
        }
        if !self.shared.is_stopped()
            && let Err(error) = self.flush()
        {
            self.shared.fail(error);
        }
    }

    fn work(&mut self, work: Work) -> Result<()> {
        match work {
            Work::Chunk(piece) => {
                let Some((id, len)) = self.claim(&piece)? else { return Ok(()) };
                let Piece { plain, permit, .. } = piece;
                self.seal(PackKind::Data, plain, vec![(id, 0, len)], Some(permit))
            }
            Work::Batch(pieces) => pieces.into_iter().try_for_each(|piece| {
                let Some((id, _)) = self.claim(&piece)? else { return Ok(()) };
                self.bundle(id, &piece.plain)
            }),
            Work::Page { id, page } => self.page(id, &page),
            Work::Flush(rally) => {
                self.flush()?;
                if rally.arrive(&self.shared) {
                    self.places.close_open();
                    rally.dismiss();
                }
                Ok(())
            }
            Work::Again { kind: PackKind::Meta, id, plain, .. } => self.page(id, &plain),
            Work::Again { kind: PackKind::Data, id, plain, permit } => {
                if self.shared.repository.index().claim(&id)? == Claim::Known {
                    return Ok(());
                }
                if plain.len() < self.shared.bundled_below() {
                    return self.bundle(id, &plain);
                }
                let len = u32::try_from(plain.len()).expect("because blocks are at most 16 MiB");
                self.seal(PackKind::Data, plain, vec![(id, 0, len)], Some(permit))
            }
        }
    }

    /// Puts a claimed blob with others of its kind, and seals them when they are enough.
    fn bundle(&mut self, id: BlobId, plain: &[u8]) -> Result<()> {
        let bundle = match looks_compressible(plain) {
            true => &mut self.compressible,
            false => &mut self.incompressible,
        };
        bundle.push(id, plain);
        if bundle.plain.len() < BUNDLE_BYTES {
            return Ok(());
        }
        let full = std::mem::take(bundle);
        self.seal(PackKind::Data, full.plain, full.blobs, None)
    }

    fn page(&mut self, id: BlobId, page: &[u8]) -> Result<()> {
        if self.shared.repository.index().claim(&id)? == Claim::Known {
            return Ok(());
        }
        self.pages.push(id, page);
        if self.pages.plain.len() < PAGE_BUNDLE_BYTES {
            return Ok(());
        }
        let full = std::mem::take(&mut self.pages);
        self.seal(PackKind::Meta, full.plain, full.blobs, None)
    }

    /// Names a piece; its name and length when it is this worker's to store.
    fn claim(&self, piece: &Piece) -> Result<Option<(BlobId, u32)>> {
        let len = u32::try_from(piece.plain.len()).expect("because chunks are at most 16 MiB");
        let id = self.shared.repository.name_of(PackKind::Data, &piece.plain);
        let claim = self.shared.repository.index().claim(&id)?;
        piece.content.named(piece.position, id, len)?;
        if claim == Claim::Known {
            return Ok(None);
        }
        self.shared.added.fetch_add(u64::from(len), Ordering::Relaxed);
        Ok(Some((id, len)))
    }

    /// Seals what is still in bundles.
    fn flush(&mut self) -> Result<()> {
        for (kind, bundle) in [
            (PackKind::Data, std::mem::take(&mut self.compressible)),
            (PackKind::Data, std::mem::take(&mut self.incompressible)),
            (PackKind::Meta, std::mem::take(&mut self.pages)),
        ] {
            if !bundle.blobs.is_empty() {
                self.seal(kind, bundle.plain, bundle.blobs, None)?;
            }
        }
        Ok(())
    }

    /// One block, proven to open again, on its way to the packer.
    fn seal(
        &mut self,
        kind: PackKind,
        plain: Vec<u8>,
        blobs: Vec<(BlobId, u32, u32)>,
        permit: Option<Permit>,
    ) -> Result<()> {
        if self.shared.dry_run {
            return Ok(());
        }
        let raw_len = u32::try_from(plain.len()).expect("because blocks are at most 16 MiB");
        let (codec, body) = self.compressor.compress(plain);
        let stored_len = u32::try_from(PackKey::sealed_len(body.len()))
            .expect("because a body is no longer than its plaintext");
        let given = self.places.take(kind, stored_len, blobs.len())?;
        let sealed = given.key.seal(given.place.ordinal, codec, &body);
        drop(body);
        let opened = given.key.open(given.place.ordinal, &sealed, raw_len)?;
        for (id, offset, len) in &blobs {
            let part = &opened[*offset as usize..][..*len as usize];
            if self.shared.repository.name_of(kind, part) != *id {
                return Err(Error::new(ErrorKind::Damaged, "sealing a block")
                    .because("it does not open to what it was made of: is the memory faulty?"));
            }
        }
        drop(opened);
        let block = Block { given, sealed, raw_len, blobs, permit };
        // The packer ends only after every worker.
        let _ = self.places.packer().send(ToPack::Block(block));
        Ok(())
    }
}

impl Bundle {
    fn push(&mut self, id: BlobId, plain: &[u8]) {
        let offset = u32::try_from(self.plain.len()).expect("because a bundle is small");
        let len = u32::try_from(plain.len()).expect("because a piece is small");
        self.plain.extend_from_slice(plain);
        self.blobs.push((id, offset, len));
    }
}

/// Whether zstd is likely to gain: by the entropy of at most 4 KiB from the middle. Ciphertext,
/// photos and archives are above 7.5 bits a byte; texts, plists and databases far below.
fn looks_compressible(plain: &[u8]) -> bool {
    const SAMPLE: usize = 4096;
    // A few bytes look disordered whatever they are; tiny files are mostly plists and texts.
    const TOO_SHORT: usize = 512;
    if plain.len() < TOO_SHORT {
        return true;
    }
    let start = plain.len().saturating_sub(SAMPLE) / 2;
    let sample = &plain[start..plain.len().min(start + SAMPLE)];
    let mut counts = [0u32; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let len = f64::from(u32::try_from(sample.len()).unwrap_or(1).max(1));
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / len;
            -share * share.log2()
        })
        .sum();
    bits < 7.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_told_from_text_at_every_length() {
        for len in [1000, 5000, 200_000] {
            let mut noise = vec![0; len];
            blake3::Hasher::new().finalize_xof().fill(&mut noise);
            assert!(!looks_compressible(&noise), "{len} bytes of noise");
            let text = b"<key>Name</key><string>value</string>".repeat(len / 37 + 1);
            assert!(looks_compressible(&text), "{len} bytes of text");
        }
    }
}
