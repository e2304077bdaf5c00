//! `devsnap stats`: what the repository holds and what that costs.
use super::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::text::size;
use devsnap_engine::repository::StoredTotals;
use devsnap_engine::snapshot::Named;
use serde_json::json;
use std::collections::BTreeSet;

pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let named = session.snapshots(&repository)?;
    let stored = repository.stored_totals()?;
    let logical = named.iter().map(restored_bytes).fold(0, u64::saturating_add);
    let sources = named.iter().map(|n| n.snapshot.lineage()).collect::<BTreeSet<_>>().len();
    session.report.data(
        || {
            json!({
                "message_type": "summary",
                "repository_id": repository.id().to_hex(),
                "snapshots": named.len(),
                "sources": sources,
                "bytes_logical": logical,
                "bytes_stored": stored.stored_bytes,
                "data_packs": stored.data_packs,
                "meta_packs": stored.meta_packs,
                "blobs": stored.blobs,
                "segments": stored.segments,
            })
        },
        || for_people(&repository.id().short(), named.len(), sources, logical, &stored),
    )?;
    Ok(ExitCode::Done)
}

/// What bringing this snapshot back would write.
fn restored_bytes(named: &Named) -> u64 {
    named.snapshot.root.map_or(0, |root| root.size_bytes)
}

fn for_people(
    id: &str,
    snapshots: usize,
    sources: usize,
    logical: u64,
    stored: &StoredTotals,
) -> String {
    format!(
        "Repository {id}\n  \
         {snapshots} snapshots of {sources} devices and folders, {} if each stood alone\n  \
         stored {} in {} packs ({} of contents, {} of trees), {} blobs, {} index segments{}",
        size(logical),
        size(stored.stored_bytes),
        stored.data_packs + stored.meta_packs,
        stored.data_packs,
        stored.meta_packs,
        stored.blobs,
        stored.segments,
        share(stored.stored_bytes, logical)
            .map_or_else(String::new, |percent| format!("\n  that is {percent} % of the whole")),
    )
}

/// Stored bytes in per cent of logical ones, with one decimal; `None` of nothing.
fn share(stored: u64, logical: u64) -> Option<String> {
    let tenths = (u128::from(stored) * 1000).checked_div(u128::from(logical))?;
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_something_and_does_not_overflow() {
        assert_eq!(share(1, 0), None);
        assert_eq!(share(125, 1000).as_deref(), Some("12.5"));
        assert_eq!(share(u64::MAX, u64::MAX).as_deref(), Some("100.0"));
    }
}
