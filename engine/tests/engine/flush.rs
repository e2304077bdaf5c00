//! A source's point of no return: what it pushed is durable and listed before it goes on.
use devsnap_engine::backend::{Backend, BackendErrorKind, ObjectKind};
use devsnap_engine::backup::{BackupOptions, BackupReport, create_snapshot};
use devsnap_engine::error::{ErrorKind, Result};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Node, NodeKind, Time};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::snapshot::Origin;
use devsnap_engine::source::{
    Awaiting, Delivery, Edit, Faults, Source, SourceError, SourceRun, TreeEdits,
};
use devsnap_testkit::test_repository::held;
use devsnap_testkit::{Call, Effect, FaultBackend, MemoryBackend, TestRepository, When};
use std::io;
use std::sync::Arc;

/// Pushes contents, small and large, flushes after each, and tells `after` what came of it.
struct Flushing<'a> {
    contents: Vec<Vec<u8>>,
    after: &'a mut dyn FnMut(usize, io::Result<()>),
}

impl Source for Flushing<'_> {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        let failed = |e: io::Error| SourceError(e.into());
        let mut edits = TreeEdits::new(run.scratch);
        for (number, content) in self.contents.iter().enumerate() {
            let mut stream = run.contents.begin();
            stream.write_all(content).map_err(failed)?;
            let awaiting =
                Awaiting { content: Some(stream.finish().map_err(failed)?), ..Awaiting::default() };
            let node = Box::new(Node::new(NodeKind::File, 0o600));
            let path = TreePath::from_slashed(format!("f{number}").as_bytes())
                .expect("because it is a plain name");
            let edit = Edit::Put { node, awaiting };
            edits.push(&path, &edit).map_err(|e| SourceError(e.into()))?;
            let flushed = run.contents.flush();
            let failed = flushed.is_err();
            (self.after)(number, flushed);
            if failed {
                return Err(SourceError("not flushed".into()));
            }
        }
        Ok(Delivery { edits, faults: Faults::default() })
    }
}

fn run(
    here: &TestRepository,
    contents: Vec<Vec<u8>>,
    after: &mut dyn FnMut(usize, io::Result<()>),
) -> Result<BackupReport> {
    let options = BackupOptions {
        origin: Origin::Folder { host: "here".to_owned(), path: b"/folder".to_vec() },
        tags: Vec::new(),
        taken_at: Time { secs: 1, nanos: 0 },
        utc_offset_secs: 0,
        program: "test".to_owned(),
        dry_run: false,
    };
    let mut source = Flushing { contents, after };
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    create_snapshot(&here.open()?, &mut source, &options, &progress, &Interrupt::new())
}

fn contents() -> Vec<Vec<u8>> {
    let noise = |seed: u8, len| {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    };
    vec![noise(1, 300), noise(2, 200_000), b"inline".to_vec(), Vec::new(), noise(3, 3 << 20)]
}

#[test]
fn what_was_pushed_before_a_flush_is_stored_and_listed_after_it() {
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    let mut stored = Vec::new();
    let report = run(&here, contents(), &mut |_, flushed| {
        flushed.unwrap();
        let count = |kind| {
            let listed = memory.list(kind, "");
            listed.map(|info| info.unwrap().size_bytes).sum::<u64>()
        };
        // Noise does not shrink: what is stored holds all that came.
        stored.push((count(ObjectKind::DataPack), count(ObjectKind::IndexSegment)));
    })
    .unwrap();
    assert!(stored[0].0 > 300 && stored[0].1 > 0);
    assert!(stored[1].0 > stored[0].0 + 200_000 && stored[1].1 > stored[0].1);
    assert_eq!(stored[2], stored[1], "nothing new to store");
    assert!(stored[4].0 > stored[3].0 + (3 << 20));
    let held = held(&here.open().unwrap(), &report.named.snapshot).unwrap();
    for (number, content) in contents().into_iter().enumerate() {
        assert_eq!(held[&format!("f{number}")].1, content);
    }
}

#[test]
fn a_flush_that_fails_says_so_and_that_the_storage_is_full_when_it_is() {
    for (kind, expected) in [
        (BackendErrorKind::NoSpace, io::ErrorKind::StorageFull),
        (BackendErrorKind::Denied, io::ErrorKind::Other),
    ] {
        let faulty = Arc::new(FaultBackend::new(Arc::new(MemoryBackend::new()), 5));
        let here = TestRepository::over(faulty.clone());
        let mut failures = Vec::new();
        let failed = run(&here, contents(), &mut |number, flushed| {
            match flushed {
                Ok(()) => faulty.fail(Call::Put, When::From(1), Effect::Refused(kind)),
                Err(error) => failures.push((number, error.kind())),
            };
        });
        assert_eq!(failures, [(1, expected)]);
        // The storage's own failure is what the run reports.
        let reported = failed.unwrap_err().kind();
        let expected = match kind {
            BackendErrorKind::NoSpace => ErrorKind::NoSpace,
            _ => ErrorKind::Denied,
        };
        assert_eq!(reported, expected);
    }
}
