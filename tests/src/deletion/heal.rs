//! Healing: what a segment that cannot be read had named is named again, and then it goes.
use super::explore::Step;
use super::protocol::{Protocol, State};
use super::store::{Packs, Seen, Store};

/// The run that heals, between two of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Healer {
    Start,
    /// Has seen a segment that it cannot read, and the rest of the index.
    Listed(Seen),
    /// Has found these packs, which no segment names.
    Name(Packs),
    Remove,
    Over,
}

impl Protocol {
    /// The next step of the healer. Tombstones that went bad are gone for good when it is over: rows of packs that
    /// are not there are all that is left of them.
    pub(super) fn healer(&self, state: &State, found: &mut dyn FnMut(Step, State)) {
        let store = &state.store;
        let mut step = |does: &'static str, next: Healer, change: &dyn Fn(&mut Store)| {
            let mut after = *state;
            after.healer = next;
            change(&mut after.store);
            found(Step { who: "healer", number: 0, does }, after);
        };
        match state.healer {
            Healer::Start if store.unreadable => {
                step("lists the index", Healer::Listed(store.seen()), &|_| {});
            }
            Healer::Listed(seen) => {
                let unlisted = store.looked_at(seen).unlisted;
                let next = if unlisted == 0 { Healer::Remove } else { Healer::Name(unlisted) };
                step("lists packs", next, &|_| {});
            }
            Healer::Name(packs) => {
                step("puts a segment for them", Healer::Remove, &|s| s.single |= packs);
            }
            Healer::Remove => {
                step("removes what it could not read", Healer::Over, &|s| s.unreadable = false);
            }
            Healer::Start | Healer::Over => {}
        }
    }
}
