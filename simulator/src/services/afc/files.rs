//! What one AFC connection does to the media folder.
use super::packet::{Reply, Request};
use crate::phone::{Item, Media, Phone, Refused, normal_path};
use std::collections::BTreeMap;
use std::time::Duration;

/// Files that one connection may have open, and bytes of one read.
const OPEN_MAX: usize = 256;
const READ_BYTES_MAX: u64 = 4 << 20;

const READ_DIR: u64 = 0x03;
const REMOVE_PATH: u64 = 0x08;
const MAKE_DIR: u64 = 0x09;
const GET_FILE_INFO: u64 = 0x0A;
const GET_DEVICE_INFO: u64 = 0x0B;
const OPEN: u64 = 0x0D;
const READ: u64 = 0x0F;
const WRITE: u64 = 0x10;
const SEEK: u64 = 0x11;
const TELL: u64 = 0x12;
const CLOSE: u64 = 0x14;
const SET_SIZE: u64 = 0x15;
const RENAME: u64 = 0x18;
const LOCK: u64 = 0x1B;

const LOCK_SHARED: u64 = 5;
const LOCK_EXCLUSIVE: u64 = 6;
const UNLOCK: u64 = 12;

/// AFC's status codes, as far as they are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    NoResources,
    UnknownPacketType,
    InvalidArgument,
    ObjectNotFound,
    IsDirectory,
    PermissionDenied,
    Exists,
    NoSpace,
    WouldBlock,
    NotEmpty,
}

impl Status {
    pub(super) fn code(self) -> u64 {
        match self {
            Status::Ok => 0,
            Status::NoResources => 3,
            Status::UnknownPacketType => 6,
            Status::InvalidArgument => 7,
            Status::ObjectNotFound => 8,
            Status::IsDirectory => 9,
            Status::PermissionDenied => 10,
            Status::Exists => 16,
            Status::NoSpace => 18,
            Status::WouldBlock => 19,
            Status::NotEmpty => 33,
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound => Status::ObjectNotFound,
            Refused::IsFolder => Status::IsDirectory,
            Refused::Invalid => Status::InvalidArgument,
            Refused::Exists => Status::Exists,
            Refused::NotEmpty => Status::NotEmpty,
            Refused::NoSpace => Status::NoSpace,
        }
    }
}

struct OpenFile {
    path: String,
    position: u64,
    may_read: bool,
    may_write: bool,
    appends: bool,
}

/// The files that a connection has open.
pub(super) struct Files<'a> {
    phone: &'a Phone,
    open: BTreeMap<u64, OpenFile>,
}

impl Files<'_> {
    pub(super) fn new(phone: &Phone) -> Files<'_> {
        Files { phone, open: BTreeMap::new() }
    }

    pub(super) fn answer(&mut self, request: &Request) -> Result<Reply, Status> {
        match request.operation {
            READ_DIR => self.read_dir(&path(request, 0)?),
            REMOVE_PATH => self.change(|media| media.remove(&path(request, 0)?)),
            MAKE_DIR => self.change(|media| media.make_folder(&path(request, 0)?)),
            GET_FILE_INFO => self.file_info(&path(request, 0)?),
            GET_DEVICE_INFO => Ok(self.device_info()),
            OPEN => self.open(number(request, 0)?, &path(request, 8)?),
            READ => self.read(number(request, 0)?, number(request, 1)?),
            WRITE => self.write(number(request, 0)?, &request.bulk),
            SEEK => self.seek(number(request, 0)?, number(request, 1)?, number(request, 2)?),
            TELL => Ok(Reply::Position(self.file(number(request, 0)?)?.position)),
            CLOSE => self.close(number(request, 0)?),
            RENAME => self.rename(request),
            LOCK => self.lock(number(request, 0)?, number(request, 1)?),
            // Known to be asked for, and not needed by any client that makes backups.
            SET_SIZE => Err(Status::PermissionDenied),
            _ => Err(Status::UnknownPacketType),
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Media) -> Result<(), Refused>,
    ) -> Result<Reply, Status> {
        change(&mut self.phone.media())?;
        Ok(Reply::Status(Status::Ok.code()))
    }

    fn read_dir(&self, folder: &str) -> Result<Reply, Status> {
        let media = self.phone.media();
        let folder = media.follow(folder);
        let mut names = vec![".", ".."];
        names.extend(media.names(&folder)?);
        Ok(Reply::Data(strings(&names)))
    }

    fn file_info(&self, path: &str) -> Result<Reply, Status> {
        let media = self.phone.media();
        let entry = media.entry(path)?;
        let (kind, size, target) = match &entry.item {
            Item::Folder => ("S_IFDIR", 32 * (2 + media.names(path)?.len()), None),
            Item::File(bytes) => ("S_IFREG", bytes.len(), None),
            Item::Link(target) => ("S_IFLNK", target.len(), Some(target.as_str())),
        };
        let nanoseconds = |time: Duration| time.as_nanos().to_string();
        let (size, blocks) = (size.to_string(), size.div_ceil(512).to_string());
        let (modified, born) = (nanoseconds(entry.modified), nanoseconds(entry.born));
        let mut info = vec!["st_size", &size, "st_blocks", &blocks, "st_nlink", "1"];
        info.extend(["st_ifmt", kind, "st_mtime", &modified, "st_birthtime", &born]);
        if let Some(target) = target {
            info.extend(["LinkTarget", target]);
        }
        Ok(Reply::Data(strings(&info)))
    }

    fn device_info(&self) -> Reply {
        let model = &self.phone.identity().product_type;
        Reply::Data(strings(&[
            "Model",
            model,
            "FSTotalBytes",
            "118000000000",
            "FSFreeBytes",
            "61000000000",
            "FSBlockSize",
            "4096",
        ]))
    }

    fn open(&mut self, mode: u64, path: &str) -> Result<Reply, Status> {
        // r, r+, w, w+, a, a+ (protocol.md 5): reads, writes, makes, truncates, appends.
        let (may_read, may_write, makes, truncates, appends) = match mode {
            1 => (true, false, false, false, false),
            2 => (true, true, true, false, false),
            3 => (false, true, true, true, false),
            4 => (true, true, true, true, false),
            5 => (false, true, true, false, true),
            6 => (true, true, true, false, true),
            _ => return Err(Status::InvalidArgument),
        };
        if self.open.len() >= OPEN_MAX {
            return Err(Status::NoResources);
        }
        let mut media = self.phone.media();
        let path = media.follow(path);
        if makes {
            media.make_file(&path, truncates)?;
        } else {
            media.file(&path)?;
        }
        let handle = self.phone.next_number();
        self.open.insert(handle, OpenFile { path, position: 0, may_read, may_write, appends });
        Ok(Reply::Handle(handle))
    }

    fn file(&mut self, handle: u64) -> Result<&mut OpenFile, Status> {
        self.open.get_mut(&handle).ok_or(Status::InvalidArgument)
    }

    fn read(&mut self, handle: u64, length: u64) -> Result<Reply, Status> {
        let phone = self.phone;
        let file = self.file(handle)?;
        if !file.may_read {
            return Err(Status::PermissionDenied);
        }
        let media = phone.media();
        let bytes = media.file(&file.path)?;
        let start = usize::try_from(file.position).unwrap_or(usize::MAX).min(bytes.len());
        let most = usize::try_from(length.min(READ_BYTES_MAX)).unwrap_or(usize::MAX);
        let piece = bytes[start..].iter().take(most).copied().collect::<Vec<u8>>();
        file.position += piece.len() as u64;
        Ok(Reply::Data(piece))
    }

    fn write(&mut self, handle: u64, bytes: &[u8]) -> Result<Reply, Status> {
        let phone = self.phone;
        let file = self.file(handle)?;
        if !file.may_write {
            return Err(Status::PermissionDenied);
        }
        let mut media = phone.media();
        if file.appends {
            file.position = media.file(&file.path)?.len() as u64;
        }
        media.write(&file.path, file.position, bytes)?;
        file.position += bytes.len() as u64;
        Ok(Reply::Status(Status::Ok.code()))
    }

    fn seek(&mut self, handle: u64, whence: u64, offset: u64) -> Result<Reply, Status> {
        let phone = self.phone;
        let file = self.file(handle)?;
        let start = match whence {
            0 => 0,
            1 => file.position,
            2 => phone.media().file(&file.path)?.len() as u64,
            _ => return Err(Status::InvalidArgument),
        };
        let to = start.checked_add_signed(offset.cast_signed()).ok_or(Status::InvalidArgument)?;
        file.position = to;
        Ok(Reply::Status(Status::Ok.code()))
    }

    fn close(&mut self, handle: u64) -> Result<Reply, Status> {
        let file = self.open.remove(&handle).ok_or(Status::InvalidArgument)?;
        self.phone.locks().unlock(&file.path, handle);
        Ok(Reply::Status(Status::Ok.code()))
    }

    fn rename(&self, request: &Request) -> Result<Reply, Status> {
        let from = request.text_at(0).ok_or(Status::InvalidArgument)?;
        let to = path(request, from.len() + 1)?;
        let from = normal_path(from)?;
        self.change(|media| media.rename(&from, &to))
    }

    fn lock(&mut self, handle: u64, operation: u64) -> Result<Reply, Status> {
        let phone = self.phone;
        let path = &self.file(handle)?.path;
        match operation {
            UNLOCK => phone.locks().unlock(path, handle),
            LOCK_SHARED | LOCK_EXCLUSIVE => {
                if !phone.locks().lock(path, handle, operation == LOCK_EXCLUSIVE) {
                    return Err(Status::WouldBlock);
                }
            }
            _ => return Err(Status::InvalidArgument),
        }
        Ok(Reply::Status(Status::Ok.code()))
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        for (handle, file) in &self.open {
            self.phone.locks().unlock(&file.path, *handle);
        }
    }
}

fn number(request: &Request, index: usize) -> Result<u64, Status> {
    request.number_at(index).ok_or(Status::InvalidArgument)
}

fn path(request: &Request, offset: usize) -> Result<String, Refused> {
    normal_path(request.text_at(offset).ok_or(Refused::Invalid)?)
}

/// Each with a NUL behind it.
fn strings(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{Faults, Identity, SYNC_LOCK_FILE, SyncLock};

    fn phone() -> (Phone, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let text = String::new;
        let identity = Identity {
            udid: text(),
            name: text(),
            product_type: text(),
            product_version: text(),
            build_version: text(),
            serial_number: text(),
        };
        (Phone::new(identity, folder.path().to_owned()), folder)
    }

    fn opened(files: &mut Files, mode: u64, path: &str) -> u64 {
        match files.open(mode, path) {
            Ok(Reply::Handle(handle)) => handle,
            other => panic!("not opened: {other:?}"),
        }
    }

    #[test]
    fn the_sync_lock_is_free_again_when_its_connection_ends() {
        let (phone, _folder) = phone();
        let mut one = Files::new(&phone);
        let mut other = Files::new(&phone);
        let held = opened(&mut one, 2, SYNC_LOCK_FILE);
        let wanted = opened(&mut other, 2, SYNC_LOCK_FILE);

        assert_eq!(one.lock(held, LOCK_EXCLUSIVE), Ok(Reply::Status(0)));
        assert_eq!(other.lock(wanted, LOCK_EXCLUSIVE), Err(Status::WouldBlock));
        assert!(phone.locks().is_syncing());

        drop(one);
        assert_eq!(other.lock(wanted, LOCK_EXCLUSIVE), Ok(Reply::Status(0)));
    }

    #[test]
    fn a_lock_that_another_program_holds_would_always_block() {
        let (phone, _folder) = phone();
        phone.set_faults(Faults { sync_lock: SyncLock::Held, ..Faults::default() });
        let mut files = Files::new(&phone);
        let handle = opened(&mut files, 2, SYNC_LOCK_FILE);

        for _ in 0..60 {
            assert_eq!(files.lock(handle, LOCK_EXCLUSIVE), Err(Status::WouldBlock));
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_a_mode_is_kept_to() {
        let (phone, _folder) = phone();
        let mut files = Files::new(&phone);

        let writing = opened(&mut files, 3, "/Downloads/x");
        files.write(writing, b"hello").unwrap();
        assert_eq!(files.read(writing, 5), Err(Status::PermissionDenied));

        let reading = opened(&mut files, 1, "/Downloads/x");
        assert_eq!(files.read(reading, 100), Ok(Reply::Data(b"hello".to_vec())));
        assert_eq!(files.read(reading, 100), Ok(Reply::Data(vec![])));
        assert_eq!(files.write(reading, b"x"), Err(Status::PermissionDenied));
        assert_eq!(files.open(1, "/Downloads/y").unwrap_err(), Status::ObjectNotFound);
    }
}
