//! Packs of content that were put on this computer's disk before somebody reads from them in an order of
//! their own: whole, as they are stored, so nothing readable lies there.
//!
//! A phone asks for its files in an order that no pack follows; a pack on disk costs one request however
//! often it is read from. What is read from here is verified like anything from the store: a copy
//! that this computer's disk spoilt is dropped, and the store is asked.
mod held;

use super::Repository;
use super::scratch::Scratch;
use crate::backend::{Backend, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackId;
use crate::interrupt::Interrupt;
use crate::pack::{PACK_LEN_MAX, PackKind};
use crate::progress::{Phase, Progress};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

pub(super) use held::{StagedNow, StagedPacks};

/// The longest request, in bytes. A full pack, with one block more, is one request.
const REQUEST_MAX: u64 = 48 << 20;

/// Bytes of all requests under way at a time; a single longer one is alone.
const IN_FLIGHT_MAX: u64 = 96 << 20;

/// More threads than this make no line faster.
const THREADS_MAX: usize = 8;

/// What stays free when everything is to be put on the disk, in bytes: others live there too.
const KEPT_FREE: u64 = 64 << 20;

/// Whether packs are put on this computer's disk before they are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StagePolicy {
    /// When the store is not on this computer's disks: all packs that fit into half of the free disk,
    /// those of which most is wanted first.
    #[default]
    Auto,
    /// All of them, or none and an error.
    Always,
    /// None.
    Never,
}

/// A pack of content that will be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededPack {
    /// The pack.
    pub id: PackId,
    /// Its length as stored, in bytes.
    pub pack_len: u64,
    /// How many bytes of contents come from it; those that several files share count for each.
    pub wanted_bytes: u64,
}

/// Packs on this computer's disk. Reading finds them there until this is dropped, which removes them;
/// those of a process that was killed are removed by whoever opens the repository next.
pub struct Staged {
    packs: Option<Arc<StagedPacks>>,
    left_out: Vec<NeededPack>,
}

impl Staged {
    /// How many packs are on the disk, of those that were asked for.
    pub fn packs(&self) -> u64 {
        self.packs.as_ref().map_or(0, |staged| staged.lens().len() as u64)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.packs.as_ref().map_or(0, |staged| staged.lens().values().sum())
    }

    /// The packs that are read from the store when they are needed.
    pub fn left_out(&self) -> &[NeededPack] {
        &self.left_out
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packs staged, {} left out", self.packs(), self.left_out.len())
    }
}

impl Repository {
    /// Puts packs on this computer's disk, so that they are read from there while the answer lives. Each
    /// is fetched with one request, several at a time (`progress` counts packs and stored bytes). Of
    /// those that stay in a distant store one byte each is read: when this succeeds, all could be read
    /// a moment ago, and none lies in cold storage. A pack that is gone, or not as long as the
    /// index says, stays in the store too: what it held may lie elsewhere, and who reads is told.
    ///
    /// # Errors
    ///
    /// - [`NoSpace`](ErrorKind::NoSpace): [`StagePolicy::Always`], and they do not fit. That is known
    ///   before anything is fetched, unless somebody else fills the disk meanwhile.
    /// - [`Archived`](ErrorKind::Archived): the store does not give a pack out.
    /// - [`Unreachable`](ErrorKind::Unreachable), this computer's disk,
    ///   [`Interrupted`](ErrorKind::Interrupted).
    ///
    /// What was fetched until then is removed.
    pub fn stage(
        &self,
        needed: &[NeededPack],
        policy: StagePolicy,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Staged> {
        self.require_full("reading contents")?;
        let is_wanted = match policy {
            StagePolicy::Auto => self.is_distant(),
            StagePolicy::Always => true,
            StagePolicy::Never => false,
        };
        let mut left_out = needed.to_vec();
        let mut packs = None;
        if is_wanted && !needed.is_empty() {
            progress.phase(Phase::Staging);
            let backend = self.backend();
            let staging = Staging { backend, disk: &RealDisk, policy, progress, interrupt };
            let staged = staging.run(self.scratch()?, self.as_indexed(needed))?;
            left_out = staged.1;
            let staged = Arc::new(staged.0);
            self.caches().use_staged(&staged);
            packs = Some(staged);
        }
        if self.is_distant() {
            self.look_at(&left_out, interrupt)?;
        }
        Ok(Staged { packs, left_out })
    }

    /// Reads one byte of each of these packs: a store lists what it does not give out without being
    /// asked long before, and it is by asking that this is known. Packs that are gone are passed.
    ///
    /// # Errors
    ///
    /// As [`stage`](Self::stage).
    pub(crate) fn look_at(&self, packs: &[NeededPack], interrupt: &Interrupt) -> Result<()> {
        let threads = self.backend().connections().get().min(THREADS_MAX);
        in_parallel(packs, threads, |pack| {
            interrupt.check()?;
            match self.backend().get(&key_of(&pack.id), 0..1) {
                Ok(_) => Ok(()),
                Err(e) => match Error::from(e) {
                    e if is_loss(&e) => Ok(()),
                    e => Err(e),
                },
            }
        })
    }

    /// Whether objects are read over a line. A store on this computer's disks is read as fast as its
    /// copy would be.
    pub fn is_distant(&self) -> bool {
        self.backend().staging().is_none()
    }

    /// The packs with their lengths as the index has them now.
    fn as_indexed(&self, needed: &[NeededPack]) -> Vec<NeededPack> {
        let known = |pack: &NeededPack| {
            let known = self.index().live_pack(&pack.id);
            let known = known.filter(|known| known.header.kind == PackKind::Data);
            NeededPack { pack_len: known.map_or(0, |known| known.pack_len), ..*pack }
        };
        needed.iter().map(known).collect()
    }
}

/// This computer's disk; tests have one that fills.
trait Disk: Sync {
    /// Bytes that an ordinary user may still write where `folder` is.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
}

struct RealDisk;

impl Disk for RealDisk {
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(folder)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }
}

/// One staging.
struct Staging<'a> {
    backend: &'a dyn Backend,
    disk: &'a dyn Disk,
    policy: StagePolicy,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Staging<'_> {
    /// Fetches what there is room for into `folder`, and says what was left out.
    fn run(
        &self,
        folder: Scratch,
        mut needed: Vec<NeededPack>,
    ) -> Result<(StagedPacks, Vec<NeededPack>)> {
        let free = self.disk.free_bytes(folder.path());
        let free = free.map_err(|e| Error::local("looking for free disk", e))?;
        let chosen = self.choose(free, &mut needed)?;
        let (chosen, _) = needed.split_at(chosen);
        let staged = StagedPacks::in_folder(folder);
        let bytes = chosen.iter().map(|pack| pack.pack_len).sum();
        self.progress.expect(chosen.len() as u64, bytes);
        self.progress.expect_no_more();
        let longest = chosen.iter().map(|pack| pack.pack_len.min(REQUEST_MAX)).max().unwrap_or(1);
        let at_once = usize::try_from(IN_FLIGHT_MAX / longest.max(1)).unwrap_or(THREADS_MAX);
        let threads = at_once.clamp(1, self.backend.connections().get().min(THREADS_MAX));
        let is_full = AtomicBool::new(false);
        in_parallel(chosen, threads, |pack| {
            if is_full.load(Ordering::Relaxed) {
                return Ok(());
            }
            let fetched = self.fetch(&staged, pack);
            self.progress.advance(1, pack.pack_len);
            match fetched {
                Err(e) if is_loss(&e) => Ok(()),
                Err(e) if e.kind() == ErrorKind::NoSpace && self.policy == StagePolicy::Auto => {
                    is_full.store(true, Ordering::Relaxed);
                    Ok(())
                }
                fetched => fetched,
            }
        })?;
        let lens = staged.lens();
        needed.retain(|pack| !lens.contains_key(&pack.id));
        if !needed.is_empty() {
            self.progress.warn(&format!(
                "{} packs stay in the store and are read from there: this computer's disk has no room \
                 for them, or they are not as the index says",
                needed.len()
            ));
        }
        Ok((staged, needed))
    }

    /// Puts those first of which most is wanted for their length; how many of them are fetched.
    fn choose(&self, free: u64, needed: &mut Vec<NeededPack>) -> Result<usize> {
        needed.sort_by_key(|pack| pack.id);
        needed.dedup_by_key(|pack| pack.id);
        // 0: the index does not have it (any more).
        let can_be = |pack: &NeededPack| (1..=PACK_LEN_MAX).contains(&pack.pack_len);
        let density = |pack: &NeededPack| {
            u128::from(pack.wanted_bytes) * 1024 / u128::from(pack.pack_len.max(1))
        };
        needed.sort_by_key(|pack| (!can_be(pack), std::cmp::Reverse(density(pack))));
        let possible = needed.iter().filter(|pack| can_be(pack)).count();
        if self.policy == StagePolicy::Always {
            let bytes: u64 = needed[..possible].iter().map(|pack| pack.pack_len).sum();
            if bytes.saturating_add(KEPT_FREE) > free {
                return Err(Error::new(
                    ErrorKind::NoSpace,
                    format!("making room for {possible} packs"),
                )
                .because(format!("they have {bytes} bytes, and {free} are free")));
            }
            return Ok(possible);
        }
        // A pack that does not fit may be followed by shorter ones that do.
        let mut room = free / 2;
        let (chosen, rest): (Vec<NeededPack>, Vec<NeededPack>) =
            needed[..possible].iter().partition(|pack| {
                let fits = pack.pack_len <= room;
                room -= if fits { pack.pack_len } else { 0 };
                fits
            });
        let count = chosen.len();
        needed.splice(..possible, chosen.into_iter().chain(rest));
        Ok(count)
    }

    /// Brings one pack here. What was written of one that fails is removed.
    fn fetch(&self, staged: &StagedPacks, pack: &NeededPack) -> Result<()> {
        const DOING: &str = "writing a pack to this computer's disk";
        let path = staged.path(&pack.id);
        let write = || -> Result<()> {
            let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let mut file = options.map_err(|e| Error::local(DOING, e))?;
            let mut at = 0;
            while at < pack.pack_len {
                self.interrupt.check()?;
                let end = pack.pack_len.min(at.saturating_add(REQUEST_MAX));
                let bytes = self.backend.get(&key_of(&pack.id), at..end)?;
                self.disk.append(&mut file, &bytes).map_err(|e| Error::local(DOING, e))?;
                at = end;
            }
            Ok(())
        };
        let written = write();
        match &written {
            Ok(()) => staged.add(pack.id, pack.pack_len),
            Err(_) => drop(fs::remove_file(&path)),
        }
        written
    }
}

fn key_of(pack: &PackId) -> ObjectKey {
    ObjectKey::new(ObjectKind::DataPack, pack.to_hex())
}

/// What reading finds other ways around, or tells.
fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Damaged)
}

/// Does `work` for each item, on `threads` threads; the first failure ends it.
fn in_parallel<T: Sync>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(item) {
                        next.store(items.len(), Ordering::Relaxed);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
