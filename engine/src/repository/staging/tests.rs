use super::super::scratch;
use super::*;
use crate::backend::{BackendError, BackendErrorKind, Body, Listing};
use crate::progress::Silent;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;

fn id(n: u8) -> PackId {
    PackId::from_bytes([n; 32])
}

fn needed(n: u8, pack_len: u64, wanted_bytes: u64) -> NeededPack {
    NeededPack { id: id(n), pack_len, wanted_bytes }
}

/// Packs that can only be read; what was asked for, in that order.
#[derive(Default)]
struct Shelf {
    packs: BTreeMap<PackId, Vec<u8>>,
    asked: Mutex<Vec<(PackId, Range<u64>)>>,
    cold: Option<PackId>,
    interrupts: Option<Interrupt>,
}

impl Shelf {
    fn of(lens: &[(u8, usize)]) -> Self {
        let packs = lens.iter().map(|(n, len)| (id(*n), vec![*n; *len])).collect();
        Shelf { packs, ..Shelf::default() }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Backend for Shelf {
    fn put(&self, key: &ObjectKey, _: Body) -> Result<(), BackendError> {
        Err(BackendError::new("put", Some(key), BackendErrorKind::Denied))
    }
    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let failed = |kind| BackendError::new("get", Some(key), kind);
        let id: PackId = key.name().parse().unwrap();
        self.asked.lock().unwrap().push((id, range.clone()));
        if let Some(interrupt) = &self.interrupts {
            interrupt.raise();
        }
        if self.cold == Some(id) {
            return Err(failed(BackendErrorKind::Archived));
        }
        let pack = self.packs.get(&id).ok_or_else(|| failed(BackendErrorKind::NotFound))?;
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let found = pack.get(range).ok_or_else(|| failed(BackendErrorKind::ShortObject))?;
        Ok(Bytes::copy_from_slice(found))
    }
    fn get_whole(&self, key: &ObjectKey, _: u64) -> Result<Bytes, BackendError> {
        Err(BackendError::new("get", Some(key), BackendErrorKind::Denied))
    }
    fn list<'a>(&'a self, _: ObjectKind, _: &str) -> Listing<'a> {
        Box::new(std::iter::empty())
    }
    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        Err(BackendError::new("remove", Some(key), BackendErrorKind::Denied))
    }
    fn connections(&self) -> NonZeroUsize {
        NonZeroUsize::new(4).unwrap()
    }
    fn place(&self) -> String {
        "shelf".to_owned()
    }
}

/// Says that so much is free, and is full after so many bytes.
struct SmallDisk {
    free: u64,
    room: Mutex<u64>,
}

impl SmallDisk {
    fn of(free: u64) -> Self {
        SmallDisk { free, room: Mutex::new(free) }
    }
}

impl Disk for SmallDisk {
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free)
    }
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let mut room = self.room.lock().unwrap();
        let fits = usize::try_from(*room).unwrap().min(bytes.len());
        file.write_all(&bytes[..fits])?;
        *room -= fits as u64;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

struct Here {
    cache: tempfile::TempDir,
    interrupt: Interrupt,
}

impl Here {
    fn new() -> Self {
        Here { cache: tempfile::tempdir().unwrap(), interrupt: Interrupt::new() }
    }

    fn stage(
        &self,
        shelf: &Shelf,
        disk: &dyn Disk,
        policy: StagePolicy,
        packs: &[NeededPack],
    ) -> Result<(StagedPacks, Vec<NeededPack>)> {
        let interrupt = &self.interrupt;
        let staging = Staging { backend: shelf, disk, policy, progress: &Silent, interrupt };
        staging.run(scratch::make(self.cache.path(), "staged").unwrap(), packs.to_vec())
    }

    /// The names of what lies on the disk.
    fn on_disk(&self) -> Vec<String> {
        let folder = self.cache.path().join("staged");
        let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<_> =
            found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn each_pack_costs_one_request_lies_as_it_is_stored_for_its_owner_only_and_goes_with_its_holder() {
    let (here, shelf) = (Here::new(), Shelf::of(&[(1, 5000), (2, 300)]));
    let packs = [needed(1, 5000, 10), needed(2, 300, 10), needed(1, 5000, 10)];
    let staged = here.stage(&shelf, &RealDisk, StagePolicy::Always, &packs).unwrap();
    assert_eq!((staged.1.len(), shelf.asked()), (0, 2));
    let file = here.cache.path().join("staged").join(id(1).to_hex());
    assert_eq!(fs::read(&file).unwrap(), vec![1; 5000]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(staged.0.read(&id(1), &(4990..5000)).unwrap(), vec![1; 10]);
    assert!(
        staged.0.read(&id(1), &(4990..5001)).is_none() && staged.0.read(&id(3), &(0..1)).is_none()
    );
    let now = StagedNow::default();
    let held = Arc::new(staged.0);
    now.add(&held);
    assert!(now.read(&id(2), &(0..300)).is_some() && shelf.asked() == 2);
    drop(held);
    assert!(now.read(&id(2), &(0..300)).is_none() && !file.exists());
}

#[test]
fn automatically_what_is_wanted_most_for_its_length_comes_into_half_of_what_is_free() {
    let (here, shelf) = (Here::new(), Shelf::of(&[(1, 400), (2, 400), (3, 300), (4, 100)]));
    let packs = [needed(1, 400, 100), needed(2, 400, 390), needed(3, 300, 200), needed(4, 100, 20)];
    let staged = here.stage(&shelf, &SmallDisk::of(1000), StagePolicy::Auto, &packs).unwrap();
    // 2, then 3 does not fit, nor 1, and the last one does.
    assert_eq!(here.on_disk(), [id(2).to_hex(), id(4).to_hex()]);
    assert_eq!(staged.1.iter().map(|pack| pack.id).collect::<Vec<_>>(), [id(3), id(1)]);
}

#[test]
fn what_must_fit_and_does_not_is_said_before_anything_is_fetched() {
    let (here, shelf) = (Here::new(), Shelf::of(&[(1, 400)]));
    let packs = [needed(1, 400, 400)];
    let disk = SmallDisk::of(KEPT_FREE + 399);
    let error = here.stage(&shelf, &disk, StagePolicy::Always, &packs).err().unwrap();
    assert_eq!((error.kind(), shelf.asked()), (ErrorKind::NoSpace, 0));
    let disk = SmallDisk::of(KEPT_FREE + 400);
    assert!(here.stage(&shelf, &disk, StagePolicy::Always, &packs).is_ok());
}

#[test]
fn a_disk_that_fills_leaves_no_part_of_a_pack_and_stops_only_who_said_always() {
    for policy in [StagePolicy::Auto, StagePolicy::Always] {
        let here = Here::new();
        let shelf = Shelf::of(&[(1, 400), (2, 400), (3, 400)]);
        let packs = [1, 2, 3].map(|n| needed(n, 400, 400));
        let disk = SmallDisk { free: 1 << 30, room: Mutex::new(600) };
        match here.stage(&shelf, &disk, policy, &packs) {
            Ok((staged, left)) => {
                assert_eq!((policy, left.len()), (StagePolicy::Auto, 2));
                let whole = *staged.lens().keys().next().unwrap();
                assert_eq!(here.on_disk(), [whole.to_hex()]);
                assert!(staged.read(&whole, &(0..400)).is_some());
            }
            Err(error) => {
                assert_eq!((policy, error.kind()), (StagePolicy::Always, ErrorKind::NoSpace));
            }
        }
        assert!(here.on_disk().is_empty(), "gone with its holder");
    }
}

#[test]
fn a_pack_that_is_gone_or_short_stays_out_and_a_cold_one_or_an_interrupt_ends_it() {
    let here = Here::new();
    let packs = [needed(1, 400, 400), needed(2, 400, 400), needed(3, 400, 400), needed(4, 0, 9)];
    let mut shelf = Shelf::of(&[(1, 400), (2, 399)]);
    let staged = here.stage(&shelf, &RealDisk, StagePolicy::Always, &packs).unwrap();
    let left: Vec<_> = staged.1.iter().map(|pack| pack.id).collect();
    assert_eq!((here.on_disk(), left), (vec![id(1).to_hex()], vec![id(2), id(3), id(4)]));
    drop(staged);
    shelf.cold = Some(id(1));
    let error = here.stage(&shelf, &RealDisk, StagePolicy::Auto, &packs).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Archived);
    shelf = Shelf { interrupts: Some(here.interrupt.clone()), ..Shelf::of(&[(1, 400), (2, 400)]) };
    let many: Vec<_> = (1..200).map(|n| needed(n, 400, 400)).collect();
    let error = here.stage(&shelf, &RealDisk, StagePolicy::Auto, &many).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(shelf.asked() <= 4 && here.on_disk().is_empty());
}

#[test]
fn a_copy_that_was_cut_or_removed_is_dropped() {
    let (here, shelf) = (Here::new(), Shelf::of(&[(1, 400), (2, 400)]));
    let packs = [needed(1, 400, 400), needed(2, 400, 400)];
    let (staged, _) = here.stage(&shelf, &RealDisk, StagePolicy::Auto, &packs).unwrap();
    File::options().write(true).open(staged.path(&id(1))).unwrap().set_len(100).unwrap();
    fs::remove_file(staged.path(&id(2))).unwrap();
    assert!(staged.read(&id(1), &(0..50)).is_some(), "what is there is there");
    assert!(staged.read(&id(1), &(50..150)).is_none() && staged.read(&id(1), &(0..50)).is_none());
    assert!(staged.read(&id(2), &(0..1)).is_none() && staged.lens().is_empty());
}

#[test]
fn a_long_pack_is_fetched_in_few_pieces_and_few_at_a_time() {
    let (here, len) = (Here::new(), usize::try_from(REQUEST_MAX + 10).unwrap());
    let shelf = Shelf::of(&[(1, len)]);
    here.stage(&shelf, &RealDisk, StagePolicy::Auto, &[needed(1, len as u64, 1)]).unwrap();
    let asked = shelf.asked.lock().unwrap().clone();
    assert_eq!(asked, [(id(1), 0..REQUEST_MAX), (id(1), REQUEST_MAX..REQUEST_MAX + 10)]);
}
