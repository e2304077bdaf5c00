//! Makes a repository of many snapshots, to time what lists and judges them.
//!
//! `many-snapshots FOLDER [COUNT]`: COUNT (10 000) daily snapshots of four folders, the last ones taken
//! yesterday, in `FOLDER/repository`, which the password `many` opens. All hold the same small tree:
//! what is timed is the number of snapshots. Each has a session of its own, as if it had been taken on
//! its day. On a disk every object costs an `fsync`: a folder in `/dev/shm` is quicker to fill.
use devsnap_backends::{Credentials, Location, create};
use devsnap_engine::backend::{ObjectKey, ObjectKind, path_of};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{InitOptions, Repository, Session, Unlock};
use devsnap_engine::snapshot::{Origin, Snapshot};
use devsnap_testkit::test_repository;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FOLDERS: u64 = 4;
const DAY_SECS: u64 = 24 * 60 * 60;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let folder = PathBuf::from(words.next().ok_or("usage: many-snapshots FOLDER [COUNT]")?);
    let count: u64 = match words.next() {
        Some(word) => {
            word.to_str().and_then(|word| word.parse().ok()).ok_or("COUNT is a number")?
        }
        None => 10_000,
    };
    let place = folder.join("repository");
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("data/note.txt"), "kept\n")?;
    let backend =
        create(&Location::Folder(place.clone()), &Credentials::default(), &Interrupt::new())?;
    Repository::init(&*backend, b"many", &InitOptions::default())?;
    let cache = folder.join("cache");
    let repository = Repository::open(backend, &Unlock::Password(b"many"), &cache, &Silent)?;
    let first = test_repository::snapshot(&repository, &folder.join("data"), &Interrupt::new())?;
    repository.forget(&[first.named.id], &Interrupt::new())?;

    let today = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / DAY_SECS;
    let first_day = today.saturating_sub(count.div_ceil(FOLDERS));
    for sequence in 0..count {
        let day = first_day + sequence / FOLDERS;
        let session = Session::open(&repository, "many-snapshots")?;
        let path = format!("/home/{}", sequence % FOLDERS).into_bytes();
        let id = repository.put_snapshot(&Snapshot {
            origin: Origin::Folder { host: "desk".to_owned(), path },
            taken_at: Time { secs: i64::try_from(day * DAY_SECS)?, nanos: 0 },
            session: session.id(),
            sequence: sequence + 1,
            ..first.named.snapshot.clone()
        })?;
        session.end()?;
        stored_on(&place, &ObjectKey::new(ObjectKind::Snapshot, id.to_hex()), day)?;
    }
    println!("{count} snapshots in {}, opened by the password `many`", place.display());
    Ok(())
}

/// Makes the storage say that it was written on that day: what is dated far from it is not judged.
fn stored_on(place: &Path, key: &ObjectKey, day: u64) -> std::io::Result<()> {
    let file = File::options().append(true).open(place.join(path_of(key)))?;
    file.set_modified(UNIX_EPOCH + Duration::from_secs(day * DAY_SECS))
}
