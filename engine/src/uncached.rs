//! Writing long stretches past the page cache.
//!
//! What a restore writes, and a pack once it is whole, is not read again soon. Left in the page
//! cache, gigabytes of it push out what other programs need, and the kernel has to find, and
//! often clear, a fresh page for every one written: half the time of a restore. Linux drops pages
//! as soon as they are on disk when a write says `RWF_DONTCACHE`. Where that is not to be had, a
//! write is an ordinary one.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// As [`FileExt::write_all_at`]; a long stretch leaves the page cache once it is on disk. As with
/// any write, it *is* on disk for certain only after a sync.
///
/// # Errors
///
/// Those of the write.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some((head, whole, tail)) = linux::pages(bytes, offset) {
        file.write_all_at(head, offset)?;
        let at = offset + head.len() as u64;
        linux::write_pages(file, whole, at)?;
        return file.write_all_at(tail, at + whole.len() as u64);
    }
    file.write_all_at(bytes, offset)
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::io::{Errno, ReadWriteFlags, pwritev2};
    use std::fs::File;
    use std::io::{self, IoSlice};
    use std::os::unix::fs::FileExt;
    use std::sync::LazyLock;

    /// `RWF_DONTCACHE` of `linux/fs.h`.
    const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

    /// Shorter stretches are not worth it, in bytes: 16 KiB took as long either way, 64 KiB a
    /// quarter of the time (docs/decisions/0008-uncached-writes.md).
    const MIN: usize = 64 * 1024;

    /// The flag came with Linux 6.14, and was withdrawn in 6.15 because pages could be dropped
    /// while they were in use; 6.16 brought it back, mended.
    const TRUSTED_SINCE: (u32, u32) = (6, 16);

    static IS_TRUSTED: LazyLock<bool> = LazyLock::new(|| {
        let uname = rustix::system::uname();
        uname.release().to_str().is_ok_and(|release| version(release) >= Some(TRUSTED_SINCE))
    });

    /// Major and minor number of a kernel's release, such as `6.18.44-arch1`.
    fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// `bytes` cut where its whole pages begin and end. A page that only part of is written stays
    /// in the cache: whoever writes the rest would otherwise have to read it back first.
    pub(super) fn pages(bytes: &[u8], offset: u64) -> Option<(&[u8], &[u8], &[u8])> {
        if bytes.len() < MIN || !*IS_TRUSTED {
            return None;
        }
        let page = rustix::param::page_size();
        let into_page = usize::try_from(offset % page as u64).ok()?;
        let (head, rest) = bytes.split_at_checked((page - into_page) % page)?;
        let (whole, tail) = rest.split_at(rest.len() - rest.len() % page);
        Some((head, whole, tail))
    }

    pub(super) fn write_pages(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match pwritev2(file, &[IoSlice::new(bytes)], at, DONTCACHE) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    at += written as u64;
                }
                Err(Errno::INTR) => {}
                // A file system without it, or a sandbox without the call.
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                    return file.write_all_at(bytes, at);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn releases_are_compared_by_their_numbers() {
            assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
            assert_eq!(version("6.16"), Some((6, 16)));
            assert_eq!(version("6.9-rc1"), Some((6, 9)));
            assert_eq!(version("mended"), None);
            assert!(Some((6, 9)) < Some(TRUSTED_SINCE) && Some((7, 0)) > Some(TRUSTED_SINCE));
            assert!(version("odd") < Some(TRUSTED_SINCE));
        }

        #[test]
        fn whole_pages_are_written_where_they_belong() {
            let file = tempfile::tempfile().unwrap();
            let bytes: Vec<u8> = (0..1u32 << 20).map(|n| n.to_le_bytes()[1]).collect();
            write_pages(&file, &bytes, 1 << 16).unwrap();
            let mut read = vec![0; bytes.len()];
            file.read_exact_at(&mut read, 1 << 16).unwrap();
            assert!(read == bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stretches_lie_where_they_were_written(
            stretches in prop::collection::vec((0u64..600_000, 0usize..300_000, any::<u8>()), 1..6),
        ) {
            let file = tempfile::tempfile().unwrap();
            let mut wanted = Vec::new();
            for (offset, len, fill) in stretches {
                let bytes: Vec<u8> = (0..len).map(|at| fill ^ (at % 251) as u8).collect();
                write_all_at(&file, &bytes, offset).unwrap();
                let at = offset as usize;
                if len > 0 {
                    wanted.resize(wanted.len().max(at + len), 0);
                    wanted[at..at + len].copy_from_slice(&bytes);
                }
            }
            let mut read = vec![0; wanted.len()];
            prop_assert_eq!(file.metadata().unwrap().len(), wanted.len() as u64);
            file.read_exact_at(&mut read, 0).unwrap();
            prop_assert!(read == wanted);
        }
    }
}
