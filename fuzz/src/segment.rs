//! Index segments.
use crate::fixed::{body_of, certified, keys, object_of, signed};
use crate::pack::{as_written, check_footer, footers, header};
use devsnap_engine::backend::ObjectKind;
use devsnap_engine::id::PackId;
use devsnap_engine::index::{IndexSegment, IndexedPack};
use devsnap_engine::pack::{PACK_LEN_MAX, PackHeader, PackKind};

const PURPOSE: &str = "index segment";

/// A segment lists sound packs and has one spelling, but for the places of blocks that were never
/// written. Input: what is signed.
pub fn segment(data: &[u8]) {
    assert!(IndexSegment::open(keys(), data, certified).is_err(), "nobody sealed this one");
    let object = object_of(ObjectKind::IndexSegment, &signed(PURPOSE, data));
    let Ok((writer, segment)) = IndexSegment::open(keys(), &object, certified) else {
        return;
    };
    assert_eq!(writer, keys().signer.writer());
    for pack in &segment.packs {
        assert!(pack.pack_len <= PACK_LEN_MAX);
        check_footer(&pack.footer, pack.pack_len);
    }
    let mut kept = segment.clone();
    for pack in &mut kept.packs {
        pack.footer = as_written(&pack.footer);
    }
    let again = segment.seal(keys()).expect("because it is hardly longer than the input");
    if kept == segment {
        assert_eq!(body_of(ObjectKind::IndexSegment, PURPOSE, &again), data);
    }
    let (_, again) = IndexSegment::open(keys(), &again, certified).expect("because it was read");
    assert_eq!(again, kept);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let pack = |(n, footer)| IndexedPack {
        id: PackId::from_bytes([n; 32]),
        header: PackHeader { kind: [PackKind::Meta, PackKind::Data][usize::from(n)], ..*header() },
        pack_len: 6400,
        footer,
    };
    let packs: Vec<IndexedPack> = (0u8..).zip(footers()).map(pack).collect();
    let tombstones = vec![PackId::from_bytes([7; 32]), PackId::from_bytes([1; 32])];
    let segments = [
        IndexSegment::default(),
        IndexSegment { packs: packs.clone(), ..IndexSegment::default() },
        IndexSegment { packs: packs.clone(), is_hearsay: true, ..IndexSegment::default() },
        IndexSegment { packs, tombstones: tombstones.clone(), is_hearsay: false },
        IndexSegment { tombstones, ..IndexSegment::default() },
    ];
    let body = |segment: &IndexSegment| {
        let object = segment.seal(keys()).expect("because there are random bytes");
        body_of(ObjectKind::IndexSegment, PURPOSE, &object)
    };
    segments.iter().map(body).collect()
}
