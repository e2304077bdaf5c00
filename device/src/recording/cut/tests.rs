//! What is cut off, and what hostile bytes do.
use super::*;
use proptest::prelude::*;

const KEY: [u8; 32] = [7; 32];

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn a_stream() -> Vec<u8> {
    [
        framed(b"/.b/6/Library/x.txt"),
        framed(b"U/Snapshot/ab/ab"),
        framed(b"\x0chello"),
        framed(b"\x0chello"),
        framed(b"\x00"),
        framed(b"/.b/7"),
        framed(b"U/Snapshot/cd/cd"),
        framed(b"\x0bgone"),
        vec![0; 4],
        framed(b"a message"),
    ]
    .concat()
}

fn cut(bytes: &[u8], pieces: usize) -> Vec<Said> {
    let mut side = Side::new(Framing::DeviceLink, true, &KEY);
    side.expect_files();
    let mut said = Vec::new();
    for mut piece in bytes.chunks(pieces) {
        while let Some(one) = side.next(&mut piece) {
            said.push(one);
        }
        assert!(piece.is_empty());
    }
    said.extend(side.end());
    said
}

#[test]
fn files_are_told_by_their_blocks_and_what_follows_is_a_message() {
    let said = cut(&a_stream(), 1 << 20);
    let [Said::File(whole), Said::File(failed), Said::FilesEnd, Said::Message(message)] = &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(
        (whole.device_path_len, whole.path.as_slice()),
        (Some(19), &b"U/Snapshot/ab/ab"[..])
    );
    assert_eq!((whole.blocks.as_slice(), whole.bytes), (&[(5, 2)][..], 10));
    assert_eq!(whole.end, FileEnd::Whole);
    assert_eq!(failed.end, FileEnd::Failed(0x0b, b"gone".to_vec()));
    assert_eq!(message, b"a message");
}

#[test]
fn a_connection_that_ends_within_something_says_how_far_it_came() {
    let bytes = a_stream();
    let said = cut(&bytes[..60], 7);
    assert!(matches!(&said[..], [Said::File(FileSaid { end: FileEnd::Cut, .. })]), "{said:?}");
    let mut side = Side::new(Framing::Lists, true, &KEY);
    assert_eq!(side.next(&mut &framed(b"0123456789")[..9]), None);
    assert_eq!(side.end(), Some(Said::Partial { bytes: 9, of: 14 }));
}

#[test]
fn what_follows_no_rule_is_counted_and_hashed() {
    let mut side = Side::new(Framing::Afc, false, &KEY);
    assert_eq!(side.next(&mut &[b'x'; 100][..]), None);
    assert!(matches!(side.end(), Some(Said::Opaque { bytes: 100, .. })));
}

proptest! {
    #[test]
    fn the_size_of_pieces_changes_nothing(pieces in 1usize..60) {
        prop_assert_eq!(cut(&a_stream(), pieces), cut(&a_stream(), 1 << 20));
    }

    #[test]
    fn no_bytes_do_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), pieces in 1usize..9, files: bool,
    ) {
        for framing in [Framing::Lists, Framing::DeviceLink, Framing::Afc, Framing::Unknown] {
            let mut side = Side::new(framing, true, &KEY);
            if files {
                side.expect_files();
            }
            for mut piece in bytes.chunks(pieces) {
                while side.next(&mut piece).is_some() {}
            }
            side.end();
        }
    }
}
