//! `devsnap init`: a new repository and its recovery key.
use super::Session;
use crate::failure::{ExitCode, Failure};
use devsnap_engine::repository::{InitOptions, Repository};
use serde_json::json;

pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let settings = session.settings()?;
    let password = session.with_sources(|sources| sources.fresh())?;
    let backend = devsnap_backends::create(&settings.repository, &settings.credentials)?;
    let (id, key) = Repository::init(&*backend, &password, &InitOptions::default())?;
    let paper = key.to_paper();
    let place = settings.repository.to_string();
    session.report.data(
        || {
            json!({
                "message_type": "summary",
                "repository_id": id.to_hex(),
                "repository": place,
                "recovery_key": &*paper,
            })
        },
        || {
            format!(
                "Created repository {} at {}\n\n\
                 Recovery key, shown only now:\n\n    {}\n\n\
                 Write it down and keep it away from this computer: it opens the repository when\n\
                 the password is lost. Without either, nothing in it can be read again.\n\n\
                 Next: devsnap snapshot PATH",
                id.short(),
                crate::report::escaped(&place),
                paper.as_str(),
            )
        },
    )?;
    Ok(ExitCode::Done)
}
