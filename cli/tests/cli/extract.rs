//! What `extract` writes: which files, under which names, and never anywhere else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::logical::{domains, found_in, is_true, plant, table, truth};
use crate::program::{ends_with, err};
use devsnap_simulator::contents::{Contents, Item, Kind};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn everything_of_a_plain_phone_comes_out_under_its_name_and_with_its_date() {
    let table = table();
    table.done(&["snapshot"]);
    let truth = truth(&table);

    let all = domains(&truth);
    let words: Vec<_> = all.iter().map(String::as_str).collect();
    table.done(&[&["extract", "latest"], words.as_slice(), &["--target", "out"]].concat());

    is_true(&table.at("home/out"), &truth, |_| true);
}

#[test]
fn a_spec_is_a_domain_a_path_or_a_pattern() {
    let table = table();
    table.done(&["snapshot"]);
    let truth = truth(&table);
    let extract = |spec: &str, target: &str| {
        table.done(&["extract", "latest", spec, "--target", target]);
        table.at("home").join(target)
    };

    let whole = extract("CameraRollDomain", "whole");
    is_true(&whole, &truth, |item| item.domain == "CameraRollDomain");

    let below = extract("CameraRollDomain:Media/DCIM", "below");
    let is_below = |path: &str| path == "Media/DCIM" || path.starts_with("Media/DCIM/");
    let below_it = |item: &Item| item.domain == "CameraRollDomain" && is_below(&item.relative_path);
    is_true(&below, &truth, below_it);

    let one = extract("HomeDomain:Library/SMS/sms.db", "one");
    is_true(&one, &truth, |item| {
        item.domain == "HomeDomain" && item.relative_path == "Library/SMS/sms.db"
    });

    let pattern = extract("HomeDomain:Library/S*/*.db", "pattern");
    let databases = found_in(&pattern);
    assert!(databases.contains(Path::new("HomeDomain/Library/SMS/sms.db")), "{databases:?}");
    assert!(databases.contains(Path::new("HomeDomain/Library/Safari/Bookmarks.db")));
    assert!(databases.iter().all(|path| path.extension().is_some_and(|ending| ending == "db")));
}

#[test]
fn what_no_row_is_of_is_told_and_nothing_is_written() {
    let table = table();
    table.done(&["snapshot"]);
    for spec in ["HomeDomain:Library/Nothing", "NoSuchDomain", "AppDomain-com.example.none"] {
        let output = table.run(&["extract", "latest", spec, "--target", "out"]);
        assert_ne!(output.status.code(), Some(0), "{spec}");
        assert!(err(&output).contains(spec), "{spec}: {}", err(&output));
    }
    assert!(!table.at("home/out").exists() || found_in(&table.at("home/out")).is_empty());
}

#[test]
fn an_app_is_its_data_its_plugins_and_its_groups_and_no_other_app() {
    let table = table();
    plant(
        &table,
        &[
            ("AppDomain-com.example.chat", "Documents/talk"),
            ("AppDomainPlugin-com.example.chat.share", "Library/shared"),
            ("AppDomainGroup-group.com.example.chat", "Library/group"),
            ("AppDomain-com.example.chatter", "Documents/other"),
            ("AppDomain-net.example.chat", "Documents/foreign"),
        ],
    );
    table.done(&["snapshot"]);

    table.done(&["extract", "latest", "--app", "com.example.chat", "--target", "out"]);

    let found = found_in(&table.at("home/out"));
    let expected = [
        "AppDomain-com.example.chat/Documents/talk",
        "AppDomainGroup-group.com.example.chat/Library/group",
        "AppDomainPlugin-com.example.chat.share/Library/shared",
    ];
    assert_eq!(found, expected.into_iter().map(PathBuf::from).collect());
    let none = table.run(&["extract", "latest", "--app", "com.example.none", "--target", "no"]);
    assert_ne!(none.status.code(), Some(0));
}

#[test]
fn names_that_lead_elsewhere_are_refused_and_all_others_written() {
    let table = table();
    let hostile = [
        ("HomeDomain", "../escape-a"),
        ("HomeDomain", "Library/../../../escape-b"),
        ("HomeDomain", "/escape-c"),
        ("HomeDomain", "Library//escape-d"),
        ("HomeDomain", "Library/./escape-e"),
        ("../escape-f", "file"),
        ("Home/../../escape-g", "file"),
        ("..", "escape-h"),
    ];
    let long = format!("Library/{}", "escape-i".repeat(40));
    plant(&table, &hostile);
    plant(&table, &[("HomeDomain", &long), ("HomeDomain", "Library/harmless")]);
    table.done(&["snapshot"]);
    let mut specs = domains(&truth(&table));
    specs.retain(|domain| !domain.contains(".."));
    // A domain that is no name is told when all are asked for by the phone's words for them.
    let specs: Vec<_> = specs.iter().map(String::as_str).chain(["../escape-f", ".."]).collect();

    fs::create_dir_all(table.at("home/deep/er")).unwrap();
    let words = [&["extract", "latest"], specs.as_slice(), &["--target", "deep/er/out"]].concat();
    let output = table.run(&words);

    assert_ne!(output.status.code(), Some(0), "{}", err(&output));
    let everywhere = found_in(&table.at("home"));
    let escaped = |path: &&PathBuf| path.to_string_lossy().contains("escape-");
    assert_eq!(everywhere.iter().find(escaped), None);

    let own = [&["extract", "latest", "HomeDomain"][..], &["--target", "deep/er/own"]].concat();
    let output = table.run(&own);
    ends_with(&output, 3, "escape-a");
    assert!(err(&output).contains("escape-b"), "{}", err(&output));
    let written = table.at("home/deep/er/own");
    assert!(written.join("HomeDomain/Library/harmless").is_file());
    is_true(&written, &truth(&table), |item| {
        item.domain == "HomeDomain" && !item.relative_path.contains("escape-")
    });
    assert_eq!(found_in(&table.at("home")).iter().find(escaped), None);
}

#[test]
fn a_link_is_never_followed_while_files_are_written() {
    let table = table();
    let mut contents = Contents::open(table.phone(0).folder()).unwrap();
    let link = contents.items().find(|item| item.kind == Kind::Link).cloned();
    let outside = table.at("home/outside");
    fs::create_dir(&outside).unwrap();
    let link = Item {
        domain: "HomeDomain".into(),
        relative_path: "Library/way".into(),
        target: Some(outside.to_str().unwrap().to_owned()),
        inode: 900_000,
        ..link.unwrap()
    };
    contents.put(link);
    contents.save(table.phone(0).folder()).unwrap();
    // What stands behind the link is a row of its own, by the same path.
    plant(&table, &[("HomeDomain", "Library/way/caught")]);
    table.done(&["snapshot"]);

    let output = table.run(&["extract", "latest", "HomeDomain", "--target", "out"]);

    ends_with(&output, 3, "Library/way");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(table.at("home/out/HomeDomain/Library/SMS/sms.db").is_file(), "others are written");
}

#[test]
fn what_stands_in_the_target_already_is_not_followed_either() {
    let table = table();
    table.done(&["snapshot"]);
    let outside = table.at("home/outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(table.at("home/out")).unwrap();
    std::os::unix::fs::symlink(&outside, table.at("home/out/HomeDomain")).unwrap();

    let output = table.run(&["extract", "latest", "HomeDomain", "--target", "out"]);

    assert_ne!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
