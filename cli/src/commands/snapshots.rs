//! `devsnap snapshots`: what is there, oldest first.
use super::Session;
use crate::args::SnapshotsArgs;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{Column, moment, size, state, table, tags, what};
use devsnap_engine::snapshot::Named;
use serde_json::Value;

pub(super) fn run(session: &Session<'_>, args: &SnapshotsArgs) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let mut named = session.snapshots(&repository)?;
    named.retain(|named| has_any(named, &args.tags));
    if session.report.is_json() {
        for named in &named {
            session.report.data(|| json::snapshot(named).into(), String::new)?;
        }
    } else if !named.is_empty() {
        for line in rows(session, &named) {
            session.report.data(|| Value::Null, || line)?;
        }
    }
    session.report.summary(
        || {
            let mut line = json::line("summary");
            line.insert("snapshots".to_owned(), named.len().into());
            line.into()
        },
        || match named.len() {
            0 => "no snapshots".to_owned(),
            1 => "1 snapshot".to_owned(),
            several => format!("{several} snapshots"),
        },
    )?;
    Ok(ExitCode::Done)
}

fn has_any(named: &Named, tags: &[String]) -> bool {
    tags.is_empty() || named.snapshot.tags.iter().any(|tag| tags.contains(tag))
}

fn rows(session: &Session<'_>, named: &[Named]) -> Vec<String> {
    let row = |named: &Named| {
        let snapshot = &named.snapshot;
        [
            named.id.short(),
            moment(snapshot.taken_at, &session.zone),
            what(&snapshot.origin),
            size(snapshot.root.map_or(0, |root| root.size_bytes)),
            tags(snapshot),
            state(snapshot),
        ]
    };
    let rows: Vec<_> = named.iter().map(row).collect();
    let heading = [
        ("ID", Column::Left),
        ("Date", Column::Left),
        ("What", Column::Left),
        ("Size", Column::Right),
        ("Tags", Column::Left),
        ("State", Column::Left),
    ];
    table(heading, &rows)
}
