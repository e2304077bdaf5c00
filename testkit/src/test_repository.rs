//! A repository in memory with a cheap password, and the few moves that tests make with it.
use crate::MemoryBackend;
use devsnap_engine::backend::Backend;
use devsnap_engine::backup::{BackupOptions, BackupReport, create_snapshot};
use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::error::Result;
use devsnap_engine::folder::{FolderOptions, FolderSource};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Content, NodeKind, Time};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::{InitOptions, Repository, Unlock};
use devsnap_engine::seal::KdfCost;
use devsnap_engine::snapshot::{Origin, Snapshot};
use devsnap_engine::tree::TreeParams;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Opens every test repository.
pub const PASSWORD: &[u8] = b"correct horse battery staple";

/// A repository over any backend, and one computer's cache.
pub struct TestRepository {
    /// Where its objects are; shared by all who open it.
    pub backend: Arc<dyn Backend>,
    /// This computer's cache.
    pub cache: tempfile::TempDir,
}

/// What a path of a snapshot holds: its kind and, for a file, its bytes.
pub type Held = BTreeMap<String, (NodeKind, Vec<u8>)>;

impl TestRepository {
    /// An empty repository in memory.
    pub fn new() -> Self {
        TestRepository::over(Arc::new(MemoryBackend::new()))
    }

    /// An empty repository that is made over `backend`.
    pub fn over(backend: Arc<dyn Backend>) -> Self {
        let options = InitOptions {
            kdf: KdfCost::CHEAP,
            chunker: ChunkerParams::new(4 << 10, 16 << 10, 64 << 10, 8 << 10)
                .expect("because the sizes are in range"),
            tree: TreeParams::around(512),
        };
        Repository::init(&backend, PASSWORD, &options).expect("because the backend is healthy");
        TestRepository::existing(backend)
    }

    /// The repository that `backend` holds, as another computer would come to it.
    pub fn existing(backend: Arc<dyn Backend>) -> Self {
        let cache = tempfile::tempdir().expect("because there is a folder for temporary files");
        TestRepository { backend, cache }
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// As [`Repository::open`].
    pub fn open(&self) -> Result<Repository> {
        let unlock = Unlock::Password(PASSWORD);
        Repository::open(Box::new(self.backend.clone()), &unlock, self.cache.path(), &Silent)
    }

    /// Opens it and makes a snapshot of `folder`.
    ///
    /// # Errors
    ///
    /// As [`Repository::open`] and [`create_snapshot`].
    pub fn snapshot(&self, folder: &Path) -> Result<BackupReport> {
        snapshot(&self.open()?, folder, &Interrupt::new())
    }
}

impl Default for TestRepository {
    fn default() -> Self {
        TestRepository::new()
    }
}

/// A snapshot of `folder`, taken one second after the newest one.
///
/// # Errors
///
/// As [`create_snapshot`].
pub fn snapshot(
    repository: &Repository,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<BackupReport> {
    let newest = repository.snapshots()?.named.last().map_or(0, |n| n.snapshot.taken_at.secs);
    let options = BackupOptions {
        origin: Origin::Folder { host: "here".to_owned(), path: b"/folder".to_vec() },
        tags: Vec::new(),
        taken_at: Time { secs: newest + 1, nanos: 0 },
        utc_offset_secs: 0,
        program: "test".to_owned(),
        dry_run: false,
    };
    let mut source = FolderSource::new(folder.to_owned(), FolderOptions::default());
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    create_snapshot(repository, &mut source, &options, &progress, interrupt)
}

/// Files that are told ahead at a time; the same number after them is not.
const TOLD: usize = 24;

/// Everything a snapshot holds, read back through its reader: half of it told ahead.
///
/// # Errors
///
/// A page or a content could not be read.
pub fn held(repository: &Repository, snapshot: &Snapshot) -> Result<Held> {
    let view = repository.view(snapshot);
    let mut held = Held::new();
    let entries: Vec<_> = view.walk(&TreePath::root()).collect::<Result<_>>()?;
    for (position, (path, node)) in entries.iter().enumerate() {
        if position.is_multiple_of(2 * TOLD) {
            let told = entries[position..].iter().take(TOLD).map(|(path, _)| path.clone());
            view.prefetch(&told.collect::<Vec<_>>());
        }
        let mut bytes = Vec::new();
        if node.kind == NodeKind::File && node.content.content != Content::Missing {
            let read = view.open(path)?.read_to_end(&mut bytes);
            read.map_err(|e| match e.downcast::<devsnap_engine::error::Error>() {
                Ok(error) => error,
                Err(e) => devsnap_engine::error::Error::local("reading a content", e),
            })?;
        }
        held.insert(String::from_utf8_lossy(&path.to_slashed()).into_owned(), (node.kind, bytes));
    }
    Ok(held)
}

/// What a plain folder of files and folders would be held as.
///
/// # Panics
///
/// When it cannot be read.
pub fn held_by_disk(folder: &Path) -> Held {
    let mut held = Held::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let below = path.strip_prefix(folder).expect("because it lies below");
        let name = below.to_string_lossy().into_owned();
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("because the test made the folder");
            waiting.extend(entries.map(|e| e.expect("because it can be listed").path()));
            held.insert(name, (NodeKind::Folder, Vec::new()));
        } else {
            let bytes = std::fs::read(&path).expect("because the test made the file");
            held.insert(name, (NodeKind::File, bytes));
        }
    }
    held
}
