//! A repository that stations write to, for the tests of what they may and may not.
use crate::prune::{options, run};
use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckOptions, CheckReport, check};
use devsnap_engine::error::{ErrorKind, Result};
use devsnap_engine::id::SnapshotId;
use devsnap_engine::index::{IndexSegment, IndexedPack};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::prune::{MaxUnused, PruneReport};
use devsnap_engine::repository::{Keyring, Repository, Unlock};
use devsnap_engine::seal::{RecipientPublic, WriterKey};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::MemoryBackend;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{PASSWORD, TestRepository, snapshot};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) struct Place {
    pub(super) here: TestRepository,
    pub(super) memory: Arc<MemoryBackend>,
}

impl Place {
    pub(super) fn new() -> Place {
        let memory = Arc::new(MemoryBackend::new());
        Place { here: TestRepository::over(memory.clone()), memory }
    }

    pub(super) fn with_keys<T>(
        &self,
        work: impl FnOnce(&mut Keyring<'_>) -> Result<T>,
    ) -> Result<T> {
        let unlock = Unlock::Password(PASSWORD);
        let cache = self.here.cache.path();
        work(&mut Keyring::open(&*self.memory, &unlock, cache, &Silent)?)
    }

    pub(super) fn station(&self, label: &str) -> Station {
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

    pub(super) fn count(&self, kind: ObjectKind) -> usize {
        self.memory.list(kind, "").count()
    }
}

pub(super) struct Station {
    pub(super) key: WriterKey,
    pub(super) cache: TempDir,
    pub(super) memory: Arc<MemoryBackend>,
}

impl Station {
    pub(super) fn open(&self) -> Result<Repository> {
        let unlock = Unlock::Station(&self.key);
        Repository::open(Box::new(self.memory.clone()), &unlock, self.cache.path(), &Silent)
    }

    pub(super) fn snapshot(&self, folder: &Path) -> devsnap_engine::snapshot::Named {
        snapshot(&self.open().expect("because the test prepared it"), folder, &Interrupt::new())
            .expect("because the test prepared it")
            .named
    }
}

pub(super) fn phone(seed: u64) -> TempDir {
    let folder = tempfile::tempdir().expect("because the test prepared it");
    PhoneLike { seed, files: 60, total_bytes: 2 << 20 }
        .write(folder.path())
        .expect("because the test prepared it");
    folder
}

pub(super) fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

/// Every pack that this snapshot's session stored goes.
pub(super) fn lose_packs_of(place: &Place, session: devsnap_engine::id::SessionId) -> usize {
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

/// What the store's data packs of this session say of themselves.
pub(super) fn packs_of(
    repository: &Repository,
    place: &Place,
    snapshot: &Snapshot,
) -> Vec<IndexedPack> {
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

/// Puts a segment in the name of a station, whatever it says.
pub(super) fn claim(place: &Place, station: &Station, segment: &IndexSegment) {
    let keys = station.key.keys(RecipientPublic([9; 32]));
    let object = segment.seal(&keys).expect("because it is short");
    let name = blake3::hash(&object).to_hex();
    let key = ObjectKey::new(ObjectKind::IndexSegment, name.as_str());
    place.memory.put(&key, Body::Bytes(object.into())).expect("because memory answers");
}

pub(super) fn snapshot_id(repository: &Repository, snapshot: &Snapshot) -> SnapshotId {
    let all = repository.snapshots().expect("because the test prepared it").named;
    all.iter()
        .find(|named| named.snapshot.session == snapshot.session)
        .expect("because the test prepared it")
        .id
}

pub(super) fn prune_all(repository: &Repository) -> Result<PruneReport> {
    run(repository, &options(MaxUnused::Bytes(0)))
}

pub(super) fn checked(repository: &Repository, read_data_percent: Option<u8>) -> CheckReport {
    let options = CheckOptions { read_data_percent };
    check(repository, &options, &Silent, &Interrupt::new()).expect("because the test prepared it")
}
