//! A device's backup folder as a source: it must be one backup from the first file to the last.
use devsnap_device::BackupSet;
use devsnap_engine::folder::FolderSource;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Fault, FaultKind};
use devsnap_engine::source::{Delivery, Source, SourceError, SourceRun};
use std::path::{Path, PathBuf};

/// What goes wrong when nothing is wrong with the files, but the device wrote meanwhile.
const CHANGED_MEANWHILE: &str = "the device's backup changed while it was read: this snapshot may \
    mix two backups; make another when the device is done";

/// Reads the folder, then looks whether the set is still what it was. A snapshot of a set that is
/// not whole says so for ever, or a later restore would trust it.
pub(super) struct SetSource {
    folder: FolderSource,
    path: PathBuf,
    before: BackupSet,
    is_torn: bool,
}

impl SetSource {
    /// The set at `path`, as it looked `before` it is read, through `folder`.
    pub(super) fn new(folder: FolderSource, path: PathBuf, before: BackupSet) -> Self {
        SetSource { folder, path, before, is_torn: false }
    }

    /// Whether the device wrote while the folder was read.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }
}

impl Source for SetSource {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        let mut delivery = self.folder.run(run)?;
        self.is_torn = changed_since(&self.path, &self.before);
        let reason = if self.is_torn {
            CHANGED_MEANWHILE.to_owned()
        } else if self.before.is_finished() {
            return Ok(delivery);
        } else {
            format!("the backup was not finished ({}): no device takes it back", self.before.state)
        };
        let path = TreePath::from_slashed(self.before.udid.as_str().as_bytes())
            .map_err(|bad| SourceError(bad.into()))?;
        let fault = Fault { path, kind: FaultKind::ChangedWhileRead, reason };
        run.progress.fault(&fault);
        delivery.faults.push(fault);
        Ok(delivery)
    }
}

/// Whether the set is not what it was, or cannot be looked at any more.
fn changed_since(folder: &Path, before: &BackupSet) -> bool {
    !matches!(BackupSet::recognise(folder), Ok(Some(after)) if after == *before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_testkit::backup_set::BackupSetFixture;

    #[test]
    fn a_set_that_was_written_to_meanwhile_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let folder = BackupSetFixture::new(1).write(root.path()).unwrap();
        let before = BackupSet::recognise(&folder).unwrap().unwrap();
        assert!(!changed_since(&folder, &before));

        BackupSetFixture::new(1).stopped_while("moving").write(root.path()).unwrap();
        assert!(changed_since(&folder, &before));

        std::fs::remove_dir_all(&folder).unwrap();
        assert!(changed_since(&folder, &before));
    }
}
