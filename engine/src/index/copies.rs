//! Copies of snapshots and notes: they are small, and every command lists them.
use super::tables::{NOTES, SNAPSHOTS};
use super::{Index, local, redb_failed};
use crate::error::Result;
use crate::id::{Id, NoteId, SnapshotId};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::BTreeMap;

type Copies = TableDefinition<'static, &'static [u8; 32], &'static [u8]>;

impl Index {
    /// The snapshots whose objects are kept here, as stored.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn snapshots(&self) -> Result<BTreeMap<SnapshotId, Vec<u8>>> {
        self.copies(SNAPSHOTS)
    }

    /// Keeps objects of snapshots, and drops those of `gone`.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn keep_snapshots(&self, new: &[(SnapshotId, Vec<u8>)], gone: &[SnapshotId]) -> Result<()> {
        self.keep_copies(SNAPSHOTS, new, gone)
    }

    /// The notes whose objects are kept here, as stored.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn notes(&self) -> Result<BTreeMap<NoteId, Vec<u8>>> {
        self.copies(NOTES)
    }

    /// Keeps objects of notes, and drops those of `gone`.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn keep_notes(&self, new: &[(NoteId, Vec<u8>)], gone: &[NoteId]) -> Result<()> {
        self.keep_copies(NOTES, new, gone)
    }

    fn copies<Of>(&self, table: Copies) -> Result<BTreeMap<Id<Of>, Vec<u8>>> {
        const DOING: &str = "reading the local index";
        let read = local!(DOING, self.database.begin_read())?;
        let table = local!(DOING, read.open_table(table))?;
        let mut found = BTreeMap::new();
        for row in local!(DOING, table.iter())? {
            let (key, value) = local!(DOING, row)?;
            found.insert(Id::from_bytes(*key.value()), value.value().to_vec());
        }
        Ok(found)
    }

    fn keep_copies<Of>(
        &self,
        table: Copies,
        new: &[(Id<Of>, Vec<u8>)],
        gone: &[Id<Of>],
    ) -> Result<()> {
        const DOING: &str = "writing the local index";
        let write = local!(DOING, self.database.begin_write())?;
        {
            let mut table = local!(DOING, write.open_table(table))?;
            for (id, object) in new {
                local!(DOING, table.insert(id.as_bytes(), object.as_slice()))?;
            }
            for id in gone {
                local!(DOING, table.remove(id.as_bytes()))?;
            }
        }
        local!(DOING, write.commit())
    }
}
