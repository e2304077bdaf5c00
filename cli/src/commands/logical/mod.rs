//! Snapshots of devices as their owners know them: `DOMAIN:PATH` instead of stored names.
mod diff;
mod extract;
mod find;
mod ls;
mod word;

pub(super) use diff::diff;
pub(super) use extract::run as extract;
pub(super) use find::find;
pub(super) use ls::ls;
pub(super) use word::{Pattern, Word};

use super::Session;
use crate::args::BackupPasswordArgs;
use crate::failure::{ExitCode, Failure};
use crate::password::Password;
use crate::report::json;
use devsnap_device::Udid;
use devsnap_device::conversion::Unlocked;
use devsnap_device::logical::{LogicalView, StoredLists};
use devsnap_device::manifest::{MbFile, Order, Row, RowKind, Within};
use devsnap_engine::node::{Node, NodeKind, Time};
use devsnap_engine::path::TreePath;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::{Named, Origin};
use serde_json::{Map, Value};
use std::cell::RefCell;

/// The most stored names that `restore --include` takes from one manifest: they are kept in memory.
const INCLUDED_MAX: usize = 200_000;

/// Opens the sets of snapshots; asks for the backup password once, and only if a set takes one.
pub(super) struct Opener<'s> {
    session: &'s Session<'s>,
    repository: &'s Repository,
    flags: &'s BackupPasswordArgs,
    password: RefCell<Option<Password>>,
    known: RefCell<Option<Unlocked>>,
}

impl<'s> Opener<'s> {
    pub(super) fn new(
        session: &'s Session<'s>,
        repository: &'s Repository,
        flags: &'s BackupPasswordArgs,
    ) -> Self {
        let (password, known) = (RefCell::default(), RefCell::default());
        Opener { session, repository, flags, password, known }
    }

    /// Opens the set in `named` for as long as `act` takes.
    ///
    /// # Errors
    ///
    /// It is no device's; the password is wrong, or nobody gives it; the set cannot be read; `act`'s.
    pub(super) fn with<T>(
        &self,
        named: &Named,
        act: impl FnOnce(&LogicalView<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let udid = udid_of(named)?;
        let view = self.repository.view(&named.snapshot);
        let lists = StoredLists::read(&view, udid)?;
        if lists.is_encrypted() && self.password.borrow().is_none() {
            let password = self.session.backup_password(self.flags)?;
            *self.password.borrow_mut() = Some(password);
        }
        // Taken out, since `act` may open another set.
        let password = self.password.borrow().clone();
        let scratch = self.repository.scratch()?;
        let known = self.known.borrow().clone();
        let password = password.as_ref().map(|password| password.as_slice());
        let interrupt = self.session.interrupt;
        let set = lists.open(password, known.as_ref(), scratch.path(), interrupt)?;
        if let Some(unlocked) = set.unlocked() {
            *self.known.borrow_mut() = Some(unlocked.clone());
        }
        act(&set)
    }
}

fn udid_of(named: &Named) -> Result<Udid, Failure> {
    let short = named.id.short();
    let Origin::Device(device) = &named.snapshot.origin else {
        return Err(Failure::usage(format!(
            "snapshot {short} is of a folder: DOMAIN:PATH is for backups of devices"
        ))
        .hint("write ./ before a path that has a colon in it"));
    };
    let none = || Failure::usage(format!("snapshot {short} names no device"));
    Udid::parse(&device.udid).ok_or_else(none)
}

/// The row at exactly this place, if there is one.
fn row_at(set: &LogicalView<'_>, word: &Word) -> Result<Option<Row>, Failure> {
    let within = Within::domain(&word.domain).below(&word.path);
    let mut listing = set.manifest().list(Order::Name, &within)?;
    Ok(listing.rows()?.next_where(&|_, path| path == word.path)?)
}

/// `devsnap dump`: the content of one file.
pub(super) fn dump(
    opener: &Opener<'_>,
    named: &Named,
    word: &Word,
    copy: impl FnOnce(&mut dyn std::io::Read) -> Result<(), Failure>,
) -> Result<(), Failure> {
    opener.with(named, |set| {
        let row = row_at(set, word)?.ok_or_else(|| not_there(word, named))?;
        let mut file = set.open(&row).map_err(|no| Failure::from(no).of(&word.to_string()))?;
        copy(&mut *file.content)
    })
}

/// The stored names of the files that fit, for `restore --include`.
pub(super) fn stored_names(
    opener: &Opener<'_>,
    named: &Named,
    patterns: &[Pattern],
) -> Result<Vec<String>, Failure> {
    opener.with(named, |set| {
        let mut names = Vec::new();
        let mut listing = set.manifest().list(Order::Name, &Within::everything().names_only())?;
        let mut rows = listing.rows()?;
        let fits = |domain: &str, path: &str| patterns.iter().any(|one| one.fits(domain, path));
        while let Some(row) = rows.next_where(&fits)? {
            if row.kind != RowKind::File {
                continue;
            }
            if names.len() == INCLUDED_MAX {
                let line = format!("more than {INCLUDED_MAX} files match --include");
                return Err(Failure::usage(line).hint("restore all, or use `devsnap extract`"));
            }
            names.push(set.stored_path(&row).to_string());
        }
        Ok(names)
    })
}

fn not_there(word: &Word, named: &Named) -> Failure {
    let short = named.id.short();
    Failure::new(ExitCode::Failed, format!("there is no `{word}` in snapshot {short}"))
        .hint(format!("`devsnap ls {short} :` lists the domains"))
}

/// What a row says, in the form of a node. Its content is not looked at, and its size is the device's word.
fn node_of(row: &Row) -> Node {
    let kind = match row.kind {
        RowKind::Folder => NodeKind::Folder,
        RowKind::Symlink => NodeKind::Symlink,
        RowKind::File | RowKind::Other(_) => NodeKind::File,
    };
    let Ok(file) = row.file() else { return Node::new(kind, 0) };
    let MbFile { size, mode, mtime, birth, user, group, target, .. } = file;
    let mut node = Node::new(kind, mode.unwrap_or(0));
    node.mtime = Time { secs: mtime.unwrap_or(0), nanos: 0 };
    node.birth = birth.map(|secs| Time { secs, nanos: 0 });
    (node.uid, node.gid) = (user.unwrap_or(0), group.unwrap_or(0));
    node.content.len = size.filter(|_| kind == NodeKind::File).unwrap_or(0);
    node.link_target = target.unwrap_or_default().into_bytes();
    node
}

/// A row as a line of JSON: a node's, and where it is on the device.
fn for_programs(message_type: &str, set: &LogicalView<'_>, row: &Row) -> Map<String, Value> {
    let mut line = json::node(message_type, &TreePath::root(), &node_of(row));
    line.insert("domain".to_owned(), row.domain.clone().into());
    line.insert("path".to_owned(), row.relative_path.clone().into());
    if row.kind == RowKind::File {
        line.insert("stored_path".to_owned(), set.stored_path(row).to_string().into());
    }
    line
}
