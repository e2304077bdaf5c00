//! A real file system of a few MiB that can be filled to the last block: an ext4 image, or memory where
//! there are no loop devices. Only who may mount can have one.
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const IMAGE_BYTES: u64 = 24 << 20;

/// A mounted file system, unmounted when it is dropped.
pub(crate) struct SmallDisk {
    around: TempDir,
}

impl SmallDisk {
    /// Mounts one; `None` where that is not allowed, which is said on standard error whatever captures it.
    pub(crate) fn mounted(what_is_not_tested: &str) -> Option<SmallDisk> {
        let around = tempfile::tempdir().expect("because there is room");
        let (image, folder) = (around.path().join("image"), around.path().join("disk"));
        fs::create_dir(&folder).expect("because there is room");
        let made = File::create(&image).expect("because there is room");
        made.set_len(IMAGE_BYTES).expect("because there is room");
        // No journal and no reserve: what is free is free. A block is 4 KiB as on a large disk.
        let ext4 = ["-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal"];
        let is_ext4 = runs(Command::new("mkfs.ext4").args(ext4).arg(&image))
            && runs(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&folder));
        let size = format!("size={IMAGE_BYTES}");
        if is_ext4
            || runs(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder))
        {
            return Some(SmallDisk { around });
        }
        // Not `eprintln!`, which is silent in a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "\nNOT RUN: {what_is_not_tested}: no file system can be mounted here (it takes root); \
             what follows a refused write is tested with an injected fault only\n"
        );
        None
    }

    /// Its folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.around.path().join("disk")
    }

    /// Leaves so many bytes free, to about a block.
    pub(crate) fn leave(&self, free_bytes: u64) {
        self.free();
        let space = rustix::fs::statvfs(self.path()).expect("because it is mounted");
        let ballast_bytes = (space.f_bavail * space.f_frsize).saturating_sub(free_bytes);
        let ballast = File::create(self.ballast()).expect("because it is ours");
        let flags = rustix::fs::FallocateFlags::empty();
        // What holds the list of its blocks may take the last of them.
        for short_bytes in [0, 4096, 8192, 16_384] {
            let bytes = ballast_bytes.saturating_sub(short_bytes);
            if bytes == 0 || rustix::fs::fallocate(&ballast, flags, 0, bytes).is_ok() {
                return;
            }
        }
        panic!("{ballast_bytes} bytes are said to be free, and are not");
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Later, if a process that was killed still has a file open there.
        runs(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

fn runs(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Copies a folder of files and folders.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("because there is room");
    for entry in fs::read_dir(from).expect("because it was made") {
        let entry = entry.expect("because it can be listed");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("because there is room")),
        }
    }
}
