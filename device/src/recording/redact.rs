//! What takes the place of names, numbers and keys: the same for the same, of the same length and
//! shape, and of no use to anybody.
//!
//! Everything is hidden that is not known to be harmless. What takes its place is drawn under a key
//! that is made for one recording and kept nowhere, so nobody can try out what it may have been.
use blake3::Hasher;

use super::cut::short;
use super::words;

/// So many things are remembered that must not stand within other texts.
const SECRETS_MAX: usize = 256;
/// What is shorter is found in texts by chance.
const SECRET_LEN_MIN: usize = 6;
/// The longest text that is told as it is.
const SHOWN_LEN_MAX: usize = 256;

/// A text as it may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// As it is, or with names in paths replaced.
    Shown(String),
    /// Replaced.
    Hidden(String),
}

/// Replaces what must not be told.
pub(super) struct Redactor {
    key: [u8; 32],
    /// UDIDs without hyphens, in lower case, in the order they were seen.
    udids: Vec<String>,
    secrets: Vec<String>,
    /// Folders of blobs are named by a byte; each byte has another in its place.
    bytes: [u8; 256],
}

impl Redactor {
    pub(super) fn new(key: [u8; 32]) -> Redactor {
        let mut bytes = [0; 256];
        for (at, byte) in (0..=255).zip(bytes.iter_mut()) {
            *byte = at;
        }
        let mut lots = vec![0; 512];
        Hasher::new_keyed(&key).update(b"folders").finalize_xof().fill(&mut lots);
        for (at, lot) in (1..256_usize).zip(lots.chunks_exact(2)).rev() {
            bytes.swap(at, (usize::from(lot[0]) << 8 | usize::from(lot[1])) % (at + 1));
        }
        Redactor { key, udids: Vec::new(), secrets: Vec::new(), bytes }
    }

    /// A hash that says of contents only which are equal.
    pub(super) fn hash(&self, bytes: &[u8]) -> String {
        short(Hasher::new_keyed(&self.key).update(bytes))
    }

    /// The key of such hashes.
    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// From now on this is known to be a device's UDID.
    pub(super) fn learn_udid(&mut self, udid: &str) {
        let bare = bare(udid);
        let is_one = bare.len() >= 24 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_one && self.udids.len() < SECRETS_MAX && !self.udids.contains(&bare) {
            self.udids.push(bare);
        }
    }

    /// From now on no text is told that has this within it.
    pub(super) fn learn_secret(&mut self, secret: &str) {
        let is_long = secret.len() >= SECRET_LEN_MIN;
        if is_long && self.secrets.len() < SECRETS_MAX && !self.secrets.iter().any(|s| s == secret)
        {
            self.secrets.push(secret.to_owned());
        }
    }

    /// What takes the place of a UDID: zeros, and its number at the end.
    pub(super) fn udid(&self, text: &str) -> Option<String> {
        let bare = bare(text);
        let number = 1 + self.udids.iter().position(|known| *known == bare)?;
        let number = format!("{number:0width$}", width = bare.len());
        let mut digits = number.chars();
        Some(
            text.chars()
                .map(|c| if c == '-' { '-' } else { digits.next().unwrap_or('0') })
                .collect(),
        )
    }

    /// A text below `key` of a list.
    pub(super) fn text(&self, key: Option<&str>, text: &str) -> Told {
        if let Some(udid) = self.udid(text) {
            return Told::Shown(udid);
        }
        if let Some(path) = self.path(text) {
            return Told::Shown(path);
        }
        let is_clean = text.len() <= SHOWN_LEN_MAX
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
            && !self.has_a_secret(text);
        let is_open = match key {
            Some("Name") => words::is_apples(text),
            Some(key) => words::is_open(key),
            None => words::is_word(text),
        };
        match key {
            // Not even how long it is.
            Some(key) if key.contains("Password") => Told::Hidden(String::new()),
            _ if is_open && is_clean => Told::Shown(text.to_owned()),
            Some(key) if words::is_word(text) && words::is_sentence(key) => {
                Told::Shown(text.to_owned())
            }
            Some(key) if words::is_sentence(key) => Told::Shown(self.sentence(text)),
            _ => Told::Hidden(self.shape(text)),
        }
    }

    /// Whether something that must not be told stands within it.
    pub(super) fn has_a_secret(&self, text: &str) -> bool {
        let bare = bare(text);
        self.secrets.iter().any(|secret| text.contains(secret.as_str()))
            || self.udids.iter().any(|udid| bare.contains(udid.as_str()))
    }

    /// A key of a list; `is_identifier` where all keys are the device's own identifiers.
    pub(super) fn key_of_list(&self, key: &str, is_identifier: bool) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_identifier = is_identifier
            && key.len() <= 64
            && key.bytes().all(is_plain)
            && !key.as_bytes().windows(5).any(|five| five.iter().all(u8::is_ascii_digit))
            && !self.has_a_secret(key);
        match words::is_key(key) || is_identifier {
            true => key.to_owned(),
            false => self.path(key).unwrap_or_else(|| self.name(key)),
        }
    }

    /// A path in the backup folder; `None` for what is none.
    pub(super) fn path(&self, text: &str) -> Option<String> {
        let mut names = text.split('/');
        let device = names.next()?;
        let device = match self.udid(device) {
            Some(udid) => udid,
            // A backup that was set aside is named by UDID and date.
            None => {
                let at = device.len().checked_sub(16)?;
                let (udid, date) = device.split_at_checked(at)?;
                let is_date = date.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
                format!("{}{date}", self.udid(udid).filter(|_| is_date)?)
            }
        };
        let names = names.map(|name| self.name(name));
        Some([device].into_iter().chain(names).collect::<Vec<_>>().join("/"))
    }

    /// A name in the backup folder.
    pub(super) fn name(&self, name: &str) -> String {
        if words::is_name(name) || name.is_empty() {
            return name.to_owned();
        }
        let is_hex = name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let folder = name.get(..2).filter(|_| is_hex && matches!(name.len(), 2 | 40));
        match folder.and_then(|folder| u8::from_str_radix(folder, 16).ok()) {
            None => self.shape(name),
            Some(byte) => {
                let blob = Hasher::new_keyed(&self.key).update(name.as_bytes()).finalize();
                let rest = &blob.to_hex()[..name.len() - 2];
                format!("{:02x}{rest}", self.bytes[usize::from(byte)])
            }
        }
    }

    /// A sentence of the device, its common words kept.
    pub(super) fn sentence(&self, text: &str) -> String {
        let is_break = |c: char| c.is_ascii_whitespace() || "\"'()[]{},:;=".contains(c);
        let text: String = text.chars().take(1024).collect();
        text.split_inclusive(is_break)
            .map(|part| {
                let word = part.trim_end_matches(is_break);
                match is_common(word) && !self.has_a_secret(word) {
                    true => part.to_owned(),
                    false => format!("{}{}", self.shape(word), &part[word.len()..]),
                }
            })
            .collect()
    }

    /// Letters for letters, digits for digits, as many bytes; dots, hyphens, underscores and colons
    /// stay. Everything of more than one byte becomes letters.
    pub(super) fn shape(&self, text: &str) -> String {
        let mut lots = vec![0; text.len()];
        Hasher::new_keyed(&self.key).update(text.as_bytes()).finalize_xof().fill(&mut lots);
        let one = |(byte, lot): (u8, u8)| match byte {
            b'.' | b'-' | b'_' | b':' => byte,
            b'0'..=b'9' => b'0' + lot % 10,
            b'A'..=b'Z' => b'A' + lot % 26,
            _ => b'a' + lot % 26,
        };
        text.bytes().zip(lots).map(one).map(char::from).collect()
    }

    /// Another number of as many digits.
    pub(super) fn number(&self, number: u64) -> u64 {
        let mut lot = [0; 8];
        let text = number.to_string();
        Hasher::new_keyed(&self.key).update(text.as_bytes()).finalize_xof().fill(&mut lot);
        let digits = u32::try_from(text.len() - 1).unwrap_or(0);
        let (first, span) = match digits {
            0 => (0, 10),
            _ => (10_u64.pow(digits), 10_u64.pow(digits).saturating_mul(9)),
        };
        let span = span.min(u64::MAX - first);
        first + u64::from_le_bytes(lot) % span
    }
}

/// A word of lower case, a short number, or one of those that Apple's messages begin with; and a
/// domain of errors with a code.
fn is_common(word: &str) -> bool {
    if let Some((domain, code)) = word.split_once('/') {
        let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
        return domain.ends_with("Domain") && is_code && is_common(domain) && is_common(code);
    }
    let is_lower = word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    is_lower || is_number || words::may_begin_a_word(word) || words::is_name(word)
}

fn bare(udid: &str) -> String {
    udid.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UDID: &str = "00008030-001A2B3C4D5E6F78";

    fn redactor() -> Redactor {
        let mut redactor = Redactor::new([9; 32]);
        redactor.learn_udid(UDID);
        redactor
    }

    #[test]
    fn a_udid_is_the_same_zeros_however_it_is_spelt() {
        let redactor = redactor();
        assert_eq!(redactor.udid(UDID).unwrap(), "00000000-0000000000000001");
        assert_eq!(redactor.udid("00008030001a2b3c4d5e6f78").unwrap(), "000000000000000000000001");
        assert_eq!(redactor.udid("00008030-001A2B3C4D5E6F79"), None);
    }

    #[test]
    fn a_path_keeps_its_shape_and_its_folder_fits_its_blob() {
        let redactor = redactor();
        let blob = "ab34567890123456789012345678901234567890";
        let told = redactor.path(&format!("{UDID}/Snapshot/ab/{blob}")).unwrap();
        let names: Vec<_> = told.split('/').collect();
        assert_eq!((names[0], names[1]), ("00000000-0000000000000001", "Snapshot"));
        assert_eq!((names[2], names[3].len()), (&names[3][..2], 40));
        assert_ne!(&names[3][2..], &blob[2..]);
        assert_eq!(redactor.name(blob), names[3]);
        let old = redactor.path(&format!("{UDID}-20261101-120000/Status.plist")).unwrap();
        assert_eq!(old, "00000000-0000000000000001-20261101-120000/Status.plist");
    }

    #[test]
    fn every_folder_has_its_own_place() {
        let redactor = redactor();
        let all: std::collections::BTreeSet<_> =
            (0..=255_u8).map(|byte| redactor.name(&format!("{byte:02x}"))).collect();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn what_is_not_known_is_hidden_and_what_is_known_is_not() {
        let redactor = redactor();
        let hidden = |key, text: &str| matches!(redactor.text(key, text), Told::Hidden(_));
        assert!(hidden(Some("DeviceName"), "Anna\u{2019}s iPhone"));
        assert!(hidden(Some("SomethingNew"), "iPhone"));
        assert!(hidden(Some("CFBundleIdentifier"), "com.apple.Pages"));
        assert!(hidden(Some("Name"), "Anna"));
        assert!(hidden(None, "/var/mobile/Library/SMS/sms.db"));
        assert!(!hidden(Some("Service"), "com.apple.afc"));
        assert!(!hidden(Some("Name"), "com.apple.itunes-mobdev.syncDidStart"));
        assert!(!hidden(None, "DLMessageDeviceReady"));
        assert_eq!(redactor.text(Some("NewPassword"), "four"), Told::Hidden(String::new()));
        // Not even where it would be shown.
        assert!(hidden(Some("Label"), &format!("a {UDID}")));
    }

    #[test]
    fn a_sentence_keeps_what_tells_the_fault_and_loses_whose_it_is() {
        let redactor = redactor();
        let told = redactor.sentence(
            "Error Domain=MBErrorDomain Code=205 \"Multiple errors uploading files of Anna at \
             /var/mobile/Containers/4471-22\" +436601234567",
        );
        assert!(
            told.starts_with("Error Domain=MBErrorDomain Code=205 \"Multiple errors uploading")
        );
        let insufficient = "Insufficient free disk space on drive to back up (MBErrorDomain/105)";
        assert_eq!(redactor.sentence(insufficient), insufficient);
        for secret in ["Anna", "var", "mobile", "4471", "43660"] {
            assert!(!told.contains(secret), "{told}");
        }
    }

    proptest! {
        #[test]
        fn what_takes_the_place_of_a_text_is_as_long_and_always_the_same(text in "\\PC{0,40}") {
            let shaped = redactor().shape(&text);
            prop_assert_eq!(shaped.len(), text.len());
            prop_assert_eq!(&shaped, &redactor().shape(&text));
            prop_assert!(shaped.is_ascii());
        }

        #[test]
        fn a_number_keeps_its_digits(number: u64) {
            let told = redactor().number(number);
            prop_assert_eq!(told.to_string().len(), number.to_string().len());
        }
    }
}
