//! The set on disk: made once, reused, aged day by day.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use devsnap_testkit::phone_like::{Changes, PhoneLike};
use serde::{Deserialize, Serialize};

use crate::tree;

/// A phone-like folder and how many days have passed in it.
pub(crate) struct Dataset {
    set: PhoneLike,
    note: PathBuf,
    /// The folder.
    pub(crate) dir: PathBuf,
    /// Days applied so far.
    pub(crate) day: u32,
}

/// What lies beside the folder to know it again. Gone while the folder is being changed, so that a
/// half-changed one is not reused.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    seed: u64,
    files: u64,
    total_bytes: u64,
    day: u32,
}

impl Dataset {
    /// The set in `work`, reused if it is the one asked for, or else made.
    ///
    /// # Errors
    ///
    /// It could not be written.
    pub(crate) fn prepare(set: PhoneLike, work: &Path, fresh: bool) -> Result<Self> {
        let (dir, note) = (work.join("data"), work.join("data.json"));
        let mut dataset = Dataset { set, note, dir, day: 0 };
        if let (false, Some(day)) = (fresh, dataset.day_on_disk()) {
            dataset.day = day;
            return Ok(dataset);
        }
        tree::clear(&dataset.dir)?;
        dataset.forget_note()?;
        set.write(&dataset.dir).context("writing the set")?;
        dataset.write_note()?;
        Ok(dataset)
    }

    /// Lets a day pass.
    ///
    /// # Errors
    ///
    /// A file could not be changed; the set will be made again next time.
    pub(crate) fn pass_day(&mut self) -> Result<Changes> {
        self.forget_note()?;
        self.day += 1;
        let changes = self.set.mutate(&self.dir, self.day).context("changing the set")?;
        self.write_note()?;
        Ok(changes)
    }

    fn note(&self, day: u32) -> Note {
        let PhoneLike { seed, files, total_bytes } = self.set;
        Note { seed, files, total_bytes, day }
    }

    fn day_on_disk(&self) -> Option<u32> {
        let note: Note = serde_json::from_slice(&fs::read(&self.note).ok()?).ok()?;
        (note == self.note(note.day)).then_some(note.day)
    }

    fn write_note(&self) -> Result<()> {
        Ok(fs::write(&self.note, serde_json::to_vec(&self.note(self.day))?)?)
    }

    fn forget_note(&self) -> Result<()> {
        match fs::remove_file(&self.note) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: PhoneLike = PhoneLike { seed: 3, files: 60, total_bytes: 1 << 20 };

    #[test]
    fn the_same_set_is_reused_with_its_age_and_another_is_made_anew() {
        let work = tempfile::tempdir().unwrap();
        let mut first = Dataset::prepare(SET, work.path(), false).unwrap();
        first.pass_day().unwrap();

        assert_eq!(Dataset::prepare(SET, work.path(), false).unwrap().day, 1);
        let other = PhoneLike { seed: 4, ..SET };
        assert_eq!(Dataset::prepare(other, work.path(), false).unwrap().day, 0);
    }

    #[test]
    fn a_set_whose_change_was_interrupted_is_made_anew() {
        let work = tempfile::tempdir().unwrap();
        let mut set = Dataset::prepare(SET, work.path(), false).unwrap();
        tree::clear(&set.dir).unwrap();

        assert!(set.pass_day().is_err());
        let again = Dataset::prepare(SET, work.path(), false).unwrap();

        assert_eq!(again.day, 0);
        assert!(again.dir.is_dir());
    }
}
