//! Which snapshots there are.
use super::{Repository, SessionMarks};
use crate::backend::{BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::seal::{open_object, seal_object};
use crate::snapshot::{Named, SNAPSHOT_LEN_MAX, Snapshot, decode, encode};
use std::collections::BTreeSet;

/// The longest stored snapshot, in bytes.
const OBJECT_LEN_MAX: u64 = SNAPSHOT_LEN_MAX as u64 + 1024;

/// The snapshots of a store.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Those that count, oldest first.
    pub named: Vec<Named>,
    /// Those whose session has not ended: a run that is under way, or was cut off at its very end.
    pub unconfirmed: Vec<Named>,
    /// Objects that could not be read, by name, and why.
    pub unreadable: Vec<(String, Error)>,
}

impl Repository {
    /// The snapshots that are there now. Only those this computer does not know are fetched.
    ///
    /// A snapshot counts while its session's `end` is there (`docs/crash-safety.md`).
    ///
    /// # Errors
    ///
    /// A listing broke off, or an object could not be fetched; a damaged one is no error but
    /// listed as such.
    pub fn snapshots(&self) -> Result<Snapshots> {
        // Sessions after snapshots: what is confirmed in between is seen as confirmed.
        let listed = self.list_ids(ObjectKind::Snapshot)?;
        let marks = SessionMarks::list(self, "")?;
        let notes = self.notes()?;
        let listed: BTreeSet<SnapshotId> = listed.into_iter().map(SnapshotId::from_bytes).collect();
        let mut kept = self.index().snapshots()?;
        let gone: Vec<SnapshotId> =
            kept.keys().filter(|id| !listed.contains(id)).copied().collect();
        let (mut new, mut found) = (Vec::new(), Snapshots::default());
        for id in listed {
            // A copy that this computer's disk spoilt is fetched again.
            let is_whole = |object: &Vec<u8>| blake3::hash(object) == *id.as_bytes();
            let object = match kept.remove(&id).filter(is_whole) {
                Some(object) => object,
                None => match self.fetch_snapshot(&id) {
                    Ok(Some(object)) => {
                        new.push((id, object.clone()));
                        object
                    }
                    Ok(None) => continue,
                    Err(e) if e.kind() == ErrorKind::Damaged => {
                        found.unreadable.push((id.to_hex(), e));
                        continue;
                    }
                    Err(e) => return Err(e),
                },
            };
            match self.open_snapshot(&id, &object) {
                Ok(mut snapshot) => {
                    snapshot.tags = notes.tags(&id, &snapshot.tags);
                    let counts = marks.has_ended(snapshot.session);
                    let named = Named { id, snapshot, description: notes.description(&id) };
                    if counts { &mut found.named } else { &mut found.unconfirmed }.push(named);
                }
                Err(e) => found.unreadable.push((id.to_hex(), e)),
            }
        }
        if !new.is_empty() || !gone.is_empty() {
            self.index().keep_snapshots(&new, &gone)?;
        }
        found.named.sort_by_key(|n| (n.snapshot.taken_at, n.snapshot.sequence, n.id));
        Ok(found)
    }

    fn fetch_snapshot(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        let key = ObjectKey::new(ObjectKind::Snapshot, id.to_hex());
        match self.backend().get_whole(&key, OBJECT_LEN_MAX) {
            Ok(object) => Ok(Some(object.to_vec())),
            // Forgotten since it was listed.
            Err(e) if e.kind == BackendErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn open_snapshot(&self, id: &SnapshotId, object: &[u8]) -> Result<Snapshot> {
        if blake3::hash(object) != *id.as_bytes() {
            return Err(Error::new(ErrorKind::Damaged, format!("reading snapshot {}", id.short()))
                .because("its bytes do not match its name"));
        }
        let bytes = open_object(self.keys(), ObjectKind::Snapshot, object, SNAPSHOT_LEN_MAX)?;
        decode(&bytes, self.id(), |public| self.config().writer(public))
    }

    /// Stores a snapshot of this writer. It counts once its session has ended.
    ///
    /// # Errors
    ///
    /// What storing meets.
    pub fn put_snapshot(&self, snapshot: &Snapshot) -> Result<SnapshotId> {
        let keys = self.keys();
        let bytes = encode(snapshot, keys.repository(), &keys.signer);
        let object = seal_object(keys, ObjectKind::Snapshot, &bytes)?;
        let id = SnapshotId::from_bytes(*blake3::hash(&object).as_bytes());
        let key = ObjectKey::new(ObjectKind::Snapshot, id.to_hex());
        self.backend().put(&key, Body::Bytes(object.into()))?;
        Ok(id)
    }
}
