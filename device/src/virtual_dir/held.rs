//! What stands for a file that came in this session.
use devsnap_engine::source::ContentTicket;

/// A file that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Held {
    /// In the engine's hands, as it came.
    Stored(ContentTicket),
    /// Waiting for its key, under this number.
    Spooled(usize),
}
