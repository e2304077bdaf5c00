//! What is to go wrong with a phone, as flags.
use clap::Args;
use devsnap_simulator::phone::{
    Cut, CutAt, Faults, Lie, LockdownRefusal, LockdownValue, OddRestore, Passcode, Silence, Stage,
    SyncLock, Trust,
};
use std::time::Duration;

/// What is to go wrong.
#[derive(Debug, Args)]
#[command(next_help_heading = "What goes wrong, on every phone")]
pub(super) struct FaultArguments {
    /// The passcode sheet: absent, entered:SECONDS (after that time), denied, never (answered).
    #[arg(long, value_name = "WHAT", default_value = "absent", value_parser = passcode)]
    passcode: Passcode,
    /// The screen is locked.
    #[arg(long)]
    locked: bool,
    /// The trust dialog: after:N (dialogs left alone), or denied.
    #[arg(long, value_name = "WHAT", default_value = "after:0", value_parser = trust)]
    trust: Trust,
    /// Lockdown refuses a request, always or so often, e.g. StartSession=InvalidHostID*1.
    #[arg(long, value_name = "REQUEST=ERROR[*TIMES]", value_parser = lockdown_refusal)]
    refuse_request: Vec<LockdownRefusal>,
    /// "Find My" is on: a restore is refused.
    #[arg(long)]
    find_my: bool,
    /// The phone has so little room for a restore.
    #[arg(long, value_name = "BYTES")]
    free_bytes: Option<u64>,
    /// The sync lock: free, blocks:N (times), held (by another program).
    #[arg(long, value_name = "WHAT", default_value = "free", value_parser = sync_lock)]
    sync_lock: SyncLock,
    /// Cuts a connection, once or so often: SERVICE@byte:N (sent), received:N, message:N (of the
    /// phone's, from 0), or stage:NAME (greeting, passcode, reading, preparing, uploading, moving,
    /// removing, verifying, finishing).
    #[arg(long, value_name = "SERVICE@PLACE[*TIMES]", value_parser = cut)]
    cut: Option<Cut>,
    /// Says nothing for so long at a place, as in --cut.
    #[arg(long, value_name = "SERVICE@PLACE=SECONDS", value_parser = silence)]
    silence: Option<Silence>,
    /// Sends at most so many bytes per second on a connection.
    #[arg(long, value_name = "NUMBER")]
    bytes_per_second: Option<u64>,
    /// Backup, restore and change of password end in this MBErrorDomain code.
    #[arg(long, value_name = "CODE")]
    refuse_backup: Option<u32>,
    /// Lies to the host of a backup, e.g. uploads-outside or sends-a-file-without-end; a wrong name
    /// lists all.
    #[arg(long, value_name = "LIE", value_parser = |text: &str| named(text, &Lie::ALL))]
    lie: Option<Lie>,
    /// Asks the host of a restore what no phone asks, e.g. asks-outside; a wrong name lists all.
    #[arg(long, value_name = "QUESTION", value_parser = |text: &str| named(text, &OddRestore::ALL))]
    odd_restore: Option<OddRestore>,
    /// A management profile wants backups encrypted: encryption cannot be switched off.
    #[arg(long)]
    requires_encryption: bool,
    /// A backup needs so many bytes on the host.
    #[arg(long, value_name = "BYTES")]
    low_space: Option<u64>,
    /// How long a phone on the network bears a host without a heartbeat.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    heartbeat_patience: Option<Duration>,
}

impl FaultArguments {
    /// As values.
    pub(super) fn faults(&self) -> Faults {
        Faults {
            passcode: self.passcode,
            locked: self.locked,
            trust: self.trust,
            lockdown_refusals: self.refuse_request.clone(),
            lockdown_values: self.lockdown_values(),
            odd_restore: self.odd_restore,
            lie: self.lie,
            sync_lock: self.sync_lock,
            cut: self.cut.clone(),
            silence: self.silence.clone(),
            bytes_per_second: self.bytes_per_second,
            refusal: self.refuse_backup,
            requires_encryption: self.requires_encryption,
            low_space: self.low_space,
            heartbeat_patience: self.heartbeat_patience,
        }
    }
}

impl FaultArguments {
    fn lockdown_values(&self) -> Vec<LockdownValue> {
        let find_my = self.find_my.then(|| (LockdownValue::FIND_MY, true.into()));
        let free = self.free_bytes.map(|bytes| (LockdownValue::FREE_BYTES, bytes.into()));
        let told = find_my.into_iter().chain(free);
        told.map(|(place, value)| LockdownValue::of(place, Some(value))).collect()
    }
}

/// The one of `all` that is called `text`, in small letters with hyphens.
fn named<T: Copy + std::fmt::Debug>(text: &str, all: &[T]) -> Result<T, String> {
    let name = |one: &T| {
        let mut name = String::new();
        for letter in format!("{one:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        name
    };
    let names = || all.iter().map(name).collect::<Vec<_>>().join(", ");
    all.iter().find(|one| name(one) == text).copied().ok_or_else(|| format!("one of {}", names()))
}

/// What stands behind `name` and a colon, as a number.
fn number_after<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    text.strip_prefix(name)?.strip_prefix(':')?.parse().ok()
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn passcode(text: &str) -> Result<Passcode, String> {
    match text {
        "absent" => Ok(Passcode::Absent),
        "denied" => Ok(Passcode::Denied),
        "never" => Ok(Passcode::Never),
        _ => match text.strip_prefix("entered:") {
            Some(after) => seconds(after).map(Passcode::Entered),
            None => Err("none of absent, entered:SECONDS, denied, never".into()),
        },
    }
}

fn trust(text: &str) -> Result<Trust, String> {
    match number_after(text, "after") {
        Some(dialogs) => Ok(Trust::After(dialogs)),
        None if text == "denied" => Ok(Trust::Denied),
        None => Err("neither after:N nor denied".into()),
    }
}

fn sync_lock(text: &str) -> Result<SyncLock, String> {
    match (text, number_after(text, "blocks")) {
        ("free", _) => Ok(SyncLock::Free),
        ("held", _) => Ok(SyncLock::Held),
        (_, Some(times)) => Ok(SyncLock::Blocks(times)),
        _ => Err("none of free, blocks:N, held".into()),
    }
}

/// `text` without `*TIMES`, and the times.
fn times(text: &str) -> Result<(&str, Option<u32>), String> {
    match text.rsplit_once('*') {
        None => Ok((text, None)),
        Some((rest, times)) => match times.parse() {
            Ok(times) => Ok((rest, Some(times))),
            Err(_) => Err("not a number of times".into()),
        },
    }
}

fn lockdown_refusal(text: &str) -> Result<LockdownRefusal, String> {
    let (rest, times) = times(text)?;
    let (request, error) = rest.split_once('=').ok_or("not REQUEST=ERROR")?;
    Ok(LockdownRefusal { request: request.to_owned(), error: error.to_owned(), times })
}

fn place(text: &str) -> Result<(String, CutAt), String> {
    let (service, place) = text.split_once('@').ok_or("not SERVICE@PLACE")?;
    let stage = |name: &str| Stage::ALL.into_iter().find(|stage| stage.name() == name);
    let at = number_after(place, "byte")
        .map(CutAt::SentByte)
        .or_else(|| number_after(place, "received").map(CutAt::ReceivedByte))
        .or_else(|| number_after(place, "message").map(CutAt::Message))
        .or_else(|| place.strip_prefix("stage:").and_then(stage).map(CutAt::Stage))
        .ok_or("none of byte:N, received:N, message:N, stage:NAME")?;
    Ok((service.to_owned(), at))
}

fn cut(text: &str) -> Result<Cut, String> {
    let (rest, times) = times(text)?;
    let (service, at) = place(rest)?;
    Ok(Cut { service, at, times: times.unwrap_or(1) })
}

fn silence(text: &str) -> Result<Silence, String> {
    let (rest, lasts) = text.rsplit_once('=').ok_or("not SERVICE@PLACE=SECONDS")?;
    let (service, before) = place(rest)?;
    match before {
        CutAt::Message(_) | CutAt::Stage(_) => {
            Ok(Silence { service, before, lasts: seconds(lasts)? })
        }
        _ => Err("silence begins before a message:N or a stage:NAME".into()),
    }
}
