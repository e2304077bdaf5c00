//! `devsnap ls`: what a snapshot holds.
use super::logical::{self, Opener, Word};
use super::{Session, paths};
use crate::args::LsArgs;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{escaped_bytes, mode, moment};
use devsnap_engine::node::{Node, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;

pub(super) fn run(session: &Session<'_>, args: &LsArgs) -> Result<ExitCode, Failure> {
    if let Some(word) = args.path.as_deref().and_then(Word::of) {
        let repository = session.open_repository()?;
        let named = session.one(&repository, &args.snapshot)?;
        let opener = Opener::new(session, &repository, &args.backup_password);
        logical::ls(session, &opener, &named, &word, args)?;
        return Ok(ExitCode::Done);
    }
    let path = args.path.as_deref().map_or(Ok(TreePath::root()), paths::typed)?;
    let repository = session.open_repository()?;
    let named = session.one(&repository, &args.snapshot)?;
    let view = repository.view(&named.snapshot);
    let say = |path: &TreePath, node: &Node| {
        session.report.data(
            || json::node("node", path, node).into(),
            || if args.long { columns(session, &path.to_string(), node) } else { path.to_string() },
        )
    };
    let entry = view.entry(&path)?;
    match &entry {
        None if !path.is_root() => return Err(paths::not_there(&path, &named.id.short())),
        Some(node) if node.kind != NodeKind::Folder => {
            say(&path, node)?;
            return Ok(ExitCode::Done);
        }
        _ => {}
    }
    let entries = if args.recursive { view.walk(&path) } else { view.list(&path) };
    for entry in entries {
        session.interrupt.check()?;
        let (found, node) = entry?;
        if found != path {
            say(&found, &node)?;
        }
    }
    Ok(ExitCode::Done)
}

/// E.g. `-rw-r-----   501   501      12345  2026-11-24 20:04:11  a/b -> c`.
pub(super) fn columns(session: &Session<'_>, path: &str, node: &Node) -> String {
    let mut line = format!(
        "{} {:>5} {:>5} {:>12}  {}  {path}",
        mode(node),
        node.uid,
        node.gid,
        node.size_bytes(),
        moment(node.mtime, &session.zone),
    );
    if node.kind == NodeKind::Symlink {
        line = line + " -> " + &escaped_bytes(&node.link_target);
    }
    line
}
