//! The verb `Backup`: the host asks once, and then answers until the device has its last word.
use plist::{Dictionary, Value};

use super::asked::{self, Asked};
use crate::backup_set::SnapshotState;
use crate::devicelink::message::response_code;
use crate::devicelink::{DeviceLink, Message, Status, StatusCode};
use crate::error::Result;
use crate::transport::Wait;
use crate::virtual_dir::VirtualBackupDir;
use crate::watch::{DeviceWatch, Stage};

/// What a device asks for beyond what it is short of, in bytes (`PurgeDiskSpace`).
const PURGE_MARGIN: u64 = 2 << 30;

/// How many messages a device may still send after something could not be stored, before it is
/// left: it ends by itself within a few when it hears that writing fails.
const AFTER_FAILURE_MAX: u32 = 64;

/// What a backup is asked with.
#[derive(Debug, Clone)]
pub struct BackupRequest {
    /// The device's UDID, as it spells it.
    pub target: String,
    /// Whether everything is wanted. The device may not listen; that it finds an empty folder is
    /// what counts.
    pub full: bool,
    /// How much room the device is told there is, in bytes.
    pub free_bytes: u64,
}

impl BackupRequest {
    fn message(&self) -> Dictionary {
        let mut message = Dictionary::new();
        message.insert("TargetIdentifier".to_owned(), self.target.as_str().into());
        message.insert("SourceIdentifier".to_owned(), self.target.as_str().into());
        if self.full {
            let mut options = Dictionary::new();
            options.insert("ForceFullBackup".to_owned(), true.into());
            message.insert("Options".to_owned(), Value::Dictionary(options));
        }
        message.insert("MessageName".to_owned(), "Backup".into());
        message
    }
}

/// How the device ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastWord {
    /// With an answer: its code (0 is well) and its words.
    Response {
        /// The code.
        code: i64,
        /// The words.
        description: Option<String>,
    },
    /// It closed the connection, or said goodbye, between two messages.
    Closed,
    /// We left, because it did what no device does or would not stop.
    Left,
}

/// What came of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// How it ended.
    pub last_word: LastWord,
    /// The set was said to be finished, and all that came before was durable when the device
    /// heard "yes".
    pub finished: bool,
    /// The device read the finished set back.
    pub read_back: bool,
    /// How much more room the device wanted, in bytes, when it asked for some.
    pub short_of: Option<u64>,
    /// The device sends all it has, as it said when it began.
    pub full: Option<bool>,
}

/// Asks for a backup and answers until it is over.
///
/// # Errors
///
/// The connection broke in the middle of something, what came is no DeviceLink, or `wait` had
/// enough. What `dir` minds is no error here: the device was heard out, and `dir` knows.
pub fn run(
    link: &mut DeviceLink,
    request: &BackupRequest,
    dir: &mut VirtualBackupDir<'_>,
    watch: &dyn DeviceWatch,
    wait: &mut dyn Wait,
) -> Result<Conversation> {
    link.request(request.message(), wait)?;
    let mut talk = Talk {
        free_bytes: request.free_bytes,
        watch,
        stage: Stage::Preparing,
        so_far: Conversation {
            last_word: LastWord::Left,
            finished: false,
            read_back: false,
            short_of: None,
            full: None,
        },
    };
    watch.stage(Stage::Preparing);
    let (mut after_failure, mut asked) = (0, Asked::default());
    while after_failure < AFTER_FAILURE_MAX {
        let Some(message) = link.receive(wait)? else {
            return Ok(talk.ended(LastWord::Closed));
        };
        if let Some(percent) = message.progress() {
            watch.percent(percent);
        }
        let status = match message {
            Message::Process(response) => return Ok(talk.ended(last_word(&response))),
            Message::Disconnect => return Ok(talk.ended(LastWord::Closed)),
            Message::Ping if asked.is_pinged_too_often() => {
                dir.refuse(asked::WITHOUT_END.to_owned());
                break;
            }
            Message::Ping => continue,
            message => talk.answer(message, link, dir, wait)?,
        };
        if asked.is_too_much(dir.work()) {
            dir.refuse(asked::WITHOUT_END.to_owned());
        }
        link.answer(status, wait)?;
        if dir.must_end() {
            break;
        }
        after_failure += u32::from(dir.has_failed());
    }
    Ok(talk.ended(LastWord::Left))
}

/// How a response ends a conversation.
pub(super) fn last_word(response: &Dictionary) -> LastWord {
    let description = response.get("ErrorDescription").and_then(Value::as_string);
    // A last word without a code is no success.
    let code = response_code(response).unwrap_or(-1);
    LastWord::Response { code, description: description.map(str::to_owned) }
}

/// One conversation.
struct Talk<'w> {
    free_bytes: u64,
    watch: &'w dyn DeviceWatch,
    stage: Stage,
    so_far: Conversation,
}

impl Talk<'_> {
    fn ended(self, last_word: LastWord) -> Conversation {
        Conversation { last_word, ..self.so_far }
    }

    fn stage(&mut self, stage: Stage) {
        if self.stage != stage {
            self.stage = stage;
            self.watch.stage(stage);
        }
    }

    fn answer(
        &mut self,
        message: Message,
        link: &mut DeviceLink,
        dir: &mut VirtualBackupDir<'_>,
        wait: &mut dyn Wait,
    ) -> Result<Status> {
        Ok(match message {
            Message::DownloadFiles { paths, .. } => {
                let status = dir.download(&paths, &mut link.wire(wait))?;
                let read = status.code == StatusCode::Ok;
                self.so_far.read_back |= self.so_far.finished && read;
                status
            }
            Message::UploadFiles { .. } => {
                if self.stage == Stage::Preparing {
                    self.stage(Stage::Receiving);
                }
                let status = dir.upload(&mut link.wire(wait))?;
                self.after_upload(status, dir)
            }
            Message::GetFreeDiskSpace => Status::with(self.free_bytes.into()),
            Message::PurgeDiskSpace { amount } => {
                self.so_far.short_of = Some(amount.saturating_sub(PURGE_MARGIN));
                Status::failed(StatusCode::Unknown)
            }
            Message::ContentsOfDirectory { path } => dir.list(&path),
            Message::CreateDirectory { path } => dir.create_directory(&path),
            Message::MoveItems { moves, .. } => {
                self.so_far.finished = false;
                dir.move_items(&moves)
            }
            Message::RemoveItems { paths, .. } => {
                self.so_far.finished = false;
                dir.remove_items(&paths)
            }
            Message::CopyItem { from, to } => {
                self.so_far.finished = false;
                dir.copy_item(&from, &to)
            }
            Message::Unknown(name) => {
                let name = name.escape_debug();
                self.watch.warn(&format!("the device asked for {name}, which nobody knows"));
                Status::failed(StatusCode::Unknown)
            }
            other => {
                dir.refuse(format!("the device said {} where it makes no sense", other.name()));
                Status::failed(StatusCode::Unknown)
            }
        })
    }

    /// What an upload means for where the session stands. The device is told that its finished set
    /// has arrived only when all of it is durable: after that it may forget what it keeps itself.
    fn after_upload(&mut self, status: Status, dir: &mut VirtualBackupDir<'_>) -> Status {
        self.so_far.finished = false;
        if dir.has_failed() {
            return status;
        }
        let status_of_set = dir.status();
        if let Some(begun) = &status_of_set
            && begun.state == SnapshotState::Uploading
        {
            // Once it is finished a set says no more of the session.
            self.so_far.full = begun.full;
        }
        match status_of_set.map(|set| set.state) {
            Some(SnapshotState::Finished) => {
                if dir.has_waiting() {
                    self.stage(Stage::Converting);
                    dir.convert();
                }
                self.stage(Stage::Finishing);
                let flushed = dir.flush();
                self.so_far.finished = flushed.code == StatusCode::Ok;
                return flushed;
            }
            Some(SnapshotState::Moving | SnapshotState::Removing) => self.stage(Stage::Moving),
            Some(SnapshotState::Uploading) => self.stage(Stage::Receiving),
            _ => {}
        }
        status
    }
}
