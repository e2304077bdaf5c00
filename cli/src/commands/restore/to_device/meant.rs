//! Which snapshot a person means who names it for a device.
use crate::args::RestoreArgs;
use crate::commands::device::Attached;
use crate::commands::{Session, is_id_of, paths};
use crate::failure::{ExitCode, Failure};
use devsnap_device::Udid;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::{DeviceIdentity, Named, Origin, Selector};

/// What was typed.
pub(super) struct Meant {
    text: String,
    is_other_welcome: bool,
}

impl Meant {
    /// Takes what was typed; a part of a snapshot is none for a device.
    pub(super) fn of(args: &RestoreArgs) -> Result<Meant, Failure> {
        let ((text, part), _) = paths::snapshot_and_path(&args.what)?;
        if !part.is_root() {
            return Err(Failure::usage("a device takes a whole snapshot, not a part of one")
                .hint("bring a part back into a folder with --target DIR"));
        }
        Ok(Meant { text, is_other_welcome: args.phone.other_device })
    }

    /// The snapshot for `device`.
    ///
    /// Whatever says nothing of a device means this one's own: nobody shall get another's data because
    /// another was backed up last. An id means what it names.
    pub(super) fn select(
        &self,
        session: &Session<'_>,
        repository: &Repository,
        device: &Attached,
    ) -> Result<Named, Failure> {
        let mut found = session.all_snapshots(repository)?;
        let selector = Selector::parse(&self.text);
        let is_own = |named: &Named| {
            device_of(named).is_ok_and(|of| Udid::parse(&of.udid).as_ref() == Some(device.udid()))
        };
        let named = if selector.of.is_some() {
            session.select_among(&found, &self.text)?.clone()
        } else {
            let by_id = found.named.iter().filter(|named| is_id_of(named, &selector.which));
            let by_id: Vec<Named> = by_id.cloned().collect();
            found.named.retain(|named| is_own(named));
            if found.named.is_empty() && found.unreadable.is_empty() && by_id.is_empty() {
                let shown = device.shown();
                let line = format!("no snapshot of {shown} is in the repository");
                return Err(Failure::new(ExitCode::Failed, line).hint(
                    "`devsnap snapshots` lists those of other devices: one is named DEVICE@latest, or by \
                     its id, with --other-device",
                ));
            }
            match session.select_among(&found, &self.text) {
                Ok(named) => named.clone(),
                Err(_) if !by_id.is_empty() => {
                    found.named = by_id;
                    session.select_among(&found, &self.text)?.clone()
                }
                Err(refused) => {
                    let shown = device.shown();
                    return Err(refused.hint(format!(
                        "without a name before it only snapshots of {shown} are looked at; another \
                         device's is named DEVICE@{}, or by its id, with --other-device",
                        self.text
                    )));
                }
            }
        };
        device_of(&named)?;
        if !is_own(&named) && !self.is_other_welcome {
            return Err(Failure::usage(format!(
                "snapshot {} is not of {}",
                named.id.short(),
                device.shown()
            ))
            .hint("add --other-device if that is meant; nothing was done"));
        }
        Ok(named)
    }
}

/// The device that a snapshot is of.
pub(super) fn device_of(named: &Named) -> Result<&DeviceIdentity, Failure> {
    match &named.snapshot.origin {
        Origin::Device(device) => Ok(device),
        Origin::Folder { .. } => {
            let what = format!("snapshot {} is of a folder, not of a device", named.id.short());
            Err(Failure::new(ExitCode::Usage, what).hint("bring it back with --target DIR"))
        }
    }
}
