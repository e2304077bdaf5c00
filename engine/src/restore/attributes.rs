//! Attributes read back from wherever they were stored.
use super::store::BlobStore;
use crate::codec::Malformed;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Attached, Hole, Node, Xattr, decode_holes, decode_xattrs};
use std::io::Read;

/// Encoded attributes longer than this are refused, in bytes: no file system holds as many.
const ATTRIBUTES_LEN_MAX: u64 = 16 << 20;

/// What a node has besides its content.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) xattrs: Vec<Xattr>,
    pub(super) holes: Vec<Hole>,
    /// What could not be read, in words.
    pub(super) lost: Vec<String>,
}

/// The attributes of `node`; one that cannot be read is left out and said.
///
/// # Errors
///
/// The store cannot be read at all.
pub(super) fn read(store: &dyn BlobStore, node: &Node) -> Result<Attributes> {
    let mut lost = Vec::new();
    let xattrs = read_one(store, &node.xattrs, decode_xattrs, "extended attributes", &mut lost)?;
    let holes = read_one(store, &node.holes, decode_holes, "holes", &mut lost)?;
    Ok(Attributes { xattrs, holes, lost })
}

fn read_one<T>(
    store: &dyn BlobStore,
    attached: &Attached,
    decode: fn(&[u8]) -> Result<Vec<T>, Malformed>,
    what: &str,
    lost: &mut Vec<String>,
) -> Result<Vec<T>> {
    let decoded = encoded(store, attached).and_then(|bytes| {
        decode(&bytes).map_err(|e| Error::new(ErrorKind::Damaged, "decoding them").because(e))
    });
    match decoded {
        Ok(items) => Ok(items),
        Err(error) if super::is_loss(&error) => {
            lost.push(format!("{what}: {error:?}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn encoded(store: &dyn BlobStore, attached: &Attached) -> Result<Vec<u8>> {
    let content = match attached {
        Attached::None => return Ok(Vec::new()),
        Attached::Here(bytes) => return Ok(bytes.clone()),
        Attached::Stored(content) => content,
    };
    if content.len > ATTRIBUTES_LEN_MAX {
        return Err(Error::new(ErrorKind::Damaged, "reading them").because("they are too long"));
    }
    let mut bytes = Vec::new();
    store
        .open_content(content)?
        .take(ATTRIBUTES_LEN_MAX)
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::new(kind_within(&cause), "reading them").because(cause))?;
    Ok(bytes)
}

/// The kind of the engine's error that a stream wrapped; anything else is damage.
fn kind_within(error: &std::io::Error) -> ErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    inner.map_or(ErrorKind::Damaged, Error::kind)
}
