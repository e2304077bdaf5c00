//! Removing marks that have done their work (rules 17 to 19 of `docs/crash-safety.md`), and notes
//! on snapshots that are gone.
use crate::error::Result;
use crate::id::SessionId;
use crate::repository::{Repository, SessionMarks};
use std::collections::HashSet;

/// Removes the marks of sessions that are over, of sweeps that are done, and notes on
/// snapshots that are gone; how many it was of all.
///
/// # Errors
///
/// A listing that broke off, a snapshot that could not be fetched; what removing meets.
pub(super) fn tidy(repository: &Repository) -> Result<u64> {
    let mut tidied = repository.tidy_marks()? + repository.tidy_notes()?;
    // Every `end` that may be removed below was seen before the snapshots are listed.
    let marks = SessionMarks::list(repository, "")?;
    let blocking: HashSet<SessionId> = repository.blocking_sessions(&marks)?.into_iter().collect();
    let mut ended = Vec::new();
    for (session, marks) in marks.sessions() {
        let (end, fence) = (marks.contains(&"end"), marks.contains(&"fence"));
        if (!end && !fence) || blocking.contains(&session) {
            continue;
        }
        // The order matters: a fence without `open` is over, an `open` without fence would stand.
        // What the listing does not show is gone for ever: ids are used once.
        let beats = marks.iter().filter(|mark| mark.starts_with("beat-"));
        let rest = ["open", "fence"].iter().filter(|mark| marks.contains(mark));
        let gone: Vec<String> = beats.chain(rest).map(|mark| (*mark).to_owned()).collect();
        tidied += u64::from(!end);
        repository.remove_marks(session, gone)?;
        if end {
            ended.push(session);
        }
    }
    Ok(tidied + remove_ends(repository, ended)?)
}

/// Removes each `end` that confirms no snapshot any more. `open` is gone by now.
fn remove_ends(repository: &Repository, ended: Vec<SessionId>) -> Result<u64> {
    if ended.is_empty() {
        return Ok(0);
    }
    let snapshots = repository.snapshots()?;
    if !snapshots.unreadable.is_empty() {
        // Whose it is cannot be told.
        return Ok(0);
    }
    let all = snapshots.named.iter().chain(&snapshots.unconfirmed);
    let needed: HashSet<SessionId> = all.map(|named| named.snapshot.session).collect();
    let mut removed = 0;
    for session in ended.into_iter().filter(|session| !needed.contains(session)) {
        repository.remove_marks(session, ["end".to_owned()])?;
        removed += 1;
    }
    Ok(removed)
}
