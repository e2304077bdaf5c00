//! The canonical bytes of a node: a few fixed fields, then tagged ones in rising order of tag.
//!
//! A field that has its usual value is left out, so a plain file of one chunk takes about 60
//! bytes. Tags are written at most once and in order: one node has one spelling. A tag that is
//! not known is refused as "written by a newer devsnap" unless its high bit says that it may be
//! ignored. The layout stands in `docs/format.md`, "Node".
use super::{
    ATTACHED_LEN_MAX, Attached, CHUNKS_IN_NODE_MAX, ChunkRef, Content, Encoding, FileContent, Hole,
    INLINE_LEN_MAX, Node, NodeKind, Time, Xattr,
};
use crate::codec::{Decoder, Malformed, put_bytes, put_varint};
use crate::id::BlobId;
use crate::path::{PATH_LEN_MAX, TreePath};

/// The longest encoded node, in bytes: the longest link target and hard-link name, 64 chunk
/// references, and attributes that still stand in the node.
pub const NODE_LEN_MAX: usize = 2 * PATH_LEN_MAX + 8 * 1024;

const TAG_BIRTH: u8 = 0x01;
const TAG_CONTENT: u8 = 0x02;
const TAG_HOLES: u8 = 0x03;
const TAG_XATTRS: u8 = 0x04;
const TAG_LINK_TARGET: u8 = 0x05;
const TAG_DEVICE: u8 = 0x06;
const TAG_HARD_LINK: u8 = 0x07;
const TAG_APPLE_KEY: u8 = 0x08;
const TAG_CHANGED: u8 = 0x81;
const TAG_IGNORABLE: u8 = 0x80;

/// The node's canonical bytes.
pub fn encode(node: &Node) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.push(kind_code(node.kind));
    put_varint(&mut out, u64::from(node.mode));
    put_varint(&mut out, u64::from(node.uid));
    put_varint(&mut out, u64::from(node.gid));
    put_time(&mut out, node.mtime);
    let mut field = Vec::new();
    let mut put = |tag: u8, field: &mut Vec<u8>| {
        out.push(tag);
        put_bytes(&mut out, field);
        field.clear();
    };
    if let Some(birth) = node.birth {
        put_time(&mut field, birth);
        put(TAG_BIRTH, &mut field);
    }
    if node.content.content != Content::Empty {
        encode_content(&node.content, &mut field);
        put(TAG_CONTENT, &mut field);
    }
    for (tag, attached) in [(TAG_HOLES, &node.holes), (TAG_XATTRS, &node.xattrs)] {
        if *attached != Attached::None {
            put_attached(&mut field, attached);
            put(tag, &mut field);
        }
    }
    if !node.link_target.is_empty() {
        field.extend_from_slice(&node.link_target);
        put(TAG_LINK_TARGET, &mut field);
    }
    if let Some((major, minor)) = node.device {
        put_varint(&mut field, u64::from(major));
        put_varint(&mut field, u64::from(minor));
        put(TAG_DEVICE, &mut field);
    }
    if let Some(group) = &node.hard_link {
        field.extend_from_slice(group.key());
        put(TAG_HARD_LINK, &mut field);
    }
    if let Encoding::AppleEncrypted { file_key } = &node.encoding {
        field.extend_from_slice(file_key);
        put(TAG_APPLE_KEY, &mut field);
    }
    if node.changed_while_read {
        put(TAG_CHANGED, &mut field);
    }
    out
}

/// The node that `record` spells.
///
/// # Errors
///
/// `Malformed` for anything [`encode`] does not write, but for unknown fields that may be ignored.
pub fn decode(record: &[u8]) -> Result<Node, Malformed> {
    if record.len() > NODE_LEN_MAX {
        return Err(Malformed("node longer than a node may be"));
    }
    let mut decoder = Decoder::new(record);
    let kind = kind_of(decoder.u8("node kind")?)?;
    let mode = small(&mut decoder, 0o7777, "node mode")?;
    let mut node = Node::new(kind, mode);
    node.uid = small(&mut decoder, u32::MAX, "node owner")?;
    node.gid = small(&mut decoder, u32::MAX, "node group")?;
    node.mtime = take_time(&mut decoder)?;
    let mut last_tag = None;
    while !decoder.is_empty() {
        let tag = decoder.u8("node tag")?;
        if last_tag.is_some_and(|last| last >= tag) {
            return Err(Malformed("node tags in rising order"));
        }
        last_tag = Some(tag);
        take_field(&mut node, tag, decoder.bytes(NODE_LEN_MAX, "node field")?)?;
    }
    Ok(node)
}

fn take_field(node: &mut Node, tag: u8, bytes: &[u8]) -> Result<(), Malformed> {
    let mut field = Decoder::new(bytes);
    match tag {
        TAG_BIRTH => node.birth = Some(take_time(&mut field)?),
        TAG_CONTENT => {
            node.content = decode_content(&mut field)?;
            if node.kind != NodeKind::File || node.content.content == Content::Empty {
                return Err(Malformed("content of a file"));
            }
        }
        TAG_HOLES => node.holes = take_attached(&mut field)?,
        TAG_XATTRS => node.xattrs = take_attached(&mut field)?,
        TAG_LINK_TARGET => {
            let target = field.take(field.remaining(), "link target")?;
            if target.is_empty() || target.len() > PATH_LEN_MAX || target.contains(&0) {
                return Err(Malformed("link target"));
            }
            node.link_target = target.to_vec();
        }
        TAG_DEVICE => {
            let major = small(&mut field, u32::MAX, "device major")?;
            node.device = Some((major, small(&mut field, u32::MAX, "device minor")?));
        }
        TAG_HARD_LINK => {
            let key = field.take(field.remaining(), "hard-link group")?.to_vec();
            let group = TreePath::from_key(key).map_err(|_| Malformed("hard-link group"))?;
            node.hard_link = Some(group);
        }
        TAG_APPLE_KEY => {
            node.encoding = Encoding::AppleEncrypted { file_key: field.array("file key")? };
        }
        TAG_CHANGED => node.changed_while_read = true,
        _ if tag & TAG_IGNORABLE != 0 => return Ok(()),
        _ => return Err(Malformed("node field of a newer format")),
    }
    field.finish("node field")
}

/// Appends the canonical bytes of a content: its length, a code, then what the code says.
pub fn encode_content(file: &FileContent, out: &mut Vec<u8>) {
    put_varint(out, file.len);
    match &file.content {
        Content::Empty => out.push(0),
        Content::Inline(bytes) => {
            out.push(1);
            out.extend_from_slice(bytes);
        }
        Content::Chunks(chunks) => {
            out.push(2);
            put_varint(out, chunks.len() as u64);
            for chunk in chunks {
                out.extend_from_slice(chunk.id.as_bytes());
                put_varint(out, u64::from(chunk.len));
            }
        }
        Content::List { root, depth } => {
            out.push(3);
            out.push(*depth);
            out.extend_from_slice(root.as_bytes());
        }
        Content::Missing => out.push(4),
    }
}

/// Takes a content from the front of `decoder`.
///
/// # Errors
///
/// `Malformed` for what [`encode_content`] does not write; a total that the chunks do not have.
pub fn decode_content(decoder: &mut Decoder<'_>) -> Result<FileContent, Malformed> {
    let len = decoder.varint("content length")?;
    let content = match decoder.u8("content code")? {
        0 if len == 0 => Content::Empty,
        1 if len > 0 => {
            let len = usize::try_from(len).map_err(|_| Malformed("inline content"))?;
            if len > INLINE_LEN_MAX {
                return Err(Malformed("inline content"));
            }
            Content::Inline(decoder.take(len, "inline content")?.to_vec())
        }
        2 => {
            let count = decoder.count(CHUNKS_IN_NODE_MAX, "chunk count")?;
            let mut chunks = Vec::with_capacity(count);
            let mut total = 0u64;
            for _ in 0..count {
                let id = BlobId::from_bytes(decoder.array("chunk id")?);
                let len = small(decoder, u32::MAX, "chunk length")?;
                if len == 0 {
                    return Err(Malformed("chunk length"));
                }
                total += u64::from(len);
                chunks.push(ChunkRef { id, len });
            }
            if total != len || count == 0 {
                return Err(Malformed("chunks that add up to the content"));
            }
            Content::Chunks(chunks)
        }
        3 if len > 0 => {
            let depth = decoder.u8("list depth")?;
            if depth == 0 {
                return Err(Malformed("list depth"));
            }
            Content::List { depth, root: BlobId::from_bytes(decoder.array("list root")?) }
        }
        4 => Content::Missing,
        _ => return Err(Malformed("content code")),
    };
    Ok(FileContent { content, len })
}

fn put_attached(out: &mut Vec<u8>, attached: &Attached) {
    match attached {
        Attached::None => {}
        Attached::Here(bytes) => {
            out.push(0);
            out.extend_from_slice(bytes);
        }
        Attached::Stored(content) => {
            out.push(1);
            encode_content(content, out);
        }
    }
}

fn take_attached(field: &mut Decoder<'_>) -> Result<Attached, Malformed> {
    match field.u8("attribute code")? {
        0 if (1..=ATTACHED_LEN_MAX).contains(&field.remaining()) => {
            Ok(Attached::Here(field.take(field.remaining(), "attributes")?.to_vec()))
        }
        1 => Ok(Attached::Stored(decode_content(field)?)),
        _ => Err(Malformed("attributes")),
    }
}

/// Encodes extended attributes, sorted by name; none gives no bytes.
pub fn encode_xattrs(xattrs: &[Xattr]) -> Vec<u8> {
    let mut sorted: Vec<&Xattr> = xattrs.iter().collect();
    sorted.sort();
    let mut out = Vec::new();
    for xattr in sorted {
        put_bytes(&mut out, &xattr.name);
        put_bytes(&mut out, &xattr.value);
    }
    out
}

/// The extended attributes that [`encode_xattrs`] wrote.
///
/// # Errors
///
/// `Malformed` when a length is wrong or a name is empty or has a NUL.
pub fn decode_xattrs(bytes: &[u8]) -> Result<Vec<Xattr>, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let mut xattrs = Vec::new();
    while !decoder.is_empty() {
        let name = decoder.bytes(256, "xattr name")?.to_vec();
        if name.is_empty() || name.contains(&0) {
            return Err(Malformed("xattr name"));
        }
        let value = decoder.bytes(decoder.remaining(), "xattr value")?.to_vec();
        xattrs.push(Xattr { name, value });
    }
    Ok(xattrs)
}

/// Encodes holes, which must be in rising order and apart, as distances from the end of the last.
pub fn encode_holes(holes: &[Hole]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut end = 0;
    for hole in holes {
        debug_assert!(hole.offset >= end && hole.len > 0, "holes are in order and not empty");
        put_varint(&mut out, hole.offset - end);
        put_varint(&mut out, hole.len);
        end = hole.offset + hole.len;
    }
    out
}

/// The holes that [`encode_holes`] wrote.
///
/// # Errors
///
/// `Malformed` when one is empty or ends past 2⁶⁴.
pub fn decode_holes(bytes: &[u8]) -> Result<Vec<Hole>, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let mut holes = Vec::new();
    let mut end = 0u64;
    while !decoder.is_empty() {
        let gap = decoder.varint("hole offset")?;
        let len = decoder.varint("hole length")?;
        let offset = end.checked_add(gap).ok_or(Malformed("hole offset"))?;
        end = offset.checked_add(len).ok_or(Malformed("hole length"))?;
        if len == 0 {
            return Err(Malformed("hole length"));
        }
        holes.push(Hole { offset, len });
    }
    Ok(holes)
}

fn put_time(out: &mut Vec<u8>, time: Time) {
    // Zigzag: the sign moves to the lowest bit, so times before 1970 stay short.
    put_varint(out, ((time.secs << 1) ^ (time.secs >> 63)).cast_unsigned());
    put_varint(out, u64::from(time.nanos));
}

fn take_time(decoder: &mut Decoder<'_>) -> Result<Time, Malformed> {
    let folded = decoder.varint("seconds")?;
    let secs = (folded >> 1).cast_signed() ^ -((folded & 1).cast_signed());
    Ok(Time { secs, nanos: small(decoder, 999_999_999, "nanoseconds")? })
}

fn small(decoder: &mut Decoder<'_>, max: u32, what: &'static str) -> Result<u32, Malformed> {
    match u32::try_from(decoder.varint(what)?) {
        Ok(value) if value <= max => Ok(value),
        _ => Err(Malformed(what)),
    }
}

const fn kind_code(kind: NodeKind) -> u8 {
    match kind {
        NodeKind::File => 1,
        NodeKind::Folder => 2,
        NodeKind::Symlink => 3,
        NodeKind::Fifo => 4,
        NodeKind::Socket => 5,
        NodeKind::CharDevice => 6,
        NodeKind::BlockDevice => 7,
    }
}

fn kind_of(code: u8) -> Result<NodeKind, Malformed> {
    Ok(match code {
        1 => NodeKind::File,
        2 => NodeKind::Folder,
        3 => NodeKind::Symlink,
        4 => NodeKind::Fifo,
        5 => NodeKind::Socket,
        6 => NodeKind::CharDevice,
        7 => NodeKind::BlockDevice,
        _ => return Err(Malformed("node kind")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> Node {
        let mut node = Node::new(NodeKind::File, 0o4755);
        node.uid = u32::MAX;
        node.mtime = Time { secs: -1, nanos: 999_999_999 };
        node.birth = Some(Time { secs: i64::MIN, nanos: 0 });
        let id = BlobId::from_bytes([7; 32]);
        node.content =
            FileContent { content: Content::Chunks(vec![ChunkRef { id, len: 9 }]), len: 9 };
        node.holes = Attached::Here(encode_holes(&[Hole { offset: 4, len: 5 }]));
        node.xattrs = Attached::Stored(FileContent {
            content: Content::List { root: id, depth: 2 },
            len: 5000,
        });
        node.device = Some((8, 1));
        node.link_target = b"../x".to_vec();
        node.hard_link = Some(TreePath::from_slashed(b"a/b").unwrap());
        node.encoding = Encoding::AppleEncrypted { file_key: [3; 32] };
        node.changed_while_read = true;
        node
    }

    #[test]
    fn every_field_survives_the_round_trip() {
        let node = full();
        assert_eq!(decode(&encode(&node)), Ok(node));
    }

    #[test]
    fn a_plain_file_of_one_chunk_is_small() {
        let mut node = Node::new(NodeKind::File, 0o600);
        node.mtime = Time { secs: 1_700_000_000, nanos: 123_456_789 };
        let id = BlobId::from_bytes([7; 32]);
        node.content =
            FileContent { content: Content::Chunks(vec![ChunkRef { id, len: 638 }]), len: 638 };
        assert!(encode(&node).len() <= 64, "{}", encode(&node).len());
    }

    #[test]
    fn an_unknown_field_is_refused_unless_it_may_be_ignored() {
        let mut record = encode(&Node::new(NodeKind::Folder, 0o755));
        let plain = decode(&record).unwrap();
        record.extend_from_slice(&[0x90, 1, 0]);
        assert_eq!(decode(&record), Ok(plain));
        let mut record = encode(&Node::new(NodeKind::Folder, 0o755));
        record.extend_from_slice(&[0x20, 1, 0]);
        assert!(decode(&record).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode_holes(&bytes);
            let _ = decode_xattrs(&bytes);
        }

        #[test]
        fn a_cut_or_changed_record_never_passes_for_a_different_spelling(at in 0usize..100, bit in 0u8..8) {
            let mut record = encode(&full());
            let at = at % record.len();
            record[at] ^= 1 << bit;
            if let Ok(node) = decode(&record) {
                // Only unknown ignorable fields may be lost.
                let again = encode(&node);
                prop_assert!(again == record || again.len() < record.len());
            }
        }
    }
}
