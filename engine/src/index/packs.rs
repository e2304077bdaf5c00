//! Which packs exist, by number: small enough to be in memory whole.
use super::tables::{KnownPack, Refers, Said};
use crate::id::{PackId, SegmentId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The packs that segments list, less those that tombstones bury, and this session's own.
///
/// Each *saying* of a pack has a number of its own, and so rows of its own: what a station says of a
/// pack, or a segment that lies, changes nothing of what others say. All that say the same share one.
#[derive(Default)]
pub(super) struct PackList {
    known: Vec<KnownPack>,
    /// The numbers of each pack: one for each saying.
    sayings: HashMap<PackId, Vec<u32>>,
    /// What packs say of themselves, as far as somebody read them from end to end to settle a dispute.
    own_words: HashMap<PackId, Said>,
    pub(super) segments: BTreeMap<SegmentId, Refers>,
    listed: HashSet<u32>,
    buried: HashSet<PackId>,
    /// Packs of this process that no segment lists yet: stored, or found.
    own: HashSet<u32>,
    /// Packs that a sweeper has marked: readable, and never to be relied on by what is written.
    condemned: HashSet<PackId>,
    /// Packs that the store has lost, wholly or in part, and that nothing can be built on.
    unsound: HashSet<PackId>,
}

impl PackList {
    pub(super) fn load(known: Vec<KnownPack>, segments: BTreeMap<SegmentId, Refers>) -> Self {
        let mut list = PackList { segments, ..PackList::default() };
        for pack in known {
            list.sayings.entry(pack.id).or_default().push(number(list.known.len()));
            list.known.push(pack);
        }
        list.settle();
        list
    }

    /// The number of what is said of a pack; a new one for what nobody has said before.
    pub(super) fn number_of(&mut self, pack: KnownPack) -> (u32, bool) {
        let new = number(self.known.len());
        let sayings = self.sayings.entry(pack.id).or_default();
        let same = sayings.iter().find(|number| self.known.get(**number as usize) == Some(&pack));
        if let Some(same) = same {
            return (*same, false);
        }
        sayings.push(new);
        self.known.push(pack);
        (new, true)
    }

    pub(super) fn add_segment(&mut self, id: SegmentId, refers: Refers) {
        self.listed.extend(&refers.packs);
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
        let buried = self.segments.values().flat_map(|refers| &refers.tombstones);
        self.buried = buried.copied().collect();
    }

    pub(super) fn add_own(&mut self, pack: u32) {
        self.own.insert(pack);
    }

    pub(super) fn set_condemned(&mut self, packs: HashSet<PackId>) {
        self.condemned = packs;
    }

    pub(super) fn add_condemned(&mut self, packs: impl IntoIterator<Item = PackId>) {
        self.condemned.extend(packs);
    }

    pub(super) fn set_unsound(&mut self, packs: HashSet<PackId>) {
        self.unsound = packs;
    }

    /// Whether any live pack is not to be relied on. Hearsay counts even where somebody else
    /// vouches for the pack: what a station has built rests on what it said.
    pub(super) fn has_unreliable(&self) -> bool {
        let both = self.condemned.iter().chain(&self.unsound);
        both.into_iter().any(|id| self.live_by_id(id).is_some())
            || self.listed.iter().chain(&self.own).any(|pack| self.is_hearsay(*pack))
            || !self.contradicted().is_empty()
            || !self.disputed().is_empty()
    }

    /// Whether the number is that of a live pack as nobody knows it who may be relied on.
    pub(super) fn is_hearsay(&self, pack: u32) -> bool {
        self.live(pack).is_some_and(|known| known.is_hearsay)
    }

    /// Segments that say only what others vouch for: whoever knows those needs them no more.
    pub(super) fn superseded_hearsay(&self) -> Vec<SegmentId> {
        let vouched: HashSet<PackId> = self
            .listed
            .iter()
            .filter_map(|pack| self.known.get(*pack as usize))
            .filter(|known| !known.is_hearsay)
            .map(|known| known.id)
            .collect();
        let is_covered = |pack: &u32| {
            let known = self.known.get(*pack as usize).filter(|known| known.is_hearsay);
            known.is_some_and(|k| vouched.contains(&k.id) || self.buried.contains(&k.id))
                || self.is_contradicted(*pack)
        };
        let covered = |refers: &Refers| {
            !refers.packs.is_empty()
                && refers.tombstones.is_empty()
                && refers.packs.iter().all(is_covered)
        };
        self.segments.iter().filter(|(_, refers)| covered(refers)).map(|(id, _)| *id).collect()
    }

    /// Whether the store has lost the pack, wholly or in part.
    pub(super) fn is_unsound(&self, pack: u32) -> bool {
        self.known.get(pack as usize).is_some_and(|known| self.unsound.contains(&known.id))
    }

    pub(super) fn is_condemned(&self, id: &PackId) -> bool {
        self.condemned.contains(id)
    }

    /// One more than the highest number.
    pub(super) fn numbers(&self) -> u32 {
        number(self.known.len())
    }

    pub(super) fn is_buried(&self, id: &PackId) -> bool {
        self.buried.contains(id)
    }

    pub(super) fn buried(&self) -> usize {
        self.buried.len()
    }

    /// The pack, if blobs may be read from it.
    pub(super) fn live(&self, pack: u32) -> Option<&KnownPack> {
        let known = self.known.get(pack as usize)?;
        let stands = self.listed.contains(&pack) || self.own.contains(&pack);
        (stands && !self.buried.contains(&known.id)).then_some(known)
    }

    /// What counts of the pack's live sayings; best: not contradicted by the pack itself, and vouched for.
    fn best(&self, id: &PackId) -> Option<u32> {
        let live =
            self.sayings.get(id)?.iter().copied().filter(|number| self.live(*number).is_some());
        live.min_by_key(|number| (self.is_contradicted(*number), self.is_hearsay(*number), *number))
    }

    /// As somebody vouches for it, if anybody does.
    pub(super) fn live_by_id(&self, id: &PackId) -> Option<&KnownPack> {
        self.best(id).and_then(|number| self.live(number))
    }

    /// The live pack of this number, unless another saying of the same pack is better. Of several that
    /// are as good, nobody knows which is right: all count.
    pub(super) fn counted(&self, pack: u32) -> Option<&KnownPack> {
        let known = self.live(pack)?;
        let best = self.best(&known.id)?;
        let is_as_good = self.is_contradicted(best) == self.is_contradicted(pack)
            && self.is_hearsay(best) == known.is_hearsay;
        is_as_good.then_some(known)
    }

    /// Whether what is written now may rely on the pack, as this number says what it is.
    pub(super) fn is_reliable(&self, pack: u32) -> bool {
        self.live(pack).filter(|known| !known.is_hearsay).is_some_and(|known| {
            !self.condemned.contains(&known.id)
                && !self.unsound.contains(&known.id)
                && !self.is_contradicted(pack)
                && !self.is_disputed(&known.id)
        })
    }

    /// Notes what a pack says of itself: whoever says something else of it is wrong.
    pub(super) fn set_own_word(&mut self, id: PackId, said: Said) {
        self.own_words.insert(id, said);
    }

    pub(super) fn has_own_word(&self, id: &PackId) -> bool {
        self.own_words.contains_key(id)
    }

    /// Whether the pack itself says something else.
    pub(super) fn is_contradicted(&self, pack: u32) -> bool {
        self.known.get(pack as usize).is_some_and(|known| {
            self.own_words.get(&known.id).is_some_and(|own| *own != known.said)
        })
    }

    /// Whether several sayings of the pack count, and only one can be right.
    pub(super) fn is_disputed(&self, id: &PackId) -> bool {
        let sayings = self.sayings.get(id).map_or(&[][..], Vec::as_slice);
        sayings.len() > 1 && sayings.iter().filter(|n| self.counted(**n).is_some()).count() > 1
    }

    /// What is said of each disputed pack.
    pub(super) fn disputed(&self) -> Vec<Vec<KnownPack>> {
        let several = self.sayings.iter().filter(|(_, sayings)| sayings.len() > 1);
        let disputed = several.filter(|(id, _)| self.is_disputed(id));
        disputed.map(|(id, _)| self.counted_of(id)).collect()
    }

    /// What counts of one pack.
    pub(super) fn counted_of(&self, id: &PackId) -> Vec<KnownPack> {
        let sayings = self.sayings.get(id).map_or(&[][..], Vec::as_slice);
        sayings.iter().filter_map(|number| self.counted(*number).copied()).collect()
    }

    /// The segments that say of packs what those do not say of themselves.
    pub(super) fn contradicted(&self) -> Vec<(SegmentId, Vec<PackId>)> {
        if self.own_words.is_empty() {
            return Vec::new();
        }
        let lies = |refers: &Refers| -> Vec<PackId> {
            let wrong = refers.packs.iter().filter(|pack| self.is_contradicted(**pack));
            wrong.filter_map(|pack| self.live(*pack).map(|known| known.id)).collect()
        };
        let segments = self.segments.iter().map(|(id, refers)| (*id, lies(refers)));
        segments.filter(|(_, lies)| !lies.is_empty()).collect()
    }

    /// Each pack once.
    pub(super) fn live_packs(&self) -> impl Iterator<Item = &KnownPack> {
        let numbers = (0..self.known.len()).map(number);
        numbers.filter_map(|n| self.live(n).filter(|known| self.best(&known.id) == Some(n)))
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
        let id = PackId::from_bytes([n; 32]);
        KnownPack { id, header, pack_len: 1, said: [0; 16], is_hearsay: false }
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
        let hearsay = |n| KnownPack { is_hearsay: true, pack_len: 7, ..pack(n) };
        let (first, _) = list.number_of(hearsay(1));
        let (second, _) = list.number_of(hearsay(2));
        list.add_own(first);
        list.add_segment(segment(1), Refers { packs: vec![second], ..Refers::default() });
        for number in [first, second] {
            assert!(list.live(number).is_some() && !list.is_reliable(number));
        }
        assert!(list.has_unreliable() && list.superseded_hearsay().is_empty());
        let (vouched, new) = list.number_of(pack(2));
        assert!(new, "what a station said of it stays apart");
        list.add_segment(segment(2), Refers { packs: vec![vouched], ..Refers::default() });
        assert!(list.is_reliable(vouched) && !list.is_reliable(second));
        assert_eq!(list.live_by_id(&pack(2).id), Some(&pack(2)), "and its length is the right one");
        assert_eq!(list.live_packs().filter(|known| known.id == pack(2).id).count(), 1);
        assert!(list.counted(second).is_none() && list.counted(first).is_some());
        assert_eq!(list.superseded_hearsay(), [segment(1)]);
        list.drop_segments(&[segment(1)]);
        assert!(list.has_unreliable(), "the first is still hearsay");
        list.drop_segments(&[segment(2)]);
        assert!(list.live_by_id(&pack(2).id).is_none());
    }

    #[test]
    fn of_two_sayings_neither_is_relied_on_until_the_pack_itself_was_asked() {
        let mut list = PackList::default();
        let (right, _) = list.number_of(pack(1));
        let (wrong, new) = list.number_of(KnownPack { said: [9; 16], ..pack(1) });
        assert!(new);
        for (n, number) in [(1, right), (2, wrong)] {
            list.add_segment(segment(n), Refers { packs: vec![number], ..Refers::default() });
        }
        let id = pack(1).id;
        assert!(list.is_disputed(&id) && list.has_unreliable() && list.live_packs().count() == 1);
        assert!([right, wrong].iter().all(|n| list.counted(*n).is_some() && !list.is_reliable(*n)));
        assert_eq!(list.counted_of(&id).len(), 2);
        list.set_own_word(id, pack(1).said);
        assert!(!list.is_disputed(&id) && list.is_reliable(right) && !list.is_reliable(wrong));
        assert!(list.counted(right).is_some() && list.counted(wrong).is_none());
        assert_eq!(list.contradicted(), [(segment(2), vec![id])]);
        list.drop_segments(&[segment(2)]);
        assert!(list.contradicted().is_empty() && !list.has_unreliable());
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
