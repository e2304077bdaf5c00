//! What the contents promise.
use super::*;
use std::collections::BTreeMap;

const SMALL: Proportions = Proportions { files: 300, bytes: 3 << 20 };

fn share(contents: &Contents, of: impl Fn(&Item) -> bool) -> f64 {
    let (all, some) = contents
        .items()
        .fold((0.0, 0.0), |(all, some), item| (all + 1.0, some + f64::from(u8::from(of(item)))));
    some / all
}

#[test]
fn a_seed_stands_for_one_phone_in_the_proportions_of_a_real_one() {
    let contents = Contents::generate(11, &Proportions { files: 2000, bytes: 40 << 20 });

    let files: Vec<&Item> = contents.items().filter(|i| i.kind == Kind::File).collect();
    let bytes: u64 = files.iter().map(|item| item.size).sum();
    assert!((1700..2200).contains(&files.len()), "{} files", files.len());
    assert!((36 << 20..44 << 20).contains(&bytes), "{bytes} bytes");
    let folders = share(&contents, |item| item.kind == Kind::Folder);
    assert!((0.62..0.75).contains(&folders), "{folders} folders");
    let plugins = share(&contents, |item| item.domain.starts_with("AppDomainPlugin-"));
    assert!((0.3..0.45).contains(&plugins), "{plugins} of plug-ins");
    let small = files.iter().filter(|item| item.size < 1000).count();
    assert!(small * 2 > files.len(), "{small} small files");
    assert_eq!(contents, Contents::generate(11, &Proportions { files: 2000, bytes: 40 << 20 }));
    assert_ne!(contents, Contents::generate(12, &Proportions { files: 2000, bytes: 40 << 20 }));
}

#[test]
fn every_phone_has_what_trips_programs_up() {
    let contents = Contents::generate(1, &Proportions { files: 0, bytes: 0 });

    let some = |of: &dyn Fn(&Item) -> bool| contents.items().any(of);
    assert!(some(&|item| item.kind == Kind::Link && item.target.is_some()));
    assert!(some(&|item| item.kind == Kind::File && item.size == 0));
    assert!(some(&|item| item.relative_path.contains("e\u{301}")));
    assert!(some(&|item| item.relative_path.contains('\n')));
    assert!(some(&|item| !item.xattrs.is_empty() && item.kind == Kind::Folder));
    assert!(some(&|item| item.only_encrypted));
    assert!(some(&|item| item.relative_path.is_empty() && item.kind == Kind::Folder));
    let mut by_inode: BTreeMap<u64, Vec<&Item>> = BTreeMap::new();
    for item in contents.items() {
        by_inode.entry(item.inode).or_default().push(item);
    }
    let linked: Vec<_> = by_inode.values().filter(|items| items.len() > 1).collect();
    assert_eq!(linked.len(), 2);
    assert!(linked.iter().all(|items| items.iter().all(|i| i.sha256 == items[0].sha256)));
    for item in contents.items().filter(|item| !item.relative_path.is_empty()) {
        let above = item.relative_path.rsplit_once('/').map_or("", |(above, _)| above);
        assert_eq!(contents.get(&item.domain, above).map(|i| i.kind), Some(Kind::Folder));
    }
}

#[test]
fn a_day_changes_touches_renames_deletes_and_hides_one_change() {
    let before = Contents::generate(5, &SMALL);
    let mut after = before.clone();

    after.mutate(1);

    let pairs: Vec<(&Item, &Item)> = before
        .items()
        .filter_map(|old| Some((old, after.get(&old.domain, &old.relative_path)?)))
        .collect();
    let count = |of: &dyn Fn(&Item, &Item) -> bool| pairs.iter().filter(|(a, b)| of(a, b)).count();
    assert_eq!(count(&|a, b| a.mtime == b.mtime && a.sha256 != b.sha256), 1, "hidden");
    assert_eq!(count(&|a, b| a.mtime != b.mtime && a.sha256 == b.sha256), 1, "touched");
    assert!(count(&|a, b| a.mtime != b.mtime && a.sha256 != b.sha256) > 5, "changed");
    assert!(pairs.len() < before.items().count(), "deleted or renamed");
    assert!(after.items().any(|item| item.relative_path.contains("/199APPLE/IMG_")));
    let renamed: Vec<_> = after.items().filter(|i| i.relative_path.contains("renamed ")).collect();
    assert!(!renamed.is_empty());
    assert!(renamed.iter().all(|item| before.items().any(|old| old.inode == item.inode)));
    let mut again = before.clone();
    again.mutate(1);
    assert_eq!(again, after);
}

#[test]
fn an_open_day_hides_no_change() {
    let before = Contents::generate(5, &SMALL);
    let mut after = before.clone();

    after.mutate_openly(1);

    let hidden = after.items().filter(|item| {
        let old = before.get(&item.domain, &item.relative_path);
        old.is_some_and(|old| old.mtime == item.mtime && old.sha256 != item.sha256)
    });
    assert_eq!(hidden.count(), 0);
    assert_ne!(before.items().count(), after.items().count());
}

#[test]
fn points_in_time_survive_and_the_newest_is_the_state() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Contents::open(folder.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut contents = Contents::generate(2, &SMALL);

    contents.save(folder.path()).unwrap();
    let first = contents.clone();
    contents.mutate(3);
    contents.save(folder.path()).unwrap();

    assert_eq!(Contents::open(folder.path()).unwrap(), contents);
    assert_eq!((first.point(), contents.point()), (0, 1));
    let truth = Truth::read(&truth::point_path(folder.path(), 0)).unwrap();
    assert_eq!(truth, first.truth());
    let json: serde_json::Value = serde_json::to_value(&truth).unwrap();
    let link = json["items"].as_array().unwrap().iter().find(|item| item["kind"] == "link");
    for key in ["domain", "relativePath", "mode", "mtime", "size", "target"] {
        assert!(!link.unwrap()[key].is_null(), "{key}");
    }
}
