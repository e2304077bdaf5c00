//! `devsnap version`.
use super::Session;
use crate::failure::{ExitCode, Failure};
use serde_json::json;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    session.report.data(
        || json!({ "message_type": "summary", "name": "devsnap", "version": VERSION }),
        || format!("devsnap {VERSION}"),
    )?;
    Ok(ExitCode::Done)
}
