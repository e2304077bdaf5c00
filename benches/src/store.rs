//! A repository in memory with the sizes of a real one and a cheap password.
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::error::Result;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{InitOptions, Repository, Unlock};
use devsnap_engine::seal::KdfCost;
use devsnap_testkit::MemoryBackend;
use tempfile::TempDir;

const PASSWORD: &[u8] = b"no secret at all";

/// The stored objects, and one computer's cache.
pub struct Store {
    /// Where the objects are.
    pub backend: Arc<MemoryBackend>,
    cache: TempDir,
}

impl Store {
    /// An empty repository that cuts contents to these sizes, and pages as by default.
    ///
    /// # Errors
    ///
    /// As [`Repository::init`].
    ///
    /// # Panics
    ///
    /// When there is no folder for temporary files.
    pub fn new(chunker: ChunkerParams) -> Result<Store> {
        let backend = Arc::new(MemoryBackend::new());
        let options = InitOptions { kdf: KdfCost::CHEAP, chunker, ..InitOptions::default() };
        Repository::init(&backend, PASSWORD, &options)?;
        let cache = tempfile::tempdir().expect("because there is a folder for temporary files");
        Ok(Store { backend, cache })
    }

    /// Opens it. Only one [`Repository`] at a time uses the same index file.
    ///
    /// # Errors
    ///
    /// As [`Repository::open`].
    pub fn open(&self) -> Result<Repository> {
        let unlock = Unlock::Password(PASSWORD);
        Repository::open(Box::new(self.backend.clone()), &unlock, self.cache.path(), &Silent)
    }

    /// The same objects and the same cache once more; what is done to the copy is not done to this.
    ///
    /// Nobody may have it open.
    ///
    /// # Errors
    ///
    /// The cache could not be copied.
    pub fn copy(&self) -> io::Result<Store> {
        let backend = Arc::new(MemoryBackend::with_contents(self.backend.contents()));
        let cache = tempfile::tempdir()?;
        copy_folder(self.cache.path(), cache.path())?;
        Ok(Store { backend, cache })
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&copy)?;
            copy_folder(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}
