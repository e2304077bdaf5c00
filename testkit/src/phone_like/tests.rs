use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{PhoneLike, plist, sqlite};

const SMALL: PhoneLike = PhoneLike { seed: 7, files: 600, total_bytes: 12 << 20 };

fn read_tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn tree_of(set: PhoneLike, days: &[u32]) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    set.write(dir.path()).unwrap();
    for day in days {
        set.mutate(dir.path(), *day).unwrap();
    }
    read_tree(dir.path())
}

/// Names and contents as one number.
fn hash_of(tree: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, content) in tree {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(&(content.len() as u64).to_le_bytes()).update(content);
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[test]
fn equal_seeds_give_equal_trees_and_other_seeds_others() {
    let tree = tree_of(SMALL, &[1, 2]);

    assert_eq!(hash_of(&tree), hash_of(&tree_of(SMALL, &[1, 2])));
    assert_ne!(hash_of(&tree), hash_of(&tree_of(PhoneLike { seed: 8, ..SMALL }, &[1, 2])));
}

#[test]
fn each_day_gives_another_tree() {
    let hashes: BTreeSet<_> =
        [&[][..], &[1], &[2], &[1, 2]].map(|days| hash_of(&tree_of(SMALL, days))).into();

    assert_eq!(hashes.len(), 4);
}

#[test]
fn a_set_has_the_files_bytes_and_median_it_was_asked_for() {
    let tree = tree_of(SMALL, &[]);

    assert_eq!(tree.len() as u64, SMALL.files);
    let bytes: u64 = tree.values().map(|content| content.len() as u64).sum();
    assert!(bytes.abs_diff(SMALL.total_bytes) < SMALL.total_bytes / 100, "{bytes}");
    let mut sizes: Vec<_> = tree.values().map(Vec::len).collect();
    sizes.sort_unstable();
    assert!((500..800).contains(&sizes[sizes.len() / 2]), "{}", sizes[sizes.len() / 2]);
    assert!(tree.values().any(Vec::is_empty));
    let distinct: BTreeSet<_> = tree.values().collect();
    let duplicates = tree.len() - distinct.len();
    assert!(duplicates > 12, "{duplicates} duplicates, of which about 13 are empty files");
}

#[test]
fn a_day_rewrites_database_pages_where_they_stand() {
    let before = tree_of(SMALL, &[]);
    let after = tree_of(SMALL, &[1]);

    let mut changed = 0;
    for (name, old) in
        before.iter().filter(|(_, content)| content.starts_with(b"SQLite format 3\0"))
    {
        let new = &after[name];
        assert_eq!(new.len() % sqlite::PAGE, 0);
        if old == new {
            continue;
        }
        changed += 1;
        assert!(new.len() > old.len(), "pages were appended");
        let pages = old.len() / sqlite::PAGE;
        let kept = old
            .chunks(sqlite::PAGE)
            .zip(new.chunks(sqlite::PAGE))
            .filter(|(old, new)| old == new)
            .count();
        assert!(kept < pages - 1, "the header and some pages differ");
        assert!(pages < 100 || kept > pages * 8 / 10, "{kept} of {pages} pages are as before");
    }
    assert!(changed > 0);
    assert!(before.keys().any(|name| !after.contains_key(name)), "files went");
    assert!(after.keys().any(|name| !before.contains_key(name)), "files came");
}

#[test]
fn every_plist_parses_and_archives_name_their_class() {
    let mut archives = 0;
    for seed in 0..200 {
        let bytes = plist::plist(200 + seed * 40, seed, seed % 3);

        let value = ::plist::Value::from_reader(std::io::Cursor::new(&bytes)).unwrap();

        let dictionary = value.into_dictionary().unwrap();
        if bytes.starts_with(b"bplist00") {
            archives += 1;
            assert_eq!(dictionary["$archiver"].as_string(), Some("NSKeyedArchiver"));
            assert_eq!(dictionary["$objects"].as_array().unwrap().len(), 3);
        }
    }
    assert!((80..160).contains(&archives), "three in five are binary, not {archives}");
}

#[test]
fn a_rewritten_plist_keeps_most_of_its_bytes() {
    let (before, after) = (plist::plist(2000, 5, 0), plist::plist(2000, 5, 1));

    assert_ne!(before, after);
    let lines =
        |bytes: &[u8]| -> BTreeSet<Vec<u8>> { bytes.windows(12).map(<[u8]>::to_vec).collect() };
    let (old, new) = (lines(&before), lines(&after));
    assert!(old.intersection(&new).count() * 2 > old.len());
}
