//! Which packs to give up: those that nobody needs, those of which too little is needed, and small ones
//! where there are many.
use super::usage::PackUse;
use crate::id::{PackId, SessionId};
use crate::pack::PackKind;
use std::collections::{BTreeMap, HashSet};

/// As many small packs of one kind and level are stored again together; so each byte is written about
/// once per level, and no more than some forty small packs stay.
const GATHERED: usize = 8;

/// Packs up to this size are of the lowest level, in bytes; each level is [`GATHERED`] times the one
/// below.
const LOWEST_LEVEL_BYTES: u64 = 64 << 10;

/// Data packs from this size on are not small, in bytes: an eighth of a full one.
const SMALL_DATA_BYTES: u64 = 4 << 20;

/// The same for metadata packs.
const SMALL_META_BYTES: u64 = 2 << 20;

/// What one prune stores again of small packs at most, in bytes; the next one goes on.
const GATHERED_BYTES_MAX: u64 = 256 << 20;

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
    /// Small packs: what is needed of them is stored again in few large ones, which takes fewer requests
    /// to read.
    pub gather: Vec<PackId>,
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
            // Of a disputed pack nobody knows what it holds.
            if pack.standing.disputed || open.contains(&pack.standing.pack.header.session) {
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
        let mut rest = Vec::new();
        for pack in partly {
            if plan.unused_bytes <= limit || pack.dead_bytes == 0 {
                rest.push(pack);
                continue;
            }
            plan.store_again(pack);
            plan.repack.push(pack.standing.pack.id);
        }
        // Who keeps whatever is unused wants nothing stored again.
        if max_unused != MaxUnused::Unlimited {
            for pack in small_ones(rest) {
                plan.store_again(pack);
                plan.gather.push(pack.standing.pack.id);
            }
        }
        plan
    }

    fn store_again(&mut self, pack: &PackUse) {
        self.unused_bytes -= pack.dead_bytes;
        self.condemned_bytes += pack.standing.pack.pack_len;
        self.copied_bytes += pack.live_bytes;
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.repack.is_empty() && self.gather.is_empty()
    }

    /// All packs that are given up.
    pub(super) fn condemned(&self) -> Vec<PackId> {
        self.remove.iter().chain(&self.repack).chain(&self.gather).copied().collect()
    }
}

/// Those of `packs` that are worth storing again together: of each kind and level, if there are enough.
fn small_ones(packs: Vec<&PackUse>) -> Vec<&PackUse> {
    let mut levels: BTreeMap<(bool, u32), Vec<&PackUse>> = BTreeMap::new();
    for pack in packs {
        let is_meta = pack.standing.pack.header.kind == PackKind::Meta;
        if let Some(level) = level_of(is_meta, pack.standing.pack.pack_len) {
            levels.entry((is_meta, level)).or_default().push(pack);
        }
    }
    let mut left_bytes = GATHERED_BYTES_MAX;
    let mut gathered = Vec::new();
    // The smallest first: they save most requests for what is stored again.
    for mut level in levels.into_values().filter(|level| level.len() >= GATHERED) {
        level.sort_by_key(|pack| (pack.live_bytes, pack.standing.pack.id));
        let fitting = level.into_iter().take_while(|pack| {
            let fits = pack.live_bytes <= left_bytes;
            left_bytes = left_bytes.saturating_sub(pack.live_bytes);
            fits
        });
        let fitting: Vec<_> = fitting.collect();
        // One alone would only be written anew.
        if fitting.len() >= GATHERED {
            gathered.extend(fitting);
        }
    }
    gathered
}

/// `None` for a pack that is large enough.
fn level_of(is_meta: bool, len_bytes: u64) -> Option<u32> {
    let large = if is_meta { SMALL_META_BYTES } else { SMALL_DATA_BYTES };
    let times = len_bytes.div_ceil(LOWEST_LEVEL_BYTES).max(1);
    (len_bytes < large).then(|| (times - 1).checked_ilog(GATHERED as u64).map_or(0, |l| l + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_is_of_a_higher_level_than_its_parts_or_of_the_lowest() {
        for is_meta in [false, true] {
            for bytes in [1, 60_000, LOWEST_LEVEL_BYTES + 1, 9 * LOWEST_LEVEL_BYTES] {
                let level = level_of(is_meta, bytes);
                assert!(level.is_some(), "{bytes}");
                let gathered = level_of(is_meta, bytes * GATHERED as u64);
                let grows = gathered.is_none() || gathered > level;
                assert!(grows || bytes * GATHERED as u64 <= LOWEST_LEVEL_BYTES, "{bytes}");
            }
            assert_eq!(level_of(is_meta, SMALL_DATA_BYTES), None);
        }
    }
}
