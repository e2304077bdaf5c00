//! One encrypted file, into the store.
use std::io::{self, Read};

use devsnap_engine::encoding::decrypt_exactly;
use devsnap_engine::node::Encoding;
use devsnap_engine::source::{ContentSink, ContentTicket};

/// How a file was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub content: ContentTicket,
    /// Whether that is its plaintext.
    pub encoding: Encoding,
}

/// Stores the plaintext of a file if encrypting it gives the same bytes again; `None` if it would
/// not.
///
/// # Errors
///
/// The file could not be read, or not be stored.
pub fn store_plain(
    contents: &dyn ContentSink,
    sealed: impl Read,
    file_key: &[u8; 32],
) -> io::Result<Option<Stored>> {
    let mut plain = contents.begin();
    if !decrypt_exactly(sealed, file_key, &mut plain)? {
        return Ok(None);
    }
    let encoding = Encoding::AppleEncrypted { file_key: *file_key };
    Ok(Some(Stored { content: plain.finish()?, encoding }))
}

/// As [`store_plain`], or else the bytes as they came. `read` is called once, or twice.
///
/// # Errors
///
/// The file could not be read, or not be stored.
pub fn store<R: Read>(
    contents: &dyn ContentSink,
    read: impl Fn() -> R,
    file_key: Option<&[u8; 32]>,
) -> io::Result<Stored> {
    if let Some(file_key) = file_key
        && let Some(stored) = store_plain(contents, read(), file_key)?
    {
        return Ok(stored);
    }
    let mut as_received = contents.begin();
    io::copy(&mut read(), &mut as_received)?;
    Ok(Stored { content: as_received.finish()?, encoding: Encoding::AsStored })
}
