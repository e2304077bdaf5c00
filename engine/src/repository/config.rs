//! What a repository is: its id, its key slots, its parameters.
//!
//! | bytes | field |
//! |---|---|
//! | 8 | magic `DEVSNAPC` |
//! | 2, 1, 1 | format version, suite, zero |
//! | 16 | repository id |
//! | 8 | number: what the name of the object begins with |
//! | varint, – | slots, as a MessagePack array, behind their length |
//! | varint, – | parameters, sealed under the index key, behind their length |
//! | 64 | the root's signature over all before, purpose `config` |
//!
//! Slots are in the clear, since they are what opens the rest; what people call them is not. Which
//! config is in force, and how another takes its place, is the matter of
//! [`configs`](super::configs).
use crate::backend::ObjectKind;
use crate::chunker::ChunkerParams;
use crate::codec::{Decoder, Malformed, put_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RepositoryId;
use crate::seal::{
    Certificate, FORMAT_VERSION, Keys, RecipientPublic, RecoveryKey, RootSecret, SUITE, Slot,
    SlotKind, SlotSecrets, WriterId, WriterKey, WriterRole, open_object, seal_object,
    verify_signature,
};
use crate::tree::TreeParams;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

const MAGIC: &[u8; 8] = b"DEVSNAPC";
const PURPOSE: &str = "config";

/// The longest config, in bytes.
pub(super) const CONFIG_LEN_MAX: u64 = 1 << 20;
pub(super) const SLOTS_MAX: usize = 64;
const WRITERS_MAX: usize = 10_000;
pub(super) const LABEL_LEN_MAX: usize = 200;

/// What opens a repository.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// A password.
    Password(&'a [u8]),
    /// The recovery key from paper.
    Recovery(&'a RecoveryKey),
    /// A station's key: adds snapshots, and reads none.
    Station(&'a WriterKey),
}

/// How contents and trees are cut, and who may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// Sizes of chunks.
    pub chunker: ChunkerParams,
    /// Sizes of pages.
    pub tree: TreeParams,
    /// Whom new sessions are sealed to.
    pub recipient: RecipientPublic,
    /// Writers that the root has certified, those of slots that are gone included: what they wrote
    /// still has to be verified.
    pub writers: Vec<Writer>,
}

/// A writer and what people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The root's word that it may write, and as what.
    pub certificate: Certificate,
    /// What a person called it; any text, may be empty.
    pub label: String,
    /// When it was made, in seconds since 1970 by the clock of who made it.
    pub created_at_secs: i64,
    /// Its key was removed: what it wrote is verified, and it writes no more.
    pub is_retired: bool,
}

/// A config as stored, before a slot was opened.
pub(super) struct StoredConfig {
    pub(super) repository: RepositoryId,
    pub(super) number: u64,
    pub(super) slots: Vec<Slot>,
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
    label: String,
    created_at_secs: i64,
    retired: bool,
}

impl RepositoryConfig {
    /// The writer that `public` names, if the root has certified it.
    pub fn writer(&self, public: &[u8; 32]) -> Option<WriterId> {
        self.certified(public).map(|writer| writer.certificate.writer())
    }

    /// As [`writer`](Self::writer), if it may do everything.
    pub fn full_writer(&self, public: &[u8; 32]) -> Option<WriterId> {
        let full = self.certified(public).filter(|w| w.certificate.role == WriterRole::Full);
        full.map(|writer| writer.certificate.writer())
    }

    /// Whether the writer of this name may do everything.
    pub fn is_full(&self, id: WriterId) -> bool {
        self.writer_by_id(id).is_some_and(|writer| writer.certificate.role == WriterRole::Full)
    }

    /// The writer of this name.
    pub fn writer_by_id(&self, id: WriterId) -> Option<&Writer> {
        self.writers.iter().find(|writer| writer.certificate.writer() == id)
    }

    /// Whether stations write here or ever did: what is found without a full writer's word may then
    /// be anybody's.
    pub fn has_stations(&self) -> bool {
        self.writers.iter().any(|writer| writer.certificate.role == WriterRole::Station)
    }

    fn certified(&self, public: &[u8; 32]) -> Option<&Writer> {
        self.writers.iter().find(|writer| writer.certificate.public == *public)
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
            recipient: ByteBuf::from(self.recipient.0),
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
        if bytes.len() as u64 > CONFIG_LEN_MAX || self.writers.len() > WRITERS_MAX {
            return Err(Error::new(ErrorKind::Invalid, "changing the keys")
                .because("there is no room for more: a config has at most 1 MiB"));
        }
        Ok(bytes)
    }
}

impl From<&Writer> for WrittenWriter {
    fn from(writer: &Writer) -> Self {
        WrittenWriter {
            public: ByteBuf::from(writer.certificate.public),
            station: writer.certificate.role == WriterRole::Station,
            signature: ByteBuf::from(writer.certificate.signature),
            label: writer.label.clone(),
            created_at_secs: writer.created_at_secs,
            retired: writer.is_retired,
        }
    }
}

impl WrittenWriter {
    /// The writer, if the root made its certificate.
    fn verified(self, repository: RepositoryId, root_public: &[u8; 32]) -> Result<Writer> {
        let damaged =
            || Error::new(ErrorKind::Damaged, "reading the config").because(Malformed("writer"));
        if self.label.len() > LABEL_LEN_MAX {
            return Err(damaged());
        }
        let certificate = Certificate {
            public: self.public.as_slice().try_into().map_err(|_| damaged())?,
            role: if self.station { WriterRole::Station } else { WriterRole::Full },
            signature: self.signature.as_slice().try_into().map_err(|_| damaged())?,
        };
        certificate.verify(repository, root_public)?;
        let WrittenWriter { label, created_at_secs, retired: is_retired, .. } = self;
        Ok(Writer { certificate, label, created_at_secs, is_retired })
    }
}

impl StoredConfig {
    pub(super) fn decode(bytes: Vec<u8>) -> Result<Self> {
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

    /// The first slot that opens, by its place, and its secrets. A station has no slot.
    pub(super) fn unlock(&self, unlock: &Unlock<'_>) -> Result<(usize, SlotSecrets)> {
        let mut wrong = Error::new(ErrorKind::WrongPassword, "opening the repository");
        for (place, slot) in self.slots.iter().enumerate() {
            let phrase = match (unlock, slot.kind) {
                (Unlock::Password(password), SlotKind::Password(_)) => *password,
                (Unlock::Recovery(key), SlotKind::Recovery) => key.phrase().as_slice(),
                _ => continue,
            };
            match slot.open(self.repository, phrase) {
                Ok(secrets) => return Ok((place, secrets)),
                Err(e) if e.kind() == ErrorKind::WrongPassword => {}
                Err(e) => wrong = e,
            }
        }
        Err(wrong)
    }

    /// The parameters, when the root signed them. Only the index key of `keys` is used.
    pub(super) fn open(&self, keys: &Keys, root_public: &[u8; 32]) -> Result<RepositoryConfig> {
        let damaged =
            |what| Error::new(ErrorKind::Damaged, "reading the config").because(Malformed(what));
        let signature = self.bytes.last_chunk().expect("because it was taken when decoded");
        let signed = &self.bytes[..self.signed_len];
        verify_signature(root_public, self.repository, PURPOSE, signed, signature)?;
        let params = open_object(keys, ObjectKind::Config, &self.params, 1 << 22)?;
        let written: Written = rmp_serde::from_slice(&params).map_err(|_| damaged("parameters"))?;
        let recipient =
            written.recipient.as_slice().try_into().map_err(|_| damaged("recipient"))?;
        if written.writers.len() > WRITERS_MAX {
            return Err(damaged("number of writers"));
        }
        let tree = TreeParams {
            min_bytes: written.page_min_bytes,
            target_bytes: written.page_target_bytes,
            max_bytes: written.page_max_bytes,
        };
        tree.validate()?;
        let verified = |writer: WrittenWriter| writer.verified(self.repository, root_public);
        let writers = written.writers.into_iter().map(verified).collect::<Result<_>>()?;
        let (chunker, recipient) = (written.chunker, RecipientPublic(recipient));
        Ok(RepositoryConfig { chunker, tree, recipient, writers })
    }
}
