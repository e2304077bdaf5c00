//! `devsnap dump`: one file of a snapshot to standard output.
use super::logical::{self, Opener, Word};
use super::{Session, paths};
use crate::args::DumpArgs;
use crate::failure::{ExitCode, Failure};
use devsnap_engine::node::NodeKind;
use devsnap_engine::reader::SnapshotReader;
use std::io::{ErrorKind, Read};

pub(super) fn run(session: &Session<'_>, args: &DumpArgs) -> Result<ExitCode, Failure> {
    if let Some(word) = Word::of(&args.path) {
        let repository = session.open_repository()?;
        let named = session.one(&repository, &args.snapshot)?;
        let opener = Opener::new(session, &repository, &args.backup_password);
        logical::dump(&opener, &named, &word, |file| copy(session, file))?;
        return Ok(ExitCode::Done);
    }
    let path = paths::typed(&args.path)?;
    let repository = session.open_repository()?;
    let named = session.one(&repository, &args.snapshot)?;
    let view = repository.view(&named.snapshot);
    match view.entry(&path)? {
        Some(node) if node.kind == NodeKind::File => {}
        None if !path.is_root() => return Err(paths::not_there(&path, &named.id.short())),
        _ => {
            return Err(Failure::new(ExitCode::Failed, format!("`{path}` is not a file"))
                .hint("`devsnap restore SNAP:/PATH --target DIR` brings folders and links back"));
        }
    }
    copy(session, &mut *view.open(&path)?)?;
    Ok(ExitCode::Done)
}

/// Copies in pieces, so that a wish to stop is heeded and each side's errors keep their names.
fn copy(session: &Session<'_>, file: &mut dyn Read) -> Result<(), Failure> {
    let mut piece = vec![0; 256 * 1024];
    loop {
        session.interrupt.check()?;
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => session.report.bytes(&piece[..read])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::reading(error)),
        }
    }
}
