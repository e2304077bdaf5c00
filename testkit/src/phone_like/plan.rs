//! Which files a set has, before any is written: paths, kinds, sizes and seeds.
use super::{
    PhoneLike, media,
    rng::{Rng, whole},
    text,
};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Empty,
    Plist,
    Log,
    Thumbnail,
    Database,
    Media,
}

/// One file to be.
#[derive(Debug, Clone)]
pub(super) struct PlannedFile {
    /// Relative, `/`-separated.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Bytes; of a plist only about.
    pub(super) size: u64,
    /// Equal seeds with equal kinds and sizes are equal contents.
    pub(super) seed: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

// Shares of the number of files, in ten-thousandths. What they rest on stands in the docs of
// `super`.
const EMPTY: u64 = 220;
const THUMBNAILS: u64 = 700;
const LOGS: u64 = 300;
const DUPLICATES: u64 = 200;

/// Share of the bytes that databases take, in percent.
const DATABASE_BYTES_PERCENT: u64 = 38;
const DATABASE_BYTES: std::ops::RangeInclusive<u64> = 20 * KIB..=60 * MIB;

/// Mean of the 1-8 MiB that photos and films have.
const MEDIA_BYTES_MEAN: u64 = 7 * MIB / 2;
/// One in so many photos is there twice: sent in a chat as well.
const MEDIA_TWICE: usize = 40;

/// Of a hundred files, how many are named as in a Finder backup.
const HASHED_NAMES_PERCENT: u64 = 75;

/// Plans the whole set.
pub(super) fn plan(set: &PhoneLike) -> Vec<PlannedFile> {
    let mut rng = Rng::new(set.seed);
    let share = |of_ten_thousand: u64| set.files * of_ten_thousand / 10_000;
    let mut contents: Vec<(Kind, u64, u64)> = Vec::new();

    for size in database_sizes(set, &mut rng) {
        contents.push((Kind::Database, size, rng.next()));
    }
    for _ in 0..share(EMPTY) {
        contents.push((Kind::Empty, 0, 0));
    }
    for _ in 0..share(THUMBNAILS) {
        contents.push((Kind::Thumbnail, around(24 * KIB, 0.8, 200 * KIB, &mut rng), rng.next()));
    }
    for _ in 0..share(LOGS) {
        contents.push((Kind::Log, around(16 * KIB, 1.2, MIB, &mut rng), rng.next()));
    }
    let media = (set.total_bytes / 2 / MEDIA_BYTES_MEAN).clamp(1, (set.files / 10).max(1));
    let duplicates = share(DUPLICATES);
    let plists = set.files.saturating_sub(contents.len() as u64 + media + duplicates);
    for _ in 0..plists {
        contents.push((Kind::Plist, plist_size(&mut rng), rng.next()));
    }
    let small = contents.iter().filter(|(kind, ..)| *kind != Kind::Database).count();
    let first_small = contents.len() - small;
    for _ in 0..if small > 0 { duplicates } else { 0 } {
        contents.push(contents[first_small + rng.index(small)]);
    }
    let used: u64 = contents.iter().map(|(_, size, _)| size).sum();
    contents.extend(media_files(media, set.total_bytes.saturating_sub(used), &mut rng));

    contents
        .into_iter()
        .enumerate()
        .map(|(number, (kind, size, seed))| {
            let path = path_of(kind, seed, number, &mut rng);
            PlannedFile { path, kind, size, seed }
        })
        .collect()
}

/// The size of a plist, in bytes: a median of about 600 once the files of other kinds are counted.
pub(super) fn plist_size(rng: &mut Rng) -> u64 {
    around(560, 0.9, 64 * KIB, rng).max(300)
}

/// Sizes of the databases: few large, many small; the largest is the cap, or a quarter of all
/// when the set is scaled down.
fn database_sizes(set: &PhoneLike, rng: &mut Rng) -> Vec<u64> {
    let (smallest, largest) = (*DATABASE_BYTES.start(), *DATABASE_BYTES.end());
    let mut left = set.total_bytes * DATABASE_BYTES_PERCENT / 100;
    let cap = (left / 4).clamp(smallest, largest);
    let mut sizes = Vec::new();
    let mut next = cap;
    while left >= smallest && (sizes.len() as u64) < (set.files / 20).max(1) {
        let page = super::sqlite::PAGE as u64;
        let size = next.min(left) / page * page;
        sizes.push(size);
        left -= size;
        next = whole(smallest as f64 * (cap as f64 / smallest as f64).powf(rng.unit().powi(2)));
    }
    sizes
}

/// `count` photos and films that together have `total` bytes.
fn media_files(count: u64, total: u64, rng: &mut Rng) -> Vec<(Kind, u64, u64)> {
    let mut files: Vec<(Kind, u64, u64)> =
        (0..count).map(|_| (Kind::Media, MIB + rng.below(5 * MIB), rng.next())).collect();
    let twice = files.len() / MEDIA_TWICE;
    let originals = files.len() - twice;
    for number in 0..twice {
        files[originals + number] = files[number];
    }
    // Scaled to the bytes that are left; at the proportions of the default set by about 1.
    let drawn: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, _) in &mut files {
        *size = whole(*size as f64 * total as f64 / drawn as f64);
    }
    files
}

/// Log-normal around `median`, in bytes.
fn around(median: u64, sigma: f64, max: u64, rng: &mut Rng) -> u64 {
    whole(median as f64 * (sigma * rng.normal()).exp()).min(max)
}

/// Where the file lies. `number` makes the readable names unique.
pub(super) fn path_of(kind: Kind, seed: u64, number: usize, rng: &mut Rng) -> String {
    if rng.chance(HASHED_NAMES_PERCENT) {
        let hash = rng.hex(40);
        return format!("{}/{hash}", &hash[..2]);
    }
    let app = format!("com.example.{}{}", text::word(rng).to_lowercase(), rng.below(60));
    match kind {
        Kind::Media => format!(
            "CameraRollDomain/Media/DCIM/{}APPLE/IMG_{number:06}.{}",
            100 + number / 100 % 100,
            media::extension(seed)
        ),
        Kind::Thumbnail => format!(
            "CameraRollDomain/Media/PhotoData/Thumbnails/V2/{:02x}/{number}.JPG",
            rng.below(64)
        ),
        Kind::Database => {
            format!("AppDomainGroup-group.{app}/Library/Application Support/store-{number}.sqlite")
        }
        Kind::Log => format!("HomeDomain/Library/Logs/{app}/{number}.log"),
        Kind::Empty => format!("AppDomain-{app}/Library/Caches/.lock-{number}"),
        Kind::Plist if rng.chance(60) => {
            format!("AppDomainPlugin-{app}.widget/Library/Preferences/{app}.{number}.plist")
        }
        Kind::Plist => format!("AppDomain-{app}/Library/Preferences/{app}.{number}.plist"),
    }
}
