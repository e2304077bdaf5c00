//! The verb `Restore`: the host asks once, and then serves files until the device has its last word.
use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use super::asked::{self, Asked};
use super::backup::{LastWord, last_word};
use crate::devicelink::{DeviceLink, Message, Status, StatusCode};
use crate::error::Result;
use crate::served_dir::ServedDir;
use crate::transport::Wait;
use crate::watch::{DeviceWatch, Stage};

/// How many messages a device may still send after a file could not be read, before it is left: it
/// ends by itself within a few when it hears of it.
const AFTER_FAILURE_MAX: u32 = 64;

/// What becomes of what is on the device; as sent, every one of them, since a device takes an option
/// that is not sent for the one that destroys more.
///
/// # Source
///
/// `docs/device-protocol.md`, "Restore": names, defaults, and what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "because each is an option of its own")]
pub struct RestoreChoices {
    /// The files of the system's own domains come back too, not only those of apps and media.
    pub system_files: bool,
    /// The settings stay as they are on the device.
    pub preserve_settings: bool,
    /// What the snapshot does not hold is removed from the device.
    pub remove_not_restored: bool,
    /// The device restarts when it is done.
    pub reboot: bool,
}

/// As idevicebackup2: nothing of the system, settings stay, nothing is removed, the device restarts.
impl Default for RestoreChoices {
    fn default() -> Self {
        RestoreChoices {
            system_files: false,
            preserve_settings: true,
            remove_not_restored: false,
            reboot: true,
        }
    }
}

/// What a restore is asked with.
pub struct RestoreRequest {
    /// The device's UDID, as it spells it.
    pub target: String,
    /// The folder of the set: the UDID of the device it is of.
    pub source: String,
    /// What becomes of what is on the device.
    pub choices: RestoreChoices,
    /// What opens the set's keybag, when it is encrypted.
    pub password: Option<Zeroizing<String>>,
}

impl RestoreRequest {
    /// Names and their order are idevicebackup2's.
    fn message(&self) -> Dictionary {
        let choices = &self.choices;
        let mut options = Dictionary::new();
        let mut say = |name: &str, value: Value| drop(options.insert(name.to_owned(), value));
        say("RestoreSystemFiles", choices.system_files.into());
        say("RestoreShouldReboot", choices.reboot.into());
        // Of what is on the device it needs no copy from us: its last backup is in the repository.
        say("RestoreDontCopyBackup", true.into());
        say("RestorePreserveSettings", choices.preserve_settings.into());
        say("RemoveItemsNotRestored", choices.remove_not_restored.into());
        if let Some(password) = &self.password {
            say("Password", password.as_str().into());
        }
        let mut message = Dictionary::new();
        message.insert("TargetIdentifier".to_owned(), self.target.as_str().into());
        message.insert("SourceIdentifier".to_owned(), self.source.as_str().into());
        message.insert("Options".to_owned(), Value::Dictionary(options));
        message.insert("MessageName".to_owned(), "Restore".into());
        message
    }
}

/// Asks for a restore and serves `dir` until it is over.
///
/// # Errors
///
/// The connection broke in the middle of something, what came is no DeviceLink, or `wait` had
/// enough. What `dir` minds is no error here: the device was heard out, and `dir` knows.
pub fn run(
    link: &mut DeviceLink,
    request: &RestoreRequest,
    dir: &mut ServedDir<'_>,
    watch: &dyn DeviceWatch,
    wait: &mut dyn Wait,
) -> Result<LastWord> {
    link.request(request.message(), wait)?;
    watch.stage(Stage::Preparing);
    let (mut after_failure, mut asked) = (0, Asked::default());
    let mut sends = false;
    while after_failure < AFTER_FAILURE_MAX {
        let Some(message) = link.receive(wait)? else { return Ok(LastWord::Closed) };
        if let Some(percent) = message.progress() {
            watch.percent(percent);
        }
        let status = match message {
            Message::Process(response) => return Ok(last_word(&response)),
            Message::Disconnect => return Ok(LastWord::Closed),
            Message::Ping if asked.is_pinged_too_often() => {
                dir.refuse(asked::WITHOUT_END.to_owned());
                break;
            }
            Message::Ping => continue,
            message => {
                // The first few are lists, by name; then the files come, in batches.
                if let Message::DownloadFiles { paths, .. } = &message
                    && !sends
                    && paths.len() > 1
                {
                    sends = true;
                    watch.stage(Stage::Sending);
                }
                answer(message, link, dir, watch, wait)?
            }
        };
        if asked.is_too_much(dir.sent().0) {
            dir.refuse(asked::WITHOUT_END.to_owned());
        }
        link.answer(status, wait)?;
        if dir.must_end() {
            break;
        }
        after_failure += u32::from(dir.has_failed());
    }
    Ok(LastWord::Left)
}

fn answer(
    message: Message,
    link: &mut DeviceLink,
    dir: &mut ServedDir<'_>,
    watch: &dyn DeviceWatch,
    wait: &mut dyn Wait,
) -> Result<Status> {
    Ok(match message {
        Message::DownloadFiles { paths, .. } => dir.download(&paths, &mut link.wire(wait))?,
        Message::ContentsOfDirectory { path } => dir.list(&path)?,
        // It asks before it has its last backup copied, which it leaves when there is no room.
        Message::GetFreeDiskSpace => Status::with(0_u64.into()),
        Message::UploadFiles { .. } => dir.upload(&mut link.wire(wait))?,
        Message::CreateDirectory { path } => dir.refuse_change(&[&path]),
        Message::MoveItems { moves, .. } => {
            let paths = moves.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
            dir.refuse_change(&paths.collect::<Vec<_>>())
        }
        Message::RemoveItems { paths, .. } => {
            dir.refuse_change(&paths.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Message::CopyItem { from, to } => dir.refuse_change(&[&from, &to]),
        Message::PurgeDiskSpace { .. } => Status::failed(StatusCode::Unknown),
        Message::Unknown(name) => {
            let name = name.escape_debug();
            watch.warn(&format!("the device asked for {name}, which nobody knows"));
            Status::failed(StatusCode::Unknown)
        }
        other => {
            dir.refuse(format!("the device said {} where it makes no sense", other.name()));
            Status::failed(StatusCode::Unknown)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_sent_with_its_value_whatever_it_is() {
        let request = RestoreRequest {
            target: "T".to_owned(),
            source: "S".to_owned(),
            choices: RestoreChoices::default(),
            password: None,
        };
        let message = request.message();
        let options = message["Options"].as_dictionary().unwrap();
        let sent: Vec<_> =
            options.iter().map(|(name, value)| (name.as_str(), value.as_boolean())).collect();
        assert_eq!(
            sent,
            [
                ("RestoreSystemFiles", Some(false)),
                ("RestoreShouldReboot", Some(true)),
                ("RestoreDontCopyBackup", Some(true)),
                ("RestorePreserveSettings", Some(true)),
                ("RemoveItemsNotRestored", Some(false)),
            ]
        );
        let with = RestoreRequest { password: Some(Zeroizing::new("p".to_owned())), ..request };
        assert_eq!(with.message()["Options"].as_dictionary().unwrap().len(), 6);
    }
}
