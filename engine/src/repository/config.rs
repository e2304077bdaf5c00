//! What a repository is: its id, its key slots, its parameters.
//!
//! | bytes | field |
//! |---|---|
//! | 8 | magic `DEVSNAPC` |
//! | 2, 1, 1 | format version, suite, zero |
//! | 16 | repository id |
//! | 8 | number: the name the object is stored under |
//! | varint, – | slots, as a MessagePack array, behind their length |
//! | varint, – | parameters, sealed under the index key, behind their length |
//! | 64 | the root's signature over all before, purpose `config` |
//!
//! Slots are in the clear, since they are what opens the rest. A config is stored twice, as `<n>`
//! and `<n>.copy`; the highest number whose signature holds is the one in force.
use crate::backend::{Backend, BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::chunker::ChunkerParams;
use crate::codec::{Decoder, Malformed, put_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RepositoryId;
use crate::seal::{
    Certificate, FORMAT_VERSION, Keys, RecoveryKey, RootSecret, SUITE, Slot, SlotKind, SlotSecrets,
    WriterId, WriterRole, open_object, seal_object, verify_signature,
};
use crate::tree::TreeParams;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

const MAGIC: &[u8; 8] = b"DEVSNAPC";
const PURPOSE: &str = "config";

/// The longest config, in bytes.
const CONFIG_LEN_MAX: u64 = 1 << 20;
const SLOTS_MAX: usize = 64;
const WRITERS_MAX: usize = 10_000;

/// What opens a repository.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// A password.
    Password(&'a [u8]),
    /// The recovery key from paper.
    Recovery(&'a RecoveryKey),
}

/// How contents and trees are cut, and who may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// Sizes of chunks.
    pub chunker: ChunkerParams,
    /// Sizes of pages.
    pub tree: TreeParams,
    /// Writers that the root has certified.
    pub writers: Vec<Certificate>,
}

/// A config as stored, before a slot was opened.
pub(super) struct StoredConfig {
    pub(super) repository: RepositoryId,
    pub(super) number: u64,
    slots: Vec<Slot>,
    params: Vec<u8>,
    signed_len: usize,
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    chunker: ChunkerParams,
    page_min_bytes: u32,
    page_target_bytes: u32,
    page_max_bytes: u32,
    recipient: ByteBuf,
    writers: Vec<WrittenWriter>,
}

#[derive(Serialize, Deserialize)]
struct WrittenWriter {
    public: ByteBuf,
    station: bool,
    signature: ByteBuf,
}

impl RepositoryConfig {
    /// The writer that `public` names, if the root has certified it.
    pub fn writer(&self, public: &[u8; 32]) -> Option<WriterId> {
        self.writers.iter().find(|w| w.public == *public).map(Certificate::writer)
    }

    /// The object that stores this config.
    pub(super) fn encode(
        &self,
        number: u64,
        slots: &[Slot],
        keys: &Keys,
        root: &RootSecret,
    ) -> Result<Vec<u8>> {
        let written = Written {
            chunker: self.chunker,
            page_min_bytes: self.tree.min_bytes,
            page_target_bytes: self.tree.target_bytes,
            page_max_bytes: self.tree.max_bytes,
            recipient: ByteBuf::from(keys.recipient.0),
            writers: self.writers.iter().map(WrittenWriter::from).collect(),
        };
        let params = rmp_serde::to_vec_named(&written).expect("because every field has a form");
        let slots = rmp_serde::to_vec_named(slots).expect("because every field has a form");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[SUITE, 0]);
        bytes.extend_from_slice(keys.repository().as_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        put_bytes(&mut bytes, &slots);
        put_bytes(&mut bytes, &seal_object(keys, ObjectKind::Config, &params)?);
        let signature = root.root_signer().sign(keys.repository(), PURPOSE, &bytes);
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }
}

impl From<&Certificate> for WrittenWriter {
    fn from(c: &Certificate) -> Self {
        WrittenWriter {
            public: ByteBuf::from(c.public),
            station: c.role == WriterRole::Station,
            signature: ByteBuf::from(c.signature),
        }
    }
}

impl StoredConfig {
    fn decode(bytes: Vec<u8>) -> Result<Self> {
        let bad = |m: Malformed| Error::new(ErrorKind::Damaged, "reading the config").because(m);
        let mut from = Decoder::new(&bytes);
        if from.array("magic").map_err(bad)? != *MAGIC {
            return Err(bad(Malformed("magic")));
        }
        let version = from.u16("format version").map_err(bad)?;
        let suite = from.u8("suite").map_err(bad)?;
        if version != FORMAT_VERSION || suite != SUITE {
            return Err(Error::new(ErrorKind::TooNew, "reading the config"));
        }
        from.u8("zero").map_err(bad)?;
        let repository = RepositoryId::from_bytes(from.array("repository id").map_err(bad)?);
        let number = from.u64("number").map_err(bad)?;
        let max = usize::try_from(CONFIG_LEN_MAX).unwrap_or(usize::MAX);
        let slots = from.bytes(max, "slots").map_err(bad)?;
        let slots: Vec<Slot> = rmp_serde::from_slice(slots).map_err(|_| bad(Malformed("slots")))?;
        if slots.len() > SLOTS_MAX {
            return Err(bad(Malformed("number of slots")));
        }
        let params = from.bytes(max, "parameters").map_err(bad)?.to_vec();
        let signed_len = bytes.len() - from.remaining();
        from.array::<64>("signature").map_err(bad)?;
        from.finish("end").map_err(bad)?;
        Ok(StoredConfig { repository, number, slots, params, signed_len, bytes })
    }

    /// The secrets of the first slot that opens.
    pub(super) fn unlock(&self, unlock: &Unlock<'_>) -> Result<SlotSecrets> {
        let mut wrong = Error::new(ErrorKind::WrongPassword, "opening the repository");
        for slot in &self.slots {
            let phrase = match (unlock, slot.kind) {
                (Unlock::Password(password), SlotKind::Password(_)) => *password,
                (Unlock::Recovery(key), SlotKind::Recovery) => key.phrase().as_slice(),
                _ => continue,
            };
            match slot.open(self.repository, phrase) {
                Ok(secrets) => return Ok(secrets),
                Err(e) if e.kind() == ErrorKind::WrongPassword => {}
                Err(e) => wrong = e,
            }
        }
        Err(wrong)
    }

    /// The parameters, when the root of `secrets` signed them.
    pub(super) fn open(&self, keys: &Keys, root: &RootSecret) -> Result<RepositoryConfig> {
        let damaged =
            |what| Error::new(ErrorKind::Damaged, "reading the config").because(Malformed(what));
        let root_public = root.root_signer().public();
        let signature = self.bytes.last_chunk().expect("because it was taken when decoded");
        let signed = &self.bytes[..self.signed_len];
        verify_signature(&root_public, self.repository, PURPOSE, signed, signature)?;
        let params = open_object(keys, ObjectKind::Config, &self.params, 1 << 22)?;
        let written: Written = rmp_serde::from_slice(&params).map_err(|_| damaged("parameters"))?;
        if written.recipient != keys.recipient.0 {
            return Err(damaged("recipient"));
        }
        if written.writers.len() > WRITERS_MAX {
            return Err(damaged("number of writers"));
        }
        let tree = TreeParams {
            min_bytes: written.page_min_bytes,
            target_bytes: written.page_target_bytes,
            max_bytes: written.page_max_bytes,
        };
        tree.validate()?;
        let mut writers = Vec::with_capacity(written.writers.len());
        for writer in &written.writers {
            let certificate = Certificate {
                public: writer.public.as_slice().try_into().map_err(|_| damaged("writer"))?,
                role: if writer.station { WriterRole::Station } else { WriterRole::Full },
                signature: writer.signature.as_slice().try_into().map_err(|_| damaged("writer"))?,
            };
            certificate.verify(self.repository, &root_public)?;
            writers.push(certificate);
        }
        Ok(RepositoryConfig { chunker: written.chunker, tree, writers })
    }
}

/// Stores a config under its number, and its copy.
pub(super) fn put_config(backend: &dyn Backend, number: u64, bytes: &[u8]) -> Result<()> {
    for name in [number.to_string(), format!("{number}.copy")] {
        let key = ObjectKey::new(ObjectKind::Config, name);
        backend.put(&key, Body::Bytes(bytes.to_vec().into()))?;
    }
    Ok(())
}

/// Stores the first config of a new repository.
///
/// # Errors
///
/// What storing meets; then nothing is left that would open without the recovery key having been
/// shown. `AlreadyExists` when somebody else made a repository here at the same time.
pub(super) fn put_first_config(backend: &dyn Backend, bytes: &[u8]) -> Result<()> {
    let names = || ["1", "1.copy"].map(|name| ObjectKey::new(ObjectKind::Config, name.to_owned()));
    if let Err(error) = put_config(backend, 1, bytes) {
        let removed = names().iter().all(|key| backend.remove(key).is_ok());
        return Err(match removed {
            true => error,
            false => error.because("what was stored of it could not be removed: empty the place"),
        });
    }
    for key in names() {
        if backend.get_whole(&key, CONFIG_LEN_MAX)? != bytes {
            return Err(Error::new(ErrorKind::AlreadyExists, "making a repository")
                .because("somebody else made one here at the same time"));
        }
    }
    Ok(())
}

/// The numbers of the configs that are there, highest first.
pub(super) fn config_numbers(backend: &dyn Backend) -> Result<Vec<u64>> {
    let mut numbers = std::collections::BTreeSet::new();
    for listed in backend.list(ObjectKind::Config, "") {
        let listed = listed?;
        let name = listed.key.name();
        if let Ok(number) = name.strip_suffix(".copy").unwrap_or(name).parse() {
            numbers.insert(number);
        }
    }
    Ok(numbers.into_iter().rev().collect())
}

/// Both copies of config `number`, as far as they can be read, and the reason for the first that
/// cannot.
pub(super) fn read_config(
    backend: &dyn Backend,
    number: u64,
) -> (Vec<StoredConfig>, Option<Error>) {
    let (mut found, mut failure) = (Vec::new(), None);
    for name in [number.to_string(), format!("{number}.copy")] {
        let key = ObjectKey::new(ObjectKind::Config, name);
        let read = match backend.get_whole(&key, CONFIG_LEN_MAX) {
            Ok(bytes) => StoredConfig::decode(bytes.to_vec()),
            Err(e) if e.kind == BackendErrorKind::NotFound => continue,
            Err(e) => Err(e.into()),
        };
        match read {
            Ok(config) if config.number == number => found.push(config),
            Ok(_) => {
                let replayed = Error::new(ErrorKind::Damaged, format!("reading config {number}"))
                    .because("it is another config under this name");
                failure.get_or_insert(replayed);
            }
            Err(e) => {
                failure.get_or_insert(e);
            }
        }
    }
    (found, failure)
}
