//! Sets of ids that take a bounded part of memory however large they grow: what does not fit lies
//! sorted on this computer's disk, and is looked up there.
use crate::error::{Error, Result};
use crate::runs::{Merge, write_run};
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const ID_LEN: usize = 32;
type Id = [u8; ID_LEN];

/// Ids in memory before they are written: about 16 MiB.
const FRESH_MAX: usize = 250_000;

/// Ids that are read at a time to look one up: 4 KiB. Of each block the first is in memory, so a
/// hundred million ids on disk take 25 MiB.
const BLOCK_IDS: usize = 128;

/// Files that are searched one after the other; more are merged into one.
const RUNS_MAX: usize = 8;

/// A set of ids.
pub(super) struct SeenSet {
    folder: PathBuf,
    fresh: HashSet<Id>,
    fresh_max: usize,
    runs: Vec<Run>,
}

/// Sorted ids in a file.
struct Run {
    file: File,
    firsts: Vec<Id>,
    count: usize,
}

impl SeenSet {
    /// An empty set whose files lie in `folder`, without names.
    pub(super) fn new(folder: &Path) -> Self {
        SeenSet::with_fresh_max(folder, FRESH_MAX)
    }

    fn with_fresh_max(folder: &Path, fresh_max: usize) -> Self {
        let folder = folder.to_owned();
        SeenSet { folder, fresh: HashSet::new(), fresh_max, runs: Vec::new() }
    }

    /// Whether the set has `id`.
    ///
    /// # Errors
    ///
    /// A temporary file could not be read.
    pub(super) fn contains(&self, id: &Id) -> Result<bool> {
        if self.fresh.contains(id) {
            return Ok(true);
        }
        for run in &self.runs {
            if run.contains(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds `id`.
    ///
    /// # Errors
    ///
    /// A temporary file could not be written.
    pub(super) fn insert(&mut self, id: Id) -> Result<()> {
        self.fresh.insert(id);
        if self.fresh.len() < self.fresh_max {
            return Ok(());
        }
        let mut ids: Vec<Id> = self.fresh.drain().collect();
        ids.sort_unstable();
        let run = Run::write(&self.folder, ids.into_iter().map(Ok))?;
        self.add_run(run)
    }

    /// Adds all of another set.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub(super) fn absorb(&mut self, other: SeenSet) -> Result<()> {
        other.runs.into_iter().try_for_each(|run| self.add_run(run))?;
        other.fresh.into_iter().try_for_each(|id| self.insert(id))
    }

    fn add_run(&mut self, run: Run) -> Result<()> {
        self.runs.push(run);
        if self.runs.len() >= RUNS_MAX {
            let merged =
                Run::write(&self.folder, Merge::of(self.runs.iter().map(|run| &run.file), &[])?)?;
            self.runs = vec![merged];
        }
        Ok(())
    }
}

impl Run {
    /// Writes sorted ids.
    fn write(folder: &Path, ids: impl Iterator<Item = Result<Id>>) -> Result<Run> {
        let (mut firsts, mut count) = (Vec::new(), 0);
        let ids = ids.inspect(|id| {
            if let Ok(id) = id {
                if count % BLOCK_IDS == 0 {
                    firsts.push(*id);
                }
                count += 1;
            }
        });
        let file = write_run(folder, ids)?;
        Ok(Run { file, firsts, count })
    }

    fn contains(&self, id: &Id) -> Result<bool> {
        let Some(block) = self.firsts.partition_point(|first| first <= id).checked_sub(1) else {
            return Ok(false);
        };
        let mut bytes = [0; BLOCK_IDS * ID_LEN];
        let here = (self.count - block * BLOCK_IDS).min(BLOCK_IDS);
        let bytes = &mut bytes[..here * ID_LEN];
        let read = self.file.read_exact_at(bytes, (block * BLOCK_IDS * ID_LEN) as u64);
        read.map_err(|e| Error::local("reading a temporary file", e))?;
        let (ids, _) = bytes.as_chunks::<ID_LEN>();
        Ok(ids.binary_search(id).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> Id {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    #[test]
    fn whatever_was_added_is_found_and_nothing_else_and_memory_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let mut set = SeenSet::with_fresh_max(folder.path(), 100);
        for n in 0..20_000 {
            assert!(!set.contains(&id(n)).unwrap(), "{n}");
            set.insert(id(n)).unwrap();
            set.insert(id(n / 2)).unwrap();
        }
        assert!((0..20_000).all(|n| set.contains(&id(n)).unwrap()));
        assert!((20_000..22_000).all(|n| !set.contains(&id(n)).unwrap()));
        assert!(set.fresh.len() <= 100 && set.runs.len() < RUNS_MAX);

        let mut other = SeenSet::with_fresh_max(folder.path(), 100);
        (30_000..31_050).for_each(|n| other.insert(id(n)).unwrap());
        set.absorb(other).unwrap();
        assert!((30_000..31_050).all(|n| set.contains(&id(n)).unwrap()));
        assert!((0..20_000).all(|n| set.contains(&id(n)).unwrap()));
        assert!(set.fresh.len() <= 100 && set.runs.len() < RUNS_MAX);
    }
}
