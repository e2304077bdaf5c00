//! Bytes instead of a phone, and a source that plays with a folder.
use devsnap_device::devicelink::Status;
use devsnap_device::devicelink::file_stream::Wire;
use devsnap_device::virtual_dir::{DirOptions, VirtualBackupDir};
use devsnap_device::{DeviceError, DeviceErrorKind, Udid};
use devsnap_engine::backup::{BackupOptions, BackupReport, create_snapshot};
use devsnap_engine::error::Error;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::snapshot::Origin;
use devsnap_engine::source::{Delivery, Faults, Source, SourceError, SourceRun};
use devsnap_testkit::TestRepository;
use plist::Value;
use std::sync::Arc;

pub(crate) const UDID: &str = "00008030-001A2B3C4D5E6F78";

/// What a phone would have sent, and what it would have received.
pub(crate) struct Tape {
    from: Vec<u8>,
    at: usize,
    pub(crate) written: Vec<u8>,
}

impl Tape {
    pub(crate) fn new(from: Vec<u8>) -> Self {
        Tape { from, at: 0, written: Vec::new() }
    }

    /// Whether all of it was read.
    pub(crate) fn is_over(&self) -> bool {
        self.at == self.from.len()
    }
}

impl Wire for Tape {
    fn read_exact(&mut self, into: &mut [u8]) -> Result<(), DeviceError> {
        let lost = || DeviceError::new(DeviceErrorKind::ConnectionLost, "the tape has ended");
        let part = self.from.get(self.at..self.at + into.len()).ok_or_else(lost)?;
        into.copy_from_slice(part);
        self.at += into.len();
        Ok(())
    }
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), DeviceError> {
        self.written.extend_from_slice(bytes);
        Ok(())
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A stream of files, each `(path, bytes)`.
pub(crate) fn stream(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (path, bytes) in files {
        stream.extend(framed(b"/.b/6/somewhere"));
        stream.extend(framed(path.as_bytes()));
        for block in bytes.chunks(1000) {
            stream.extend(framed(&[&[0x0c], block].concat()));
        }
        stream.extend(framed(&[0]));
    }
    stream.extend([0; 4]);
    stream
}

/// `Status.plist` in this state.
pub(crate) fn status(state: &str) -> Vec<u8> {
    let mut status = plist::Dictionary::new();
    status.insert("SnapshotState".to_owned(), state.into());
    status.insert("IsFullBackup".to_owned(), true.into());
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    status.insert("Date".to_owned(), Value::Date(date.into()));
    let mut bytes = Vec::new();
    Value::Dictionary(status).to_writer_binary(&mut bytes).unwrap();
    bytes
}

/// More files than any test sends that means well.
pub(crate) const FILES_MAX: usize = 1000;

type Play<'a> = &'a mut dyn FnMut(&mut VirtualBackupDir<'_>);

struct Playing<'a>(Play<'a>);

impl Source for Playing<'_> {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        let mut dir = VirtualBackupDir::new(DirOptions {
            conversion: None,
            receive_max_bytes: u64::MAX,
            receive_max_files: FILES_MAX as u64,
            interrupt: run.interrupt,
            udid: Udid::parse(UDID).unwrap(),
            previous: None,
            is_shown: false,
            contents: run.contents,
            scratch: run.scratch,
            progress: run.progress,
            now: Time { secs: 1_800_000_000, nanos: 0 },
        });
        (self.0)(&mut dir);
        match dir.take_failure() {
            Some(failure) => Err(SourceError(Box::new(failure))),
            None => {
                let edits = dir.edits().map_err(|e| SourceError(Box::new(e)))?;
                Ok(Delivery { edits, faults: Faults::default() })
            }
        }
    }
}

/// Plays with an empty folder; what became of the run.
pub(crate) fn play(here: &TestRepository, play: Play<'_>) -> Result<BackupReport, Error> {
    let options = BackupOptions {
        origin: Origin::Folder { host: "here".to_owned(), path: b"/phone".to_vec() },
        tags: Vec::new(),
        taken_at: Time { secs: 1, nanos: 0 },
        utc_offset_secs: 0,
        program: "test".to_owned(),
        dry_run: false,
    };
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let mut source = Playing(play);
    create_snapshot(&here.open().unwrap(), &mut source, &options, &progress, &Interrupt::new())
}

/// The number of an answer, as the device reads it.
pub(crate) fn code(status: Status) -> i64 {
    let words = status.encode().into_array().unwrap();
    words[1].as_signed_integer().unwrap()
}
