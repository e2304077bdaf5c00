//! Finished packs ▸ the backend, several at once.
use super::Shared;
use super::packer::Finished;
use crate::backend::{Body, ObjectKey};
use crate::index::IndexedPack;
use crossbeam_channel::{Receiver, Sender};
use std::sync::atomic::Ordering;

/// Stores packs until there are no more.
pub(super) fn run(shared: &Shared, from: &Receiver<Finished>, to: &Sender<IndexedPack>) {
    for Finished { file, pack } in from {
        if shared.is_stopped() {
            continue;
        }
        let key = ObjectKey::new(pack.header.kind.object_kind(), pack.id.to_hex());
        let body = Body::File { path: file.to_path_buf(), size_bytes: pack.pack_len };
        match shared.repository.backend().put(&key, body) {
            Ok(()) => {
                shared.stored.fetch_add(pack.pack_len, Ordering::Relaxed);
                shared.progress.stored(pack.pack_len);
                // The recorder ends only after every uploader.
                let _ = to.send(pack);
            }
            Err(error) => shared.fail(error.into()),
        }
        // What the backend left of the file goes with `file`.
    }
}
