//! What an opened repository reads besides snapshots: marks of sessions and sweepers, and packs
//! that no segment lists.
use crate::config::open_fixed;
use crate::fixed::{HERE, object_of, signed, signer};
use crate::memory::Shelf;
use crate::pack;
use devsnap_engine::backend::{ObjectKey, ObjectKind};
use devsnap_engine::codec::{Decoder, put_bytes, put_varint};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::id::{SessionId, hex};
use devsnap_engine::pack::{HEADER_LEN, PackKind, TRAILER_LEN};
use devsnap_engine::repository::{Repository, SessionMarks};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// One repository for all inputs, which take turns.
struct Opened {
    shelf: Arc<Shelf>,
    repository: Repository,
}

fn opened() -> MutexGuard<'static, Opened> {
    static OPENED: OnceLock<Mutex<Opened>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| {
        let (shelf, repository) = open_fixed();
        Mutex::new(Opened { shelf, repository })
    });
    opened.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sweep mark under a name that a full key signed is either a time, a number of packs and as many ids,
/// or an error: what it may condemn is never taken for safe. It stands until a `done` is there that was
/// signed under its own name; then nobody reads it. Under any other name nothing is obeyed. Input: what
/// is signed behind the name.
pub fn sweep_mark(data: &[u8]) {
    let Opened { shelf, repository } = &*opened();
    let key = |name: &str| ObjectKey::new(ObjectKind::Gc, name);
    let named = |name: &str, body: &[u8]| {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, name.as_bytes());
        bytes.extend_from_slice(body);
        object_of(ObjectKind::Gc, &signed("sweep mark", &bytes))
    };
    let read_with = |objects| {
        shelf.replace_all(ObjectKind::Gc, objects);
        repository.bring_level().map(|level| level.stray_marks.len()).map_err(|e| e.kind())
    };
    let sweep = |id: u8| {
        let signature = signer().sign(HERE, "sweep name", &[id; 16]);
        format!("{}-{}-{}", hex(&[id; 16]), signer().writer().short(), hex(&signature))
    };
    let ours = format!("{}.mark", sweep(7));
    let mark = (key(&ours), named(&ours, data));
    let expected = if is_list_of_packs(data) { Ok(0) } else { Err(ErrorKind::Damaged) };
    assert_eq!(read_with(vec![mark.clone()]), expected);
    let elsewhere = (key(&format!("{}.mark", sweep(8))), mark.1.clone());
    assert_eq!(read_with(vec![elsewhere]), Err(ErrorKind::Damaged), "it is of another sweep");
    let nobodys = (key("7f3a.mark"), named("7f3a.mark", data));
    assert_eq!(read_with(vec![nobodys]), Ok(1), "nobody signed its name");
    let done = |body: Vec<u8>| (key(&format!("{}.done", sweep(7))), body);
    let no_packs = [0; 9];
    let other_done = named(&format!("{}.done", sweep(8)), &no_packs);
    for not_done in [data.to_vec(), other_done, mark.1.clone()] {
        assert_eq!(read_with(vec![mark.clone(), done(not_done)]), expected);
    }
    let done = done(named(&format!("{}.done", sweep(7)), &no_packs));
    assert_eq!(read_with(vec![mark, done]), Ok(0), "nobody reads it any more");
    shelf.replace_all(ObjectKind::Gc, vec![(key(&ours), data.to_vec())]);
    assert!(repository.bring_level().is_err(), "nobody sealed this one");
    shelf.replace_all(ObjectKind::Gc, Vec::new());
}

fn is_list_of_packs(body: &[u8]) -> bool {
    let mut from = Decoder::new(body);
    let time = from.u64("time").ok();
    let count = time.and_then(|_| from.varint("number of packs").ok());
    count.and_then(|count| count.checked_mul(32)) == Some(from.remaining() as u64)
}

pub(crate) fn sweep_mark_seeds() -> Vec<Vec<u8>> {
    let seed = |count: u8| {
        let mut body = vec![count; 8];
        put_varint(&mut body, count.into());
        (0..count).for_each(|n| body.extend_from_slice(&[n; 32]));
        body
    };
    [0, 1, 5, 130].map(seed).to_vec()
}

/// A session has ended when its `end` lies there and stands while `open` does without `fence`,
/// whatever else the folder holds. Input: names of objects, one a line.
pub fn session_marks(data: &[u8]) {
    let Opened { shelf, repository } = &*opened();
    let text = String::from_utf8_lossy(data);
    let keys: Vec<ObjectKey> =
        text.lines().filter_map(|name| ObjectKey::parse(ObjectKind::Session, name)).collect();
    shelf.replace_all(
        ObjectKind::Session,
        keys.iter().map(|key| (key.clone(), b"not read".to_vec())).collect(),
    );
    let all = SessionMarks::list(repository, "").expect("because memory can be listed");
    let there = |session: SessionId, mark: &str| {
        keys.iter().any(|key| key.name() == format!("{session}.{mark}"))
    };
    let first_digits = |key: &ObjectKey| key.name().split('.').next()?.parse::<SessionId>().ok();
    let sessions: BTreeSet<SessionId> = keys.iter().filter_map(first_digits).collect();
    for session in sessions.into_iter().chain([SessionId::from_bytes([0xee; 16])]) {
        let one = SessionMarks::list(repository, &session.to_hex());
        for marks in [&all, &one.expect("because memory can be listed")] {
            assert_eq!(marks.has_ended(session), there(session, "end"));
            let stands = there(session, "open") && !there(session, "fence");
            assert_eq!(marks.stands(session), stands);
        }
    }
    shelf.replace_all(ObjectKind::Session, Vec::new());
}

pub(crate) fn session_marks_seeds() -> Vec<Vec<u8>> {
    let (one, other) = (SessionId::from_bytes([0x7f; 16]), SessionId::from_bytes([0xa0; 16]));
    let seeds = [
        format!("{one}.open\n{one}.beat-1\n{one}.beat-2\n{other}.end"),
        format!("{one}.open\n{one}.fence\n{other}.open\n{other}.end\nstray\n7f7f.end"),
    ];
    seeds.map(String::into_bytes).to_vec()
}

/// What a mark says of its program is believed only when it was signed for this session and this mark.
/// Input: what is signed behind the session's id.
pub fn session_mark(data: &[u8]) {
    let Opened { shelf, repository } = &*opened();
    let (ours, other) = (SessionId::from_bytes([0x7f; 16]), SessionId::from_bytes([0xa0; 16]));
    let said = |session: SessionId, name: &str, object: Vec<u8>| {
        let key = ObjectKey::new(ObjectKind::Session, format!("{session}.{name}"));
        shelf.replace_all(ObjectKind::Session, vec![(key, object)]);
        let marks = SessionMarks::list(repository, "").expect("because memory can be listed");
        marks.about(repository, session).program
    };
    let signed_for = |session: SessionId| {
        let body = [session.as_bytes().as_slice(), data].concat();
        object_of(ObjectKind::Session, &signed("session mark", &body))
    };
    let program = said(ours, "open", signed_for(ours));
    if let Some(program) = &program {
        assert!(program.len() < data.len() && data.windows(4).any(|at| at == b"open"));
        assert_eq!(said(ours, "open", signed_for(ours)).as_ref(), Some(program));
    }
    assert_eq!(said(ours, "open", signed_for(other)), None, "it is of another session");
    assert_eq!(said(ours, "open", data.to_vec()), None, "nobody sealed this one");
    assert_eq!(said(ours, "fence", signed_for(ours)), None, "only who opened it has a say");
    shelf.replace_all(ObjectKind::Session, Vec::new());
}

pub(crate) fn session_mark_seeds() -> Vec<Vec<u8>> {
    // A map of three, in the names that are written.
    let seed = |mark: &str, program: &str| {
        let mut body = vec![0x83];
        for (name, text) in [("mark", mark), ("program", program)] {
            for word in [name, text] {
                body.push(0xa0 | u8::try_from(word.len()).expect("because it is short"));
                body.extend_from_slice(word.as_bytes());
            }
        }
        body.extend_from_slice(b"\xa7at_secs\xce\x65\x00\x00\x00");
        body
    };
    [seed("open", "devsnap 0.1.0"), seed("fence", "x"), seed("open", "")].to_vec()
}

/// What precedes a pack's header in the input of [`stored_pack`].
const HOW_LEN: usize = 4 + TRAILER_LEN;

/// A pack that is read from the store is the one that lies there, with its blobs inside it. Input:
/// kind of the object it is stored as (1 byte), how far off the length is that the listing claims
/// (1, signed), where the footer stands (2), what is changed in the trailer (24, exclusive or), the
/// pack's header (124), the footer before it is sealed.
pub fn stored_pack(data: &[u8]) {
    let Some((how, rest)) = data.split_first_chunk::<HOW_LEN>() else {
        return;
    };
    let Some((header, text)) = rest.split_first_chunk::<HEADER_LEN>() else {
        return;
    };
    let [kind, claim, low, high, changes @ ..] = how;
    let position = usize::from(u16::from_le_bytes([*low, *high])).max(HEADER_LEN);
    let sealed = pack::seal_footer(header, position as u64, text);
    let mut trailer = pack::trailer(position as u64, sealed.len() as u32);
    trailer.iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
    let mut object = header.to_vec();
    object.resize(position, 0xb5);
    object.extend_from_slice(&sealed);
    object.extend_from_slice(&trailer);

    let Opened { shelf, repository } = &*opened();
    let kind = if kind & 1 == 0 { PackKind::Data } else { PackKind::Meta };
    let name = blake3::hash(&object).to_hex();
    let key = ObjectKey::new(kind.object_kind(), name.as_str());
    let pack_len = object.len() as u64;
    let claimed = pack_len.saturating_add_signed(i64::from(claim.cast_signed()));
    shelf.replace_all(key.kind(), vec![(key.clone(), object)]);
    let read = repository.read_pack_list(&key, claimed);
    shelf.replace_all(key.kind(), Vec::new());
    match read {
        Ok(pack) => {
            assert_eq!((pack.id.to_hex().as_str(), pack.pack_len), (name.as_str(), pack_len));
            assert_eq!((pack.header.kind, pack.header.encode()), (kind, *header));
            pack::check_footer(&pack.footer, position as u64);
        }
        Err(e) => assert!(matches!(e.kind(), ErrorKind::Damaged | ErrorKind::TooNew), "{e:?}"),
    }
}

pub(crate) fn stored_pack_seeds() -> Vec<Vec<u8>> {
    let texts = pack::footer_seeds_at(POSITION.into());
    let kinds = pack::header_seeds().into_iter().zip([0u8, 1]).cycle();
    let seed = |(text, (header, kind)): (Vec<u8>, (Vec<u8>, u8))| {
        let [low, high] = POSITION.to_le_bytes();
        [[kind, 0, low, high].as_slice(), &[0; TRAILER_LEN], &header, &text].concat()
    };
    texts.into_iter().zip(kinds).map(seed).collect()
}

/// Where footers stand in the seeds: behind all their blocks.
const POSITION: u16 = 6400;
