//! Metadata packs of a distant store, kept on this computer's disk as they are: sealed.
//!
//! A tree is read page by page, in many places; asking a bucket for each would take a request per
//! page. A metadata pack has at most 16 MiB, so the first page that is wanted brings all of it.
//! What is read from here is verified like anything from the store.
use crate::backend::{Backend, ObjectKey};
use crate::error::{Error, ErrorKind, Result};
use crate::index::KnownPack;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Packs longer than this are read in pieces from the store.
const PACK_BYTES_MAX: u64 = 40 << 20;

/// What may stay on disk when a repository is opened, in bytes.
const KEPT_BYTES_MAX: u64 = 512 << 20;

/// The folder of cached packs.
pub(super) struct MetaCache {
    folder: PathBuf,
}

impl MetaCache {
    /// The cache in `folder`, trimmed to its bound: what was fetched first goes first.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::cache(folder, e))?;
        let cache = MetaCache { folder: folder.to_owned() };
        // A cache that cannot be trimmed is only larger than it should be.
        let _ = cache.trim();
        Ok(cache)
    }

    fn trim(&self) -> std::io::Result<()> {
        let mut found: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let data = entry.metadata()?;
            found.push((data.modified()?, data.len(), entry.path()));
        }
        found.sort_unstable();
        let mut kept: u64 = found.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in found {
            if kept <= KEPT_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            kept -= len;
        }
        Ok(())
    }

    /// A stretch of the copy of `pack`; `None` when there is none.
    pub(super) fn copy(&self, pack: &KnownPack, range: &Range<u64>) -> Option<Bytes> {
        read_stretch(&self.folder.join(pack.id.to_hex()), pack.pack_len, range).ok()
    }

    /// A stretch of `pack` from the store, and a copy of all of it.
    pub(super) fn get(
        &self,
        backend: &dyn Backend,
        pack: &KnownPack,
        key: &ObjectKey,
        range: Range<u64>,
    ) -> Result<Bytes> {
        if pack.pack_len > PACK_BYTES_MAX {
            return Ok(backend.get(key, range)?);
        }
        let path = self.folder.join(pack.id.to_hex());
        let whole = backend.get_whole(key, pack.pack_len)?;
        if blake3::hash(&whole) != *pack.id.as_bytes() {
            return Err(Error::new(ErrorKind::Damaged, format!("reading {key}"))
                .because("its bytes do not match its name"));
        }
        // A full disk costs requests, not the run.
        let _ = self.keep(&path, &whole);
        let (start, end) = (range.start, range.end);
        let slice = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        match slice {
            Some((start, end)) if start <= end && end <= whole.len() => Ok(whole.slice(start..end)),
            _ => Err(Error::new(ErrorKind::Damaged, format!("reading {key}"))
                .because("it is shorter than the index says")),
        }
    }

    /// Drops the copy of `pack`.
    pub(super) fn forget(&self, pack: &KnownPack) {
        // The next one that is brought replaces what cannot be removed.
        let _ = fs::remove_file(self.folder.join(pack.id.to_hex()));
    }

    fn keep(&self, path: &Path, whole: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(whole)?;
        file.persist(path)?;
        Ok(())
    }
}

fn read_stretch(path: &Path, pack_len: u64, range: &Range<u64>) -> std::io::Result<Bytes> {
    let file = File::open(path)?;
    let len = range.end.saturating_sub(range.start);
    if file.metadata()?.len() != pack_len || range.end > pack_len {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
