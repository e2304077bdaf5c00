//! What becomes of what stands in the target, and what a damaged or incomplete snapshot spares.
use super::*;

#[test]
fn delete_leaves_what_the_snapshot_could_not_read() {
    let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
    shelf.folder("");
    shelf.folder("a/locked");
    shelf.unread.0 = vec![path("a/locked"), path("a/gone"), path("c/inner")];
    for folder in ["a/locked/deep", "b/locked", "c"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for name in ["a/locked/mine", "a/locked/deep/mine", "a/gone", "b/locked/stray", "c/inner"] {
        fs::write(dir.path().join(name), b"mine").unwrap();
    }
    let delete = RestoreOptions { delete: true, ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &delete).unwrap();
    assert_eq!((report.removed, report.faults_total, report.remarks.len()), (1, 0, 1));
    for name in ["a/locked/mine", "a/locked/deep/mine", "a/gone", "c/inner"] {
        assert_eq!(read(&dir, name), b"mine");
    }
    assert!(!dir.path().join("b/locked").exists(), "of the same name in another folder");
    let at = RestoreOptions { subtree: path("a"), delete: true, ..RestoreOptions::default() };
    let part = TempDir::new().unwrap();
    fs::write(part.path().join("gone"), b"mine").unwrap();
    assert_eq!(shelf.restore(&part, &at).unwrap().removed, 0, "seen from the subtree");
}

#[test]
fn delete_is_refused_when_not_all_is_named_that_could_not_be_read() {
    let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
    shelf.unread = (vec![path("a/gone")], 1);
    let delete = RestoreOptions { delete: true, ..RestoreOptions::default() };
    let refused = shelf.restore(&dir, &delete).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(format!("{refused:?}").contains("without --delete"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(shelf.restore(&dir, &RestoreOptions::default()).unwrap().written_files, 3);
}

#[test]
fn delete_leaves_the_other_devices_beside_the_one_that_comes_back() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    fs::create_dir_all(dir.path().join("other device/deep")).unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/stray"), b"x").unwrap();
    let delete = RestoreOptions { delete: true, ..RestoreOptions::default() };
    assert_eq!(shelf.restore(&dir, &delete).unwrap().removed, 1);
    assert!(dir.path().join("other device/deep").exists());
    assert!(!dir.path().join("a/stray").exists());
}

/// Things that are no folders where the target has full, empty or no folders.
fn names_of_folders() -> Shelf {
    let mut shelf = Shelf::default();
    shelf.file("empty", &[b"first"]);
    shelf.file("full", &[b"second"]);
    for name in ["group", "name"] {
        shelf.file(name, &[b"third"]).hard_link = Some(path("group"));
    }
    let mut link = own(Node::new(NodeKind::Symlink, 0o777));
    link.link_target = b"full".to_vec();
    shelf.nodes.insert(path("soft"), link);
    shelf
}

#[test]
fn a_full_folder_in_the_way_goes_only_when_that_was_asked_for_and_is_counted() {
    let asked = |overwrite, delete| RestoreOptions { overwrite, delete, ..Default::default() };
    for (mut options, written, removed, skipped, faults) in [
        (asked(Overwrite::IfChanged, false), 2, 0, 0, 3),
        (asked(Overwrite::Never, false), 1, 0, 4, 0),
        (asked(Overwrite::Never, true), 1, 0, 4, 0),
        (asked(Overwrite::IfChanged, true), 3, 3, 0, 0),
        (asked(Overwrite::Always, false), 3, 3, 0, 0),
    ] {
        let (shelf, dir) = (names_of_folders(), TempDir::new().unwrap());
        for folder in ["empty", "full/inner", "name/inner", "soft/inner"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        options.dry_run = true;
        let would = shelf.restore(&dir, &options).unwrap();
        assert!(!dir.path().join("group").exists());
        options.dry_run = false;
        let report = shelf.restore(&dir, &options).unwrap();
        assert_eq!(report, would, "{options:?}");
        let counts = (report.written_files, report.removed, report.skipped, report.faults_total);
        assert_eq!(counts, (written, removed, skipped, faults), "{options:?}");
        assert!(report.faults.iter().all(|fault| fault.kind == FaultKind::Unsupported));
        for name in ["full", "name", "soft"] {
            assert_eq!(dir.path().join(name).join("inner").is_dir(), removed == 0, "{name}");
        }
    }
}

#[test]
fn a_full_folder_stays_when_the_file_that_would_replace_it_is_damaged() {
    let (mut shelf, dir) = (names_of_folders(), TempDir::new().unwrap());
    fs::create_dir_all(dir.path().join("full/inner")).unwrap();
    let second = shelf.by_id[&id_of(b"second")];
    shelf.damaged.insert(second);
    let always = RestoreOptions { overwrite: Overwrite::Always, ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &always).unwrap();
    assert_eq!((report.removed, report.damaged_files), (0, 1));
    assert!(dir.path().join("full/inner").is_dir());
}

#[test]
fn what_stands_in_the_way_of_a_folder_is_counted_with_or_without_its_node() {
    for has_node in [true, false] {
        for (overwrite, removed) in [(Overwrite::IfChanged, 1), (Overwrite::Never, 0)] {
            let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
            if !has_node {
                shelf.nodes.remove(&path("a"));
                shelf.nodes.remove(&path("a/one"));
                shelf.nodes.remove(&path("a/deep"));
            }
            fs::write(dir.path().join("a"), b"mine").unwrap();
            let mut options = RestoreOptions { overwrite, dry_run: true, ..Default::default() };
            let would = shelf.restore(&dir, &options).unwrap();
            assert_eq!(read(&dir, "a"), b"mine");
            options.dry_run = false;
            let report = shelf.restore(&dir, &options).unwrap();
            assert_eq!(report, would);
            assert_eq!((report.removed, report.faults_total), (removed, 0));
            assert_eq!(dir.path().join("a/deep/two").exists(), removed == 1);
        }
    }
}

#[test]
fn folders_that_were_there_keep_their_attributes_unless_they_come_back_whole() {
    let never = RestoreOptions { overwrite: Overwrite::Never, ..RestoreOptions::default() };
    let below = RestoreOptions { include: include(&["a/deep"]), ..RestoreOptions::default() };
    for (options, others) in [(RestoreOptions::default(), 4), (never, 2), (below, 1)] {
        let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
        shelf.folder("");
        fs::create_dir(dir.path().join("a")).unwrap();
        for name in ["", "a"] {
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o711)).unwrap();
        }
        let report = shelf.restore(&dir, &options).unwrap();
        assert_eq!((report.others, report.faults_total), (others, 0), "{options:?}");
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777;
        let kept = if others == 4 { 0o755 } else { 0o711 };
        assert_eq!((mode(""), mode("a"), mode("a/deep")), (kept, kept, 0o755), "{options:?}");
        assert_eq!(fs::metadata(dir.path().join("a/deep")).unwrap().mtime(), MTIME.secs);
    }
}

#[test]
fn a_folder_above_that_may_not_be_written_keeps_its_mode_when_folders_are_made_below_it() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    let above = dir.path().join("a");
    fs::create_dir_all(above.join("deep")).unwrap();
    fs::set_permissions(&above, fs::Permissions::from_mode(0o555)).unwrap();
    let deep = RestoreOptions { include: include(&["a/deep"]), ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &deep).unwrap();
    assert_eq!((report.written_files, report.faults_total), (1, 0));
    assert_eq!(fs::metadata(&above).unwrap().mode() & 0o777, 0o555);
    fs::set_permissions(&above, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_part_of_the_tree_that_cannot_be_read_is_a_fault_and_the_rest_comes_back_with_its_folders() {
    for (ends, written) in [(true, 1), (false, 2)] {
        let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
        shelf.torn = Some((path("a/one"), ends));
        let report = shelf.restore(&dir, &RestoreOptions::default()).unwrap();
        assert_eq!(
            (report.written_files, report.faults_total, report.damaged_files),
            (written, 1, 1)
        );
        assert_eq!(report.faults[0].path, path("a/deep/two"), "the last that was read");
        assert!(report.faults[0].reason.contains("after a/deep/two"));
        assert_eq!(read(&dir, "a/deep/two"), b"secondshared");
        assert_eq!(dir.path().join("b/three").exists(), !ends);
        for name in ["a", "a/deep"] {
            assert_eq!(fs::metadata(dir.path().join(name)).unwrap().mtime(), MTIME.secs, "{name}");
        }
        let part = RestoreOptions { subtree: path("b"), ..RestoreOptions::default() };
        assert_eq!(shelf.restore(&dir, &part).unwrap().faults_total, 0, "other folders are whole");
    }
}

#[test]
fn delete_removes_nothing_where_the_tree_cannot_be_read() {
    let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
    shelf.folder("");
    shelf.torn = Some((path("a/one"), false));
    fs::create_dir_all(dir.path().join("a")).unwrap();
    fs::create_dir_all(dir.path().join("b")).unwrap();
    for name in ["a/one", "a/z", "b/stray"] {
        fs::write(dir.path().join(name), b"mine").unwrap();
    }
    let delete = RestoreOptions { delete: true, ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &delete).unwrap();
    assert_eq!((report.removed, report.faults_total, report.damaged_files), (1, 2, 2));
    assert!(dir.path().join("a/one").exists() && dir.path().join("a/z").exists());
    assert!(!dir.path().join("b/stray").exists());
}
