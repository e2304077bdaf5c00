//! Files stored as plaintext that come back encrypted.
use super::*;
use crate::encoding::{Encrypting, encoded_len};
use crate::node::Encoding;
use crate::target::{FileTicket, Present, Restored, Target};

const KEY: [u8; 32] = [0x5a; 32];

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encrypting::new(plain, &KEY).read_to_end(&mut out).unwrap();
    out
}

/// Files of one piece, of several that lie in no order, with a last piece of one byte, and of none.
fn encrypted_tree() -> (Shelf, Vec<(&'static str, Vec<u8>)>) {
    let mut shelf = Shelf::default();
    let long: Vec<u8> = (0..700_001u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let (head, tail) = long.split_at(300_007);
    let (middle, last) = tail.split_at(tail.len() - 1);
    let mut plain = Vec::new();
    // Stored first, so that its last piece is read before its first.
    shelf.store(last);
    shelf.store(middle);
    for (name, chunks) in [
        ("one", vec![&b"a single piece"[..]]),
        ("many", vec![head, middle, last]),
        ("zeros", vec![&[0; 64][..], &[0; 64]]),
        ("twice", vec![&b"sixteen bytes it"[..], b"sixteen bytes it"]),
    ] {
        shelf.file(name, &chunks).encoding = Encoding::AppleEncrypted { file_key: KEY };
        plain.push((name, chunks.concat()));
    }
    for (name, content) in [("empty", &b""[..]), ("tiny", b"in the node")] {
        let node = shelf.file(name, &[]);
        node.content = FileContent::inline(content);
        node.encoding = Encoding::AppleEncrypted { file_key: KEY };
        plain.push((name, content.to_vec()));
    }
    (shelf, plain)
}

#[test]
fn each_file_comes_back_as_the_device_had_encrypted_it() {
    let ((shelf, plain), dir) = (encrypted_tree(), TempDir::new().unwrap());
    let report = shelf.restore(&dir, &RestoreOptions::default()).unwrap();
    assert_eq!((report.written_files, report.faults_total), (6, 0));
    for (name, plain) in &plain {
        assert!(read(&dir, name) == sealed(plain), "{name}");
    }
    let bytes: u64 = plain.iter().map(|(_, plain)| encoded_len(plain.len() as u64)).sum();
    assert_eq!(report.written_bytes, bytes);
}

#[test]
fn a_second_restore_knows_them_by_their_encrypted_bytes() {
    let ((shelf, plain), dir) = (encrypted_tree(), TempDir::new().unwrap());
    let options = RestoreOptions::default();
    shelf.restore(&dir, &options).unwrap();
    for (name, plain) in &plain {
        let mut bytes = sealed(plain);
        fs::write(dir.path().join(name), &bytes).unwrap();
        let again = shelf.restore(&dir, &options).unwrap();
        assert_eq!((again.written_files, again.unchanged_files), (0, 6), "{name}: another time");
        // The last byte is one of padding.
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(dir.path().join(name), &bytes).unwrap();
        let again = shelf.restore(&dir, &options).unwrap();
        assert_eq!((again.written_files, again.unchanged_files), (1, 5), "{name}: other bytes");
        assert!(read(&dir, name) == sealed(plain), "{name}");
    }
}

/// A target that keeps what was written to it at any time.
struct Spy<'a> {
    inner: &'a FolderTarget,
    seen: Mutex<Vec<Vec<u8>>>,
    /// Fails when a file is encrypted in place.
    is_broken: bool,
}

impl Target for Spy<'_> {
    fn present(&self, path: &TreePath) -> Result<Present> {
        self.inner.present(path)
    }
    fn read_present(&self, path: &TreePath) -> Result<Box<dyn Read + Send>> {
        self.inner.read_present(path)
    }
    fn names_in(&self, folder: &TreePath) -> Result<Vec<Vec<u8>>> {
        self.inner.names_in(folder)
    }
    fn make_folder(&self, path: &TreePath) -> Result<()> {
        self.inner.make_folder(path)
    }
    fn begin_file(&self, path: &TreePath, len: u64) -> Result<FileTicket> {
        self.inner.begin_file(path, len)
    }
    fn write_piece(&self, file: FileTicket, offset: u64, bytes: &[u8]) -> Result<()> {
        self.seen.lock().unwrap().push(bytes.to_vec());
        self.inner.write_piece(file, offset, bytes)
    }
    fn read_piece(&self, file: FileTicket, offset: u64, into: &mut [u8]) -> Result<()> {
        match self.is_broken {
            true => Err(Error::new(ErrorKind::LocalDisk, "reading")),
            false => self.inner.read_piece(file, offset, into),
        }
    }
    fn replace_piece(&self, file: FileTicket, offset: u64, bytes: &[u8]) -> Result<()> {
        self.seen.lock().unwrap().push(bytes.to_vec());
        self.inner.replace_piece(file, offset, bytes)
    }
    fn shorten_file(&self, file: FileTicket, len: u64) -> Result<()> {
        self.inner.shorten_file(file, len)
    }
    fn finish_file(&self, file: FileTicket, restored: &Restored<'_>) -> Result<Vec<String>> {
        self.inner.finish_file(file, restored)
    }
    fn abandon_file(&self, file: FileTicket) {
        self.inner.abandon_file(file);
    }
    fn set_attributes(&self, restored: &Restored<'_>) -> Result<Vec<String>> {
        self.inner.set_attributes(restored)
    }
    fn make_hard_link(&self, path: &TreePath, first: &TreePath) -> Result<()> {
        self.inner.make_hard_link(path, first)
    }
    fn make_special(&self, restored: &Restored<'_>) -> Result<Vec<String>> {
        self.inner.make_special(restored)
    }
    fn finish_folder(&self, restored: &Restored<'_>) -> Result<Vec<String>> {
        self.inner.finish_folder(restored)
    }
    fn remove(&self, path: &TreePath) -> Result<()> {
        self.inner.remove(path)
    }
    fn sync(&self, is_settled: bool) -> Result<()> {
        self.inner.sync(is_settled)
    }
}

fn restore_through_a_spy(
    shelf: &Shelf,
    dir: &TempDir,
    is_broken: bool,
) -> (RestoreReport, Vec<Vec<u8>>) {
    let inner = FolderTarget::open(dir.path(), &TargetOptions::default()).unwrap();
    let spy = Spy { inner: &inner, seen: Mutex::default(), is_broken };
    let (options, interrupt) = (RestoreOptions::default(), Interrupt::new());
    let run = Run::new(shelf, shelf, &spy, &options, &Silent, &interrupt).unwrap();
    (run.restore().unwrap(), spy.seen.into_inner().unwrap())
}

#[test]
fn no_plaintext_of_an_encrypted_file_is_ever_written() {
    let ((shelf, plain), dir) = (encrypted_tree(), TempDir::new().unwrap());
    let (_, seen) = restore_through_a_spy(&shelf, &dir, false);
    assert!(seen.len() > plain.len(), "pieces were written");
    for (name, plain) in plain.iter().filter(|(_, plain)| plain.len() >= 16) {
        let start = &plain[..16];
        let is_shown = seen.iter().any(|bytes| bytes.windows(16).any(|window| window == start));
        assert!(!is_shown, "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_encrypted_again_is_a_fault_and_leaves_nothing() {
    let ((shelf, _), dir) = (encrypted_tree(), TempDir::new().unwrap());
    let (report, _) = restore_through_a_spy(&shelf, &dir, true);
    let mut lost: Vec<_> = report.faults.iter().map(|fault| fault.path.to_string()).collect();
    lost.sort();
    assert_eq!(lost, ["many", "twice", "zeros"]);
    let mut left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["empty", "one", "tiny"]);
}
