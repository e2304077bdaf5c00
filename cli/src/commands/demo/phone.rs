//! The phone of a demo, and the truth about it.
use super::place::failed;
use crate::failure::Failure;
use devsnap_simulator::contents::{Contents, Item, Kind, Proportions, Truth, truth};
use devsnap_simulator::phone::{Faults, Passcode, Trust};
use devsnap_simulator::simulator::{Options, PhoneOptions, identity};
use devsnap_simulator::{Identity, Simulator};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The same phone each time: who reads of its numbers sees them.
const SEED: u64 = 2026;

/// Large enough that an incremental backup shows what it saves, small enough for a slow computer.
const PROPORTIONS: Proportions = Proportions { files: 1200, bytes: 64 << 20 };

/// How often the phone says that its question is still on the screen before "Trust" is tapped.
const TRUSTED_AFTER: u32 = 2;

/// How long its passcode takes to type.
const PASSCODE_TYPED_IN: Duration = Duration::from_millis(600);

/// A phone in software, switched on until it is dropped.
pub(super) struct DemoPhone {
    simulator: Simulator,
    identity: Identity,
    folder: PathBuf,
}

impl DemoPhone {
    /// A phone that is new to this computer and keeps its state in `state`. It asks what a phone
    /// asks, and somebody answers there.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or no port can be opened.
    pub(super) fn switch_on(state: &Path) -> Result<DemoPhone, Failure> {
        let identity = identity(0);
        let folder = state.join("phones").join(&identity.udid);
        Contents::generate(SEED, &PROPORTIONS)
            .save(&folder)
            .map_err(|error| failed("could not write the phone's state", &error))?;
        let faults = Faults {
            passcode: Passcode::Entered(PASSCODE_TYPED_IN),
            trust: Trust::After(TRUSTED_AFTER),
            ..Faults::default()
        };
        let simulator = Simulator::start(Options {
            state: Some(state.to_owned()),
            phones: vec![PhoneOptions { faults, ..PhoneOptions::new(identity.clone()) }],
            seed: SEED,
            ..Options::default()
        })
        .map_err(|error| failed("could not start the phone in software", &error))?;
        Ok(DemoPhone { simulator, identity, folder })
    }

    /// Where its usbmuxd listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.simulator.address()
    }

    /// Who it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is on it now.
    ///
    /// # Errors
    ///
    /// Its state cannot be read.
    pub(super) fn truth(&self) -> Result<Truth, Failure> {
        Contents::open(&self.folder).map(|contents| contents.truth()).map_err(|e| unknown(&e))
    }

    /// What its newest backup holds, by its own word.
    ///
    /// # Errors
    ///
    /// As [`truth`](Self::truth).
    pub(super) fn truth_of_newest_backup(&self) -> Result<Truth, Failure> {
        let dates = truth::backups(&self.folder).map_err(|e| unknown(&e))?;
        let date = dates.last().copied().unwrap_or_default();
        Truth::read(&truth::backup_path(&self.folder, date)).map_err(|e| unknown(&e))
    }

    /// Lets a day pass on it.
    ///
    /// # Errors
    ///
    /// Its state cannot be read or written.
    pub(super) fn pass_a_day(&self) -> Result<Changes, Failure> {
        let mut contents = Contents::open(&self.folder).map_err(|e| unknown(&e))?;
        let before = contents.truth();
        contents.mutate_openly(SEED);
        contents
            .save(&self.folder)
            .map_err(|error| failed("could not write the phone's state", &error))?;
        Ok(Changes::between(&before, &contents.truth()))
    }
}

fn unknown(error: &std::io::Error) -> Failure {
    failed("could not read the phone's state", error)
}

/// The files that a backup without a backup password holds.
pub(super) fn files_in_backup(truth: &Truth) -> impl Iterator<Item = &Item> {
    truth.items.iter().filter(|item| item.kind == Kind::File && !item.only_encrypted)
}

/// What happened to files while they were being backed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Meanwhile {
    /// They got other bytes, or more of them.
    pub(super) changed: u64,
    /// They were deleted.
    pub(super) deleted: u64,
}

impl Meanwhile {
    /// By the phone's own word about its backup.
    pub(super) fn of(backup: &Truth) -> Meanwhile {
        let mut meanwhile = Meanwhile::default();
        for said in backup.backup.iter().flat_map(|backup| &backup.weather) {
            match said.starts_with("vanished ") {
                true => meanwhile.deleted += 1,
                false => meanwhile.changed += 1,
            }
        }
        meanwhile
    }
}

/// What a day did to a phone's files, as far as its backups hold them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// They have other bytes.
    pub(super) changed: u64,
    /// They are new.
    pub(super) new: u64,
    /// They are gone.
    pub(super) deleted: u64,
    /// They have another name.
    pub(super) renamed: u64,
}

impl Changes {
    fn between(before: &Truth, after: &Truth) -> Changes {
        let by_path = |truth| -> BTreeMap<_, _> {
            files_in_backup(truth)
                .map(|item| ((item.domain.as_str(), item.relative_path.as_str()), item))
                .collect()
        };
        let (before, after) = (by_path(before), by_path(after));
        // A file keeps its inode when it gets another name.
        let gone: BTreeSet<u64> = before
            .iter()
            .filter(|(path, _)| !after.contains_key(*path))
            .map(|(_, item)| item.inode)
            .collect();
        let mut changes = Changes::default();
        for (path, item) in &after {
            match before.get(path) {
                Some(old) if old.sha256 != item.sha256 => changes.changed += 1,
                Some(_) => {}
                None if gone.contains(&item.inode) => changes.renamed += 1,
                None => changes.new += 1,
            }
        }
        let gone = u64::try_from(gone.len()).unwrap_or(u64::MAX);
        changes.deleted = gone.saturating_sub(changes.renamed);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_changes_are_counted_apart_and_add_up() {
        let mut contents = Contents::generate(3, &Proportions { files: 400, bytes: 1 << 20 });
        let before = contents.truth();
        assert_eq!(Changes::between(&before, &before), Changes::default());

        contents.mutate_openly(1);
        let after = contents.truth();
        let changes = Changes::between(&before, &after);

        let count = |truth| u64::try_from(files_in_backup(truth).count()).unwrap();
        assert_eq!(count(&before) + changes.new, count(&after) + changes.deleted);
        assert!(changes.changed > 0 && changes.new > 0, "{changes:?}");
        assert!(changes.deleted > 0 && changes.renamed > 0, "{changes:?}");
    }
}
