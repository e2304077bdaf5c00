//! `devsnap find`: which snapshots hold a path, the newest first.
use super::Session;
use super::logical::{self, Opener, Pattern};
use crate::args::FindArgs;
use crate::failure::{ExitCode, Failure};
use crate::patterns;
use crate::report::json;
use crate::report::text::{counted, moment, size, what};
use devsnap_engine::node::Node;
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::{Named, Origin};
use globset::GlobSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) fn run(session: &Session<'_>, args: &FindArgs) -> Result<ExitCode, Failure> {
    let pattern = match Pattern::of(&args.pattern)? {
        Some(pattern) => Kind::Logical(pattern, patterns::compile(&[&args.pattern]).ok()),
        None => Kind::Stored(patterns::compile(&[&args.pattern])?),
    };
    let repository = session.open_repository()?;
    let found = session.all_snapshots(&repository)?;
    let named = match &args.snapshot {
        Some(text) => vec![session.select_among(&found, text)?.clone()],
        None => found.named,
    };
    let mut matches = 0u64;
    let mut closed = None;
    let opener = Opener::new(session, &repository, &args.backup_password);
    for named in named.iter().rev() {
        let found = match &pattern {
            Kind::Stored(pattern) => search(session, &repository, named, pattern),
            // There it is a name with a colon in it.
            Kind::Logical(_, stored) if matches!(named.snapshot.origin, Origin::Folder { .. }) => {
                let search = |pattern| search(session, &repository, named, pattern);
                stored.as_ref().map_or(Ok(0), search)
            }
            Kind::Logical(pattern, _) => {
                logical::find(session, &opener, named, pattern, || heading(session, named))
            }
        };
        match found {
            Ok(found) => matches += found,
            // An earlier password may open earlier snapshots only.
            Err(failure)
                if failure.code() == ExitCode::WrongBackupPassword && args.snapshot.is_none() =>
            {
                let short = named.id.short();
                session.report.warn(&format!("snapshot {short}: {}", failure.message()));
                closed = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if let Some(failure) = closed.take_if(|_| matches == 0) {
        return Err(failure);
    }
    session.report.summary(
        || {
            let mut line = json::line("summary");
            line.insert("matches".to_owned(), matches.into());
            line.insert("snapshots".to_owned(), named.len().into());
            line.into()
        },
        || format!("{matches} found in {}", counted(named.len(), "snapshot")),
    )?;
    Ok(closed.map_or(ExitCode::Done, |failure| failure.code()))
}

/// Which names are searched.
enum Kind {
    /// Those the device knows its files by; the stored names of folders, where that is a pattern too.
    Logical(Pattern, Option<GlobSet>),
    /// Those the snapshot has.
    Stored(GlobSet),
}

fn heading(session: &Session<'_>, named: &Named) -> Result<(), Failure> {
    if session.report.is_json() {
        return Ok(());
    }
    let taken = moment(named.snapshot.taken_at, &session.zone);
    let heading = format!("{}  {taken}  {}", named.id.short(), what(&named.snapshot.origin));
    session.report.data(|| serde_json::Value::Null, || heading)
}

/// Says what fits in one snapshot, under a line with its name, and how many that was.
fn search(
    session: &Session<'_>,
    repository: &Repository,
    named: &Named,
    pattern: &GlobSet,
) -> Result<u64, Failure> {
    let view = repository.view(&named.snapshot);
    let mut matches = 0;
    for entry in view.walk(&TreePath::root()) {
        session.interrupt.check()?;
        let (path, node) = entry?;
        if path.is_root() || !pattern.is_match(Path::new(OsStr::from_bytes(&path.to_slashed()))) {
            continue;
        }
        if matches == 0 {
            heading(session, named)?;
        }
        matches += 1;
        say(session, named, &path, &node)?;
    }
    Ok(matches)
}

fn say(session: &Session<'_>, named: &Named, path: &TreePath, node: &Node) -> Result<(), Failure> {
    session.report.data(
        || {
            let mut line = json::node("match", path, node);
            line.insert("snapshot_id".to_owned(), named.id.to_hex().into());
            line.into()
        },
        || {
            let mtime = moment(node.mtime, &session.zone);
            format!("  {:>10}  {mtime}  {path}", size(node.size_bytes()))
        },
    )
}
