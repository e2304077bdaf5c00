//! What is claimed of the first model, and that each broken rule loses data.
use super::{Rows, Variant};
use crate::deletion::explore::{Verdict, explore};

fn visit(writers: usize, sweepers: usize, variant: Option<Variant>) -> Verdict {
    explore(&Rows { writers, sweepers, variant })
}

#[test]
fn the_corrected_protocol_loses_nothing_in_as_many_states_as_the_first_proof() {
    for (writers, sweepers, variant, states) in [
        (1, 1, None, 918),
        (2, 1, None, 73_230),
        (1, 2, None, 155_550),
        (2, 1, Some(Variant::InheritsChecked), 89_712),
        (1, 2, Some(Variant::InheritsChecked), 161_674),
    ] {
        let verdict = visit(writers, sweepers, variant);
        verdict.assert_safe(&format!("rows, {writers} writers, {sweepers} sweepers, {variant:?}"));
        assert_eq!(verdict.states, states);
    }
}

#[test]
fn every_broken_rule_loses() {
    for variant in [
        Variant::IndexFirst,
        Variant::ReuseCondemned,
        Variant::NoFenceCheck,
        Variant::NoWait,
        Variant::NoRelist,
        Variant::FencedNotRoot,
        Variant::FenceCleanup,
        Variant::Inherit,
    ] {
        visit(2, 1, Some(variant)).assert_loses(&format!("rows, {variant:?}"));
    }
    visit(1, 2, Some(Variant::IndexThenMarks)).assert_loses("rows, IndexThenMarks");
}

/// One sweeper alone cannot show this loss: it takes another's mark to be finished between the two lists.
#[test]
fn index_before_marks_needs_two_sweepers_to_lose() {
    let verdict = visit(2, 1, Some(Variant::IndexThenMarks));
    verdict.assert_safe("rows, IndexThenMarks, one sweeper");
    assert_eq!(verdict.states, 75_639);
}
