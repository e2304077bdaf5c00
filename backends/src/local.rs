//! A folder of this computer as a backend, durable by its own care.
//!
//! An object is written under a temporary name in `tmp/`, synced, moved to its name without ever
//! replacing one, and then its folder is synced (and each new folder in its parent): after `Ok` a
//! power cut takes nothing back. Before that the name does not exist at all, so nobody sees a part
//! of an object. The move needs no lock: two writers of one name write the same bytes, and the
//! first of them wins.
use crate::classify::{Failure, kind_of_io};
use crate::durable;
use crate::open::OpenError;
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
    STAGED_PACK_PREFIX, folder_of, key_at, path_of,
};
use std::fs::{self, DirEntry, File};
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// The folder for what is not an object yet.
const STAGING: &str = "tmp";

/// What names of files in it begin with: objects on their way, and packs that are being written.
const STAGED: [&str; 2] = ["put-", STAGED_PACK_PREFIX];

/// Temporary files this old belong to no running writer: one pack takes minutes, not a day.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A repository in a folder.
#[derive(Debug)]
pub struct LocalBackend {
    root: PathBuf,
    staging: PathBuf,
    /// Whether there was a repository: until then nothing is made or removed here.
    is_repository: AtomicBool,
}

impl LocalBackend {
    /// Opens the folder at `root`, which must exist. Only in a repository what crashed writers left
    /// is cleared: a person may have named any folder by mistake.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoFolder`] when it does not exist, [`OpenError::Folder`] when it cannot be used.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        match fs::metadata(root) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(unusable(root)(io::ErrorKind::NotADirectory.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::NoFolder { path: root.to_owned() });
            }
            Err(e) => return Err(unusable(root)(e)),
        }
        let staging = root.join(STAGING);
        let config = fs::read_dir(root.join(folder_of(ObjectKind::Config)));
        let is_repository = config.is_ok_and(|mut entries| entries.next().is_some());
        // A medium that may not be written can still be restored from.
        if is_repository && durable::make_folders(&staging).is_ok() {
            remove_stale_files(&staging);
        }
        let is_repository = AtomicBool::new(is_repository);
        Ok(LocalBackend { root: root.to_owned(), staging, is_repository })
    }

    /// Makes the folder at `root`, and its parents, where they are missing; then as
    /// [`open`](Self::open). Folders are made for their owner alone.
    ///
    /// # Errors
    ///
    /// [`OpenError::Folder`] when it cannot be made or used.
    pub fn create(root: &Path) -> Result<Self, OpenError> {
        durable::make_folders(root).map_err(unusable(root))?;
        LocalBackend::open(root)
    }

    fn path_of(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(path_of(key))
    }

    /// Goes on unless the whole repository has gone, as when its disk was unplugged: nothing may then
    /// be written to the folder that its disk was mounted on.
    fn still_there(&self) -> io::Result<()> {
        let had_config = self.is_repository.load(Ordering::Relaxed);
        let has_config = || self.root.join(folder_of(ObjectKind::Config)).is_dir();
        if self.root.is_dir() && (!had_config || has_config()) {
            return Ok(());
        }
        Err(io::Error::other("the repository's folder is gone; is its disk still there?"))
    }

    /// What a missing file means: no such object, unless the whole repository has gone. An empty
    /// listing would then be a lie that prune acts on.
    fn if_missing(&self, error: io::Error) -> io::Error {
        match self.still_there() {
            Err(gone) if error.kind() == io::ErrorKind::NotFound => gone,
            _ => error,
        }
    }

    fn put_bytes(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = NamedTempFile::with_prefix_in("put-", &self.staging)?;
        io::Write::write_all(&mut temporary, bytes)?;
        self.place(temporary, path)
    }

    fn put_file(&self, path: &Path, from: &Path, size_bytes: u64) -> io::Result<()> {
        let mut file = File::open(from)?;
        let found_bytes = file.metadata()?.len();
        if found_bytes != size_bytes {
            let said = format!("the file has {found_bytes} bytes instead of {size_bytes}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
        }
        durable::owner_only(&file)?;
        file.sync_all()?;
        match durable::place(from, path) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                let mut temporary = NamedTempFile::with_prefix_in("put-", &self.staging)?;
                if io::copy(&mut file, &mut temporary)? != size_bytes {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.place(temporary, path)?;
                fs::remove_file(from)
            }
            done => done,
        }
    }

    /// Syncs and moves a finished temporary file; on failure its drop removes it.
    fn place(&self, temporary: NamedTempFile, path: &Path) -> io::Result<()> {
        temporary.as_file().sync_all()?;
        let temporary = temporary.into_temp_path();
        durable::place(&temporary, path)
    }

    fn open_object(&self, key: &ObjectKey) -> Result<(File, u64), Failure> {
        let file = File::open(self.path_of(key)).map_err(|e| self.if_missing(e))?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("a folder lies in the object's place").into());
        }
        Ok((file, found.len()))
    }

    fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, Failure> {
        let (file, size_bytes) = self.open_object(key)?;
        // Also what keeps the allocation within what is there.
        if range.start > range.end || range.end > size_bytes {
            return Err(BackendErrorKind::ShortObject.into());
        }
        read_at(&file, range)
    }

    fn read_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, Failure> {
        let (file, size_bytes) = self.open_object(key)?;
        if size_bytes > max_bytes {
            return Err(BackendErrorKind::TooLarge.into());
        }
        read_at(&file, 0..size_bytes)
    }

    /// The folder of `kind` and those below it in which names with `prefix` may lie.
    fn folders(&self, kind: ObjectKind, prefix: &str) -> io::Result<Vec<PathBuf>> {
        let top = self.root.join(folder_of(kind));
        let mut folders = Vec::new();
        let entries = match fs::read_dir(&top).map_err(|e| self.if_missing(e)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(folders),
            read => read?,
        };
        let first = prefix.get(..2).unwrap_or(prefix);
        for entry in entries {
            let entry = entry?;
            let fits = entry.file_name().to_str().is_some_and(|n| n.starts_with(first));
            if fits && entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
        folders.push(top);
        Ok(folders)
    }

    /// The objects that lie directly in `folder`.
    fn objects_in(
        &self,
        kind: ObjectKind,
        prefix: &str,
        folder: &Path,
    ) -> Vec<io::Result<ObjectInfo>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return vec![Err(e)],
        };
        let object = |entry: io::Result<DirEntry>| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return Some(Err(e)),
            };
            let path = entry.path();
            let key = key_at(kind, path.strip_prefix(&self.root).ok()?.to_str()?)?;
            if !key.name().starts_with(prefix) {
                return None;
            }
            info(key, &entry).transpose()
        };
        entries.filter_map(object).collect()
    }
}

impl Backend for LocalBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let path = self.path_of(key);
        let put = || {
            self.still_there()?;
            durable::make_folders(&self.staging)?;
            durable::make_folders(path.parent().unwrap_or(&self.root))?;
            if key.kind() == ObjectKind::Config {
                self.is_repository.store(true, Ordering::Relaxed);
            }
            match body {
                Body::Bytes(bytes) => self.put_bytes(&path, &bytes),
                Body::File { path: from, size_bytes } => self.put_file(&path, &from, size_bytes),
            }
        };
        // A missing file here is the caller's or a vanished folder, never "no such object".
        put().map_err(|e| Failure::from(e).not_as(BackendErrorKind::NotFound).of("put", Some(key)))
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.read(key, range).map_err(|e| e.of("get", Some(key)))
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        self.read_whole(key, max_bytes).map_err(|e| e.of("get", Some(key)))
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        let prefix = prefix.to_owned();
        let failed =
            |e: io::Error| Failure::from(e).not_as(BackendErrorKind::NotFound).of("list", None);
        match self.folders(kind, &prefix) {
            Err(e) => Box::new(std::iter::once(Err(failed(e)))),
            Ok(folders) => Box::new(folders.into_iter().flat_map(move |folder| {
                let objects = self.objects_in(kind, &prefix, &folder);
                objects.into_iter().map(move |object| object.map_err(failed))
            })),
        }
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        let path = self.path_of(key);
        let removed = match fs::remove_file(&path).map_err(|e| self.if_missing(e)) {
            // Perhaps an earlier try removed it and failed to sync: the folder is synced below.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        let synced = removed.and_then(|()| {
            match durable::sync_folder(path.parent().unwrap_or(&self.root)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            }
        });
        synced.map_err(|e| Failure::from(e).of("remove", Some(key)))
    }

    /// Enough for one disk to order its writes; more threads only make it seek.
    fn connections(&self) -> NonZeroUsize {
        const { NonZeroUsize::new(4).expect("because 4 is not 0") }
    }

    fn staging(&self) -> Option<&Path> {
        Some(&self.staging)
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

fn unusable(root: &Path) -> impl Fn(io::Error) -> OpenError + '_ {
    move |source| OpenError::Folder { path: root.to_owned(), kind: kind_of_io(&source), source }
}

fn read_at(file: &File, range: Range<u64>) -> Result<Bytes, Failure> {
    let len = usize::try_from(range.end - range.start)
        .map_err(|_| Failure::from(BackendErrorKind::TooLarge))?;
    let mut bytes = vec![0; len];
    match file.read_exact_at(&mut bytes, range.start) {
        Ok(()) => Ok(bytes.into()),
        // It was cut short between the look at its length and the read.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Err(BackendErrorKind::ShortObject.into())
        }
        Err(e) => Err(e.into()),
    }
}

/// What a listing says of a file; `None` for what is no file, or was removed meanwhile.
fn info(key: ObjectKey, entry: &DirEntry) -> io::Result<Option<ObjectInfo>> {
    let found = match entry.metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let age = found.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let stored_at_secs = age.and_then(|a| i64::try_from(a.as_secs()).ok());
    Ok(found.is_file().then_some(ObjectInfo { key, size_bytes: found.len(), stored_at_secs }))
}

/// Best effort: a file that cannot be removed now costs room, and the next open tries again.
fn remove_stale_files(staging: &Path) {
    let Ok(entries) = fs::read_dir(staging) else { return };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let is_ours = |name: &str| STAGED.iter().any(|prefix| name.starts_with(prefix));
        if !entry.file_name().to_str().is_some_and(is_ours) {
            continue;
        }
        let stale = entry.metadata().is_ok_and(|found| {
            let age = found.modified().ok().and_then(|t| now.duration_since(t).ok());
            found.is_file() && age.is_some_and(|age| age > STALE_AFTER)
        });
        if stale {
            let _ = fs::remove_file(entry.path());
        }
    }
}
