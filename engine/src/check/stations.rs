//! Packs that only stations speak for: looked into, and vouched for once all of them was read.
use super::census::{PackOf, Packs};
use super::data::is_loss;
use super::{CheckReport, Severity};
use crate::backend::ObjectKey;
use crate::error::Result;
use crate::id::{BlobId, SessionId};
use crate::index::{IndexedPack, KnownPack};
use crate::interrupt::Interrupt;
use crate::pack::{BlockEntry, PackKind};
use crate::repository::{Repository, SEGMENT_BLOBS};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The packs of a repository, and those of stations that were read and found to hold what they say.
pub(super) struct StoredPacks<'a> {
    repository: &'a Repository,
    sound: Mutex<Sound>,
    /// Whether segments were listed once more.
    is_level: AtomicBool,
}

#[derive(Default)]
struct Sound {
    /// Read, and not yet in a segment of ours.
    waiting: Vec<IndexedPack>,
    /// In those.
    blobs: usize,
    vouched: u64,
}

impl<'a> StoredPacks<'a> {
    pub(super) fn of(repository: &'a Repository) -> Self {
        StoredPacks { repository, sound: Mutex::default(), is_level: AtomicBool::new(false) }
    }

    fn sound(&self) -> MutexGuard<'_, Sound> {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists what was found sound in segments of our own: everybody may rely on it from now on. How
    /// many packs that were.
    ///
    /// # Errors
    ///
    /// What storing meets.
    pub(super) fn vouch(&self) -> Result<u64> {
        let mut sound = self.sound();
        sound.list(self.repository)?;
        Ok(sound.vouched)
    }
}

impl Sound {
    fn list(&mut self, repository: &Repository) -> Result<()> {
        let packs = self.waiting.len() as u64;
        repository.vouch_for(std::mem::take(&mut self.waiting))?;
        self.vouched += packs;
        self.blobs = 0;
        Ok(())
    }
}

impl Packs for StoredPacks<'_> {
    fn indexed(&self) -> Result<Vec<PackOf>> {
        Ok(self.repository.index().live_packs().iter().map(PackOf::of).collect())
    }

    fn listed(&self) -> Result<Vec<PackOf>> {
        let mut packs = Vec::new();
        for kind in [PackKind::Meta, PackKind::Data] {
            for listed in self.repository.backend().list(kind.object_kind(), "") {
                let listed = listed?;
                // What has no pack's name is nobody's.
                if let Ok(id) = listed.key.name().parse() {
                    let known = self.repository.index().live_pack(&id);
                    if known.is_some_and(|known| known.pack_len != listed.size_bytes) {
                        // It may be the index that is wrong.
                        self.repository.ask(kind, &id, listed.size_bytes)?;
                    }
                    packs.push(PackOf { id, kind, size_bytes: listed.size_bytes });
                }
            }
        }
        Ok(packs)
    }

    fn is_still_indexed(&self, pack: &PackOf) -> Result<bool> {
        if !self.is_level.swap(true, Ordering::Relaxed) {
            self.repository.level_index()?;
        }
        let known = self.repository.index().live_pack(&pack.id);
        Ok(known.is_some_and(|known| PackOf::of(&known) == *pack))
    }

    fn contents(&self, pack: &PackOf) -> Result<IndexedPack> {
        let key = ObjectKey::new(pack.kind.object_kind(), pack.id.to_hex());
        let own = self.repository.read_pack_list(&key, pack.size_bytes)?;
        self.repository.compare_with_index(&own)?;
        Ok(own)
    }

    fn read_blocks(&self, pack: &PackOf, blocks: &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>> {
        self.repository.read_blocks(pack.kind, &pack.id, blocks)
    }

    fn note_sound(&self, pack: IndexedPack) -> Result<()> {
        let index = self.repository.index();
        // Forgotten the next time it is checked.
        let _ = index.note_damaged(&pack.id, false);
        if !index.live_pack(&pack.id).is_some_and(|known| known.is_hearsay) {
            return Ok(());
        }
        let mut sound = self.sound();
        sound.blobs += pack.footer.blobs.len();
        sound.waiting.push(pack);
        if sound.blobs >= SEGMENT_BLOBS { sound.list(self.repository) } else { Ok(()) }
    }

    fn verify(&self, kind: PackKind, id: &BlobId, plain: &[u8]) -> Result<()> {
        self.repository.verify_named(kind, id, plain)
    }
}

/// Opens one block of one pack of each session that only a station speaks for: one that seals to a
/// wrong key stores what nobody can ever read, and does not notice.
pub(super) fn check(
    repository: &Repository,
    report: &mut CheckReport,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut sessions: BTreeMap<SessionId, KnownPack> = BTreeMap::new();
    for pack in repository.index().live_packs().into_iter().filter(|pack| pack.is_hearsay) {
        let smallest = sessions.entry(pack.header.session).or_insert(pack);
        if pack.pack_len < smallest.pack_len {
            *smallest = pack;
        }
    }
    report.hearsay_sessions = sessions.len() as u64;
    let packs = StoredPacks::of(repository);
    let mut bad = Vec::new();
    for (session, pack) in sessions {
        interrupt.check()?;
        match open_one(&packs, &PackOf::of(&pack)) {
            Ok(()) => {}
            // Whether a pack is there is asked elsewhere.
            Err(error) if is_loss(&error) => bad.push(format!(
                "session {} of a station: its pack {} does not open, so perhaps none of them does: \
                 {error:?}",
                session.short(),
                pack.id.short()
            )),
            Err(error) => return Err(error),
        }
    }
    report.find_many(Severity::Damage, bad);
    Ok(())
}

fn open_one(packs: &StoredPacks<'_>, pack: &PackOf) -> Result<()> {
    let contents = packs.contents(pack)?;
    let blocks = (0u32..).zip(contents.footer.blocks);
    let first = blocks.into_iter().find(|(_, block)| block.stored_len > 0);
    first.map_or(Ok(()), |block| packs.read_blocks(pack, &[block]).map(|_| ()))
}
