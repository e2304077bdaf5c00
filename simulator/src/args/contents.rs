//! What is on a phone: made, changed by a day, told.
use clap::Args;
use devsnap_simulator::Identity;
use devsnap_simulator::contents::Proportions;
use devsnap_simulator::simulator::identity;
use std::path::PathBuf;

/// Which phone of a folder.
#[derive(Debug, Args)]
pub(crate) struct PhoneOf {
    /// The folder that `serve --state` is given.
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// Which phone: its UDID, or its number on the table, the first being 0.
    #[arg(long, value_name = "UDID|NUMBER", default_value = "0")]
    phone: String,
}

impl PhoneOf {
    /// The phone, as `serve` would attach it.
    pub(crate) fn identity(&self) -> Identity {
        match self.phone.parse() {
            Ok(number) if self.phone.len() <= 4 => identity(number),
            _ => Identity { udid: self.phone.clone(), ..identity(0) },
        }
    }

    /// Where it keeps its contents.
    ///
    /// # Errors
    ///
    /// A sentence: its UDID is none.
    pub(crate) fn folder(&self) -> Result<PathBuf, String> {
        let udid = self.identity().udid;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        match !udid.is_empty() && udid.len() <= 64 && udid.bytes().all(is_plain) {
            true => Ok(self.state.join("phones").join(udid)),
            false => Err("a UDID has letters, digits and hyphens only".to_owned()),
        }
    }
}

/// `generate`.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Which.
    #[command(flatten)]
    pub(crate) of: PhoneOf,
    /// How many files; two and a half times as many folders come with them. At least some 60.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    files: u64,
    /// How many bytes in all files together, roughly, e.g. 500MiB.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    bytes: u64,
    /// How many bytes the database of messages has, on top of that [default: its share of all].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) messages: Option<u64>,
    /// What all chance is drawn from: the same seed makes the same phone.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
}

impl Generate {
    pub(crate) fn proportions(&self) -> Proportions {
        Proportions { files: self.files, bytes: self.bytes }
    }
}

/// `day`.
#[derive(Debug, Args)]
pub(crate) struct Day {
    /// Which.
    #[command(flatten)]
    pub(crate) of: PhoneOf,
    /// How many days.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) days: u32,
    /// What the days' chance is drawn from [default: the point in time, so no two days are alike].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Every change leaves its trace in a time, so that a backup of the day holds what is on the
    /// phone.
    #[arg(long)]
    pub(crate) openly: bool,
}

/// `points`.
#[derive(Debug, Args)]
pub(crate) struct Points {
    /// Which.
    #[command(flatten)]
    pub(crate) of: PhoneOf,
}

/// `truth`.
#[derive(Debug, Args)]
pub(crate) struct TruthOf {
    /// Which.
    #[command(flatten)]
    pub(crate) of: PhoneOf,
    /// What was on the phone at this point [default: now].
    #[arg(long, value_name = "NUMBER", conflicts_with = "backup")]
    pub(crate) point: Option<u32>,
    /// What the backup of this date holds, in seconds since 1970 as `points` shows it, or `latest`.
    #[arg(long, value_name = "DATE|latest")]
    pub(crate) backup: Option<String>,
    /// Into this file [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// E.g. `500MiB`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("a size is a number with B, KiB, MiB or GiB".to_owned()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| "not a size, e.g. 500MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_do() {
        assert_eq!(size("500MiB"), Ok(500 << 20));
        assert_eq!((size("7"), size("2 KiB")), (Ok(7), Ok(2048)));
        for bad in ["", "MiB", "5MB", "-1", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_phone_is_named_by_its_number_or_its_udid_and_nothing_else() {
        let of = |phone: &str| PhoneOf { state: "/s".into(), phone: phone.to_owned() };
        let second = PathBuf::from("/s/phones").join(identity(1).udid);
        assert_eq!(of("1").folder(), Ok(second));
        assert_eq!(of("00008120-000A").folder(), Ok("/s/phones/00008120-000A".into()));
        assert!(of("../x").folder().is_err() && of("").folder().is_err());
    }
}
