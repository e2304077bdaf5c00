//! Small sealed objects, slots, and the recovery key on paper.
use crate::fixed::{
    ENCAPSULATED, HERE, SALT, keys, object_around, object_of, root, secret, signer,
};
use argon2::{Algorithm, Argon2, Params, Version};
use devsnap_engine::backend::ObjectKind;
use devsnap_engine::id::hex;
use devsnap_engine::seal::{
    Compressor, KdfCost, RECIPIENTS_MAX, RecipientSecret, RecoveryKey, SealKey, Slot, SlotKind,
    WriterKey, commitment, open_object,
};
use serde::Serialize;
use serde_bytes::ByteBuf;

const MAX_BYTES: usize = 1 << 20;

/// No object is longer than was allowed. Input: an object, and the text of one: codec, raw length,
/// body.
pub fn object(data: &[u8]) {
    if let Ok(plain) = open_object(keys(), ObjectKind::Note, data, MAX_BYTES) {
        assert!(plain.len() <= MAX_BYTES);
    }
    let object = object_around(ObjectKind::Note, data);
    if let Ok(plain) = open_object(keys(), ObjectKind::Note, &object, MAX_BYTES) {
        assert!(plain.len() <= MAX_BYTES);
        let length = u32::from_le_bytes(data[1..5].try_into().expect("because it was read"));
        assert_eq!(plain.len(), length as usize);
    }
}

pub(crate) fn object_seeds() -> Vec<Vec<u8>> {
    let frame = {
        let mut compressor = Compressor::new().expect("because there is memory for one");
        compressor.compress(vec![b'x'; 5000]).1
    };
    vec![
        object_of(ObjectKind::Note, &b"keep this one ".repeat(30)),
        b"\x00\x05\x00\x00\x00words".to_vec(),
        [b"\x01\x88\x13\x00\x00".as_slice(), &frame].concat(),
    ]
}

/// Opens the slot with a password.
pub(crate) const PASSWORD: &[u8] = b"right";

/// Opens the other one, as it stands on paper.
const PAPER: &str = "810M-4GT4-8N34-EJ29-995M-RKAE-9X85-2MJK-AHAN-CNTR-B5D5-PQ2X-BSFH-HG9X";

fn recovery() -> RecoveryKey {
    RecoveryKey::from_paper(PAPER).expect("because its checksum is right")
}

#[derive(Serialize)]
struct WrittenSlot {
    kind: SlotKind,
    writer: ByteBuf,
    salt: ByteBuf,
    committed: ByteBuf,
    wrapped: ByteBuf,
    public: ByteBuf,
    recipients: Vec<ByteBuf>,
}

/// A slot under the key that `stretched` leads to; the engine's own would be salted anew each time.
fn slot_under(kind: SlotKind, stretched: &[u8; 32]) -> WrittenSlot {
    let mut hasher = blake3::Hasher::new_derive_key("devsnap 2026-11 v1 slot wrapping key");
    hasher.update(HERE.as_bytes()).update(&SALT).update(stretched);
    let key = *hasher.finalize().as_bytes();
    let mut wrapped = [*root().as_bytes(), *lock().as_bytes(), *signer().seed()].concat();
    SealKey::new(&key).seal(0, HERE.as_bytes(), &mut wrapped);
    let [salt, committed, public] = [SALT, commitment(&key), lock().public().0].map(ByteBuf::from);
    WrittenSlot {
        kind,
        writer: ByteBuf::from(signer().writer().0),
        salt,
        committed,
        wrapped: ByteBuf::from(wrapped),
        public,
        recipients: [former(), secret()].iter().map(handed_over).collect(),
    }
}

/// The slots' own key.
fn lock() -> RecipientSecret {
    RecipientSecret::from_bytes([0x10; 32]).expect("because any 32 bytes are an X25519 secret")
}

/// Opened packs before the recipient was changed.
fn former() -> RecipientSecret {
    RecipientSecret::from_bytes([0x0f; 32]).expect("because any 32 bytes are an X25519 secret")
}

/// A secret as a slot holds it; the engine's own would be encapsulated anew each time.
fn handed_over(secret: &RecipientSecret) -> ByteBuf {
    let key = lock().handover_key(HERE, signer().writer(), ENCAPSULATED);
    let key = key.expect("because the encapsulated bytes are a public key");
    let mut sealed = secret.as_bytes().to_vec();
    SealKey::new(&key).seal(0, HERE.as_bytes(), &mut sealed);
    ByteBuf::from([ENCAPSULATED.as_slice(), &sealed].concat())
}

fn slots() -> [WrittenSlot; 2] {
    let KdfCost { memory_kib, passes, lanes } = KdfCost::CHEAP;
    let params = Params::new(memory_kib, passes, lanes, Some(32)).expect("because it is sane");
    let mut stretched = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(PASSWORD, &SALT, &mut stretched)
        .expect("because the cost is a sane one");
    let by_recovery = *blake3::hash(recovery().phrase()).as_bytes();
    [
        slot_under(SlotKind::Password(KdfCost::CHEAP), &stretched),
        slot_under(SlotKind::Recovery, &by_recovery),
    ]
}

/// Whether a fuzzer can try a phrase: dear costs that are refused cost nothing, but honest ones
/// in between cannot be paid thousands of times.
pub(crate) fn is_affordable(slot: &Slot) -> bool {
    let work = |cost: KdfCost| u64::from(cost.memory_kib) * u64::from(cost.passes);
    !matches!(slot.kind, SlotKind::Password(cost) if (512..=16 << 20).contains(&work(cost)))
}

/// A slot that decodes is spelt so that it decodes again, and one that asks for too much is refused.
pub fn slot(data: &[u8]) {
    let Ok(slot) = rmp_serde::from_slice::<Slot>(data) else {
        return;
    };
    let again = rmp_serde::to_vec_named(&slot).expect("because a slot has a MessagePack form");
    let again: Slot = rmp_serde::from_slice(&again).expect("because it was just written");
    assert_eq!(again, slot);
    if is_affordable(&slot)
        && let Ok(secrets) = slot.open(HERE, PASSWORD)
    {
        assert_eq!(secrets.signer.writer(), slot.writer());
        assert!((1..=RECIPIENTS_MAX).contains(&secrets.recipients.len()));
    }
}

pub(crate) fn slot_seeds() -> Vec<Vec<u8>> {
    let both = |slot: WrittenSlot| [rmp_serde::to_vec_named(&slot), rmp_serde::to_vec(&slot)];
    let seeds = slots().into_iter().flat_map(both);
    seeds.map(|bytes| bytes.expect("because every field has a form")).collect()
}

/// Slots as they stand in a config: an array of maps.
pub(crate) fn config_slots() -> Vec<u8> {
    rmp_serde::to_vec_named(&slots()).expect("because every field has a form")
}

/// A recovery key that is read from paper is written so that it is read again.
pub fn recovery_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(key) = RecoveryKey::from_paper(&text) {
        let again = RecoveryKey::from_paper(&key.to_paper()).expect("because it is well-formed");
        assert_eq!(again.phrase(), key.phrase());
    }
}

pub(crate) fn recovery_key_seeds() -> Vec<Vec<u8>> {
    let paper = PAPER.as_bytes().to_vec();
    let lower = paper.to_ascii_lowercase().into_iter().filter(|&c| c != b'-').collect();
    vec![paper, lower]
}

/// A writer key file that is read is one with its checksum, and its key signs as it says.
pub fn writer_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(key) = WriterKey::from_text(&text) {
        let again = WriterKey::from_text(&key.to_text("")).expect("because it was read");
        assert_eq!(again.writer(), key.writer());
        assert_eq!(again.repository(), key.repository());
        assert_eq!(again.root_public(), key.root_public());
    }
}

pub(crate) fn writer_key_seeds() -> Vec<Vec<u8>> {
    let keys = [*signer().seed(); 5].concat();
    let root_public = root().root_signer().public();
    let body = [HERE.as_bytes().as_slice(), &keys, &root_public, signer().seed()].concat();
    let checksum = blake3::derive_key("devsnap 2026-11 v1 writer key checksum", &body);
    let digits = hex(&[body.as_slice(), &checksum[..8]].concat());
    let (front, back) = digits.split_at(200);
    vec![
        format!("devsnap writer key 1\n{digits}\n").into_bytes(),
        format!("devsnap writer key 1\r\n# hall\r\n{front}\r\n\r\n{back}").into_bytes(),
        format!("devsnap writer key 2\n{digits}\n").into_bytes(),
    ]
}
