//! What is claimed where segments go bad and where packs lie that no segment names.
use super::claims::{is_safe, loses};
use super::protocol::{SMALL, Scope, Variant};

/// Everybody looks at packs; one segment may go bad at any moment, and somebody heals it.
pub(super) const DAMAGED: Scope = Scope { looks: true, damages: 1, heal: true, ..SMALL };

/// Two sweepers that finish each other's marks, and `X` in two packs.
const SWEPT_TWICE: Scope = Scope { sweepers: 2, writers: 0, two_packs: true, ..DAMAGED };

#[test]
fn packs_that_no_segment_names_are_adopted_and_nothing_is_lost() {
    let scope = Scope { looks: true, stray: true, ..SMALL };
    is_safe("adoption", scope, 6754);
    is_safe("adoption, two writers", Scope { writers: 2, inherit: true, ..scope }, 519_226);
    is_safe("adoption, merge", Scope { merge: true, ..scope }, 63_901);
}

#[test]
fn a_segment_that_goes_bad_and_is_healed_loses_nothing() {
    is_safe("damage", DAMAGED, 94_210);
    is_safe("damage, adoption", Scope { stray: true, ..DAMAGED }, 297_467);
    is_safe("damage twice", Scope { damages: 2, ..DAMAGED }, 455_074);
    let torn = Scope { merge: true, torn: true, heal: false, ..DAMAGED };
    is_safe("damage, merge, torn lists", torn, 250_488);
    is_safe("damage, two sweepers", SWEPT_TWICE, 1_409_674);
}

#[test]
fn every_broken_rule_of_looking_at_packs_loses() {
    for (variant, scope) in [
        (Variant::WriterTrustsRows, DAMAGED),
        (Variant::SweeperTrustsRows, SWEPT_TWICE),
        (Variant::LooksOnlyWhenUnreadable, SWEPT_TWICE),
        (Variant::AdoptsCondemned, Scope { looks: true, stray: true, ..SMALL }),
        (Variant::PacksBeforeMarks, DAMAGED),
    ] {
        loses(scope, variant);
    }
}

/// A list is no view of one moment: it may meet `open` first, and `fence` when clean-up has removed both.
#[test]
fn looking_for_fence_and_open_with_one_list_loses() {
    loses(Scope { tidiers: 1, ..SMALL }, Variant::OneListForBoth);
}
