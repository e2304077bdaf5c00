//! Records without a seal of their own: nodes and their parts, paths, names, chunk sizes.
use devsnap_engine::backend::{ObjectKey, ObjectKind, key_at, path_of};
use devsnap_engine::chunker::{Chunker, ChunkerParams, Cutter};
use devsnap_engine::codec::Decoder;
use devsnap_engine::error::Result;
use devsnap_engine::id::BlobId;
use devsnap_engine::node::{
    self, Attached, ChunkRef, Content, Encoding, FileContent, Hole, NODE_LEN_MAX, Node, NodeKind,
    Time, Xattr,
};
use devsnap_engine::path::{PATH_LEN_MAX, TreePath, check_name};
use std::convert::Infallible;

/// A node has one spelling, but for fields of a later version that may be ignored.
pub fn node(data: &[u8]) {
    let Ok(node) = node::decode(data) else {
        return;
    };
    let again = node::encode(&node);
    assert!(again.len() <= data.len() && again.len() <= NODE_LEN_MAX);
    if again.len() == data.len() {
        assert_eq!(again, data);
    }
    assert_eq!(node::decode(&again), Ok(node));
}

fn chunks(count: u8) -> FileContent {
    let chunk = |n| ChunkRef { id: BlobId::from_bytes([n; 32]), len: 1 << 20 };
    let content = Content::Chunks((0..count).map(chunk).collect());
    FileContent { content, len: u64::from(count) << 20 }
}

fn list() -> FileContent {
    let root = BlobId::from_bytes([6; 32]);
    FileContent { content: Content::List { root, depth: 2 }, len: 1 << 40 }
}

pub(crate) fn node_seeds() -> Vec<Vec<u8>> {
    let mut full = Node::new(NodeKind::File, 0o4755);
    (full.uid, full.gid) = (501, 20);
    full.mtime = Time { secs: -1, nanos: 999_999_999 };
    full.birth = Some(Time { secs: 1_700_000_000, nanos: 5 });
    full.content = chunks(3);
    full.holes = Attached::Here(node::encode_holes(&[Hole { offset: 4096, len: 8192 }]));
    full.xattrs = Attached::Stored(list());
    full.hard_link = TreePath::from_slashed(b"a/b").ok();
    full.encoding = Encoding::AppleEncrypted { file_key: [3; 32] };
    full.changed_while_read = true;
    let mut link = Node::new(NodeKind::Symlink, 0o777);
    link.link_target = b"../elsewhere".to_vec();
    let mut device = Node::new(NodeKind::BlockDevice, 0o660);
    device.device = Some((8, 1));
    let mut tiny = Node::new(NodeKind::File, 0o600);
    tiny.content = FileContent::inline(b"a few words");
    let folder = Node::new(NodeKind::Folder, 0o755);
    [full, link, device, tiny, folder].iter().map(node::encode).collect()
}

/// A content has one spelling.
pub fn content(data: &[u8]) {
    let mut decoder = Decoder::new(data);
    if let Ok(content) = node::decode_content(&mut decoder) {
        let mut again = Vec::new();
        node::encode_content(&content, &mut again);
        assert_eq!(again, data[..data.len() - decoder.remaining()]);
    }
}

pub(crate) fn content_seeds() -> Vec<Vec<u8>> {
    let missing = FileContent { content: Content::Missing, len: 77 };
    let inline = FileContent::inline(&[5; 64]);
    let contents = [FileContent::default(), inline, chunks(2), chunks(64), list(), missing];
    let bytes = |content: &FileContent| {
        let mut out = Vec::new();
        node::encode_content(content, &mut out);
        out
    };
    contents.iter().map(bytes).collect()
}

/// Holes have one spelling, rise and do not overlap.
pub fn holes(data: &[u8]) {
    if let Ok(holes) = node::decode_holes(data) {
        assert!(holes.is_sorted_by(|a, b| a.offset + a.len <= b.offset));
        assert_eq!(node::encode_holes(&holes), data);
    }
}

pub(crate) fn holes_seeds() -> Vec<Vec<u8>> {
    let holes: Vec<Hole> = (0..20).map(|n| Hole { offset: n << 20, len: 4096 + n }).collect();
    let last = [Hole { offset: u64::MAX - 5, len: 5 }];
    vec![node::encode_holes(&holes), node::encode_holes(&last)]
}

/// Attributes come back, sorted.
pub fn xattrs(data: &[u8]) {
    if let Ok(mut xattrs) = node::decode_xattrs(data) {
        let again = node::encode_xattrs(&xattrs);
        assert_eq!(again.len(), data.len());
        xattrs.sort();
        assert_eq!(node::decode_xattrs(&again), Ok(xattrs));
    }
}

pub(crate) fn xattrs_seeds() -> Vec<Vec<u8>> {
    let xattr = |name: &str, len| Xattr { name: name.into(), value: vec![7; len] };
    let xattrs = [xattr("user.comment", 12), xattr("com.apple.FinderInfo", 32), xattr("user.a", 0)];
    vec![node::encode_xattrs(&xattrs)]
}

/// A path names something below its folder and is shown without control characters.
pub fn path(data: &[u8]) {
    for path in [TreePath::from_slashed(data), TreePath::from_key(data.to_vec())] {
        let Ok(path) = path else { continue };
        assert!(path.key().len() <= PATH_LEN_MAX);
        assert!(path.components().all(|name| check_name(name).is_ok()));
        assert_eq!(TreePath::from_slashed(&path.to_slashed()).as_ref(), Ok(&path));
        assert!(!path.to_string().chars().any(char::is_control));
        if let (Some(folder), Some(name)) = (path.parent(), path.name()) {
            assert_eq!(folder.join(name).as_ref(), Ok(&path));
            assert!(path.is_within(&folder) && folder < path);
            let below = path.relative_to(&folder).expect("because it is within its parent");
            assert_eq!(folder.concat(&below).as_ref(), Ok(&path));
        }
    }
}

pub(crate) fn path_seeds() -> Vec<Vec<u8>> {
    let long = vec![b"name-of-a-folder".as_slice(); 900].join(&b'/');
    let texts = [b"Library/SMS/sms.db".as_slice(), b"a\0b\0c", b"\xff\xfe/\x1b[2J", b"", &long];
    texts.map(<[u8]>::to_vec).to_vec()
}

/// What lies at a path is found at exactly that path.
pub fn object_name(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for kind in ObjectKind::ALL {
        if let Some(key) = key_at(kind, &text) {
            assert_eq!(path_of(&key), text);
            assert!(!text.contains("..") || key.name().contains(".."));
        }
        if let Some(key) = ObjectKey::parse(kind, &text) {
            assert_eq!(key_at(kind, &path_of(&key)), Some(key));
        }
    }
}

pub(crate) fn object_name_seeds() -> Vec<Vec<u8>> {
    let hash = "7f".repeat(32);
    let names = [
        format!("data/7f/{hash}"),
        format!("snapshots/{hash}"),
        "sessions/00112233445566778899aabbccddeeff.beat-3".to_owned(),
        "config/1.0123456789abcdef.copy".to_owned(),
    ];
    names.map(String::into_bytes).to_vec()
}

/// The same sizes, checked once more.
pub(crate) fn checked(sizes: ChunkerParams) -> Result<ChunkerParams> {
    let (min, target, max) = (sizes.min_bytes(), sizes.target_bytes(), sizes.max_bytes());
    ChunkerParams::new(min, target, max, sizes.database_bytes())
}

/// Sizes that decode are sizes the chunker can work with. Input: sizes, then a content.
pub fn chunker_params(data: &[u8]) {
    let mut rest = data;
    let Ok(params) = rmp_serde::from_read::<_, ChunkerParams>(&mut rest) else {
        return;
    };
    assert_eq!(checked(params).ok(), Some(params));
    let mut chunker = Chunker::new(Cutter::new(params, &[8; 32]));
    let mut cut = Vec::new();
    let mut emit = |chunk: Vec<u8>| {
        assert!((1..=params.max_bytes() as usize).contains(&chunk.len()));
        cut.extend_from_slice(&chunk);
        Ok::<_, Infallible>(())
    };
    for piece in rest.chunks(700) {
        let Ok(()) = chunker.push(piece, &mut emit);
    }
    let Ok(()) = chunker.finish(&mut emit);
    assert_eq!(cut, rest);
}

pub(crate) fn chunker_params_seeds() -> Vec<Vec<u8>> {
    let content: Vec<u8> = (0..2000u32).flat_map(|n| (n * n * 31).to_le_bytes()).collect();
    let database = [b"SQLite format 3\0\x02\x00", &content[..]].concat();
    let small = ChunkerParams::new(64, 256, 1024, 512).expect("because the sizes are allowed");
    let seed = |(params, content): (ChunkerParams, &[u8])| {
        let mut bytes = rmp_serde::to_vec_named(&params).expect("because sizes are numbers");
        bytes.extend_from_slice(content);
        bytes
    };
    let seeds = [(small, &content[..]), (ChunkerParams::STANDARD, &content), (small, &database)];
    seeds.map(seed).to_vec()
}
