//! The folder of a demo: one that goes away, or the one that was named.
use crate::failure::{ExitCode, Failure};
use crate::report::escaped;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where everything of a demo is.
pub(super) struct Place {
    root: PathBuf,
    /// Takes the folder away when the demo is over; `None` when it is to stay.
    temporary: Option<TempDir>,
}

impl Place {
    /// A folder that only its owner may look into: `named`, or a temporary one.
    ///
    /// # Errors
    ///
    /// `named` holds something or is no folder; it cannot be made.
    pub(super) fn prepare(named: Option<&Path>) -> Result<Place, Failure> {
        let Some(named) = named else {
            let temporary = tempfile::Builder::new().prefix("devsnap-demo-").tempdir();
            let temporary =
                temporary.map_err(|error| failed("could not make a temporary folder", &error))?;
            return Ok(Place { root: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        let shown = named.display();
        let refused = |what: &str| {
            Failure::new(ExitCode::Failed, format!("{shown} {what}"))
                .hint("name a new folder, or an empty one; nothing was changed")
        };
        match fs::read_dir(named).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(refused("is not empty")),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(refused("is not a folder"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(named);
                made.map_err(|error| failed(&format!("could not make {shown}"), &error))?;
            }
            Err(error) => return Err(failed(&format!("could not look at {shown}"), &error)),
        }
        let root = named.canonicalize();
        let root = root.map_err(|error| failed(&format!("could not look at {shown}"), &error))?;
        Ok(Place { root, temporary: None })
    }

    /// Something in it.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder, when it is to stay.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.temporary.is_none().then_some(&*self.root)
    }

    /// Bytes that an ordinary user may still write here.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub(super) fn free_bytes(&self) -> Result<u64, Failure> {
        let found = rustix::fs::statvfs(&self.root)
            .map_err(|errno| failed("could not see how much room there is", &errno.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Writes a secret into a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// It is there, or cannot be written.
    pub(super) fn keep_secret(&self, name: &str, secret: &str) -> Result<(), Failure> {
        let path = self.at(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| writeln!(file, "{secret}"))
            .map_err(|error| failed(&format!("could not write {}", path.display()), &error))
    }

    /// What a demo that ended early leaves behind, and what to do with it.
    pub(super) fn what_is_left(&self) -> String {
        match self.kept() {
            None => "nothing is left of it, and nothing of yours was touched; with --dir it \
                stays for a look"
                .to_owned(),
            Some(root) => format!(
                "what there is of it is in {}: remove it, or name another folder",
                escaped(&root.display().to_string())
            ),
        }
    }
}

/// A failure of this computer.
pub(super) fn failed(what: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull => ExitCode::NoSpace,
        _ => ExitCode::Failed,
    };
    Failure::new(code, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_temporary_place_goes_away_and_a_named_one_stays() {
        let place = Place::prepare(None).unwrap();
        let root = place.at("");
        assert!(root.is_dir() && place.kept().is_none());
        drop(place);
        assert!(!root.exists());

        let home = tempfile::tempdir().unwrap();
        let named = home.path().join("a/b");
        drop(Place::prepare(Some(&named)).unwrap());
        assert!(named.is_dir());
        assert_eq!(named.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_with_anything_in_it_is_refused_in_words() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::prepare(Some(home.path())).unwrap();
        place.keep_secret("password", "one").unwrap();
        let file = home.path().join("password");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let refused = |path: &Path| Place::prepare(Some(path)).err().unwrap();
        assert!(refused(home.path()).message().ends_with("is not empty"));
        assert!(refused(&file).message().ends_with("is not a folder"));
        assert!(place.keep_secret("password", "two").is_err());
        assert_eq!(fs::read_to_string(file).unwrap(), "one\n");
    }

    #[test]
    fn a_full_disk_has_its_own_exit_code() {
        let full = failed("could not write", &io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), ExitCode::NoSpace);
    }
}
