//! How much the phone has left, and whether it gets more.

/// The state of the battery, as lockdown tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// From 0 to 100.
    pub percent: u8,
    /// Something that could charge it is attached.
    pub is_powered: bool,
    /// It charges. One that is full does not; neither does one on a port that is too weak.
    pub is_charging: bool,
}

impl Default for Battery {
    /// On a charger, and not full yet.
    fn default() -> Self {
        Battery { percent: 83, is_powered: true, is_charging: true }
    }
}
