//! Pages of trees that a station stored and could not read back: its next run builds on them.
use super::tables::PAGES;
use super::{Index, local, redb_failed};
use crate::error::Result;
use crate::id::BlobId;
use redb::{ReadableDatabase, ReadableTableMetadata};

/// With more than these, about 1 GiB, all are forgotten: the next run takes longer, nothing else.
const PAGES_MAX: u64 = 200_000;

impl Index {
    /// A page that was kept, as it was given.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn page(&self, id: &BlobId) -> Result<Option<Vec<u8>>> {
        const DOING: &str = "reading a page that was kept";
        let read = local!(DOING, self.database.begin_read())?;
        let table = local!(DOING, read.open_table(PAGES))?;
        let found = local!(DOING, table.get(id.as_bytes()))?;
        Ok(found.map(|page| page.value().to_vec()))
    }

    /// Keeps pages, in one transaction.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn keep_pages(&self, mut pages: Vec<(BlobId, Vec<u8>)>) -> Result<()> {
        const DOING: &str = "keeping pages";
        pages.sort_unstable_by_key(|(id, _)| *id);
        let write = local!(DOING, self.database.begin_write())?;
        {
            let mut table = local!(DOING, write.open_table(PAGES))?;
            if local!(DOING, table.len())? > PAGES_MAX {
                local!(DOING, table.retain(|_, _| false))?;
            }
            for (id, page) in &pages {
                local!(DOING, table.insert(id.as_bytes(), page.as_slice()))?;
            }
        }
        local!(DOING, write.commit())
    }
}
