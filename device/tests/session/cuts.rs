//! Five days on which the connection breaks off at random places, and no day is lost.
use crate::compare::{compare, newest};
use crate::table::{Kept, Table};
use devsnap_device::DeviceErrorKind as Kind;
use devsnap_engine::check::{CheckOptions, Finding, Severity, check as look_through};
use devsnap_engine::progress::Silent;
use devsnap_simulator::contents::Truth;
use devsnap_simulator::phone::{Cut, CutAt, Faults};
use devsnap_simulator::random::Random;
use devsnap_simulator::wire::Weather;

const DAYS: u64 = 5;
const CUTS_A_DAY: usize = 6;

/// Where a session of so many bytes breaks off: near its beginning as often as near its end, and
/// anywhere in between.
fn somewhere(random: &mut Random, bytes: u64) -> Cut {
    let scale = bytes >> random.below(16);
    let (service, at) = match random.below(8) {
        0 => ("com.apple.mobilebackup2", CutAt::Message(random.below(40))),
        1 => ("com.apple.mobilebackup2", CutAt::ReceivedByte(random.below(scale.max(1)) / 8)),
        2 => ("com.apple.mobile.lockdown", CutAt::SentByte(random.below(9000))),
        3 => ("com.apple.afc", CutAt::SentByte(random.below(3000))),
        _ => ("com.apple.mobilebackup2", CutAt::SentByte(random.below(scale.max(1)))),
    };
    Cut { service: service.to_owned(), at, times: 1 }
}

#[test]
fn cut_at_thirty_random_places_in_five_days_no_snapshot_is_lost_or_wrong() {
    let seed = 20;
    let table = Table::with(seed, Weather::Unkind, Faults::default(), (true, false));
    let mut random = Random::new(seed);
    let mut days: Vec<(Kept, Truth)> = Vec::new();
    let mut cuts = 0;
    for day in 0..DAYS {
        if day > 0 {
            table.day(day);
        }
        // What such a day brings is known only when it is over: the first brings everything.
        let bytes = if day == 0 { 5 << 20 } else { 2 << 20 };
        let mut met = 0;
        for _ in 0..3 * CUTS_A_DAY {
            if met == CUTS_A_DAY {
                break;
            }
            let cut = somewhere(&mut random, bytes);
            table.phone().set_faults(Faults { cut: Some(cut.clone()), ..Faults::default() });
            match table.back_up() {
                // It broke off behind the end, or where a warning is enough.
                Ok(kept) => check(&table, &kept, &newest(&table.phone_folder())),
                Err(error) => {
                    met += 1;
                    let expected = [Kind::ConnectionLost, Kind::NotTrusted];
                    assert!(expected.contains(&error.kind()), "day {day}, {cut:?}: {error}");
                }
            }
        }
        cuts += met;
        table.phone().set_faults(Faults::default());
        let kept = table.back_up().unwrap();
        days.push((kept, newest(&table.phone_folder())));
    }
    assert_eq!(cuts, 30);
    for (kept, truth) in &days {
        check(&table, kept, truth);
    }
    let repository = table.repository.open().unwrap();
    let all = CheckOptions { read_data_percent: Some(100) };
    let found = look_through(&repository, &all, &Silent, &table.interrupt).unwrap();
    let damage = |finding: &&Finding| finding.severity == Severity::Damage;
    assert_eq!(found.findings.iter().filter(damage).count(), 0, "{:?}", found.findings);
}

/// A snapshot that counts holds the truth of its day.
fn check(table: &Table, kept: &Kept, truth: &Truth) {
    let (_folder, set) = table.export(kept);
    compare(&set, None, truth);
}
