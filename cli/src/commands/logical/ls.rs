//! `devsnap ls SNAP DOMAIN:PATH`.
use super::{Opener, Word, for_programs, node_of, not_there, row_at};
use crate::args::LsArgs;
use crate::commands::{Session, ls::columns};
use crate::failure::Failure;
use crate::report::escaped;
use crate::report::json;
use devsnap_device::logical::LogicalView;
use devsnap_device::manifest::{Order, Row, RowKind, Within};
use devsnap_engine::snapshot::Named;

pub(in crate::commands) fn ls(
    session: &Session<'_>,
    opener: &Opener<'_>,
    named: &Named,
    word: &Word,
    args: &LsArgs,
) -> Result<(), Failure> {
    opener.with(named, |set| {
        if word.domain.is_empty() && word.path.is_empty() && !args.recursive {
            return domains(session, set);
        }
        let within = match word.domain.as_str() {
            "" => Within::everything(),
            domain => Within::domain(domain),
        };
        // What is no folder is listed itself.
        if !word.path.is_empty() && !word.domain.is_empty() {
            match row_at(set, word)? {
                Some(row) if row.kind != RowKind::Folder => return say(session, set, &row, args),
                _ => {}
            }
        }
        let start = match word.path.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let is_below = |_: &str, path: &str| {
            let rest = path.strip_prefix(&start);
            rest.is_some_and(|rest| !rest.is_empty() && (args.recursive || !rest.contains('/')))
        };
        let mut listing = set.manifest().list(Order::Name, &within.below(&word.path))?;
        let mut rows = listing.rows()?;
        let mut is_empty = true;
        while let Some(row) = rows.next_where(&is_below)? {
            is_empty = false;
            say(session, set, &row, args)?;
        }
        warn_of_refused(session, rows.tally().refused);
        if is_empty && row_at(set, word)?.is_none() {
            return Err(not_there(word, named));
        }
        Ok(())
    })
}

/// Rows without a usable name are in no listing, and nobody would know.
pub(super) fn warn_of_refused(session: &Session<'_>, refused: u64) {
    if refused > 0 {
        session.report.warn(&format!("{refused} rows of Manifest.db cannot be used"));
    }
}

/// Each domain with how many names it holds.
fn domains(session: &Session<'_>, set: &LogicalView<'_>) -> Result<(), Failure> {
    let mut listing = set.manifest().list(Order::Name, &Within::everything().names_only())?;
    let mut rows = listing.rows()?;
    let mut last: Option<(String, u64)> = None;
    let say = |(domain, names): (String, u64)| {
        session.report.data(
            || {
                let mut line = json::line("domain");
                line.insert("domain".to_owned(), domain.clone().into());
                line.insert("names".to_owned(), names.into());
                line.into()
            },
            || format!("{}:", escaped(&domain)),
        )
    };
    while let Some(row) = rows.next()? {
        match &mut last {
            Some((domain, names)) if *domain == row.domain => *names += 1,
            _ => {
                if let Some(done) = last.replace((row.domain, 1)) {
                    say(done)?;
                }
            }
        }
    }
    last.map_or(Ok(()), say)?;
    warn_of_refused(session, rows.tally().refused);
    Ok(())
}

fn say(
    session: &Session<'_>,
    set: &LogicalView<'_>,
    row: &Row,
    args: &LsArgs,
) -> Result<(), Failure> {
    let place = || format!("{}:{}", escaped(&row.domain), escaped(&row.relative_path));
    session.report.data(
        || for_programs("node", set, row).into(),
        || match args.long {
            true => columns(session, &place(), &node_of(row)),
            false => place(),
        },
    )
}
