//! Records of one length, sorted and without duplicates, on this computer's disk: memory holds one
//! run however many there are.
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What is sorted in memory before it is written, in bytes.
const RUN_BYTES: usize = 8 << 20;

/// Runs are merged into one when there are this many: each costs a buffer while it is read.
const RUNS_MAX: usize = 64;

const BUFFER_BYTES: usize = 64 << 10;

/// A sorted set of records of `N` bytes.
pub(crate) struct SortedRuns<const N: usize> {
    folder: PathBuf,
    waiting: Vec<[u8; N]>,
    waiting_max: usize,
    runs: Vec<File>,
}

fn failed(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |e| Error::local(doing, e)
}

impl<const N: usize> SortedRuns<N> {
    /// An empty set whose runs are temporary files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        SortedRuns::with_run_of(folder, (RUN_BYTES / N).max(1))
    }

    fn with_run_of(folder: &Path, waiting_max: usize) -> Self {
        SortedRuns { folder: folder.to_owned(), waiting: Vec::new(), waiting_max, runs: Vec::new() }
    }

    /// Adds a record; one that is there already changes nothing.
    ///
    /// # Errors
    ///
    /// A temporary file could not be written.
    pub(crate) fn push(&mut self, record: [u8; N]) -> Result<()> {
        self.waiting.push(record);
        if self.waiting.len() < self.waiting_max {
            return Ok(());
        }
        self.waiting.sort_unstable();
        self.waiting.dedup();
        // Few different records that come again and again need no run each time.
        if self.waiting.len() > self.waiting_max / 2 { self.spill() } else { Ok(()) }
    }

    /// Writes what waits as a run.
    fn spill(&mut self) -> Result<()> {
        let run = write_run(&self.folder, self.waiting.iter().map(|record| Ok(*record)))?;
        self.waiting.clear();
        self.runs.push(run);
        if self.runs.len() >= RUNS_MAX {
            let merged = write_run(&self.folder, self.merged()?)?;
            self.runs = vec![merged];
        }
        Ok(())
    }

    /// All records in rising order, each once; they stay for another time.
    ///
    /// # Errors
    ///
    /// A temporary file could not be read.
    pub(crate) fn sorted(&mut self) -> Result<Merge<'_, N>> {
        self.waiting.sort_unstable();
        self.waiting.dedup();
        self.merged()
    }

    /// The runs and what waits, which must be sorted.
    fn merged(&self) -> Result<Merge<'_, N>> {
        Merge::of(&self.runs, &self.waiting)
    }
}

/// Writes sorted records into a temporary file in `folder`, which has no name.
///
/// # Errors
///
/// Those of `records`; the file could not be written.
pub(crate) fn write_run<const N: usize>(
    folder: &Path,
    records: impl Iterator<Item = Result<[u8; N]>>,
) -> Result<File> {
    const DOING: &str = "writing a temporary file";
    let file = tempfile::tempfile_in(folder).map_err(failed(DOING))?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    for record in records {
        out.write_all(&record?).map_err(failed(DOING))?;
    }
    out.into_inner().map_err(|e| failed(DOING)(e.into_error()))
}

/// Goes through sorted runs, and sorted records in memory, in order; each record once.
pub(crate) struct Merge<'a, const N: usize> {
    sources: Vec<BufReader<&'a File>>,
    waiting: std::slice::Iter<'a, [u8; N]>,
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
    last: Option<[u8; N]>,
}

impl<'a, const N: usize> Merge<'a, N> {
    /// A pass through `runs` and `waiting`. Handles of one file share their position: one pass is over
    /// before the next begins.
    ///
    /// # Errors
    ///
    /// A temporary file could not be read.
    pub(crate) fn of(
        runs: impl IntoIterator<Item = &'a File>,
        waiting: &'a [[u8; N]],
    ) -> Result<Self> {
        let mut sources = Vec::new();
        for mut file in runs {
            file.seek(SeekFrom::Start(0)).map_err(failed("reading a temporary file"))?;
            sources.push(BufReader::with_capacity(BUFFER_BYTES, file));
        }
        let waiting = waiting.iter();
        let mut merge = Merge { sources, waiting, heap: BinaryHeap::new(), last: None };
        for source in 0..=merge.sources.len() {
            merge.refill(source)?;
        }
        Ok(merge)
    }

    /// Brings the next record of a source into the heap; the source behind the last is memory.
    fn refill(&mut self, source: usize) -> Result<()> {
        let next = match self.sources.get_mut(source) {
            None => self.waiting.next().copied(),
            Some(run) => {
                let mut record = [0; N];
                match run.read_exact(&mut record) {
                    Ok(()) => Some(record),
                    // Whole records were written, so this is the end of the run.
                    Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => None,
                    Err(e) => return Err(failed("reading a temporary file")(e)),
                }
            }
        };
        if let Some(record) = next {
            self.heap.push(Reverse((record, source)));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<[u8; N]>> {
        while let Some(Reverse((record, source))) = self.heap.pop() {
            self.refill(source)?;
            if self.last != Some(record) {
                self.last = Some(record);
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

impl<const N: usize> Iterator for Merge<'_, N> {
    type Item = Result<[u8; N]>;
    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn records_come_back_sorted_and_once_however_many_runs_they_take(
            batches in proptest::collection::vec(proptest::collection::vec(any::<[u8; 2]>(), 0..60), 1..4),
            run in 1usize..20,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut runs = SortedRuns::with_run_of(folder.path(), run);
            let mut model = BTreeSet::new();
            for batch in batches {
                for record in batch {
                    runs.push(record).unwrap();
                    model.insert(record);
                }
                let sorted: Vec<[u8; 2]> = runs.sorted().unwrap().map(Result::unwrap).collect();
                prop_assert_eq!(sorted, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn many_runs_are_merged_into_one_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut runs = SortedRuns::with_run_of(folder.path(), 2);
        for n in (0..1000u32).rev() {
            runs.push(n.to_be_bytes()).unwrap();
        }
        assert!(runs.runs.len() < RUNS_MAX);
        let sorted: Vec<u32> =
            runs.sorted().unwrap().map(|r| u32::from_be_bytes(r.unwrap())).collect();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }
}
