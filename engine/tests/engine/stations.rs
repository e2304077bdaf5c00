//! Writer keys: a station adds snapshots, reads none, and nobody depends on what it says.
use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckOptions, CheckReport, check};
use devsnap_engine::error::{ErrorKind, Result};
use devsnap_engine::id::{PackId, SnapshotId};
use devsnap_engine::index::{IndexSegment, IndexedPack};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::pack::PackKind;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::prune::{MaxUnused, PruneOptions, PruneReport, prune};
use devsnap_engine::repository::{KeyKind, Keyring, Repository, Session, Unlock};
use devsnap_engine::seal::{RecipientPublic, WriterKey, seal_object, sign_record};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::MemoryBackend;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{PASSWORD, TestRepository, held, held_by_disk, snapshot};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Place {
    here: TestRepository,
    memory: Arc<MemoryBackend>,
}

impl Place {
    fn new() -> Place {
        let memory = Arc::new(MemoryBackend::new());
        Place { here: TestRepository::over(memory.clone()), memory }
    }

    fn with_keys<T>(&self, work: impl FnOnce(&mut Keyring<'_>) -> Result<T>) -> Result<T> {
        let unlock = Unlock::Password(PASSWORD);
        let cache = self.here.cache.path();
        work(&mut Keyring::open(&*self.memory, &unlock, cache, &Silent)?)
    }

    fn station(&self, label: &str) -> Station {
        let key = self.with_keys(|keys| {
            let key = keys.new_station_key()?;
            keys.certify_station(&key, label)?;
            // As it comes out of its file.
            WriterKey::from_text(&key.to_text(label))
        });
        let cache = tempfile::tempdir().expect("because the test prepared it");
        Station {
            key: key.expect("because the test prepared it"),
            cache,
            memory: self.memory.clone(),
        }
    }

    fn count(&self, kind: ObjectKind) -> usize {
        self.memory.list(kind, "").count()
    }
}

struct Station {
    key: WriterKey,
    cache: TempDir,
    memory: Arc<MemoryBackend>,
}

impl Station {
    fn open(&self) -> Result<Repository> {
        let unlock = Unlock::Station(&self.key);
        Repository::open(Box::new(self.memory.clone()), &unlock, self.cache.path(), &Silent)
    }

    fn snapshot(&self, folder: &Path) -> devsnap_engine::snapshot::Named {
        snapshot(&self.open().expect("because the test prepared it"), folder, &Interrupt::new())
            .expect("because the test prepared it")
            .named
    }
}

fn phone(seed: u64) -> TempDir {
    let folder = tempfile::tempdir().expect("because the test prepared it");
    PhoneLike { seed, files: 60, total_bytes: 2 << 20 }
        .write(folder.path())
        .expect("because the test prepared it");
    folder
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

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

/// Every pack that this snapshot's session stored goes.
fn lose_packs_of(place: &Place, session: devsnap_engine::id::SessionId) -> usize {
    let mut lost = 0;
    for kind in [ObjectKind::DataPack, ObjectKind::MetaPack] {
        for pack in place.memory.list(kind, "") {
            let key = pack.expect("because the test prepared it").key;
            let header = place.memory.get(&key, 12..28).expect("because the test prepared it");
            if header[..] == session.as_bytes()[..] {
                place.memory.remove(&key).expect("because the test prepared it");
                lost += 1;
            }
        }
    }
    lost
}

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

/// What the store's data packs of this session say of themselves.
fn packs_of(repository: &Repository, place: &Place, snapshot: &Snapshot) -> Vec<IndexedPack> {
    let listed = place
        .memory
        .list(ObjectKind::DataPack, "")
        .map(|found| found.expect("because memory answers"));
    let packs = listed.map(|found| {
        repository
            .read_pack_list(&found.key, found.size_bytes)
            .expect("because the test prepared it")
    });
    packs.filter(|pack| pack.header.session == snapshot.session).collect()
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

/// Puts a segment in the name of a station, whatever it says.
fn claim(place: &Place, station: &Station, segment: &IndexSegment) {
    let keys = station.key.keys(RecipientPublic([9; 32]));
    let object = segment.seal(&keys).expect("because it is short");
    let name = blake3::hash(&object).to_hex();
    let key = ObjectKey::new(ObjectKind::IndexSegment, name.as_str());
    place.memory.put(&key, Body::Bytes(object.into())).expect("because memory answers");
}

fn snapshot_id(repository: &Repository, snapshot: &Snapshot) -> SnapshotId {
    let all = repository.snapshots().expect("because the test prepared it").named;
    all.iter()
        .find(|named| named.snapshot.session == snapshot.session)
        .expect("because the test prepared it")
        .id
}

fn prune_all(repository: &Repository) -> Result<PruneReport> {
    let options = PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        dry_run: false,
        forgotten: BTreeSet::new(),
        fence_after: Duration::from_secs(48 * 3600),
        program: "test".to_owned(),
    };
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    prune(repository, &options, &progress, &Interrupt::new())
}

fn checked(repository: &Repository, read_data_percent: Option<u8>) -> CheckReport {
    let options = CheckOptions { read_data_percent };
    check(repository, &options, &Silent, &Interrupt::new()).expect("because the test prepared it")
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
