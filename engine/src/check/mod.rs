//! Holding a store against itself: does every snapshot reach all that it names? Of one snapshot that is
//! asked before it is brought back where nothing can be tried twice ([`preflight`]).
mod census;
mod data;
#[cfg(test)]
mod hostile_tests;
mod lists;
mod preflight;
mod seen;
mod stations;
mod structure;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::id::PackId;
use crate::interrupt::Interrupt;
use crate::progress::{Phase, Progress};
use crate::repository::{Repository, WrongSaying};
use stations::StoredPacks;

pub use preflight::{Needs, preflight};
pub use structure::Paths;

/// Sentences of one kind that are kept; after them one says how many more there are.
const SENTENCES_MAX: usize = 20;

/// What to check.
#[derive(Debug, Default)]
pub struct CheckOptions {
    /// Reads this share of the packs too, in per cent (1 to 100). Which packs it is depends on
    /// their ids alone.
    pub read_data_percent: Option<u8>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Costs room or time, loses nothing: `snapshot` heals it.
    Notice,
    /// Something cannot be restored.
    Damage,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence: what and which.
    pub sentence: String,
}

/// What a check looked at and what it found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Everything found, in the order it was looked for.
    pub findings: Vec<Finding>,
    /// Snapshots whose trees were walked.
    pub snapshots: u64,
    /// Packs that the index lists.
    pub packs: u64,
    /// References to blobs that were looked up; pages that snapshots share count once.
    pub blobs: u64,
    /// Plaintext read and verified, in bytes.
    pub read_bytes: u64,
    /// Sessions of stations that nobody has vouched for; of each, one block was opened.
    pub hearsay_sessions: u64,
    /// Packs of stations that were read in full and are listed anew: what is written from now on
    /// may rely on them.
    pub vouched_packs: u64,
    /// Index segments that said of packs what is not so, and have been replaced.
    pub replaced_segments: u64,
}

impl CheckReport {
    /// Whether something cannot be restored.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Damage)
    }

    fn find(&mut self, severity: Severity, sentence: impl Into<String>) {
        self.findings.push(Finding { severity, sentence: sentence.into() });
    }

    /// Adds the first of many like findings, and their number.
    fn find_many(&mut self, severity: Severity, sentences: Vec<String>) {
        let more = sentences.len().saturating_sub(SENTENCES_MAX);
        for sentence in sentences.into_iter().take(SENTENCES_MAX) {
            self.find(severity, sentence);
        }
        if more > 0 {
            self.find(severity, format!("{more} more like the last"));
        }
    }
}

/// Checks the whole store: its snapshots and their trees, that every blob they name is in the
/// index and its pack in the store; with `read_data_percent` also stored bytes. Packs of stations
/// that were read so are listed anew, by this key.
///
/// # Errors
///
/// The store cannot be read just now; `Interrupted`. Damage is in the report.
pub fn check(
    repository: &Repository,
    options: &CheckOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CheckReport> {
    repository.require_full("checking")?;
    let mut report = CheckReport::default();
    progress.phase(Phase::CheckingStructure);
    let snapshots = repository.snapshots()?;
    for (name, error) in &snapshots.unreadable {
        report.find(Severity::Damage, format!("snapshot {name} cannot be read: {error:?}"));
    }
    repository.settle_all()?;
    // What is written there has no name, and is written only when memory does not do.
    let folder = repository.scratch()?;
    let scratch = folder.path();
    let roots = || snapshots.named.iter().map(|named| (named.id, named.snapshot.root));
    structure::check(repository, roots(), scratch, &mut report, interrupt)?;
    let stored = StoredPacks::of(repository);
    let packs = census::check(&stored, &mut report)?;
    marks(repository, &mut report)?;
    for (name, error) in repository.level_index()?.unreadable_segments {
        report.find(Severity::Damage, format!("index segment {name} cannot be read: {error:?}"));
    }
    let unlisted = repository.adopted_packs();
    if unlisted > 0 {
        let sentence = format!(
            "a part of the index is lost: {unlisted} packs are in no segment and were read from \
             the packs themselves; no content is lost, the next snapshot lists them again",
        );
        report.find(Severity::Damage, sentence);
    }
    stations::check(repository, &mut report, interrupt)?;
    let known_wrong = repository.index().contradicted().len();
    if let Some(percent) = options.read_data_percent {
        progress.phase(Phase::CheckingData);
        data::check(&stored, &packs, percent, &mut report, progress, interrupt)?;
        report.vouched_packs = stored.vouch()?;
    }
    if repository.index().contradicted().len() > known_wrong {
        // What snapshots need may be where only a wrong saying said.
        let mut again = CheckReport::default();
        structure::check(repository, roots(), scratch, &mut again, interrupt)?;
        again.findings.retain(|finding| !report.findings.contains(finding));
        report.findings.append(&mut again.findings);
    }
    wrong_sayings(repository, options, &mut report)?;
    Ok(report)
}

/// Segments that say of packs what those do not say of themselves. Once packs were read they are
/// replaced.
fn wrong_sayings(
    repository: &Repository,
    options: &CheckOptions,
    report: &mut CheckReport,
) -> Result<()> {
    let wrong = repository.wrong_sayings()?;
    let replaces = options.read_data_percent.is_some();
    if replaces {
        report.replaced_segments = repository.replace_wrong_sayings()?;
    }
    let what_now = match replaces {
        true => "it has been replaced by what the packs themselves say",
        false => "`devsnap prune` replaces it by what the packs themselves say",
    };
    let sentence = |wrong: WrongSaying| {
        let WrongSaying { segment, by, packs } = wrong;
        let (count, first) = (packs.len(), packs.first().map_or_else(String::new, PackId::short));
        format!(
            "index segment {}, signed by {by}, says of {count} packs what is not so, first: {first}; \
             no content is lost by that, and {what_now}",
            segment.short()
        )
    };
    report.find_many(Severity::Damage, wrong.into_iter().map(sentence).collect());
    Ok(())
}

/// Marks of sweepers: one that cannot be read stops whoever writes, and what is none is nobody's.
fn marks(repository: &Repository, report: &mut CheckReport) -> Result<()> {
    match repository.note_condemned() {
        Ok(strays) => report.find_many(
            Severity::Notice,
            strays
                .into_iter()
                .map(|name| {
                    format!(
                        "gc/{name} lies among the marks of sweeps and no full key made it: it is \
                         passed over, and may be removed"
                    )
                })
                .collect(),
        ),
        Err(error) if data::is_loss(&error) => {
            report.find(Severity::Damage, format!("{error:?}"));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
