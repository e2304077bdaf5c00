//! Which packs exist, by number: small enough to be in memory whole.
use super::tables::{KnownPack, Refers};
use crate::id::{PackId, SegmentId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The packs that segments list, less those that tombstones bury, and this session's own.
#[derive(Default)]
pub(super) struct PackList {
    known: Vec<KnownPack>,
    numbers: HashMap<PackId, u32>,
    pub(super) segments: BTreeMap<SegmentId, Refers>,
    listed: HashSet<u32>,
    /// Those of them that somebody vouches for who may be relied on.
    vouched: HashSet<u32>,
    buried: HashSet<PackId>,
    /// Packs of this process that no segment lists yet.
    own: HashSet<u32>,
    /// Packs that no segment lists, found by this process, and that anybody may have stored.
    found: HashSet<u32>,
    /// Packs that a sweeper has marked: readable, and never to be relied on by what is written.
    condemned: HashSet<PackId>,
    /// Packs that the store has lost, wholly or in part, and that nothing can be built on.
    unsound: HashSet<PackId>,
}

impl PackList {
    pub(super) fn load(known: Vec<KnownPack>, segments: BTreeMap<SegmentId, Refers>) -> Self {
        let numbers = known.iter().enumerate().map(|(n, pack)| (pack.id, number(n))).collect();
        let mut list = PackList { known, numbers, segments, ..PackList::default() };
        list.settle();
        list
    }

    /// The pack's number; a new one for a pack that has none.
    pub(super) fn number_of(&mut self, pack: KnownPack) -> (u32, bool) {
        if let Some(known) = self.numbers.get(&pack.id) {
            return (*known, false);
        }
        let new = number(self.known.len());
        self.known.push(pack);
        self.numbers.insert(pack.id, new);
        (new, true)
    }

    pub(super) fn add_segment(&mut self, id: SegmentId, refers: Refers) {
        self.listed.extend(&refers.packs);
        if !refers.is_hearsay {
            self.vouched.extend(&refers.packs);
        }
        self.buried.extend(&refers.tombstones);
        self.segments.insert(id, refers);
    }

    /// Forgets segments; how many packs nobody lists any more that nobody buried.
    pub(super) fn drop_segments(&mut self, gone: &[SegmentId]) -> usize {
        let listed = self.live_packs().count();
        let buried: HashSet<PackId> = self.buried.clone();
        for id in gone {
            self.segments.remove(id);
        }
        self.settle();
        // What a lost tombstone buried does not come back as if it had always been listed.
        let risen = self.live_packs().filter(|pack| buried.contains(&pack.id)).count();
        (listed + risen).saturating_sub(self.live_packs().count())
    }

    fn settle(&mut self) {
        self.listed = self.segments.values().flat_map(|refers| &refers.packs).copied().collect();
        let vouched = self.segments.values().filter(|refers| !refers.is_hearsay);
        self.vouched = vouched.flat_map(|refers| &refers.packs).copied().collect();
        let buried = self.segments.values().flat_map(|refers| &refers.tombstones);
        self.buried = buried.copied().collect();
    }

    pub(super) fn add_own(&mut self, pack: u32) {
        self.own.insert(pack);
    }

    pub(super) fn add_found(&mut self, pack: u32) {
        self.found.insert(pack);
    }

    pub(super) fn set_condemned(&mut self, packs: HashSet<PackId>) {
        self.condemned = packs;
    }

    pub(super) fn set_unsound(&mut self, packs: HashSet<PackId>) {
        self.unsound = packs;
    }

    /// Whether any live pack is not to be relied on.
    pub(super) fn has_unreliable(&self) -> bool {
        let both = self.condemned.iter().chain(&self.unsound);
        both.into_iter().any(|id| self.live_by_id(id).is_some())
            || self.listed.iter().chain(&self.found).any(|pack| self.is_hearsay(*pack))
    }

    /// Whether the pack can be read, and is known from nobody who may be relied on.
    fn is_hearsay(&self, pack: u32) -> bool {
        !self.vouched.contains(&pack) && !self.own.contains(&pack) && self.live(pack).is_some()
    }

    pub(super) fn is_buried(&self, id: &PackId) -> bool {
        self.buried.contains(id)
    }

    /// The pack, if blobs may be read from it.
    pub(super) fn live(&self, pack: u32) -> Option<&KnownPack> {
        let known = self.known.get(pack as usize)?;
        let standing = [&self.listed, &self.own, &self.found];
        let stands = standing.into_iter().any(|packs| packs.contains(&pack));
        (stands && !self.buried.contains(&known.id)).then_some(known)
    }

    pub(super) fn live_by_id(&self, id: &PackId) -> Option<&KnownPack> {
        self.live(*self.numbers.get(id)?)
    }

    /// Whether what is written now may rely on the pack.
    pub(super) fn is_reliable(&self, pack: u32) -> bool {
        let is_vouched = self.vouched.contains(&pack) || self.own.contains(&pack);
        self.live(pack).filter(|_| is_vouched).is_some_and(|known| {
            !self.condemned.contains(&known.id) && !self.unsound.contains(&known.id)
        })
    }

    pub(super) fn live_packs(&self) -> impl Iterator<Item = &KnownPack> {
        (0..self.known.len()).filter_map(|n| self.live(number(n)))
    }
}

fn number(position: usize) -> u32 {
    u32::try_from(position).expect("because four thousand million packs are 128 PiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;
    use crate::pack::{PackHeader, PackKind};

    fn pack(n: u8) -> KnownPack {
        let header = PackHeader {
            kind: PackKind::Data,
            session: SessionId::from_bytes([n; 16]),
            salt: [0; 32],
            encapsulated: [0; 32],
            committed: [0; 32],
        };
        KnownPack { id: PackId::from_bytes([n; 32]), header, pack_len: 1 }
    }

    fn segment(n: u8) -> SegmentId {
        SegmentId::from_bytes([n; 32])
    }

    #[test]
    fn a_pack_is_live_while_some_segment_lists_it_and_no_tombstone_buries_it() {
        let mut list = PackList::default();
        let (first, new) = list.number_of(pack(1));
        assert!(new && list.live(first).is_none(), "a number alone is no life");
        let lists_it = Refers { packs: vec![first], ..Refers::default() };
        list.add_segment(segment(1), lists_it.clone());
        list.add_segment(segment(2), lists_it);
        list.drop_segments(&[segment(1)]);
        assert!(list.live(first).is_some(), "another segment lists it");
        let buries_it = Refers { tombstones: vec![pack(1).id], ..Refers::default() };
        list.add_segment(segment(3), buries_it);
        assert!(list.live(first).is_none());
        list.add_own(first);
        assert!(list.live(first).is_none(), "buried stays buried");
    }

    #[test]
    fn what_is_known_from_hearsay_is_read_and_not_relied_on_until_somebody_vouches_for_it() {
        let mut list = PackList::default();
        let (first, _) = list.number_of(pack(1));
        let (second, _) = list.number_of(pack(2));
        list.add_found(first);
        let hearsay = Refers { packs: vec![second], is_hearsay: true, ..Refers::default() };
        list.add_segment(segment(1), hearsay);
        for number in [first, second] {
            assert!(list.live(number).is_some() && !list.is_reliable(number));
        }
        assert!(list.has_unreliable());
        let vouched = Refers { packs: vec![first, second], ..Refers::default() };
        list.add_segment(segment(2), vouched);
        assert!(list.is_reliable(first) && list.is_reliable(second) && !list.has_unreliable());
        list.drop_segments(&[segment(2)]);
        assert!(list.live(second).is_some() && !list.is_reliable(second));
    }

    #[test]
    fn a_condemned_pack_is_read_and_not_relied_on() {
        let mut list = PackList::default();
        let (first, _) = list.number_of(pack(1));
        list.add_own(first);
        list.set_condemned([pack(1).id].into());
        assert!(list.live(first).is_some() && !list.is_reliable(first));
        assert!(list.has_unreliable());
        list.set_condemned(HashSet::new());
        assert!(list.is_reliable(first) && !list.has_unreliable());
        list.set_unsound([pack(1).id].into());
        assert!(list.live(first).is_some() && !list.is_reliable(first) && list.has_unreliable());
    }
}
