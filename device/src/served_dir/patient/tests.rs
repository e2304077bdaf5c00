//! A storage that fails so many times before it answers.
use super::*;
use devsnap_engine::node::Node;
use devsnap_engine::reader::Entries;
use std::cell::Cell;
use std::sync::Mutex;

/// One file whose bytes fail as planned: each read, and each opening, takes the next of `plan`.
struct Flaky {
    bytes: Vec<u8>,
    plan: std::sync::Arc<Mutex<Vec<Option<ErrorKind>>>>,
}

impl Flaky {
    fn new(bytes: &[u8], plan: &[Option<ErrorKind>]) -> Flaky {
        let plan = plan.iter().rev().copied().collect();
        Flaky { bytes: bytes.to_vec(), plan: std::sync::Arc::new(Mutex::new(plan)) }
    }
}

fn next(plan: &Mutex<Vec<Option<ErrorKind>>>) -> Result<(), Error> {
    match plan.lock().unwrap().pop().flatten() {
        Some(kind) => Err(Error::new(kind, "asking the storage")),
        None => Ok(()),
    }
}

/// Hands one byte a read.
struct FlakyRead {
    rest: std::vec::IntoIter<u8>,
    plan: std::sync::Arc<Mutex<Vec<Option<ErrorKind>>>>,
}

impl Read for FlakyRead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        next(&self.plan).map_err(io::Error::other)?;
        match self.rest.next() {
            Some(byte) => {
                into[0] = byte;
                Ok(1)
            }
            None => Ok(0),
        }
    }
}

impl SnapshotReader for Flaky {
    fn entry(&self, _: &TreePath) -> Result<Option<Node>, Error> {
        next(&self.plan).map(|()| None)
    }
    fn walk<'a>(&'a self, _: &TreePath) -> Entries<'a> {
        Box::new(std::iter::empty())
    }
    fn list<'a>(&'a self, _: &TreePath) -> Entries<'a> {
        Box::new(std::iter::empty())
    }
    fn open(&self, _: &TreePath) -> Result<Box<dyn Read + Send>, Error> {
        next(&self.plan)?;
        let rest = self.bytes.clone().into_iter();
        Ok(Box::new(FlakyRead { rest, plan: self.plan.clone() }))
    }
    fn prefetch(&self, _: &[TreePath]) {}
}

const DOWN: Option<ErrorKind> = Some(ErrorKind::Unreachable);

/// Reads it all, and how often it was said that it waits.
fn read(
    flaky: &Flaky,
    at_most: Duration,
    stop: &dyn Fn() -> Result<()>,
) -> (io::Result<Vec<u8>>, u32) {
    let said = Cell::new(0);
    let waiting = |_: &Error| said.set(said.get() + 1);
    let reading = Reading::default();
    let patience = Patience { reading: &reading, at_most, stop, waiting: &waiting };
    let mut bytes = Vec::new();
    let read = open(flaky, &TreePath::root(), &patience)
        .and_then(|mut file| file.read_to_end(&mut bytes).map(|_| bytes));
    (read, said.get())
}

#[test]
fn what_passes_is_waited_for_and_the_bytes_go_on_where_they_broke_off() {
    // Opening fails once; after two bytes reading fails twice.
    let flaky = Flaky::new(b"hello", &[DOWN, None, None, None, DOWN, DOWN, None]);
    let (bytes, said) = read(&flaky, Duration::from_secs(60), &|| Ok(()));
    assert_eq!(bytes.unwrap(), b"hello");
    assert_eq!(said, 3);
}

#[test]
fn what_does_not_pass_fails_at_once_and_is_never_said_to_be_absent() {
    for kind in [ErrorKind::Damaged, ErrorKind::NotFound, ErrorKind::Denied] {
        let flaky = Flaky::new(b"hello", &[None, None, Some(kind)]);
        let (failed, said) = read(&flaky, Duration::from_secs(60), &|| Ok(()));
        let failed = failed.unwrap_err();
        assert_eq!((failed.kind(), said), (io::ErrorKind::Other, 0), "{kind}");
        assert_eq!(failed.downcast::<Error>().unwrap().kind(), kind);
    }
}

#[test]
fn patience_has_an_end() {
    let flaky = Flaky::new(b"hello", &[None, DOWN, DOWN, DOWN, DOWN, DOWN, DOWN, DOWN]);
    let (failed, said) = read(&flaky, Duration::from_millis(30), &|| Ok(()));
    let failed = failed.unwrap_err().downcast::<Error>().unwrap();
    assert_eq!(failed.kind(), ErrorKind::Unreachable);
    assert!(said >= 1);
}

#[test]
fn who_wants_to_stop_need_not_wait_for_the_storage() {
    use crate::error::DeviceErrorKind;
    let stop = || Err(DeviceError::new(DeviceErrorKind::Cancelled, "stopping as asked"));
    let flaky = Flaky::new(b"hello", &[None, DOWN]);
    let (stopped, _) = read(&flaky, Duration::from_secs(3600), &stop);
    assert!(stopped.unwrap_err().get_ref().unwrap().is::<Stopped>());
}
