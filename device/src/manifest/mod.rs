//! Placeholder until the room arrives.
#![allow(missing_docs)]
use devsnap_engine::interrupt::Interrupt;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
pub struct ManifestDb(Connection);
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct BadManifest(#[from] rusqlite::Error);
pub struct FileId(pub [u8; 20]);
pub struct MbFile {
    pub encryption_key: Option<Vec<u8>>,
}
pub struct Row {
    pub file_id: FileId,
    pub relative_path: String,
    pub file: Option<MbFile>,
}
pub struct Skipped;
impl ManifestDb {
    pub fn open(path: &Path, _: &Interrupt) -> Result<Self, BadManifest> {
        let uri = format!("file:{}?immutable=1", path.display());
        Ok(ManifestDb(Connection::open_with_flags(
            uri,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        )?))
    }
    pub fn files<E: From<BadManifest>>(
        &self,
        mut see: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<Skipped, E> {
        let mut s = self
            .0
            .prepare("SELECT fileID, relativePath, file FROM Files WHERE flags = 1 ORDER BY fileID")
            .map_err(BadManifest)?;
        let mut rows = s.query([]).map_err(BadManifest)?;
        while let Some(row) = rows.next().map_err(BadManifest)? {
            let id: String = row.get(0).map_err(BadManifest)?;
            let mut out = [0; 20];
            for (n, b) in out.iter_mut().enumerate() {
                *b = u8::from_str_radix(&id[2 * n..2 * n + 2], 16).unwrap_or(0);
            }
            let blob: Vec<u8> = row.get(2).map_err(BadManifest)?;
            let value = plist::Value::from_reader(std::io::Cursor::new(&blob)).ok();
            let objects =
                value.as_ref().and_then(|v| v.as_dictionary()?.get("$objects")?.as_array());
            let key = objects.and_then(|o| {
                let file = o.get(1)?.as_dictionary()?;
                let uid = file.get("EncryptionKey")?.as_uid()?.get();
                let d = o.get(usize::try_from(uid).ok()?)?.as_dictionary()?;
                Some(d.get("NS.data")?.as_data()?.to_vec())
            });
            see(Row {
                file_id: FileId(out),
                relative_path: row.get(1).map_err(BadManifest)?,
                file: Some(MbFile { encryption_key: key }),
            })?;
        }
        Ok(Skipped)
    }
}
