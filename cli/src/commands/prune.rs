//! `devsnap prune`: room that no snapshot needs any more.
use super::Session;
use super::policy::{Judgement, policy_of};
use crate::args::{PolicyArgs, PruneArgs};
use crate::failure::{ExitCode, Failure};
use crate::report::{escaped, json, text::counted, text::moment, text::size};
use devsnap_engine::id::SnapshotId;
use devsnap_engine::node::Time;
use devsnap_engine::progress::Progress;
use devsnap_engine::prune::{PruneOptions, PruneReport, prune};
use devsnap_engine::repository::{OpenSession, Repository, now_secs};
use devsnap_engine::retention::RetentionPolicy;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(session: &Session<'_>, args: &PruneArgs) -> Result<ExitCode, Failure> {
    let policy = policy_of(&args.policy)?;
    let PolicyArgs { of, trust_dates, allow_last, .. } = &args.policy;
    if policy.is_empty() && (of.is_some() || *trust_dates || *allow_last) {
        return Err(Failure::usage("--of, --trust-dates and --allow-last go with a policy")
            .hint("e.g. `devsnap prune --keep-daily 7 --keep-monthly 12 --dry-run`"));
    }
    let repository = session.open_repository()?;
    let forgotten = match policy.is_empty() {
        true => Vec::new(),
        false => forget(session, &repository, args, &policy)?,
    };
    let options = PruneOptions {
        max_unused: args.max_unused,
        dry_run: args.dry_run,
        forgotten: forgotten.iter().copied().collect(),
        fence_after: Duration::from_secs(u64::from(args.fence_after_hours) * 3600),
        now_secs: now_secs(),
        program: format!("devsnap {}", env!("CARGO_PKG_VERSION")),
    };
    let watch: Arc<dyn Progress> = Arc::new(session.report.watch());
    let pruned = prune(&repository, &options, &watch, session.interrupt);
    drop(watch);
    let pruned = pruned?;
    for open in &pruned.fenced {
        session.report.warn(&format!(
            "{} was given up: it is dead, has not stirred for long, or was in the way for too long",
            name(open)
        ));
    }
    for open in &pruned.waits_for {
        session.report.data(
            || for_programs(open),
            || format!("waits for {}, {}", name(open), last_sign(session, open)),
        )?;
    }
    session.report.summary(
        || summary(&pruned, args, forgotten.len()),
        || for_people(&pruned, args, forgotten.len()),
    )?;
    Ok(if pruned.waits_for.is_empty() { ExitCode::Done } else { ExitCode::Incomplete })
}

/// Forgets what the policy does not keep, or (dry) says what that is.
fn forget(
    session: &Session<'_>,
    repository: &Repository,
    args: &PruneArgs,
    policy: &RetentionPolicy,
) -> Result<Vec<SnapshotId>, Failure> {
    let snapshots = session.all_snapshots(repository)?;
    let judgement = Judgement::new(&snapshots, policy, &args.policy)?;
    judgement.say(session)?;
    let forgotten = judgement.forgotten();
    if !args.dry_run {
        repository.forget(&forgotten, session.interrupt)?;
    }
    Ok(forgotten)
}

fn name(open: &OpenSession) -> String {
    let program = open.program.as_deref().unwrap_or("an unknown program");
    format!("session {} of {}", open.id.short(), escaped(program))
}

fn last_sign(session: &Session<'_>, open: &OpenSession) -> String {
    match open.last_sign_secs {
        Some(secs) => format!("last heard of {}", moment(Time { secs, nanos: 0 }, &session.zone)),
        None => "which is open".to_owned(),
    }
}

fn for_programs(open: &OpenSession) -> Value {
    let mut line = json::line("waits-for");
    line.insert("session".to_owned(), open.id.to_hex().into());
    line.insert("program".to_owned(), open.program.as_deref().map(escaped).into());
    let last = open.last_sign_secs.map(|secs| json::moment(Time { secs, nanos: 0 }));
    line.insert("last_sign".to_owned(), last.into());
    line.into()
}

fn summary(pruned: &PruneReport, args: &PruneArgs, forgotten: usize) -> Value {
    let plan = &pruned.plan;
    json!({
        "message_type": "summary",
        "dry_run": args.dry_run,
        "forgotten": forgotten,
        "snapshots": pruned.snapshots,
        "unfinished_snapshots": pruned.unfinished,
        "bytes_needed": plan.needed_bytes,
        "bytes_unused_kept": plan.unused_bytes,
        "packs_unneeded": plan.remove.len(),
        "packs_repacked": plan.repack.len(),
        "packs_gathered": plan.gather.len(),
        "bytes_condemned": plan.condemned_bytes,
        "packs_removed": pruned.removed_packs,
        "bytes_removed": pruned.removed_bytes,
        "bytes_stored": pruned.stored_bytes,
        "packs_waiting": pruned.waiting_packs,
        "sessions_waited_for": pruned.waits_for.len(),
        "segments_merged": pruned.merged_segments,
        "segments_replaced": pruned.healed_segments,
    })
}

fn for_people(pruned: &PruneReport, args: &PruneArgs, forgotten: usize) -> String {
    let plan = &pruned.plan;
    let unneeded = plan.remove.len();
    let again = match (plan.repack.len(), plan.gather.len()) {
        (partly, 0) => format!("repack {partly}"),
        (partly, small) => format!("repack {partly} and {small} small ones"),
    };
    let unfinished = match pruned.unfinished {
        0 => String::new(),
        count => format!(
            "\n  {count} unfinished snapshots keep what they hold; `devsnap forget` drops them"
        ),
    };
    let kept = format!(
        "\n  needed {}, unused and kept {}{unfinished}",
        size(plan.needed_bytes),
        size(plan.unused_bytes),
    );
    if args.dry_run {
        let freed = plan.condemned_bytes.saturating_sub(plan.copied_bytes);
        let forgets = match forgotten {
            0 => String::new(),
            count => format!("Would forget {count} snapshots. "),
        };
        return format!(
            "{forgets}Would remove {unneeded} packs and {again}: about {} less{kept}",
            size(freed)
        );
    }
    let forgot = match forgotten {
        0 => String::new(),
        count => format!("Forgot {count} snapshots. "),
    };
    if !pruned.waits_for.is_empty() {
        return format!(
            "{forgot}Marked {}; they go with the next `devsnap prune` after the end of {}{kept}",
            counted(pruned.waiting_packs, "pack"),
            counted(pruned.waits_for.len(), "open session"),
        );
    }
    if pruned.removed_packs == 0 {
        return format!("{forgot}Nothing to remove{kept}");
    }
    format!(
        "{forgot}Removed {} ({}), stored {} again: {} less{kept}",
        counted(pruned.removed_packs, "pack"),
        size(pruned.removed_bytes),
        size(pruned.stored_bytes),
        size(pruned.removed_bytes.saturating_sub(pruned.stored_bytes)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_engine::prune::{MaxUnused, PrunePlan};

    fn args(dry_run: bool) -> PruneArgs {
        let policy = PolicyArgs::default();
        PruneArgs { dry_run, max_unused: MaxUnused::Percent(5.0), fence_after_hours: 48, policy }
    }

    #[test]
    fn people_are_told_what_went_what_stays_and_what_waits() {
        let plan = PrunePlan { needed_bytes: 3 << 20, unused_bytes: 1024, ..PrunePlan::default() };
        let mut pruned = PruneReport { plan, ..PruneReport::default() };
        assert_eq!(
            for_people(&pruned, &args(false), 0),
            "Nothing to remove\n  needed 3.0 MiB, unused and kept 1.0 KiB"
        );
        (pruned.removed_packs, pruned.removed_bytes, pruned.stored_bytes) = (2, 4 << 20, 1 << 20);
        assert!(
            for_people(&pruned, &args(false), 0)
                .starts_with("Removed 2 packs (4.0 MiB), stored 1.0 MiB again: 3.0 MiB less")
        );
        let line = summary(&pruned, &args(false), 0);
        assert_eq!((&line["packs_removed"], &line["bytes_stored"]), (&json!(2), &json!(1 << 20)));
    }
}
