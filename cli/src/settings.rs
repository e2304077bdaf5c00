//! Where things are: flags before environment before the user's own folders.
use crate::args::Global;
use crate::failure::{ExitCode, Failure};
use devsnap_backends::{Credentials, Location};
use directories::ProjectDirs;
use std::path::{Path, PathBuf};

/// Where the repository and this computer's copies are, and what opens the storage.
#[derive(Debug)]
pub struct Settings {
    /// The repository.
    pub repository: Location,
    /// Nobody named it: it is the default one.
    pub is_default_repository: bool,
    /// This computer's copies, a folder per repository in it.
    pub cache: PathBuf,
    /// For the storage service.
    pub credentials: Credentials,
}

/// The user's own folders; `None` without a home.
#[derive(Debug, Default)]
pub struct HomeFolders {
    /// For data that is to stay.
    pub data: Option<PathBuf>,
    /// For data that can be made again.
    pub cache: Option<PathBuf>,
}

impl HomeFolders {
    /// By the customs of this system (`XDG_DATA_HOME`, `XDG_CACHE_HOME`).
    pub fn of_this_user() -> Self {
        ProjectDirs::from("", "", "devsnap").map_or_else(HomeFolders::default, |dirs| HomeFolders {
            data: Some(dirs.data_dir().to_owned()),
            cache: Some(dirs.cache_dir().to_owned()),
        })
    }
}

impl Settings {
    /// Decides from the flags (clap has put the environment's words in where a flag is missing)
    /// and the user's folders. `variable` looks up the environment for credentials.
    ///
    /// # Errors
    ///
    /// A location that cannot be understood; no home folder to fall back on.
    pub fn new(
        global: &Global,
        home: &HomeFolders,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, Failure> {
        let named = global.repo.as_deref().filter(|written| !written.is_empty());
        let repository = match named {
            Some(written) => written.parse().map_err(|bad| Failure::usage(format!("{bad}")))?,
            None => default_repository(home)?,
        };
        let credentials = Credentials::NAMES
            .iter()
            .filter_map(|name| variable(name).map(|value| (*name, value)))
            .collect();
        Ok(Settings {
            repository,
            is_default_repository: named.is_none(),
            cache: cache_folder(global, home)?,
            credentials,
        })
    }
}

fn default_repository(home: &HomeFolders) -> Result<Location, Failure> {
    let data = home.data.as_ref().ok_or_else(|| {
        Failure::new(ExitCode::Usage, "no repository is named and there is no home folder")
            .hint("name one with --repo or DEVSNAP_REPOSITORY")
    })?;
    Ok(Location::Folder(data.join("repository")))
}

/// Where this computer keeps its copies.
///
/// # Errors
///
/// Nothing names it and there is no home folder.
pub fn cache_folder(global: &Global, home: &HomeFolders) -> Result<PathBuf, Failure> {
    let named = global.cache_dir.as_deref().filter(|path| *path != Path::new(""));
    named.or(home.cache.as_deref()).map(Path::to_owned).ok_or_else(|| {
        Failure::new(ExitCode::Usage, "there is no home folder for the cache")
            .hint("name a folder with --cache-dir or DEVSNAP_CACHE_DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> HomeFolders {
        HomeFolders { data: Some("/home/d".into()), cache: Some("/home/c".into()) }
    }

    fn named(repo: &str) -> Global {
        Global { repo: Some(repo.to_owned()), ..Global::default() }
    }

    #[test]
    fn without_a_name_the_repository_is_in_the_users_data_folder() {
        for global in [Global::default(), named("")] {
            let settings = Settings::new(&global, &home(), |_| None).unwrap();
            assert_eq!(settings.repository, Location::Folder("/home/d/repository".into()));
            assert!(settings.is_default_repository);
            assert_eq!(settings.cache, Path::new("/home/c"));
        }
    }

    #[test]
    fn what_is_named_is_taken() {
        let global = Global { cache_dir: Some("/else".into()), ..named("/mnt/nas") };
        let settings = Settings::new(&global, &HomeFolders::default(), |_| None).unwrap();
        assert_eq!(settings.repository, Location::Folder("/mnt/nas".into()));
        assert!(!settings.is_default_repository);
        assert_eq!(settings.cache, Path::new("/else"));
    }

    #[test]
    fn without_a_home_and_a_name_it_is_a_usage_error_with_advice() {
        let failure = Settings::new(&Global::default(), &HomeFolders::default(), |_| None);
        let failure = failure.unwrap_err();
        assert_eq!(failure.code(), ExitCode::Usage);
        assert!(failure.advice().is_some());
    }

    #[test]
    fn a_location_with_a_secret_is_refused_and_not_repeated() {
        let failure = Settings::new(&named("s3://hunter2@bucket/a"), &home(), |_| None);
        let failure = failure.unwrap_err();
        assert_eq!(failure.code(), ExitCode::Usage);
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    #[test]
    fn only_the_variables_of_the_storage_become_credentials() {
        let variable = |name: &str| (name != "AWS_PROFILE").then(|| format!("of {name}"));
        let settings = Settings::new(&named("s3://bucket"), &home(), variable).unwrap();
        assert_eq!(settings.credentials.get("AWS_REGION"), Some("of AWS_REGION"));
        assert_eq!(settings.credentials.get("AWS_PROFILE"), None);
        assert_eq!(settings.credentials.get("HOME"), None);
    }
}
