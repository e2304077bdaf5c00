//! Which packs to give up: those that nobody needs, and those of which too little is needed.
use super::usage::PackUse;
use crate::id::{PackId, SessionId};
use std::collections::HashSet;

/// How many stored bytes that nobody needs may stay, because freeing them means storing again what
/// lies beside them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxUnused {
    /// Any number: only packs that nobody needs at all are given up.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
    /// So many per cent of the bytes that are needed.
    Percent(f64),
}

impl MaxUnused {
    fn bytes(self, needed_bytes: u64) -> u64 {
        match self {
            MaxUnused::Unlimited => u64::MAX,
            MaxUnused::Bytes(bytes) => bytes,
            // Sizes up to 2⁵³ bytes are exact, and a limit need not be.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            MaxUnused::Percent(percent) => (needed_bytes as f64 * percent.max(0.0) / 100.0) as u64,
        }
    }
}

/// What is decided and not done yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// Packs of which nothing is needed.
    pub remove: Vec<PackId>,
    /// Packs of which little is needed: that is stored again.
    pub repack: Vec<PackId>,
    /// Length of all these packs, in bytes.
    pub condemned_bytes: u64,
    /// What of them is needed and takes about as much room again.
    pub copied_bytes: u64,
    /// Stored bytes that nobody needs and that stay.
    pub unused_bytes: u64,
    /// Stored bytes that are needed.
    pub needed_bytes: u64,
}

impl PrunePlan {
    /// Chooses among packs that no mark condemns. Packs of `open` sessions stay: their runs may
    /// still want them.
    pub(super) fn choose(
        packs: &[PackUse],
        open: &HashSet<SessionId>,
        max_unused: MaxUnused,
    ) -> PrunePlan {
        let mut plan = PrunePlan::default();
        let mut partly = Vec::new();
        for pack in packs.iter().filter(|pack| !pack.standing.condemned) {
            plan.needed_bytes += pack.live_bytes;
            if open.contains(&pack.standing.pack.header.session) {
                continue;
            }
            if pack.live_blobs == 0 {
                plan.remove.push(pack.standing.pack.id);
                // What the store has lost frees nothing.
                if !pack.standing.missing {
                    plan.condemned_bytes += pack.standing.pack.pack_len;
                }
                continue;
            }
            plan.unused_bytes += pack.dead_bytes;
            // Blocks that do not open cannot be copied, and what a station says of its pack may not be
            // so: a mark that nobody could finish would hold up all others.
            if !pack.standing.damaged && !pack.standing.hearsay {
                partly.push(pack);
            }
        }
        let limit = max_unused.bytes(plan.needed_bytes);
        // The emptiest first: they free most for what is stored again.
        let emptiness = |pack: &PackUse| {
            u128::from(pack.dead_bytes) * 1_000_000 / u128::from(pack.standing.pack.pack_len.max(1))
        };
        partly.sort_by_key(|pack| std::cmp::Reverse((emptiness(pack), pack.standing.pack.id)));
        for pack in partly {
            if plan.unused_bytes <= limit || pack.dead_bytes == 0 {
                break;
            }
            plan.unused_bytes -= pack.dead_bytes;
            plan.repack.push(pack.standing.pack.id);
            plan.condemned_bytes += pack.standing.pack.pack_len;
            plan.copied_bytes += pack.live_bytes;
        }
        plan
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.repack.is_empty()
    }

    /// All packs that are given up.
    pub(super) fn condemned(&self) -> Vec<PackId> {
        self.remove.iter().chain(&self.repack).copied().collect()
    }
}
