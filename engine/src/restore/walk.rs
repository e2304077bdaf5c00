//! The walk over what was chosen: decides path by path, and fills batches.
mod links;

use super::batch::{Batch, Piece};
use super::compare::{BLOCKED, Verdict, judge, judge_name};
use super::file::OpenFile;
use super::select::{Chosen, Selection};
use super::{Overwrite, Run, attributes, execute, folders, is_loss};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Content, FileContent, Node, NodeKind};
use crate::path::TreePath;
use crate::progress::{FaultKind, Phase};
use crate::target::{Present, Restored};
use links::Link;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Walk<'r, 'a> {
    run: &'r Run<'a>,
    batch: Batch,
    links: Vec<Link>,
    /// Where the first name of each group of hard links went: kept for the whole run, about 200
    /// bytes a group.
    groups: HashMap<TreePath, TreePath>,
    /// The folders made that the walk is in, outermost first, without the root.
    inside: Vec<TreePath>,
    /// Something that [`Overwrite::Never`] left where a folder should be; nothing goes below it.
    blocked: Option<TreePath>,
    is_restoring: bool,
}

impl<'r, 'a> Walk<'r, 'a> {
    pub(super) fn new(run: &'r Run<'a>) -> Self {
        Walk {
            run,
            batch: Batch::default(),
            links: Vec::new(),
            groups: HashMap::new(),
            inside: Vec::new(),
            blocked: None,
            is_restoring: false,
        }
    }

    /// Brings back everything but the attributes of folders. A part of the tree that cannot be read
    /// is a fault, and whatever the tree still gives after it comes back too.
    pub(super) fn run(mut self) -> Result<()> {
        let options = self.run.options;
        if options.delete && self.run.is_everything() && self.has_top()? {
            folders::clear(self.run, &TreePath::root())?;
        }
        let mut selection =
            Selection::new(self.run.view, &options.subtree, options.include.as_ref());
        while let Some(next) = selection.next() {
            let visited = match next {
                Ok(chosen) => self.visit(chosen),
                Err(error) if is_loss(&error) => {
                    self.torn(selection.last_place(), &error);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = visited {
                self.abandon();
                return Err(error);
            }
        }
        self.run.progress.expect_no_more();
        self.execute()
    }

    /// Says that part of the tree behind `last` could not be read: nobody knows how many paths
    /// that are.
    fn torn(&self, last: &TreePath, error: &Error) {
        let after = if last.is_root() { "the top".to_owned() } else { last.to_string() };
        let reason = format!(
            "some of what the snapshot has after {after} could not be read ({error:?}); the rest \
             was brought back"
        );
        self.run.tally(|report| report.damaged_files += 1);
        self.run.fault(last, FaultKind::Unreadable, reason);
    }

    /// Whether the snapshot is of the folder that becomes the target's root. One of a device has no
    /// node there: it is of one folder in it, and what stands next to that is not its own.
    fn has_top(&self) -> Result<bool> {
        let top = match self.run.view.entry(&self.run.options.subtree) {
            // The walk will say what is wrong.
            Err(error) if is_loss(&error) => None,
            top => top?,
        };
        Ok(top.is_some_and(|node| node.kind == NodeKind::Folder))
    }

    fn visit(&mut self, chosen: Chosen) -> Result<()> {
        self.run.interrupt.check()?;
        let Chosen { place, node, is_whole } = chosen;
        if self.blocked.as_ref().is_some_and(|blocked| place.is_within(blocked)) {
            self.run.tally(|report| report.skipped += 1);
            return Ok(());
        }
        if !self.enter_parent(&place)? {
            self.run.tally(|report| report.skipped += 1);
            return Ok(());
        }
        match node.kind {
            NodeKind::Folder => self.folder(&place, is_whole)?,
            NodeKind::File => self.file(place, node)?,
            _ => self.special(&place, &node)?,
        }
        if self.batch.is_full() { self.execute() } else { Ok(()) }
    }

    /// Makes sure that the folders above `place` were made, whether or not the tree has nodes for
    /// them; `false` when one of them cannot be.
    fn enter_parent(&mut self, place: &TreePath) -> Result<bool> {
        while self.inside.last().is_some_and(|folder| !place.is_within(folder)) {
            self.inside.pop();
        }
        let mut missing = Vec::new();
        let mut above = place.parent();
        while let Some(folder) = above.take_if(|folder| !folder.is_root()) {
            if self.inside.last() == Some(&folder) {
                break;
            }
            above = folder.parent();
            missing.push(folder);
        }
        while let Some(folder) = missing.pop() {
            // Without a node it gets no attributes, as a folder above something chosen.
            if !self.make_folder(&folder, false)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes sure that a folder stands at `place`; `false` when something else stays there. One
    /// that will not be given attributes at the end is not touched.
    fn make_folder(&mut self, place: &TreePath, is_whole: bool) -> Result<bool> {
        let run = self.run;
        let present = run.target.present(place);
        let in_the_way = u64::from(matches!(present, Ok(Present::File { .. } | Present::Other)));
        let is_there = matches!(present, Ok(Present::Folder));
        if in_the_way > 0 && run.options.overwrite == Overwrite::Never {
            self.blocked = Some(place.clone());
            run.tally(|report| report.skipped += 1);
            return Ok(false);
        }
        let is_left = is_there && !run.sets_folder(place, is_whole);
        let made = match present {
            Ok(_) if run.options.dry_run || is_left => Ok(()),
            Ok(_) => run.target.make_folder(place),
            Err(error) => Err(error),
        };
        match made {
            Ok(()) => {
                if !is_there {
                    run.note_made(place);
                }
                run.tally(|report| report.removed += in_the_way);
            }
            Err(error) => run.target_fault(place, error)?,
        }
        if !place.is_root() {
            self.inside.push(place.clone());
        }
        Ok(true)
    }

    fn folder(&mut self, place: &TreePath, is_whole: bool) -> Result<()> {
        if !self.make_folder(place, is_whole)? {
            return Ok(());
        }
        let is_set = self.run.sets_folder(place, is_whole);
        self.run.tally(|report| report.others += u64::from(is_set));
        if is_whole && !place.is_root() {
            folders::clear(self.run, place)?;
        }
        Ok(())
    }

    /// How many names go when something that is no file of its own takes `place`; `None` when it
    /// cannot, which is then said.
    fn way_to(&self, place: &TreePath) -> Result<Option<u64>> {
        let run = self.run;
        match judge_name(run, place) {
            Ok(Verdict::Write | Verdict::SetAttributes) => return Ok(Some(0)),
            Ok(Verdict::Displace) => return Ok(Some(1)),
            Ok(Verdict::Leave) => run.tally(|report| report.skipped += 1),
            Ok(Verdict::Blocked) => run.fault(place, FaultKind::Unsupported, BLOCKED),
            Err(error) => run.target_fault(place, error)?,
        }
        Ok(None)
    }

    fn special(&mut self, place: &TreePath, node: &Node) -> Result<()> {
        let run = self.run;
        if node.kind == NodeKind::Socket {
            let reason = "a socket is not brought back: its program makes it";
            run.fault(place, FaultKind::Unsupported, reason);
            return Ok(());
        }
        let Some(displaced) = self.way_to(place)? else {
            return Ok(());
        };
        if !run.options.dry_run {
            let attributes = attributes::read(run.store, node)?;
            let (xattrs, holes) = (&attributes.xattrs, &attributes.holes);
            match run.target.make_special(&Restored { path: place, node, xattrs, holes }) {
                Ok(notes) => run.notes(place, attributes.lost, notes),
                Err(error) => return run.target_fault(place, error),
            }
        }
        run.tally(|report| {
            report.others += 1;
            report.removed += displaced;
        });
        Ok(())
    }

    fn file(&mut self, place: TreePath, node: Node) -> Result<()> {
        let run = self.run;
        if let Some(group) = &node.hard_link
            && let Some(first) = self.groups.get(group)
        {
            let (first, group) = (first.clone(), group.clone());
            let link = Link { place, first, group, displaced: 0 };
            return self.further_name(link);
        }
        run.progress.expect(1, node.size_bytes());
        let verdict = match judge(run, &place, &node) {
            Ok(verdict) => verdict,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.pass(&place, &node, format!("{error:?}"));
                return run.target_trouble(error);
            }
        };
        if verdict == Verdict::Leave {
            run.tally(|report| report.skipped += 1);
            run.progress.advance(1, node.size_bytes());
            return Ok(());
        }
        if verdict == Verdict::Blocked {
            self.pass(&place, &node, BLOCKED.to_owned());
            return Ok(());
        }
        if let Some((kind, reason)) = hindrance(&node) {
            self.run.fault(&place, kind, reason);
            run.progress.advance(1, node.size_bytes());
            return Ok(());
        }
        if let Some(group) = &node.hard_link {
            self.groups.insert(group.clone(), place.clone());
        }
        if verdict == Verdict::SetAttributes && set_attributes(run, &place, &node)? {
            run.tally(|report| report.unchanged_files += 1);
            run.progress.advance(1, node.size_bytes());
            return Ok(());
        }
        let displaced = u64::from(verdict == Verdict::Displace);
        if run.options.dry_run {
            run.tally(|report| {
                report.written_files += 1;
                report.written_bytes += node.size_bytes();
                report.removed += displaced;
            });
            run.progress.advance(1, node.size_bytes());
            return Ok(());
        }
        self.write(place, node, displaced)
    }

    fn pass(&self, place: &TreePath, node: &Node, reason: String) {
        self.run.fault(place, FaultKind::Unsupported, reason);
        self.run.progress.advance(1, node.size_bytes());
    }

    /// Adds a file to the batch; one without stored pieces is written at once.
    fn write(&mut self, place: TreePath, mut node: Node, displaced: u64) -> Result<()> {
        let content = std::mem::take(&mut node.content);
        node.content.len = content.len;
        let file = Arc::new(OpenFile::new(place, node, displaced));
        match &content.content {
            Content::Empty => return file.finish_empty(self.run),
            Content::Inline(bytes) => return file.write(self.run, 0, bytes),
            Content::Missing | Content::Chunks(_) | Content::List { .. } => {}
        }
        let mut number = self.batch.add_file(Arc::clone(&file));
        match self.pieces(&file, &mut number, &content) {
            Err(error) if is_loss(&error) => {
                file.give_up(self.run, FaultKind::Unreadable, &format!("{error:?}"));
                Ok(())
            }
            answer => answer,
        }
    }

    fn pieces(
        &mut self,
        file: &Arc<OpenFile>,
        number: &mut u32,
        content: &FileContent,
    ) -> Result<()> {
        let run = self.run;
        let damaged = |what: &str| {
            Error::new(ErrorKind::Damaged, format!("planning {}", file.place)).because(what)
        };
        let mut at = 0u64;
        for chunk in run.store.chunks(content) {
            run.interrupt.check()?;
            let chunk = chunk?;
            let Some(location) = run.store.locate_chunk(&chunk)? else {
                let doing = format!("locating blob {}", chunk.id.short());
                return Err(Error::new(ErrorKind::NotFound, doing));
            };
            if location.len != chunk.len || chunk.len == 0 {
                return Err(damaged("a chunk is not as long as the file says"));
            }
            let end = at.checked_add(u64::from(chunk.len)).filter(|end| *end <= content.len);
            let end = end.ok_or_else(|| damaged("its chunks are longer than the file"))?;
            if self.batch.is_full() {
                self.execute()?;
                *number = self.batch.add_file(Arc::clone(file));
            }
            self.batch.pieces.push(Piece { id: chunk.id, location, file: *number, at });
            at = end;
        }
        if at != content.len {
            return Err(damaged("its chunks are shorter than the file"));
        }
        Ok(())
    }

    /// Writes what was gathered, then makes the further names of what was written.
    fn execute(&mut self) -> Result<()> {
        if !self.is_restoring && !self.run.options.dry_run {
            self.run.progress.phase(Phase::Restoring);
            self.is_restoring = true;
        }
        let executed = execute::execute(self.run, &mut self.batch);
        if let Err(error) = executed {
            self.abandon();
            return Err(error);
        }
        self.batch = Batch::default();
        for link in std::mem::take(&mut self.links) {
            self.run.interrupt.check()?;
            self.link(&link)?;
        }
        Ok(())
    }

    /// Leaves nothing half-written when everything stops.
    fn abandon(&mut self) {
        for file in &self.batch.files {
            file.drop_it(self.run);
        }
    }
}

/// Why a file cannot be brought back from this snapshot.
fn hindrance(node: &Node) -> Option<(FaultKind, &'static str)> {
    if node.content.content == Content::Missing {
        return Some((FaultKind::Unreadable, "its content was not stored"));
    }
    None
}

/// Whether the file that stands there could be given its attributes; if not, it is replaced.
fn set_attributes(run: &Run<'_>, place: &TreePath, node: &Node) -> Result<bool> {
    if run.options.dry_run {
        return Ok(true);
    }
    let attributes = attributes::read(run.store, node)?;
    let (xattrs, holes) = (&attributes.xattrs, &attributes.holes);
    match run.target.set_attributes(&Restored { path: place, node, xattrs, holes }) {
        Ok(notes) => {
            run.notes(place, attributes.lost, notes);
            Ok(true)
        }
        Err(error) => run.target_trouble(error).map(|()| false),
    }
}
