//! Configs, read as opening a repository reads them.
use crate::fixed::{HERE, SUITE, VERSION, object_of, root, secret, signer};
use crate::memory::Shelf;
use crate::records::checked;
use crate::seal::{PASSWORD, config_slots, is_affordable};
use devsnap_engine::backend::{ObjectKey, ObjectKind};
use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::codec::put_bytes;
use devsnap_engine::error::{ErrorKind, Result};
use devsnap_engine::id::hex;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{Repository, RepositoryConfig, Unlock, Writer};
use devsnap_engine::seal::{Slot, WriterRole};
use devsnap_engine::tree::TreeParams;
use serde::Serialize;
use serde_bytes::ByteBuf;
use std::path::Path;
use std::sync::Arc;

/// Magic, version, suite, zero, repository, number.
const HEADER_LEN: usize = 36;

/// A config that is accepted has sizes that work and certified writers, and survives being written
/// again. Input: the 36 bytes before the slots, length of the slots (2 bytes), slots, parameters
/// before they are sealed.
pub fn config(data: &[u8]) {
    // Nobody signed this one.
    assert!(accept(data).is_err());
    let Some((header, rest)) = data.split_first_chunk::<HEADER_LEN>() else {
        return;
    };
    let Some((len, rest)) = rest.split_first_chunk::<2>() else {
        return;
    };
    let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
    let (slots, params) = rest.split_at(len);
    let read = rmp_serde::from_slice::<Vec<Slot>>(slots).unwrap_or_default();
    if !read.iter().all(is_affordable) {
        return;
    }
    if accept(&object(header, slots, params)).is_err() {
        return;
    }
    let config = opened(&object(header, slots, params));
    let again = opened(&object(header, slots, &written(&config)));
    assert_eq!(again, config);
    assert_eq!(checked(config.chunker).ok(), Some(config.chunker));
    assert!(config.tree.validate().is_ok());
    let root_public = root().root_signer().public();
    let verifies = |writer: &Writer| writer.certificate.verify(HERE, &root_public).is_ok();
    assert!(config.writers.iter().all(verifies));
    assert!(config.full_writer(&signer().public()).is_some());
    assert_eq!(config.recipient, secret().public());
}

/// The config with these parts, signed by the root.
fn object(header: &[u8; HEADER_LEN], slots: &[u8], params: &[u8]) -> Vec<u8> {
    let mut bytes = header.to_vec();
    put_bytes(&mut bytes, slots);
    put_bytes(&mut bytes, &object_of(ObjectKind::Config, params));
    let signature = root().root_signer().sign(HERE, "config", &bytes);
    bytes.extend_from_slice(&signature);
    bytes
}

fn open(config: &[u8], cache: &Path) -> Result<Repository> {
    let shelf = Arc::new(Shelf::default());
    shelf.replace_all(ObjectKind::Config, vec![(name_of(config), config.to_vec())]);
    Repository::open(Box::new(shelf), &Unlock::Password(PASSWORD), cache, &Silent)
}

/// The name that the first config with these bytes has.
fn name_of(config: &[u8]) -> ObjectKey {
    let tag = hex(&blake3::hash(config).as_bytes()[..8]);
    ObjectKey::new(ObjectKind::Config, format!("1.{tag}"))
}

/// Whether it opens, without the cost of an index: no cache can be made below a device, and a
/// repository that asks for one has read its config.
fn accept(config: &[u8]) -> Result<()> {
    let error = open(config, Path::new("/dev/null")).err().expect("because nothing is below it");
    if error.kind() == ErrorKind::LocalDisk { Ok(()) } else { Err(error) }
}

fn opened(config: &[u8]) -> RepositoryConfig {
    let cache = tempfile::tempdir().expect("because temporary files can be written");
    let opened = open(config, cache.path()).expect("because it was accepted");
    opened.config().clone()
}

/// An opened repository with the keys of [`fixed`](crate::fixed), and the store under it.
pub(crate) fn open_fixed() -> (Arc<Shelf>, Repository) {
    let shelf = Arc::new(Shelf::default());
    let config = object(&header(), &config_slots(), &written(&standard()));
    shelf.replace_all(ObjectKind::Config, vec![(name_of(&config), config)]);
    // Its files stay open after they are removed with the folder.
    let cache = tempfile::tempdir().expect("because temporary files can be written");
    let unlock = Unlock::Password(PASSWORD);
    let opened = Repository::open(Box::new(shelf.clone()), &unlock, cache.path(), &Silent);
    (shelf, opened.expect("because the config is well-formed"))
}

#[derive(Serialize)]
struct Params {
    chunker: ChunkerParams,
    page_min_bytes: u32,
    page_target_bytes: u32,
    page_max_bytes: u32,
    recipient: ByteBuf,
    writers: Vec<WrittenWriter>,
}

#[derive(Serialize)]
struct WrittenWriter {
    public: ByteBuf,
    station: bool,
    signature: ByteBuf,
    label: String,
    created_at_secs: i64,
    retired: bool,
}

/// Parameters before they are sealed.
fn written(config: &RepositoryConfig) -> Vec<u8> {
    let writer = |writer: &Writer| WrittenWriter {
        public: ByteBuf::from(writer.certificate.public),
        station: writer.certificate.role == WriterRole::Station,
        signature: ByteBuf::from(writer.certificate.signature),
        label: writer.label.clone(),
        created_at_secs: writer.created_at_secs,
        retired: writer.is_retired,
    };
    let params = Params {
        chunker: config.chunker,
        page_min_bytes: config.tree.min_bytes,
        page_target_bytes: config.tree.target_bytes,
        page_max_bytes: config.tree.max_bytes,
        recipient: ByteBuf::from(config.recipient.0),
        writers: config.writers.iter().map(writer).collect(),
    };
    rmp_serde::to_vec_named(&params).expect("because every field has a form")
}

fn standard() -> RepositoryConfig {
    let writer = |public, role| Writer {
        certificate: root().root_signer().certify(HERE, public, role),
        label: "hall".to_owned(),
        created_at_secs: 1_700_000_000,
        is_retired: role == WriterRole::Station,
    };
    let writers =
        vec![writer(signer().public(), WriterRole::Full), writer([8; 32], WriterRole::Station)];
    let (chunker, tree) = (ChunkerParams::STANDARD, TreeParams::STANDARD);
    RepositoryConfig { chunker, tree, recipient: secret().public(), writers }
}

fn header() -> [u8; HEADER_LEN] {
    let number = 1u64.to_le_bytes();
    let header = [b"DEVSNAPC".as_slice(), &VERSION, &[SUITE, 0], HERE.as_bytes(), &number].concat();
    header.try_into().expect("because that is how long it is")
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let slots = config_slots();
    let len = u16::try_from(slots.len()).expect("because slots are short").to_le_bytes();
    let small = RepositoryConfig {
        chunker: ChunkerParams::new(64, 256, 1024, 512).expect("because the sizes are allowed"),
        tree: TreeParams::around(256),
        ..standard()
    };
    let seed =
        |config: &RepositoryConfig| [header().as_slice(), &len, &slots, &written(config)].concat();
    [standard(), small].iter().map(seed).collect()
}
