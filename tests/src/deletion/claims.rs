//! What is claimed of the protocol, and that each broken rule loses data.
use super::explore::{Verdict, explore};
use super::protocol::{Protocol, Rules, SMALL, Scope, Variant};

fn visit(scope: Scope, variant: Option<Variant>) -> Verdict {
    let began = std::time::Instant::now();
    let verdict = explore(&Protocol { scope, rules: Rules(variant) });
    println!("{:?} took {:.1?}", variant, began.elapsed());
    verdict
}

fn loses(scope: Scope, variant: Variant) {
    visit(scope, Some(variant)).assert_loses(&format!("{variant:?}"));
}

fn is_safe(name: &str, scope: Scope) {
    visit(scope, None).assert_safe(name);
}

#[test]
fn a_successor_that_puts_end_for_its_predecessor_loses() {
    let scope = Scope { writers: 2, successor: true, ..SMALL };
    loses(scope, Variant::SuccessorEnds);
    loses(scope, Variant::SuccessorEndsAndWriterLooks);
}

#[test]
fn a_successor_may_fence_its_predecessor() {
    is_safe("successor", Scope { writers: 2, successor: true, take_back: true, ..SMALL });
    is_safe("successor, left", Scope { writers: 2, successor: true, ..SMALL });
}

#[test]
fn a_snapshot_that_counts_once_its_session_is_cleaned_up_loses() {
    loses(Scope { tidiers: 1, ..SMALL }, Variant::CountsWhenCleanedUp);
}

#[test]
fn a_snapshot_counts_by_its_end_alone() {
    is_safe("clean-up", Scope { tidiers: 1, take_back: true, retry: true, ..SMALL });
    is_safe("clean-up, left", Scope { tidiers: 1, retry: true, ..SMALL });
    is_safe("clean-up and drop", Scope { tidiers: 1, drop_incomplete: true, ..SMALL });
}

#[test]
fn others_that_resolve_a_fenced_snapshot_lose() {
    let scope = Scope { writers: 2, tidiers: 2, clean: false, ..SMALL };
    loses(scope, Variant::OthersResolve);
}

#[test]
fn every_broken_rule_loses() {
    let tidied = Scope { tidiers: 1, ..SMALL };
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
        (Variant::NoTombstone, Scope { merge: true, ..SMALL }),
        (Variant::FencesGoWithDone, SMALL),
        (Variant::FenceBeforeOpen, tidied),
        (Variant::EndGoesBeforeSnapshot, tidied),
        (Variant::SnapshotsBeforeSessions, tidied),
        (Variant::MergeDropsTombstones, Scope { writers: 2, merge: true, ..SMALL }),
    ] {
        loses(scope, variant);
    }
}

#[test]
fn scopes() {
    is_safe("1w2g", Scope { sweepers: 2, ..SMALL });
    is_safe("2w1g inherit stop", Scope { writers: 2, inherit: true, stop: true, ..SMALL });
    is_safe("2w1g merge", Scope { writers: 2, merge: true, ..SMALL });
    is_safe("1w1g two packs merge", Scope { two_packs: true, merge: true, ..SMALL });
}
