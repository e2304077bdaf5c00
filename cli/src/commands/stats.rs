//! `devsnap stats`: what the repository holds and what that costs.
use super::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::text::{counted, size};
use devsnap_engine::node::{Encoding, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::{Repository, StoredTotals};
use devsnap_engine::snapshot::{Named, Origin};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let named = session.snapshots(&repository)?;
    let stored = repository.stored_totals()?;
    let logical = named.iter().map(restored_bytes).fold(0, u64::saturating_add);
    let sources = named.iter().map(|n| n.snapshot.lineage()).collect::<BTreeSet<_>>().len();
    let encrypted = Encrypted::count(&repository, &named)?;
    session.report.data(
        || {
            json!({
                "message_type": "summary",
                "repository_id": repository.id().to_hex(),
                "snapshots": named.len(),
                "sources": sources,
                "bytes_logical": logical,
                "bytes_stored": stored.stored_bytes,
                "data_packs": stored.data_packs,
                "meta_packs": stored.meta_packs,
                "blobs": stored.blobs,
                "segments": stored.segments,
                "bytes_encrypted_as_plaintext": encrypted.as_plaintext,
                "bytes_encrypted_as_received": encrypted.as_received,
            })
        },
        || {
            let id = repository.id().short();
            for_people(&id, named.len(), sources, logical, &stored) + &encrypted.for_people()
        },
    )?;
    Ok(ExitCode::Done)
}

/// How the files of encrypted devices are stored, by the newest snapshot of each: bytes as the device
/// has encrypted them.
#[derive(Default)]
struct Encrypted {
    as_plaintext: u64,
    as_received: u64,
}

impl Encrypted {
    fn count(repository: &Repository, named: &[Named]) -> Result<Self, Failure> {
        let mut counted = Encrypted::default();
        // A station reads no trees.
        if repository.is_write_only() {
            return Ok(counted);
        }
        let mut newest = BTreeMap::new();
        for named in named {
            if let Origin::Device(device) = &named.snapshot.origin {
                newest.insert(&device.udid, (device.encrypted, &named.snapshot));
            }
        }
        for (_, snapshot) in newest.into_values().filter(|(is_encrypted, _)| *is_encrypted) {
            for entry in repository.view(snapshot).walk(&TreePath::root()) {
                let (_, node) = entry?;
                match (node.kind, &node.encoding) {
                    (NodeKind::File, Encoding::AsStored) => {
                        counted.as_received += node.size_bytes()
                    }
                    (NodeKind::File, _) => counted.as_plaintext += node.size_bytes(),
                    _ => {}
                }
            }
        }
        Ok(counted)
    }

    fn for_people(&self) -> String {
        match (self.as_plaintext, self.as_received) {
            (0, 0) => String::new(),
            (plain, sealed) => format!(
                "\n  the newest snapshots of encrypted devices: {} kept as plaintext, {} as the \
                 devices encrypted it",
                size(plain),
                size(sealed)
            ),
        }
    }
}

/// What bringing this snapshot back would write.
fn restored_bytes(named: &Named) -> u64 {
    named.snapshot.root.map_or(0, |root| root.size_bytes)
}

fn for_people(
    id: &str,
    snapshots: usize,
    sources: usize,
    logical: u64,
    stored: &StoredTotals,
) -> String {
    format!(
        "Repository {id}\n  \
         {} of {sources} {}, {} if each stood alone\n  \
         stored {} in {} ({} of contents, {} of trees), {}, {}{}",
        counted(snapshots, "snapshot"),
        if sources == 1 { "device or folder" } else { "devices and folders" },
        size(logical),
        size(stored.stored_bytes),
        counted(stored.data_packs + stored.meta_packs, "pack"),
        stored.data_packs,
        stored.meta_packs,
        counted(stored.blobs, "blob"),
        counted(stored.segments, "index segment"),
        share(stored.stored_bytes, logical)
            .map_or_else(String::new, |percent| format!("\n  that is {percent} % of the whole")),
    )
}

/// Stored bytes in per cent of logical ones, with one decimal; `None` of nothing.
fn share(stored: u64, logical: u64) -> Option<String> {
    let tenths = (u128::from(stored) * 1000).checked_div(u128::from(logical))?;
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_something_and_does_not_overflow() {
        assert_eq!(share(1, 0), None);
        assert_eq!(share(125, 1000).as_deref(), Some("12.5"));
        assert_eq!(share(u64::MAX, u64::MAX).as_deref(), Some("100.0"));
    }
}
