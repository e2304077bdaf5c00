//! What a backup password opens of a snapshot: the keybag in its `Manifest.plist`.
use super::Session;
use crate::failure::{ExitCode, Failure};
use devsnap_device::keybag::{ClassKeys, EncryptedSet, UnlockError};
use devsnap_device::plist_guard::PlistLimits;
use devsnap_engine::error::ErrorKind;
use devsnap_engine::node::NodeKind;
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;
use std::io::Read;

/// A file at the top of the backup of `udid`.
///
/// # Errors
///
/// The snapshot names no device, but something that could leave a folder.
pub(super) fn in_set(udid: &str, name: &str) -> Result<TreePath, Failure> {
    let path = TreePath::from_slashed(format!("{udid}/{name}").as_bytes());
    path.map_err(|_| Failure::new(ExitCode::Failed, "the snapshot does not say which device's"))
}

/// What a snapshot says of the encryption of its set; `None`: it is not encrypted.
///
/// # Errors
///
/// It has no `Manifest.plist` that could be used, or that could not be read.
pub(super) fn encrypted_set(
    view: &dyn SnapshotReader,
    udid: &str,
) -> Result<Option<EncryptedSet>, Failure> {
    let bytes = manifest_plist(view, &in_set(udid, "Manifest.plist")?)?;
    EncryptedSet::of_manifest_plist(&bytes).map_err(|bad| {
        Failure::new(ExitCode::Failed, bad.to_string())
            .hint("the device wrote it so; another snapshot of it may be well")
    })
}

fn manifest_plist(view: &dyn SnapshotReader, path: &TreePath) -> Result<Vec<u8>, Failure> {
    let size = match view.entry(path)? {
        Some(node) if node.kind == NodeKind::File => node.size_bytes(),
        _ => return Err(none_there()),
    };
    let max = PlistLimits::BACKUP_SET.bytes_max as u64;
    if size > max {
        let line = format!("Manifest.plist of the snapshot has {size} bytes, which none has");
        return Err(Failure::new(ExitCode::Failed, line));
    }
    let file = view.open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => none_there(),
        _ => error.into(),
    })?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).map_err(Failure::reading)?;
    Ok(bytes)
}

fn none_there() -> Failure {
    Failure::new(ExitCode::Failed, "the snapshot has no Manifest.plist, so no keybag either")
        .hint("another snapshot of the device may have one: `devsnap snapshots`")
}

/// Opens a set's keybag: takes seconds.
///
/// # Errors
///
/// The password is wrong ([`ExitCode::WrongBackupPassword`]); the keybag is none that a device
/// makes; somebody asked to stop.
pub(super) fn unlock(
    session: &Session<'_>,
    set: &EncryptedSet,
    password: &[u8],
) -> Result<ClassKeys, Failure> {
    let keys = set.keybag.unlock(password, session.interrupt).map_err(|error| match error {
        UnlockError::WrongPassword => wrong_password(),
        UnlockError::Interrupted => Failure::new(ExitCode::Interrupted, error.to_string()),
        UnlockError::TooManyRounds { .. } => Failure::new(ExitCode::Failed, error.to_string())
            .hint("no device makes such a keybag; it would keep this computer busy for hours"),
        _ => Failure::new(ExitCode::Failed, error.to_string()),
    })?;
    // A keybag that opens beside a key that does not is of no use to anybody.
    if !set.manifest_key.is_empty() && keys.unwrap(&set.manifest_key).is_none() {
        let line = "the backup password opens the keybag, and the keybag does not open Manifest.db";
        return Err(Failure::new(ExitCode::Failed, line));
    }
    Ok(keys)
}

fn wrong_password() -> Failure {
    Failure::new(ExitCode::WrongBackupPassword, "the backup password is wrong").hint(
        "it is the one the device had when the snapshot was made; it may have been changed since",
    )
}
