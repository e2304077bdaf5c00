//! Segments that say of packs what is not so: no wrong byte, a precise sentence, and they are replaced.
use crate::station_scene::{Place, checked, claim, packs_of, phone, prune_all};
use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckReport, preflight};
use devsnap_engine::codec::Decoder;
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::id::{PackId, RepositoryId};
use devsnap_engine::index::{IndexSegment, IndexedPack};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::restore::{RestoreOptions, restore};
use devsnap_engine::seal::{Keys, Slot};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::TestRepository;
use devsnap_testkit::test_repository::{Held, PASSWORD, held, held_by_disk};
use std::path::Path;

/// What who holds the password may sign with software of their own.
fn full_keys(place: &Place) -> Keys {
    let config = place.memory.list(ObjectKind::Config, "").next();
    let config = config.expect("because there is one").expect("because memory answers").key;
    let config = place.memory.get_whole(&config, 1 << 20).expect("because memory answers");
    // Magic (8), version, suite, zero (4), repository (16), number (8); then the slots.
    let repository = RepositoryId::from_bytes(config[12..28].try_into().expect("16 bytes"));
    let slots = Decoder::new(&config[36..]).bytes(1 << 20, "slots").expect("because it is whole");
    let slots: Vec<Slot> = rmp_serde::from_slice(slots).expect("because it is whole");
    let opened = slots.iter().find_map(|slot| slot.open(repository, PASSWORD).ok());
    opened.expect("because the password opens one").keys(repository).expect("because it is whole")
}

fn put_segment(place: &Place, keys: &Keys, segment: &IndexSegment) -> ObjectKey {
    let object = segment.seal(keys).expect("because it is short");
    let key = ObjectKey::new(ObjectKind::IndexSegment, blake3::hash(&object).to_hex().as_str());
    place.memory.put(&key, Body::Bytes(object.into())).expect("because memory answers");
    key
}

/// Ways of saying of a pack what is not so.
fn lies_about(pack: &IndexedPack) -> Vec<(&'static str, IndexedPack)> {
    let mut places = pack.clone();
    let blobs = &mut places.footer.blobs;
    let last = blobs.len() - 1;
    (blobs[0].id, blobs[last].id) = (blobs[last].id, blobs[0].id);
    let mut fewer = pack.clone();
    fewer.footer.blobs.pop();
    let mut longer = pack.clone();
    longer.pack_len += 64 << 10;
    let mut header = pack.clone();
    header.header.salt[0] ^= 1;
    vec![("wrong places", places), ("too few", fewer), ("its length", longer), ("its key", header)]
}

fn segments(place: &Place) -> Vec<ObjectKey> {
    let listed = place.memory.list(ObjectKind::IndexSegment, "");
    listed.map(|found| found.expect("because memory answers").key).collect()
}

fn names(report: &CheckReport, segment: &ObjectKey, pack: &PackId) -> bool {
    report.findings.iter().any(|finding| {
        finding.sentence.contains(&segment.name()[..8]) && finding.sentence.contains(&pack.short())
    })
}

/// What a restore brings back on a computer that knows nothing.
fn restored(place: &Place, snapshot: &Snapshot, why: &str) -> Held {
    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let repository = elsewhere.open().expect(why);
    let folder = tempfile::tempdir().expect(why);
    let target = FolderTarget::open(folder.path(), &TargetOptions::default()).expect(why);
    let options = RestoreOptions::default();
    restore(&repository, snapshot, &target, &options, &Silent, &Interrupt::new()).expect(why);
    held_by_disk(folder.path())
}

/// On a computer that knows nothing.
fn assert_whole(place: &Place, snapshot: &Snapshot, folder: &Path, why: &str) {
    let repository = TestRepository::existing(place.here.backend.clone()).open().expect(why);
    let needs = preflight(&repository, snapshot, &Silent, &Interrupt::new()).expect(why);
    assert!(needs.is_whole(), "{why}: {needs:?}");
    assert_eq!(held(&repository, snapshot).expect(why), held_by_disk(folder), "{why}");
    let found = checked(&repository, Some(100));
    assert!(found.findings.is_empty(), "{why}: {:?}", found.findings);
}

#[test]
fn a_full_keys_segment_that_alone_lists_a_pack_and_lies_is_named_and_replaced_by_a_check() {
    for which in 0..4 {
        for with_stations in [false, true] {
            let place = Place::new();
            let folder = phone(41);
            let made = place.here.snapshot(folder.path()).unwrap().named.snapshot;
            if with_stations {
                place.station("hall");
            }
            let repository = place.here.open().unwrap();
            let packs = packs_of(&repository, &place, &made);
            drop(repository);
            let (how, lie) = lies_about(&packs[0]).swap_remove(which);
            let why = format!("{how}, stations: {with_stations}");
            // What the true segments say of all other packs is listed beside the lie.
            let keys = full_keys(&place);
            let mut said = IndexSegment::default();
            for key in segments(&place) {
                let object = place.memory.get_whole(&key, 1 << 24).unwrap();
                let public = keys.signer.public();
                let known = |p: &[u8; 32]| (*p == public).then(|| keys.signer.writer());
                said.packs.extend(IndexSegment::open(&keys, &object, known).unwrap().1.packs);
                place.memory.remove(&key).unwrap();
            }
            said.packs.retain(|pack| pack.id != lie.id);
            said.packs.push(lie.clone());
            let segment = put_segment(&place, &keys, &said);

            let elsewhere = TestRepository::existing(place.here.backend.clone());
            let repository = elsewhere.open().unwrap();
            let found = checked(&repository, Some(100));
            assert!(found.is_damaged(), "{why}");
            assert!(names(&found, &segment, &lie.id), "{why}: {:?}", found.findings);
            assert_eq!(found.replaced_segments, 1, "{why}");
            assert!(!segments(&place).contains(&segment), "{why}");
            // Here too, where its rows were taken over.
            assert_eq!(held(&repository, &made).expect(&why), held_by_disk(folder.path()), "{why}");
            assert_whole(&place, &made, folder.path(), &why);
        }
    }
}

#[test]
fn where_two_segments_say_different_things_of_a_pack_the_pack_is_asked() {
    for which in 0..4 {
        let place = Place::new();
        let folder = phone(42);
        let made = place.here.snapshot(folder.path()).unwrap().named.snapshot;
        let repository = place.here.open().unwrap();
        let packs = packs_of(&repository, &place, &made);
        drop(repository);
        let (why, lie) = lies_about(&packs[0]).swap_remove(which);
        let keys = full_keys(&place);
        let lying = IndexSegment { packs: vec![lie.clone()], ..IndexSegment::default() };
        let segment = put_segment(&place, &keys, &lying);

        assert_eq!(restored(&place, &made, why), held_by_disk(folder.path()), "{why}");
        let elsewhere = TestRepository::existing(place.here.backend.clone());
        let repository = elsewhere.open().unwrap();
        assert_eq!(held(&repository, &made).expect(why), held_by_disk(folder.path()), "{why}");
        let found = checked(&repository, None);
        assert!(names(&found, &segment, &lie.id), "{why}: {:?}", found.findings);
        assert!(segments(&place).contains(&segment), "{why}: this only looks");
        // Nobody builds on a pack of which nobody knows what it holds, and all is stored again.
        let second = TestRepository::existing(place.here.backend.clone());
        let again = second.snapshot(folder.path()).unwrap().named.snapshot;
        let report = prune_all(&repository).unwrap();
        assert!(report.healed_segments > 0, "{why}");
        assert!(!segments(&place).contains(&segment), "{why}");
        for snapshot in [made, again] {
            assert_whole(&place, &snapshot, folder.path(), why);
        }
    }
}

#[test]
fn what_one_station_says_of_anothers_pack_is_found_and_goes_with_the_next_prune() {
    for which in 0..4 {
        for liar_first in [false, true] {
            let place = Place::new();
            let (hall, attic) = (place.station("hall"), place.station("attic"));
            let folder = phone(43);
            let made = hall.snapshot(folder.path()).snapshot;
            let repository = place.here.open().unwrap();
            let packs = packs_of(&repository, &place, &made);
            drop(repository);
            let (how, lie) = lies_about(&packs[0]).swap_remove(which);
            let why = format!("{how}, the liar first: {liar_first}");
            let true_ones = segments(&place);
            let lying = IndexSegment { packs: vec![lie.clone()], ..IndexSegment::default() };
            let elsewhere = TestRepository::existing(place.here.backend.clone());
            let said: Vec<_> =
                true_ones.iter().map(|k| place.memory.get_whole(k, 1 << 24).unwrap()).collect();
            if liar_first {
                true_ones.iter().for_each(|key| place.memory.remove(key).unwrap());
            }
            claim(&place, &attic, &lying);
            if liar_first {
                elsewhere.open().unwrap();
                let back = true_ones.iter().zip(said);
                back.for_each(|(key, bytes)| place.memory.replace(key, bytes));
            }
            let liars: Vec<_> =
                segments(&place).into_iter().filter(|key| !true_ones.contains(key)).collect();

            assert_eq!(restored(&place, &made, &why), held_by_disk(folder.path()), "{why}");
            let repository = elsewhere.open().unwrap();
            assert_eq!(held(&repository, &made).expect(&why), held_by_disk(folder.path()), "{why}");
            let found = checked(&repository, None);
            assert!(names(&found, &liars[0], &lie.id), "{why}: {:?}", found.findings);
            assert!(found.findings.iter().any(|f| f.sentence.contains("attic")), "{why}");
            prune_all(&repository).unwrap();
            assert!(!segments(&place).contains(&liars[0]), "{why}");
            assert_eq!(held(&repository, &made).expect(&why), held_by_disk(folder.path()), "{why}");
            assert_whole(&place, &made, folder.path(), &why);
            // The honest one builds on its own as before.
            assert_eq!(hall.snapshot(folder.path()).snapshot.totals.added_bytes, 0, "{why}");
        }
    }
}

#[test]
fn a_pack_that_was_swapped_for_another_makes_no_liar_of_the_index() {
    let place = Place::new();
    let folder = phone(44);
    let made = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let other = place.here.snapshot(phone(45).path()).unwrap().named.snapshot;
    let repository = place.here.open().unwrap();
    let key = |snapshot: &Snapshot| {
        let pack = packs_of(&repository, &place, snapshot).swap_remove(0);
        ObjectKey::new(ObjectKind::DataPack, pack.id.to_hex())
    };
    let (one, two) = (key(&made), key(&other));
    let whole = [&one, &two].map(|key| place.memory.get_whole(key, 1 << 26).unwrap());
    place.memory.replace(&one, whole[1].clone());
    place.memory.replace(&two, whole[0].clone());
    let before = segments(&place);
    let found = checked(&repository, Some(100));
    assert!(found.is_damaged() && found.replaced_segments == 0, "{:?}", found.findings);
    assert_eq!(segments(&place), before);
    // Whoever brings them back has lost nothing.
    place.memory.replace(&one, whole[0].clone());
    place.memory.replace(&two, whole[1].clone());
    assert_whole(&place, &made, folder.path(), "they are back");
}
