//! Stored packs ▸ the local index, and every few minutes a segment on the backend with a
//! heartbeat, so that a run that is cut off loses minutes.
use super::Shared;
use crate::error::Result;
use crate::index::IndexedPack;
use crate::repository::SEGMENT_BLOBS;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A segment and a heartbeat at the latest after this time.
const SEGMENT_EVERY: Duration = Duration::from_secs(300);

/// Records packs until there are no more; then writes the last segment.
///
/// A run that has stopped still lists what is stored: the next run need not store it again.
pub(super) fn run(shared: &Shared, from: &Receiver<IndexedPack>) {
    let mut waiting = Vec::new();
    let mut last = Instant::now();
    loop {
        match from.recv_timeout(Duration::from_millis(200)) {
            Ok(pack) => {
                if let Err(error) = shared.repository.index().record_pack(&pack) {
                    shared.fail(error);
                }
                waiting.push(pack);
            }
            Err(RecvTimeoutError::Timeout) if shared.is_stopped() => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let blobs: usize = waiting.iter().map(|pack| pack.footer.blobs.len()).sum();
        let wanted = shared.listing.is_wanted(waiting.len());
        let due = wanted || blobs >= SEGMENT_BLOBS || last.elapsed() >= SEGMENT_EVERY;
        if shared.dry_run || !due {
            continue;
        }
        last = Instant::now();
        let before = waiting.len();
        let put = shared.repository.put_segments(&mut waiting, false);
        match put.and_then(|()| shared.session.beat()) {
            Ok(()) => shared.listing.listed(before - waiting.len()),
            Err(error) => shared.fail(error),
        }
    }
    if let Err(error) = finish(shared, &mut waiting) {
        shared.fail(error);
    }
    // What is stored and in no segment is for the next run of this process to list.
    shared.repository.give_back(waiting);
    // Uploads that end after a stop are not listed; nobody may wait for room in the channel.
    for _ in from {}
}

/// The last segment: what waits, and packs that were found without a listing.
fn finish(shared: &Shared, waiting: &mut Vec<IndexedPack>) -> Result<()> {
    if shared.dry_run {
        return Ok(());
    }
    shared.repository.put_segments(waiting, false)?;
    let repository = &shared.repository;
    if repository.index().has_lost_listings() {
        // The loss may have been met only while this run was under way.
        repository.adopt_unlisted_packs()?;
    }
    *waiting = repository.take_adopted();
    // A station may have stored them, and nobody has looked whether they hold what they say.
    repository.put_segments(waiting, repository.config().has_stations())?;
    repository.index().note_lost_listings(false)
}
