//! Pulls a restore file by file, shuffled, from a store that takes its time for each request.
//!
//! `pulled-restore WORK [FILES [MIB [DELAY_MS]]]`: 50 000 phone-like files of 2048 MiB and 50 ms by
//! default. The set and its repository are made in WORK once. Then, in a process of its own each, the
//! newest snapshot is looked through, its packs are staged (`never`, then `auto`), and all files are
//! pulled in shuffled batches of 128, every twentieth once more, and compared with the set. Printed
//! is what was asked of the store at each step; time and memory are for people to judge.
use devsnap_backends::{Credentials, Location, create, open};
use devsnap_engine::backend::{Backend, ObjectKind};
use devsnap_engine::check::preflight;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Silent;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::{InitOptions, Repository, StagePolicy, Unlock};
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::{DistantBackend, test_repository};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devsnap_benches::samples::files_below;

const PASSWORD: &[u8] = b"pulled";
const BATCH: usize = 128;
/// One file in so many is asked for twice.
const TWICE: usize = 20;
const USAGE: &str = "usage: pulled-restore WORK [FILES [MIB [DELAY_MS]]]";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (work, rest) = words.split_first().ok_or(USAGE)?;
    let number = |n: usize, default: u64| -> Result<u64, Box<dyn Error>> {
        rest.get(n).map_or(Ok(default), |word| word.parse().map_err(|_| USAGE.into()))
    };
    let (files, mib, delay_ms) = (number(0, 50_000)?, number(1, 2048)?, number(2, 50)?);
    let set = PhoneLike { seed: 1, files, total_bytes: mib << 20 };
    let place = Place { work: PathBuf::from(work) };
    match rest.get(3).map(String::as_str) {
        None => {
            place.make(&set)?;
            println!("{files} files, {mib} MiB, {delay_ms} ms for each request");
            for policy in ["never", "auto"] {
                let mut child = Command::new(std::env::current_exe()?);
                let numbers = [files, mib, delay_ms].map(|number| number.to_string());
                let ended = child.arg(work).args(numbers).arg(policy).status()?;
                if !ended.success() {
                    return Err(format!("the run with --stage {policy} failed").into());
                }
            }
            Ok(())
        }
        Some("never") => place.pull(StagePolicy::Never, "never", Duration::from_millis(delay_ms)),
        Some("auto") => place.pull(StagePolicy::Auto, "auto", Duration::from_millis(delay_ms)),
        Some(_) => Err(USAGE.into()),
    }
}

struct Place {
    work: PathBuf,
}

impl Place {
    fn set(&self) -> PathBuf {
        self.work.join("set")
    }

    fn location(&self) -> Location {
        Location::Folder(self.work.join("repository"))
    }

    /// Makes the set and a repository with one snapshot of it, unless they are there.
    fn make(&self, set: &PhoneLike) -> Result<(), Box<dyn Error>> {
        let done = self.work.join("made");
        let made = format!("{set:?}");
        if fs::read_to_string(&done).is_ok_and(|found| found == made) {
            return Ok(());
        }
        if self.set().exists() {
            return Err(format!("{} holds something else", self.work.display()).into());
        }
        fs::create_dir_all(self.set())?;
        set.write(&self.set())?;
        let backend = create(&self.location(), &Credentials::default(), &Interrupt::new())?;
        Repository::init(&*backend, PASSWORD, &InitOptions::default())?;
        let cache = tempfile::tempdir()?;
        let unlock = Unlock::Password(PASSWORD);
        let repository = Repository::open(backend, &unlock, cache.path(), &Silent)?;
        test_repository::snapshot(&repository, &self.set(), &Interrupt::new())?;
        Ok(fs::write(done, made)?)
    }

    /// One run, on a computer that knows nothing of the store.
    fn pull(&self, policy: StagePolicy, name: &str, delay: Duration) -> Result<(), Box<dyn Error>> {
        let truth = self.truth()?;
        let backend = Arc::new(DistantBackend::new(Arc::from(open(
            &self.location(),
            &Credentials::default(),
            &Interrupt::new(),
        )?)));
        backend.set_delay(delay);
        let cache = tempfile::tempdir()?;
        println!("\n--stage {name}");
        let steps = Steps { backend: &backend };
        let distant: Box<dyn Backend> = Box::new(backend.clone());
        let repository = steps.took("opening", || {
            Repository::open(distant, &Unlock::Password(PASSWORD), cache.path(), &Silent)
        })?;
        let (snapshot, interrupt) = (newest(&repository)?, Interrupt::new());
        let (needs, looked) = steps
            .counted("preflight", || preflight(&repository, &snapshot, &Silent, &interrupt))?;
        if !needs.is_whole() {
            return Err("the snapshot is not whole".into());
        }
        let (staged, put) = steps
            .counted("staging", || repository.stage(&needs.packs, policy, &Silent, &interrupt))?;
        let ((), pulled) =
            steps.counted("pulling", || pull_all(&repository.view(&snapshot), &truth))?;
        let (packs, all) = (needs.packs.len() as u64, looked + put + pulled);
        println!(
            "  {} MiB of packs, {} of {packs} staged; {all} requests for {packs} packs: {}.{:02}; peak \
             memory {} MiB",
            needs.stored_bytes() >> 20,
            staged.packs(),
            all / packs.max(1),
            all * 100 / packs.max(1) % 100,
            peak_memory_mib()?
        );
        Ok(())
    }

    /// The set's paths, and what their bytes hash to.
    fn truth(&self) -> Result<Vec<(TreePath, blake3::Hash)>, Box<dyn Error>> {
        let mut truth = Vec::new();
        for file in files_below(&self.set())? {
            let below = file.strip_prefix(self.set())?.as_os_str().as_bytes();
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(File::open(&file)?)?;
            truth.push((TreePath::from_slashed(below)?, hasher.finalize()));
        }
        Ok(truth)
    }
}

fn newest(repository: &Repository) -> Result<devsnap_engine::snapshot::Snapshot, Box<dyn Error>> {
    let newest = repository.snapshots()?.named.pop().ok_or("there is no snapshot")?;
    Ok(newest.snapshot)
}

/// Pulls every file, as a phone might.
fn pull_all(
    reader: &dyn SnapshotReader,
    truth: &[(TreePath, blake3::Hash)],
) -> Result<(), Box<dyn Error>> {
    let mut order: Vec<usize> = (0..truth.len()).chain((0..truth.len()).step_by(TWICE)).collect();
    shuffle(&mut order);
    let mut piece = vec![0; 32 << 10];
    for batch in order.chunks(BATCH) {
        let paths: Vec<TreePath> = batch.iter().map(|n| truth[*n].0.clone()).collect();
        reader.prefetch(&paths);
        for n in batch {
            let (path, expected) = &truth[*n];
            let mut file = reader.open(path)?;
            if hash_of(&mut *file, &mut piece)? != *expected {
                return Err(format!("{path} has other bytes").into());
            }
        }
    }
    Ok(())
}

fn hash_of(file: &mut dyn Read, piece: &mut [u8]) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(piece)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&piece[..read]),
        };
    }
}

/// The same order each time.
fn shuffle(order: &mut [usize]) {
    let mut random = blake3::Hasher::new().update(b"the order of a phone").finalize_xof();
    for last in (1..order.len()).rev() {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        let drawn = u64::from_le_bytes(bytes) % (last as u64 + 1);
        order.swap(last, usize::try_from(drawn).unwrap_or(last));
    }
}

struct Steps<'a> {
    backend: &'a DistantBackend,
}

impl Steps<'_> {
    fn took<T, E>(&self, step: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.counted(step, work).map(|(done, _)| done)
    }

    /// Does `work` and prints what it took; with it, the requests that a pulled restore is judged by:
    /// reads of packs of content, and listings. Those of index and tree are printed beside them.
    fn counted<T, E>(
        &self,
        step: &str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, u64), E> {
        self.backend.take_requests();
        let begun = Instant::now();
        let done = work()?;
        let took = begun.elapsed();
        let requests = self.backend.take_requests();
        let (data, lists) = (requests.data_gets(), requests.lists.values().sum::<u64>());
        let others = requests.gets.values().sum::<u64>() - data;
        let got: u64 = requests.got_bytes.get(&ObjectKind::DataPack).copied().unwrap_or(0);
        println!(
            "  {step}: {:.1} s; {data} reads of packs ({} MiB), {lists} listings, {others} reads of \
             index, tree and the like",
            took.as_secs_f64(),
            got >> 20
        );
        Ok((done, data + lists))
    }
}

/// The most memory this process had at a time.
fn peak_memory_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: u64 = line.split_whitespace().next().ok_or("no VmHWM")?.parse()?;
    Ok(kib >> 10)
}
