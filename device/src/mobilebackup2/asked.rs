//! How much a device may say before it is left: one that talks for ever is no device.

/// Messages that bring and remove nothing, over those that go with what came. A device lists and makes
/// 256 folders, or twice that, and reads three lists.
const IDLE_MAX: u64 = 1 << 13;

/// Such messages for each file that came or went: it is moved to its place, alone or with others.
const IDLE_PER_FILE: u64 = 4;

/// Pings: one a second for nine hours.
const PINGS_MAX: u64 = 1 << 15;

/// Why a device is left that has said more.
pub(super) const WITHOUT_END: &str = "the device talks without end and does nothing";

/// What a device has said in one conversation.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pings: u64,
    idle: u64,
    work: u64,
}

impl Asked {
    /// Counts a message that has been answered, after which the session has seen `work` files come or go; whether
    /// it was one too many.
    pub(super) fn is_too_much(&mut self, work: u64) -> bool {
        self.idle += u64::from(work == self.work);
        self.work = work;
        self.idle > work.saturating_mul(IDLE_PER_FILE).saturating_add(IDLE_MAX)
    }

    /// Counts a ping; whether it was one too many.
    pub(super) fn is_pinged_too_often(&mut self) -> bool {
        self.pings += 1;
        self.pings > PINGS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages of a conversation are borne in which `work` is done before each.
    fn borne(messages: u64, work: impl Fn(u64) -> u64) -> u64 {
        let mut asked = Asked::default();
        (1..=messages).take_while(|message| !asked.is_too_much(work(*message))).count() as u64
    }

    #[test]
    fn who_does_nothing_is_left_and_who_works_is_not() {
        assert_eq!(borne(1 << 20, |_| 0), IDLE_MAX);
        // A file a message; then each is moved, and removed, alone.
        let files = 100_000;
        let backup = |message: u64| match message {
            brought if brought <= files => brought,
            moved if moved <= 2 * files => files,
            removed => removed - files,
        };
        assert_eq!(borne(3 * files, backup), 3 * files);
    }

    #[test]
    fn so_many_pings_are_borne_and_no_more() {
        let mut asked = Asked::default();
        assert_eq!((1..).find(|_| asked.is_pinged_too_often()), Some(PINGS_MAX + 1));
    }
}
