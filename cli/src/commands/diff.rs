//! `devsnap diff`: what changed from one snapshot to another.
use super::logical::{self, Opener, Word};
use super::{Session, paths};
use crate::args::DiffArgs;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::size;
use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::node::{Node, decode};
use devsnap_engine::path::TreePath;
use devsnap_engine::tree::{Diff, Difference};
use serde_json::{Map, Value, json};

pub(super) fn run(session: &Session<'_>, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let found = session.all_snapshots(&repository)?;
    let from = session.select_among(&found, &args.from)?;
    let to = session.select_among(&found, &args.to)?;
    if let Some(word) = args.path.as_deref().and_then(Word::of) {
        let opener = Opener::new(session, &repository, &args.backup_password);
        let counts = logical::diff(session, &opener, from, to, &word)?;
        session.report.summary(|| counts.for_programs(), || counts.for_people())?;
        return Ok(ExitCode::Done);
    }
    let within = args.path.as_deref().map_or(Ok(TreePath::root()), paths::typed)?;
    let (old_root, new_root) = (from.snapshot.root.as_ref(), to.snapshot.root.as_ref());
    let mut counts = Counts::default();
    for difference in Diff::new(&repository, old_root, new_root) {
        session.interrupt.check()?;
        let (path, change) = read(&difference?)?;
        if !path.is_within(&within) {
            continue;
        }
        counts.add(&change);
        session.report.data(
            || for_programs(&path, &change),
            || match path.is_root() {
                true => format!("{} .", change.mark()),
                false => format!("{} {path}", change.mark()),
            },
        )?;
    }
    session.report.summary(|| counts.for_programs(), || counts.for_people())?;
    Ok(ExitCode::Done)
}

/// What happened to a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added(Node),
    Removed(Node),
    /// It is another kind of thing now.
    Kind(Node, Node),
    /// Its content, or where a link points.
    Content(Node, Node),
    /// Only permissions, owner, times and the like.
    Attributes(Node, Node),
}

impl Change {
    fn between(old: Node, new: Node) -> Change {
        if old.kind != new.kind {
            return Change::Kind(old, new);
        }
        let same = old.content == new.content
            && old.link_target == new.link_target
            && old.device == new.device;
        if same { Change::Attributes(old, new) } else { Change::Content(old, new) }
    }

    pub(super) fn mark(&self) -> char {
        match self {
            Change::Added(_) => '+',
            Change::Removed(_) => '-',
            Change::Kind(..) => 'T',
            Change::Content(..) => 'M',
            Change::Attributes(..) => 'A',
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Change::Added(_) => "added",
            Change::Removed(_) => "removed",
            Change::Kind(..) => "kind",
            Change::Content(..) => "content",
            Change::Attributes(..) => "attributes",
        }
    }

    /// The node before and the node after.
    fn sides(&self) -> (Option<&Node>, Option<&Node>) {
        match self {
            Change::Added(new) => (None, Some(new)),
            Change::Removed(old) => (Some(old), None),
            Change::Kind(old, new) | Change::Content(old, new) | Change::Attributes(old, new) => {
                (Some(old), Some(new))
            }
        }
    }
}

/// The difference with its path and nodes decoded; both come from a hostile store.
fn read(difference: &Difference) -> Result<(TreePath, Change), Failure> {
    let damaged = || Error::new(ErrorKind::Damaged, "reading the trees of two snapshots");
    let path = TreePath::from_key(difference.key.clone()).map_err(|bad| damaged().because(bad))?;
    let node = |record: &[u8]| decode(record).map_err(|bad| damaged().because(bad));
    let change = match (&difference.old, &difference.new) {
        (None, Some(new)) => Change::Added(node(new)?),
        (Some(old), None) => Change::Removed(node(old)?),
        (Some(old), Some(new)) => Change::between(node(old)?, node(new)?),
        (None, None) => return Err(damaged().into()),
    };
    Ok((path, change))
}

fn for_programs(path: &TreePath, change: &Change) -> Value {
    let mut line = line_of(change);
    json::put_path(&mut line, "path", &path.to_slashed());
    line.into()
}

/// All but where it is.
pub(super) fn line_of(change: &Change) -> Map<String, Value> {
    let mut line = json::line("change");
    line.insert("change".to_owned(), change.word().into());
    let (old, new) = change.sides();
    for (side, kind, size) in
        [(old, "old_kind", "old_size_bytes"), (new, "new_kind", "new_size_bytes")]
    {
        if let Some(node) = side {
            line.insert(kind.to_owned(), json::kind_word(node.kind).into());
            line.insert(size.to_owned(), node.size_bytes().into());
        }
    }
    line
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    added: u64,
    removed: u64,
    content: u64,
    kind: u64,
    attributes: u64,
    bytes_added: u64,
    bytes_removed: u64,
}

impl Counts {
    pub(super) fn add(&mut self, change: &Change) {
        *match change {
            Change::Added(_) => &mut self.added,
            Change::Removed(_) => &mut self.removed,
            Change::Kind(..) => &mut self.kind,
            Change::Content(..) => &mut self.content,
            Change::Attributes(..) => &mut self.attributes,
        } += 1;
        let (old, new) = change.sides();
        let (old, new) = (old.map_or(0, Node::size_bytes), new.map_or(0, Node::size_bytes));
        self.bytes_added = self.bytes_added.saturating_add(new.saturating_sub(old));
        self.bytes_removed = self.bytes_removed.saturating_add(old.saturating_sub(new));
    }

    fn for_programs(&self) -> Value {
        json!({
            "message_type": "summary",
            "added": self.added,
            "removed": self.removed,
            "content": self.content,
            "kind": self.kind,
            "attributes": self.attributes,
            "bytes_added": self.bytes_added,
            "bytes_removed": self.bytes_removed,
        })
    }

    fn for_people(&self) -> String {
        format!(
            "{} added, {} removed, {} changed, {} with other attributes; +{} -{}",
            self.added,
            self.removed,
            self.content + self.kind,
            self.attributes,
            size(self.bytes_added),
            size(self.bytes_removed)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_engine::node::{FileContent, NodeKind, encode};

    fn file(bytes: &[u8], mode: u32) -> Node {
        let mut node = Node::new(NodeKind::File, mode);
        node.content = FileContent::inline(bytes);
        node
    }

    fn between(old: Option<&Node>, new: Option<&Node>) -> Result<(TreePath, Change), Failure> {
        let encoded = |node: &Node| encode(node).into();
        read(&Difference { key: b"a\0b".to_vec(), old: old.map(encoded), new: new.map(encoded) })
    }

    #[test]
    fn a_change_is_named_after_the_most_that_changed() {
        let (small, large, open) = (file(b"a", 0o600), file(b"abc", 0o600), file(b"a", 0o644));
        let folder = Node::new(NodeKind::Folder, 0o755);
        let mut counts = Counts::default();
        for (old, new, mark) in [
            (None, Some(&large), '+'),
            (Some(&small), None, '-'),
            (Some(&small), Some(&large), 'M'),
            (Some(&small), Some(&open), 'A'),
            (Some(&small), Some(&folder), 'T'),
        ] {
            let (path, change) = between(old, new).unwrap();
            assert_eq!((path.to_string().as_str(), change.mark()), ("a/b", mark));
            counts.add(&change);
        }
        assert_eq!((counts.bytes_added, counts.bytes_removed), (5, 2));
    }

    #[test]
    fn a_change_has_both_sides_in_json() {
        let (path, change) = between(Some(&file(b"a", 0)), Some(&file(b"abc", 0))).unwrap();
        assert_eq!(
            for_programs(&path, &change),
            json!({
                "message_type": "change", "path": "a/b", "change": "content",
                "old_kind": "file", "old_size_bytes": 1, "new_kind": "file", "new_size_bytes": 3,
            })
        );
    }

    #[test]
    fn a_damaged_tree_is_damage_and_no_panic() {
        let bad = Difference { key: b"..".to_vec(), old: None, new: Some(vec![1].into()) };
        assert_eq!(read(&bad).unwrap_err().code(), ExitCode::Damaged);
        let bad = Difference { key: b"a".to_vec(), old: None, new: Some(vec![0xff].into()) };
        assert_eq!(read(&bad).unwrap_err().code(), ExitCode::Damaged);
    }
}
