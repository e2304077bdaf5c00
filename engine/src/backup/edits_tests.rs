use super::*;
use crate::id::BlobId;
use crate::node::NodeKind;
use crate::source::TreeEdits;
use crate::tree::{PageCutter, TreeParams, apply};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Default)]
struct Pages(Mutex<HashMap<BlobId, Bytes>>);

impl PageSource for Pages {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        let missing = || Error::new(ErrorKind::NotFound, "reading a page");
        self.0.lock().unwrap().get(&id).cloned().ok_or_else(missing)
    }
}

impl PageStore for Pages {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        let id = BlobId::from_bytes(*blake3::hash(&page).as_bytes());
        self.0.lock().unwrap().insert(id, page.into());
        Ok(id)
    }
}

type Model = BTreeMap<TreePath, u32>;

#[derive(Debug, Clone)]
enum Step {
    Put(TreePath, u32),
    Move { from: TreePath, to: TreePath },
    Remove(TreePath),
}

/// Few names and little depth, so that paths meet.
fn path() -> impl Strategy<Value = TreePath> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    prop::collection::vec(name, 1..4)
        .prop_map(|names| TreePath::from_slashed(names.join("/").as_bytes()).unwrap())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (path(), 0u32..0o777).prop_map(|(path, mode)| Step::Put(path, mode)),
        (path(), path()).prop_map(|(from, to)| Step::Move { from, to }),
        path().prop_map(Step::Remove),
    ]
}

/// What the words of `TreeEdits` mean, done plainly.
fn expected(parent: &Model, steps: &[Step]) -> Model {
    let mut result = parent.clone();
    let mut moves = BTreeMap::new();
    for step in steps {
        match step {
            Step::Move { from, to } => {
                result.retain(|path, _| !path.is_within(to));
                moves.insert(to.clone(), from.clone());
            }
            Step::Remove(gone) => result.retain(|path, _| !path.is_within(gone)),
            Step::Put(..) => {}
        }
    }
    // Outer moves first: an inner one replaces what they bring below its path.
    for (to, from) in &moves {
        result.retain(|path, _| !path.is_within(to));
        for (path, mode) in parent {
            if let Some(below) = path.relative_to(from) {
                result.insert(to.concat(&below).unwrap(), *mode);
            }
        }
    }
    for step in steps {
        if let Step::Put(path, mode) = step {
            result.insert(path.clone(), *mode);
        }
    }
    result
}

fn node(mode: u32) -> Node {
    Node::new(NodeKind::Folder, mode)
}

fn tree_of(pages: &Pages, cutter: &PageCutter, model: &Model) -> Option<PageRef> {
    let edits =
        model.iter().map(|(path, mode)| Ok(Edit::put(path.key(), node::encode(&node(*mode)), 0)));
    apply(pages, cutter, None, edits).unwrap()
}

proptest! {
    #[test]
    fn moves_removes_and_puts_do_what_their_words_say(
        parent in prop::collection::btree_map(path(), 0u32..0o777, 0..20),
        steps in prop::collection::vec(step(), 0..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let pages = Pages::default();
        let cutter = PageCutter::new(TreeParams::around(256), [3; 32]).unwrap();
        let root = tree_of(&pages, &cutter, &parent);
        let mut edits = TreeEdits::with_bound(folder.path(), 100);
        for step in &steps {
            let (path, edit) = match step {
                Step::Put(path, mode) => {
                    let (node, awaiting) = (Box::new(node(*mode)), Awaiting::default());
                    (path, SourceEdit::Put { node, awaiting })
                }
                Step::Move { from, to } => (to, SourceEdit::MoveFrom(from.clone())),
                Step::Remove(path) => (path, SourceEdit::Remove),
            };
            edits.push(path, &edit).unwrap();
        }
        let tickets = TicketTable::new(folder.path()).unwrap();
        let records = edits.sorted().unwrap();
        let mut changes = Changes::new(&pages, root.as_ref(), records, &tickets);
        let new = apply(&pages, &cutter, root.as_ref(), changes.by_ref()).unwrap();
        let model = expected(&parent, &steps);
        prop_assert_eq!(new, tree_of(&pages, &cutter, &model));
        let is_new = |path: &&TreePath| !parent.contains_key(*path);
        prop_assert_eq!(changes.totals.new, model.keys().filter(is_new).count() as u64);
        let is_gone = |path: &&TreePath| !model.contains_key(*path);
        prop_assert_eq!(changes.totals.removed, parent.keys().filter(is_gone).count() as u64);
    }
}
