//! `devsnap cache`: this computer's copies of what repositories hold.
use super::Session;
use crate::args::CacheCommand;
use crate::failure::{ExitCode, Failure};
use crate::report::{escaped, json};
use crate::settings::{HomeFolders, cache_folder};
use devsnap_engine::id::RepositoryId;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) fn run(session: &Session<'_>, what: CacheCommand) -> Result<ExitCode, Failure> {
    let folder = cache_folder(session.global, &HomeFolders::of_this_user())?;
    match what {
        CacheCommand::Path => session.report.data(
            || {
                let mut line = json::line("summary");
                json::put_path(&mut line, "cache", folder.as_os_str().as_bytes());
                line.into()
            },
            || escaped(&folder.display().to_string()),
        )?,
        CacheCommand::Clear => {
            let cleared = clear(&folder)?;
            session.report.summary(
                || {
                    let mut line = json::line("summary");
                    line.insert("cleared".to_owned(), cleared.into());
                    line.into()
                },
                || format!("Deleted this computer's copies of {cleared} repositories"),
            )?;
        }
    }
    Ok(ExitCode::Done)
}

/// Deletes the folders named like a repository, or a station of one, and nothing else: who set the cache folder to
/// their home keeps their home.
fn clear(cache: &Path) -> Result<usize, Failure> {
    let failed = |path: &Path, error: io::Error| {
        let shown = path.display();
        Failure::new(ExitCode::Failed, format!("could not delete from {shown}: {error}"))
            .hint("check the folder's permissions")
    };
    let copies = copies_in(cache).map_err(|error| failed(cache, error))?;
    for copy in &copies {
        fs::remove_dir_all(copy).map_err(|error| failed(copy, error))?;
    }
    Ok(copies.len())
}

fn copies_in(cache: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(cache) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut copies = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let named = name.to_str().is_some_and(|name| {
            let id = name.split_once("-station-").map_or(name, |(id, _)| id);
            id.parse::<RepositoryId>().is_ok()
        });
        if named && entry.file_type()?.is_dir() {
            copies.push(entry.path());
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_named_like_a_repository_are_deleted() {
        let cache = tempfile::tempdir().unwrap();
        let at = |name: &str| cache.path().join(name);
        let id = "0123456789abcdef".repeat(2);
        let other = "fedcba9876543210".repeat(2);
        fs::create_dir_all(at(&id).join("below")).unwrap();
        fs::create_dir_all(at("Documents")).unwrap();
        fs::write(at("notes"), "mine").unwrap();
        fs::create_dir_all(at(&format!("{id}-station-01234567"))).unwrap();
        std::os::unix::fs::symlink(at("Documents"), at(&other)).unwrap();

        assert_eq!(clear(cache.path()).unwrap(), 2);

        assert!(!at(&id).exists());
        assert!(at("Documents").is_dir() && at("notes").is_file() && at(&other).exists());
        assert_eq!(clear(&at("missing")).unwrap(), 0);
    }
}
