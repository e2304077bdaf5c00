//! Files with several names: the first is written, the others are made of it.
use super::Walk;
use crate::error::Result;
use crate::path::TreePath;
use crate::progress::FaultKind;

/// A further name of a file, made when the file is whole.
pub(super) struct Link {
    pub(super) place: TreePath,
    pub(super) first: TreePath,
    pub(super) group: TreePath,
    /// Names that go when it takes its own.
    pub(super) displaced: u64,
}

impl Walk<'_, '_> {
    /// Has a further name made when the first one stands.
    pub(super) fn further_name(&mut self, mut link: Link) -> Result<()> {
        let run = self.run;
        let Some(displaced) = self.way_to(&link.place)? else {
            return Ok(());
        };
        link.displaced = displaced;
        if run.options.dry_run {
            run.tally(|report| {
                report.others += 1;
                report.removed += displaced;
            });
            return Ok(());
        }
        let paths = [&link.place, &link.first, &link.group];
        let weight = paths.iter().map(|path| path.key().len()).sum::<usize>() + size_of::<Link>();
        self.batch.add_weight(weight);
        self.links.push(link);
        Ok(())
    }

    /// Makes a further name of what was written.
    pub(super) fn link(&self, link: &Link) -> Result<()> {
        let run = self.run;
        // What stands at the first name then is not what belongs here.
        if run.lost_groups().contains(&link.group) {
            let reason = format!("it is the same file as {}, which is not there", link.first);
            run.fault(&link.place, FaultKind::Unsupported, reason);
            return Ok(());
        }
        match run.target.make_hard_link(&link.place, &link.first) {
            Ok(()) => {
                run.tally(|report| {
                    report.others += 1;
                    report.removed += link.displaced;
                });
                Ok(())
            }
            Err(error) => run.target_fault(&link.place, error),
        }
    }
}
