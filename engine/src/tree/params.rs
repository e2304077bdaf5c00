//! How large pages are, and where one ends.
use crate::error::{Error, ErrorKind, Result};

use super::{FANOUT_MIN, KEYS_LEN_MAX};

/// The largest `max_bytes`: a page and the entry that ends it must stay within `PAGE_LEN_MAX`.
pub(super) const MAX_BYTES_MAX: u32 = 64 * 1024;

/// Sizes of pages in bytes, before compression. Recorded in the repository: another choice makes
/// other pages of the same content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeParams {
    /// A page is not ended before it has this many bytes.
    pub min_bytes: u32,
    /// The mean length of a page.
    pub target_bytes: u32,
    /// The entry with which a page reaches this many bytes is its last.
    pub max_bytes: u32,
}

impl TreeParams {
    /// Pages of 4 KiB on average: measured, see `docs/decisions/0005-page-size.md`.
    pub const STANDARD: TreeParams = TreeParams::around(4096);

    /// Pages of `target_bytes` on average: at least half of it, and seldom twice as much.
    pub const fn around(target_bytes: u32) -> Self {
        TreeParams {
            min_bytes: target_bytes / 2,
            target_bytes,
            max_bytes: target_bytes.saturating_mul(2),
        }
    }

    /// Whether pages can be cut like this.
    ///
    /// # Errors
    ///
    /// `Invalid` unless 0 < min < target < max ≤ 64 KiB.
    pub fn validate(&self) -> Result<()> {
        let rising = 0 < self.min_bytes
            && self.min_bytes < self.target_bytes
            && self.target_bytes < self.max_bytes;
        if rising && self.max_bytes <= MAX_BYTES_MAX {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, format!("cutting tree pages with {self:?}")))
    }
}

/// How full a page is after an entry was added.
pub(super) struct Filled {
    /// Entries in the page.
    pub(super) count: usize,
    /// Bytes of all entries.
    pub(super) len: usize,
    /// Bytes of the entry added last.
    pub(super) last_len: usize,
    /// Bytes of all keys, uncompressed.
    pub(super) keys_len: usize,
}

/// Decides after which entries a page ends.
///
/// The decision looks at the page so far and at nothing to the right of it, and starts afresh
/// behind every cut. So two sequences with a cut in common have all later cuts in common as long
/// as their entries agree, which is what lets an edit stop at the first old boundary it meets.
///
/// The chance to be cut behind an entry grows linearly with what the page has above the minimum (a
/// Weibull distribution of shape 2): compared with one fixed chance, lengths gather around the
/// mean, and few pages run into the maximum, where a cut would be decided by bytes far to the left
/// and an edit would move all cuts behind it. The hash is keyed, so that nobody can choose file
/// names that make pages of one size.
#[derive(Clone)]
pub struct PageCutter {
    params: TreeParams,
    key: [u8; 32],
    /// Square of the distribution's scale, in bytes squared.
    scale_squared: u128,
}

impl PageCutter {
    /// A cutter for pages of these sizes, with the repository's key for cuts.
    ///
    /// # Errors
    ///
    /// `Invalid`, as [`TreeParams::validate`].
    pub fn new(params: TreeParams, key: [u8; 32]) -> Result<Self> {
        params.validate()?;
        // The mean of a Weibull distribution of shape 2 is Γ(3/2) ≈ 0.886 times its scale, and
        // 1 / 0.886 is 9/8 within half a percent. One more byte keeps it above zero.
        let scale = u128::from(params.target_bytes - params.min_bytes) * 9 / 8 + 1;
        Ok(PageCutter { params, key, scale_squared: scale * scale })
    }

    /// The sizes this cutter was made for.
    pub fn params(&self) -> TreeParams {
        self.params
    }

    /// Whether a page of `level` ends behind the entry of `key` that has just been added.
    pub(super) fn ends_page(&self, level: u8, key: &[u8], filled: &Filled) -> bool {
        if level > 0 && filled.count < FANOUT_MIN {
            return false;
        }
        let (min, max) = (self.params.min_bytes as usize, self.params.max_bytes as usize);
        if filled.len >= max || filled.keys_len >= KEYS_LEN_MAX {
            return true;
        }
        if filled.len < min {
            return false;
        }
        // Hazard 2x / scale² per byte, over the bytes of this entry.
        let above_min = (filled.len - min) as u128;
        let chance = (2 * above_min * filled.last_len as u128) << 64;
        u128::from(self.draw(level, key)) < chance / self.scale_squared
    }

    /// An evenly distributed number, the same for the same key on the same level.
    fn draw(&self, level: u8, key: &[u8]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[level]).update(key);
        let hash = hasher.finalize();
        let first = hash.as_bytes().first_chunk::<8>().expect("because a hash has 32 bytes");
        u64::from_le_bytes(*first)
    }
}
