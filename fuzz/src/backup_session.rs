//! A whole backup session with a device that says anything.
mod script;

use crate::tape::Tape;
use devsnap_device::devicelink::DeviceLink;
use devsnap_device::mobilebackup2::backup::{self, BackupRequest, Conversation};
use devsnap_device::transport::AtMost;
use devsnap_device::virtual_dir::{DirOptions, VirtualBackupDir};
use devsnap_device::watch::Unwatched;
use devsnap_device::{DeviceError, Udid};
use devsnap_engine::backup::{BackupOptions, create_snapshot};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{NodeKind, Time};
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::Origin;
use devsnap_engine::source::{Delivery, Faults, Source, SourceError, SourceRun};
use devsnap_testkit::TestRepository;
use devsnap_testkit::test_repository::held;
use script::{Script, UDID, is_backup_path};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How much one session may bring.
const RECEIVE_MAX_BYTES: u64 = 2 << 10;

/// How many sessions go into one repository.
const SESSIONS_MAX: u32 = 200;

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// Where sessions go.
struct Here {
    repository: Repository,
    sessions: u32,
    // Behind the repository: it is removed last.
    _folder: TestRepository,
}

impl Here {
    fn new() -> Self {
        let folder = TestRepository::new();
        let repository = folder.open().expect("because it was just made");
        Here { repository, sessions: 0, _folder: folder }
    }
}

/// Whatever a device says: a path that no backup has is the end of the session and nothing of it is
/// kept; what is kept has paths that backups have, and files that came whole; no more comes than
/// may; and a set is finished only when a `Status.plist` has said so. Input: see [`Script::of`].
pub fn backup_session(data: &[u8]) {
    let script = Script::of(data);
    let mut session = Session { says: script.stream(), came: None };
    let here = HERE.take().filter(|here| here.sessions < SESSIONS_MAX);
    let mut here = here.unwrap_or_else(Here::new);
    here.sessions += 1;
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let never = Interrupt::new();
    let run =
        create_snapshot(&here.repository, &mut session, &options(here.sessions), &progress, &never);
    let came = session.came.expect("because every session is begun");
    match run {
        Ok(report) => {
            let talk = came.talk.expect("because a broken connection is no snapshot");
            check_talk(&script, &talk, came.bytes);
            let held = held(&here.repository, &report.named.snapshot);
            let whole: BTreeSet<&[u8]> = script.contents().collect();
            for (path, (kind, bytes)) in held.expect("because it was just stored") {
                assert!(is_backup_path(&path), "{path:?} is kept");
                let is_whole = kind == NodeKind::Folder || whole.contains(&bytes[..]);
                assert!(is_whole || script.is_raw(), "part of {path}");
            }
        }
        // What a device says cannot break the store, nor the names of what is in it.
        Err(error) => assert!(came.failed, "{error}"),
    }
    HERE.set(Some(here));
}

/// A session nobody minded. A device that has had its last word is not listened to any more.
fn check_talk(script: &Script, talk: &Conversation, bytes: u64) {
    assert!(bytes <= RECEIVE_MAX_BYTES);
    let refused = script.heard().flat_map(|step| &step.paths).find(|path| !is_backup_path(path));
    assert!(refused.is_none(), "{refused:?} was borne");
    assert!(!talk.finished || script.says_finished() || script.is_raw());
}

/// What came of a session.
struct Came {
    talk: Option<Conversation>,
    bytes: u64,
    failed: bool,
}

struct Session {
    says: Vec<u8>,
    came: Option<Came>,
}

impl Source for Session {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        let mut dir = VirtualBackupDir::new(DirOptions {
            udid: Udid::parse(UDID).expect("because it is one"),
            previous: None,
            is_shown: false,
            contents: run.contents,
            scratch: run.scratch,
            progress: run.progress,
            now: Time { secs: 1_800_000_000, nanos: 0 },
            receive_max_bytes: RECEIVE_MAX_BYTES,
            receive_max_files: 100,
            conversion: None,
            interrupt: run.interrupt,
        });
        let talk = converse(std::mem::take(&mut self.says), &mut dir);
        let failure = dir.take_failure();
        let failed = failure.is_some() || talk.is_err();
        let bytes = dir.received().1;
        let error = failure.or_else(|| talk.as_ref().err().map(copy));
        self.came = Some(Came { talk: talk.ok(), bytes, failed });
        if let Some(error) = error {
            return Err(SourceError(Box::new(error)));
        }
        // Whether it is finished is the next floor's business; names are looked at all the same.
        let edits = dir.edits().map_err(|e| SourceError(Box::new(e)))?;
        Ok(Delivery { edits, faults: Faults::default() })
    }
}

fn converse(says: Vec<u8>, dir: &mut VirtualBackupDir<'_>) -> Result<Conversation, DeviceError> {
    let mut link = DeviceLink::greet(Tape::of(says))?;
    let request = BackupRequest { target: UDID.to_owned(), full: false, free_bytes: 1 << 40 };
    let mut wait = AtMost(Duration::from_secs(5));
    backup::run(&mut link, &request, dir, &Unwatched, &mut wait)
}

fn copy(error: &DeviceError) -> DeviceError {
    DeviceError::new(error.kind(), error.to_string())
}

/// Each session is the first of its device: the one before is nobody's parent.
fn options(session: u32) -> BackupOptions {
    BackupOptions {
        origin: Origin::Folder {
            host: "here".to_owned(),
            path: format!("/phone-{session}").into_bytes(),
        },
        tags: Vec::new(),
        taken_at: Time { secs: 1, nanos: 0 },
        utc_offset_secs: 0,
        program: "fuzz".to_owned(),
        dry_run: false,
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    script::seeds()
}
