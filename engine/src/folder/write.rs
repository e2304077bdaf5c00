//! A folder as a [`Target`]: every file is complete before it gets its name.
use super::attributes::{apply, apply_named, mtime_of};
use super::clear::{open_loosened, open_with_rights, remove_all};
use super::open_folders::OpenFolders;
use super::owners::Owners;
use super::pending::{Pending, PendingFiles};
use super::safe_path::{kind_of, open_child_folder, open_file, open_folder, sorted_names, stat_of};
use super::unfinished::{self, Unfinished};
use crate::error::{Error, ErrorKind, Result};
use crate::node::NodeKind;
use crate::path::TreePath;
use crate::target::{FileTicket, Present, Restored, Target};
use crate::uncached;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How a folder is written.
#[derive(Debug, Clone, Default)]
pub struct TargetOptions {
    /// Makes the folder and those above it when there is none.
    pub create: bool,
}

/// A folder of this computer that a snapshot is brought back to.
///
/// Files are written under temporary names next to their final ones; those of files that are
/// abandoned, or unfinished when the target is dropped, are removed.
#[derive(Debug)]
pub struct FolderTarget {
    folders: OpenFolders,
    pending: Mutex<PendingFiles>,
    owners: Owners,
    unfinished: Unfinished,
    /// What this target's temporary names begin with.
    mark: String,
    names: AtomicU64,
}

impl FolderTarget {
    /// Opens the folder `dir`. A link at `dir` itself is followed: the person named it.
    ///
    /// # Errors
    ///
    /// There is no such folder, or it cannot be made.
    pub fn open(dir: &Path, options: &TargetOptions) -> Result<FolderTarget> {
        let doing = || format!("opening the folder {}", dir.display());
        if options.create {
            std::fs::create_dir_all(dir).map_err(|e| Error::local(doing(), e))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(dir, flags, Mode::empty())
            .map_err(|e| Error::local(doing(), e.into()))?;
        let mut unique = [0; 8];
        getrandom::fill(&mut unique)
            .map_err(|e| Error::new(ErrorKind::LocalDisk, doing()).because(e.to_string()))?;
        let mark = format!(".devsnap-{:016x}-", u64::from_le_bytes(unique));
        let pending = Mutex::new(PendingFiles::default());
        let owners = Owners::new(rustix::process::geteuid().is_root());
        let unfinished = Unfinished::look(&root);
        let folders = OpenFolders::below(root);
        Ok(FolderTarget { folders, pending, owners, unfinished, mark, names: AtomicU64::new(0) })
    }

    /// The open files; a panic elsewhere while they were held does not make them wrong.
    fn pending(&self) -> MutexGuard<'_, PendingFiles> {
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn temporary_name(&self) -> Vec<u8> {
        format!("{}{}", self.mark, self.names.fetch_add(1, Ordering::Relaxed)).into_bytes()
    }

    /// The folder `path` lies in and its name there.
    fn place<'p>(&self, path: &'p TreePath) -> Result<(Arc<OwnedFd>, &'p [u8]), Failed> {
        let (Some(folder), Some(name)) = (path.parent(), path.name()) else {
            return Err(Failed(Errno::ISDIR));
        };
        Ok((self.folders.get(&folder)?, name))
    }

    /// Moves `temporary` to `name`, whatever stands there.
    fn take_name(&self, folder: &OwnedFd, temporary: &[u8], name: &[u8]) -> Result<(), Failed> {
        match rustix::fs::renameat(folder, temporary, folder, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                self.remove_all(folder.as_fd(), name)?;
                rustix::fs::renameat(folder, temporary, folder, name)?;
            }
            answer => answer?,
        }
        Ok(())
    }

    /// The file's descriptor, opened again if it was closed meanwhile.
    fn descriptor(&self, file: FileTicket) -> Result<Arc<File>, Failed> {
        let (folder, temporary) = {
            let mut pending = self.pending();
            if let Some(open) = pending.open(file.0) {
                return Ok(open);
            }
            let unfinished = pending.get(file.0).ok_or(Errno::BADF)?;
            (unfinished.folder.clone(), unfinished.temporary.clone())
        };
        let folder = self.folders.get(&folder)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&folder, &temporary, flags, Mode::empty())?;
        if kind_of(&rustix::fs::fstat(&fd)?) != FileType::RegularFile {
            return Err(Failed(Errno::INVAL));
        }
        let open = Arc::new(File::from(fd));
        self.pending().opened(file.0, Arc::clone(&open));
        Ok(open)
    }

    /// Writes a piece of a file, unless `is_done` says that nothing is left to do.
    fn write_at(
        &self,
        file: FileTicket,
        offset: u64,
        bytes: &[u8],
        is_done: impl FnOnce(&mut Pending) -> bool,
    ) -> Result<()> {
        let doing = "writing a file";
        let broken = |failed: Failed| Error::local(doing, failed.0.into());
        let len = bytes.len() as u64;
        {
            let mut pending = self.pending();
            let unfinished = pending.get(file.0).ok_or_else(|| broken(Failed(Errno::BADF)))?;
            if offset.checked_add(len).is_none_or(|end| end > unfinished.len) {
                return Err(broken(Failed(Errno::FBIG)));
            }
            if len == 0 || is_done(unfinished) {
                return Ok(());
            }
        }
        let open = self.descriptor(file).map_err(broken)?;
        uncached::write_all_at(&open, bytes, offset).map_err(|e| Error::local(doing, e))
    }

    fn finish(&self, file: FileTicket, restored: &Restored<'_>) -> Result<Vec<String>, Failed> {
        let open = self.descriptor(file)?;
        let mut unfinished = self.pending().remove(file.0).ok_or(Errno::BADF)?;
        let answer = (|| -> Result<_, Failed> {
            let mut notes = unfinished.settle(&open, restored.holes)?;
            notes.extend(apply(&*open, restored.node, restored.xattrs, &self.owners));
            let folder = self.folders.get(&unfinished.folder)?;
            let name = restored.path.name().ok_or(Errno::ISDIR)?;
            self.take_name(&folder, &unfinished.temporary, name)?;
            Ok(notes)
        })();
        if answer.is_err() {
            self.discard(&unfinished);
        }
        answer
    }

    fn discard(&self, unfinished: &Pending) {
        if let Ok(folder) = self.folders.get(&unfinished.folder) {
            // Best effort: a name that stays behind says whose it is.
            let _ = rustix::fs::unlinkat(&folder, &unfinished.temporary, AtFlags::empty());
        }
    }

    /// Removes `name` with all below it.
    fn remove_all(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let removed = remove_all(folder, name);
        self.folders.forget();
        removed
    }

    fn make_folders(&self, path: &TreePath) -> Result<(), Failed> {
        // Those above are writable already, or are to stay as they are.
        if let Ok((above, name)) = self.place(path) {
            self.make_child(above.as_fd(), name)?;
            return Ok(());
        }
        let mut folder = open_folder(self.folders.root().as_fd(), &TreePath::root())?;
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            folder = match open_child_folder(&folder, name) {
                Ok(fd) if names.peek().is_some() => fd,
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                    self.make_child(folder.as_fd(), name)?
                }
                Err(errno) => return Err(Failed(errno)),
            };
        }
        Ok(())
    }

    /// The folder `name`, made if need be, with the rights to change what is in it.
    fn make_child(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        match open_loosened(folder, name) {
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => self.remove_all(folder, name)?,
            answer => return answer,
        }
        rustix::fs::mkdirat(folder, name, Mode::RWXU)?;
        open_loosened(folder, name)
    }

    fn special(&self, restored: &Restored<'_>) -> Result<Vec<String>, Failed> {
        let node = restored.node;
        let kind = match node.kind {
            NodeKind::Symlink => FileType::Symlink,
            NodeKind::Fifo => FileType::Fifo,
            NodeKind::CharDevice => FileType::CharacterDevice,
            NodeKind::BlockDevice => FileType::BlockDevice,
            NodeKind::Socket => {
                return Ok(vec!["a socket is not brought back: its program makes it".to_owned()]);
            }
            NodeKind::File | NodeKind::Folder => return Err(Failed(Errno::INVAL)),
        };
        let (folder, name) = self.place(restored.path)?;
        let temporary = self.temporary_name();
        if kind == FileType::Symlink {
            rustix::fs::symlinkat(node.link_target.as_slice(), &folder, &temporary)?;
        } else {
            let (major, minor) = node.device.unwrap_or_default();
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(&folder, &temporary, kind, Mode::RUSR, device)?;
        }
        let notes = apply_named(folder.as_fd(), &temporary, restored, &self.owners);
        if let Err(failed) = self.take_name(&folder, &temporary, name) {
            let _ = rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
            return Err(failed);
        }
        Ok(notes)
    }

    fn link(&self, path: &TreePath, first: &TreePath) -> Result<(), Failed> {
        let (from, first) = self.place(first)?;
        if kind_of(&stat_of(&from, first)?) != FileType::RegularFile {
            return Err(Failed(Errno::INVAL));
        }
        let (folder, name) = self.place(path)?;
        let temporary = self.temporary_name();
        rustix::fs::linkat(&from, first, &folder, &temporary, AtFlags::empty())?;
        let taken = self.take_name(&folder, &temporary, name);
        // Renaming one name of a file to another of its names does nothing and keeps both.
        let _ = rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
        taken
    }
}

impl Drop for FolderTarget {
    fn drop(&mut self) {
        let unfinished = self.pending().drain();
        for file in &unfinished {
            self.discard(file);
        }
    }
}

impl Target for FolderTarget {
    fn present(&self, path: &TreePath) -> Result<Present> {
        if path.is_root() {
            return Ok(Present::Folder);
        }
        let stat = match self.place(path).and_then(|(folder, name)| Ok(stat_of(folder, name)?)) {
            Ok(stat) => stat,
            Err(Failed(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => return Ok(Present::Nothing),
            Err(failed) => return Err(failed.while_at("looking at", path)),
        };
        Ok(match kind_of(&stat) {
            FileType::RegularFile => Present::File {
                size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
                mtime: mtime_of(&stat),
                names: stat.st_nlink,
            },
            FileType::Directory => Present::Folder,
            _ => Present::Other,
        })
    }

    fn read_present(&self, path: &TreePath) -> Result<Box<dyn Read + Send>> {
        let file = self.place(path).and_then(|(folder, name)| Ok(open_file(folder, name)?));
        let file = file.map_err(|failed| failed.while_at("reading", path))?;
        Ok(Box::new(File::from(file)))
    }

    fn names_in(&self, folder: &TreePath) -> Result<Vec<Vec<u8>>> {
        match self.folders.get(folder).and_then(sorted_names) {
            Ok(names) => Ok(names
                .into_iter()
                .map(Vec::from)
                .filter(|name| !name.starts_with(self.mark.as_bytes()))
                .filter(|name| !folder.is_root() || name != unfinished::NAME.as_bytes())
                .collect()),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(Vec::new()),
            Err(errno) => Err(Failed(errno).while_at("listing", folder)),
        }
    }

    fn make_folder(&self, path: &TreePath) -> Result<()> {
        self.make_folders(path).map_err(|failed| failed.while_at("making the folder", path))
    }

    fn begin_file(&self, path: &TreePath, len: u64) -> Result<FileTicket> {
        let begun = self.place(path).and_then(|(folder, _)| {
            self.unfinished.note(self.folders.root())?;
            let temporary = self.temporary_name();
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = Mode::RUSR | Mode::WUSR;
            let fd = rustix::fs::openat(&folder, &temporary, flags | OFlags::CLOEXEC, mode)?;
            // Its length first: what is never written is then a hole.
            if let Err(errno) = rustix::fs::ftruncate(&fd, len) {
                let _ = rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
                return Err(Failed(errno));
            }
            let folder = path.parent().unwrap_or_default();
            Ok(self.pending().add(Pending::new(folder, temporary, len), File::from(fd)))
        });
        begun.map(FileTicket).map_err(|failed| failed.while_at("beginning", path))
    }

    fn write_piece(&self, file: FileTicket, offset: u64, bytes: &[u8]) -> Result<()> {
        let zeros = bytes.iter().all(|&byte| byte == 0);
        self.write_at(file, offset, bytes, |unfinished| {
            zeros && unfinished.skip(offset, bytes.len() as u64)
        })
    }

    fn read_piece(&self, file: FileTicket, offset: u64, into: &mut [u8]) -> Result<()> {
        let doing = "reading a file that is being written";
        let open = self.descriptor(file).map_err(|failed| Error::local(doing, failed.0.into()))?;
        open.read_exact_at(into, offset).map_err(|e| Error::local(doing, e))
    }

    fn replace_piece(&self, file: FileTicket, offset: u64, bytes: &[u8]) -> Result<()> {
        self.write_at(file, offset, bytes, |unfinished| {
            unfinished.unskip(offset, bytes.len() as u64);
            false
        })
    }

    fn shorten_file(&self, file: FileTicket, len: u64) -> Result<()> {
        let cut = self.descriptor(file).and_then(|open| {
            let mut pending = self.pending();
            let unfinished = pending.get(file.0).ok_or(Errno::BADF)?;
            let rest = unfinished.len.checked_sub(len).ok_or(Errno::INVAL)?;
            unfinished.unskip(len, rest);
            unfinished.len = len;
            Ok(rustix::fs::ftruncate(&*open, len)?)
        });
        cut.map_err(|failed| Error::local("shortening a file", failed.0.into()))
    }

    fn finish_file(&self, file: FileTicket, restored: &Restored<'_>) -> Result<Vec<String>> {
        self.finish(file, restored).map_err(|failed| failed.while_at("finishing", restored.path))
    }

    fn abandon_file(&self, file: FileTicket) {
        let unfinished = self.pending().remove(file.0);
        if let Some(unfinished) = unfinished {
            self.discard(&unfinished);
        }
    }

    fn set_attributes(&self, restored: &Restored<'_>) -> Result<Vec<String>> {
        let file = self.place(restored.path).and_then(|(folder, name)| {
            let fd = open_with_rights(folder.as_fd(), name, OFlags::RDONLY, 0o600)?;
            let stat = rustix::fs::fstat(&fd)?;
            match kind_of(&stat) {
                // Another name of it may lie outside this folder, and would change with it.
                FileType::RegularFile if stat.st_nlink > 1 => Err(Failed(Errno::MLINK)),
                FileType::RegularFile => Ok(fd),
                _ => Err(Failed(Errno::INVAL)),
            }
        });
        let file = file.map_err(|failed| failed.while_at("opening", restored.path))?;
        Ok(apply(&file, restored.node, restored.xattrs, &self.owners))
    }

    fn make_hard_link(&self, path: &TreePath, first: &TreePath) -> Result<()> {
        self.link(path, first).map_err(|failed| failed.while_at("linking", path))
    }

    fn make_special(&self, restored: &Restored<'_>) -> Result<Vec<String>> {
        self.special(restored).map_err(|failed| failed.while_at("making", restored.path))
    }

    fn finish_folder(&self, restored: &Restored<'_>) -> Result<Vec<String>> {
        let folder = match self.place(restored.path) {
            _ if restored.path.is_root() => {
                open_folder(self.folders.root().as_fd(), restored.path).map_err(Failed)
            }
            Ok((above, name)) => open_loosened(above.as_fd(), name).map_err(Failed),
            Err(failed) => Err(failed),
        };
        let folder = folder.map_err(|failed| failed.while_at("finishing", restored.path))?;
        Ok(apply(&folder, restored.node, restored.xattrs, &self.owners))
    }

    fn remove(&self, path: &TreePath) -> Result<()> {
        let removed =
            self.place(path).and_then(|(folder, name)| Ok(self.remove_all(folder.as_fd(), name)?));
        match removed {
            Ok(()) | Err(Failed(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => Ok(()),
            Err(failed) => Err(failed.while_at("removing", path)),
        }
    }

    fn is_doubtful(&self) -> bool {
        self.unfinished.was_there()
    }

    fn remarks(&self) -> Vec<String> {
        self.owners.remark().into_iter().collect()
    }

    fn sync(&self, is_settled: bool) -> Result<()> {
        let durable = rustix::fs::syncfs(self.folders.root());
        durable
            .and_then(|()| self.unfinished.end(self.folders.root(), is_settled))
            .map_err(|errno| Error::local("making the restored folder durable", errno.into()))
    }
}

/// A call of the operating system that failed, before it is said what it was for.
struct Failed(Errno);

impl Failed {
    fn while_at(self, doing: &str, path: &TreePath) -> Error {
        Error::local(format!("{doing} {path}"), self.0.into())
    }
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Failed(errno)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Failed(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}
