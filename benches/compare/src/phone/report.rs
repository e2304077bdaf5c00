//! A table for people.
use std::fmt::Write;

use crate::rivals::Backup;

/// What every rival took: the first backup, and the mean of those after it.
pub(crate) fn text(rows: &[(&'static str, Vec<Backup>)]) -> String {
    let mut text = String::from(
        "| | first | CPU | memory | written | kept | a day later | CPU | memory | written | kept at \
         last | disk at most |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, backups) in rows {
        let Some((first, later)) = backups.split_first() else { continue };
        let count = u32::try_from(later.len()).unwrap_or(u32::MAX).max(1);
        let mean = |of: fn(&Backup) -> f64| {
            later.iter().map(of).fold(0.0, |a, b| a + b) / f64::from(count)
        };
        let most = |of: fn(&Backup) -> u64| later.iter().map(of).max().unwrap_or(0);
        let peak = backups.iter().map(|backup| backup.peak_disk_bytes).max().unwrap_or(0);
        let kept = backups.last().map_or(0, |backup| backup.kept_bytes);
        let _ = writeln!(
            text,
            "| {name} | {:.1} s | {:.1} s | {} | {} | {} | {:.1} s | {:.1} s | {} | {} | {} | {} |",
            first.usage.wall_s,
            first.usage.cpu_s,
            mib(first.usage.peak_rss_bytes),
            mib(first.usage.written_bytes),
            mib(first.kept_bytes),
            mean(|backup| backup.usage.wall_s),
            mean(|backup| backup.usage.cpu_s),
            mib(most(|backup| backup.usage.peak_rss_bytes)),
            mib(most(|backup| backup.usage.written_bytes)),
            mib(kept),
            mib(peak),
        );
    }
    text
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
