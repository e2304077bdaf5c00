//! Imports point one way: inside the engine downward, between crates as Cargo is told here.
//!
//! Cargo forbids cycles between crates but not between modules, and that is where they grow. This
//! reads the sources and compares every `crate::…` with the floors below. To move a module, move
//! its line; the diff of this list *is* the architecture discussion.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The engine's rooms, lowest floor first; on one floor, a room may import from rooms to its left.
const FLOORS: &[&[&str]] = &[
    &["codec", "id", "error", "path", "node", "uncached"],
    &["interrupt", "progress", "backend", "reader", "source", "target"],
    &["folder"],
    &["chunker", "seal", "pack", "tree", "snapshot", "retention"],
    &["index"],
    &["repository"],
    &["pipeline"],
    &["backup", "restore", "prune", "check"],
];

/// What each crate may depend on of this workspace, outside tests.
const CRATES: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("backends", &["devsnap-engine"]),
    ("device", &["devsnap-engine"]),
    ("simulator", &[]),
    ("testkit", &["devsnap-engine"]),
    ("cli", &["devsnap-engine", "devsnap-backends", "devsnap-device"]),
];

/// Rooms that plug into the engine's ports from outside; no room of the engine may import them.
const OUTSIDE: &[&str] = &["folder"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn place(module: &str) -> (usize, usize) {
    FLOORS
        .iter()
        .enumerate()
        .find_map(|(floor, rooms)| Some((floor, rooms.iter().position(|room| *room == module)?)))
        .unwrap_or_else(|| panic!("`{module}` has no floor"))
}

fn may_import(module: &str, target: &str) -> bool {
    module == target || (place(target) < place(module) && !OUTSIDE.contains(&target))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The modules of the engine that `code` names, comments and tests left out.
fn imports(code: &str) -> BTreeSet<String> {
    // Only tests that stand here; `mod tests;` has a file of its own.
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String =
        code.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    code.split("crate::").skip(1).map(word).filter(|w| !w.is_empty()).collect()
}

/// Tests may put together what the house keeps apart.
fn is_test(file: &Path) -> bool {
    let is_test = |name: &str| name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs");
    file.iter().any(|name| name.to_str().is_some_and(is_test))
}

#[test]
fn imports_inside_the_engine_point_downward() {
    let sources = workspace().join("engine/src");
    let mut files = Vec::new();
    rust_files(&sources, &mut files);
    let mut wrong = BTreeSet::new();
    let mut seen = 0;
    for file in files {
        let relative = file.strip_prefix(&sources).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" || is_test(relative) {
            continue;
        }
        for target in imports(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            if !may_import(&module, &target) {
                wrong.insert(format!("{} must not import {target}", relative.display()));
            }
        }
    }
    assert!(seen > 10, "the test no longer sees imports");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_planted_upward_import_is_seen() {
    let planted = "use crate::node::Node;\n// use crate::prune\nuse crate::backend::Backend;";
    let seen = imports(planted);
    assert_eq!(seen, BTreeSet::from(["node".to_owned(), "backend".to_owned()]));
    assert!(!may_import("path", "node") && !may_import("tree", "index"));
    assert!(!may_import("restore", "folder") && may_import("folder", "target"));
    assert!(is_test(Path::new("restore/tests.rs")) && !is_test(Path::new("restore/plan.rs")));
}

#[test]
fn crates_depend_on_each_other_one_way_only() {
    for (name, allowed) in CRATES {
        let manifest = fs::read_to_string(workspace().join(name).join("Cargo.toml")).unwrap();
        let normal = manifest.split("\n[dev-dependencies]").next().unwrap();
        let body = normal.split_once("[dependencies]").map_or("", |(_, rest)| rest);
        for line in body.lines().take_while(|line| !line.starts_with('[')) {
            let dependency = line.split(['.', ' ', '=']).next().unwrap();
            if dependency.starts_with("devsnap") {
                assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
            }
        }
    }
}
