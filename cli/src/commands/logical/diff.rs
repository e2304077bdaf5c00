//! `devsnap diff A B DOMAIN:PATH`.
use super::{Opener, Word, node_of};
use crate::commands::Session;
use crate::commands::diff::{Change, Counts, line_of};
use crate::failure::Failure;
use crate::report::escaped;
use devsnap_device::logical::LogicalView;
use devsnap_device::manifest::{BadManifest, Order, Row, RowKind, Rows, Within};
use devsnap_engine::snapshot::Named;
use std::cmp::Ordering;

/// Holds the rows of two snapshots against each other, side by side in the order of names.
pub(in crate::commands) fn diff(
    session: &Session<'_>,
    opener: &Opener<'_>,
    from: &Named,
    to: &Named,
    word: &Word,
) -> Result<Counts, Failure> {
    let within = match word.domain.as_str() {
        "" => Within::everything(),
        domain => Within::domain(domain),
    };
    let within = within.below(&word.path);
    opener.with(from, |old_set| {
        opener.with(to, |new_set| {
            let mut old = old_set.manifest().list(Order::Name, &within)?;
            let mut new = new_set.manifest().list(Order::Name, &within)?;
            let (mut old, mut new) = (Side::of(old.rows()?)?, Side::of(new.rows()?)?);
            let mut counts = Counts::default();
            loop {
                session.interrupt.check()?;
                let (row, change) = match old.compare(&new) {
                    None => return Ok(counts),
                    Some(Ordering::Less) => {
                        let row = old.take()?;
                        let change = Change::Removed(node_of(&row));
                        (row, Some(change))
                    }
                    Some(Ordering::Greater) => {
                        let row = new.take()?;
                        let change = Change::Added(node_of(&row));
                        (row, Some(change))
                    }
                    Some(Ordering::Equal) => {
                        let (old, new) = (old.take()?, new.take()?);
                        let change = between(old_set, &old, new_set, &new)?;
                        (new, change)
                    }
                };
                if let Some(change) = change {
                    counts.add(&change);
                    say(session, &row, &change)?;
                }
            }
        })
    })
}

/// One side's rows, with the next one at hand.
struct Side<'l, 'db> {
    rows: Rows<'l, 'db>,
    next: Option<Row>,
}

impl<'l, 'db> Side<'l, 'db> {
    fn of(mut rows: Rows<'l, 'db>) -> Result<Self, BadManifest> {
        let next = rows.next()?;
        Ok(Side { rows, next })
    }

    /// Which side's name comes first; `None` when both are at their end.
    fn compare(&self, other: &Side<'_, '_>) -> Option<Ordering> {
        let key = |row: &Row| (row.domain.clone(), row.relative_path.replace('/', "\0"));
        match (&self.next, &other.next) {
            (None, None) => None,
            (Some(_), None) => Some(Ordering::Less),
            (None, Some(_)) => Some(Ordering::Greater),
            (Some(old), Some(new)) => Some(key(old).cmp(&key(new))),
        }
    }

    fn take(&mut self) -> Result<Row, BadManifest> {
        let row = self.next.take().expect("because it was just compared");
        self.next = self.rows.next()?;
        Ok(row)
    }
}

/// What happened to what stands at one place, if anything.
fn between(
    old_set: &LogicalView<'_>,
    old: &Row,
    new_set: &LogicalView<'_>,
    new: &Row,
) -> Result<Option<Change>, Failure> {
    let nodes = || (node_of(old), node_of(new));
    if old.kind != new.kind {
        let (old, new) = nodes();
        return Ok(Some(Change::Kind(old, new)));
    }
    let target = |row: &Row| row.file().ok().and_then(|file| file.target);
    let is_same_content = match new.kind {
        RowKind::File => has_same_content(old_set, old, new_set, new)?,
        _ => target(old) == target(new),
    };
    let (old_node, new_node) = nodes();
    Ok(match is_same_content {
        false => Some(Change::Content(old_node, new_node)),
        true if old_node != new_node => Some(Change::Attributes(old_node, new_node)),
        true => None,
    })
}

/// Whether a file has the same content in both. A device that encrypts takes a new key whenever it sends a
/// file, so one key is one content; otherwise what is stored tells.
fn has_same_content(
    old_set: &LogicalView<'_>,
    old: &Row,
    new_set: &LogicalView<'_>,
    new: &Row,
) -> Result<bool, Failure> {
    let key = |row: &Row| row.file().ok().and_then(|file| file.encryption_key);
    if key(old).is_some_and(|old| Some(old) == key(new)) {
        return Ok(true);
    }
    let (old, new) = (old_set.stored(old)?, new_set.stored(new)?);
    Ok(old.map(|node| node.content) == new.map(|node| node.content))
}

fn say(session: &Session<'_>, row: &Row, change: &Change) -> Result<(), Failure> {
    session.report.data(
        || {
            let mut line = line_of(change);
            line.insert("domain".to_owned(), row.domain.clone().into());
            line.insert("path".to_owned(), row.relative_path.clone().into());
            line.into()
        },
        || {
            let (domain, path) = (escaped(&row.domain), escaped(&row.relative_path));
            format!("{} {domain}:{path}", change.mark())
        },
    )
}
