//! Who wrote it: Ed25519 signatures of writers, certified by the repository's root.
use crate::codec::Malformed;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, hex};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;
use zeroize::Zeroizing;

/// Length of an Ed25519 signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Names a writer: the first 16 bytes of BLAKE3 of its public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriterId(pub [u8; 16]);

impl WriterId {
    /// The id as 32 lower-case hex digits.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// The first 8 hex digits, as shown to people.
    pub fn short(self) -> String {
        hex(&self.0[..4])
    }
}

/// What a writer may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriterRole {
    /// Everything.
    Full,
    /// Add snapshots; not read, forget or prune.
    Station,
}

impl WriterRole {
    const fn code(self) -> u8 {
        match self {
            WriterRole::Full => 1,
            WriterRole::Station => 2,
        }
    }
}

/// Signs as one writer.
pub struct Signer {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

impl Signer {
    /// The signer with this seed (RFC 8032's private key).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("because a seed has 32 bytes");
        Signer { pair, seed: Zeroizing::new(*seed) }
    }

    /// A new signer.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        Ok(Signer::from_seed(&super::keys::random_array()?))
    }

    /// The seed, to be wrapped in a slot.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public key that verifies what this signer signs.
    pub fn public(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("because Ed25519 keys have 32 bytes")
    }

    /// The writer's name.
    pub fn writer(&self) -> WriterId {
        writer_of(&self.public())
    }

    /// Signs `message` for one purpose in one repository.
    pub fn sign(&self, repository: RepositoryId, purpose: &str, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(&bound(repository, purpose, message));
        signature.as_ref().try_into().expect("because Ed25519 signatures have 64 bytes")
    }

    /// As the root: certifies that `public` may write in `role`.
    pub fn certify(
        &self,
        repository: RepositoryId,
        public: [u8; 32],
        role: WriterRole,
    ) -> Certificate {
        let signature = self.sign(repository, CERTIFICATE, &certified(&public, role));
        Certificate { public, role, signature }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?}, secret)", self.writer())
    }
}

/// The root's word that a public key may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The writer's public key.
    pub public: [u8; 32],
    /// What it may do.
    pub role: WriterRole,
    /// The root's signature over both.
    pub signature: [u8; 64],
}

impl Certificate {
    /// The writer's name.
    pub fn writer(&self) -> WriterId {
        writer_of(&self.public)
    }

    /// Goes on only if the root made it.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn verify(&self, repository: RepositoryId, root_public: &[u8; 32]) -> Result<()> {
        let message = certified(&self.public, self.role);
        verify_signature(root_public, repository, CERTIFICATE, &message, &self.signature)
    }
}

/// Goes on only if the holder of `public` signed `message` for this purpose and repository.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged).
pub fn verify_signature(
    public: &[u8; 32],
    repository: RepositoryId,
    purpose: &str,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<()> {
    UnparsedPublicKey::new(&ED25519, public)
        .verify(&bound(repository, purpose, message), signature)
        .map_err(|_| {
            Error::new(ErrorKind::Damaged, format!("verifying the signature of a {purpose}"))
        })
}

/// `body` behind its writer's public key (32 bytes) and signature (64 bytes).
pub fn sign_record(
    signer: &Signer,
    repository: RepositoryId,
    purpose: &str,
    body: &[u8],
) -> Vec<u8> {
    let signature = signer.sign(repository, purpose, body);
    [signer.public().as_slice(), &signature, body].concat()
}

/// The body that [`sign_record`] signed, and its writer, if `certified` vouches for it.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged) when it is cut off, the signature is wrong, or `certified` does
/// not know the public key.
pub fn open_record<'a>(
    bytes: &'a [u8],
    repository: RepositoryId,
    purpose: &str,
    certified: impl FnOnce(&[u8; 32]) -> Option<WriterId>,
) -> Result<(WriterId, &'a [u8])> {
    let damaged = |what| {
        Error::new(ErrorKind::Damaged, format!("reading a {purpose}")).because(Malformed(what))
    };
    let (public, rest) = bytes.split_first_chunk::<32>().ok_or_else(|| damaged("writer"))?;
    let (signature, body) = rest.split_first_chunk::<64>().ok_or_else(|| damaged("signature"))?;
    let writer = certified(public).ok_or_else(|| damaged("a writer of this repository"))?;
    verify_signature(public, repository, purpose, body, signature)?;
    Ok((writer, body))
}

const CERTIFICATE: &str = "writer certificate";

fn certified(public: &[u8; 32], role: WriterRole) -> Vec<u8> {
    [public.as_slice(), &[role.code()]].concat()
}

fn writer_of(public: &[u8; 32]) -> WriterId {
    let hash = blake3::hash(public);
    WriterId(*hash.as_bytes().first_chunk().expect("because a hash has 32 bytes"))
}

/// What is signed: a fixed-length digest of purpose, repository and message, so that a signature
/// for one purpose is none for another.
fn bound(repository: RepositoryId, purpose: &str, message: &[u8]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("devsnap 2026-11 v1 signed message");
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(repository.as_bytes());
    hasher.update(message);
    hasher.finalize().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_writer_purpose_repository_and_message_only() {
        let (here, there) = (RepositoryId::from_bytes([1; 16]), RepositoryId::from_bytes([2; 16]));
        let signer = Signer::from_seed(&[3; 32]);
        let signature = signer.sign(here, "snapshot", b"message");
        let holds = |public: &[u8; 32], repository, purpose, message: &[u8]| {
            verify_signature(public, repository, purpose, message, &signature).is_ok()
        };
        assert!(holds(&signer.public(), here, "snapshot", b"message"));
        assert!(!holds(&signer.public(), there, "snapshot", b"message"));
        assert!(!holds(&signer.public(), here, "segment", b"message"));
        assert!(!holds(&signer.public(), here, "snapshot", b"massage"));
        assert!(!holds(&Signer::from_seed(&[4; 32]).public(), here, "snapshot", b"message"));
    }

    #[test]
    fn a_station_cannot_promote_itself() {
        let here = RepositoryId::from_bytes([1; 16]);
        let root = Signer::from_seed(&[1; 32]);
        let station = Signer::from_seed(&[2; 32]);
        let mut certificate = root.certify(here, station.public(), WriterRole::Station);
        assert!(certificate.verify(here, &root.public()).is_ok());
        certificate.role = WriterRole::Full;
        assert!(certificate.verify(here, &root.public()).is_err());
        let forged = station.certify(here, station.public(), WriterRole::Full);
        assert!(forged.verify(here, &root.public()).is_err());
    }
}
