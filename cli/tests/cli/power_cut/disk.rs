//! What a disk holds after each system call of a trace: what must be there, and what may be.
use super::trace::{Call, calls_of};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// What lies in the repository's folder, but for temporary files.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A file, under whichever name.
#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    /// As it was last synced.
    durable: Option<Vec<u8>>,
}

/// A change of names that its folder's sync makes last.
enum Change {
    Add(PathBuf, usize),
    Remove(PathBuf),
    MakeFolder(PathBuf),
}

struct Pending {
    /// The line of the trace on which the call returned.
    since: usize,
    folder: PathBuf,
    change: Change,
}

/// The folder of a repository on a disk that promises what POSIX promises, and no more.
pub(super) struct Disk {
    root: PathBuf,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    durable_folders: BTreeSet<PathBuf>,
    pending: Vec<Pending>,
}

impl Disk {
    /// Everything that lies in `root` now has been there for long.
    pub(super) fn holding(root: &Path) -> Disk {
        let mut disk = Disk {
            root: root.to_owned(),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            durable_folders: BTreeSet::from([root.to_owned()]),
            pending: Vec::new(),
        };
        let mut waiting = vec![root.to_owned()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).expect("because it was made") {
                let path = entry.expect("because it can be listed").path();
                if path.is_dir() {
                    disk.durable_folders.insert(path.clone());
                    waiting.push(path);
                } else {
                    let bytes = fs::read(&path).expect("because it was listed");
                    disk.inodes.push(Inode { bytes: bytes.clone(), durable: Some(bytes) });
                    disk.names.insert(path, disk.inodes.len() - 1);
                }
            }
        }
        disk.durable_names = disk.names.clone();
        disk
    }

    /// Fails unless a disk without any power cut would hold what lies there now: what the trace says was
    /// understood.
    pub(super) fn assert_is_what_lies_there(&self) {
        let seen = self.names.iter().map(|(path, inode)| (path, &self.inodes[*inode].bytes));
        let there = Disk::holding(&self.root);
        let found = there.names.iter().map(|(path, inode)| (path, &there.inodes[*inode].bytes));
        for (seen, found) in seen.clone().zip(found.clone()) {
            assert!(seen == found, "{:?} or {:?} is not as the trace says", seen.0, found.0);
        }
        assert_eq!(seen.count(), found.count());
    }

    /// Every state that a power cut may leave, each once, with whether "saved" had been said by then.
    pub(super) fn replay(&mut self, trace: &str) -> Vec<(Files, bool)> {
        let (mut states, mut seen, mut is_saved) = (Vec::new(), BTreeSet::new(), false);
        let mut note = |disk: &Disk, is_saved: bool| {
            for files in [disk.synced(), disk.written(), disk.synced_and_removed()] {
                let mut hasher = DefaultHasher::new();
                (&files, is_saved).hash(&mut hasher);
                if seen.insert(hasher.finish()) {
                    states.push((files, is_saved));
                }
            }
        };
        note(self, false);
        for call in calls_of(trace) {
            is_saved |= call.name == "write"
                && call.paths.first().is_some_and(|path| !path.starts_with(&self.root))
                && call.text().is_some_and(|text| text.contains("\"snapshot_id\""));
            self.apply(&call);
            note(self, is_saved);
        }
        states
    }

    fn apply(&mut self, call: &Call) {
        let named = |nth: usize| {
            let path =
                call.strings.get(nth).map(|bytes| PathBuf::from(&*String::from_utf8_lossy(bytes)));
            path.filter(|path| path.starts_with(&self.root))
        };
        let inode = call.paths.first().and_then(|path| self.names.get(path)).copied();
        let returned = call.returned;
        match (call.name.as_str(), inode) {
            ("openat", _) if call.text_has("O_CREAT") => {
                if let Some(path) = named(0).filter(|path| !self.names.contains_key(path)) {
                    self.inodes.push(Inode::default());
                    self.add(path, self.inodes.len() - 1, returned);
                }
            }
            ("write" | "writev", Some(inode)) => {
                self.inodes[inode].bytes.extend(call.strings.iter().flatten());
            }
            // Length and place; number of pieces and place, then flags.
            ("pwrite64" | "pwritev2", Some(inode)) => {
                let (bytes, new) = (&mut self.inodes[inode].bytes, call.strings.concat());
                let at = call.numbers[1];
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[at..at + new.len()].copy_from_slice(&new);
            }
            ("ftruncate", Some(inode)) => self.inodes[inode].bytes.resize(call.numbers[0], 0),
            ("pwritev" | "copy_file_range" | "sendfile", Some(_)) => {
                panic!("{} is not replayed", call.name)
            }
            ("fsync" | "fdatasync", Some(inode)) => {
                let bytes = self.inodes[inode].bytes.clone();
                self.inodes[inode].durable = Some(bytes);
            }
            ("fsync", None) => {
                if let Some(folder) = call.paths.first() {
                    self.sync_folder(&folder.clone(), call.began);
                }
            }
            ("rename" | "renameat" | "renameat2" | "link" | "linkat", _) => {
                if let (Some(from), Some(to)) = (named(0), named(1)) {
                    let inode = self.names[&from];
                    self.add(to, inode, returned);
                    if call.name.starts_with("rename") {
                        self.remove(from, returned);
                    }
                }
            }
            ("unlink" | "unlinkat", _) => {
                if let Some(path) = named(0) {
                    self.remove(path, returned);
                }
            }
            ("mkdir" | "mkdirat", _) => {
                if let Some(path) = named(0) {
                    self.change(path.clone(), Change::MakeFolder(path), returned);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, path: PathBuf, inode: usize, since: usize) {
        self.names.insert(path.clone(), inode);
        self.change(path.clone(), Change::Add(path, inode), since);
    }

    fn remove(&mut self, path: PathBuf, since: usize) {
        if self.names.remove(&path).is_some() {
            self.change(path.clone(), Change::Remove(path), since);
        }
    }

    fn change(&mut self, of: PathBuf, change: Change, since: usize) {
        let folder = of.parent().expect("because it lies in a folder").to_owned();
        self.pending.push(Pending { since, folder, change });
    }

    /// What had happened in the folder when the sync began lasts from now on.
    fn sync_folder(&mut self, folder: &Path, began: usize) {
        for pending in std::mem::take(&mut self.pending) {
            if pending.folder != *folder || pending.since > began {
                self.pending.push(pending);
                continue;
            }
            match pending.change {
                Change::Add(path, inode) => drop(self.durable_names.insert(path, inode)),
                Change::Remove(path) => drop(self.durable_names.remove(&path)),
                Change::MakeFolder(path) => drop(self.durable_folders.insert(path)),
            }
        }
    }

    /// Only what was synced is there.
    fn synced(&self) -> Files {
        let mut files = self.files(&self.durable_names);
        files.retain(|name, _| {
            let mut above = self.root.join(name);
            above.pop();
            above
                .ancestors()
                .take_while(|path| path.starts_with(&self.root))
                .all(|path| self.durable_folders.contains(path))
        });
        files
    }

    /// All changes of names are there, though nobody synced them, and no bytes but those that were synced.
    fn written(&self) -> Files {
        self.files(&self.names)
    }

    /// What was removed is gone, though nobody synced that, and nothing else is there that was not synced.
    fn synced_and_removed(&self) -> Files {
        let mut files = self.synced();
        for pending in &self.pending {
            if let Change::Remove(path) = &pending.change {
                files.remove(path.strip_prefix(&self.root).expect("because it lies below"));
            }
        }
        files
    }

    fn files(&self, names: &BTreeMap<PathBuf, usize>) -> Files {
        let below = |path: &PathBuf| path.strip_prefix(&self.root).ok().map(Path::to_owned);
        let files = names.iter().filter_map(|(path, inode)| {
            let bytes = self.inodes[*inode].durable.clone().unwrap_or_default();
            Some((below(path)?, bytes))
        });
        files.filter(|(name, _)| !name.starts_with("tmp")).collect()
    }
}
