//! What usbmuxd keeps for its clients: the pair records of this computer, and its own identifier.
use crate::random::uuid;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Longest name of a record. UDIDs have 25 or 40 characters.
const NAME_BYTES_MAX: usize = 64;
const BUID_FILE: &str = "SystemBUID";

/// A folder of pair records.
pub(super) struct Records {
    folder: PathBuf,
    buid: String,
}

impl Records {
    /// Those in `folder`, which is made where there is none.
    ///
    /// # Errors
    ///
    /// The folder cannot be read or written.
    pub(super) fn kept_in(folder: PathBuf) -> io::Result<Records> {
        fs::create_dir_all(&folder)?;
        let path = folder.join(BUID_FILE);
        let buid = match fs::read_to_string(&path) {
            Ok(buid) => buid,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes).map_err(io::Error::other)?;
                let buid = uuid(bytes);
                fs::write(&path, &buid)?;
                buid
            }
            Err(error) => return Err(error),
        };
        Ok(Records { folder, buid })
    }

    /// `SystemBUID`.
    pub(super) fn buid(&self) -> &str {
        &self.buid
    }

    /// # Errors
    ///
    /// `InvalidInput`: no record may be called `name`; `NotFound`; it cannot be read.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name)?)
    }

    /// # Errors
    ///
    /// As [`read`](Records::read).
    pub(super) fn save(&self, name: &str, record: &[u8]) -> io::Result<()> {
        fs::write(self.path(name)?, record)
    }

    /// # Errors
    ///
    /// As [`read`](Records::read).
    pub(super) fn delete(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name)?)
    }

    /// Names come from clients: none may lead out of the folder.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_id) {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok(Path::new(&self.folder).join(format!("{name}.plist")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::kept_in(folder.path().join("records")).unwrap();

        for name in ["", "..", "../x", "a/b", "a.b", "a\0b", &"a".repeat(65)] {
            assert_eq!(records.save(name, b"x").unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn the_identifier_and_the_records_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Records::kept_in(folder.path().to_owned()).unwrap();
        first.save("00008120-000A", b"record").unwrap();

        let second = Records::kept_in(folder.path().to_owned()).unwrap();

        assert_eq!(second.buid(), first.buid());
        assert_eq!(second.read("00008120-000A").unwrap(), b"record");
    }
}
