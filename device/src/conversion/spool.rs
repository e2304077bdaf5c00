//! Encrypted files that wait on this computer until their keys have come.
//!
//! A device sends the list of keys last. Until then its files lie one behind the other in an unnamed
//! file, encrypted as they came: nothing of it can be read, and nothing stays behind, whatever
//! happens to this program.
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Files of one session, in the order they came.
pub struct Spool {
    file: File,
    limit_bytes: u64,
    end: u64,
    files: Vec<Stretch>,
}

/// A file that is arriving. One at a time; dropping it forgets what came.
#[derive(Debug)]
pub struct Growing(Stretch);

#[derive(Debug, Clone, Copy)]
struct Stretch {
    at: u64,
    len: u64,
}

impl Spool {
    /// An empty spool in `scratch` that takes at most `limit_bytes`.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be made.
    pub fn new(scratch: &Path, limit_bytes: u64) -> io::Result<Self> {
        let file = tempfile::tempfile_in(scratch)?;
        Ok(Spool { file, limit_bytes, end: 0, files: Vec::new() })
    }

    /// Begins a file.
    pub fn begin(&self) -> Growing {
        Growing(Stretch { at: self.end, len: 0 })
    }

    /// Adds bytes to a file that was begun last; `false` when there is no room for them, here or on
    /// the disk: then nothing was added.
    ///
    /// # Errors
    ///
    /// The disk failed in another way.
    pub fn push(&self, file: &mut Growing, bytes: &[u8]) -> io::Result<bool> {
        let Growing(stretch) = file;
        let at = stretch.at + stretch.len;
        let end = at.saturating_add(bytes.len() as u64);
        if end > self.limit_bytes {
            return Ok(false);
        }
        match self.file.write_all_at(bytes, at) {
            Ok(()) => {
                stretch.len = end - stretch.at;
                Ok(true)
            }
            Err(error) if is_full(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What came so far of a file that is arriving.
    pub fn so_far(&self, file: &Growing) -> impl Read + '_ {
        self.stretch(file.0)
    }

    /// Keeps a file that is whole; its number.
    pub fn keep(&mut self, file: Growing) -> usize {
        self.end = file.0.at + file.0.len;
        self.files.push(file.0);
        self.files.len() - 1
    }

    /// The bytes of a file that was kept; none for a number that was not given.
    pub fn read(&self, number: usize) -> impl Read + '_ {
        self.stretch(self.files.get(number).copied().unwrap_or(Stretch { at: 0, len: 0 }))
    }

    fn stretch(&self, Stretch { at, len }: Stretch) -> impl Read + '_ {
        Reading { file: &self.file, at }.take(len)
    }
}

/// No room: the limits of a person's quota and of a file's size are no other trouble.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

struct Reading<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Reading<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut from: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn files_come_back_whatever_was_begun_between_them() {
        let scratch = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(scratch.path(), 100).unwrap();
        let mut first = spool.begin();
        assert!(spool.push(&mut first, b"one ").unwrap());
        assert!(spool.push(&mut first, b"file").unwrap());
        assert_eq!(read(spool.so_far(&first)), b"one file");
        assert_eq!(spool.keep(first), 0);
        // One that was not finished leaves no gap and no bytes.
        assert!(spool.push(&mut spool.begin(), &[b'x'; 50]).unwrap());
        let mut second = spool.begin();
        assert!(spool.push(&mut second, b"another").unwrap());
        assert_eq!(spool.keep(second), 1);
        let empty = spool.begin();
        assert_eq!(spool.keep(empty), 2);
        assert_eq!(read(spool.read(0)), b"one file");
        assert_eq!(read(spool.read(1)), b"another");
        assert_eq!((read(spool.read(2)), read(spool.read(3))), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::new(scratch.path(), 10).unwrap();
        let mut file = spool.begin();
        assert!(spool.push(&mut file, b"12345678").unwrap());
        assert!(!spool.push(&mut file, b"9ab").unwrap());
        assert_eq!(read(spool.so_far(&file)), b"12345678");
        assert!(spool.push(&mut file, b"9a").unwrap(), "what fits is still taken");
    }

    #[test]
    fn nothing_of_it_has_a_name() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::new(scratch.path(), 10).unwrap();
        assert!(spool.push(&mut spool.begin(), b"secret").unwrap());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
