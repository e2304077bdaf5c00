//! `devsnap check`: whether the repository holds together.
use super::Session;
use crate::args::CheckArgs;
use crate::failure::{ExitCode, Failure};
use crate::report::{escaped, json, text::counted, text::size};
use devsnap_engine::check::{CheckOptions, CheckReport, Finding, Severity, check};
use serde_json::{Value, json};

pub(super) fn run(session: &Session<'_>, args: &CheckArgs) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let options = CheckOptions { read_data_percent: args.read_data };
    let watch = session.report.watch();
    let report = check(&repository, &options, &watch, session.interrupt);
    drop(watch);
    let report = report?;

    for finding in &report.findings {
        session.report.data(
            || for_programs(finding),
            || format!("{}: {}", word(finding.severity), escaped(&finding.sentence)),
        )?;
    }
    session.report.summary(|| summary(&report), || for_people(&report, args))?;
    match damages(&report) {
        0 => Ok(ExitCode::Done),
        count => Err(Failure::new(ExitCode::Damaged, format!("damage was found ({count})"))
            .hint("read what is said of each above; snapshot the source again while it exists")),
    }
}

fn damages(report: &CheckReport) -> usize {
    report.findings.iter().filter(|finding| finding.severity == Severity::Damage).count()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Damage => "damage",
    }
}

fn for_programs(finding: &Finding) -> Value {
    let mut line = json::line("finding");
    line.insert("severity".to_owned(), word(finding.severity).into());
    line.insert("text".to_owned(), finding.sentence.as_str().into());
    line.into()
}

fn summary(report: &CheckReport) -> Value {
    json!({
        "message_type": "summary",
        "damages": damages(report),
        "notices": report.findings.len() - damages(report),
        "snapshots": report.snapshots,
        "packs": report.packs,
        "blobs": report.blobs,
        "bytes_read": report.read_bytes,
        "packs_reissued": report.vouched_packs,
        "segments_replaced": report.replaced_segments,
    })
}

fn for_people(report: &CheckReport, args: &CheckArgs) -> String {
    let read = match args.read_data {
        Some(_) => format!(", {} of stored data read", size(report.read_bytes)),
        None => String::new(),
    };
    let stations = match (report.vouched_packs, report.hearsay_sessions) {
        (0, 0) => String::new(),
        (0, sessions) => format!(
            "\n  {sessions} sessions of stations are not relied on yet; `devsnap check --read-data` \
             reads what they stored and vouches for it"
        ),
        (packs, _) => {
            format!("\n  {packs} packs of stations were read and are relied on from now on")
        }
    };
    let notices = report.findings.len() - damages(report);
    let end = match (damages(report), notices) {
        (0, 0) => "all is well".to_owned(),
        (0, _) => format!("{notices} notices; the next snapshot heals them"),
        (damages, _) => format!("{damages} × damage, {notices} × notice"),
    };
    format!(
        "Checked {}, {}, {}{read}: {end}{stations}",
        counted(report.snapshots, "snapshot"),
        counted(report.packs, "pack"),
        counted(report.blobs, "blob")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(severities: &[Severity]) -> CheckReport {
        let finding = |severity: &Severity| Finding {
            severity: *severity,
            sentence: "pack 3f2a9c01 is missing".to_owned(),
        };
        CheckReport { findings: severities.iter().map(finding).collect(), ..CheckReport::default() }
    }

    #[test]
    fn notices_and_damages_are_counted_apart() {
        let found = report(&[Severity::Notice, Severity::Damage, Severity::Notice]);
        let line = summary(&found);
        assert_eq!((&line["damages"], &line["notices"]), (&json!(1), &json!(2)));
        assert_eq!(
            for_programs(&found.findings[1]),
            json!({
                "message_type": "finding", "severity": "damage",
                "text": "pack 3f2a9c01 is missing",
            })
        );
    }

    #[test]
    fn people_are_told_what_a_finding_means() {
        let args = CheckArgs { read_data: None };
        assert!(for_people(&report(&[]), &args).ends_with("all is well"));
        let notice = for_people(&report(&[Severity::Notice]), &args);
        assert!(notice.ends_with("the next snapshot heals them"));
    }
}
