//! A folder read and written back, compared by a reader that shares no code with either.
mod compare;
mod memory;
mod reading;
mod writing;

use std::path::Path;

/// Runs `act` as somebody who may not open everything, who becomes the owner of `folder`.
///
/// Linux keeps identities per thread, so the rest of the tests stay who they are.
fn without_privileges<T: Send>(folder: &Path, act: impl FnOnce() -> T + Send) -> T {
    let nobody = rustix::process::Uid::from_raw(65534);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(folder, Some(nobody.as_raw()), None).unwrap();
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            if is_root {
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            act()
        });
        thread.join().unwrap()
    })
}
