//! A person says yes by naming the device.
use super::plan::{last_four, shown};
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::terminal::AtTerminal;
use devsnap_device::lockdown::DeviceInfo;
use devsnap_engine::snapshot::folded;
use rustix::termios::isatty;

/// Fails at once when nobody could be asked.
pub(super) fn require_somebody() -> Result<(), Failure> {
    if isatty(rustix::stdio::stdin()) {
        return Ok(());
    }
    Err(Failure::usage("a restore onto a device must be confirmed, and nobody is there to ask")
        .hint("look at it with --dry-run, then run it with --yes; nothing was done"))
}

/// Asks until an answer comes, once.
pub(super) fn ask(session: &Session<'_>, device: &DeviceInfo) -> Result<(), Failure> {
    let person = AtTerminal { report: session.report, interrupt: session.interrupt };
    let sentence = format!(
        "To go on, type the name of the device ({}) or the last four characters of its UDID ({}):",
        shown(device),
        last_four(device)
    );
    let typed = person.ask_aloud("confirm", &sentence)?;
    if session.interrupt.is_raised() {
        return Err(Failure::new(ExitCode::Interrupted, "stopping as asked")
            .hint("nothing was sent to the device"));
    }
    if typed.is_some_and(|typed| is_meant(&typed, device)) {
        return Ok(());
    }
    Err(Failure::new(ExitCode::Usage, "that is not the device's name")
        .hint("nothing was sent to the device"))
}

/// Whether `typed` names the device.
fn is_meant(typed: &str, device: &DeviceInfo) -> bool {
    let typed = typed.trim();
    let is_name = !device.name.trim().is_empty() && folded(typed) == folded(&device.name);
    is_name || typed.eq_ignore_ascii_case(last_four(device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_device::Udid;

    fn device(name: &str) -> DeviceInfo {
        let udid = "00008030-001A2B3C4D5E6F78";
        DeviceInfo {
            udid: Udid::parse(udid).unwrap(),
            udid_on_the_wire: udid.to_owned(),
            name: name.to_owned(),
            product_type: "iPhone15,2".to_owned(),
            product_version: "17.5.1".to_owned(),
            build_version: String::new(),
            values: plist::Dictionary::new(),
        }
    }

    #[test]
    fn only_its_name_or_the_end_of_its_udid_means_a_device() {
        let named = device("Ada\u{2019}s iPhone");
        for typed in ["Ada's iPhone", " ada\u{2019}s  iphone ", "6f78", "6F78 "] {
            assert!(is_meant(typed, &named), "{typed}");
        }
        for typed in ["", " ", "y", "yes", "iPhone", "6F7", "4D5E6F78x"] {
            assert!(!is_meant(typed, &named), "{typed}");
        }
        assert!(!is_meant("", &device("")) && !is_meant(" ", &device(" ")));
    }
}
