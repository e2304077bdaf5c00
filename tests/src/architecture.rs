//! Imports point one way: inside the engine and the simulator downward, between crates as Cargo is
//! told here.
//!
//! Cargo forbids cycles between crates but not between modules, and that is where they grow. This
//! reads the sources and compares every `crate::…` with the floors below. To move a module, move
//! its line; the diff of these lists *is* the architecture discussion.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate's rooms, floor by floor.
struct House {
    folder: &'static str,
    /// Lowest floor first; on one floor, a room may import from rooms to its left.
    floors: &'static [&'static [&'static str]],
    /// Rooms that plug into the crate's ports from outside; no room of it may import them.
    outside: &'static [&'static str],
    /// Files that put the house together, and may import all of it.
    doors: &'static [&'static str],
}

const ENGINE: House = House {
    folder: "engine/src",
    floors: &[
        &["codec", "id", "error", "path", "encoding", "node", "runs", "uncached"],
        &["interrupt", "progress", "backend", "reader", "source", "target"],
        &["folder"],
        &["chunker", "seal", "pack", "tree", "snapshot", "retention"],
        &["index"],
        &["repository"],
        &["pipeline"],
        &["backup", "restore", "prune", "check"],
    ],
    outside: &["folder"],
    doors: &["lib"],
};

const SIMULATOR: House = House {
    folder: "simulator/src",
    floors: &[
        &["random", "connection", "transcript"],
        &["phone", "plist_stream"],
        &["wire", "tls", "backup_files", "contents"],
        &["mobilebackup2"],
        &["services"],
        &["lockdown"],
        &["muxd"],
        &["simulator", "replay"],
    ],
    outside: &[],
    doors: &["lib", "main", "args", "commands"],
};

const DEVICE: House = House {
    folder: "device/src",
    floors: &[
        &["error", "udid", "plist_guard", "watch"],
        &["keybag"],
        &["backup_set", "manifest"],
        &["conversion"],
        &["logical"],
        &["transport"],
        &["plist_stream"],
        &["lockdown"],
        &["services"],
        &["recording", "devicelink"],
        &["virtual_dir"],
        &["served_dir"],
        &["mobilebackup2"],
        &["session"],
        &["source", "restore", "encryption", "stored_set"],
    ],
    outside: &[],
    doors: &["lib"],
};

/// What each crate may depend on of this workspace, outside tests.
const CRATES: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("backends", &["devsnap-engine"]),
    ("device", &["devsnap-engine"]),
    ("simulator", &[]),
    ("testkit", &["devsnap-engine"]),
    ("cli", &["devsnap-engine", "devsnap-backends", "devsnap-device", "devsnap-simulator"]),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl House {
    fn place(&self, module: &str) -> (usize, usize) {
        self.floors
            .iter()
            .enumerate()
            .find_map(|(floor, rooms)| {
                Some((floor, rooms.iter().position(|room| *room == module)?))
            })
            .unwrap_or_else(|| panic!("`{module}` has no floor in {}", self.folder))
    }

    fn may_import(&self, module: &str, target: &str) -> bool {
        module == target
            || (self.place(target) < self.place(module) && !self.outside.contains(&target))
    }
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

/// The modules of its crate that `code` names, comments and tests left out.
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

fn imports_point_downward_in(house: &House) {
    let sources = workspace().join(house.folder);
    let mut files = Vec::new();
    rust_files(&sources, &mut files);
    let mut wrong = BTreeSet::new();
    let mut seen = 0;
    for file in files {
        let relative = file.strip_prefix(&sources).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        if house.doors.contains(&module.as_str()) || is_test(relative) {
            continue;
        }
        for target in imports(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            if !house.may_import(&module, &target) {
                wrong.insert(format!("{} must not import {target}", relative.display()));
            }
        }
    }
    assert!(seen > 10, "the test no longer sees imports");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_inside_the_engine_point_downward() {
    imports_point_downward_in(&ENGINE);
}

#[test]
fn imports_inside_the_simulator_point_downward() {
    imports_point_downward_in(&SIMULATOR);
}

#[test]
fn imports_inside_the_device_point_downward() {
    imports_point_downward_in(&DEVICE);
}

#[test]
fn the_simulator_depends_on_nothing_of_ours_not_even_in_its_tests() {
    let manifest = fs::read_to_string(workspace().join("simulator/Cargo.toml")).unwrap();

    let ours: Vec<&str> =
        manifest.lines().filter(|line| line.trim_start().starts_with("devsnap")).collect();

    assert!(manifest.contains("[dependencies]"), "the test no longer sees dependencies");
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn only_the_demo_of_the_command_line_depends_on_the_simulator_outside_tests() {
    let members = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = members.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let members: Vec<&str> =
        members.split('"').filter(|word| word.starts_with(char::is_alphabetic)).collect();
    assert!(members.contains(&"cli") && members.contains(&"benches/compare"), "{members:?}");

    let mut found = Vec::new();
    for member in members {
        let manifest = fs::read_to_string(workspace().join(member).join("Cargo.toml")).unwrap();
        let normal = manifest.split("\n[dev-dependencies]").next().unwrap().to_owned();
        let line = normal.lines().find(|line| line.starts_with("devsnap-simulator"));
        found.extend(line.map(|line| (member, line.to_owned())));
    }

    let line = "devsnap-simulator = { workspace = true, optional = true }";
    assert_eq!(found, [("cli", line.to_owned())]);
    let cli = fs::read_to_string(workspace().join("cli/Cargo.toml")).unwrap();
    assert_eq!(cli.matches("dep:devsnap-simulator").count(), 1);
    assert!(cli.lines().any(|line| line.starts_with("demo = [") && line.contains("simulator")));
    let main = workspace().join("cli/src");
    let mut files = Vec::new();
    rust_files(&main, &mut files);
    for file in files.iter().filter(|file| !file.starts_with(main.join("commands/demo"))) {
        let code = fs::read_to_string(file).unwrap();
        assert!(!code.contains("devsnap_simulator"), "{} uses the simulator", file.display());
    }
}

#[test]
fn a_planted_upward_import_is_seen() {
    let planted = "use crate::node::Node;\n// use crate::prune\nuse crate::backend::Backend;";
    let seen = imports(planted);
    assert_eq!(seen, BTreeSet::from(["node".to_owned(), "backend".to_owned()]));
    let may_import = |module, target| ENGINE.may_import(module, target);
    assert!(!may_import("path", "node") && !may_import("tree", "index"));
    assert!(!may_import("restore", "folder") && may_import("folder", "target"));
    assert!(!SIMULATOR.may_import("mobilebackup2", "services"));
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
