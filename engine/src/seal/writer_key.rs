//! Writer keys: what a station holds in a file, so that it can add snapshots and read none.
//!
//! ```text
//! devsnap writer key 1
//! # a comment line or several
//! 62 hex digits a line, 8 lines
//! ```
//!
//! The digits spell the repository's id (16 bytes), its content id, page id, gear, page cut and index
//! keys (32 each), the root's public key (32), the station's signing seed (32) and a checksum (8).
//! The recipient is not in it: the config says who that is, and the root's signature on it is what a
//! station trusts. So a new recipient reaches stations too.
use super::keys::{Keys, RootSecret, SharedKeys};
use super::recipient::RecipientPublic;
use super::sign::{Certificate, Signer, WriterId, WriterRole};
use crate::codec::{Decoder, Malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, hex};
use std::fmt;
use zeroize::Zeroizing;

/// What the first line says, before the version.
const TITLE: &str = "devsnap writer key ";
const VERSION: &str = "1";

const BODY_LEN: usize = 16 + 7 * 32;
const CHECKSUM_LEN: usize = 8;

/// Bytes on one line.
const LINE_LEN: usize = 31;

/// The keys of a station.
pub struct WriterKey {
    repository: RepositoryId,
    shared: SharedKeys,
    root_public: [u8; 32],
    signer: Signer,
}

impl WriterKey {
    /// A new station of the repository that `root` belongs to. It may write once its
    /// [certificate](Self::certificate) stands in the config.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn generate(repository: RepositoryId, root: &RootSecret) -> Result<Self> {
        Ok(WriterKey {
            repository,
            shared: SharedKeys::of(root),
            root_public: root.root_signer().public(),
            signer: Signer::generate()?,
        })
    }

    /// Which repository it is for.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// Verifies configs.
    pub fn root_public(&self) -> &[u8; 32] {
        &self.root_public
    }

    /// The station's name.
    pub fn writer(&self) -> WriterId {
        self.signer.writer()
    }

    /// The root's word that this station may add snapshots.
    pub fn certificate(&self, root: &RootSecret) -> Certificate {
        root.root_signer().certify(self.repository, self.signer.public(), WriterRole::Station)
    }

    /// The keys to work with, sealing to `recipient`.
    pub fn keys(&self, recipient: RecipientPublic) -> Keys {
        let shared = SharedKeys::from_order(self.shared.in_order());
        let signer = Signer::from_seed(self.signer.seed());
        Keys::write_only(self.repository, shared, recipient, signer)
    }

    /// The key as a file holds it, with `comment` for whoever finds it.
    pub fn to_text(&self, comment: &str) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_LEN + CHECKSUM_LEN));
        bytes.extend_from_slice(self.repository.as_bytes());
        for key in self.shared.in_order() {
            bytes.extend_from_slice(key);
        }
        bytes.extend_from_slice(&self.root_public);
        bytes.extend_from_slice(self.signer.seed());
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        // All of it at once: text that grew would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(1024 + 2 * comment.len()));
        text.push_str(TITLE);
        text.push_str(VERSION);
        text.push('\n');
        for line in comment.lines() {
            text.push_str("# ");
            text.push_str(line);
            text.push('\n');
        }
        for line in bytes.chunks(LINE_LEN) {
            text.push_str(&Zeroizing::new(hex(line)));
            text.push('\n');
        }
        text
    }

    /// The key that a file holds.
    ///
    /// # Errors
    ///
    /// [`WrongPassword`](ErrorKind::WrongPassword) when it is no writer key or was changed;
    /// [`TooNew`](ErrorKind::TooNew) for a later version.
    pub fn from_text(text: &str) -> Result<Self> {
        let wrong = |what: &'static str| {
            Error::new(ErrorKind::WrongPassword, "reading the writer key").because(Malformed(what))
        };
        let mut lines = text.lines().map(str::trim);
        match lines.next().and_then(|line| line.strip_prefix(TITLE)) {
            Some(VERSION) => {}
            Some(_) => return Err(Error::new(ErrorKind::TooNew, "reading the writer key")),
            None => return Err(wrong("first line")),
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_LEN + CHECKSUM_LEN));
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (pairs, odd) = line.as_bytes().as_chunks::<2>();
            if !odd.is_empty() || bytes.len() + pairs.len() > BODY_LEN + CHECKSUM_LEN {
                return Err(wrong("length"));
            }
            for pair in pairs {
                let byte = std::str::from_utf8(pair).ok().filter(|_| pair[0] != b'+');
                let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(byte.ok_or_else(|| wrong("hex digits"))?);
            }
        }
        if bytes.len() != BODY_LEN + CHECKSUM_LEN {
            return Err(wrong("length"));
        }
        let (body, claimed) = bytes.split_at(BODY_LEN);
        if *claimed != checksum(body) {
            return Err(wrong("checksum"));
        }
        WriterKey::decode(body).map_err(|Malformed(what)| wrong(what))
    }

    fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(body);
        let repository = RepositoryId::from_bytes(from.array("repository id")?);
        let mut key = || from.array::<32>("key").map(Zeroizing::new);
        let shared = [key()?, key()?, key()?, key()?, key()?];
        let (root_public, seed) = (*key()?, key()?);
        Ok(WriterKey {
            repository,
            shared: SharedKeys::from_order(shared.each_ref().map(|key| &**key)),
            root_public,
            signer: Signer::from_seed(&seed),
        })
    }
}

/// Against slips of the hand and the disk; whoever can write the file needs no forgery.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = blake3::derive_key("devsnap 2026-11 v1 writer key checksum", body);
    *hash.first_chunk().expect("because a hash has 32 bytes")
}

impl fmt::Debug for WriterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterKey({}, secret)", self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);

    fn key() -> (RootSecret, WriterKey) {
        let root = RootSecret::from_bytes([2; 32]);
        let key = WriterKey::generate(HERE, &root).unwrap();
        (root, key)
    }

    #[test]
    fn a_writer_key_survives_its_file_and_works_as_the_full_keys_do() {
        let (root, key) = key();
        let text = key.to_text("station in the hall\nmade today");
        let again = WriterKey::from_text(&text.replace('\n', "\r\n")).unwrap();
        assert_eq!((again.repository(), again.writer()), (HERE, key.writer()));
        assert!(again.certificate(&root).verify(HERE, again.root_public()).is_ok());

        let secret = super::super::RecipientSecret::from_bytes([3; 32]).unwrap();
        let (station, recipient) = (again.keys(secret.public()), secret.public());
        let full = Keys::full(HERE, &root, secret, Signer::from_seed(&[4; 32]));
        assert_eq!(station.content_id(b"x"), full.content_id(b"x"));
        assert_eq!(station.page_id(b"x"), full.page_id(b"x"));
        assert_eq!(station.gear_key(), full.gear_key());
        assert_eq!(station.page_cut_key(), full.page_cut_key());
        assert_eq!(station.index_key(), full.index_key());
        assert_eq!((station.recipient, station.secrets().count()), (recipient, 0));
    }

    #[test]
    fn a_changed_key_file_is_noticed_and_a_later_one_named() {
        let (_, key) = key();
        let text = key.to_text("");
        let kind = |text: &str| WriterKey::from_text(text).err().map(|e| e.kind());
        for at in (TITLE.len() + 2..text.len()).filter(|at| text.as_bytes()[*at] != b'\n') {
            let mut typo = text.to_string().into_bytes();
            typo[at] = if typo[at] == b'7' { b'8' } else { b'7' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(kind(&typo), Some(ErrorKind::WrongPassword), "byte {at}");
        }
        assert_eq!(kind(&text.replace("key 1", "key 2")), Some(ErrorKind::TooNew));
        for wrong in ["", "password", &text[..text.len() - 3], &format!("{}00", *text)] {
            assert_eq!(kind(wrong), Some(ErrorKind::WrongPassword), "{wrong}");
        }
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let shown = format!("{:?}", key().1);
        assert_eq!(shown, format!("WriterKey({HERE}, secret)"));
    }
}
