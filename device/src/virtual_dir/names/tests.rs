//! The overlay against a plain map of everything, step by step and at the end.
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A whole folder as one map: `None` for folders, contents as numbers.
type Plain = BTreeMap<Vec<String>, Option<u32>>;

const NOW: Time = Time { secs: 1_800_000_000, nanos: 0 };

fn parts(path: &TreePath) -> Vec<String> {
    path.components().map(|name| String::from_utf8(name.to_vec()).unwrap()).collect()
}

impl Below for Plain {
    fn at(&self, path: &TreePath) -> Result<Option<Lain>, Error> {
        Ok(self.get(&parts(path)).map(lain))
    }
    fn list(&self, folder: &TreePath) -> Result<Vec<(Vec<u8>, Lain)>, Error> {
        let folder = parts(folder);
        let within = self
            .iter()
            .filter(|(path, _)| path.len() == folder.len() + 1 && path.starts_with(&folder));
        Ok(within.map(|(path, is)| (path.last().unwrap().clone().into_bytes(), lain(is))).collect())
    }
}

fn lain(is: &Option<u32>) -> Lain {
    match is {
        None => Lain::Folder { mtime: NOW },
        Some(content) => Lain::File { size_bytes: u64::from(*content), mtime: NOW },
    }
}

fn names(path: &[&str]) -> Vec<Name> {
    path.iter().map(|name| Name::of(name)).collect()
}

/// What a plain folder does when it is asked the same.
mod plain {
    use super::*;

    fn all_folders(map: &Plain, above: &[&str]) -> bool {
        (1..=above.len()).all(|len| !matches!(map.get(&own(&above[..len])), Some(Some(_))))
    }

    pub(super) fn own(path: &[&str]) -> Vec<String> {
        path.iter().map(|name| (*name).to_owned()).collect()
    }

    fn make_above(map: &mut Plain, path: &[&str]) {
        for len in 1..path.len() {
            map.entry(own(&path[..len])).or_insert(None);
        }
    }

    pub(super) fn remove(map: &mut Plain, path: &[&str]) -> bool {
        let before = map.len();
        let path = own(path);
        map.retain(|other, _| !other.starts_with(&path));
        map.len() < before
    }

    pub(super) fn put(map: &mut Plain, path: &[&str], content: u32) -> bool {
        if map.get(&own(path)) == Some(&None) || !all_folders(map, &path[..path.len() - 1]) {
            return false;
        }
        make_above(map, path);
        map.insert(own(path), Some(content));
        true
    }

    pub(super) fn create(map: &mut Plain, path: &[&str]) -> bool {
        match map.get(&own(path)) {
            Some(None) => return true,
            Some(Some(_)) => return false,
            None => {}
        }
        if !all_folders(map, &path[..path.len() - 1]) {
            return false;
        }
        make_above(map, path);
        map.insert(own(path), None);
        true
    }

    pub(super) fn transfer(map: &mut Plain, from: &[&str], to: &[&str], keep: bool) -> bool {
        let exists = map.contains_key(&own(from));
        if from == to && !keep {
            return exists;
        }
        if from.starts_with(to) || to.starts_with(from) || !exists {
            return false;
        }
        let mut after = map.clone();
        let moved: Vec<_> = map
            .iter()
            .filter(|(path, _)| path.starts_with(&own(from)))
            .map(|(path, is)| (path[from.len()..].to_vec(), *is))
            .collect();
        if !keep {
            remove(&mut after, from);
        }
        if !all_folders(&after, &to[..to.len() - 1]) {
            return false;
        }
        make_above(&mut after, to);
        remove(&mut after, to);
        after.extend(moved.into_iter().map(|(below, is)| ([own(to), below].concat(), is)));
        *map = after;
        true
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    Create(usize),
    Move(usize, usize),
    Copy(usize, usize),
    Remove(usize),
}

/// Few paths, so that steps meet: two sets, staging, shards and files.
const PATHS: [&[&str]; 14] = [
    &["U"],
    &["U", "Snapshot"],
    &["U", "Snapshot", "ab"],
    &["U", "Snapshot", "ab", "ab00000000000000000000000000000000000000"],
    &["U", "Snapshot", "ab", "ab00000000000000000000000000000000000001"],
    &["U", "ab"],
    &["U", "ab", "ab00000000000000000000000000000000000000"],
    &["U", "ab", "ab00000000000000000000000000000000000001"],
    &["U", "ac"],
    &["U", "ac", "ac00000000000000000000000000000000000000"],
    &["U", "Status.plist"],
    &["U", "Manifest.db"],
    &["U-old"],
    &["U", "Snapshot", "Manifest.db"],
];

fn step() -> impl Strategy<Value = Step> {
    let at = 0..PATHS.len();
    prop_oneof![
        4 => at.clone().prop_map(Step::Put),
        1 => at.clone().prop_map(Step::Create),
        4 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Move(from, to)),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Copy(from, to)),
        2 => at.prop_map(Step::Remove),
    ]
}

/// What the engine makes of changes: removes and moves refer to the parent and come first.
fn apply(parent: &Plain, changes: &[(Vec<String>, Change<u32>)]) -> Plain {
    let mut after = parent.clone();
    let covers: BTreeSet<_> = changes
        .iter()
        .filter(|(_, change)| matches!(change, Change::Remove | Change::MoveFrom(_)))
        .map(|(path, _)| path.clone())
        .collect();
    after.retain(|path, _| !(1..=path.len()).any(|len| covers.contains(&path[..len])));
    for (to, change) in changes {
        if let Change::MoveFrom(from) = change {
            let from = parts(from);
            let moved = parent.iter().filter(|(path, _)| path.starts_with(&from));
            after.extend(moved.map(|(path, is)| ([&to[..], &path[from.len()..]].concat(), *is)));
        }
    }
    for (path, change) in changes {
        match change {
            Change::Folder => drop(after.insert(path.clone(), None)),
            Change::File(content, _) => drop(after.insert(path.clone(), Some(*content))),
            _ => {}
        }
    }
    after
}

fn parent_of(files: &[usize]) -> Plain {
    let mut parent = Plain::new();
    for (content, at) in (1000..).zip(files) {
        plain::put(&mut parent, PATHS[*at], content);
    }
    // A parent has nothing beside its set.
    parent.retain(|path, _| path[0] == "U");
    parent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_overlay_is_a_folder(
        files in proptest::collection::vec(3..PATHS.len(), 0..8),
        full: bool,
        steps in proptest::collection::vec(step(), 0..25),
    ) {
        let parent = parent_of(&files);
        let mut model = if full { Plain::new() } else { parent.clone() };
        let mut overlay = match full {
            true => Names::empty(Some(&parent as _), NOW),
            false => Names::over(&parent, NOW),
        };
        for (content, step) in (0..).zip(&steps) {
            let (did, should) = match step {
                Step::Put(at) => (
                    overlay.put(&names(PATHS[*at]), content, u64::from(content)).is_ok(),
                    plain::put(&mut model, PATHS[*at], content),
                ),
                Step::Create(at) => (
                    overlay.create(&names(PATHS[*at])).is_ok(),
                    plain::create(&mut model, PATHS[*at]),
                ),
                Step::Move(from, to) => (
                    overlay.rename(&names(PATHS[*from]), &names(PATHS[*to])).is_ok(),
                    plain::transfer(&mut model, PATHS[*from], PATHS[*to], false),
                ),
                Step::Copy(from, to) => (
                    overlay.copy(&names(PATHS[*from]), &names(PATHS[*to])).is_ok(),
                    plain::transfer(&mut model, PATHS[*from], PATHS[*to], true),
                ),
                Step::Remove(at) => (
                    overlay.remove(&names(PATHS[*at])).unwrap_or(false),
                    plain::remove(&mut model, PATHS[*at]),
                ),
            };
            prop_assert_eq!(did, should, "{:?}", step);
            for path in PATHS {
                let seen = overlay.look(&names(path)).unwrap();
                match model.get(&plain::own(path)) {
                    None => prop_assert_eq!(&seen, &None, "{:?}", path),
                    Some(None) => prop_assert_eq!(&seen, &Some(Seen::Folder), "{:?}", path),
                    Some(Some(content)) => match seen {
                        Some(Seen::Fresh(fresh)) => prop_assert_eq!(fresh, *content),
                        Some(Seen::Kept(at)) => {
                            prop_assert_eq!(parent[&parts(&at)], Some(*content));
                        }
                        other => prop_assert!(false, "{:?} at {:?}", other, path),
                    },
                }
                let listed = overlay.list(&names(path)).unwrap();
                let is_folder = model.get(&plain::own(path)) == Some(&None);
                prop_assert_eq!(listed.is_some(), is_folder);
                let folder = plain::own(path);
                let expected: Vec<_> = model
                    .iter()
                    .filter(|(p, _)| p.len() == folder.len() + 1 && p.starts_with(&folder))
                    .map(|(p, is)| Listed { name: p.last().unwrap().clone(), is: lain(is) })
                    .collect();
                prop_assert_eq!(listed.unwrap_or_default(), expected);
            }
        }
        let mut changes = Vec::new();
        let mut tell = |path: &TreePath, change: Change<u32>| -> Result<(), NameError> {
            changes.push((parts(path), change));
            Ok(())
        };
        overlay.changes(&Name::of("U"), &mut tell).unwrap();
        let mut expected = model;
        expected.retain(|path, _| path[0] == "U");
        prop_assert_eq!(apply(&parent, &changes), expected, "{:?}", changes);
    }
}

#[test]
fn a_session_that_changes_nothing_tells_nothing() {
    let parent = parent_of(&[6, 7, 10]);
    let mut overlay = Names::<u32>::over(&parent, NOW);
    overlay.create(&names(&["U"])).unwrap();
    overlay.create(&names(&["U", "ab"])).unwrap();
    assert!(!overlay.remove(&names(&["U", "Manifest.mbdx"])).unwrap());
    overlay
        .changes(&Name::of("U"), &mut |path: &TreePath, _| -> Result<(), NameError> {
            panic!("{path} has not changed")
        })
        .unwrap();
}

#[test]
fn a_parent_that_cannot_be_read_is_never_an_empty_folder() {
    struct Unreadable;
    impl Below for Unreadable {
        fn at(&self, path: &TreePath) -> Result<Option<Lain>, Error> {
            let is_folder = path.components().count() <= 1;
            Ok(is_folder.then_some(Lain::Folder { mtime: NOW }))
        }
        fn list(&self, _: &TreePath) -> Result<Vec<(Vec<u8>, Lain)>, Error> {
            use devsnap_engine::error::ErrorKind;
            Err(Error::new(ErrorKind::Unreachable, "reading a page"))
        }
    }
    let overlay = Names::<u32>::over(&Unreadable, NOW);
    assert!(matches!(overlay.list(&names(&["U"])), Err(NameError::Parent(_))));
}

#[test]
fn an_entry_is_small() {
    // A million of them must stay far below the 300 MiB a session may use.
    assert!(size_of::<(Name, Option<Entry<u64>>)>() <= 56);
}
