//! What single pages refer to, for whoever visits every page once and in an order of its own.
use super::page::{BadPage, Items};
use super::{Entry, PageSource, list, page};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;

/// What a page of a tree holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageLinks {
    /// Pages one level below.
    Pages(Vec<BlobId>),
    /// Paths with their nodes.
    Entries(Vec<Entry>),
}

/// What the tree page `id` of `level` holds. Whether its keys and totals are what a parent says is
/// not looked at.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged) also for a page of another level: levels fall on the way down,
/// so no cycle is followed. [`TooNew`](ErrorKind::TooNew); whatever reading meets.
pub fn page_links<S: PageSource + ?Sized>(source: &S, id: BlobId, level: u8) -> Result<PageLinks> {
    let doing = || format!("reading tree page {}", id.short());
    let decoded = page::decode(&source.read_page(id)?).map_err(|bad| match bad {
        BadPage::TooNew(_) => Error::new(ErrorKind::TooNew, doing()).because(bad),
        BadPage::Malformed(_) => Error::new(ErrorKind::Damaged, doing()).because(bad),
    })?;
    if decoded.level != level {
        return Err(Error::new(ErrorKind::Damaged, doing()).because("it is of another level"));
    }
    Ok(match decoded.items {
        Items::Leaf(entries) => PageLinks::Entries(entries),
        Items::Inner(children) => {
            PageLinks::Pages(children.into_iter().map(|child| child.id).collect())
        }
    })
}

/// What the list page `id` of `level` names: chunks at level 0, else pages one level below.
///
/// # Errors
///
/// As [`page_links`].
pub fn list_links<S: PageSource + ?Sized>(
    source: &S,
    id: BlobId,
    level: u8,
) -> Result<Vec<BlobId>> {
    Ok(list_page(source, id, level)?.into_iter().map(|(id, _)| id).collect())
}

/// As [`list_links`], with the length of each chunk, or of all chunks below, in bytes.
///
/// # Errors
///
/// As [`page_links`].
pub fn list_page<S: PageSource + ?Sized>(
    source: &S,
    id: BlobId,
    level: u8,
) -> Result<Vec<(BlobId, u64)>> {
    let items = list::decode(&source.read_page(id)?, level).map_err(|malformed| {
        Error::new(ErrorKind::Damaged, format!("reading list page {}", id.short()))
            .because(malformed)
    })?;
    Ok(items.into_iter().map(|item| (item.id, item.len)).collect())
}
