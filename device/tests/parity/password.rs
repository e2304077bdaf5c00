//! What the two say to a phone whose backup password is set, changed and taken away, and what the
//! other makes of it afterwards.
use crate::compare::{compare, newest};
use crate::conversation::{Findings, Written};
use crate::desk::{Desk, paired_phone};
use crate::expected::{OF_A_PASSWORD, fits};
use crate::hear::{Saying, sayings};
use crate::hosts::{Host, Ours, Theirs};

#[test]
fn a_phone_hears_the_same_of_its_password_from_both_hosts() {
    let phone = paired_phone(None);
    let desks = [Desk::with(&phone), Desk::with(&phone)];
    let mut hosts: [Box<dyn Host>; 2] = [Box::new(Theirs::new()), Box::new(Ours::new())];
    for (old, new, of) in [
        (None, Some("secret"), "encryption on"),
        (Some("secret"), Some("other"), "a changed password"),
        (Some("other"), None, "encryption off"),
    ] {
        let mut said = [Vec::new(), Vec::new()];
        for ((desk, host), said) in desks.iter().zip(&mut hosts).zip(&mut said) {
            host.change_password(desk, old, new);
            assert_eq!(desk.phone().backup_password().as_deref(), new, "{of} by {}", host.name());
            *said = sayings(&desk.transcript(), host.name(), &desk.phone().identity().udid);
        }
        for said in &said {
            let is_request = |saying: &&Saying| {
                fits("mobilebackup2: *MessageName: \"ChangePassword\"*", &saying.text)
            };
            assert_eq!(said.iter().filter(is_request).count(), 1, "{of}");
        }
        let written = [Written::InOtherOrder, Written::InMoreBytes];
        Findings::by(OF_A_PASSWORD, &written, &said).are_none(of);
    }
}

#[test]
fn what_one_host_switches_on_the_other_backs_up_encrypted() {
    let phone = paired_phone(None);
    for is_ours in [true, false] {
        let desk = Desk::with(&phone);
        let (mut ours, mut theirs) = (Ours::new(), Theirs::new());
        let (first, second): (&mut dyn Host, &mut dyn Host) = match is_ours {
            true => (&mut ours, &mut theirs),
            false => (&mut theirs, &mut ours),
        };
        first.change_password(&desk, None, Some("Füße 🦶"));
        second.back_up(&desk, false);
        let set = second.sets().join(&desk.phone().identity().udid);
        compare(&set, Some("Füße 🦶"), &newest(desk.phone().folder()));
        let manifest = std::fs::read(set.join("Manifest.plist")).unwrap();
        let manifest = plist::Value::from_reader(std::io::Cursor::new(manifest)).unwrap();
        let is_encrypted = manifest.as_dictionary().unwrap()["IsEncrypted"].as_boolean();
        assert_eq!(is_encrypted, Some(true), "switched on by {}", first.name());
        second.change_password(&desk, Some("Füße 🦶"), None);
    }
}
