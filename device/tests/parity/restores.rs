//! One backup of a phone, restored onto it by each host: by devsnap from its repository, by
//! idevicebackup2 from the folder that devsnap restored.
use crate::conversation::{Findings, Written};
use crate::desk::{Desk, paired_phone};
use crate::expected::{fits, in_a_restore};
use crate::hear::sayings;
use crate::hosts::{Host, Ours, Theirs};
use crate::tools::{client, pymobiledevice3, run};
use devsnap_device::restore::RestoreChoices;
use devsnap_simulator::mobilebackup2::RestoreReport;
use std::io::Cursor;

const ALL: RestoreChoices = RestoreChoices {
    system_files: true,
    preserve_settings: false,
    remove_not_restored: true,
    reboot: false,
};

fn restored_by_both(password: Option<&str>, choices: RestoreChoices, flags: &[&str]) {
    let desk = Desk::with(&paired_phone(password));
    let (theirs, mut ours) = (Theirs::new(), Ours::new());
    ours.back_up(&desk, false);
    desk.day(1);
    let desks = [desk.as_it_is(), desk.as_it_is()];
    theirs.restore(&desks[0], &ours.sets(), flags);
    ours.restore(&desks[1], choices, password);
    let mut reports = desks.each_ref().map(|d| RestoreReport::newest(d.phone().folder()).unwrap());
    let is_default = choices == RestoreChoices::default();
    if is_default {
        // Left out by idevicebackup2, it is what destroys more.
        assert!(reports[0].options.remove_not_restored);
        reports[0].options.remove_not_restored = false;
    }
    let [by_theirs, by_ours] = &reports;
    let apps = desks.each_ref().map(|desk| {
        let media = desk.phone().media();
        let list = media.file("/iTunesRestore/RestoreApplications.plist").unwrap();
        plist::Value::from_reader_xml(Cursor::new(list)).unwrap()
    });
    assert!(apps[0] == apps[1] && apps[0].as_dictionary().is_some_and(|apps| apps.len() > 5));
    assert!(by_ours.error.is_none() && by_ours.known, "{by_ours:?}");
    assert_eq!(by_ours, by_theirs, "the phones find another thing");
    assert_eq!(by_ours.same, by_ours.asked);
    let names = [theirs.name(), ours.name()];
    let udid = &desk.phone().identity().udid;
    let said = [0, 1].map(|host| sayings(&desks[host].transcript(), names[host], udid));
    for said in &said {
        let count = |pattern: &str| said.iter().filter(|s| fits(pattern, &s.text)).count();
        assert_eq!(count("mobilebackup2: *MessageName: \"Restore\"*"), 1);
        assert!(count("mobilebackup2: *Manifest.db\", blocks *") > 1);
        assert!(count("afc: *RestoreApplications.plist*") > 0);
    }
    let written: &[Written] = match is_default {
        true => &[Written::InMoreBytes],
        false => &[Written::InMoreBytes, Written::WithOneFewer],
    };
    Findings::by(&in_a_restore(is_default), written, &said).are_none("a restore");
}

#[test]
fn a_phone_hears_the_same_of_a_restore_with_the_defaults() {
    restored_by_both(None, RestoreChoices::default(), &[]);
}

#[test]
fn so_does_one_that_is_given_an_encrypted_backup_and_every_option() {
    let flags = ["--system", "--settings", "--remove", "--no-reboot", "--password", "secret"];
    restored_by_both(Some("secret"), ALL, &flags);
}

/// pymobiledevice3 says its own words; what it hands over is what devsnap restored.
#[test]
fn pymobiledevice3_restores_onto_the_phone_what_devsnap_restored_into_a_folder() {
    for password in [None, Some("secret")] {
        let desk = Desk::with(&paired_phone(password));
        let mut ours = Ours::new();
        ours.back_up(&desk, false);
        desk.day(1);
        let home = tempfile::tempdir().unwrap();
        let mut command = client(&pymobiledevice3(), desk.simulator(), home.path());
        command.args(["backup2", "restore", "--system", "--no-reboot"]);
        command.args(password.iter().flat_map(|password| ["--password", password]));
        let ran = run(command.arg(ours.sets()), home.path());
        assert!(ran.succeeded, "{ran:?}");
        let report = RestoreReport::newest(desk.phone().folder()).unwrap();
        assert!(report.known && report.error.is_none(), "{report:?}");
        assert!(report.asked > 100 && report.same == report.asked, "{report:?}");
    }
}
