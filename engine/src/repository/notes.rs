//! What people say of snapshots afterwards: tags and descriptions. A snapshot is never rewritten.
//!
//! `notes/<id>`, named by the BLAKE3 of its stored bytes: a sealed object around a signed record,
//! purpose `note`: a MessagePack map of `snapshot` (32 bytes), `at_secs` and `at_nanos` (when, since
//! 1970), `add_tags`, `remove_tags` (arrays of text) and `description` (text; empty takes it back).
//! Notes of one snapshot are applied in the order of their times, then of their ids.
use super::Repository;
use crate::backend::{BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{NoteId, SnapshotId};
use crate::node::Time;
use crate::seal::{open_object, open_record, seal_object, sign_record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const PURPOSE: &str = "note";

/// The longest note, in bytes before it is sealed.
const NOTE_LEN_MAX: usize = 64 << 10;

/// Tags of one snapshot, in its own and in notes; more are not shown.
const TAGS_MAX: usize = 1000;

/// Something said of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note {
    /// When: later notes win.
    pub at: Time,
    /// Tags it has from now on.
    pub add_tags: Vec<String>,
    /// Tags it has no longer.
    pub remove_tags: Vec<String>,
    /// What it is, in a sentence; empty: nothing any more.
    pub description: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    snapshot: serde_bytes::ByteArray<32>,
    at_secs: i64,
    at_nanos: u32,
    add_tags: Vec<String>,
    remove_tags: Vec<String>,
    description: Option<String>,
}

/// All notes, by snapshot, in the order in which they apply.
#[derive(Debug, Default)]
pub struct Notes {
    by_snapshot: HashMap<SnapshotId, Vec<(NoteId, Note)>>,
}

impl Notes {
    /// The tags of a snapshot that was made with `tags`.
    pub fn tags(&self, snapshot: &SnapshotId, tags: &[String]) -> Vec<String> {
        let mut tags = tags.to_vec();
        for (_, note) in self.of(snapshot) {
            tags.retain(|tag| !note.remove_tags.contains(tag));
            for tag in &note.add_tags {
                if !tags.contains(tag) && tags.len() < TAGS_MAX {
                    tags.push(tag.clone());
                }
            }
        }
        tags
    }

    /// The last description.
    pub fn description(&self, snapshot: &SnapshotId) -> Option<String> {
        let last = self.of(snapshot).iter().rev().find_map(|(_, note)| note.description.clone());
        last.filter(|text| !text.is_empty())
    }

    fn of(&self, snapshot: &SnapshotId) -> &[(NoteId, Note)] {
        self.by_snapshot.get(snapshot).map_or(&[], Vec::as_slice)
    }

    fn all(&self) -> impl Iterator<Item = (SnapshotId, NoteId)> {
        let notes = self.by_snapshot.iter();
        notes.flat_map(|(snapshot, notes)| notes.iter().map(|(note, _)| (*snapshot, *note)))
    }
}

impl Repository {
    /// The notes there are. One that cannot be read, or that no full key has signed, says nothing.
    ///
    /// # Errors
    ///
    /// A listing broke off, an object could not be fetched; this computer's disk.
    pub fn notes(&self) -> Result<Notes> {
        let listed: BTreeSet<NoteId> =
            self.list_ids(ObjectKind::Note)?.into_iter().map(NoteId::from_bytes).collect();
        let mut kept: BTreeMap<NoteId, Vec<u8>> = self.index().notes()?;
        let gone: Vec<NoteId> = kept.keys().filter(|id| !listed.contains(id)).copied().collect();
        let (mut new, mut notes) = (Vec::new(), Notes::default());
        for id in listed {
            let is_whole = |object: &Vec<u8>| blake3::hash(object) == *id.as_bytes();
            let object = match kept.remove(&id).filter(is_whole) {
                Some(object) => object,
                None => match self.fetch_note(&id)? {
                    Some(object) if is_whole(&object) => {
                        new.push((id, object.clone()));
                        object
                    }
                    _ => continue,
                },
            };
            if let Ok((snapshot, note)) = self.open_note(&object) {
                notes.by_snapshot.entry(snapshot).or_default().push((id, note));
            }
        }
        if !new.is_empty() || !gone.is_empty() {
            self.index().keep_notes(&new, &gone)?;
        }
        for notes in notes.by_snapshot.values_mut() {
            notes.sort_by_key(|(id, note)| (note.at, *id));
        }
        Ok(notes)
    }

    /// Says something of a snapshot.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) with a write-only key; [`Invalid`](ErrorKind::Invalid) for a
    /// note over 64 KiB; what storing meets.
    pub fn put_note(&self, snapshot: SnapshotId, note: &Note) -> Result<()> {
        self.require_full("saying something of a snapshot")?;
        let written = Written {
            snapshot: serde_bytes::ByteArray::new(*snapshot.as_bytes()),
            at_secs: note.at.secs,
            at_nanos: note.at.nanos,
            add_tags: note.add_tags.clone(),
            remove_tags: note.remove_tags.clone(),
            description: note.description.clone(),
        };
        let body = rmp_serde::to_vec_named(&written).expect("because every field has a form");
        let keys = self.keys();
        let record = sign_record(&keys.signer, keys.repository(), PURPOSE, &body);
        if record.len() > NOTE_LEN_MAX {
            return Err(Error::new(ErrorKind::Invalid, "saying more than 64 KiB of a snapshot"));
        }
        let object = seal_object(keys, ObjectKind::Note, &record)?;
        let id = NoteId::from_bytes(*blake3::hash(&object).as_bytes());
        self.backend().put(&note_key(&id), Body::Bytes(object.into()))?;
        Ok(())
    }

    /// Removes notes of snapshots that are gone; how many. No snapshot comes back under its name.
    ///
    /// # Errors
    ///
    /// A listing broke off; what removing meets.
    pub(crate) fn tidy_notes(&self) -> Result<u64> {
        let notes = self.notes()?;
        let there: BTreeSet<SnapshotId> =
            self.list_ids(ObjectKind::Snapshot)?.into_iter().map(SnapshotId::from_bytes).collect();
        let mut removed = 0;
        for (_, note) in notes.all().filter(|(snapshot, _)| !there.contains(snapshot)) {
            self.backend().remove(&note_key(&note))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn fetch_note(&self, id: &NoteId) -> Result<Option<Vec<u8>>> {
        match self.backend().get_whole(&note_key(id), NOTE_LEN_MAX as u64 + 1024) {
            Ok(object) => Ok(Some(object.to_vec())),
            Err(e) => match e.kind {
                BackendErrorKind::NotFound | BackendErrorKind::TooLarge => Ok(None),
                _ => Err(e.into()),
            },
        }
    }

    fn open_note(&self, object: &[u8]) -> Result<(SnapshotId, Note)> {
        let keys = self.keys();
        let record = open_object(keys, ObjectKind::Note, object, NOTE_LEN_MAX)?;
        // A station may add snapshots, not speak of others'.
        let certified = |public: &[u8; 32]| self.config().full_writer(public);
        let (_, body) = open_record(&record, keys.repository(), PURPOSE, certified)?;
        let written: Written = rmp_serde::from_slice(body)
            .map_err(|e| Error::new(ErrorKind::Damaged, "reading a note").because(e))?;
        let at = Time { secs: written.at_secs, nanos: written.at_nanos };
        let Written { add_tags, remove_tags, description, .. } = written;
        let note = Note { at, add_tags, remove_tags, description };
        Ok((SnapshotId::from_bytes(*written.snapshot), note))
    }
}

fn note_key(id: &NoteId) -> ObjectKey {
    ObjectKey::new(ObjectKind::Note, id.to_hex())
}
