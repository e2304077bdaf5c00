//! What a day of use does to a set.
//!
//! The proportions are assumptions, chosen to lie near a day in which a phone is much used; no
//! phone was measured for them.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Seek, SeekFrom, Write},
    path::Path,
};

use super::{
    Changes, PhoneLike,
    plan::{self, Kind, PlannedFile},
    plist,
    rng::Rng,
    sqlite::{self, PAGE},
    text, write_file,
};

// In ten-thousandths of the files of that kind, at least one each.
const DATABASES_CHANGED: usize = 800;
const PLISTS_CHANGED: usize = 200;
const PLISTS_ADDED: usize = 20;
const LOGS_GROWN: usize = 500;
const PHOTOS_ADDED: usize = 150;
/// Of all files but databases.
const FILES_REMOVED: usize = 20;

/// Pages of a changed database that are rewritten, and that are added, in ten-thousandths.
const PAGES_REWRITTEN: u64 = 200;
const PAGES_ADDED: u64 = 30;

/// Applies day number `day` to the set under `dir`.
pub(super) fn pass(set: &PhoneLike, dir: &Path, day: u32) -> io::Result<Changes> {
    let plan = plan::plan(set);
    let mut rng = Rng::of_part(set.seed ^ 0x0d4a_7000, u64::from(day));
    let mut changes = Changes::default();
    for file in some(&plan, Kind::Database, DATABASES_CHANGED, &mut rng) {
        changes.pages_written += change_database(file, dir, day, &mut rng)?;
        changes.files_changed += 1;
    }
    for file in some(&plan, Kind::Log, LOGS_GROWN, &mut rng) {
        changes.files_changed += u64::from(grow_log(file, dir, &mut rng)?);
    }
    for file in some(&plan, Kind::Plist, PLISTS_CHANGED, &mut rng) {
        let path = dir.join(&file.path);
        if path.exists() {
            fs::write(path, plist::plist(file.size, file.seed, u64::from(day)))?;
            changes.files_changed += 1;
        }
    }
    changes.files_added += add_files(&plan, dir, day, &mut rng)?;
    changes.files_removed += remove_files(&plan, dir, &mut rng)?;
    Ok(changes)
}

/// A share of the files of one kind, each at most once.
fn some<'a>(
    plan: &'a [PlannedFile],
    kind: Kind,
    of_ten_thousand: usize,
    rng: &mut Rng,
) -> Vec<&'a PlannedFile> {
    let mut files: Vec<_> = plan.iter().filter(|file| file.kind == kind).collect();
    let wanted = (files.len() * of_ten_thousand).div_ceil(10_000);
    (0..wanted).map(|_| files.swap_remove(rng.index(files.len()))).collect()
}

/// Rewrites runs of pages in place, appends some, and counts the change in the header. Answers
/// how many pages were written. Databases are never removed, so the file is there.
fn change_database(file: &PlannedFile, dir: &Path, day: u32, rng: &mut Rng) -> io::Result<u64> {
    let mut database = OpenOptions::new().read(true).write(true).open(dir.join(&file.path))?;
    let pages = database.metadata()?.len() / PAGE as u64;
    let mut page = [0; PAGE];
    let mut written = 1;
    let wanted = (pages * PAGES_REWRITTEN).div_ceil(10_000);
    while written <= wanted && pages > 1 {
        let first = 1 + rng.below(pages - 1);
        let last = (first + 1 + rng.below(8)).min(pages);
        for number in first..last {
            sqlite::fill_page(file.seed, number, u64::from(day), &mut page);
            write_page(&mut database, number, &page)?;
            written += 1;
        }
    }
    let added = (pages * PAGES_ADDED).div_ceil(10_000);
    for number in pages..pages + added {
        sqlite::fill_page(file.seed, number, 0, &mut page);
        write_page(&mut database, number, &page)?;
    }
    sqlite::fill_first_page(file.seed, pages + added, day + 1, &mut page);
    write_page(&mut database, 0, &page)?;
    Ok(written + added)
}

fn write_page(database: &mut File, number: u64, page: &sqlite::Page) -> io::Result<()> {
    database.seek(SeekFrom::Start(number * PAGE as u64))?;
    database.write_all(page)
}

/// Appends to a log, unless an earlier day removed it.
fn grow_log(file: &PlannedFile, dir: &Path, rng: &mut Rng) -> io::Result<bool> {
    let (size, seed) = (1024 + rng.below(15 * 1024), rng.next());
    match OpenOptions::new().append(true).open(dir.join(&file.path)) {
        Ok(mut log) => {
            let mut lines = Vec::new();
            text::write_log(size, seed, &mut lines)?;
            log.write_all(&lines)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Adds photos, three thumbnails for each, and plists.
fn add_files(plan: &[PlannedFile], dir: &Path, day: u32, rng: &mut Rng) -> io::Result<u64> {
    let mut added: Vec<(Kind, u64)> = Vec::new();
    // A new photo is as large as one that is there, so that scaled-down sets stay in proportion.
    for model in some(plan, Kind::Media, PHOTOS_ADDED, rng) {
        added.push((Kind::Media, model.size));
        added.extend((0..3).map(|_| (Kind::Thumbnail, 8 * 1024 + rng.below(60 * 1024))));
    }
    for _ in some(plan, Kind::Plist, PLISTS_ADDED, rng) {
        added.push((Kind::Plist, plan::plist_size(rng)));
    }
    for (number, (kind, size)) in added.iter().enumerate() {
        let (seed, unique) = (rng.next(), plan.len() + 10_000 * day as usize + number);
        let path = plan::path_of(*kind, seed, unique, rng);
        let file = PlannedFile { path, kind: *kind, size: *size, seed };
        if let Some(parent) = dir.join(&file.path).parent() {
            fs::create_dir_all(parent)?;
        }
        write_file(&file, dir)?;
    }
    Ok(added.len() as u64)
}

fn remove_files(plan: &[PlannedFile], dir: &Path, rng: &mut Rng) -> io::Result<u64> {
    let mut removed = 0;
    for _ in 0..(plan.len() * FILES_REMOVED).div_ceil(10_000) {
        let file = &plan[rng.index(plan.len())];
        if file.kind == Kind::Database {
            continue;
        }
        match fs::remove_file(dir.join(&file.path)) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
