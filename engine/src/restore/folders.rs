//! What is done to whole folders: removing what the snapshot does not have, and attributes last.
use super::select::{Chosen, Selection};
use super::{Run, attributes, is_loss};
use crate::error::Result;
use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::progress::FaultKind;
use crate::target::{Present, Restored};
use std::sync::atomic::Ordering;

/// Removes from the folder at `place` every name that the snapshot does not have there, unless it
/// is one that the snapshot could not read.
///
/// # Errors
///
/// The snapshot cannot be read just now. Where it is damaged, nothing more is known to be
/// superfluous in the folder: that is a fault of it, and the rest stays.
pub(super) fn clear(run: &Run<'_>, place: &TreePath) -> Result<()> {
    if !run.options.delete {
        return Ok(());
    }
    let mut names = match run.target.names_in(place) {
        Ok(names) => names,
        Err(error) => return run.target_fault(place, error),
    };
    names.sort_unstable();
    let Ok(folder) = run.options.subtree.concat(place) else {
        return Ok(());
    };
    if run.unread.covers(&folder) {
        run.has_spared.fetch_or(!names.is_empty(), Ordering::Relaxed);
        return Ok(());
    }
    // Both sides are sorted by name, so one pass over the folder tells which are the snapshot's.
    let mut kept = Names { entries: run.view.list(&folder), next: None };
    for name in names {
        run.interrupt.check()?;
        match kept.has(&name) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) if is_loss(&error) => {
                let reason = format!("not all that is superfluous was removed: {error:?}");
                run.tally(|report| report.damaged_files += 1);
                run.fault(place, FaultKind::Unreadable, reason);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let (Ok(path), Ok(stored)) = (place.join(&name), folder.join(&name)) else {
            continue;
        };
        if run.unread.has_within(&stored) {
            run.has_spared.store(true, Ordering::Relaxed);
            continue;
        }
        if !run.options.dry_run
            && let Err(error) = run.target.remove(&path)
        {
            run.target_fault(&path, error)?;
            continue;
        }
        run.tally(|report| report.removed += 1);
    }
    Ok(())
}

/// The names of a folder of the snapshot, asked for in rising order.
struct Names<'a> {
    entries: crate::reader::Entries<'a>,
    next: Option<Vec<u8>>,
}

impl Names<'_> {
    fn has(&mut self, name: &[u8]) -> Result<bool> {
        loop {
            match &self.next {
                Some(next) if next.as_slice() >= name => return Ok(next.as_slice() == name),
                _ => match self.entries.next().transpose()? {
                    Some((path, _)) => self.next = path.name().map(<[u8]>::to_vec),
                    None => return Ok(false),
                },
            }
        }
    }
}

/// Gives folders their attributes, deepest first: whatever is done in a folder changes its
/// times. The tree is walked again rather than remembered.
///
/// # Errors
///
/// The store cannot be read just now; no room.
pub(super) fn finish(run: &Run<'_>) -> Result<()> {
    let options = run.options;
    // With whether all below them is brought back.
    let mut open: Vec<(TreePath, Node, bool)> = Vec::new();
    for chosen in Selection::new(run.view, &options.subtree, options.include.as_ref()) {
        run.interrupt.check()?;
        let Chosen { place, node, is_whole } = match chosen {
            Ok(chosen) => chosen,
            // That was said when the files came back.
            Err(error) if is_loss(&error) => continue,
            Err(error) => return Err(error),
        };
        while let Some(folder) = open.pop_if(|(folder, ..)| !place.is_within(folder)) {
            finish_one(run, &folder)?;
        }
        if node.kind == NodeKind::Folder {
            open.push((place, node, is_whole));
        }
    }
    while let Some(folder) = open.pop() {
        finish_one(run, &folder)?;
    }
    Ok(())
}

fn finish_one(run: &Run<'_>, (place, node, is_whole): &(TreePath, Node, bool)) -> Result<()> {
    if !run.sets_folder(place, *is_whole) {
        return Ok(());
    }
    match run.target.present(place) {
        Ok(Present::Folder) => {}
        // It could not be made, or must not be: that was said on the way in.
        Ok(_) => return Ok(()),
        Err(error) => return run.target_fault(place, error),
    }
    let attributes = attributes::read(run.store, node)?;
    let (xattrs, holes) = (&attributes.xattrs, &attributes.holes);
    match run.target.finish_folder(&Restored { path: place, node, xattrs, holes }) {
        Ok(notes) => run.notes(place, attributes.lost, notes),
        Err(error) => return run.target_fault(place, error),
    }
    Ok(())
}
