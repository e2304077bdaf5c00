//! The databases of a phone-like folder, cut in every way, day after day.
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};

use devsnap_benches::samples::{DATABASE_MAGIC, files_below};

use crate::counted::{self, Counted, Mark};
use crate::{DAYS, SET};

type Failure = Box<dyn StdError + Send + Sync>;

/// Prints a row per way of cutting.
pub(crate) fn table() -> Result<(), Failure> {
    let keys = devsnap_benches::keys()?;
    let mut counted = Counted::all(&keys)?;
    let folder = tempfile::tempdir()?;
    SET.write(folder.path())?;
    let mut seen = HashMap::new();
    let raw = store_changed(folder.path(), &mut seen, &mut counted)?;
    let first = Mark::of(&counted);
    let mut later = 0;
    for day in 1..=DAYS {
        SET.mutate(folder.path(), day)?;
        later += store_changed(folder.path(), &mut seen, &mut counted)?;
    }
    println!(
        "{} databases of {} MiB in all; those that changed on a day had {} MiB on the average.\n",
        seen.len(),
        raw >> 20,
        (later / u64::from(DAYS)) >> 20
    );
    counted::print(&counted, &first, DAYS);
    Ok(())
}

/// Stores every database that is not as it was seen last. Answers how many bytes they have.
fn store_changed(
    folder: &Path,
    seen: &mut HashMap<PathBuf, blake3::Hash>,
    counted: &mut [Counted<'_>],
) -> Result<u64, Failure> {
    let mut bytes = 0;
    for path in files_below(folder)? {
        let file = fs::read(&path)?;
        if !file.starts_with(DATABASE_MAGIC) {
            continue;
        }
        let hash = blake3::hash(&file);
        if seen.insert(path, hash) == Some(hash) {
            continue;
        }
        bytes += file.len() as u64;
        for one in &mut *counted {
            one.store(&file)?;
        }
    }
    counted.iter_mut().for_each(Counted::seal_bundle);
    Ok(bytes)
}
