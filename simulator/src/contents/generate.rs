//! A phone's contents from a seed, with the proportions of a real one.
//!
//! # Source
//!
//! The Manifest.db of a real phone that the Mobile Verification Toolkit publishes among its tests:
//! 3,721 rows, of which 70 % folders, 29 % files, 0.4 % links; rows by kind of domain as in
//! [`SHARES`]; half of the files have at most 638 bytes, the largest has 63 MB; most bytes are in
//! app groups, HomeDomain and the camera roll.
use super::body::{Body, Shape};
use super::item::{Item, Kind};
use super::words;
use super::{Contents, Proportions};
use crate::random::Random;
use std::collections::BTreeMap;

/// Kind of domain, its rows among 3,721, and how many of a hundred rows are files.
const SHARES: &[(Domains, u64, u64)] = &[
    (Domains::Plugin, 1473, 12),
    (Domains::App, 902, 28),
    (Domains::Home, 571, 50),
    (Domains::Camera, 290, 70),
    (Domains::Group, 190, 40),
    (Domains::System, 80, 25),
    (Domains::Shared, 76, 25),
    (Domains::Other, 139, 40),
];

/// Of 3,721 rows so many are files.
const FILES_AMONG_ROWS: (u64, u64) = (1089, 3721);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Domains {
    Plugin,
    App,
    Home,
    Camera,
    Group,
    System,
    Shared,
    Other,
}

/// Domains that every phone has, whatever is in them.
const OTHERS: &[&str] = &[
    "DatabaseDomain",
    "HealthDomain",
    "HomeKitDomain",
    "InstallDomain",
    "KeyboardDomain",
    "KeychainDomain",
    "ManagedPreferencesDomain",
    "MediaDomain",
    "MobileDeviceDomain",
    "NetworkDomain",
    "ProtectedDomain",
    "RootDomain",
    "SystemPreferencesDomain",
    "TonesDomain",
    "WirelessDomain",
];

/// Files that people ask a backup for: domain, path, kind of bytes, whether only encrypted backups
/// have it.
const KNOWN: &[(&str, &str, Shape, bool)] = &[
    ("HomeDomain", "Library/SMS/sms.db", Shape::Database, false),
    ("HomeDomain", "Library/AddressBook/AddressBook.sqlitedb", Shape::Database, false),
    ("HomeDomain", "Library/Calendar/Calendar.sqlitedb", Shape::Database, false),
    ("HomeDomain", "Library/CallHistoryDB/CallHistory.storedata", Shape::Database, false),
    ("HomeDomain", "Library/Accounts/Accounts3.sqlite", Shape::Database, false),
    ("HomeDomain", "Library/Safari/Bookmarks.db", Shape::Database, false),
    ("HomeDomain", "Library/Safari/SafariTabs.db", Shape::Database, true),
    ("HomeDomain", "Library/SpringBoard/IconState.plist", Shape::Archive, false),
    ("HomeDomain", "Library/Preferences/.GlobalPreferences.plist", Shape::Archive, false),
    ("CameraRollDomain", "Media/PhotoData/Photos.sqlite", Shape::Database, false),
    ("MediaDomain", "Library/SMS/Attachments/0a/10/IMG_1.heic", Shape::Noise, false),
    ("HealthDomain", "Health/healthdb_secure.sqlite", Shape::Database, true),
    ("HealthDomain", "Health/healthdb.sqlite", Shape::Database, true),
    ("HomeKitDomain", "Library/homed/datastore.sqlite", Shape::Database, true),
    ("KeychainDomain", "keychain-backup.plist", Shape::Noise, false),
    ("SystemPreferencesDomain", "SystemConfiguration/com.apple.wifi.plist", Shape::Archive, true),
    ("WirelessDomain", "Library/Databases/DataUsage.sqlite", Shape::Database, false),
    ("RootDomain", "Library/Preferences/com.apple.MobileBackup.plist", Shape::Archive, false),
];

/// Sizes at which blocks and paddings end.
const EDGES: &[u64] = &[1, 15, 16, 17, 4096, 32_767, 32_768, 32_769, 65_536];

/// Where the odd ones live.
const ODD_DOMAIN: &str = "AppDomain-com.example.odd";

/// Makes a phone.
pub(super) fn generate(seed: u64, proportions: &Proportions) -> Contents {
    let mut builder = Builder::new(seed);
    for domain in ["HomeDomain", "CameraRollDomain"].iter().chain(OTHERS) {
        builder.folder(domain, "");
    }
    for (domain, path, shape, only_encrypted) in KNOWN {
        builder.file(domain, path, *shape).only_encrypted = *only_encrypted;
    }
    builder.odd_ones();
    let files = proportions.files.saturating_sub(builder.files());
    let rows = files * FILES_AMONG_ROWS.1 / FILES_AMONG_ROWS.0;
    for (kind, share, files_of_100) in SHARES {
        let rows = rows * share / 3721;
        let files = rows * files_of_100 / 100;
        builder.fill(*kind, rows - files, files);
    }
    builder.links(3 + rows * 4 / 1000);
    builder.sizes(proportions.bytes);
    builder.contents
}

/// Contents in the making. Files have no bytes until [`sizes`](Builder::sizes).
struct Builder {
    contents: Contents,
    random: Random,
    shapes: BTreeMap<(String, String), Shape>,
    photo: u64,
}

impl Builder {
    fn new(seed: u64) -> Builder {
        Builder {
            contents: Contents::empty(seed),
            random: Random::split(seed, "contents"),
            shapes: BTreeMap::new(),
            photo: 0,
        }
    }

    fn files(&self) -> u64 {
        u64::try_from(self.shapes.len()).unwrap_or(u64::MAX)
    }

    /// A folder, with those above it.
    fn folder(&mut self, domain: &str, path: &str) {
        if self.contents.get(domain, path).is_some() {
            return;
        }
        if !path.is_empty() {
            self.folder(domain, path.rsplit_once('/').map_or("", |(above, _)| above));
        }
        let class = [0, 3, 3, 4][usize::try_from(self.random.below(4)).unwrap_or(0)];
        self.item(domain, path, Kind::Folder, 0o040_755, class);
    }

    /// A file, with the folders above it.
    fn file(&mut self, domain: &str, path: &str, shape: Shape) -> &mut Item {
        self.folder(domain, path.rsplit_once('/').map_or("", |(above, _)| above));
        // Modes and classes in the proportions of the real manifest.
        let mode = match self.random.below(1089) {
            0..661 => 0o100_600,
            661..1070 => 0o100_644,
            1070..1085 => 0o100_666,
            _ => 0o100_000,
        };
        let class = match self.random.below(1089) {
            0..581 => 3,
            581..1080 => 4,
            1080..1085 => 1,
            1085..1087 => 2,
            _ => 7,
        };
        self.shapes.insert((domain.to_owned(), path.to_owned()), shape);
        self.item(domain, path, Kind::File, mode, class)
    }

    fn item(&mut self, domain: &str, path: &str, kind: Kind, mode: u32, class: u32) -> &mut Item {
        let born = self.contents.clock - i64::try_from(self.random.below(90_000_000)).unwrap_or(0);
        let aged = i64::try_from(self.random.below(80_000_000)).unwrap_or(0);
        let modified = (born + aged).min(self.contents.clock - 1);
        let owner = if domain == "RootDomain" || domain == "DatabaseDomain" { 0 } else { 501 };
        let inode = self.contents.next_inode();
        self.contents.put(Item {
            domain: domain.to_owned(),
            relative_path: path.to_owned(),
            kind,
            mode,
            user_id: owner,
            group_id: owner,
            inode,
            protection_class: class,
            mtime: modified,
            ctime: modified,
            birth: born,
            size: 0,
            stat_size: 0,
            sha256: None,
            target: None,
            xattrs: BTreeMap::new(),
            only_encrypted: false,
            body: None,
        })
    }

    /// What trips programs up: names, empty files, sizes at edges, attributes, hard links.
    fn odd_ones(&mut self) {
        for name in words::ODD {
            self.file(ODD_DOMAIN, &format!("Documents/odd/{name}"), Shape::Archive);
        }
        let long = "n".repeat(255);
        self.file(ODD_DOMAIN, &format!("Documents/odd/{long}"), Shape::Archive);
        self.folder(ODD_DOMAIN, "Documents/odd/A\u{308}pfel und O\u{308}l");
        let deep = ["deep"; 40].join("/");
        self.file(ODD_DOMAIN, &format!("Documents/{deep}/end"), Shape::Archive);
        for number in 0..3 {
            self.sized(&format!("Documents/empty {number}"), 0);
        }
        for size in EDGES {
            self.sized(&format!("Documents/{size} bytes"), *size);
        }
        let attributes =
            [("com.apple.test.binary", vec![0, 255, 10]), ("com.example.empty", vec![])];
        for path in ["Documents/with attributes", "Documents/odd/CON"] {
            let item = self.file(ODD_DOMAIN, path, Shape::Archive);
            item.xattrs = attributes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        }
        self.folder(ODD_DOMAIN, "Documents/folder with attributes");
        let folder = self.contents.get_mut(ODD_DOMAIN, "Documents/folder with attributes");
        if let Some(folder) = folder {
            folder.xattrs.insert("com.apple.FinderInfo".into(), vec![1; 32]);
        }
        let large = self.file(ODD_DOMAIN, "Documents/attributes left out", Shape::Archive);
        large.xattrs.insert("com.example.large".into(), vec![7; 3000]);
        for (group, names) in [["a", "b", "c"], ["d", "e", "f"]].into_iter().enumerate() {
            let size = if group == 0 { 5000 } else { 0 };
            let first = self.sized(&format!("Documents/hard links/{}", names[0]), size);
            for name in &names[1..] {
                let mut again = first.clone();
                again.relative_path = format!("Documents/hard links/{name}");
                self.contents.put(again);
            }
        }
    }

    /// A text of exactly `size` bytes among the odd ones.
    fn sized(&mut self, path: &str, size: u64) -> Item {
        let seed = self.random.next();
        let item = self.file(ODD_DOMAIN, path, Shape::Text);
        item.set_body(Body::new(Shape::Text, seed, size));
        item.clone()
    }

    /// Folders and files of one kind of domain.
    fn fill(&mut self, kind: Domains, folders: u64, files: u64) {
        let rows = folders + files;
        let names: Vec<String> = match kind {
            Domains::Home => vec!["HomeDomain".into()],
            Domains::Camera => vec!["CameraRollDomain".into()],
            Domains::Other => OTHERS.iter().map(|name| (*name).to_owned()).collect(),
            Domains::App => self.names("AppDomain-com.example", rows / 20),
            Domains::Plugin => self.names("AppDomainPlugin-com.example", rows / 12),
            Domains::Group => self.names("AppDomainGroup-group.com.example", rows / 15),
            Domains::System => self.names("SysContainerDomain-com.apple", rows / 8),
            Domains::Shared => {
                self.names("SysSharedContainerDomain-systemgroup.com.apple", rows / 8)
            }
        };
        let count = u64::try_from(names.len()).unwrap_or(1);
        for (number, domain) in (0..).zip(&names) {
            let share = |all: u64| all * (number + 1) / count - all * number / count;
            let paths = self.folders(kind, domain, share(folders));
            for _ in 0..share(files) {
                self.some_file(kind, domain, &paths);
            }
        }
    }

    fn names(&mut self, stem: &str, count: u64) -> Vec<String> {
        let name = |number| {
            let word = words::pick(&mut self.random, words::PLAIN);
            format!("{stem}.{word}{number}")
        };
        (0..count.max(1)).map(name).collect()
    }

    /// `count` folders below the domain's root; their paths.
    fn folders(&mut self, kind: Domains, domain: &str, count: u64) -> Vec<String> {
        self.folder(domain, "");
        let mut paths = vec![String::new()];
        match kind {
            Domains::Camera => paths = vec!["Media/DCIM/100APPLE".into(), "Media/PhotoData".into()],
            Domains::Home => paths = vec!["Library".into(), "Library/Preferences".into()],
            Domains::Other => {}
            _ => {
                let some = usize::try_from(count).unwrap_or(usize::MAX).min(words::CONTAINER.len());
                paths.extend(words::CONTAINER[..some].iter().map(|path| (*path).to_owned()));
            }
        }
        for path in paths.clone() {
            self.folder(domain, &path);
        }
        while u64::try_from(paths.len()).unwrap_or(u64::MAX) <= count {
            let bound = u64::try_from(paths.len()).unwrap_or(1);
            let above = &paths[usize::try_from(self.random.below(bound)).unwrap_or(0)];
            let word = words::pick(&mut self.random, words::PLAIN);
            let separator = if above.is_empty() { "" } else { "/" };
            let path = format!("{above}{separator}{word}{}", paths.len());
            // Deep enough; and paths stay below what file systems and hosts take.
            if path.matches('/').count() < 12 {
                self.folder(domain, &path);
                paths.push(path);
            }
        }
        paths
    }

    fn some_file(&mut self, kind: Domains, domain: &str, paths: &[String]) {
        let bound = u64::try_from(paths.len()).unwrap_or(1);
        let above = paths[usize::try_from(self.random.below(bound)).unwrap_or(0)].clone();
        let separator = if above.is_empty() { "" } else { "/" };
        let number = self.contents.next_inode();
        let word = words::pick(&mut self.random, words::PLAIN);
        if kind == Domains::Camera && !self.random.one_in(5) {
            self.photo += 1;
            let photo = self.photo;
            let path = format!("Media/DCIM/{}APPLE/IMG_{photo:04}.HEIC", 100 + photo / 1000);
            self.file(domain, &path, Shape::Noise);
            return;
        }
        let (shape, ending) = match self.random.below(25) {
            0 if kind != Domains::Plugin => (Shape::Database, "sqlite"),
            1 => (Shape::Noise, "jpg"),
            2..8 => (Shape::Text, "json"),
            _ => (Shape::Archive, "plist"),
        };
        self.file(domain, &format!("{above}{separator}{word}-{number}.{ending}"), shape);
    }

    /// Links: to a neighbour, to a place far away, to nowhere.
    fn links(&mut self, count: u64) {
        const TARGETS: &[&str] = &["../Documents", "/var/mobile/Library/Caches", "nowhere/at all"];
        for number in 0..count {
            let target = words::pick(&mut self.random, TARGETS);
            self.folder(ODD_DOMAIN, "Documents/links");
            let path = format!("Documents/links/link {number}");
            let link = self.item(ODD_DOMAIN, &path, Kind::Link, 0o120_755, 0);
            link.target = Some(target.to_owned());
        }
    }

    /// Gives bytes to every file that has none: small ones by chance, and what is left of `bytes`
    /// to photos and databases, some of them much larger than others.
    fn sizes(&mut self, bytes: u64) {
        let shapes = std::mem::take(&mut self.shapes);
        let mut large = Vec::new();
        let mut spent = 0;
        for (key, shape) in shapes {
            let Some(item) = self.contents.get_mut(&key.0, &key.1) else { continue };
            if item.body.is_some() {
                spent += item.size;
            } else if matches!(shape, Shape::Noise | Shape::Database) {
                // The sum of a few draws, to the third power: few are much larger than most.
                let draw = 1 + (0..3).map(|_| self.random.below(40)).sum::<u64>();
                large.push((key, shape, draw.pow(3)));
            } else {
                let size = 100 + self.random.below(30).pow(2);
                item.set_body(Body::new(shape, self.random.next(), size));
                spent += item.size;
            }
        }
        let weights: u64 = large.iter().map(|(_, _, weight)| weight).sum::<u64>().max(1);
        let left = bytes.saturating_sub(spent);
        for (key, shape, weight) in large {
            let share = u128::from(left) * u128::from(weight) / u128::from(weights);
            let size = u64::try_from(share).unwrap_or(u64::MAX).max(12);
            let Some(item) = self.contents.get_mut(&key.0, &key.1) else { continue };
            let body = Body::new(shape, self.random.next(), size);
            item.set_body(body);
            if shape == Shape::Database && self.random.one_in(8) {
                item.stat_size += 4096 * (1 + self.random.below(5));
            }
        }
    }
}
