//! Encrypted files wait until the list of keys is here, and are stored as plaintext then.
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Encoding;
use devsnap_engine::source::ContentSink;
use zeroize::Zeroizing;

use super::VirtualBackupDir;
use super::held::Held;
use super::path::{BackupPath, Name, Shape};
use super::previous::At;
use crate::conversion::{
    FileKeys, Growing, Locked, Spool, Stored, Unlocked, each, is_media, open_manifest, store,
};
use crate::keybag::FileKey;
use crate::manifest::ManifestDb;
use crate::plist_guard::{PlistLimits, read_bytes};

/// How the files of an encrypted set become plaintext.
pub struct Conversion {
    /// The backup password, as it was typed.
    pub password: Arc<Zeroizing<Vec<u8>>>,
    /// The set of the last snapshot, opened with it: its keybag is the same until the device sends
    /// everything anew.
    pub known: Option<Unlocked>,
    /// Where files wait.
    pub spool: Spool,
    /// Whether photos, films and music become plaintext too.
    pub converts_media: bool,
}

/// How what came was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// Files stored as plaintext.
    pub files: u64,
    /// Files that found no room to wait, and were stored as they came.
    pub overflowed: u64,
    /// Files that waited in vain: their key did not come, or their plaintext would not have given the
    /// same bytes again.
    pub refused: u64,
    /// Why none could be converted, in a sentence.
    pub locked: Option<String>,
}

/// A session's files that wait, and what became of them.
pub(super) struct Spooling {
    options: Conversion,
    /// Which file each one is; `None` is `Manifest.db`.
    ids: Vec<Option<[u8; 20]>>,
    stored: Vec<Option<Stored>>,
    /// The manifest that came last, decrypted.
    manifest: Option<ManifestDb>,
    counts: Converted,
}

impl Spooling {
    pub(super) fn new(options: Conversion) -> Self {
        let (ids, stored, counts) = (Vec::new(), Vec::new(), Converted::default());
        Spooling { options, ids, stored, manifest: None, counts }
    }

    /// Begins a file, if it is one that waits.
    pub(super) fn begin(&self, path: &BackupPath, device_path: &[u8]) -> Option<Growing> {
        let waits = match path.shape() {
            Shape::NamedFile => path.names().last() == Some(&Name::of("Manifest.db")),
            Shape::Blob => self.options.converts_media || !is_media(device_path),
            Shape::Folder => false,
        };
        waits.then(|| self.options.spool.begin())
    }

    pub(super) fn push(&self, file: &mut Growing, bytes: &[u8]) -> io::Result<bool> {
        self.options.spool.push(file, bytes)
    }

    /// What came of a file that cannot wait on.
    pub(super) fn overflow(&mut self, file: &Growing) -> impl Read + '_ {
        self.counts.overflowed += 1;
        self.options.spool.so_far(file)
    }

    pub(super) fn keep(&mut self, file: Growing, path: &BackupPath) -> Held {
        let id = path.names().last().and_then(|name| match name {
            Name::Blob(id) => Some(*id),
            Name::Word(_) => None,
        });
        self.ids.push(id);
        self.stored.push(None);
        Held::Spooled(self.options.spool.keep(file))
    }

    /// What became of a file that waited.
    pub(super) fn stored(&self, number: usize) -> Option<&Stored> {
        self.stored.get(number)?.as_ref()
    }

    pub(super) fn manifest(&self) -> Option<&ManifestDb> {
        self.manifest.as_ref()
    }

    pub(super) fn counts(&self) -> &Converted {
        &self.counts
    }

    fn has_waiting(&self) -> bool {
        self.stored.iter().any(Option::is_none)
    }

    /// Stores all that waits, as plaintext where that can be undone.
    fn settle(&mut self, set: &Set<'_>) -> io::Result<()> {
        let keys = match self.keys(set) {
            Ok(keys) => {
                self.counts.locked = None;
                Some(keys)
            }
            Err(locked) => {
                set.interrupt.check().map_err(io::Error::other)?;
                self.counts.locked = Some(told(&locked));
                None
            }
        };
        let key_of = |number: usize| {
            let (manifest_key, keys) = keys.as_ref()?;
            match self.ids.get(number)? {
                Some(id) => keys.get(id),
                None => manifest_key.as_ref().map(FileKey::as_bytes),
            }
        };
        let waiting: Vec<usize> =
            (0..self.stored.len()).filter(|number| self.stored[*number].is_none()).collect();
        let spool = &self.options.spool;
        let done = each(&waiting, set.interrupt, |&number| {
            Ok((number, store(set.contents, || spool.read(number), key_of(number))?))
        })?;
        for (number, stored) in done {
            match stored.encoding {
                Encoding::AppleEncrypted { .. } => self.counts.files += 1,
                Encoding::AsStored => self.counts.refused += 1,
            }
            self.stored[number] = Some(stored);
        }
        Ok(())
    }

    /// The key of the manifest, and those of the files that wait.
    fn keys(&mut self, set: &Set<'_>) -> Result<(Option<FileKey>, FileKeys), Locked> {
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| Locked::Unusable(error);
        let list = set.manifest_plist.ok_or_else(|| unusable("it has not come".into()))?;
        let bytes = read_bytes(At::start_of(list), &PlistLimits::BACKUP_SET)
            .map_err(|e| unusable(Box::new(e)))?;
        let options = &mut self.options;
        let known = options.known.as_ref();
        let unlocked = Unlocked::of(&bytes, &options.password, known, set.interrupt)?;
        let database = set.manifest_db.ok_or_else(|| unusable("it has not come".into()))?;
        let (sealed, key) = (At::start_of(database), unlocked.manifest_key());
        let manifest = open_manifest(sealed, key, set.scratch, set.interrupt)
            .map_err(|e| unusable(Box::new(e)))?;
        let mut keys = FileKeys::wanted(self.ids.iter().flatten().copied().collect());
        unlocked
            .file_keys(&manifest, |row, key| keys.note(row.file_id.as_bytes(), key))
            .map_err(|e| unusable(Box::new(e)))?;
        let manifest_key = unlocked.manifest_key().cloned();
        options.known = Some(unlocked);
        self.manifest = Some(manifest);
        Ok((manifest_key, keys))
    }
}

/// What a session has of a set when its files are to be stored.
struct Set<'s> {
    manifest_plist: Option<&'s File>,
    manifest_db: Option<&'s File>,
    contents: &'s dyn ContentSink,
    scratch: &'s Path,
    interrupt: &'s Interrupt,
}

/// A sentence with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        said = said + ": " + &next.to_string();
        cause = next.source();
    }
    said
}

impl VirtualBackupDir<'_> {
    /// Whether files wait for the list of keys.
    pub fn has_waiting(&self) -> bool {
        self.spooling.as_ref().is_some_and(Spooling::has_waiting)
    }

    /// How what came was stored, if it was to be plaintext.
    pub fn converted(&self) -> Option<&Converted> {
        self.spooling.as_ref().map(Spooling::counts)
    }

    /// Stores what waits for the list of keys, which is here now.
    pub fn convert(&mut self) {
        let Some(mut spooling) = self.spooling.take() else { return };
        let settled = match spooling.has_waiting() {
            true => spooling.settle(&Set {
                manifest_plist: self.own_file("Manifest.plist").map(|file| file.as_file()),
                manifest_db: self.own_file("Manifest.db").map(|file| file.as_file()),
                contents: self.contents,
                scratch: self.scratch,
                interrupt: self.interrupt,
            }),
            false => Ok(()),
        };
        self.spooling = Some(spooling);
        if let Err(error) = settled {
            self.storing_failed(error);
        }
    }
}
