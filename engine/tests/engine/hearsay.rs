//! What only a station says is stored: it is read, and nobody depends on it.
use crate::station_scene::{
    Place, checked, claim, lose_packs_of, packs_of, phone, prune_all, snapshot_id,
};
use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
use devsnap_engine::id::PackId;
use devsnap_engine::index::IndexSegment;
use devsnap_engine::interrupt::Interrupt;
use devsnap_testkit::test_repository::{TestRepository, held, held_by_disk};

#[test]
fn nobody_builds_on_what_a_station_says_is_stored() {
    let place = Place::new();
    let (hall, attic) = (place.station("hall"), place.station("attic"));
    let folder = phone(7);
    let theirs = hall.snapshot(folder.path()).snapshot;
    let full = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    assert!(full.parent.is_none() && full.totals.added_bytes > 1 << 20, "stored once more");
    // What a full key stored is good enough for a station.
    let third = attic.snapshot(folder.path()).snapshot;
    assert_eq!(third.totals.added_bytes, 0);

    assert!(lose_packs_of(&place, theirs.session) > 0);
    let repository = place.here.open().unwrap();
    for snapshot in [full, third] {
        assert_eq!(held(&repository, &snapshot).unwrap(), held_by_disk(folder.path()));
    }
}

#[test]
fn stations_do_not_build_on_each_other() {
    let place = Place::new();
    let (hall, attic) = (place.station("hall"), place.station("attic"));
    let folder = phone(8);
    let first = hall.snapshot(folder.path()).snapshot;
    let second = attic.snapshot(folder.path()).snapshot;
    assert!(second.parent.is_none() && second.totals.added_bytes > 1 << 20);
    assert!(lose_packs_of(&place, first.session) > 0);
    let repository = place.here.open().unwrap();
    assert_eq!(held(&repository, &second).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn packs_that_no_segment_lists_are_read_but_not_built_on_where_stations_write() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(9);
    let theirs = station.snapshot(folder.path()).snapshot;
    // The station never said what it stored; whoever runs next finds the packs themselves.
    for segment in place.memory.list(ObjectKind::IndexSegment, "") {
        place.memory.remove(&segment.unwrap().key).unwrap();
    }
    let full = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    assert!(full.totals.added_bytes > 1 << 20);
    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let repository = elsewhere.open().unwrap();
    assert_eq!(held(&repository, &theirs).unwrap(), held_by_disk(folder.path()), "still read");
    drop(repository);
    assert!(lose_packs_of(&place, theirs.session) > 0);
    let repository = elsewhere.open().unwrap();
    assert_eq!(held(&repository, &full).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn what_a_station_says_of_somebody_elses_pack_changes_nothing() {
    let place = Place::new();
    let station = place.station("hall");
    let (ours, theirs) = (phone(11), phone(12));
    let made = place.here.snapshot(ours.path()).unwrap().named.snapshot;
    let bait = station.snapshot(theirs.path()).snapshot;
    let repository = place.here.open().unwrap();
    let mut lies = packs_of(&repository, &place, &made);
    let wanted = packs_of(&repository, &place, &bait);
    drop(repository);
    // It says that a pack of ours holds what only it has stored, and then loses its own.
    let mut wanted = wanted.iter().flat_map(|pack| &pack.footer.blobs).map(|blob| blob.id);
    for blob in lies.iter_mut().flat_map(|pack| &mut pack.footer.blobs) {
        let Some(id) = wanted.next() else { break };
        blob.id = id;
    }
    claim(&place, &station, &IndexSegment { packs: lies, ..IndexSegment::default() });
    assert!(lose_packs_of(&place, bait.session) > 0);

    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let full = elsewhere.snapshot(theirs.path()).unwrap().named.snapshot;
    for computer in [&place.here, &elsewhere] {
        let repository = computer.open().unwrap();
        assert_eq!(held(&repository, &made).unwrap(), held_by_disk(ours.path()));
        assert_eq!(held(&repository, &full).unwrap(), held_by_disk(theirs.path()));
    }
    // Nor does a sweep take the place that counts for one that is only said to.
    let repository = elsewhere.open().unwrap();
    repository.forget(&[snapshot_id(&repository, &bait)], &Interrupt::new()).unwrap();
    prune_all(&repository).unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(ours.path()));
    assert_eq!(held(&repository, &full).unwrap(), held_by_disk(theirs.path()));
}

#[test]
fn what_a_station_stored_is_relied_on_once_a_full_key_has_read_it() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(13);
    let theirs = station.snapshot(folder.path()).snapshot;
    let repository = place.here.open().unwrap();
    let looked = checked(&repository, None);
    assert_eq!((looked.hearsay_sessions, looked.vouched_packs), (1, 0));
    assert!(!looked.is_damaged(), "{:?}", looked.findings);
    let read = checked(&repository, Some(100));
    assert!(read.vouched_packs > 0 && !read.is_damaged(), "{:?}", read.findings);
    assert_eq!(checked(&repository, Some(100)).vouched_packs, 0, "once is enough");
    drop(repository);

    let full = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!(full.totals.added_bytes, 0);
    // What the station said is needed no more, not even by the station.
    let repository = place.here.open().unwrap();
    assert!(prune_all(&repository).unwrap().merged_segments > 0);
    drop(repository);
    let again = station.snapshot(folder.path()).snapshot;
    assert_eq!(again.totals.added_bytes, 0);
    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let repository = elsewhere.open().unwrap();
    for snapshot in [theirs, full, again] {
        assert_eq!(held(&repository, &snapshot).unwrap(), held_by_disk(folder.path()));
    }
}

#[test]
fn of_what_only_stations_list_no_place_is_spare() {
    // Whichever of them a sweep would take for the one that counts: what is levelled first is.
    for liar_first in [false, true] {
        let place = Place::new();
        let (hall, attic) = (place.station("hall"), place.station("attic"));
        let folder = phone(15);
        let theirs = hall.snapshot(folder.path()).snapshot;
        let repository = place.here.open().unwrap();
        let stored = packs_of(&repository, &place, &theirs);
        drop(repository);
        // The attic says that its own packs hold the same, and they are junk of the right length.
        let mut lies = stored.clone();
        for pack in &mut lies {
            let junk = vec![7; usize::try_from(pack.pack_len).unwrap()];
            pack.id = PackId::from_bytes(*blake3::hash(&junk).as_bytes());
            let key = ObjectKey::new(ObjectKind::DataPack, pack.id.to_hex());
            place.memory.put(&key, Body::Bytes(junk.into())).unwrap();
        }
        let lies = IndexSegment { packs: lies, ..IndexSegment::default() };
        let elsewhere = TestRepository::existing(place.here.backend.clone());
        let said = place.memory.contents();
        let said = said.into_iter().filter(|(key, _)| key.kind() == ObjectKind::IndexSegment);
        let said: Vec<_> = said.collect();
        if liar_first {
            said.iter().for_each(|(key, _)| place.memory.remove(key).unwrap());
            claim(&place, &attic, &lies);
        }
        elsewhere.open().unwrap();
        said.iter().for_each(|(key, bytes)| place.memory.replace(key, bytes.clone()));
        claim(&place, &attic, &lies);
        prune_all(&elsewhere.open().unwrap()).unwrap();
        for pack in stored {
            let key = ObjectKey::new(ObjectKind::DataPack, pack.id.to_hex());
            assert!(place.memory.get(&key, 0..1).is_ok(), "what it really stored is there");
        }
    }
}

#[test]
fn a_stations_sound_copy_is_read_and_kept_when_the_full_keys_is_lost() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(16);
    let theirs = station.snapshot(folder.path()).snapshot;
    let full = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    assert!(full.totals.added_bytes > 1 << 20);
    let repository = place.here.open().unwrap();
    for pack in packs_of(&repository, &place, &full) {
        let key = ObjectKey::new(ObjectKind::DataPack, pack.id.to_hex());
        let mut bytes = place.memory.get_whole(&key, 1 << 30).unwrap().to_vec();
        bytes[200] ^= 1;
        place.memory.replace(&key, bytes);
    }
    // No check has vouched for the station's copy: reading finds the damage, and then the other.
    for snapshot in [&full, &theirs] {
        assert_eq!(held(&repository, snapshot).unwrap(), held_by_disk(folder.path()));
    }
    prune_all(&repository).unwrap();
    for snapshot in [&full, &theirs] {
        assert_eq!(held(&repository, snapshot).unwrap(), held_by_disk(folder.path()));
    }
}
