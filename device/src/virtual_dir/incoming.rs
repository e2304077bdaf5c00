//! A file on its way from the phone into the store.
use std::io::{self, Write};

use devsnap_engine::source::ContentStream;
use tempfile::NamedTempFile;

use super::VirtualBackupDir;
use super::held::Held;
use super::path::{BackupPath, Shape};
use crate::conversion::Growing;
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
    to: Destination,
    /// A copy on this computer, of files that the phone reads back within the session.
    local: Option<NamedTempFile>,
    len: u64,
}

/// Where its bytes go.
enum Destination {
    Store(Box<dyn ContentStream>),
    /// To wait for its key.
    Spool(Growing),
}

impl<'d, 'r> Incoming<'d, 'r> {
    pub(super) fn into_dir(dir: &'d mut VirtualBackupDir<'r>) -> Self {
        Incoming { dir, file: None }
    }

    fn arriving(&self, path: BackupPath, device_path: &[u8]) -> io::Result<Arriving> {
        let is_read_back = path.shape() == Shape::NamedFile;
        let local = is_read_back.then(|| NamedTempFile::new_in(self.dir.scratch)).transpose()?;
        let spooling = self.dir.spooling.as_ref();
        let to = match spooling.and_then(|spooling| spooling.begin(&path, device_path)) {
            Some(waits) => Destination::Spool(waits),
            None => Destination::Store(self.dir.contents.begin()),
        };
        Ok(Arriving { path, to, local, len: 0 })
    }

    fn store(&mut self, file: Arriving) -> io::Result<()> {
        let Arriving { path, to, local, len } = file;
        let content = match (to, &mut self.dir.spooling) {
            (Destination::Store(stream), _) => Held::Stored(stream.finish()?),
            (Destination::Spool(file), Some(spooling)) => spooling.keep(file, &path),
            (Destination::Spool(_), None) => return Err(io::Error::other("there is no spool")),
        };
        self.dir.files += 1;
        self.dir.file_arrived(&path, content, len, local);
        Ok(())
    }
}

impl Arriving {
    fn take(&mut self, bytes: &[u8], dir: &mut VirtualBackupDir<'_>) -> io::Result<()> {
        if let (Destination::Spool(file), Some(spooling)) = (&mut self.to, &mut dir.spooling)
            && !spooling.push(file, bytes)?
        {
            let mut stream = dir.contents.begin();
            io::copy(&mut spooling.overflow(file), &mut stream)?;
            self.to = Destination::Store(stream);
        }
        if let Destination::Store(stream) = &mut self.to {
            stream.write_all(bytes)?;
        }
        if let Some(local) = &mut self.local {
            local.write_all(bytes)?;
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Receiver for Incoming<'_, '_> {
    fn begin(&mut self, device_path: &[u8], host_path: &[u8]) {
        self.dir.files_begun += 1;
        if self.dir.has_failed() {
            // Names without end count too.
            self.dir.fallen_bytes += host_path.len() as u64;
            return;
        }
        match BackupPath::parse_bytes(host_path, &self.dir.udid) {
            Ok(path) if path.shape() != Shape::Folder => match self.arriving(path, device_path) {
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
        let Some(file) = &mut self.file else {
            self.dir.fallen_bytes += bytes.len() as u64;
            return;
        };
        self.dir.bytes += bytes.len() as u64;
        if let Err(error) = file.take(bytes, self.dir) {
            self.file = None;
            self.dir.storing_failed(error);
        }
    }

    fn too_much(&self) -> Option<&'static str> {
        let dir = &*self.dir;
        if dir.bytes.max(dir.fallen_bytes) > dir.receive_max_bytes {
            return Some("more than it was told there is room for");
        }
        (dir.files_begun > dir.receive_max_files).then_some("more files than any device has")
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
