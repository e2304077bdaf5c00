//! `devsnap find DOMAIN:GLOB`.
use super::ls::warn_of_refused;
use super::{Opener, Pattern, for_programs, node_of};
use crate::commands::Session;
use crate::failure::Failure;
use crate::report::escaped;
use crate::report::text::{moment, size};
use devsnap_device::manifest::{Order, Within};
use devsnap_engine::snapshot::Named;

/// Says what fits in one snapshot, under a line with its name, and how many that was.
pub(in crate::commands) fn find(
    session: &Session<'_>,
    opener: &Opener<'_>,
    named: &Named,
    pattern: &Pattern,
    heading: impl Fn() -> Result<(), Failure>,
) -> Result<u64, Failure> {
    opener.with(named, |set| {
        let mut listing = set.manifest().list(Order::Name, &Within::everything())?;
        let mut rows = listing.rows()?;
        let mut matches = 0;
        while let Some(row) = rows.next_where(&|domain, path| pattern.names(domain, path))? {
            if matches == 0 {
                heading()?;
            }
            matches += 1;
            session.report.data(
                || {
                    let mut line = for_programs("match", set, &row);
                    line.insert("snapshot_id".to_owned(), named.id.to_hex().into());
                    line.into()
                },
                || {
                    let node = node_of(&row);
                    let mtime = moment(node.mtime, &session.zone);
                    let place = format!("{}:{}", escaped(&row.domain), escaped(&row.relative_path));
                    format!("  {:>10}  {mtime}  {place}", size(node.size_bytes()))
                },
            )?;
        }
        warn_of_refused(session, rows.tally().refused);
        Ok(matches)
    })
}
