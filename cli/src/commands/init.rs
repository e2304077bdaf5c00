//! `devsnap init`: a new repository and its recovery key.
use super::Session;
use crate::failure::{ExitCode, Failure};
use devsnap_engine::repository::{InitOptions, Repository};
use serde_json::json;

pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let settings = session.settings()?;
    let password = session.with_sources(|sources| sources.fresh())?;
    let backend =
        devsnap_backends::create(&settings.repository, &settings.credentials, session.interrupt)?;
    let (id, key) = Repository::init(&*backend, &password, &InitOptions::default())?;
    let paper = key.to_paper();
    let place = settings.repository.to_string();
    let said = session.report.data(
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
                "Created repository {} at {}\n\n{}\n\nNext: devsnap snapshot (the device on the cable), or devsnap snapshot PATH",
                id.short(),
                crate::report::escaped(&place),
                shown(&paper),
            )
        },
    );
    said.and_then(|()| session.report.flush()).map_err(|failure| {
        let place = crate::report::escaped(&place);
        unheard(&failure, &format!("empty {place} and run `devsnap init` again"))
    })?;
    Ok(ExitCode::Done)
}

/// A recovery key for people, the one time it is shown.
pub(super) fn shown(paper: &str) -> String {
    format!(
        "Recovery key, shown only now:\n\n    {paper}\n\n\
         Write it down and keep it away from this computer: it opens the repository when\n\
         the password is lost. Without either, nothing in it can be read again."
    )
}

/// A recovery key that nobody has seen is lost: it is stored nowhere.
pub(super) fn unheard(failure: &Failure, advice: &str) -> Failure {
    let code = match failure.code() {
        ExitCode::Done => ExitCode::Failed,
        code => code,
    };
    Failure::new(
        code,
        format!(
            "the recovery key could not be printed ({}), and nobody else will ever see it",
            failure.message()
        ),
    )
    .hint(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_recovery_key_that_was_not_seen_is_a_failure_that_says_what_to_do() {
        for (cause, code) in [
            (io::ErrorKind::BrokenPipe, ExitCode::Failed),
            (io::ErrorKind::StorageFull, ExitCode::NoSpace),
        ] {
            let failure = unheard(&Failure::output(&cause.into()), "run it again");
            assert_eq!(failure.code(), code);
            assert!(!failure.is_silent());
            assert!(failure.message().contains("recovery key"), "{failure:?}");
            assert_eq!(failure.advice(), Some("run it again"));
        }
    }
}
