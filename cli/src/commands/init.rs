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
    );
    said.and_then(|()| session.report.flush()).map_err(|failure| unheard(&failure, &place))?;
    Ok(ExitCode::Done)
}

/// A recovery key that nobody has seen is lost: it is stored nowhere.
fn unheard(failure: &Failure, place: &str) -> Failure {
    let code = match failure.code() {
        ExitCode::Done => ExitCode::Failed,
        code => code,
    };
    Failure::new(
        code,
        format!(
            "the recovery key could not be printed ({}), and a repository without it is useless",
            failure.message()
        ),
    )
    .hint(format!("empty {} and run `devsnap init` again", crate::report::escaped(place)))
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
            let failure = unheard(&Failure::output(&cause.into()), "/mnt/nas");
            assert_eq!(failure.code(), code);
            assert!(!failure.is_silent());
            assert!(failure.message().contains("recovery key"), "{failure:?}");
            assert_eq!(failure.advice(), Some("empty /mnt/nas and run `devsnap init` again"));
        }
    }
}
