//! The table: in what the two hosts are known to differ, and why. `docs/device-protocol.md` has the
//! same sentences, and a test sees to that.
use std::path::Path;

/// Who says a line that the other does not say in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    /// idevicebackup2.
    Theirs,
    /// devsnap.
    Ours,
}

/// A difference that is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) only: Only,
    /// The line; a star stands for anything.
    pub(crate) line: &'static str,
    /// How often it occurs in a session.
    pub(crate) times: usize,
    pub(crate) why: &'static str,
}

const ONCE: &str = "idevicebackup2 asks usbmuxd for the pair record and for the name of this \
                    computer anew for each connection; devsnap reads the record once, and it holds \
                    the name. A device sees nothing of this.";
const CABLE: &str = "devsnap listens to usbmuxd, so that a cable that is pulled ends the session at \
                     once.";
const BEFORE: &str = "devsnap begins two more sessions before the first of idevicebackup2's: one \
                      to see that the device takes the pair record, one to ask who the device is, \
                      since a snapshot has its name before it begins.";
const BATTERY: &str = "devsnap asks what is left in the battery, to warn of one that may be empty before \
                       the backup is over. `ideviceinfo -q com.apple.mobile.battery` asks the same.";
const SINCE_140: &str = "idevicebackup2 does so since 1.4.0; the one that is compared is 1.3.0. \
                         devsnap tells a person that the passcode is waited for.";

/// What is known of what is said in a backup.
pub(crate) fn in_a_backup() -> Vec<Expected> {
    let mut table = vec![
        theirs(RECORD, 26, ONCE),
        ours(RECORD, 1, ONCE),
        theirs(r#"usbmuxd: *MessageType: "ReadBUID"*"#, 8, ONCE),
    ];
    table.extend(OF_EVERY_SESSION.iter().copied());
    table
}

/// What is known of how lists are written that say the same: those with a dictionary.
pub(crate) const IN_OTHER_ORDER: &str = "libplist numbers the objects of a binary list depth first, the `plist` crate all keys of a \
     dictionary before its values. Readers follow the numbers.";
/// What is known of how lists are written that say the same: Hello, which has 2.0 in it.
pub(crate) const IN_MORE_BYTES: &str = "libplist writes the number 2.0 of Hello in 4 bytes, the `plist` crate in 8. Readers take both.";

/// What is known of how the request for a restore is written, when all its options are sent by both.
pub(crate) const WITH_ONE_FEWER: &str = "libplist writes the value `true` of a restore's options twice, the `plist` crate once. Readers follow the \
     numbers.";

const READY: &str = "devsnap asks how much room the device has and whether \"Find My\" is on, to say so before the restore \
                     is asked for.";
const ALWAYS: &str = "devsnap sends each option of a restore always. idevicebackup2 1.3.0 leaves out `RestoreShouldReboot` \
                      and `RemoveItemsNotRestored` unless a flag asks for the other value; later ones send the latter.";
const LINES: &str = "libplist breaks the data in the list of apps into other lines, so its list is longer; it holds the same.";

/// What is known of what is said in a restore; `by_default`: with no option but the defaults.
pub(crate) fn in_a_restore(by_default: bool) -> Vec<Expected> {
    let mut table = vec![
        theirs(RECORD, 18, ONCE),
        ours(RECORD, 1, ONCE),
        theirs(r#"usbmuxd: *MessageType: "ReadBUID"*"#, 5, ONCE),
        ours(r#"lockdown: *Domain: "com.apple.disk_usage"*"#, 1, READY),
        ours(r#"lockdown: *Domain: "com.apple.fmip"*"#, 1, READY),
        theirs(r#"afc: *operation 0x10*"#, 1, LINES),
        ours(r#"afc: *operation 0x10*"#, 1, LINES),
    ];
    table.extend(OF_EVERY_SESSION.iter().copied());
    if by_default {
        table.push(theirs("mobilebackup2: *RestoreSystemFiles*", 1, ALWAYS));
        table.push(ours("mobilebackup2: *RestoreSystemFiles*", 1, ALWAYS));
    }
    table
}

/// What differs in each session, whatever is done in it.
const OF_EVERY_SESSION: &[Expected] = &[
    ours(r#"usbmuxd: *MessageType: "Listen"*"#, 1, CABLE),
    ours(r#"usbmuxd: *"Connect"*PortNumber: "com.apple.mobile.lockdown"}"#, 2, BEFORE),
    ours(r#"lockdown: *Request: "QueryType"}"#, 2, BEFORE),
    ours(r#"lockdown: *Request: "StartSession"*"#, 2, BEFORE),
    ours(r#"lockdown: XML {Label: its own name, Request: "GetValue"}"#, 1, BEFORE),
    ours(r#"lockdown: *Key: "WillEncrypt"*"#, 1, BEFORE),
    ours(r#"lockdown: *Domain: "com.apple.mobile.battery"*"#, 1, BATTERY),
    ours(r#"lockdown: *Request: "StopSession"*"#, 2, BEFORE),
    ours(r#"lockdown: *Key: "DeviceClass"*"#, 1, SINCE_140),
    ours(r#"notification_proxy: *LocalAuthentication.ui.presented"}"#, 1, SINCE_140),
    ours(r#"notification_proxy: *LocalAuthentication.ui.dismissed"}"#, 1, SINCE_140),
];

const RECORD: &str = r#"usbmuxd: *MessageType: "ReadPairRecord"*"#;

const fn theirs(line: &'static str, times: usize, why: &'static str) -> Expected {
    Expected { only: Only::Theirs, line, times, why }
}

const fn ours(line: &'static str, times: usize, why: &'static str) -> Expected {
    Expected { only: Only::Ours, line, times, why }
}

impl Expected {
    /// Whether `line`, said by `only`, is this one.
    pub(crate) fn is(&self, only: Only, line: &str) -> bool {
        self.only == only && fits(self.line, line)
    }
}

/// Whether `text` is what `pattern` says, in which a star stands for anything.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| fits(rest, tail)))
        }),
    }
}

/// Holds `sentences` against `docs/device-protocol.md`, whose lines are broken where they please.
#[track_caller]
pub(crate) fn are_in_the_document<'s>(sentences: impl IntoIterator<Item = &'s str>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/device-protocol.md");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let document = words(&std::fs::read_to_string(file).unwrap());
    let missing: Vec<_> =
        sentences.into_iter().filter(|sentence| !document.contains(&words(sentence))).collect();
    assert!(missing.is_empty(), "docs/device-protocol.md does not say: {missing:#?}");
}

#[test]
fn a_star_stands_for_anything() {
    assert!(fits("a*c*", "abcd") && fits("*", "") && fits("ab", "ab"));
    assert!(!fits("a*c", "abcd") && !fits("ab", "abc"));
}
