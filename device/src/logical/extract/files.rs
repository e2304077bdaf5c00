//! The contents of files on their way out.
use std::io;

use devsnap_engine::error::Error;
use devsnap_engine::node::{Node, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::FaultKind;
use devsnap_engine::restore::Overwrite;
use devsnap_engine::target::{FileTicket, Present, Restored};

use super::{NotExtracted, Run, mode_of, node_of, own};
use crate::logical::{LogicalFile, NoContent};
use crate::manifest::Row;

/// Bytes moved at a time.
const PIECE: usize = 256 << 10;

/// Why a content did not arrive.
enum NotWritten {
    /// The repository failed.
    Source(Error),
    /// What is stored is no encrypted file.
    NoSuchFile(String),
    /// The folder failed.
    Target(Error),
    /// Somebody asked to stop.
    Stopped(Error),
}

impl NotWritten {
    fn of(error: io::Error) -> NotWritten {
        match error.downcast::<Error>() {
            Ok(error) => NotWritten::Source(error),
            Err(error) => NotWritten::NoSuchFile(error.to_string()),
        }
    }
}

impl Run<'_> {
    pub(super) fn bring_file(
        &mut self,
        row: &Row,
        place: &TreePath,
        present: Present,
    ) -> Result<(), NotExtracted> {
        let file = match self.view.open(row) {
            Ok(file) => file,
            Err(NoContent::Engine(error)) => return self.lost(place, error),
            Err(no) => {
                self.fault(place.clone(), FaultKind::Unreadable, no.to_string());
                return Ok(());
            }
        };
        let node = node_of(row, NodeKind::File, mode_of(row, 0o644) | 0o600);
        let mtime = node.as_ref().map(|node| node.mtime);
        let is_same = |size_bytes, at| {
            (file.len_min..=file.len_max).contains(&size_bytes) && mtime == Some(at)
        };
        match (present, self.options.overwrite) {
            (Present::Nothing, _) | (Present::File { .. }, Overwrite::Always) => {}
            (Present::File { .. }, Overwrite::Never) => {
                self.report.skipped += 1;
                return Ok(());
            }
            (Present::File { size_bytes, mtime, .. }, _) if is_same(size_bytes, mtime) => {
                self.report.unchanged_files += 1;
                return Ok(());
            }
            (Present::File { .. }, _) => {}
            (Present::Folder | Present::Other, _) => {
                let reason = "something that is no file stands there";
                self.fault(place.clone(), FaultKind::Unsupported, reason);
                return Ok(());
            }
        }
        if self.options.dry_run {
            self.report.files += 1;
            self.report.bytes += file.len_min;
            return Ok(());
        }
        if !self.folder_stands(&place.parent().unwrap_or_default())? {
            return Ok(());
        }
        let node = node.unwrap_or_else(|| own(Node::new(NodeKind::File, 0o644)));
        let ticket = match self.target.begin_file(place, file.len_max) {
            Ok(ticket) => ticket,
            Err(error) => return self.target_fault(place, error),
        };
        match self.write(ticket, file) {
            Ok(len) => {
                let restored = Restored { path: place, node: &node, xattrs: &[], holes: &[] };
                match self.target.finish_file(ticket, &restored) {
                    Ok(notes) => self.notes(place, notes),
                    Err(error) => return self.target_fault(place, error),
                }
                self.report.files += 1;
                self.report.bytes += len;
                self.progress.advance(1, 0);
                Ok(())
            }
            Err(failed) => {
                self.target.abandon_file(ticket);
                match failed {
                    NotWritten::Source(error) => self.lost(place, error),
                    NotWritten::NoSuchFile(reason) => {
                        self.fault(place.clone(), FaultKind::Unreadable, reason);
                        Ok(())
                    }
                    NotWritten::Target(error) => self.target_fault(place, error),
                    NotWritten::Stopped(error) => Err(error.into()),
                }
            }
        }
    }

    /// Moves the content; how long it turned out to be.
    fn write(&self, ticket: FileTicket, mut file: LogicalFile) -> Result<u64, NotWritten> {
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        loop {
            self.interrupt.check().map_err(NotWritten::Stopped)?;
            let read = match file.content.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NotWritten::of(error)),
            };
            self.target.write_piece(ticket, at, &piece[..read]).map_err(NotWritten::Target)?;
            at += read as u64;
            self.progress.advance(0, read as u64);
        }
        if at != file.len_max {
            self.target.shorten_file(ticket, at).map_err(NotWritten::Target)?;
        }
        Ok(at)
    }
}
