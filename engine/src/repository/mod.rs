//! An opened store: its keys, its configuration, this computer's copy of its index, and reading.
//!
//! [`Repository::init`] makes one, [`Repository::open`] opens one and brings the local copy level,
//! [`Session`] is a stay as a writer, [`SnapshotView`] reads one snapshot path by path, [`Keyring`]
//! changes who may do what. Nothing here writes packs; the [pipeline](crate::pipeline) does.
mod config;
mod configs;
mod content;
mod disputes;
mod gc;
mod keyring;
mod level;
mod locked;
mod meta_cache;
mod notes;
mod own_pages;
mod read;
mod read_ahead;
mod removal;
mod running;
mod scratch;
mod session;
mod snapshots;
mod staging;
mod unlock;
mod view;

use crate::backend::Backend;
use crate::chunker::{ChunkerParams, Cutter};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RepositoryId;
use crate::index::Index;
use crate::progress::{Phase, Progress};
use crate::seal::{
    KdfCost, Keys, RecipientSecret, RecoveryKey, RootSecret, Slot, SlotSecrets, random_array,
};
use crate::snapshot::Snapshot;
use crate::tree::{PageCutter, TreeParams};
use level::Adopted;
use meta_cache::MetaCache;
use own_pages::WaitingPages;
use read::ReadCaches;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use config::{RepositoryConfig, Unlock, Writer};
pub use content::Chunks;
pub use disputes::WrongSaying;
pub use gc::SweepMark;
pub use keyring::{KeyEntry, KeyKind, Keyring};
pub use level::Level;
pub(crate) use level::SEGMENT_BLOBS;
pub use notes::{Note, Notes};
pub use scratch::Scratch;
pub use session::{OpenSession, Session, SessionMarks, now_secs};
pub use snapshots::Snapshots;
pub use staging::{NeededPack, StagePolicy, Staged};
pub use view::SnapshotView;

/// How a repository is made.
#[derive(Debug, Clone, Copy)]
pub struct InitOptions {
    /// What it costs to try a password.
    pub kdf: KdfCost,
    /// Sizes of chunks.
    pub chunker: ChunkerParams,
    /// Sizes of pages.
    pub tree: TreeParams,
}

impl Default for InitOptions {
    fn default() -> Self {
        InitOptions {
            kdf: KdfCost::STANDARD,
            chunker: ChunkerParams::STANDARD,
            tree: TreeParams::STANDARD,
        }
    }
}

/// What the local index knows of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredTotals {
    /// Packs of content.
    pub data_packs: u64,
    /// Packs of pages.
    pub meta_packs: u64,
    /// Bytes of all packs as stored.
    pub stored_bytes: u64,
    /// Rows of the index; a blob that lies in two packs has two.
    pub blobs: u64,
    /// Index segments.
    pub segments: u64,
}

/// An opened repository; cheap to clone.
#[derive(Clone)]
pub struct Repository(Arc<Shared>);

struct Shared {
    backend: Box<dyn Backend>,
    keys: Keys,
    config: RepositoryConfig,
    cutter: Cutter,
    page_cutter: PageCutter,
    index: Index,
    caches: ReadCaches,
    cache_folder: PathBuf,
    /// Packs that no segment lists, found and recorded; the next segment that is written lists them.
    adopted: Mutex<Adopted>,
    /// Pages that a station has stored and not yet kept.
    own_pages: WaitingPages,
}

impl Repository {
    /// Makes a repository that `password` opens. The recovery key is made here and kept nowhere.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when there is one; what storing meets.
    pub fn init(
        backend: &dyn Backend,
        password: &[u8],
        options: &InitOptions,
    ) -> Result<(RepositoryId, RecoveryKey)> {
        let repository = RepositoryId::from_bytes(random_array()?);
        let root = RootSecret::generate()?;
        let recipients = [RecipientSecret::generate()];
        let recovery = RecoveryKey::generate()?;
        let by_password = SlotSecrets::generate(&root, &recipients)?;
        let by_recovery = SlotSecrets::generate(&root, &recipients)?;
        let slots = [
            Slot::for_password(repository, password, options.kdf, &by_password)?,
            Slot::for_recovery(repository, &recovery, &by_recovery)?,
        ];
        let writer = |secrets| keyring::full_writer(repository, secrets, "");
        let config = RepositoryConfig {
            chunker: options.chunker,
            tree: options.tree,
            recipient: recipients[0].public(),
            writers: vec![writer(&by_password), writer(&by_recovery)],
        };
        let bytes = config.encode(1, &slots, &by_password.keys(repository)?, &root)?;
        configs::put_first(backend, &bytes)?;
        Ok((repository, recovery))
    }

    /// Opens the repository that `backend` holds and brings this computer's copy level.
    ///
    /// `cache` is a folder for copies; each repository gets its own folder in it. All of it can be
    /// deleted at any time: opening then fetches every index segment once.
    ///
    /// # Errors
    ///
    /// - [`NoRepository`](ErrorKind::NoRepository): there is none at this place.
    /// - [`WrongPassword`](ErrorKind::WrongPassword): no key slot opens.
    /// - [`TooNew`](ErrorKind::TooNew): written by a later format version.
    /// - [`Damaged`](ErrorKind::Damaged): no config can be read.
    /// - [`RolledBack`](ErrorKind::RolledBack): its keys are older than what this computer has seen.
    /// - [`WrongKey`](ErrorKind::WrongKey): the station's key was removed, or is of another repository.
    /// - what reading the storage and this computer's disk meets.
    pub fn open(
        backend: Box<dyn Backend>,
        unlock: &Unlock<'_>,
        cache: &Path,
        progress: &dyn Progress,
    ) -> Result<Repository> {
        progress.phase(Phase::Opening);
        let opened = unlock::open(&*backend, unlock, cache, progress)?;
        let unlock::Opened { cache_folder, keys, config, .. } = opened;
        let index = Index::open(&cache_folder, keys.repository())?;
        scratch::sweep(&cache_folder);
        if let Some(number) = opened.in_force {
            configs::remember(&cache_folder, number)?;
        }
        // A store on this computer's disks is read as fast as its copy would be.
        let distant = backend.staging().is_none();
        let meta = distant.then(|| MetaCache::open(&cache_folder.join("meta"))).transpose()?;
        let repository = Repository(Arc::new(Shared {
            cutter: Cutter::new(config.chunker, keys.gear_key()),
            page_cutter: PageCutter::new(config.tree, *keys.page_cut_key())?,
            caches: ReadCaches::new(meta),
            backend,
            keys,
            config,
            index,
            cache_folder,
            adopted: Mutex::default(),
            own_pages: WaitingPages::default(),
        }));
        repository.look_for_marks_to_read(progress)?;
        let level = repository.level_index()?;
        for (name, error) in &level.unreadable_segments {
            let name = name.get(..8).unwrap_or(name);
            progress.warn(&format!("index segment {name} cannot be read: {}", error.kind()));
        }
        if repository.index().has_lost_listings() || !level.unreadable_segments.is_empty() {
            let found = repository.adopt_unlisted_packs()?;
            if found > 0 {
                progress.warn(&format!(
                    "the index of {found} packs was missing and has been read from the packs \
                     themselves; the next snapshot writes it again",
                ));
            }
        }
        Ok(repository)
    }

    /// Who only reads may do so whatever sweepers condemn, so a mark that cannot be read is told and
    /// stops nobody here; it stops whoever opens a session, and every sweep.
    fn look_for_marks_to_read(&self, progress: &dyn Progress) -> Result<()> {
        match self.note_condemned() {
            Ok(strays) => {
                if let Some(first) = strays.first() {
                    progress.warn(&format!(
                        "{} objects lie among the marks of sweeps and no full key made them, first: \
                         gc/{first}; they are passed over, and may be removed",
                        strays.len()
                    ));
                }
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::Damaged | ErrorKind::TooNew) => {
                progress.warn(&format!("{e:?}"));
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Its name.
    pub fn id(&self) -> RepositoryId {
        self.0.keys.repository()
    }

    /// Where it is, for people; without secrets.
    pub fn place(&self) -> String {
        self.0.backend.place()
    }

    /// This repository's folder inside the cache.
    pub fn cache_folder(&self) -> &Path {
        &self.0.cache_folder
    }

    /// Its parameters.
    pub fn config(&self) -> &RepositoryConfig {
        &self.0.config
    }

    /// Whether it was opened with a station's key, which adds snapshots and reads none.
    pub fn is_write_only(&self) -> bool {
        self.0.keys.recipient_secret.is_none()
    }

    /// Goes on unless it was opened with a station's key.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) while `doing`.
    pub fn require_full(&self, doing: &str) -> Result<()> {
        if self.is_write_only() {
            return Err(
                Error::new(ErrorKind::Denied, doing).because("a writer key may only add snapshots")
            );
        }
        Ok(())
    }

    /// What the local index knows of the store.
    ///
    /// # Errors
    ///
    /// The local index could not be read.
    pub fn stored_totals(&self) -> Result<StoredTotals> {
        let totals = self.0.index.totals()?;
        Ok(StoredTotals {
            data_packs: totals.data_packs,
            meta_packs: totals.meta_packs,
            stored_bytes: totals.stored_bytes,
            blobs: totals.rows,
            segments: totals.segments,
        })
    }

    /// The snapshot's tree, to be read path by path.
    pub fn view(&self, snapshot: &Snapshot) -> SnapshotView {
        SnapshotView::new(self.clone(), snapshot.root)
    }

    /// Where its objects are.
    pub fn backend(&self) -> &dyn Backend {
        &*self.0.backend
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn index(&self) -> &Index {
        &self.0.index
    }

    pub(crate) fn cutter(&self) -> &Cutter {
        &self.0.cutter
    }

    pub(crate) fn page_cutter(&self) -> &PageCutter {
        &self.0.page_cutter
    }

    fn caches(&self) -> &ReadCaches {
        &self.0.caches
    }
}
