//! MBFile archives, right and wrong.
use plist::{Dictionary, Uid, Value};
use std::collections::BTreeMap;

use super::*;

fn binary(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.to_writer_binary(&mut bytes).unwrap();
    bytes
}

fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dictionary(Dictionary::from_iter(entries.map(|(key, value)| (key.to_owned(), value))))
}

fn uid(number: u64) -> Value {
    Value::Uid(Uid::new(number))
}

/// An archive of these objects, the first of which is `$null` and the second its root.
fn archive(objects: Vec<Value>) -> Vec<u8> {
    binary(&dictionary([
        ("$version", 100_000.into()),
        ("$archiver", "NSKeyedArchiver".into()),
        ("$top", dictionary([("root", uid(1))])),
        ("$objects", Value::Array([vec!["$null".into()], objects].concat())),
    ]))
}

pub(super) fn simple(extra: (&str, Value)) -> Vec<u8> {
    archive(vec![dictionary([("Mode", 0o100_600.into()), ("LastModified", 7.into()), extra])])
}

#[test]
fn a_record_as_a_device_writes_it_is_read_whole() {
    let xattrs = binary(&dictionary([("com.example.tag", Value::Data(vec![1, 2]))]));
    let bytes = archive(vec![
        dictionary([
            ("RelativePath", uid(2)),
            ("LastModified", 1_700_000_000.into()),
            ("LastStatusChange", 1_700_000_001.into()),
            ("Birth", Value::from(-5)),
            ("Size", 4096.into()),
            ("Mode", 0o100_644.into()),
            ("UserID", 501.into()),
            ("GroupID", 502.into()),
            ("InodeNumber", u64::MAX.into()),
            ("ProtectionClass", 3.into()),
            ("Flags", 0.into()),
            ("EncryptionKey", uid(3)),
            ("Digest", uid(4)),
            ("ExtendedAttributes", uid(5)),
            ("Target", uid(0)),
            ("$class", uid(6)),
        ]),
        "Library/x".into(),
        dictionary([("NS.data", Value::Data(vec![9; 44])), ("$class", uid(6))]),
        Value::Data(vec![8; 20]),
        Value::Data(xattrs),
        dictionary([("$classname", "MBFile".into())]),
    ]);

    let file = MbFile::decode(&bytes).unwrap();

    let expected = MbFile {
        size: Some(4096),
        mode: Some(0o100_644),
        mtime: Some(1_700_000_000),
        birth: Some(-5),
        status_change: Some(1_700_000_001),
        user: Some(501),
        group: Some(502),
        inode: Some(u64::MAX),
        protection_class: Some(3),
        encryption_key: Some(vec![9; 44]),
        digest: Some(vec![8; 20]),
        target: None,
        xattrs: BTreeMap::from([("com.example.tag".to_owned(), vec![1, 2])]),
    };
    assert_eq!(file, expected);
}

#[test]
fn numbers_may_be_objects_and_most_fields_absent() {
    let bytes = archive(vec![
        dictionary([("Mode", uid(2)), ("LastModified", uid(3)), ("Target", uid(4))]),
        0o120_755.into(),
        Value::from(-1),
        "../target".into(),
    ]);

    let file = MbFile::decode(&bytes).unwrap();

    assert_eq!((file.mode, file.mtime, file.size), (Some(0o120_755), Some(-1), None));
    assert_eq!(file.target.as_deref(), Some("../target"));
}

#[test]
fn a_key_that_cannot_be_read_is_no_absent_one() {
    for value in ["text".into(), uid(77), dictionary([("NS.data", uid(77))])] {
        let bad = MbFile::decode(&simple(("EncryptionKey", value))).unwrap_err();
        assert!(matches!(bad, BadRecord::Field("EncryptionKey")), "{bad:?}");
    }
    assert_eq!(MbFile::decode(&simple(("EncryptionKey", uid(0)))).unwrap().encryption_key, None);
}

#[test]
fn another_field_that_cannot_be_read_counts_as_absent() {
    let plain = MbFile::decode(&simple(("Flags", 0.into()))).unwrap();
    for (key, value) in [
        ("Target", 7.into()),
        ("Size", Value::from(-1)),
        ("UserID", u64::MAX.into()),
        ("Digest", uid(77)),
        ("ExtendedAttributes", Value::Data(vec![1])),
    ] {
        assert_eq!(MbFile::decode(&simple((key, value))).unwrap(), plain, "{key}");
    }
    assert_eq!(MbFile::decode(&archive(vec![dictionary([])])).unwrap(), MbFile::default());
}

#[test]
fn references_in_a_circle_end() {
    let itself = archive(vec![uid(1)]);
    assert!(matches!(MbFile::decode(&itself), Err(BadRecord::NoArchive)));
    let round = archive(vec![dictionary([("Size", uid(2)), ("Mode", uid(1))]), uid(3), uid(2)]);
    assert_eq!(MbFile::decode(&round).unwrap(), MbFile::default());
}

#[test]
fn what_is_no_archive_or_far_too_large_is_refused() {
    let huge = simple(("Digest", Value::Data(vec![0; 100_000])));
    assert!(matches!(MbFile::decode(&huge), Err(BadRecord::Plist(_))));
    let many = archive(vec![Value::Array(vec![1.into(); 5000])]);
    assert!(matches!(MbFile::decode(&many), Err(BadRecord::Plist(_))));
    for list in [Value::from(7), dictionary([("$objects", 1.into())]), dictionary([])] {
        assert!(matches!(MbFile::decode(&binary(&list)), Err(BadRecord::NoArchive)));
    }
    assert!(matches!(MbFile::decode(b""), Err(BadRecord::Plist(_))));
}

proptest! {
    #[test]
    fn a_changed_record_is_read_or_refused(at in 0..400_usize, byte: u8) {
        let mut bytes = simple(("EncryptionKey", dictionary([("NS.data", Value::Data(vec![9; 44]))])));
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(file) = MbFile::decode(&bytes) {
            prop_assert!(file.encryption_key.is_none_or(|key| key.len() < bytes.len()));
        }
    }
}
