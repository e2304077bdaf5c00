//! The list of apps that a device shall fetch again: `/iTunesRestore/RestoreApplications.plist`.
//!
//! # Source
//!
//! `docs/device-protocol.md`, "Restore": its place, when it is put there, and that it goes again when
//! the restore fails.
use crate::error::Result;
use crate::services::afc::Afc;
use crate::watch::DeviceWatch;

use super::Offer;

const FOLDER: &str = "/iTunesRestore";
const FILE: &str = "/iTunesRestore/RestoreApplications.plist";

/// The list, once it lies on the device.
pub(super) struct ListedApps {
    count: usize,
}

impl ListedApps {
    /// Puts the snapshot's list there; nothing when the snapshot has none.
    ///
    /// A device that does not take it gets no apps by itself, which is no reason to stop.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub(super) fn put(
        offer: &Offer,
        afc: &mut Afc,
        watch: &dyn DeviceWatch,
    ) -> Result<Option<ListedApps>> {
        let Some((count, list)) = offer.applications() else {
            watch.warn("the snapshot says of no apps: the device will fetch none by itself");
            return Ok(None);
        };
        // That the folder is there already is fine; anything else is told by the file.
        let _ = afc.make_folder(FOLDER)?;
        match afc.write_file(FILE, list)? {
            Ok(()) => Ok(Some(ListedApps { count })),
            Err(status) => {
                watch.warn(&format!(
                    "the device does not take the list of its apps ({status}): install them by hand"
                ));
                remove(afc);
                Ok(None)
            }
        }
    }

    /// How many apps it names.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes it away again, when the device is still there: it is for a restore that has not been.
    pub(super) fn take_back(&self, afc: Option<&mut Afc>) {
        if let Some(afc) = afc {
            remove(afc);
        }
    }
}

fn remove(afc: &mut Afc) {
    if afc.remove(FILE).is_ok() {
        let _ = afc.remove(FOLDER);
    }
}
