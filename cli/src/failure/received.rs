//! What a device had sent before its session failed, and what that is good for.
use crate::report::text::{counted, size};

/// What came in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Whole files, in all tries.
    pub files: u64,
    /// Bytes, of files that did not come whole too.
    pub bytes: u64,
    /// What of it was put on the storage, in bytes.
    pub bytes_stored: u64,
    /// The device encrypts what it sends, and with new keys each time.
    pub encrypted: bool,
}

impl Received {
    /// Whether there is anything to tell.
    pub fn is_nothing(&self) -> bool {
        self.files == 0 && self.bytes == 0 && self.bytes_stored == 0
    }

    /// Whether the next run need not store again what is stored; `None` when nothing is.
    pub fn is_of_use(&self) -> Option<bool> {
        (self.bytes_stored > 0).then_some(!self.encrypted)
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let came =
            format!("{} came whole, {} in all", counted(self.files, "file"), size(self.bytes));
        let stored = size(self.bytes_stored);
        match self.is_of_use() {
            None => format!("{came}; nothing of it is stored yet"),
            Some(true) => {
                format!("{came}; {stored} are stored, and the next run need not store them again")
            }
            Some(false) => format!(
                "{came}; {stored} are stored and of no use, since the device encrypts with new \
                 keys each time: `devsnap prune` removes them"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_of_use_unless_it_is_encrypted() {
        let nothing = Received { files: 2, bytes: 2048, ..Received::default() };
        let plain = Received { bytes_stored: 1024, ..nothing };
        let encrypted = Received { encrypted: true, ..plain };
        let told = [nothing, plain, encrypted].map(|received| received.is_of_use());
        assert_eq!(told, [None, Some(true), Some(false)]);
        assert!(!nothing.is_nothing() && Received::default().is_nothing());
        assert!(nothing.sentence().ends_with("2.0 KiB in all; nothing of it is stored yet"));
        assert!(encrypted.sentence().contains("devsnap prune"));
    }
}
