//! Folders that are backup sets, folders that nearly are, and folders that mean harm.
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use devsnap_device::{BackupSet, DeviceErrorKind, Oddity, SnapshotState};
use devsnap_testkit::backup_set::{BackupSetFixture, DAY_0_SECS, Host, OLD_UDID, UDID};
use tempfile::TempDir;

const FILES: [&str; 4] = ["Info.plist", "Manifest.plist", "Status.plist", "Manifest.db"];

fn written(fixture: &BackupSetFixture) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a folder for tests");
    let folder = fixture.write(root.path()).expect("a set written into it");
    (root, folder)
}

fn recognised(folder: &Path) -> BackupSet {
    BackupSet::recognise(folder).expect("it is whole").expect("it is a backup set")
}

/// The refusal as a person sees it: the sentence and its causes.
fn refusal(folder: &Path) -> String {
    let error = BackupSet::recognise(folder).expect_err("it must be refused");
    assert_eq!(error.kind(), DeviceErrorKind::BadBackupSet, "{error:?}");
    assert!(!error.to_string().contains('\n'));
    format!("{error:?}")
}

#[test]
fn a_set_of_every_known_program_says_whose_it_is() {
    for host in [Host::Idevicebackup2, Host::Finder, Host::Pymobiledevice3] {
        let (_root, folder) = written(&BackupSetFixture::new(1).by(host));

        let set = recognised(&folder);

        assert_eq!(set.udid.as_str(), UDID, "{host:?}");
        assert_eq!(set.device_name.as_deref(), Some("Anna’s iPhone"));
        assert_eq!(set.product_type.as_deref(), Some("iPhone12,1"));
        assert_eq!(set.product_version.as_deref(), Some("17.5.1"));
        assert_eq!(set.build_version.as_deref(), Some("21F90"));
        assert_eq!(set.backup_date.as_second(), i64::try_from(DAY_0_SECS).unwrap());
        assert_eq!(set.full, Some(true));
        assert!(!set.encrypted && set.is_finished());
        assert_eq!(set.oddities, []);
    }
}

#[test]
fn an_encrypted_set_says_so_and_an_incremental_one_too() {
    let (_root, folder) = written(&BackupSetFixture::new(1).encrypted().on_day(1));

    let set = recognised(&folder);

    assert!(set.encrypted);
    assert_eq!(set.full, Some(false));
    assert_eq!(set.oddities, []);
}

#[test]
fn an_unfinished_set_is_recognised_and_says_how_far_it_came() {
    for (word, state) in [
        ("uploading", SnapshotState::Uploading),
        ("moving", SnapshotState::Moving),
        ("removing", SnapshotState::Removing),
        ("\u{1b}[2Jnew", SnapshotState::Other("\u{1b}[2Jnew".into())),
    ] {
        let (_root, folder) = written(&BackupSetFixture::new(1).stopped_while(word));

        let set = recognised(&folder);

        assert_eq!(set.state, state);
        let error = set.require_finished().unwrap_err();
        assert_eq!(error.kind(), DeviceErrorKind::UnfinishedBackupSet);
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
    let (_root, folder) = written(&BackupSetFixture::new(1));
    assert!(recognised(&folder).require_finished().is_ok());
}

#[test]
fn a_first_backup_that_was_cut_off_is_unfinished_and_not_damaged() {
    let (_root, folder) = written(&BackupSetFixture::new(1).stopped_while("uploading"));
    for file in ["Manifest.db", "Manifest.plist"] {
        fs::remove_file(folder.join(file)).unwrap();
        let set = recognised(&folder);
        assert_eq!(set.state, SnapshotState::Uploading);
        assert_eq!(set.udid.as_str(), UDID, "Info.plist names the device");
        let error = set.require_finished().unwrap_err();
        assert_eq!(error.kind(), DeviceErrorKind::UnfinishedBackupSet);
    }
}

#[test]
fn a_set_keeps_its_udid_under_any_name() {
    let (root, folder) = written(&BackupSetFixture::new(1));
    for name in ["copy of my phone", "00008030-001A2B3C4D5E6F78-20261101-200400", OLD_UDID] {
        let copy = root.path().join(name);
        fs::rename(&folder, &copy).unwrap();
        assert_eq!(recognised(&copy).udid.as_str(), UDID);
        assert_eq!(recognised(&copy).oddities, []);
        fs::rename(&copy, &folder).unwrap();
    }
}

#[test]
fn the_old_shape_of_a_udid_is_one_udid_in_both_spellings() {
    let fixture = BackupSetFixture { udid: OLD_UDID.into(), ..BackupSetFixture::new(1) };
    let (_root, folder) = written(&fixture);
    let set = recognised(&folder);
    assert_eq!(set.udid.as_str(), OLD_UDID);
    assert_eq!(set.oddities, []);
}

#[test]
fn the_device_is_believed_over_the_host() {
    let (root, folder) = written(&BackupSetFixture::new(1));
    let other = BackupSetFixture { udid: OLD_UDID.into(), ..BackupSetFixture::new(1) };
    let other = other.write(root.path()).unwrap();
    fs::copy(other.join("Info.plist"), folder.join("Info.plist")).unwrap();

    let set = recognised(&folder);

    assert_eq!(set.udid.as_str(), UDID);
    assert!(matches!(&set.oddities[..], [Oddity::IdentifiersDisagree { host, .. }]
        if host.as_str() == OLD_UDID));
}

/// Writes a one-off XML list in place of one of the set's.
fn replace(folder: &Path, name: &str, body: &str) {
    let list = format!("<plist version=\"1.0\"><dict>{body}</dict></plist>");
    fs::write(folder.join(name), list).expect("the set can be written to");
}

#[test]
fn the_folders_name_is_taken_only_when_no_list_names_the_device() {
    let (root, folder) = written(&BackupSetFixture::new(1));
    replace(&folder, "Info.plist", "");
    replace(&folder, "Manifest.plist", "<key>IsEncrypted</key><false/>");
    let set = recognised(&folder);
    assert_eq!(set.udid.as_str(), UDID);
    assert_eq!(set.oddities, [Oddity::NamedByFolderOnly]);
    assert_eq!(set.device_name, None);

    let copy = root.path().join("copy");
    fs::rename(&folder, &copy).unwrap();
    assert!(refusal(&copy).contains("names no device"));
}

#[test]
fn an_identifier_that_would_leave_the_folder_is_refused() {
    for (name, key) in [("Info.plist", "Target Identifier"), ("Info.plist", "Unique Identifier")] {
        let (_root, folder) = written(&BackupSetFixture::new(1));
        let evil = "../../../../../../home/anna/.ssh";
        replace(&folder, name, &format!("<key>{key}</key><string>{evil}</string>"));
        let refused = refusal(&folder);
        assert!(refused.contains(&format!("`{key}` in it is not a UDID")), "{refused}");
        assert!(!refused.contains("anna"), "{refused}");
    }
    let (_root, folder) = written(&BackupSetFixture::new(1));
    let evil = "<key>Lockdown</key><dict><key>UniqueDeviceID</key><string>..</string></dict>";
    replace(&folder, "Manifest.plist", evil);
    assert!(refusal(&folder).contains("`UniqueDeviceID` in it is not a UDID"));
}

#[test]
fn bytes_that_contradict_the_manifest_are_reported() {
    let (_root, folder) = written(&BackupSetFixture::new(1));
    let plain = fs::read(folder.join("Manifest.db")).unwrap();
    fs::write(folder.join("Manifest.db"), [7; 4096]).unwrap();
    let set = recognised(&folder);
    assert!(!set.encrypted);
    assert_eq!(set.oddities, [Oddity::EncryptionDisagrees { said: false }]);

    let (_root, folder) = written(&BackupSetFixture::new(1).encrypted());
    fs::write(folder.join("Manifest.db"), plain).unwrap();
    let set = recognised(&folder);
    assert!(set.encrypted);
    assert_eq!(set.oddities, [Oddity::EncryptionDisagrees { said: true }]);
}

#[test]
fn ordinary_folders_are_not_sets() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(BackupSet::recognise(root.path()).unwrap(), None);

    // An application bundle has an Info.plist, and a damaged one is none of our business.
    fs::write(root.path().join("Info.plist"), b"").unwrap();
    fs::write(root.path().join("Status.plist"), b"junk").unwrap();
    assert_eq!(BackupSet::recognise(root.path()).unwrap(), None);
    assert_eq!(BackupSet::recognise(&root.path().join("Info.plist")).unwrap(), None);

    // A name of 40 hex digits alone is as likely a git object.
    let named = root.path().join(OLD_UDID);
    fs::create_dir(&named).unwrap();
    assert_eq!(BackupSet::recognise(&named).unwrap(), None);
    fs::write(named.join("Info.plist"), b"junk").unwrap();
    assert!(refusal(&named).contains("Info.plist is damaged"));

    let gone = BackupSet::recognise(&root.path().join("gone")).unwrap_err();
    assert_eq!(gone.kind(), DeviceErrorKind::Unreadable);
}

#[test]
fn the_folder_above_the_sets_is_not_one() {
    let (root, _folder) = written(&BackupSetFixture::new(1));
    assert_eq!(BackupSet::recognise(root.path()).unwrap(), None);
}

#[test]
fn a_set_of_ios_9_is_an_ordinary_folder() {
    let (_root, folder) = written(&BackupSetFixture::new(1));
    fs::rename(folder.join("Manifest.db"), folder.join("Manifest.mbdb")).unwrap();
    assert_eq!(BackupSet::recognise(&folder).unwrap(), None);
}

#[test]
fn a_file_that_is_missing_empty_or_damaged_is_named() {
    let (_root, folder) = written(&BackupSetFixture::new(1));
    for name in FILES {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();

        fs::remove_file(&path).unwrap();
        assert!(refusal(&folder).contains(&format!("{name} is missing")));
        fs::write(&path, b"").unwrap();
        assert!(refusal(&folder).contains(&format!("{name} is empty")));
        fs::write(&path, &whole[..9]).unwrap();
        let refused = refusal(&folder);
        assert!(refused.contains(&format!("{name} is ")), "{refused}");
        if name != "Manifest.db" {
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            assert!(refusal(&folder).contains(&format!("{name} is damaged")));
        }

        fs::write(&path, &whole).unwrap();
        recognised(&folder);
    }
}

#[test]
fn a_status_without_date_or_state_is_damaged() {
    let (_root, folder) = written(&BackupSetFixture::new(1));
    let (date, state) = (
        "<key>Date</key><date>2026-11-01T20:04:00Z</date>",
        "<key>SnapshotState</key><string>finished</string>",
    );
    replace(&folder, "Status.plist", date);
    assert!(refusal(&folder).contains("it has no `SnapshotState`"));
    replace(&folder, "Status.plist", state);
    assert!(refusal(&folder).contains("it has no `Date`"));
    replace(&folder, "Status.plist", &format!("{date}{state}"));
    assert_eq!(recognised(&folder).full, None);
}

#[test]
fn no_link_inside_a_set_is_followed_and_no_fifo_waited_for() {
    let (root, folder) = written(&BackupSetFixture::new(1));
    for name in FILES {
        let path = folder.join(name);
        let aside = root.path().join(name);
        fs::rename(&path, &aside).unwrap();

        symlink(&aside, &path).unwrap();
        assert!(refusal(&folder).contains(&format!("{name} is a symbolic link")));
        fs::remove_file(&path).unwrap();

        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        assert!(refusal(&folder).contains(&format!("{name} is not a regular file")));
        fs::remove_file(&path).unwrap();

        fs::create_dir(&path).unwrap();
        assert!(refusal(&folder).contains(&format!("{name} is not a regular file")));
        fs::remove_dir(&path).unwrap();

        fs::rename(&aside, &path).unwrap();
    }
    // The folder itself is what the person named; a link to it is an answer too.
    let link = root.path().join("link");
    symlink(&folder, &link).unwrap();
    assert_eq!(recognised(&link).udid.as_str(), UDID);
}

#[test]
fn a_list_that_is_too_large_is_not_read_to_its_end() {
    let (_root, folder) = written(&BackupSetFixture::new(1));
    // A hole of a terabyte: reading it whole would not end within this test.
    fs::File::create(folder.join("Info.plist")).unwrap().set_len(1 << 40).unwrap();
    assert!(refusal(&folder).contains("Info.plist is too large"));
}

#[test]
fn the_same_set_written_again_says_the_same() {
    let (_root, folder) = written(&BackupSetFixture::new(1));
    let (before, again) = (recognised(&folder), recognised(&folder));
    assert_eq!(before, again);

    BackupSetFixture::new(1).on_day(1).write(folder.parent().unwrap()).unwrap();

    assert_ne!(recognised(&folder), before);
}
