//! The writer: open, lists, perhaps a parent, pack, row, snapshot, a look for a fence, end.
use super::{Packs, Rows, State, Variant, pack_of, session_of};
use crate::deletion::explore::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum WriterAt {
    Start,
    List1,
    List2,
    Parent,
    PutPack,
    PutRow,
    PutSnapshot,
    Check,
    PutEnd,
    Failed,
    Confirmed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    pub(super) at: WriterAt,
    pub(super) condemned: Packs,
    pub(super) view: Packs,
}

impl Rows {
    pub(super) fn writer(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let mut after = *state;
        let (store, own) = (&mut after.store, session_of(number));
        let Writer { at, mut condemned, mut view } = state.writers[number];
        let index_first = self.is(Variant::IndexFirst);
        let reuse = |view: Packs, condemned: Packs| {
            if view & !condemned != 0 { WriterAt::PutSnapshot } else { WriterAt::PutPack }
        };
        let (does, next) = match at {
            WriterAt::Start => {
                store.open |= own;
                ("puts open", WriterAt::List1)
            }
            WriterAt::List1 => {
                if index_first {
                    view = store.rows;
                } else {
                    condemned = store.condemned();
                }
                ("lists first", WriterAt::List2)
            }
            WriterAt::List2 => {
                if index_first {
                    condemned = store.condemned();
                } else {
                    view = store.rows;
                }
                if self.is(Variant::ReuseCondemned) {
                    condemned = 0;
                }
                let inherits = self.is(Variant::Inherit) || self.is(Variant::InheritsChecked);
                ("lists second", if inherits { WriterAt::Parent } else { reuse(view, condemned) })
            }
            WriterAt::Parent => {
                let parent = store.snapshots & store.end != 0;
                let inherits = parent && (self.is(Variant::Inherit) || condemned == 0);
                (
                    "chooses a parent",
                    if inherits { WriterAt::PutSnapshot } else { reuse(view, condemned) },
                )
            }
            WriterAt::PutPack => {
                store.packs |= pack_of(number);
                store.owned |= pack_of(number);
                ("puts a pack", WriterAt::PutRow)
            }
            WriterAt::PutRow => {
                store.rows |= pack_of(number);
                ("puts a row", WriterAt::PutSnapshot)
            }
            WriterAt::PutSnapshot => {
                store.snapshots |= own;
                ("puts its snapshot", WriterAt::Check)
            }
            WriterAt::Check => {
                let fails = store.fence & own != 0 && !self.is(Variant::NoFenceCheck);
                ("looks for a fence", if fails { WriterAt::Failed } else { WriterAt::PutEnd })
            }
            WriterAt::PutEnd => {
                store.end |= own;
                store.confirmed |= own;
                ("puts end", WriterAt::Confirmed)
            }
            WriterAt::Failed | WriterAt::Confirmed => return,
        };
        after.writers[number] = Writer { at: next, condemned, view };
        found(Step { who: "writer", number, does }, after);
    }
}
