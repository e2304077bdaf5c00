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

/// The keys a process holds once a slot has opened.
pub struct Keys {
    repository: RepositoryId,
    content_id: Zeroizing<[u8; 32]>,
    page_id: Zeroizing<[u8; 32]>,
    gear: Zeroizing<[u8; 32]>,
    page_cut: Zeroizing<[u8; 32]>,
    index: Zeroizing<[u8; 32]>,
    /// Whom packs are sealed to.
    pub recipient: RecipientPublic,
    /// Opens packs; absent for a write-only station.
    pub recipient_secret: Option<RecipientSecret>,
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
            content_id: root.derive("devsnap 2026-11 v1 content id"),
            page_id: root.derive("devsnap 2026-11 v1 page id"),
            gear: root.derive("devsnap 2026-11 v1 chunker gear"),
            page_cut: root.derive("devsnap 2026-11 v1 page cuts"),
            index: root.derive("devsnap 2026-11 v1 index"),
            recipient: recipient_secret.public(),
            recipient_secret: Some(recipient_secret),
            signer,
        }
    }

    /// Which repository they belong to; bound into everything sealed.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// The name of a content blob.
    pub fn content_id(&self, plaintext: &[u8]) -> BlobId {
        BlobId::from_bytes(*blake3::keyed_hash(&self.content_id, plaintext).as_bytes())
    }

    /// The name of a page: under another key, so that a file which equals a page is another blob
    /// (its pack may be in cold storage, the page's must not be).
    pub fn page_id(&self, plaintext: &[u8]) -> BlobId {
        BlobId::from_bytes(*blake3::keyed_hash(&self.page_id, plaintext).as_bytes())
    }

    /// Makes the chunker's tables.
    pub fn gear_key(&self) -> &[u8; 32] {
        &self.gear
    }

    /// Decides where pages of trees and lists end.
    pub fn page_cut_key(&self) -> &[u8; 32] {
        &self.page_cut
    }

    /// Seals what a writer may read: footers, segments, snapshots, notes, sessions.
    pub fn index_key(&self) -> &[u8; 32] {
        &self.index
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
