//! A station that means harm takes nothing away and keeps nobody from working.
use crate::prune::{options, run};
use crate::station_scene::{Place, checked, claim, kind, lose_packs_of, phone, prune_all};
use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
use devsnap_engine::check::{Finding, Severity};
use devsnap_engine::codec::put_bytes;
use devsnap_engine::error::ErrorKind;
use devsnap_engine::id::{PackId, hex};
use devsnap_engine::index::IndexSegment;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::prune::{MaxUnused, PruneOptions};
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
    let tombstones = IndexSegment { tombstones: packs.clone(), ..IndexSegment::default() };
    claim(&place, &station, &tombstones);
    let elsewhere = TestRepository::existing(place.here.backend.clone());
    let repository = elsewhere.open().unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(folder.path()));
    drop(repository);
    assert_eq!(place.count(ObjectKind::DataPack), packs.len());
}

/// Puts an object among the marks of sweeps.
fn put_mark(place: &Place, name: &str, bytes: impl Into<bytes::Bytes>) -> ObjectKey {
    let key = ObjectKey::new(ObjectKind::Gc, format!("{name}.mark"));
    place.memory.replace(&key, bytes);
    key
}

#[test]
fn what_is_no_mark_of_a_full_key_is_not_obeyed_and_named_whoever_put_it() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(10);
    let made = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let pack = place.memory.list(ObjectKind::DataPack, "").next().unwrap().unwrap().key;
    let pack: PackId = pack.name().parse().unwrap();
    let keys = station.key.keys(RecipientPublic([9; 32]));
    let marked = |name: &str| {
        let mut body = Vec::new();
        put_bytes(&mut body, format!("{name}.mark").as_bytes());
        body.extend_from_slice(&[[0; 8].as_slice(), &[1], pack.as_bytes()].concat());
        let record = sign_record(&keys.signer, keys.repository(), "sweep mark", &body);
        seal_object(&keys, ObjectKind::Gc, &record).unwrap()
    };
    // Under a name of no form, and under one that is of the form and that a station signed.
    let signature = keys.signer.sign(keys.repository(), "sweep name", &[7; 16]);
    let by = keys.signer.writer().short();
    let signed = format!("{}-{by}-{}", hex(&[7; 16]), hex(&signature));
    for name in ["7f3a", &signed] {
        let mark = put_mark(&place, name, marked(name));
        let junk = put_mark(&place, &format!("{name}-junk"), "junk");
        let elsewhere = TestRepository::existing(place.here.backend.clone());
        assert_eq!(elsewhere.snapshot(folder.path()).unwrap().named.snapshot.totals.added_bytes, 0);
        let repository = elsewhere.open().unwrap();
        assert_eq!(held(&repository, &made).unwrap(), held_by_disk(folder.path()));
        let found = checked(&repository, None);
        for key in [mark, junk] {
            let names_it = |f: &Finding| f.sentence.contains(&key.to_string());
            let finding = found.findings.iter().find(|finding| names_it(finding)).unwrap();
            assert_eq!(finding.severity, Severity::Notice);
        }
        assert!(prune_all(&repository).unwrap().waits_for.is_empty());
    }
}

#[test]
fn a_full_keys_mark_that_cannot_be_read_stops_who_writes_and_not_who_reads() {
    let place = Place::new();
    let folder = phone(10);
    let first = place.here.snapshot(folder.path()).unwrap().named;
    let second = place.here.snapshot(phone(11).path()).unwrap().named;
    let repository = place.here.open().unwrap();
    let running = Session::open(&repository, "running").unwrap();
    repository.forget(&[second.id], &Interrupt::new()).unwrap();
    assert_eq!(prune_all(&repository).unwrap().waits_for.len(), 1);
    let mark = place.memory.list(ObjectKind::Gc, "").next().unwrap().unwrap().key;
    let whole = place.memory.get_whole(&mark, 1 << 20).unwrap();
    for spoilt in [whole.slice(..whole.len() - 1), "junk".into(), vec![0; 300].into()] {
        place.memory.replace(&mark, spoilt);
        let elsewhere = TestRepository::existing(place.here.backend.clone());
        let repository = elsewhere.open().unwrap();
        assert_eq!(held(&repository, &first.snapshot).unwrap(), held_by_disk(folder.path()));
        let told = checked(&repository, None);
        assert!(told.is_damaged(), "{:?}", told.findings);
        for refused in [
            elsewhere.snapshot(folder.path()).map(drop),
            prune_all(&repository).map(drop),
            Session::open(&repository, "another").map(drop),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged);
            let words = format!("{error:?}");
            assert!(words.contains(&mark.to_string()) && words.contains("remove this"), "{words}");
        }
    }
    // As the sentence says.
    running.end_without_snapshot().unwrap();
    place.memory.remove(&mark).unwrap();
    let swept = prune_all(&repository).unwrap();
    assert!(swept.waits_for.is_empty() && swept.removed_packs > 0);
    assert_eq!(held(&repository, &first.snapshot).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn no_sign_of_life_holds_a_sweep_up_for_ever_where_stations_write() {
    const DAY_SECS: i64 = 24 * 3600;
    for with_stations in [false, true] {
        let place = Place::new();
        if with_stations {
            place.station("hall");
        }
        let folder = phone(19);
        let made = place.here.snapshot(folder.path()).unwrap().named;
        let repository = place.here.open().unwrap();
        repository.forget(&[made.id], &Interrupt::new()).unwrap();
        let dead = Session::open(&repository, "dead").unwrap();
        // Somebody else puts signs of life in its name.
        for (day, is_held_up) in [(0, true), (13, true), (14, !with_stations)] {
            dead.beat().unwrap();
            let now = PruneOptions { now_secs: day * DAY_SECS, ..options(MaxUnused::Bytes(0)) };
            let swept = run(&repository, &now).unwrap();
            assert_eq!(swept.waits_for.is_empty(), !is_held_up, "{with_stations}, day {day}");
            assert_eq!(swept.removed_packs > 0, !is_held_up, "{with_stations}, day {day}");
        }
    }
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
