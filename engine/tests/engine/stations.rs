//! Writer keys: a station adds snapshots and reads none.
use crate::station_scene::{Place, Station, kind, phone};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::pack::PackKind;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{KeyKind, Keyring, Unlock};
use devsnap_testkit::test_repository::{held, held_by_disk};

#[test]
fn a_station_adds_snapshots_and_the_password_restores_them() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(1);
    let first = station.snapshot(folder.path());
    std::fs::write(folder.path().join("new"), "new").unwrap();
    let second = station.snapshot(folder.path());

    // It continues from the pages it kept.
    assert_eq!(second.snapshot.parent, Some(first.id));
    assert_eq!((second.snapshot.sequence, second.snapshot.previous), (1, Some(first.id)));
    assert!(second.snapshot.totals.new == 1 && second.snapshot.totals.added_bytes < 10_000);

    let repository = place.here.open().unwrap();
    assert_eq!(repository.snapshots().unwrap().named.len(), 2);
    assert_eq!(held(&repository, &second.snapshot).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_full_key_continues_from_its_own_behind_any_number_of_a_stations() {
    let place = Place::new();
    let folder = phone(21);
    let own = place.here.snapshot(folder.path()).unwrap().named;
    let station = place.station("hall");
    for day in 0..5 {
        std::fs::write(folder.path().join("day"), day.to_string().repeat(5000)).unwrap();
        station.snapshot(folder.path());
    }
    let next = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!(next.parent, Some(own.id));
    assert!(next.totals.new == 1 && next.totals.removed == 0, "{:?}", next.totals);
}

#[test]
fn without_what_it_kept_a_station_runs_in_full_and_stores_nothing_twice() {
    let place = Place::new();
    let mut station = place.station("hall");
    let folder = phone(2);
    let first = station.snapshot(folder.path());
    station.cache = tempfile::tempdir().unwrap();
    let second = station.snapshot(folder.path());
    assert_eq!((second.snapshot.parent, second.snapshot.totals.added_bytes), (None, 0));
    assert_eq!(second.snapshot.root, first.snapshot.root);
    let repository = place.here.open().unwrap();
    assert_eq!(held(&repository, &second.snapshot).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_station_opens_no_pack_and_changes_no_key() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(3);
    let theirs = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let repository = station.open().unwrap();
    assert!(repository.is_write_only());
    assert_eq!(kind(repository.require_full("restoring")), Some(ErrorKind::Denied));
    assert_eq!(kind(held(&repository, &theirs)), Some(ErrorKind::Denied));
    let root = theirs.root.unwrap();
    assert_eq!(kind(repository.read_blob(PackKind::Meta, &root.id)), Some(ErrorKind::Denied));
    let unlock = Unlock::Station(&station.key);
    let keys = Keyring::open(&*place.memory, &unlock, station.cache.path(), &Silent);
    assert_eq!(kind(keys.map(drop)), Some(ErrorKind::Denied));
}

#[test]
fn a_removed_station_writes_no_more_and_what_it_wrote_stays() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(4);
    let made = station.snapshot(folder.path()).snapshot;
    place
        .with_keys(|keys| {
            let entry = keys.entries().into_iter().find(|e| e.kind == KeyKind::Station).unwrap();
            assert_eq!((entry.label.as_str(), entry.id), ("hall", station.key.writer()));
            keys.remove(entry.id)?;
            assert!(keys.entries().iter().all(|entry| entry.kind != KeyKind::Station));
            Ok(())
        })
        .unwrap();
    assert_eq!(kind(station.open().map(drop)), Some(ErrorKind::WrongKey));
    let repository = place.here.open().unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_station_seals_to_the_recipient_that_the_config_names() {
    let place = Place::new();
    let station = place.station("hall");
    let folder = phone(5);
    let before = station.snapshot(folder.path()).snapshot;
    place.with_keys(|keys| keys.rotate()).unwrap();
    let other = phone(6);
    let after = station.snapshot(other.path()).snapshot;
    let repository = place.here.open().unwrap();
    assert_eq!(held(&repository, &before).unwrap(), held_by_disk(folder.path()));
    assert_eq!(held(&repository, &after).unwrap(), held_by_disk(other.path()));
}

#[test]
fn a_key_that_nobody_certified_or_of_another_repository_is_refused() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let stranger = Station { memory: place.memory.clone(), ..elsewhere.station("hall") };
    assert_eq!(kind(stranger.open().map(drop)), Some(ErrorKind::WrongKey));
    let key = place.with_keys(|keys| keys.new_station_key()).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let unknown = Station { key, cache, memory: place.memory.clone() };
    assert_eq!(kind(unknown.open().map(drop)), Some(ErrorKind::WrongKey));
}
