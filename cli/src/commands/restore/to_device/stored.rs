//! Whether all that a snapshot needs is stored: a device that lacks a file in the middle of its restore is
//! left half restored.
use crate::failure::{ExitCode, Failure};
use crate::report::text::counted;
use devsnap_device::restore::Extent;
use devsnap_engine::check::{Needs, preflight};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Progress;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::Named;

/// Looks for every blob and every pack.
///
/// # Errors
///
/// Something is lost; the storage does not answer, or does not give a pack out.
pub(super) fn look(
    repository: &Repository,
    named: &Named,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Needs, Failure> {
    let needs = preflight(repository, &named.snapshot, progress, interrupt)?;
    let lost = lost(&needs);
    if lost.is_empty() {
        return Ok(needs);
    }
    let short = named.id.short();
    let what = format!("the repository has lost a part of snapshot {short}: {}", lost.join(", "));
    Err(Failure::new(ExitCode::Damaged, what).hint(
        "nothing was asked of the device; `devsnap check --read-data` says what is affected, and \
         `restore --target` brings back the rest",
    ))
}

/// What is lost, in words; a file that the snapshot never held is no loss of the repository's.
fn lost(needs: &Needs) -> Vec<String> {
    let mut lost = Vec::new();
    if needs.missing.count > 0 {
        let first = needs.missing.first.first().map(|path| format!(" ({path})"));
        lost.push(format!("{}{}", counted(needs.missing.count, "path"), first.unwrap_or_default()));
    }
    if needs.unreadable_pages > 0 {
        lost.push(format!("{} of its tree", counted(needs.unreadable_pages, "page")));
    }
    if !needs.damaged_packs.is_empty() {
        lost.push(format!(
            "what {} should hold",
            counted(needs.damaged_packs.len(), "damaged pack")
        ));
    }
    lost
}

pub(super) fn extent(needs: &Needs, named: &Named) -> Extent {
    Extent {
        is_complete: named.snapshot.is_complete(),
        files: needs.files,
        bytes: needs.bytes,
        without_bytes: needs.never_stored.count,
    }
}
