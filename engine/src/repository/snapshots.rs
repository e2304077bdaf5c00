//! Which snapshots there are, and forgetting them.
use super::{Repository, SessionMarks};
use crate::backend::{BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::interrupt::Interrupt;
use crate::retention::Candidate;
use crate::seal::{open_object, seal_object};
use crate::snapshot::{Named, SNAPSHOT_LEN_MAX, Snapshot, decode, encode};
use std::collections::{BTreeMap, BTreeSet};

/// The longest stored snapshot, in bytes.
const OBJECT_LEN_MAX: u64 = SNAPSHOT_LEN_MAX as u64 + 1024;

/// The snapshots of a store.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Those that count, oldest first.
    pub named: Vec<Named>,
    /// Those whose session has not ended: a run that is under way, or was cut off at its very end.
    pub unconfirmed: Vec<Named>,
    /// Those of `unconfirmed` whose session is over: they will not count any more.
    pub given_up: BTreeSet<SnapshotId>,
    /// Objects that could not be read, by name, and why.
    pub unreadable: Vec<(String, Error)>,
    /// When the storage says that each was written, in seconds since 1970, where it says so.
    pub stored_at_secs: BTreeMap<SnapshotId, i64>,
}

impl Snapshots {
    /// Those that a policy judges: all but what a session is still about to confirm.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        let candidate = |named, counts| Candidate {
            named,
            counts,
            stored_at_secs: self.stored_at_secs.get(&named.id).copied(),
        };
        let given_up = self.unconfirmed.iter().filter(|named| self.given_up.contains(&named.id));
        let counted = self.named.iter().map(move |named| candidate(named, true));
        counted.chain(given_up.map(move |named| candidate(named, false)))
    }
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
        let listed = self.list_snapshots()?;
        let marks = SessionMarks::list(self, "")?;
        let notes = self.notes()?;
        let mut kept = self.index().snapshots()?;
        let gone: Vec<SnapshotId> =
            kept.keys().filter(|id| !listed.contains_key(id)).copied().collect();
        let (mut new, mut found) = (Vec::new(), Snapshots::default());
        for (id, stored_at_secs) in listed {
            found.stored_at_secs.extend(stored_at_secs.map(|secs| (id, secs)));
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
                    let session = snapshot.session;
                    let named = Named { id, snapshot, description: notes.description(&id) };
                    if marks.has_ended(session) {
                        found.named.push(named);
                        continue;
                    }
                    if !marks.stands(session) {
                        found.given_up.insert(id);
                    }
                    found.unconfirmed.push(named);
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

    /// Each snapshot object, with the date that the storage gives it.
    fn list_snapshots(&self) -> Result<BTreeMap<SnapshotId, Option<i64>>> {
        let mut listed = BTreeMap::new();
        for info in self.backend().list(ObjectKind::Snapshot, "") {
            let info = info?;
            // A name that is no id is nobody's object.
            if let Ok(id) = info.key.name().parse() {
                listed.insert(id, info.stored_at_secs);
            }
        }
        Ok(listed)
    }

    fn fetch_snapshot(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        match self.backend().get_whole(&key_of(id), OBJECT_LEN_MAX) {
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
        self.backend().put(&key_of(&id), Body::Bytes(object.into()))?;
        Ok(id)
    }

    /// Forgets these snapshots: removes their objects, and nothing else. What only they needed is
    /// found by the next sweep, as are the marks of their sessions.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) with a write-only key. One could not be removed, or [`Interrupted`](ErrorKind::Interrupted); some of the others
    /// are gone then.
    pub fn forget(&self, ids: &[SnapshotId], interrupt: &Interrupt) -> Result<()> {
        self.require_full("forgetting")?;
        let keys: Vec<ObjectKey> = ids.iter().map(key_of).collect();
        let (gone, removed) = self.remove_objects(&keys, interrupt);
        if !gone.is_empty() {
            let gone: Vec<SnapshotId> = gone.into_iter().map(|place| ids[place]).collect();
            self.index().keep_snapshots(&[], &gone)?;
        }
        removed
    }

    /// Removes one snapshot's object.
    ///
    /// # Errors
    ///
    /// What removing meets.
    pub(crate) fn remove_snapshot(&self, id: &SnapshotId) -> Result<()> {
        Ok(self.backend().remove(&key_of(id))?)
    }
}

fn key_of(id: &SnapshotId) -> ObjectKey {
    ObjectKey::new(ObjectKind::Snapshot, id.to_hex())
}
