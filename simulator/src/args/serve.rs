//! `serve`: phones on a table.
use super::faults::{FaultArguments, seconds};
use clap::Args;
use devsnap_simulator::phone::Battery;
use devsnap_simulator::simulator::{Options, PhoneOptions, identity};
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Identity, lockdown};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where usbmuxd listens; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Writes the line with the address into this file too, whole, once clients can connect.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// How many phones. The names of the first four hold an apostrophe, an emoji, and one name twice.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "phone")]
    phones: usize,
    /// A phone of your own; what is left out is made up. May be given several times.
    #[arg(long, value_name = "name=…,udid=…,product=…,version=…,build=…,serial=…")]
    phone: Vec<String>,
    /// Attaches the phones by the network too: there they want a heartbeat.
    #[arg(long)]
    network: bool,
    /// Does not attach the phones by USB.
    #[arg(long, requires = "network")]
    no_usb: bool,
    /// Keeps pairings, passwords and pair records here; else they go away with the simulator.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// What all chance is drawn from.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// How bytes leave: fair (as they are written), unkind (torn apart and joined by lot), cruel
    /// (torn apart within the heads of messages too, which libimobiledevice does not bear).
    #[arg(long, value_name = "WEATHER", default_value = "unkind", value_parser = weather)]
    weather: Weather,
    /// Services speak plaintext.
    #[arg(long)]
    no_service_tls: bool,
    /// Closes a lockdown connection on which nothing is asked for so long.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    lockdown_idle: Duration,
    /// Says on standard error which connections ended badly.
    #[arg(long)]
    pub(crate) verbose: bool,
    /// What is left in the phones' batteries, from 0 to 100, on a charger or `unplugged`.
    #[arg(long, value_name = "PERCENT[:unplugged]", default_value = "83", value_parser = battery)]
    battery: Battery,
    #[command(flatten)]
    faults: FaultArguments,
}

impl Serve {
    /// What they ask for.
    ///
    /// # Errors
    ///
    /// A sentence: which phone is described wrongly, and how.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let identities: Vec<Identity> = if self.phone.is_empty() {
            (0..self.phones).map(identity).collect()
        } else {
            let described = self.phone.iter().enumerate();
            described
                .map(|(number, text)| described_identity(number, text))
                .collect::<Result<_, _>>()?
        };
        let phones = identities
            .into_iter()
            .map(|identity| PhoneOptions {
                identity,
                battery: self.battery,
                faults: self.faults.faults(),
                by_usb: !self.no_usb,
                by_network: self.network,
            })
            .collect();
        Ok(Options {
            address: self.address,
            state: self.state.clone(),
            phones,
            weather: self.weather,
            seed: self.seed,
            lockdown: lockdown::Options {
                idle: self.lockdown_idle,
                service_tls: !self.no_service_tls,
            },
            log: None,
            transcript: None,
        })
    }
}

/// A phone as described, otherwise as the one of its number is. A name may hold commas: a comma
/// parts only where a key follows it.
fn described_identity(number: usize, text: &str) -> Result<Identity, String> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for part in text.split(',') {
        match (part.split_once('='), fields.last_mut()) {
            (Some((key, value)), _) if KEYS.contains(&key) => fields.push((key, value.to_owned())),
            (_, Some((_, value))) => {
                value.push(',');
                value.push_str(part);
            }
            _ => return Err(format!("--phone {text}: begins with none of {}", KEYS.join("=, "))),
        }
    }
    let mut described = identity(number);
    for (key, value) in fields {
        match key {
            "name" => described.name = value,
            "udid" => described.udid = value,
            "product" => described.product_type = value,
            "version" => described.product_version = value,
            "build" => described.build_version = value,
            _ => described.serial_number = value,
        }
    }
    Ok(described)
}

const KEYS: [&str; 6] = ["name", "udid", "product", "version", "build", "serial"];

fn weather(text: &str) -> Result<Weather, String> {
    match text {
        "fair" => Ok(Weather::Fair),
        "unkind" => Ok(Weather::Unkind),
        "cruel" => Ok(Weather::Cruel),
        _ => Err("none of fair, unkind, cruel".into()),
    }
}

fn battery(text: &str) -> Result<Battery, String> {
    let (percent, is_powered) = match text.strip_suffix(":unplugged") {
        Some(percent) => (percent, false),
        None => (text, true),
    };
    let percent = percent.parse().ok().filter(|percent| *percent <= 100);
    let percent = percent.ok_or("neither PERCENT nor PERCENT:unplugged")?;
    Ok(Battery { percent, is_powered, is_charging: is_powered && percent < 100 })
}

#[cfg(test)]
mod tests {
    use crate::args::{Arguments, Command};
    use clap::Parser;
    use devsnap_simulator::Options;
    use devsnap_simulator::phone::{
        Battery, Cut, CutAt, Faults, LockdownRefusal, Passcode, Silence, Stage, SyncLock, Trust,
    };
    use std::time::Duration;

    fn options(flags: &[&str]) -> Result<Options, String> {
        let words = ["devsnap-simulator", "serve"].iter().chain(flags);
        match Arguments::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Serve(serve) => serve.options(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_flags_are_in_order() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_phone_is_as_described_and_its_name_may_hold_commas() {
        let options =
            options(&["--phone", "name=Ada, Bob\u{2019}s, and=x,udid=00008120-000A,version=15.0"]);

        let identity = &options.unwrap().phones[0].identity;
        assert_eq!(identity.name, "Ada, Bob\u{2019}s, and=x");
        assert_eq!(
            (identity.udid.as_str(), identity.product_version.as_str()),
            ("00008120-000A", "15.0")
        );
    }

    #[test]
    fn each_fault_is_told_by_its_flag() {
        let flags = [
            ["--passcode", "entered:2.5"],
            ["--trust", "after:3"],
            ["--refuse-request", "StartSession=InvalidHostID*1"],
            ["--sync-lock", "blocks:4"],
            ["--cut", "com.apple.mobilebackup2@stage:moving*2"],
            ["--silence", "com.apple.afc@message:7=9"],
            ["--refuse-backup", "208"],
        ];

        let faults = options(&flags.concat()).unwrap().phones[0].faults.clone();

        let refusal = LockdownRefusal {
            request: "StartSession".into(),
            error: "InvalidHostID".into(),
            times: Some(1),
        };
        let cut = Cut {
            service: "com.apple.mobilebackup2".into(),
            at: CutAt::Stage(Stage::Moving),
            times: 2,
        };
        let silence = Silence {
            service: "com.apple.afc".into(),
            before: CutAt::Message(7),
            lasts: Duration::from_secs(9),
        };
        assert_eq!(
            faults,
            Faults {
                passcode: Passcode::Entered(Duration::from_millis(2500)),
                trust: Trust::After(3),
                lockdown_refusals: vec![refusal],
                sync_lock: SyncLock::Blocks(4),
                cut: Some(cut),
                silence: Some(silence),
                refusal: Some(208),
                ..Faults::default()
            }
        );
    }

    #[test]
    fn a_battery_is_charged_unless_it_is_unplugged_or_full() {
        for (text, percent, is_powered, is_charging) in
            [("12:unplugged", 12, false, false), ("12", 12, true, true), ("100", 100, true, false)]
        {
            let options = options(&["--battery", text]).unwrap();
            let told = Battery { percent, is_powered, is_charging };
            assert_eq!(options.phones[0].battery, told, "{text}");
        }
    }

    #[test]
    fn what_no_flag_can_mean_is_refused() {
        for flags in [
            ["--passcode", "entered:soon"],
            ["--passcode", "entered:-1"],
            ["--trust", "maybe"],
            ["--cut", "com.apple.afc@stage:lunch"],
            ["--cut", "com.apple.afc@byte:9*often"],
            ["--silence", "com.apple.afc@byte:9=1"],
            ["--phone", "Ada"],
            ["--battery", "101"],
            ["--battery", "12:plugged"],
        ] {
            assert!(options(&flags).is_err(), "{flags:?}");
        }
    }
}
