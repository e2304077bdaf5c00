//! Backups over days, with the host of our own.
use crate::compare::{blobs_of, compare, newest};
use crate::host::{Host, Lent, Quirk};
use devsnap_simulator::backup_files::shard_path;
use devsnap_simulator::contents::compare as compare_sets;
use plist::{Dictionary, Value};

#[test]
fn a_full_backup_and_days_of_incremental_ones_hold_the_truth() {
    let lent = Lent::new(1);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    let set = root.path().join(lent.udid());

    host.back_up(&lent);
    let first = newest(lent.path());
    compare(&set, None, &first);
    assert!(first.backup.as_ref().unwrap().full);
    let weather = &first.backup.as_ref().unwrap().weather;
    for word in ["changed ", "grew ", "vanished "] {
        assert!(weather.iter().any(|line| line.starts_with(word)), "{weather:?}");
    }
    assert!(host.failed_files >= 2, "what changes or vanishes ends in an error");

    for day in 1..4 {
        lent.day(day);
        host.back_up(&lent);
        let truth = newest(lent.path());
        let backup = truth.backup.clone().unwrap();
        assert!(!backup.full);
        assert!(backup.sent.len() * 3 < truth.items.len(), "{} sent", backup.sent.len());
        compare(&set, None, &truth);
    }
}

#[test]
fn one_wrong_byte_one_blob_too_few_and_one_too_many_are_seen() {
    let lent = Lent::new(8);
    let root = tempfile::tempdir().unwrap();
    Host::new(root.path()).back_up(&lent);
    let set = root.path().join(lent.udid());
    let truth = newest(lent.path());
    let seen = || compare_sets::compare(&set, None, &truth, &mut || true);
    let files = truth.items.iter().filter(|item| item.sha256.is_some()).count();
    assert_eq!(seen().unwrap().files, u64::try_from(files).unwrap());

    let item = truth.items.iter().find(|item| item.size > 4 && item.sha256.is_some()).unwrap();
    let blob = set.join(shard_path(&item.file_id()));
    let right = std::fs::read(&blob).unwrap();
    let mut wrong = right.clone();
    wrong[2] ^= 1;
    std::fs::write(&blob, wrong).unwrap();
    let difference = seen().unwrap_err();
    assert!(difference.0.contains(&format!("{:?}", item.relative_path)), "{difference}");

    std::fs::remove_file(&blob).unwrap();
    assert!(seen().unwrap_err().0.contains("cannot be read"));
    std::fs::write(&blob, right).unwrap();
    std::fs::write(set.join("00/0000"), "?").unwrap();
    assert_eq!(seen().unwrap_err().0, "the blob 0000 has no row");
    std::fs::remove_file(set.join("00/0000")).unwrap();
    assert!(seen().is_ok());
    assert!(compare_sets::compare(&set, None, &truth, &mut || false).is_err(), "it was stopped");
}

#[test]
fn an_encrypted_backup_holds_more_and_opens_with_its_password() {
    let lent = Lent::new(2);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    let set = root.path().join(lent.udid());
    lent.phone.set_backup_password(Some("secret".into()));

    host.back_up(&lent);
    let first = newest(lent.path());
    compare(&set, Some("secret"), &first);
    assert!(first.items.iter().any(|item| item.only_encrypted));

    lent.day(1);
    host.back_up(&lent);
    let second = newest(lent.path());
    assert!(!second.backup.as_ref().unwrap().full);
    compare(&set, Some("secret"), &second);

    // Another password, and none: each is a full backup with other keys.
    for password in [Some("another"), None] {
        lent.phone.set_backup_password(password.map(str::to_owned));
        host.back_up(&lent);
        let truth = newest(lent.path());
        assert!(truth.backup.as_ref().unwrap().full);
        assert_eq!(truth.items.iter().any(|item| item.only_encrypted), password.is_some());
        compare(&set, password, &truth);
    }
}

#[test]
fn a_change_without_a_trace_is_not_sent_and_a_touched_file_is() {
    let lent = Lent::new(3);
    lent.habits(|habits| habits.weather = false);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    host.back_up(&lent);
    let before = lent.contents();
    lent.day(9);
    let after = lent.contents();

    host.back_up(&lent);

    let sent = newest(lent.path()).backup.unwrap().sent;
    let pairs: Vec<_> =
        after.items().filter_map(|i| Some((before.get(&i.domain, &i.relative_path)?, i))).collect();
    let hidden = pairs.iter().find(|(a, b)| a.mtime == b.mtime && a.sha256 != b.sha256).unwrap();
    let touched = pairs.iter().find(|(a, b)| a.mtime != b.mtime && a.sha256 == b.sha256).unwrap();
    assert!(!sent.contains(&hidden.1.file_id()) && sent.contains(&touched.1.file_id()));
    let truth = newest(lent.path());
    let held = truth.items.iter().find(|item| item.file_id() == hidden.0.file_id()).unwrap();
    assert_eq!(held.sha256, hidden.0.sha256);
    compare(&root.path().join(lent.udid()), None, &truth);
}

#[test]
fn two_hosts_sets_are_each_continued_from_their_own_bytes() {
    let lent = Lent::new(4);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut first, mut second) = (Host::new(one.path()), Host::with(two.path(), Quirk::Xml));

    first.back_up(&lent);
    lent.day(1);
    second.back_up(&lent);
    assert!(newest(lent.path()).backup.unwrap().full, "this host had nothing");
    for day in 2..4 {
        lent.day(day);
        for host in [&mut first, &mut second] {
            host.back_up(&lent);
            let truth = newest(lent.path());
            assert!(!truth.backup.as_ref().unwrap().full);
            compare(&host.root.join(lent.udid()), None, &truth);
        }
    }
}

#[test]
fn a_blob_that_the_listing_lacks_makes_the_next_backup_full() {
    let lent = Lent::new(5);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    let set = root.path().join(lent.udid());
    host.back_up(&lent);
    let blob = blobs_of(&set).into_iter().nth(40).unwrap();
    std::fs::remove_file(set.join(&blob[..2]).join(&blob)).unwrap();

    host.back_up(&lent);

    let truth = newest(lent.path());
    assert!(truth.backup.as_ref().unwrap().full);
    compare(&set, None, &truth);
}

#[test]
fn a_backup_of_an_older_format_is_set_aside_and_removed_in_the_end() {
    let lent = Lent::new(6);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    let set = root.path().join(lent.udid());
    host.back_up(&lent);
    let mut status = Value::from_file(set.join("Status.plist")).unwrap();
    status.as_dictionary_mut().unwrap().insert("Version".into(), "2.4".into());
    status.to_file_binary(set.join("Status.plist")).unwrap();

    host.back_up(&lent);

    let truth = newest(lent.path());
    assert!(truth.backup.as_ref().unwrap().full);
    compare(&set, None, &truth);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn the_password_is_enabled_changed_and_disabled_with_the_old_one_only() {
    let lent = Lent::new(7);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    let observer = lent.phone.observe();
    observer.watch("com.apple.mobile.backup.domain_changed");
    let mut change = |old: &str, new: &str| {
        let mut fields = Dictionary::new();
        for (key, value) in [("OldPassword", old), ("NewPassword", new)] {
            if !value.is_empty() {
                fields.insert(key.into(), value.into());
            }
        }
        host.request(&lent, "ChangePassword", fields).unwrap().code
    };

    assert_eq!(change("", "one"), 0);
    assert!(observer.take().is_some());
    assert_eq!(change("", "two"), 207, "there is one already");
    assert_eq!(change("wrong", "two"), 207);
    assert_eq!(change("one", "two"), 0);
    assert_eq!(lent.phone.backup_password().as_deref(), Some("two"));
    assert_eq!(change("one", ""), 207);
    assert_eq!(change("two", ""), 0);
    assert_eq!(lent.phone.backup_password(), None);
    assert_eq!(change("", ""), 1);
}

#[test]
fn verbs_that_phones_do_badly_are_done_badly() {
    let lent = Lent::new(8);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());
    let mut ask = |verb| host.request(&lent, verb, Dictionary::new()).map(|r| r.code);

    assert_eq!(ask("Info").unwrap(), 204);
    assert_eq!(ask("List").unwrap(), 205);
    assert_eq!(ask("EnableCloudBackup").unwrap(), 210);
    assert_eq!(ask("Remove").unwrap(), 1);
    for verb in ["Unback", "Extract", "Nonsense"] {
        assert!(ask(verb).is_err(), "{verb} drops the connection");
    }
    assert!(ask("EraseDevice").is_err());
    assert_eq!(lent.contents().items().count(), 0);
    let mut other = Dictionary::new();
    other.insert("TargetIdentifier".into(), "somebody else".into());
    assert!(host.request(&lent, "Backup", other).is_err(), "the agent dies of it");
}
