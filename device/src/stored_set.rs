//! An encrypted set that is in the repository as it came, becoming plaintext there.
//!
//! A snapshot is never rewritten: what comes of it is another snapshot of the same device and date,
//! whose files read the same to the last byte.
use std::io;
use std::sync::Arc;

use devsnap_engine::error::Error;
use devsnap_engine::id::SnapshotId;
use devsnap_engine::node::{Content, Encoding, Node, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Phase;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::source::{
    Awaiting, ContentSink, Delivery, Edit, Faults, Source, SourceError, SourceRun, TreeEdits,
};
use zeroize::Zeroizing;

use crate::backup_set::path_in_set;
use crate::conversion::{
    Locked, NoManifest, Stored, Unlocked, each, is_media, open_manifest, store_plain,
};
use crate::error::{DeviceError, DeviceErrorKind};
use crate::keybag::FileKey;
use crate::manifest::{BadManifest, FileId};
use crate::plist_guard::{PlistLimits, read_bytes};
use crate::udid::Udid;

/// Files that are looked at together.
const BATCH: usize = 256;

/// Why a stored set cannot become plaintext.
#[derive(Debug, thiserror::Error)]
pub enum NotConverted {
    /// The set does not open.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// Its manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] NoManifest),
    /// The same, in the middle.
    #[error(transparent)]
    Rows(#[from] BadManifest),
    /// The snapshot cannot be built on: packs it needs are missing or about to be removed.
    #[error("the snapshot cannot be read whole any more")]
    NoParent,
    /// The repository or this computer's disk failed; somebody asked to stop.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The same, while bytes were moved.
    #[error("a file of the set could not be read or stored")]
    Io(#[from] io::Error),
}

/// A set in the repository.
pub struct StoredSet {
    snapshot: SnapshotId,
    udid: Udid,
    password: Arc<Zeroizing<Vec<u8>>>,
    converts_media: bool,
    files: u64,
    bytes: u64,
}

impl StoredSet {
    /// The set of the device `udid` in `snapshot`, to be opened with `password`; photos, films and music
    /// stay as they are unless `converts_media`.
    pub fn new(
        snapshot: SnapshotId,
        udid: Udid,
        password: Arc<Zeroizing<Vec<u8>>>,
        converts_media: bool,
    ) -> Self {
        StoredSet { snapshot, udid, password, converts_media, files: 0, bytes: 0 }
    }

    /// How many files became plaintext, and their encrypted bytes.
    pub fn converted(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    fn convert(&mut self, run: &SourceRun<'_>) -> Result<TreeEdits, NotConverted> {
        run.progress.phase(Phase::Reading);
        let set = run.parent.ok_or(NotConverted::NoParent)?;
        let list = set.open(&path_in_set(&self.udid, "Manifest.plist"))?;
        let list = read_bytes(list, &PlistLimits::BACKUP_SET)?;
        let unlocked = Unlocked::of(&list, &self.password, None, run.interrupt)?;
        let manifest_path = path_in_set(&self.udid, "Manifest.db");
        let (sealed, key) = (set.open(&manifest_path)?, unlocked.manifest_key());
        let manifest = open_manifest(sealed, key, run.scratch, run.interrupt)?;
        // A row is read in no time, a file is not: the list of keys is read to its end first.
        let mut files: Vec<(FileId, FileKey)> = Vec::new();
        unlocked.file_keys(&manifest, |row, key| {
            if self.converts_media || !is_media(row.relative_path.as_bytes()) {
                files.push((row.file_id, key));
            }
        })?;
        drop(manifest);
        let mut edits = TreeEdits::new(run.scratch);
        for batch in files.chunks(BATCH) {
            let place = |id: &FileId| path_in_set(&self.udid, &id.stored_path());
            let batch = batch.iter().map(|(id, key)| (place(id), key)).collect::<Vec<_>>();
            self.work(run, set, &batch, &mut edits)?;
        }
        if let Some(key) = key {
            self.work(run, set, &[(manifest_path, key)], &mut edits)?;
        }
        Ok(edits)
    }

    fn work(
        &mut self,
        run: &SourceRun<'_>,
        set: &dyn SnapshotReader,
        batch: &[(TreePath, &FileKey)],
        edits: &mut TreeEdits,
    ) -> Result<(), NotConverted> {
        let paths: Vec<_> = batch.iter().map(|(path, _)| path.clone()).collect();
        set.prefetch(&paths);
        let done = each(batch, run.interrupt, |(path, key)| plain(set, run.contents, path, key))?;
        for (path, mut node, stored) in done.into_iter().flatten() {
            self.files += 1;
            self.bytes += node.size_bytes();
            run.progress.advance(1, node.size_bytes());
            node.encoding = stored.encoding;
            let awaiting = Awaiting { content: Some(stored.content), ..Awaiting::default() };
            edits.push(&path, &Edit::Put { node: Box::new(node), awaiting })?;
        }
        Ok(())
    }
}

/// Stores the plaintext of the file at `path`, unless it is that already, is not there or would not
/// come back as it was.
fn plain(
    set: &dyn SnapshotReader,
    contents: &dyn ContentSink,
    path: &TreePath,
    key: &FileKey,
) -> io::Result<Option<(TreePath, Node, Stored)>> {
    let Some(node) = set.entry(path).map_err(io::Error::other)? else { return Ok(None) };
    let is_sealed = node.kind == NodeKind::File
        && node.encoding == Encoding::AsStored
        && node.content.content != Content::Missing;
    if !is_sealed {
        return Ok(None);
    }
    let sealed = set.open(path).map_err(io::Error::other)?;
    Ok(store_plain(contents, sealed, key.as_bytes())?.map(|stored| (path.clone(), node, stored)))
}

/// In the crate's words.
fn told(error: NotConverted) -> DeviceError {
    use DeviceErrorKind::{BadBackupSet, StorageFailed, WrongPassword};
    let (kind, sentence) = match &error {
        NotConverted::Locked(Locked::Wrong) => (WrongPassword, "the backup password is wrong"),
        NotConverted::Locked(_) | NotConverted::Manifest(_) | NotConverted::Rows(_) => {
            (BadBackupSet, "the set in the snapshot does not open")
        }
        NotConverted::NoParent | NotConverted::Engine(_) | NotConverted::Io(_) => {
            (StorageFailed, "the set in the snapshot could not be converted")
        }
    };
    DeviceError::new(kind, sentence).because(error)
}

impl Source for StoredSet {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        let edits = self.convert(run).map_err(|error| SourceError(Box::new(told(error))))?;
        Ok(Delivery { edits, faults: Faults::default() })
    }

    fn parent(&self) -> Option<SnapshotId> {
        Some(self.snapshot)
    }
}
