//! How much a device may ask before it is left: one that asks for ever is no device.
use crate::devicelink::Message;

/// Of pings, listings, folders and what else a device says some hundred times: it lists and makes 256
/// folders or twice that, and pings now and then in the hours in which it looks through its files.
const RARE_MAX: u32 = 1 << 16;

/// Of moves, removals and copies. A device with 1.3 million files moves and removes by the hundred:
/// some thirty thousand messages.
const CHANGES_MAX: u32 = 1 << 18;

/// Why such a device is left.
pub(super) const WITHOUT_END: &str = "the device asks without end and sends nothing";

/// What a device has asked in one conversation, but for files: those are counted where they go.
#[derive(Debug, Default)]
pub(super) struct Asked {
    rare: u32,
    changes: u32,
}

impl Asked {
    /// Counts `message`; whether it is one too many.
    pub(super) fn is_too_much(&mut self, message: &Message) -> bool {
        match message {
            Message::UploadFiles { .. } | Message::DownloadFiles { .. } => {}
            Message::MoveItems { .. } | Message::RemoveItems { .. } | Message::CopyItem { .. } => {
                self.changes += 1;
            }
            _ => self.rare += 1,
        }
        self.rare > RARE_MAX || self.changes > CHANGES_MAX
    }

    /// Counts a message about files that moved none; whether it is one too many.
    pub(super) fn is_idle_too_often(&mut self) -> bool {
        self.rare += 1;
        self.rare > RARE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn so_often(message: &Message) -> u32 {
        let mut asked = Asked::default();
        (1..).find(|_| asked.is_too_much(message)).unwrap()
    }

    #[test]
    fn each_thing_is_asked_so_often_and_no_more() {
        assert_eq!(so_often(&Message::Ping), RARE_MAX + 1);
        let folder = Message::CreateDirectory { path: String::new() };
        assert_eq!(so_often(&folder), RARE_MAX + 1);
        let moves = Message::MoveItems { moves: Vec::new(), progress: None };
        assert_eq!(so_often(&moves), CHANGES_MAX + 1);
    }

    #[test]
    fn files_are_asked_for_without_end_and_idle_messages_are_not() {
        let mut asked = Asked::default();
        let reads = Message::DownloadFiles { paths: Vec::new(), progress: None };
        assert!((0..=CHANGES_MAX).all(|_| !asked.is_too_much(&reads)));
        assert!((0..RARE_MAX).all(|_| !asked.is_idle_too_often()));
        assert!(asked.is_idle_too_often());
    }
}
