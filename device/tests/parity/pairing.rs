//! What the two say to a phone that trusts neither yet.
use crate::desk::{Desk, phone};
use crate::expected::{are_in_the_document, fits};
use crate::hear::{Saying, sayings};
use crate::hosts::{Host, Ours};
use crate::tools::{client, idevice, run};
use plist::Value;
use std::io::Cursor;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::parse_x509_pem;

const LOOKS: &str = "devsnap first looks whether usbmuxd has a pair record.";
const KEY_IDS: &str = "The certificates of root and host carry an identifier of their key \
                       (`subjectKeyIdentifier`), which libimobiledevice's carry in the device's \
                       only: the `rcgen` crate writes it into each.";

/// RFC 5280, 4.2.1: basic constraints, the key's identifier, what the key is for.
const CONSTRAINTS: &str = "2.5.29.19";
const KEY_ID: &str = "2.5.29.14";
const KEY_USAGE: &str = "2.5.29.15";

#[test]
fn a_phone_is_paired_in_the_same_words() {
    let phone = phone();
    let (theirs, ours) = (Desk::with(&phone), Desk::with(&phone));
    let home = tempfile::tempdir().unwrap();
    let mut pair = client(&idevice("idevicepair"), theirs.simulator(), home.path());
    let paired = run(pair.arg("pair"), home.path());
    assert!(paired.succeeded, "{paired:?}");
    let host = Ours::new();
    host.pair(&ours);
    let said = |desk: &Desk, name| sayings(&desk.transcript(), name, &desk.phone().identity().udid);
    let (theirs, mut ours) = (said(&theirs, "idevicepair"), said(&ours, host.name()));

    let looks = r#"usbmuxd: *MessageType: "ReadPairRecord"*"#;
    let look = ours.iter().position(|saying| fits(looks, &saying.text)).expect(LOOKS);
    ours.remove(look);
    let text = |said: &[Saying]| said.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
    assert!(theirs.iter().any(|saying| saying.text.contains(r#"Request: "Pair""#)));
    assert_eq!(text(&ours), text(&theirs));

    for (certificate, known) in [
        ("RootCertificate", vec![CONSTRAINTS]),
        ("HostCertificate", vec![CONSTRAINTS, KEY_USAGE]),
        ("DeviceCertificate", vec![KEY_ID, KEY_USAGE, CONSTRAINTS]),
    ] {
        let mut found = [&theirs, &ours].map(|said| extensions(said, certificate));
        found.iter_mut().for_each(|found| found.sort());
        let mut expected = known.clone();
        expected.sort_unstable();
        assert_eq!(found[0], expected, "{certificate}");
        if !known.contains(&KEY_ID) {
            let at = found[1].iter().position(|oid| oid == KEY_ID).expect(KEY_IDS);
            found[1].remove(at);
        }
        assert_eq!(found[1], expected, "{certificate}");
    }
}

/// The extensions of a certificate in the request to pair.
fn extensions(said: &[Saying], certificate: &str) -> Vec<String> {
    let pair = said.iter().find(|saying| saying.text.contains(r#"Request: "Pair""#)).unwrap();
    let pair = Value::from_reader(Cursor::new(&pair.written)).unwrap();
    let record = pair.as_dictionary().unwrap()["PairRecord"].as_dictionary().unwrap();
    let (_, pem) = parse_x509_pem(record[certificate].as_data().unwrap()).unwrap();
    let (_, certificate) = parse_x509_certificate(&pem.contents).unwrap();
    certificate.extensions().iter().map(|extension| extension.oid.to_id_string()).collect()
}

#[test]
fn the_document_has_the_same_differences_of_pairing() {
    are_in_the_document([LOOKS, KEY_IDS]);
}
