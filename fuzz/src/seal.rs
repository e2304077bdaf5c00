//! Small sealed objects, slots, and the recovery key on paper.
use crate::fixed::{HERE, SALT, SUITE, VERSION, keys, secret, signer};
use devsnap_engine::backend::ObjectKind;
use devsnap_engine::seal::{
    KdfCost, OBJECT_HEADER_LEN, RecoveryKey, RootSecret, SealKey, Slot, SlotKind, SlotSecrets,
    code_of, commitment, open_object, seal_object,
};

const MAX_BYTES: usize = 1 << 20;

/// No object is longer than was allowed. Input: an object, and the text of one: codec, raw length,
/// body.
pub fn object(data: &[u8]) {
    if let Ok(plain) = open_object(keys(), ObjectKind::Note, data, MAX_BYTES) {
        assert!(plain.len() <= MAX_BYTES);
    }
    let key = *blake3::keyed_hash(keys().index_key(), &SALT).as_bytes();
    let kind = [SUITE, code_of(ObjectKind::Note)];
    let header = [b"DEVSNAPO".as_slice(), &VERSION, &kind, &SALT, &commitment(&key)].concat();
    assert_eq!(header.len(), OBJECT_HEADER_LEN);
    let mut text = data.to_vec();
    let bound = [HERE.as_bytes().as_slice(), &header].concat();
    SealKey::new(&key).seal(0, &bound, &mut text);
    let object = [header, text].concat();
    if let Ok(plain) = open_object(keys(), ObjectKind::Note, &object, MAX_BYTES) {
        assert!(plain.len() <= MAX_BYTES);
        let length = u32::from_le_bytes(data[1..5].try_into().expect("because it was read"));
        assert_eq!(plain.len(), length as usize);
    }
}

pub(crate) fn object_seeds() -> Vec<Vec<u8>> {
    let sealed = seal_object(keys(), ObjectKind::Note, &b"keep this one ".repeat(30));
    let frame = {
        let mut compressor = devsnap_engine::seal::Compressor::new().expect("because of memory");
        compressor.compress(vec![b'x'; 5000]).1
    };
    vec![
        sealed.expect("because there are random bytes"),
        b"\x00\x05\x00\x00\x00words".to_vec(),
        [b"\x01\x88\x13\x00\x00".as_slice(), &frame].concat(),
    ]
}

fn secrets() -> SlotSecrets {
    SlotSecrets { root: RootSecret::from_bytes([2; 32]), recipient: secret(), signer: signer() }
}

/// A slot that decodes is spelt so that it decodes again, and one that asks for too much is refused.
pub fn slot(data: &[u8]) {
    let Ok(slot) = rmp_serde::from_slice::<Slot>(data) else {
        return;
    };
    let again = rmp_serde::to_vec_named(&slot).expect("because a slot has a MessagePack form");
    let again: Slot = rmp_serde::from_slice(&again).expect("because it was just written");
    assert_eq!(again, slot);
    // Costs in between are honest ones, which a fuzzer cannot pay thousands of times.
    let work = |cost: KdfCost| u64::from(cost.memory_kib) * u64::from(cost.passes);
    match slot.kind {
        SlotKind::Password(cost) if (512..=16 << 20).contains(&work(cost)) => {}
        _ => drop(slot.open(HERE, b"right")),
    }
}

pub(crate) fn slot_seeds() -> Vec<Vec<u8>> {
    let recovery = RecoveryKey::generate().expect("because there are random bytes");
    let slots = [
        Slot::for_password(HERE, b"right", KdfCost::CHEAP, &secrets()),
        Slot::for_recovery(HERE, &recovery, &secrets()),
    ];
    slots
        .into_iter()
        .map(|slot| slot.expect("because the cost is a sane one"))
        .flat_map(|slot| [rmp_serde::to_vec_named(&slot), rmp_serde::to_vec(&slot)])
        .map(|bytes| bytes.expect("because a slot has a MessagePack form"))
        .collect()
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
    let key = RecoveryKey::generate().expect("because there are random bytes");
    let paper = key.to_paper().as_bytes().to_vec();
    let lower = paper.to_ascii_lowercase().into_iter().filter(|&c| c != b'-').collect();
    vec![paper, lower]
}
