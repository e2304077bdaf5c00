//! What a host had before an incremental session, made up from what it told the phone of it: a
//! backup folder with the recorded names and lengths. A host that takes it for the phone's last
//! backup says again what was recorded.
use super::made_up::{self, Drawn};
use super::recording::{FileEnd, FileSaid, Recording, Said, Side, Step};
use plist::Date;
use serde_json::Value as Json;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The longest file that is made up, in bytes: only lengths count, and disks are finite.
const FILE_LEN_MAX: u64 = 64 << 30;

/// Writes the folder into `into`, named by the phone's made-up UDID; returns where it is.
///
/// # Errors
///
/// `InvalidData`: the host had no backup, or the recording names files that no backup has. Others:
/// the folder is there already, or cannot be written.
pub fn write(recording: &Recording, into: &Path) -> io::Result<PathBuf> {
    let before = Before::of(recording);
    let status = before.files.iter().find(|file| name_of(&file.path) == "Status.plist");
    let udid = status.and_then(|file| file.path.split('/').next()).ok_or_else(|| {
        let reason = "the host had no backup of the phone before this session";
        io::Error::new(ErrorKind::InvalidData, reason)
    })?;
    let folder = into.join(safe(udid)?);
    fs::create_dir_all(into)?;
    fs::create_dir(&folder)?;
    for listed in &before.listed {
        listed.write(into)?;
    }
    for file in &before.files {
        let (len, content) = made_up::file(file);
        write_file(&into.join(safe(&file.path)?), len, content)?;
    }
    let info = folder.join("Info.plist");
    // A list at all, so that the folder is recognised; who the phone is says the folder's name.
    fs::write(info, "<plist version=\"1.0\"><dict/></plist>\n")?;
    Ok(folder)
}

/// What the host told before the phone sent anything.
#[derive(Default)]
struct Before {
    files: Vec<FileSaid>,
    listed: Vec<Listed>,
}

/// One entry of a listing.
struct Listed {
    path: String,
    is_folder: bool,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Before {
    fn of(recording: &Recording) -> Before {
        let mut before = Before::default();
        let mut listing = None;
        let steps = recording.connections.iter().flat_map(|(_, connection)| &connection.steps);
        for (_, step) in steps {
            match step {
                Step::Said(Side::Device, Said::Message(list, _)) => {
                    let word = |at: usize| list.get(at).and_then(Json::as_str);
                    if word(0) == Some("DLMessageUploadFiles") {
                        break;
                    }
                    let is_listing = word(0) == Some("DLContentsOfDirectory");
                    listing = word(1).filter(|_| is_listing).map(str::to_owned);
                }
                Step::Said(Side::Host, Said::File(file)) if file.end == FileEnd::Whole => {
                    before.files.push(file.clone());
                }
                Step::Said(Side::Host, Said::Message(list, _)) => {
                    if let Some(folder) = listing.take() {
                        before.listed.extend(entries(&folder, list).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        before
    }
}

fn entries(folder: &str, answer: &Json) -> Option<Vec<Listed>> {
    let entries = answer.get(3)?.get("dict")?.as_object()?.iter().map(|(name, entry)| {
        let fields = entry.get("dict")?;
        let date = fields.get("DLFileModificationDate").and_then(|date| date.get("date")?.as_str());
        Some(Listed {
            path: format!("{folder}/{name}"),
            is_folder: fields.get("DLFileType")?.as_str()? == "DLFileTypeDirectory",
            bytes: fields.get("DLFileSize").and_then(Json::as_u64).unwrap_or(0).min(FILE_LEN_MAX),
            modified: date.and_then(|d| Date::from_xml_format(d).ok()).map(SystemTime::from),
        })
    });
    entries.collect()
}

impl Listed {
    fn write(&self, into: &Path) -> io::Result<()> {
        let path = into.join(safe(&self.path)?);
        if self.is_folder {
            return fs::create_dir_all(path);
        }
        write_file(&path, self.bytes, Box::new(Drawn::new(&self.path, self.bytes)))?;
        match self.modified {
            Some(modified) => File::options().write(true).open(path)?.set_modified(modified),
            None => Ok(()),
        }
    }
}

fn write_file(path: &Path, len: u64, content: Box<dyn Read + Send>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    io::copy(&mut content.take(len.min(FILE_LEN_MAX)), &mut file).map(drop)
}

/// A path that stays in the folder it is joined to.
fn safe(path: &str) -> io::Result<&str> {
    let is_plain = |name: &str| {
        let of = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !name.is_empty() && !name.starts_with('.') && name.bytes().all(of)
    };
    let parts = path.split('/').count();
    match parts <= 4 && path.split('/').all(is_plain) {
        true => Ok(path),
        false => {
            let reason = format!("no path of a backup: {}", path.escape_debug());
            Err(io::Error::new(ErrorKind::InvalidData, reason))
        }
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"devsnap_recording":1,"program":"devsnap 1"}
{"open":1,"handle":3,"port":50000,"service":"com.apple.mobilebackup2","refused":false}
{"connection":1,"from":"device","message":["DLMessageDownloadFiles",["U-1/Status.plist"],{"dict":{}},{"real":0.0}],"encoding":"binary","bytes":9}
{"connection":1,"from":"host","file":"U-1/Status.plist","bytes":4,"blocks":[[4,1]],"hash":"h","end":"whole"}
{"connection":1,"from":"device","message":["DLContentsOfDirectory","U-1"],"encoding":"binary","bytes":9}
{"connection":1,"from":"host","message":["DLMessageStatusResponse",0,"",{"dict":{"ab":{"dict":{"DLFileType":"DLFileTypeDirectory","DLFileSize":0}}}}],"encoding":"binary","bytes":9}
{"connection":1,"from":"device","message":["DLContentsOfDirectory","U-1/ab"],"encoding":"binary","bytes":9}
{"connection":1,"from":"host","message":["DLMessageStatusResponse",0,"",{"dict":{"abcd":{"dict":{"DLFileType":"DLFileTypeRegular","DLFileSize":77,"DLFileModificationDate":{"date":"2026-01-02T03:04:05Z"}}}}}],"encoding":"binary","bytes":9}
"#;

    #[test]
    fn what_the_host_told_is_there_with_its_names_and_lengths() {
        let into = tempfile::tempdir().unwrap();
        let recording = Recording::parse(LINES.as_bytes()).unwrap();
        let folder = write(&recording, into.path()).unwrap();
        assert_eq!(folder, into.path().join("U-1"));
        assert_eq!(fs::metadata(folder.join("ab/abcd")).unwrap().len(), 77);
        assert_eq!(fs::metadata(folder.join("Status.plist")).unwrap().len(), 4);
        assert!(folder.join("Info.plist").is_file());
        assert!(write(&recording, into.path()).is_err(), "nothing is written over");
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused_and_no_backup_is_none() {
        let into = tempfile::tempdir().unwrap();
        for evil in ["..", "a/../../b", "/etc", "a//b", ".ssh/x"] {
            assert!(safe(evil).is_err(), "{evil}");
        }
        let first = LINES.lines().take(2).collect::<Vec<_>>().join("\n");
        let recording = Recording::parse(first.as_bytes()).unwrap();
        assert_eq!(write(&recording, into.path()).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
