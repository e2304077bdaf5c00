//! What is claimed of the protocol, and that each broken rule loses data.
use super::claims_of_damage::DAMAGED;
use super::explore::explore;
use super::protocol::{Protocol, Rules, SMALL, Scope, Variant};
use super::store::FOUNDER;

pub(super) fn loses(scope: Scope, variant: Variant) {
    let broken = Protocol { scope, rules: Rules(Some(variant)) };
    explore(&broken).assert_loses(&format!("{variant:?}"));
}

pub(super) fn is_safe(name: &str, scope: Scope, states: usize) {
    let verdict = explore(&Protocol { scope, rules: Rules(None) });
    verdict.assert_safe(name);
    // A change of this number is a change of the protocol, or of what is modelled: look which before correcting it.
    assert_eq!(verdict.states, states, "{name}");
}

#[test]
fn two_writers_and_a_sweeper_lose_nothing() {
    let scope = Scope { writers: 2, inherit: true, stop: true, ..SMALL };
    is_safe("two writers that inherit and stop", scope, 199_678);
}

#[test]
fn two_sweepers_that_finish_each_others_marks_lose_nothing() {
    is_safe("two sweepers", Scope { sweepers: 2, ..SMALL }, 330_082);
}

#[test]
fn clean_up_of_sessions_and_marks_loses_nothing() {
    let scope = Scope { tidiers: 1, retry: true, ..SMALL };
    is_safe("clean-up, failed snapshots stay", scope, 143_173);
    is_safe("clean-up, failed snapshots go", Scope { take_back: true, ..scope }, 144_133);
}

#[test]
fn a_successor_that_fences_its_predecessor_loses_nothing() {
    let scope = Scope { writers: 2, successor: true, ..SMALL };
    is_safe("successor", scope, 150_506);
}

#[test]
fn merged_segments_of_several_packs_lose_nothing() {
    let scope = Scope { two_packs: true, merge: true, again: true, ..SMALL };
    is_safe("merge", Scope { inherit: true, retry: true, ..scope }, 171_711);
}

#[test]
fn a_list_of_the_index_that_is_no_view_of_one_moment_loses_nothing() {
    is_safe("torn lists", Scope { torn: true, merge: true, two_packs: true, ..SMALL }, 39_843);
}

#[test]
fn a_successor_that_puts_end_for_its_predecessor_loses() {
    let scope = Scope { writers: 2, successor: true, ..SMALL };
    loses(scope, Variant::SuccessorEnds);
    loses(scope, Variant::SuccessorEndsAndWriterLooks);
}

/// A tidier finds a fenced snapshot incomplete; then a writer stores what it lacks, a second tidier puts its `end`, it
/// counts; and the first tidier deletes it.
#[test]
fn others_that_resolve_a_fenced_snapshot_lose() {
    // Only the founder's snapshot is forgotten and only writer 0's is judged: the loss needs 32 steps as it is.
    let narrow = Scope { forgettable: FOUNDER, judged: 0b10, clean: false, ..SMALL };
    loses(Scope { writers: 2, tidiers: 2, ..narrow }, Variant::OthersResolve);
}

/// With nobody but a session putting its own `end`, a snapshot that lacks a row can never count, and deleting it is
/// safe; but only if the list that shows no row is a view of one moment. So nobody deletes it.
#[test]
fn deleting_an_unfinished_snapshot_without_a_row_loses_on_a_torn_list() {
    let scope = Scope { tidiers: 1, drop_incomplete: true, ..SMALL };
    is_safe("incomplete snapshots go", scope, 68_680);
    let torn = Scope { torn: true, merge: true, clean: false, ..scope };
    let verdict = explore(&Protocol { scope: torn, rules: Rules(None) });
    verdict.assert_loses("incomplete snapshots go, on a torn list");
}

#[test]
fn every_broken_rule_loses() {
    let tidied = Scope { tidiers: 1, ..SMALL };
    let merged = Scope { merge: true, ..SMALL };
    let stored_again = Scope { writers: 2, again: true, forgettable: FOUNDER, ..merged };
    for (variant, scope) in [
        (Variant::IndexBeforeMarks, SMALL),
        (Variant::SweeperIndexBeforeMarks, Scope { sweepers: 2, ..SMALL }),
        (Variant::ReusesCondemned, SMALL),
        (Variant::RetriesUnchecked, Scope { retry: true, ..SMALL }),
        (Variant::InheritsUnchecked, Scope { inherit: true, ..SMALL }),
        (Variant::IgnoresFence, SMALL),
        (Variant::OpenBeforeFence, tidied),
        (Variant::NoWait, SMALL),
        (Variant::NoSecondLook, SMALL),
        (Variant::FencedIsNoRoot, SMALL),
        (Variant::DoneBeforeTombstone, SMALL),
        (Variant::NoTombstone, merged),
        (Variant::FencesGoWithDone, SMALL),
        (Variant::FenceBeforeOpen, tidied),
        (Variant::CountsWhenCleanedUp, tidied),
        (Variant::EndGoesBeforeSnapshot, tidied),
        (Variant::SnapshotsBeforeSessions, tidied),
        (Variant::MergeDropsTombstones, stored_again),
    ] {
        loses(scope, variant);
    }
}

/// Runs with `DEVSNAP_MODELS=large` in the environment, one scope with its letter as `DEVSNAP_MODEL`: it takes minutes
/// and gigabytes. `docs/crash-safety.md` has the numbers.
#[test]
fn the_protocol_loses_nothing_in_large_scopes() {
    if std::env::var_os("DEVSNAP_MODELS").is_none_or(|models| models != "large") {
        return;
    }
    let only = std::env::var("DEVSNAP_MODEL").unwrap_or_default();
    for (name, scope) in LARGE.iter().filter(|(name, _)| name.starts_with(&only)) {
        explore(&Protocol { scope: *scope, rules: Rules(None) }).assert_safe(name);
    }
}

const LARGE: &[(&str, Scope)] = &[
    ("A three writers", Scope { writers: 3, forgettable: FOUNDER, ..SMALL }),
    (
        "B two writers, all they can do",
        Scope {
            writers: 2,
            again: true,
            retry: true,
            take_back: true,
            inherit: true,
            stop: true,
            successor: true,
            ..SMALL
        },
    ),
    ("C two writers, merge", Scope { writers: 2, merge: true, again: true, ..SMALL }),
    ("E two sweepers, tidier", Scope { sweepers: 2, tidiers: 1, ..SMALL }),
    ("F two writers, tidier", Scope { writers: 2, tidiers: 1, inherit: true, ..SMALL }),
    ("G two tidiers", Scope { tidiers: 2, retry: true, ..SMALL }),
    ("H two sweepers, merge", Scope { sweepers: 2, merge: true, ..SMALL }),
    (
        "I two sweepers, all a writer can do",
        Scope { sweepers: 2, again: true, inherit: true, retry: true, stop: true, ..SMALL },
    ),
    (
        "M successor, tidier",
        Scope { writers: 2, tidiers: 1, successor: true, retry: true, ..SMALL },
    ),
    ("O torn lists, two writers", Scope { writers: 2, torn: true, merge: true, ..SMALL }),
    ("Q torn lists, two sweepers", Scope { sweepers: 2, torn: true, ..SMALL }),
    ("R damage, two sweepers", Scope { sweepers: 2, forgettable: FOUNDER, ..DAMAGED }),
    (
        "S damage, two writers that inherit",
        Scope { writers: 2, inherit: true, forgettable: FOUNDER, ..DAMAGED },
    ),
    ("T damage, merge", Scope { merge: true, ..DAMAGED }),
    ("U damage twice, adoption, merge", Scope { damages: 2, stray: true, merge: true, ..DAMAGED }),
    (
        "V adoption, two sweepers",
        Scope { looks: true, stray: true, sweepers: 2, forgettable: FOUNDER, ..SMALL },
    ),
    ("W damage, a writer that retries, clean-up", Scope { tidiers: 1, retry: true, ..DAMAGED }),
];
