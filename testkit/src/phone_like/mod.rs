//! A folder that looks like a phone's backup to a backup engine, made from a seed.
//!
//! It knows nothing of the engine: benches, comparisons with other programs and tests share it.
//!
//! # Proportions, and what they rest on
//!
//! | share | value | source |
//! |---|---|---|
//! | empty files | 2.2 % of files | 24 of some 1 080 files in the public MVT test manifest |
//! | median size | about 600 bytes | 638 bytes in that manifest |
//! | largest file | a database of 60 MiB | 63.5 MB in that manifest |
//! | databases | 38 % of bytes, log-skewed sizes from 20 KiB to 60 MiB | there, app groups and the home domain, where databases lie, hold 75 % of the bytes, the camera roll 25 % |
//! | photos, films | what is left, about 58 % of bytes, 1-8 MiB each | assumption: that manifest is of a nearly new phone; one in use has more photos |
//! | thumbnails | 7 % of files, median 24 KiB | the camera roll has 8.5 % of that manifest's rows, most of them derived pictures |
//! | plists | most of the rest, some 86 % of files, 2 in 5 as XML | median above; the split is an assumption |
//! | logs; duplicates | 3 %; 2 % of files, and one photo in 40 | assumption |
//! | names | three in four `<2 hex>/<40 hex>`, the rest below domain folders | a Finder backup has the first form only; the second is how an unpacked one looks |
//!
//! The number of files is exact; bytes are right to about one percent, since plists come out near
//! their size. The manifest's figures are those of MVT's test data (`tests/artifacts`).

mod day;
mod media;
mod plan;
mod plist;
mod rng;
mod sqlite;
#[cfg(test)]
mod tests;
mod text;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use plan::{Kind, PlannedFile};

/// Bytes buffered per file being written.
const BUFFER: usize = 256 * 1024;

/// A set to be written: equal fields give equal trees, on machines of one kind (sizes pass through
/// `exp` and `powf`, whose last digit is the platform's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneLike {
    /// What everything random is drawn from.
    pub seed: u64,
    /// Number of files, the empty ones included.
    pub files: u64,
    /// Bytes of all files together, to about one percent.
    pub total_bytes: u64,
}

impl Default for PhoneLike {
    /// The set that speeds are quoted for: 40 000 files, 4 GiB.
    fn default() -> Self {
        PhoneLike { seed: 1, files: 40_000, total_bytes: 4 << 30 }
    }
}

/// What a day of use did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files whose content is another now.
    pub files_changed: u64,
    /// Files that were not there before.
    pub files_added: u64,
    /// Files that are gone.
    pub files_removed: u64,
    /// Database pages of 4096 bytes that were rewritten or appended, within the changed files.
    pub pages_written: u64,
}

impl PhoneLike {
    /// Writes the set under `dir`, which is made if need be and should be empty.
    ///
    /// Uses as many threads as there are cores, at most eight. Nothing is synced.
    ///
    /// # Errors
    ///
    /// The first file or folder that could not be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let plan = plan::plan(self);
        let folders: BTreeSet<_> = plan
            .iter()
            .filter_map(|file| dir.join(&file.path).parent().map(Path::to_owned))
            .collect();
        folders.iter().try_for_each(fs::create_dir_all)?;

        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(file) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
                write_file(file, dir)?;
            }
            Ok(())
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().expect("because writing a file does not panic")
            })
        })
    }

    /// Changes the set under `dir` as day number `day` of use would: pages of some databases are
    /// rewritten in place and some appended, photos come, plists change, logs grow, files go.
    ///
    /// Days are to be applied in order, each once: 1, 2, 3… Then equal sets stay equal.
    ///
    /// # Errors
    ///
    /// A file could not be changed; most often because `dir` does not hold this set.
    pub fn mutate(&self, dir: &Path, day: u32) -> io::Result<Changes> {
        day::pass(self, dir, day)
    }
}

fn write_file(file: &PlannedFile, dir: &Path) -> io::Result<()> {
    let path = dir.join(&file.path);
    if file.kind == Kind::Plist {
        return fs::write(path, plist::plist(file.size, file.seed, 0));
    }
    let capacity = BUFFER.min(usize::try_from(file.size).unwrap_or(BUFFER));
    let mut out = BufWriter::with_capacity(capacity, File::create(path)?);
    match file.kind {
        Kind::Empty | Kind::Plist => {}
        Kind::Log => text::write_log(file.size, file.seed, &mut out)?,
        Kind::Thumbnail => media::write_thumbnail(file.size, file.seed, &mut out)?,
        Kind::Media => media::write_media(file.size, file.seed, &mut out)?,
        Kind::Database => {
            sqlite::write_database(file.size / sqlite::PAGE as u64, file.seed, &mut out)?;
        }
    }
    out.flush()
}
