//! The worked example of the protocol notes, and streams nobody should send.
use super::*;
use proptest::prelude::*;

/// Reads from one vector, writes to another.
struct Tape<'t> {
    from: &'t [u8],
    written: Vec<u8>,
}

impl Wire for Tape<'_> {
    fn read_exact(&mut self, into: &mut [u8]) -> Result<()> {
        self.from.read_exact(into).map_err(|_| crate::transport::lost())
    }
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.written.extend_from_slice(bytes);
        Ok(())
    }
}

fn tape(from: &[u8]) -> Tape<'_> {
    Tape { from, written: Vec::new() }
}

#[derive(Default)]
struct Files {
    done: Vec<(String, String, Vec<u8>, FileEnd)>,
    open: Option<(String, String, Vec<u8>)>,
}

impl Receiver for Files {
    fn begin(&mut self, device_path: &[u8], host_path: &[u8]) {
        assert!(self.open.is_none(), "files follow one another");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.open = Some((text(device_path), text(host_path), Vec::new()));
    }
    fn data(&mut self, bytes: &[u8]) {
        self.open.as_mut().unwrap().2.extend_from_slice(bytes);
    }
    fn end(&mut self, end: FileEnd) {
        let (device, host, bytes) = self.open.take().unwrap();
        self.done.push((device, host, bytes, end));
    }
}

const EXAMPLE: &[u8] = b"\0\0\0\x13/.b/6/Library/x.txt\0\0\0\x15UDID/Snapshot/ab/ab..\
    \0\0\0\x06\x0chello\0\0\0\x01\0\0\0\0\0";

#[test]
fn the_worked_example_is_one_file_of_five_bytes() {
    let mut files = Files::default();
    receive(&mut tape(EXAMPLE), &mut files).unwrap();
    let [(device, host, bytes, end)] = &files.done[..] else { panic!("one file") };
    assert_eq!((device.as_str(), host.as_str()), ("/.b/6/Library/x.txt", "UDID/Snapshot/ab/ab.."));
    assert_eq!((bytes.as_slice(), end), (&b"hello"[..], &FileEnd::Whole));
}

#[test]
fn a_file_the_device_cannot_send_is_told_apart_and_the_next_one_arrives() {
    let stream = b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x03\x0cxy\0\0\0\x05\x0bgone\
        \0\0\0\x01c\0\0\0\x01d\0\0\0\x01\0\0\0\0\0";
    let mut files = Files::default();
    receive(&mut tape(stream), &mut files).unwrap();
    assert_eq!(files.done[0].3, FileEnd::Failed("gone".to_owned()));
    assert_eq!((&files.done[1].2, &files.done[1].3), (&vec![], &FileEnd::Whole));
}

#[test]
fn impossible_lengths_and_kinds_end_the_session() {
    for stream in [
        &b"\0\0\x10\x01"[..],
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01a\0\0\0\0",
        b"\0\0\0\x01a\0\0\0\x01b\0\0\0\0",
        b"\0\0\0\x01a\0\0\0\x01b\xff\xff\xff\xff\x0c",
        b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x02\x07x",
        b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x02\0x",
    ] {
        let refused = receive(&mut tape(stream), &mut Files::default()).unwrap_err();
        assert_eq!(refused.kind(), DeviceErrorKind::Protocol, "{stream:?}");
    }
    for cut in 0..EXAMPLE.len() {
        let lost = receive(&mut tape(&EXAMPLE[..cut]), &mut Files::default()).unwrap_err();
        assert_eq!(lost.kind(), DeviceErrorKind::ConnectionLost, "{cut} bytes");
    }
}

#[test]
fn a_missing_file_is_an_error_block_and_not_silence() {
    let mut wire = tape(&[]);
    let missing = Err(io::Error::from(io::ErrorKind::NotFound));
    assert!(send_file(&mut wire, "U/Status.plist", missing).unwrap().is_err());
    send_end(&mut wire).unwrap();
    let known = b"\0\0\0\x0eU/Status.plist\0\0\0\x1a\x06No such file or directory\0\0\0\0";
    assert_eq!(wire.written, known);
}

#[test]
fn a_file_that_breaks_off_leaves_the_stream_in_order() {
    struct Breaks(usize);
    impl Read for Breaks {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the disk"));
            }
            let len = into.len().min(self.0);
            self.0 -= len;
            Ok(len)
        }
    }
    let mut wire = tape(&[]);
    let mut content = Breaks(BLOCK_LEN + 10);
    assert!(send_file(&mut wire, "x", Ok(&mut content)).unwrap().is_err());
    send_end(&mut wire).unwrap();
    // Path, one whole block, the error, the end.
    let mut parts = Vec::new();
    let mut rest = &wire.written[..];
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap();
        parts.push(len);
        rest = &after[len..];
    }
    assert_eq!(parts, [1, BLOCK_LEN + 1, 19, 0]);
}

proptest! {
    #[test]
    fn whatever_is_sent_it_ends_in_files_or_an_error(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut files = Files::default();
        let received = receive(&mut tape(&stream), &mut files);
        let bytes: usize = files.done.iter().map(|file| file.2.len()).sum();
        prop_assert!(bytes <= stream.len());
        prop_assert!(received.is_err() || files.open.is_none());
    }

    #[test]
    fn what_is_sent_is_what_was_read(len in 0usize..100_000) {
        let content: Vec<u8> = (0..=255).cycle().take(len).collect();
        let mut wire = tape(&[]);
        send_file(&mut wire, "U/Manifest.db", Ok(&mut &content[..])).unwrap().unwrap();
        send_end(&mut wire).unwrap();
        // A device's stream has one path more in front; the rest is the same.
        let stream = [&b"\0\0\0\x01p"[..], &wire.written].concat();
        let mut files = Files::default();
        receive(&mut tape(&stream), &mut files).unwrap();
        prop_assert_eq!(&files.done[0].1, "U/Manifest.db");
        prop_assert_eq!(&files.done[0].2, &content);
    }
}
