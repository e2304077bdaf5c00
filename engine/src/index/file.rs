//! The redb file: found, made, or made anew when it is of no use.
use super::claims::Claims;
use super::packs::PackList;
use super::tables::{
    self, BLOBS, KnownPack, META, NOTES, PACKS, Refers, SCHEMA, SEGMENTS, SNAPSHOTS,
};
use super::{Index, doubt, local, redb_failed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, SegmentId};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, RwLock};

/// What redb may keep of the file in memory, in bytes.
const CACHE_BYTES: usize = 24 << 20;

/// How many files of one repository are tried before giving up.
const FILES_MAX: u32 = 16;

impl Index {
    /// Opens the index of `repository` in `folder`, which is made when it is missing.
    ///
    /// A file of another repository, of another version, or that redb cannot read is replaced by
    /// an empty one: it is only a copy.
    ///
    /// # Errors
    ///
    /// [`CacheFolder`](ErrorKind::CacheFolder), [`LocalDisk`](ErrorKind::LocalDisk) or
    /// [`NoSpace`](ErrorKind::NoSpace).
    pub fn open(folder: &Path, repository: RepositoryId) -> Result<Index> {
        make_private_folder(folder)?;
        for number in 1..=FILES_MAX {
            let name =
                if number == 1 { "index.redb".into() } else { format!("index-{number}.redb") };
            if let Some(index) = Index::open_file(&folder.join(name), repository)? {
                return Ok(index);
            }
        }
        Err(Error::new(ErrorKind::CacheFolder, format!("opening {}", folder.display()))
            .because("too many devsnap processes use this cache"))
    }

    /// The index in `file`; `None` when another process has it.
    fn open_file(file: &Path, repository: RepositoryId) -> Result<Option<Index>> {
        let make = || redb::Builder::new().set_cache_size(CACHE_BYTES).create(file);
        let database = match make() {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
            Err(DatabaseError::Storage(redb::StorageError::Io(e)))
                if e.kind() != std::io::ErrorKind::InvalidData =>
            {
                return Err(Error::cache(file, e));
            }
            // Not a database any more: it is a copy, so make it again.
            Err(_) => {
                remove(file)?;
                local!("making the local index", make())?
            }
        };
        if fits(&database, repository) {
            // Rows that cannot be read are no better than a file that cannot.
            if let Ok(index) = Index::load(database, file) {
                return Ok(Some(index));
            }
        } else {
            drop(database);
        }
        remove(file)?;
        let database = local!("making the local index", make())?;
        set_up(&database, repository)?;
        Index::load(database, file).map(Some)
    }

    fn load(database: Database, file: &Path) -> Result<Index> {
        const DOING: &str = "reading the local index";
        let bad = |e| Error::new(ErrorKind::LocalDisk, DOING).because(e);
        let read = local!(DOING, database.begin_read())?;
        let mut known = Vec::new();
        for row in local!(DOING, local!(DOING, read.open_table(PACKS))?.iter())? {
            let (_, value) = local!(DOING, row)?;
            known.push(KnownPack::decode(value.value()).map_err(bad)?);
        }
        let mut segments = BTreeMap::new();
        for row in local!(DOING, local!(DOING, read.open_table(SEGMENTS))?.iter())? {
            let (key, value) = local!(DOING, row)?;
            let refers = Refers::decode(value.value()).map_err(bad)?;
            segments.insert(SegmentId::from_bytes(*key.value()), refers);
        }
        let rows = RwLock::new(local!(DOING, read.open_table(BLOBS))?);
        let doubts = doubt::Doubts::load(&local!(DOING, read.open_table(META))?)?;
        let mut packs = PackList::load(known, segments);
        packs.set_unsound(doubts.all());
        let (packs, claims) = (RwLock::new(packs), Mutex::new(Claims::default()));
        let doubts = Mutex::new(doubts);
        Ok(Index { database, file: file.to_owned(), rows, packs, claims, doubts })
    }
}

/// Whether the file is of this repository and in this version's tables.
fn fits(database: &Database, repository: RepositoryId) -> bool {
    let held = || -> Result<bool, redb::Error> {
        let read = database.begin_read()?;
        let meta = read.open_table(META)?;
        let is = |word: &[u8], value: &[u8]| -> Result<bool, redb::Error> {
            Ok(meta.get(word)?.is_some_and(|found| found.value() == value))
        };
        Ok(is(b"schema", SCHEMA)? && is(b"repository", repository.as_bytes())?)
    };
    held().unwrap_or(false)
}

fn set_up(database: &Database, repository: RepositoryId) -> Result<()> {
    const DOING: &str = "making the local index";
    let write = local!(DOING, database.begin_write())?;
    {
        local!(DOING, write.open_table(BLOBS))?;
        local!(DOING, write.open_table(PACKS))?;
        local!(DOING, write.open_table(SEGMENTS))?;
        local!(DOING, write.open_table(SNAPSHOTS))?;
        local!(DOING, write.open_table(NOTES))?;
        local!(DOING, write.open_table(tables::FILES))?;
        local!(DOING, write.open_table(tables::PAGES))?;
        let mut meta = local!(DOING, write.open_table(META))?;
        local!(DOING, meta.insert(b"schema".as_slice(), SCHEMA))?;
        let id = repository.as_bytes().as_slice();
        local!(DOING, meta.insert(b"repository".as_slice(), id))?;
    }
    local!(DOING, write.commit())
}

fn remove(file: &Path) -> Result<()> {
    std::fs::remove_file(file).map_err(|e| Error::local("replacing the local index", e))
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_private_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|e| Error::cache(folder, e))
}
