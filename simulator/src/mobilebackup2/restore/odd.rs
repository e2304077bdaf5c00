//! What no phone asks of its host in a restore, when that is to go wrong.
use super::super::session::Session;
use super::super::stop::{Step, Stop};
use crate::phone::OddRestore;

/// Asks it, whatever comes back: a host that bears it has to know by itself that something is wrong.
pub(super) fn ask(session: &mut Session<'_, '_>, from: &str) -> Step<()> {
    let Some(odd) = session.faults.odd_restore else { return Ok(()) };
    let outside = || format!("{from}/../../../etc/passwd");
    let inside = |name: &str| format!("{from}/{name}");
    let host = &mut session.host;
    let asked = match odd {
        OddRestore::AsksOutside => host.download(&[outside()], |_, _| Ok(())).map(drop),
        OddRestore::ListsOutside => host.list(&format!("{from}/..")).map(drop),
        OddRestore::Uploads => host.upload_bytes(&inside("Info.plist"), b"nothing"),
        OddRestore::UploadsOutside => host.upload_bytes(&outside(), b"nothing"),
        OddRestore::MakesFolder => host.create_folder(&inside("Snapshot")),
        OddRestore::Moves => {
            let names = [(inside("Manifest.db"), inside("Snapshot/Manifest.db"))];
            host.rename(names)
        }
        OddRestore::Removes => host.remove(&[inside("Manifest.db")]),
        OddRestore::Copies => host.copy(from, &format!("{from}-20261128-120000")),
        OddRestore::AsksForMore => {
            let name = inside("00/0000000000000000000000000000000000000000");
            host.download(&[name], |_, _| Ok(())).map(drop)
        }
    };
    match asked {
        Err(Stop::Broken(error)) => Err(Stop::Broken(error)),
        Ok(()) | Err(Stop::Refused(_)) => Ok(()),
    }
}
