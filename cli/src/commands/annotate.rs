//! `devsnap tag` and `devsnap describe`: what is said of snapshots afterwards.
use super::Session;
use crate::args::{DescribeArgs, TagArgs};
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use devsnap_engine::node::Time;
use devsnap_engine::repository::{Note, Repository};
use devsnap_engine::snapshot::Named;
use jiff::Timestamp;
use serde_json::json;

pub(super) fn tag(session: &Session<'_>, args: &TagArgs) -> Result<ExitCode, Failure> {
    if args.add.is_empty() && args.remove.is_empty() {
        return Err(Failure::usage("no tag is named").hint("name tags with --add or --remove"));
    }
    for tag in &args.add {
        if tag.trim().is_empty() {
            return Err(Failure::usage("a tag has at least one letter"));
        }
    }
    let note = Note {
        add_tags: args.add.clone(),
        remove_tags: args.remove.clone(),
        ..Note { at: now(), ..Note::default() }
    };
    annotate(session, &args.snapshots, &note)
}

pub(super) fn describe(session: &Session<'_>, args: &DescribeArgs) -> Result<ExitCode, Failure> {
    let note = Note { at: now(), description: Some(args.text.clone()), ..Note::default() };
    annotate(session, std::slice::from_ref(&args.snapshot), &note)
}

fn now() -> Time {
    let now = Timestamp::now();
    Time { secs: now.as_second(), nanos: now.subsec_nanosecond().unsigned_abs() }
}

/// Says the same of each snapshot, once all of them are found.
fn annotate(session: &Session<'_>, texts: &[String], note: &Note) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let all = session.all_snapshots(&repository)?;
    let chosen: Vec<&Named> =
        texts.iter().map(|text| session.select_among(&all, text)).collect::<Result<_, _>>()?;
    for named in &chosen {
        repository.put_note(named.id, note)?;
    }
    tell(session, &repository, &chosen)
}

fn tell(
    session: &Session<'_>,
    repository: &Repository,
    chosen: &[&Named],
) -> Result<ExitCode, Failure> {
    let now = session.snapshots(repository)?;
    for named in now.iter().filter(|named| chosen.iter().any(|one| one.id == named.id)) {
        session.report.data(
            || json::snapshot(named).into(),
            || {
                let tags = crate::report::text::tags(&named.snapshot);
                let about = named.description.as_deref().map(crate::report::escaped);
                format!("{}  [{tags}]  {}", named.id.short(), about.unwrap_or_default())
                    .trim_end()
                    .to_owned()
            },
        )?;
    }
    session.report.summary(
        || json!({ "message_type": "summary", "snapshots": chosen.len() }),
        || match chosen.len() {
            1 => "1 snapshot annotated".to_owned(),
            several => format!("{several} snapshots annotated"),
        },
    )?;
    Ok(ExitCode::Done)
}
