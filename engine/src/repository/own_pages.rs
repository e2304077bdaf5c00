//! What a station keeps of its own trees: it cannot read them back from the store.
//!
//! Pages lie in the local index, sealed under a key that only this station has, so that its next run
//! has a parent. Without them, or with some of them gone, it runs in full.
use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::pack::PackKind;
use crate::seal::SealKey;
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Pages that wait until they are written together.
const WAITING_MAX: usize = 1000;

/// Pages of this run that are not in the index yet.
#[derive(Default)]
pub(super) struct WaitingPages(Mutex<Vec<(BlobId, Vec<u8>)>>);

impl Repository {
    /// Keeps a page that this station stores.
    ///
    /// # Errors
    ///
    /// The local index could not be written.
    pub(crate) fn keep_page(&self, id: BlobId, page: &[u8]) -> Result<()> {
        let mut sealed = page.to_vec();
        self.own_page_key(&id).seal(0, self.id().as_bytes(), &mut sealed);
        let full = {
            let mut waiting = self.0.own_pages.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((id, sealed));
            waiting.len() >= WAITING_MAX
        };
        if full { self.flush_pages() } else { Ok(()) }
    }

    /// Writes the pages that wait.
    ///
    /// # Errors
    ///
    /// The local index could not be written.
    pub(crate) fn flush_pages(&self) -> Result<()> {
        let mut waiting = self.0.own_pages.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            return Ok(());
        }
        self.index().keep_pages(std::mem::take(&mut waiting))
    }

    /// A page that this station stored once.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) when it was not kept: nothing else can be read;
    /// [`Damaged`](ErrorKind::Damaged) when this computer's disk spoilt it.
    pub(super) fn own_page(&self, id: &BlobId) -> Result<Bytes> {
        let mut sealed = match self.index().page(id)? {
            Some(sealed) => sealed,
            None => return Err(self.require_full("reading a tree").err().unwrap_or_else(gone)),
        };
        let damaged = || Error::new(ErrorKind::Damaged, "reading a page that was kept");
        let page = self.own_page_key(id).open(0, self.id().as_bytes(), &mut sealed);
        let page = page.map_err(|e| damaged().because(e))?.to_vec();
        self.verify_named(PackKind::Meta, id, &page)?;
        Ok(page.into())
    }

    /// One key for each page, used for one text: a page's id is its content's.
    fn own_page_key(&self, id: &BlobId) -> SealKey {
        let seed = self.keys().signer.seed();
        let key = Zeroizing::new(blake3::derive_key("devsnap 2026-11 v1 own pages", seed));
        SealKey::new(&Zeroizing::new(*blake3::keyed_hash(&key, id.as_bytes()).as_bytes()))
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "reading a page that was kept")
}
