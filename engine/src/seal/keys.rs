//! The keys an opened repository works with, all derived from one root secret.
use super::recipient::{RecipientPublic, RecipientSecret};
use super::sign::Signer;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, RepositoryId};
use std::fmt;
use zeroize::Zeroizing;

/// 32 random bytes from which every shared key of a repository is derived.
pub struct RootSecret(Zeroizing<[u8; 32]>);

impl RootSecret {
    /// A new secret.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        Ok(RootSecret(Zeroizing::new(random_array()?)))
    }

    /// The secret with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        RootSecret(Zeroizing::new(bytes))
    }

    /// The secret's bytes, to be wrapped in a slot.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// One key for one use.
    fn derive(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &*self.0))
    }

    /// Signs configs and writers' certificates.
    pub fn root_signer(&self) -> Signer {
        Signer::from_seed(&self.derive("devsnap 2026-11 v1 root signing seed"))
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSecret(secret)")
    }
}

/// What every writer holds: names, cuts and the index, but no contents.
pub(super) struct SharedKeys {
    pub(super) content_id: Zeroizing<[u8; 32]>,
    pub(super) page_id: Zeroizing<[u8; 32]>,
    pub(super) gear: Zeroizing<[u8; 32]>,
    pub(super) page_cut: Zeroizing<[u8; 32]>,
    pub(super) index: Zeroizing<[u8; 32]>,
}

impl SharedKeys {
    pub(super) fn of(root: &RootSecret) -> Self {
        SharedKeys {
            content_id: root.derive("devsnap 2026-11 v1 content id"),
            page_id: root.derive("devsnap 2026-11 v1 page id"),
            gear: root.derive("devsnap 2026-11 v1 chunker gear"),
            page_cut: root.derive("devsnap 2026-11 v1 page cuts"),
            index: root.derive("devsnap 2026-11 v1 index"),
        }
    }

    /// In the order in which a writer key file has them.
    pub(super) fn in_order(&self) -> [&[u8; 32]; 5] {
        [&self.content_id, &self.page_id, &self.gear, &self.page_cut, &self.index]
    }

    /// The same keys, read from such a file.
    pub(super) fn from_order([content_id, page_id, gear, page_cut, index]: [&[u8; 32]; 5]) -> Self {
        let own = |key: &[u8; 32]| Zeroizing::new(*key);
        SharedKeys {
            content_id: own(content_id),
            page_id: own(page_id),
            gear: own(gear),
            page_cut: own(page_cut),
            index: own(index),
        }
    }
}

/// The keys a process holds once a slot has opened.
pub struct Keys {
    repository: RepositoryId,
    shared: SharedKeys,
    /// Whom packs are sealed to.
    pub recipient: RecipientPublic,
    /// Opens packs; absent for a write-only station.
    pub recipient_secret: Option<RecipientSecret>,
    /// Opens packs that were sealed before the recipient was changed; the newest last.
    pub former_secrets: Vec<RecipientSecret>,
    /// Signs what this writer stores.
    pub signer: Signer,
}

impl Keys {
    /// The keys that a full slot opens.
    pub fn full(
        repository: RepositoryId,
        root: &RootSecret,
        recipient_secret: RecipientSecret,
        signer: Signer,
    ) -> Self {
        Keys {
            repository,
            shared: SharedKeys::of(root),
            recipient: recipient_secret.public(),
            recipient_secret: Some(recipient_secret),
            former_secrets: Vec::new(),
            signer,
        }
    }

    /// The keys of a station: it writes, and opens no pack.
    pub(super) fn write_only(
        repository: RepositoryId,
        shared: SharedKeys,
        recipient: RecipientPublic,
        signer: Signer,
    ) -> Self {
        let (recipient_secret, former_secrets) = (None, Vec::new());
        Keys { repository, shared, recipient, recipient_secret, former_secrets, signer }
    }

    /// What may open a pack, the likeliest first.
    pub fn secrets(&self) -> impl Iterator<Item = &RecipientSecret> {
        self.recipient_secret.iter().chain(self.former_secrets.iter().rev())
    }

    /// Which repository they belong to; bound into everything sealed.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// The name of a content blob.
    pub fn content_id(&self, plaintext: &[u8]) -> BlobId {
        BlobId::from_bytes(*blake3::keyed_hash(&self.shared.content_id, plaintext).as_bytes())
    }

    /// The name of a page: under another key, so that a file which equals a page is another blob
    /// (its pack may be in cold storage, the page's must not be).
    pub fn page_id(&self, plaintext: &[u8]) -> BlobId {
        BlobId::from_bytes(*blake3::keyed_hash(&self.shared.page_id, plaintext).as_bytes())
    }

    /// Makes the chunker's tables.
    pub fn gear_key(&self) -> &[u8; 32] {
        &self.shared.gear
    }

    /// Decides where pages of trees and lists end.
    pub fn page_cut_key(&self) -> &[u8; 32] {
        &self.shared.page_cut
    }

    /// Seals what a writer may read: footers, segments, snapshots, notes, sessions.
    pub fn index_key(&self) -> &[u8; 32] {
        &self.shared.index
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, secret)", self.repository)
    }
}

/// `N` random bytes from the operating system.
///
/// # Errors
///
/// It gives none.
pub fn random_array<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(ErrorKind::LocalDisk, "asking the operating system for random bytes")
            .because(e.to_string())
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> Keys {
        let secret = RecipientSecret::from_bytes([seed; 32]).unwrap();
        let root = RootSecret::from_bytes([seed; 32]);
        Keys::full(RepositoryId::from_bytes([seed; 16]), &root, secret, Signer::from_seed(&[9; 32]))
    }

    #[test]
    fn a_page_and_a_file_with_the_same_bytes_have_different_names() {
        assert_ne!(keys(1).content_id(b"same"), keys(1).page_id(b"same"));
    }

    #[test]
    fn names_say_nothing_without_the_key() {
        assert_eq!(keys(1).content_id(b"same"), keys(1).content_id(b"same"));
        assert_ne!(keys(1).content_id(b"same"), keys(2).content_id(b"same"));
    }

    #[test]
    fn no_secret_is_ever_shown() {
        assert_eq!(format!("{:?}", RootSecret::from_bytes([0x41; 32])), "RootSecret(secret)");
        assert_eq!(format!("{:?}", keys(0x41)), "Keys(41414141414141414141414141414141, secret)");
        assert_eq!(format!("{:?}", keys(1).recipient_secret), "Some(RecipientSecret(secret))");
        assert!(format!("{:?}", keys(1).signer).ends_with(", secret)"));
    }
}
