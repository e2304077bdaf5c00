//! Restores: every byte is compared, every option counts.
use crate::compare::newest;
use crate::host::{Host, Lent};
use devsnap_simulator::contents::{Item, Kind};
use devsnap_simulator::mobilebackup2::RestoreReport;
use plist::{Dictionary, Value};
use std::path::Path;

/// A request for a restore with these options, and all others as idevicebackup2 has them.
fn options(given: &[(&str, Value)]) -> Dictionary {
    let mut options = Dictionary::new();
    for (key, value) in [
        ("RestoreSystemFiles", true),
        ("RestoreShouldReboot", true),
        ("RestoreDontCopyBackup", true),
        ("RestorePreserveSettings", false),
        ("RemoveItemsNotRestored", false),
    ] {
        options.insert(key.into(), Value::from(value));
    }
    for (key, value) in given {
        options.insert((*key).into(), value.clone());
    }
    let mut request = Dictionary::new();
    request.insert("Options".into(), Value::Dictionary(options));
    request
}

fn info(root: &Path, lent: &Lent) {
    let mut info = Dictionary::new();
    info.insert("Product Version".into(), "17.5.1".into());
    info.insert("Display Name".into(), "a phone".into());
    let set = root.join(lent.udid());
    std::fs::create_dir_all(&set).unwrap();
    Value::Dictionary(info).to_file_xml(set.join("Info.plist")).unwrap();
}

fn sums(items: &mut dyn Iterator<Item = &Item>) -> Vec<(String, Option<String>)> {
    items.filter(|i| i.kind == Kind::File).map(|i| (i.file_id(), i.sha256.clone())).collect()
}

#[test]
fn a_restore_brings_back_the_day_of_the_backup_and_finds_every_byte_the_same() {
    for password in [None, Some("secret")] {
        let lent = Lent::new(41);
        lent.phone.set_backup_password(password.map(str::to_owned));
        let root = tempfile::tempdir().unwrap();
        info(root.path(), &lent);
        let mut host = Host::new(root.path());
        host.back_up(&lent);
        lent.day(1);
        host.back_up(&lent);
        let backed_up = newest(lent.path());
        lent.day(2);
        let mut request = options(&[("RemoveItemsNotRestored", true.into())]);
        if let Some(password) = password {
            let given = request.get_mut("Options").unwrap().as_dictionary_mut().unwrap();
            given.insert("Password".into(), password.into());
        }

        let response = host.request(&lent, "Restore", request).unwrap();

        assert_eq!(response.code, 0, "{response:?}");
        let report = RestoreReport::newest(lent.path()).unwrap();
        assert!(report.known && report.encrypted == password.is_some(), "{report:?}");
        assert_eq!(report.rows, backed_up.items.len());
        assert_eq!(report.same, report.asked);
        assert!(report.asked > 250 && report.asked_again > 3, "{report:?}");
        assert!(report.different.is_empty() && report.unknown.is_empty(), "{report:?}");
        assert!(report.rows_different.is_empty(), "{report:?}");
        let restored = lent.contents();
        assert_eq!(sums(&mut restored.items()), sums(&mut backed_up.items.iter()));
    }
}

#[test]
fn what_the_host_has_spoilt_is_found() {
    let lent = Lent::new(42);
    let root = tempfile::tempdir().unwrap();
    info(root.path(), &lent);
    let mut host = Host::new(root.path());
    host.back_up(&lent);
    let set = root.path().join(lent.udid());
    let truth = newest(lent.path());
    let blob = |of: &dyn Fn(&Item) -> bool| {
        let item = truth.items.iter().find(|i| i.kind == Kind::File && i.size > 20 && of(i));
        let id = item.unwrap().file_id();
        set.join(&id[..2]).join(id)
    };
    let spoil = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };

    // Without a digest in the manifest a phone does not see it; the report does.
    spoil(&blob(&|item| item.domain.starts_with("AppDomain-com.example.odd")));
    assert_eq!(host.request(&lent, "Restore", options(&[])).unwrap().code, 0);
    assert_eq!(RestoreReport::newest(lent.path()).unwrap().different.len(), 1);
    // With one it does.
    spoil(&blob(&|item| item.domain == "HomeDomain"));
    let response = host.request(&lent, "Restore", options(&[])).unwrap();
    assert_eq!(response.code, 205);
    assert!(response.text.contains("Digest didn't match for some files"), "{response:?}");
    std::fs::remove_file(blob(&|item| item.domain == "CameraRollDomain")).unwrap();
    assert_eq!(host.request(&lent, "Restore", options(&[])).unwrap().code, 205);
    std::fs::remove_file(set.join("Status.plist")).unwrap();
    assert_eq!(host.request(&lent, "Restore", options(&[])).unwrap().code, 204);
}

#[test]
fn options_decide_what_is_asked_for_and_what_is_left() {
    let lent = Lent::new(43);
    let root = tempfile::tempdir().unwrap();
    info(root.path(), &lent);
    let mut host = Host::new(root.path());
    host.back_up(&lent);
    let mut restore = |given: &[(&str, Value)]| {
        assert_eq!(host.request(&lent, "Restore", options(given)).unwrap().code, 0);
        RestoreReport::newest(lent.path()).unwrap()
    };

    let all = restore(&[]);
    let apps = restore(&[("RestoreSystemFiles", false.into())]);
    let settings = restore(&[("RestorePreserveSettings", true.into())]);
    let photos = restore(&[("RestorePreserveCameraRoll", true.into())]);
    assert!(apps.asked < all.asked && settings.asked < all.asked && photos.asked < all.asked);
    assert_eq!((apps.same, settings.same), (apps.asked, settings.asked));

    let extra = lent.contents().items().next().unwrap().clone();
    let put = |domain: &str| {
        let mut contents = lent.contents();
        let mut item = Item { domain: domain.into(), ..extra.clone() };
        item.relative_path = "not in the backup".into();
        contents.put(item);
        contents.save(lent.path()).unwrap();
    };
    let is_there =
        || lent.contents().get("AppDomain-com.example.odd", "not in the backup").is_some();
    put("AppDomain-com.example.odd");
    restore(&[]);
    assert!(is_there());
    restore(&[("RemoveItemsNotRestored", true.into())]);
    assert!(!is_there());

    // Nothing said: everything destructive, and the old backup is copied first.
    put("AppDomain-com.example.odd");
    let mut host = Host::new(root.path());
    assert_eq!(host.request(&lent, "Restore", Dictionary::new()).unwrap().code, 0);
    let report = RestoreReport::newest(lent.path()).unwrap();
    assert!(report.options.system_files && report.options.remove_not_restored);
    assert!(!is_there());
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2, "the copy");
}

#[test]
fn a_password_that_does_not_fit_is_code_207_and_a_newer_phones_backup_203() {
    let lent = Lent::new(44);
    lent.phone.set_backup_password(Some("secret".into()));
    let root = tempfile::tempdir().unwrap();
    info(root.path(), &lent);
    let mut host = Host::new(root.path());
    host.back_up(&lent);
    let mut code =
        |given: &[(&str, Value)]| host.request(&lent, "Restore", options(given)).unwrap().code;

    assert_eq!(code(&[]), 207);
    assert_eq!(code(&[("Password", "secret\n".into())]), 207);
    assert_eq!(code(&[("Password", "secret".into())]), 0);
    let mut newer = Dictionary::new();
    newer.insert("Product Version".into(), "26.1".into());
    let path = root.path().join(lent.udid()).join("Info.plist");
    Value::Dictionary(newer).to_file_xml(path).unwrap();
    assert_eq!(code(&[("Password", "secret".into())]), 203);
}

#[test]
fn another_phones_backup_is_restored_and_compared() {
    let (old, new) = (Lent::new(45), Lent::new(46));
    let root = tempfile::tempdir().unwrap();
    info(root.path(), &old);
    let mut host = Host::new(root.path());
    host.back_up(&old);
    let moved = root.path().join("another name");
    std::fs::rename(root.path().join(old.udid()), moved).unwrap();
    new.habits(|habits| habits.other_phones = vec![old.path().to_owned()]);
    let mut request = options(&[]);
    request.insert("SourceIdentifier".into(), "another name".into());

    let response = host.request(&new, "Restore", request).unwrap();

    assert_eq!(response.code, 0, "{response:?}");
    let report = RestoreReport::newest(new.path()).unwrap();
    assert!(report.known && report.same == report.asked, "{report:?}");
}
