//! Files of a set into a folder, under their own names and with their own dates.
mod files;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Node, NodeKind, Time};
use devsnap_engine::path::{TreePath, check_name};
use devsnap_engine::progress::{Fault, FaultKind, Phase, Progress};
use devsnap_engine::restore::Overwrite;
use devsnap_engine::target::{Present, Restored, Target};

use super::LogicalView;
use super::links::stays_within;
use crate::manifest::{BadManifest, MbFile, Order, Row, RowKind, Within};

/// Paths named one by one in a report; the rest is counted.
const FAULTS_MAX: usize = 1000;

/// Links named one by one that were left out.
const LINKS_MAX: usize = 20;

/// How files are brought out.
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// What becomes of files that are there already.
    pub overwrite: Overwrite,
    /// Counts, and writes nothing.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExtractReport {
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there, by length and date.
    pub unchanged_files: u64,
    /// Files that were there otherwise and were left alone.
    pub skipped: u64,
    /// Folders and links made, or there already.
    pub others: u64,
    /// Links that lead out of their domain, and so were not made.
    pub links_left_out: u64,
    /// The first of them, with where they lead.
    pub links_named: Vec<(TreePath, String)>,
    /// Rows of the manifest that cannot be used.
    pub refused_rows: u64,
    /// Paths that are not as they should be; the first thousand.
    pub faults: Vec<Fault>,
    /// How many those are.
    pub faults_total: u64,
    /// How many of them the repository has lost.
    pub damaged_files: u64,
    /// What holds for many paths.
    pub remarks: Vec<String>,
}

/// Why files could not be brought out at all, or not all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotExtracted {
    /// The manifest ends in the middle.
    #[error(transparent)]
    Manifest(#[from] BadManifest),
    /// The repository or the folder failed; somebody asked to stop.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// Brings what is `wanted` (domain, path) of `view` into `target`: `Domain/path`.
///
/// Nothing outside the target is touched, whatever the names; no link is followed, and none is made that
/// leads out of its domain. A name that cannot stand there, or that another file has taken, is a fault, and
/// the others go on. Files belong to who runs this, and can be read and written by them.
///
/// Memory does not grow with the manifest but for one number for each name in a folder.
///
/// # Errors
///
/// See [`NotExtracted`]. What is wrong with single paths is in the report.
pub fn extract(
    view: &LogicalView<'_>,
    within: &Within,
    wanted: &dyn Fn(&str, &str) -> bool,
    target: &dyn Target,
    options: &ExtractOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<ExtractReport, NotExtracted> {
    progress.phase(Phase::Restoring);
    let report = ExtractReport::default();
    let hasher = RandomState::new();
    let (folders, leaf, made) = (vec![Folder::root()], None, None);
    let mut run =
        Run { view, target, options, progress, interrupt, report, folders, leaf, made, hasher };
    let mut listing = view.manifest().list(Order::Name, within)?;
    let mut rows = listing.rows()?;
    while let Some(row) = rows.next_where(wanted)? {
        interrupt.check()?;
        run.bring(&row)?;
    }
    run.report.refused_rows = rows.tally().refused;
    while let Some(folder) = run.folders.pop() {
        run.finish(folder)?;
    }
    if !options.dry_run {
        run.report.remarks = target.remarks();
        target.sync(true)?;
    }
    Ok(run.report)
}

struct Run<'r> {
    view: &'r LogicalView<'r>,
    target: &'r dyn Target,
    options: &'r ExtractOptions,
    progress: &'r dyn Progress,
    interrupt: &'r Interrupt,
    report: ExtractReport,
    /// The folders around the row at hand, outermost first; their dates come last.
    folders: Vec<Folder>,
    /// The last path that is no folder: nothing can be below it.
    leaf: Option<TreePath>,
    /// The last folder that was made.
    made: Option<TreePath>,
    hasher: RandomState,
}

struct Folder {
    place: TreePath,
    /// What the manifest says of it; `None` when it was made for what is in it.
    node: Option<Node>,
    /// Names in it as a file system sees them that does not tell upper case from lower.
    names: HashSet<u64>,
}

impl Folder {
    fn root() -> Folder {
        Folder { place: TreePath::root(), node: None, names: HashSet::new() }
    }
}

/// Where a row goes: its domain is one folder, whatever it is called.
fn place_of(row: &Row) -> Result<TreePath, String> {
    let bad = |bad| format!("its name cannot stand in a folder: {bad}");
    check_name(row.domain.as_bytes()).map_err(bad)?;
    let domain = TreePath::from_slashed(row.domain.as_bytes()).map_err(bad)?;
    let path = TreePath::from_slashed(row.relative_path.as_bytes()).map_err(bad)?;
    domain.concat(&path).map_err(bad)
}

impl Run<'_> {
    fn bring(&mut self, row: &Row) -> Result<(), NotExtracted> {
        let place = match place_of(row) {
            Ok(place) => place,
            Err(reason) => {
                // Nearly always a path; else its domain cannot be said here, only shown.
                let at = TreePath::from_slashed(b"(unusable name)").unwrap_or_default();
                let reason = format!("{}:{}: {reason}", row.domain, row.relative_path);
                self.fault(at, FaultKind::Unsupported, reason);
                return Ok(());
            }
        };
        if self.leaf.as_ref().is_some_and(|leaf| place.is_within(leaf)) {
            self.fault(place, FaultKind::Unsupported, "what should be its folder is none");
            return Ok(());
        }
        while let Some(folder) = self.folders.pop_if(|folder| !place.is_within(&folder.place)) {
            self.finish(folder)?;
        }
        let has_twin = self.enter_above(&place);
        match row.kind {
            RowKind::Folder => self.bring_folder(row, place),
            RowKind::Other(_) => {
                self.fault(place, FaultKind::Unsupported, "it is of no known kind");
                Ok(())
            }
            RowKind::File | RowKind::Symlink => {
                self.leaf = Some(place.clone());
                let Some(present) = self.present(&place)? else { return Ok(()) };
                if has_twin && present != Present::Nothing {
                    let reason =
                        "another of these files has the name here: upper and lower case are one";
                    self.fault(place, FaultKind::Unsupported, reason);
                    return Ok(());
                }
                match row.kind {
                    RowKind::File => self.bring_file(row, &place, present),
                    _ => self.bring_link(row, &place, present),
                }
            }
        }
    }

    /// Opens the folders above `place` that no row named, and notes its name; whether another name
    /// in its folder differs from it in case only.
    fn enter_above(&mut self, place: &TreePath) -> bool {
        let above: Vec<TreePath> = place.and_above().skip(1).collect();
        for folder in above.into_iter().rev() {
            if self
                .folders
                .last()
                .is_some_and(|last| last.place != folder && folder.is_within(&last.place))
            {
                self.note_name(&folder);
                self.folders.push(Folder { place: folder, node: None, names: HashSet::new() });
            }
        }
        self.note_name(place)
    }

    fn note_name(&mut self, place: &TreePath) -> bool {
        let name = String::from_utf8_lossy(place.name().unwrap_or_default()).to_lowercase();
        let name = self.hasher.hash_one(name);
        self.folders.last_mut().is_some_and(|folder| !folder.names.insert(name))
    }

    /// What stands at `place`; `None` where nothing can, which is then a fault.
    fn present(&mut self, place: &TreePath) -> Result<Option<Present>, NotExtracted> {
        match self.target.present(place) {
            Ok(present) => Ok(Some(present)),
            Err(error) => self.target_fault(place, error).map(|()| None),
        }
    }

    fn bring_folder(&mut self, row: &Row, place: TreePath) -> Result<(), NotExtracted> {
        let mode = mode_of(row, 0o755) | 0o700;
        let node = node_of(row, NodeKind::Folder, mode);
        if self.folder_stands(&place)? {
            self.report.others += 1;
            self.folders.push(Folder { place, node, names: HashSet::new() });
        }
        Ok(())
    }

    /// Makes the folder at `place`, unless something else stands in its way.
    fn folder_stands(&mut self, place: &TreePath) -> Result<bool, NotExtracted> {
        if place.is_root() || self.made.as_ref() == Some(place) || self.options.dry_run {
            return Ok(true);
        }
        // From the top, so that nothing that stands there is taken away on the way down.
        let above = place.parent().unwrap_or_default();
        if !self.folder_stands(&above)? {
            return Ok(false);
        }
        match self.present(place)? {
            None => return Ok(false),
            Some(Present::Nothing | Present::Folder) => {}
            Some(Present::File { .. } | Present::Other) => {
                let reason = "something that is no folder stands there";
                self.fault(place.clone(), FaultKind::Unsupported, reason);
                return Ok(false);
            }
        }
        if let Err(error) = self.target.make_folder(place) {
            self.target_fault(place, error)?;
            return Ok(false);
        }
        self.made = Some(place.clone());
        Ok(true)
    }

    fn bring_link(
        &mut self,
        row: &Row,
        place: &TreePath,
        present: Present,
    ) -> Result<(), NotExtracted> {
        let target = row.file().ok().and_then(|file| file.target).unwrap_or_default();
        let depth = place.components().count().saturating_sub(2);
        // The domain's own folder cannot be a link.
        let is_inside = place.components().nth(1).is_some() && stays_within(&target, depth);
        if !is_inside {
            self.report.links_left_out += 1;
            if self.report.links_named.len() < LINKS_MAX {
                self.report.links_named.push((place.clone(), target));
            }
            return Ok(());
        }
        match present {
            Present::Nothing | Present::Other => {}
            Present::File { .. } | Present::Folder => {
                let reason = "something that is no link stands there";
                self.fault(place.clone(), FaultKind::Unsupported, reason);
                return Ok(());
            }
        }
        self.report.others += 1;
        if self.options.dry_run || !self.folder_stands(&place.parent().unwrap_or_default())? {
            return Ok(());
        }
        let node = node_of(row, NodeKind::Symlink, 0o777);
        let mut node = node.unwrap_or_else(|| own(Node::new(NodeKind::Symlink, 0o777)));
        node.link_target = target.into_bytes();
        let restored = Restored { path: place, node: &node, xattrs: &[], holes: &[] };
        match self.target.make_special(&restored) {
            Ok(notes) => self.notes(place, notes),
            Err(error) => self.target_fault(place, error)?,
        }
        Ok(())
    }

    /// Gives a folder its attributes when nothing in it changes any more.
    fn finish(&mut self, folder: Folder) -> Result<(), NotExtracted> {
        let Some(node) = folder.node.filter(|_| !self.options.dry_run) else { return Ok(()) };
        let restored = Restored { path: &folder.place, node: &node, xattrs: &[], holes: &[] };
        match self.target.finish_folder(&restored) {
            Ok(notes) => self.notes(&folder.place, notes),
            Err(error) => self.target_fault(&folder.place, error)?,
        }
        Ok(())
    }

    /// The repository has lost a file; goes on if it is that and not the storage that cannot be reached.
    fn lost(&mut self, place: &TreePath, error: Error) -> Result<(), NotExtracted> {
        if !matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew) {
            return Err(error.into());
        }
        self.report.damaged_files += 1;
        self.fault(place.clone(), FaultKind::Unreadable, format!("{error:?}"));
        Ok(())
    }

    /// A path that the folder could not take; goes on unless no other would be taken either.
    fn target_fault(&mut self, place: &TreePath, error: Error) -> Result<(), NotExtracted> {
        if matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::Interrupted) {
            return Err(error.into());
        }
        self.fault(place.clone(), FaultKind::Unsupported, format!("{error:?}"));
        Ok(())
    }

    fn notes(&mut self, place: &TreePath, notes: Vec<String>) {
        if !notes.is_empty() {
            self.fault(place.clone(), FaultKind::Unsupported, notes.join("; "));
        }
    }

    fn fault(&mut self, path: TreePath, kind: FaultKind, reason: impl Into<String>) {
        let fault = Fault { path, kind, reason: reason.into() };
        self.progress.fault(&fault);
        self.report.faults_total += 1;
        if self.report.faults.len() < FAULTS_MAX {
            self.report.faults.push(fault);
        }
    }
}

/// Permissions without the bits that let a program become somebody else.
fn mode_of(row: &Row, otherwise: u32) -> u32 {
    row.file().ok().and_then(|file| file.mode).unwrap_or(otherwise) & 0o777
}

/// The node with the row's dates; `None` when the manifest says none.
fn node_of(row: &Row, kind: NodeKind, mode: u32) -> Option<Node> {
    let MbFile { mtime, birth, .. } = row.file().ok()?;
    let time = |secs: i64| Time { secs, nanos: 0 };
    let mut node = own(Node::new(kind, mode));
    node.mtime = time(mtime?);
    node.birth = birth.map(time);
    Some(node)
}

/// Of who runs this: numbers of the device's users mean others here.
fn own(mut node: Node) -> Node {
    node.uid = rustix::process::geteuid().as_raw();
    node.gid = rustix::process::getegid().as_raw();
    node
}
