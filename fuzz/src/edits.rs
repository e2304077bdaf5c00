//! A run's edits, which are kept encoded and read back from a temporary file.
use crate::records::node_seeds;
use devsnap_engine::node::{self, Node, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::source::{Awaiting, Edit, EditRecord, TreeEdits};

/// What ends one edit of the input; a byte that no seed has.
const END: u8 = 0xee;

/// Edits come back sorted and whole, whether or not they were spilled to disk. Input: edits behind
/// each other, each a code, a path of at most 8 bytes, and a node.
pub fn edits(data: &[u8]) {
    let edits: Vec<EditRecord> = data.split(|&b| b == END).filter_map(edit).collect();
    let in_memory = sorted(&edits, usize::MAX);
    assert_eq!(in_memory.len(), edits.len());
    assert!(in_memory.is_sorted_by(|a, b| a.path <= b.path));
    assert_eq!(sorted(&edits, 1000), in_memory);
}

fn edit(input: &[u8]) -> Option<EditRecord> {
    let (&code, rest) = input.split_first()?;
    let (name, rest) = rest.split_at(rest.len().min(8));
    let path = TreePath::from_slashed(name).ok()?;
    let edit = match code % 3 {
        0 => Edit::Remove,
        1 => Edit::MoveFrom(TreePath::from_slashed(rest).ok()?),
        _ => {
            let node = node::decode(rest).unwrap_or_else(|_| Node::new(NodeKind::Folder, 0o755));
            Edit::Put { node: Box::new(node), awaiting: Awaiting::default() }
        }
    };
    Some(EditRecord { path, edit })
}

fn sorted(records: &[EditRecord], bound_bytes: usize) -> Vec<EditRecord> {
    let mut edits = TreeEdits::with_bound(&std::env::temp_dir(), bound_bytes);
    for EditRecord { path, edit } in records {
        edits.push(path, edit).expect("because temporary files can be written");
    }
    let sorted = edits.sorted().expect("because temporary files can be read");
    sorted.map(|edit| edit.expect("because it was written as it should be")).collect()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seed = Vec::new();
    for (code, node) in (0u8..12).zip(node_seeds().into_iter().cycle()) {
        seed.push(code);
        seed.extend_from_slice(format!("dir/f{:03}", code * 7 % 12).as_bytes());
        if code % 3 == 1 {
            seed.extend_from_slice(b"Snapshot/x");
        } else {
            seed.extend_from_slice(&node);
        }
        seed.push(END);
    }
    vec![seed]
}
