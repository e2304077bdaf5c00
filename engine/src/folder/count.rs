//! How much lies ahead, counted beside the work, so that people are told when it will be done.
use super::safe_path::kind_of;
use super::source::FolderOptions;
use super::walk::{Found, Walk};
use crate::progress::Progress;
use rustix::fs::{FileType, Mode, OFlags};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Paths that are counted before they are told.
const PATHS_AT_ONCE: u64 = 256;

/// Does `work` on the folder at `root` while another thread counts what is in it for `progress`,
/// unless nobody wants to know. The counting ends with the work at the latest.
pub(super) fn while_counting<T>(
    root: &Path,
    options: &FolderOptions,
    progress: &dyn Progress,
    work: impl FnOnce() -> T,
) -> T {
    if !progress.wants_totals() {
        return work();
    }
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Without the thread nobody learns the totals; that is no reason to stop.
        let _ = thread::Builder::new()
            .name("counter".to_owned())
            .spawn_scoped(scope, || count(root, options, progress, &is_done));
        let _ends_counting = Raise(&is_done);
        work()
    })
}

/// Raises a flag when it goes, whatever the reason.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts as the source counts its progress: each path, the bytes of each name of a file.
fn count(root: &Path, options: &FolderOptions, progress: &dyn Progress, is_done: &AtomicBool) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::open(root, flags, Mode::empty()) else { return };
    let Ok(mut walk) = Walk::new(root) else { return };
    // The folder itself.
    let (mut paths, mut bytes) = (1, 0);
    while let Some(next) = walk.next() {
        if is_done.load(Ordering::Relaxed) {
            return;
        }
        // What cannot be looked at is the source's to tell.
        let Ok(met) = next else { continue };
        let Found::Node(stat) = &met.found else { continue };
        if options.leaves_out(&met.path, stat) {
            continue;
        }
        paths += 1;
        match kind_of(stat) {
            FileType::RegularFile => bytes += u64::try_from(stat.st_size).unwrap_or(0),
            FileType::Directory => {
                let _ = walk.open(&met).and_then(|fd| walk.enter(&met, fd));
            }
            _ => {}
        }
        if paths >= PATHS_AT_ONCE {
            progress.expect(paths, bytes);
            (paths, bytes) = (0, 0);
        }
    }
    progress.expect(paths, bytes);
    progress.expect_no_more();
}
