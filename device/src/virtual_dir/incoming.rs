//! A file on its way from the phone into the store.
use std::io::{self, Write};

use devsnap_engine::source::ContentStream;
use tempfile::NamedTempFile;

use super::VirtualBackupDir;
use super::path::{BackupPath, Shape};
use crate::devicelink::file_stream::{FileEnd, Receiver};

/// Takes the files of one stream in. Once something has failed the rest of the stream is let fall:
/// it must be read to its end, and the phone hears of it in the answer.
pub(super) struct Incoming<'d, 'r> {
    dir: &'d mut VirtualBackupDir<'r>,
    file: Option<Arriving>,
}

/// One file.
struct Arriving {
    path: BackupPath,
    stream: Box<dyn ContentStream>,
    /// A copy on this computer, of files that the phone reads back within the session.
    local: Option<NamedTempFile>,
    len: u64,
}

impl<'d, 'r> Incoming<'d, 'r> {
    pub(super) fn into_dir(dir: &'d mut VirtualBackupDir<'r>) -> Self {
        Incoming { dir, file: None }
    }

    fn arriving(&self, path: BackupPath) -> io::Result<Arriving> {
        let is_read_back = path.shape() == Shape::NamedFile;
        let local = is_read_back.then(|| NamedTempFile::new_in(self.dir.scratch)).transpose()?;
        Ok(Arriving { path, stream: self.dir.contents.begin(), local, len: 0 })
    }

    fn store(&mut self, file: Arriving) -> io::Result<()> {
        let Arriving { path, stream, local, len } = file;
        let content = stream.finish()?;
        self.dir.files += 1;
        self.dir.file_arrived(&path, content, len, local);
        Ok(())
    }
}

impl Arriving {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        if let Some(local) = &mut self.local {
            local.write_all(bytes)?;
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Receiver for Incoming<'_, '_> {
    fn begin(&mut self, _: &[u8], host_path: &[u8]) {
        if self.dir.has_failed() {
            return;
        }
        match BackupPath::parse_bytes(host_path, &self.dir.udid) {
            Ok(path) if path.shape() != Shape::Folder => match self.arriving(path) {
                Ok(file) => self.file = Some(file),
                Err(error) => self.dir.storing_failed(error),
            },
            Ok(_) => self.dir.refuse(format!(
                "the device sent a file where backups have a folder: \"{}\"",
                String::from_utf8_lossy(host_path).escape_debug()
            )),
            Err(refused) => self.dir.refuse(refused.to_string()),
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        self.dir.bytes += bytes.len() as u64;
        if let Err(error) = file.take(bytes) {
            self.file = None;
            self.dir.storing_failed(error);
        }
    }

    fn end(&mut self, end: FileEnd) {
        let Some(file) = self.file.take() else { return };
        match end {
            FileEnd::Whole => {
                if let Err(error) = self.store(file) {
                    self.dir.storing_failed(error);
                }
            }
            // It changed while the phone read it, or is not there after all. The phone knows, and
            // sends it again or leaves it out of its manifest.
            FileEnd::Failed(_) => self.dir.files_failed += 1,
        }
    }
}
