//! `devsnap man`: the manual, made from what `--help` says.
use super::Session;
use crate::args::{Cli, ManArgs};
use crate::failure::{ExitCode, Failure};
use clap::CommandFactory;
use clap_mangen::Man;
use std::fs;
use std::path::Path;

pub(super) fn run(session: &Session<'_>, args: &ManArgs) -> Result<ExitCode, Failure> {
    match &args.dir {
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page).map_err(|e| Failure::output(&e))?;
            session.report.bytes(&page)?;
        }
        Some(folder) => write_pages(folder).map_err(|error| {
            let shown = folder.display();
            Failure::new(ExitCode::Failed, format!("could not write into {shown}: {error}"))
                .hint("name a folder you may write to")
        })?,
    }
    Ok(ExitCode::Done)
}

/// One page a command: `devsnap.1`, `devsnap-snapshot.1`, `devsnap-cache-path.1` …
fn write_pages(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_every_command() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(&folder.path().join("man1")).unwrap();
        let page = |name: &str| fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
        assert!(page("devsnap.1").contains("snapshot"));
        for command in Cli::command().get_subcommands() {
            assert!(!page(&format!("devsnap-{}.1", command.get_name())).is_empty());
        }
    }
}
