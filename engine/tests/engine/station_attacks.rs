//! A station that means harm takes nothing away and keeps nobody from working.
use crate::station_scene::{Place, checked, claim, kind, lose_packs_of, phone, prune_all};
use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::id::PackId;
use devsnap_engine::index::IndexSegment;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::repository::Session;
use devsnap_engine::seal::{RecipientPublic, seal_object, sign_record};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::test_repository::{TestRepository, held, held_by_disk};

#[test]
fn a_station_takes_nothing_away() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(10);
    let made = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let packs = place.memory.list(ObjectKind::DataPack, "");
    let packs: Vec<PackId> = packs.map(|pack| pack.unwrap().key.name().parse().unwrap()).collect();

    // A station's own software may be any: it signs a tombstone for everything.
    let keys = station.key.keys(RecipientPublic([9; 32]));
    let tombstones = IndexSegment { tombstones: packs.clone(), ..IndexSegment::default() };
    claim(&place, &station, &tombstones);
    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let repository = elsewhere.open().unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(folder.path()));
    drop(repository);
    assert_eq!(place.count(ObjectKind::DataPack), packs.len());

    // A mark of a sweep it may not make is no mark; nor is it passed over in silence.
    let body = [[1].as_slice(), packs[0].as_bytes()].concat();
    let record = sign_record(&keys.signer, keys.repository(), "sweep mark", &body);
    let object = seal_object(&keys, ObjectKind::Gc, &record).unwrap();
    let key = ObjectKey::new(ObjectKind::Gc, "7f3a.mark");
    place.memory.put(&key, Body::Bytes(object.into())).unwrap();
    assert_eq!(kind(elsewhere.open().map(drop)), Some(ErrorKind::Damaged));
}

#[test]
fn a_station_whose_packs_do_not_open_is_found_by_an_ordinary_check() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(14);
    let theirs = station.snapshot(folder.path()).snapshot;
    for kind in [ObjectKind::DataPack, ObjectKind::MetaPack] {
        let listed: Vec<_> = place.memory.list(kind, "").map(Result::unwrap).collect();
        for pack in listed {
            let mut bytes = place.memory.get_whole(&pack.key, 1 << 30).unwrap().to_vec();
            // In the first block, behind the header.
            bytes[200] ^= 1;
            place.memory.replace(&pack.key, bytes);
        }
    }
    let found = checked(&place.here.open().unwrap(), None);
    let session = theirs.session.short();
    let told = |sentence: &str| sentence.contains(&format!("session {session} of a station"));
    assert!(found.findings.iter().any(|finding| told(&finding.sentence)), "{:?}", found.findings);
}

#[test]
fn what_a_run_names_that_never_ends_and_was_never_stored_stops_no_sweep() {
    let place = Place::new();
    let folder = phone(31);
    let own = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let station = place.station("hall");
    let taken = station.snapshot(phone(32).path());
    let theirs = station.open().unwrap();
    let session = Session::open(&theirs, "never ends").unwrap();
    theirs.put_snapshot(&Snapshot { session: session.id(), ..taken.snapshot.clone() }).unwrap();
    let repository = place.here.open().unwrap();
    repository.forget(&[taken.id], &Interrupt::new()).unwrap();
    assert!(lose_packs_of(&place, taken.snapshot.session) > 1);

    let report = prune_all(&place.here.open().unwrap()).unwrap();
    assert_eq!((report.snapshots, report.unfinished), (1, 1));
    let elsewhere = TestRepository::existing(place.memory.clone());
    assert_eq!(held(&elsewhere.open().unwrap(), &own).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn no_name_that_a_station_puts_ends_a_session_or_a_sweep_of_somebody_else() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(17);
    let made = place.here.snapshot(folder.path()).unwrap().named;
    let repository = place.here.open().unwrap();
    let running = Session::open(&repository, "running").unwrap();
    repository.forget(&[made.id], &Interrupt::new()).unwrap();
    let waiting = prune_all(&repository).unwrap();
    assert_eq!(waiting.waits_for.iter().map(|open| open.id).collect::<Vec<_>>(), [running.id()]);
    let packs = place.count(ObjectKind::DataPack);

    // Its own end under another session's name, and nothing at all under the sweep's.
    let theirs = Session::open(&station.open().unwrap(), "theirs").unwrap();
    theirs.end().unwrap();
    let ended = ObjectKey::new(ObjectKind::Session, format!("{}.end", theirs.id()));
    let ended = place.memory.get_whole(&ended, 1 << 20).unwrap();
    let forged = ObjectKey::new(ObjectKind::Session, format!("{}.end", running.id()));
    place.memory.put(&forged, Body::Bytes(ended)).unwrap();
    let marks: Vec<_> = place.memory.list(ObjectKind::Gc, "").map(|m| m.unwrap().key).collect();
    for mark in &marks {
        let done = ObjectKey::new(ObjectKind::Gc, mark.name().replace(".mark", ".done"));
        place.memory.put(&done, Body::Bytes(Vec::new().into())).unwrap();
    }
    assert!(!marks.is_empty());
    let still = prune_all(&repository).unwrap();
    assert_eq!(still.waits_for.iter().map(|open| open.id).collect::<Vec<_>>(), [running.id()]);
    assert_eq!(place.count(ObjectKind::DataPack), packs, "nothing is deleted");
    assert!(!repository.standing_marks().unwrap().is_empty());

    place.memory.remove(&forged).unwrap();
    running.end().unwrap();
    assert!(prune_all(&repository).unwrap().removed_packs > 0);
    assert!(repository.standing_marks().unwrap().is_empty());
}

#[test]
fn objects_of_a_later_format_keep_nobody_from_working() {
    let place = Place::new();
    let folder = phone(18);
    let made = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let mut later = place.memory.list(ObjectKind::IndexSegment, "").next().unwrap().unwrap().key;
    let mut bytes = place.memory.get_whole(&later, 1 << 20).unwrap().to_vec();
    // The format version stands behind the magic of eight bytes.
    bytes[8] = 2;
    later = ObjectKey::new(ObjectKind::IndexSegment, blake3::hash(&bytes).to_hex().as_str());
    place.memory.put(&later, Body::Bytes(bytes.into())).unwrap();
    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let repository = elsewhere.open().unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(folder.path()));
    assert!(elsewhere.snapshot(folder.path()).is_ok());
    assert_eq!(kind(prune_all(&repository)), Some(ErrorKind::TooNew), "it may list anything");
}
