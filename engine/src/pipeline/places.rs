//! Where sealed blocks go: the packs that are being filled, and whose turn it is.
use super::Shared;
use super::packer::ToPack;
use crate::error::Result;
use crate::pack::{PackBuilder, PackKey, PackKind, Place};
use crossbeam_channel::Sender;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A data pack is closed when the next block would take it past this many bytes.
const DATA_PACK_BYTES: u64 = 32 << 20;

/// A metadata pack: small enough to be fetched whole for one page.
const META_PACK_BYTES: u64 = 16 << 20;

/// A pack of either kind is closed when it holds as many blobs: the list of tiny ones that compress
/// well would outgrow what an index segment may say of a pack. About 8 MiB of list.
pub(super) const PACK_BLOBS_MAX: usize = 200_000;

/// Hands out places, and tells the packer when a pack is full.
pub(super) struct Places {
    shared: Arc<Shared>,
    to_packer: Sender<ToPack>,
    open: [Mutex<Option<OpenPack>>; 2],
    serial: AtomicU64,
}

struct OpenPack {
    serial: u64,
    builder: PackBuilder,
    blocks: u32,
    blobs: usize,
}

/// A place in a pack, and what seals a block for it.
pub(super) struct Given {
    /// Which pack, as the packer counts them.
    pub(super) pack: u64,
    pub(super) place: Place,
    pub(super) key: Arc<PackKey>,
    /// The pack's first bytes, for whoever comes first.
    pub(super) header: Vec<u8>,
}

impl Places {
    pub(super) fn new(shared: Arc<Shared>, to_packer: Sender<ToPack>) -> Self {
        Places { shared, to_packer, open: [Mutex::new(None), Mutex::new(None)], serial: 0.into() }
    }

    pub(super) fn packer(&self) -> &Sender<ToPack> {
        &self.to_packer
    }

    /// The next place for a block of `stored_len` sealed bytes that holds `blobs` blobs.
    pub(super) fn take(&self, kind: PackKind, stored_len: u32, blobs: usize) -> Result<Given> {
        let (slot, max) = match kind {
            PackKind::Meta => (&self.open[0], META_PACK_BYTES),
            PackKind::Data => (&self.open[1], DATA_PACK_BYTES),
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |open: &OpenPack| {
            open.blocks > 0
                && (open.builder.len() + u64::from(stored_len) > max
                    || open.blobs + blobs > PACK_BLOBS_MAX)
        };
        if slot.as_ref().is_some_and(full)
            && let Some(open) = slot.take()
        {
            self.close(open, true);
        }
        let open = match &mut *slot {
            Some(open) => open,
            empty => empty.insert(self.begin(kind)?),
        };
        let place = open.builder.take(stored_len);
        open.blocks += 1;
        open.blobs += blobs;
        Ok(Given {
            pack: open.serial,
            place,
            key: open.builder.key().clone(),
            header: open.builder.header().encode().to_vec(),
        })
    }

    /// Closes what is open, full or not.
    pub(super) fn close_open(&self) {
        for slot in &self.open {
            let open = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(open) = open {
                self.close(open, false);
            }
        }
    }

    fn begin(&self, kind: PackKind) -> Result<OpenPack> {
        let Shared { repository, session, .. } = &*self.shared;
        let builder = PackBuilder::new(repository.keys(), session.id(), session.key(), kind)?;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.shared.listing.begun();
        Ok(OpenPack { serial, builder, blocks: 0, blobs: 0 })
    }

    fn close(&self, open: OpenPack, full: bool) {
        let OpenPack { serial, builder, blocks, .. } = open;
        // The packer ends only after every worker; then nobody listens and nothing is lost.
        let _ = self.to_packer.send(ToPack::Close { serial, builder, blocks, full });
    }
}

/// The last worker is gone: what is open is closed as it is.
impl Drop for Places {
    fn drop(&mut self) {
        for kind in 0..self.open.len() {
            let open = self.open[kind].get_mut().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(open) = open {
                self.close(open, false);
            }
        }
    }
}
