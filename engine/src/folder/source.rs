//! A folder as a [`Source`]: walked once, compared with the parent as both stream by.
use super::attributes::{Bearer, mtime_of, node_of, read_xattrs};
use super::count;
use super::parent::ParentCursor;
use super::read::{FileReader, Reading, Stopped};
use super::safe_path::{kind_of, open_file};
use super::walk::{Found, Met, Walk};
use crate::node::{ATTACHED_LEN_MAX, Attached, Content, Node, Xattr, encode_xattrs};
use crate::path::TreePath;
use crate::progress::{Fault, FaultKind, Phase};
use crate::source::{
    Awaiting, ContentTicket, Delivery, Edit, Faults, Source, SourceError, SourceRun, TreeEdits,
};
use globset::GlobSet;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a folder is backed up.
#[derive(Debug, Clone, Default)]
pub struct FolderOptions {
    /// Where the folder goes in the snapshot: the root, or `<UDID>` for a phone's backup.
    pub prefix: TreePath,
    /// Paths below the folder, with slashes, that are left out with all below them.
    pub exclude: GlobSet,
    /// Folders that are left out with all below them, by device and inode: the repository that is
    /// written to, above all, which would hold itself.
    pub not_into: Vec<(u64, u64)>,
}

impl FolderOptions {
    /// Whether what is at the path `below` the folder is left out.
    pub(super) fn leaves_out(&self, below: &TreePath, stat: &Stat) -> bool {
        self.not_into.contains(&(stat.st_dev, stat.st_ino))
            || self.exclude.is_match(Path::new(OsStr::from_bytes(&below.to_slashed())))
    }
}

/// A folder of this computer. Mounted file systems below it belong to it.
#[derive(Debug)]
pub struct FolderSource {
    root: PathBuf,
    options: FolderOptions,
}

impl FolderSource {
    /// The folder at `root`; nothing is opened yet.
    pub fn new(root: PathBuf, options: FolderOptions) -> Self {
        FolderSource { root, options }
    }
}

impl Source for FolderSource {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        let root = std::fs::canonicalize(&self.root).map_err(failed)?;
        run.progress.phase(Phase::Reading);
        let mut pass = Pass {
            run,
            options: &self.options,
            root: &root,
            parent: None,
            edits: TreeEdits::new(run.scratch),
            faults: Faults::default(),
            links: HashMap::new(),
            reader: FileReader::new(),
        };
        pass.parent = ParentCursor::open(run.parent, &self.options.prefix, &mut pass.edits)?;
        let options = &self.options;
        count::while_counting(&root, options, run.progress, || pass.walk())?;
        Ok(Delivery { edits: pass.edits, faults: pass.faults })
    }
}

/// A node as it goes into the edits.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) node: Node,
    pub(super) awaiting: Awaiting,
}

/// A group of hard links of which names are still to come.
struct LinkGroup {
    made: Made,
    size_bytes: u64,
    names_left: u64,
}

impl LinkGroup {
    /// Whether `stat` is of this file, and not of a later one that got its inode number.
    fn is_of(&self, stat: &Stat) -> bool {
        stat.st_nlink > 1
            && mtime_of(stat) == self.made.node.mtime
            && u64::try_from(stat.st_size).is_ok_and(|size| size == self.size_bytes)
    }
}

/// One run over the folder.
struct Pass<'a> {
    run: &'a SourceRun<'a>,
    options: &'a FolderOptions,
    root: &'a Path,
    parent: Option<ParentCursor<'a>>,
    edits: TreeEdits,
    faults: Faults,
    links: HashMap<(u64, u64), LinkGroup>,
    reader: FileReader,
}

impl Pass<'_> {
    fn walk(&mut self) -> Result<(), SourceError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(self.root, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&root).map_err(failed)?;
        let bearer = Bearer::Open(root.as_fd());
        let made = self.plain(&TreePath::root(), &stat, &bearer)?;
        self.keep(&TreePath::root(), made)?;
        let mut walk = Walk::new(root).map_err(failed)?;
        while let Some(next) = walk.next() {
            self.run.interrupt.check().map_err(failed)?;
            match next {
                Ok(met) => self.visit(&mut walk, &met)?,
                Err((folder, errno)) => self.fault(&folder, fault_kind(errno), errno),
            }
        }
        match self.parent.take() {
            Some(parent) => parent.finish(&mut self.edits),
            None => Ok(()),
        }
    }

    fn visit(&mut self, walk: &mut Walk, met: &Met) -> Result<(), SourceError> {
        let stat = match &met.found {
            Found::Node(stat) => stat,
            Found::Lost(errno) => {
                self.fault(&met.path, fault_kind(*errno), errno);
                return Ok(());
            }
            Found::Unnameable(bad) => {
                self.fault(&met.path, FaultKind::Unsupported, bad);
                return Ok(());
            }
        };
        if let Err(bad) = self.options.prefix.concat(&met.path) {
            self.fault(&met.path, FaultKind::Unsupported, bad);
            return Ok(());
        }
        if self.options.leaves_out(&met.path, stat) {
            return Ok(());
        }
        let made = match kind_of(stat) {
            FileType::RegularFile => self.file(walk, met, stat)?,
            FileType::Directory => return self.folder(walk, met, stat),
            FileType::Symlink => self.symlink(walk, met, stat)?,
            _ => {
                let bearer = Bearer::named(walk.folder(), &met.name);
                self.plain(&met.path, stat, &bearer)?
            }
        };
        self.keep(&met.path, made)
    }

    /// A folder; one that cannot be listed stays as a node, with a fault.
    fn folder(&mut self, walk: &mut Walk, met: &Met, stat: &Stat) -> Result<(), SourceError> {
        let opened = walk.open(met);
        let made = match &opened {
            Ok(fd) => {
                let stat = rustix::fs::fstat(fd).unwrap_or(*stat);
                self.plain(&met.path, &stat, &Bearer::Open(fd.as_fd()))?
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            Err(_) => self.plain(&met.path, stat, &Bearer::named(walk.folder(), &met.name))?,
        };
        self.keep(&met.path, made)?;
        if let Err(errno) = opened.and_then(|fd| walk.enter(met, fd)) {
            self.fault(&met.path, fault_kind(errno), errno);
        }
        Ok(())
    }

    fn symlink(
        &mut self,
        walk: &Walk,
        met: &Met,
        stat: &Stat,
    ) -> Result<Option<Made>, SourceError> {
        let target = match rustix::fs::readlinkat(walk.folder(), &*met.name, Vec::<u8>::new()) {
            Ok(target) => target.into_bytes(),
            Err(errno) => {
                self.fault(&met.path, fault_kind(errno), errno);
                return Ok(None);
            }
        };
        let bearer = Bearer::named(walk.folder(), &met.name);
        let mut made = self.plain(&met.path, stat, &bearer)?;
        if let Some(made) = &mut made {
            made.node.link_target = target;
        }
        Ok(made)
    }

    /// A regular file, read unless this computer remembers it; another name of one already read
    /// is the same node again.
    fn file(&mut self, walk: &Walk, met: &Met, stat: &Stat) -> Result<Option<Made>, SourceError> {
        let inode = (stat.st_dev, stat.st_ino);
        if let Some(group) = self.links.get_mut(&inode)
            && group.is_of(stat)
        {
            let made = group.made.clone();
            self.run.progress.advance(0, group.size_bytes);
            group.names_left -= 1;
            if group.names_left == 0 {
                self.links.remove(&inode);
            }
            return Ok(Some(made));
        }
        let Some(mut made) = self.read(walk, met, stat)? else { return Ok(None) };
        if stat.st_nlink > 1 {
            made.node.hard_link = Some(self.in_snapshot(&met.path)?);
            let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
            let group = LinkGroup { made: made.clone(), size_bytes, names_left: stat.st_nlink - 1 };
            self.links.insert(inode, group);
        }
        Ok(Some(made))
    }

    fn read(&mut self, walk: &Walk, met: &Met, stat: &Stat) -> Result<Option<Made>, SourceError> {
        let place = self.in_snapshot(&met.path)?;
        let known = match &mut self.parent {
            Some(parent) => parent.advance_to(&place, &mut self.edits)?,
            None => None,
        };
        let file = match open_file(walk.folder(), &met.name) {
            Ok(file) => file,
            // Another kind of thing took its name since it was listed: as good as gone.
            Err(errno @ (Errno::NOENT | Errno::LOOP | Errno::INVAL | Errno::NXIO)) => {
                self.fault(&met.path, FaultKind::Vanished, errno);
                return Ok(None);
            }
            Err(errno) => return self.missing(walk, met, stat, &errno),
        };
        let host_path = self.root.join(OsStr::from_bytes(&met.path.to_slashed()));
        let reading = Reading { run: self.run, file: file.as_fd(), host_path: &host_path, known };
        let taken = match self.reader.read(&reading) {
            Ok(taken) => taken,
            Err(Stopped::File(error)) => return self.missing(walk, met, stat, &error),
            Err(Stopped::Run(error)) => return Err(error),
        };
        let Some(mut made) = self.plain(&met.path, &taken.stat, &Bearer::Open(file.as_fd()))?
        else {
            return Ok(None);
        };
        made.node.content = taken.content;
        made.awaiting.content = taken.ticket;
        made.node.changed_while_read = taken.changed;
        if taken.changed {
            let reason = "it changed each time it was read";
            self.fault(&met.path, FaultKind::ChangedWhileRead, reason);
        }
        (made.node.holes, made.awaiting.holes) = self.attach(taken.holes)?;
        Ok(Some(made))
    }

    /// A file whose bytes cannot be had: the snapshot says that it was there.
    fn missing(
        &mut self,
        walk: &Walk,
        met: &Met,
        stat: &Stat,
        reason: &dyn std::fmt::Display,
    ) -> Result<Option<Made>, SourceError> {
        self.fault(&met.path, FaultKind::Unreadable, reason);
        let bearer = Bearer::named(walk.folder(), &met.name);
        let mut made = self.plain(&met.path, stat, &bearer)?;
        if let Some(made) = &mut made {
            made.node.content.content = Content::Missing;
            made.node.content.len = u64::try_from(stat.st_size).unwrap_or(0);
        }
        Ok(made)
    }

    /// The node of `stat` with its extended attributes.
    fn plain(
        &mut self,
        path: &TreePath,
        stat: &Stat,
        bearer: &Bearer<'_>,
    ) -> Result<Option<Made>, SourceError> {
        let Some(mut node) = node_of(stat) else {
            self.fault(path, FaultKind::Unsupported, "it is of a kind that has no name");
            return Ok(None);
        };
        let xattrs = read_xattrs(bearer).unwrap_or_else(|errno| {
            // Reading the list of something that is gone is no fault of its own.
            if errno != Errno::NOENT {
                let reason = format!("extended attributes: {errno}");
                self.fault(path, FaultKind::Unsupported, reason);
            }
            Vec::<Xattr>::new()
        });
        let mut awaiting = Awaiting::default();
        (node.xattrs, awaiting.xattrs) = self.attach(encode_xattrs(&xattrs))?;
        Ok(Some(Made { node, awaiting }))
    }

    /// Puts encoded attributes into the node, or pushes them when they are too long for it.
    fn attach(&self, encoded: Vec<u8>) -> Result<(Attached, Option<ContentTicket>), SourceError> {
        Ok(match encoded.len() {
            0 => (Attached::None, None),
            1..=ATTACHED_LEN_MAX => (Attached::Here(encoded), None),
            _ => {
                let mut stream = self.run.contents.begin();
                stream.write_all(&encoded).map_err(failed)?;
                (Attached::None, Some(stream.finish().map_err(failed)?))
            }
        })
    }

    /// Hands a node over if it is not what the parent has.
    fn keep(&mut self, path: &TreePath, made: Option<Made>) -> Result<(), SourceError> {
        let Some(Made { node, awaiting }) = made else { return Ok(()) };
        self.run.progress.advance(1, 0);
        let place = self.in_snapshot(path)?;
        let known = match &mut self.parent {
            Some(parent) => parent.take(&place, &mut self.edits)?,
            None => None,
        };
        if awaiting == Awaiting::default() && known.as_ref() == Some(&node) {
            return Ok(());
        }
        let edit = Edit::Put { node: Box::new(node), awaiting };
        self.edits.push(&place, &edit).map_err(failed)
    }

    fn in_snapshot(&self, path: &TreePath) -> Result<TreePath, SourceError> {
        self.options.prefix.concat(path).map_err(failed)
    }

    fn fault(&mut self, path: &TreePath, kind: FaultKind, reason: impl std::fmt::Display) {
        // A path too long with its prefix is told by its name alone.
        let path = self.options.prefix.concat(path).unwrap_or_else(|_| path.clone());
        let fault = Fault { path, kind, reason: reason.to_string() };
        self.run.progress.fault(&fault);
        self.faults.push(fault);
    }
}

fn fault_kind(errno: Errno) -> FaultKind {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => FaultKind::Vanished,
        _ => FaultKind::Unreadable,
    }
}

/// The run cannot go on.
pub(super) fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SourceError {
    SourceError(cause.into())
}
