//! One file on its way back: begun with its first piece, finished with its last.
use super::Run;
use super::{attributes, encoded};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Content, Encoding, Node};
use crate::path::TreePath;
use crate::progress::FaultKind;
use crate::target::{FileTicket, Restored};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file whose pieces come in any order and from several threads.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) place: TreePath,
    /// Without its chunks: those are pieces now.
    pub(super) node: Node,
    /// Names that go when it takes its own: a folder in its way.
    displaced: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// What has not been written, in bytes.
    left: u64,
    /// Threads that are writing without holding the state.
    writers: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing stands in the target yet.
    Ahead,
    /// Being written.
    Begun(FileTicket),
    /// Finished or given up.
    Over,
}

impl OpenFile {
    pub(super) fn new(place: TreePath, mut node: Node, displaced: u64) -> Self {
        let left = node.content.len;
        node.content.content = Content::Empty;
        let state = Mutex::new(State { stage: Stage::Ahead, left, writers: 0 });
        OpenFile { place, node, displaced, state }
    }

    /// About what it takes in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        use crate::node::Attached;
        let attached = |a: &Attached| if let Attached::Here(bytes) = a { bytes.len() } else { 0 };
        let lent = attached(&self.node.xattrs) + attached(&self.node.holes);
        size_of::<Self>() + 2 * size_of::<u64>() + self.place.key().len() + lent
    }

    /// Bytes it has beyond those that are stored.
    fn padding(&self) -> u64 {
        self.node.size_bytes() - self.node.content.len
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no more pieces are wanted.
    pub(super) fn is_over(&self) -> bool {
        self.state().stage == Stage::Over
    }

    /// Writes a piece, and finishes the file with its last one.
    ///
    /// # Errors
    ///
    /// What stops the whole restore; anything else is a fault of this file.
    pub(super) fn write(&self, run: &Run<'_>, at: u64, bytes: &[u8]) -> Result<()> {
        let Some(ticket) = self.begin(run)? else {
            return Ok(());
        };
        let written = self.write_encoded(run, ticket, at, bytes);
        let mut state = self.state();
        state.writers -= 1;
        if state.stage == Stage::Over {
            // Given up meanwhile by another thread; the last one out drops the file.
            let is_last = state.writers == 0;
            drop(state);
            if is_last {
                run.target.abandon_file(ticket);
            }
            return Ok(());
        }
        if let Err(error) = written {
            drop(state);
            self.give_up(run, FaultKind::Unsupported, &format!("{error:?}"));
            return run.target_trouble(error);
        }
        state.left = state.left.saturating_sub(bytes.len() as u64);
        let is_whole = state.left == 0;
        if is_whole {
            state.stage = Stage::Over;
        }
        drop(state);
        run.progress.advance(0, bytes.len() as u64);
        match is_whole {
            true => self.finish(run, ticket, !self.is_all(bytes)),
            false => Ok(()),
        }
    }

    /// Whether these bytes are all there are of it.
    fn is_all(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.node.content.len
    }

    /// Writes a piece as it stands in the target until the file is whole.
    fn write_encoded(
        &self,
        run: &Run<'_>,
        ticket: FileTicket,
        at: u64,
        bytes: &[u8],
    ) -> Result<()> {
        match &self.node.encoding {
            Encoding::AsStored => run.target.write_piece(ticket, at, bytes),
            Encoding::AppleEncrypted { file_key } if self.is_all(bytes) => {
                run.target.write_piece(ticket, 0, &encoded::whole(bytes, file_key))
            }
            Encoding::AppleEncrypted { .. } => {
                let mut masked = bytes.to_vec();
                run.mask.apply(ticket, at, &mut masked);
                run.target.write_piece(ticket, at, &masked)
            }
        }
    }

    /// Finishes a file that has no bytes.
    pub(super) fn finish_empty(&self, run: &Run<'_>) -> Result<()> {
        match self.begin(run)? {
            Some(ticket) => {
                let written = match self.node.encoding {
                    Encoding::AsStored => Ok(()),
                    Encoding::AppleEncrypted { .. } => self.write_encoded(run, ticket, 0, &[]),
                };
                let mut state = self.state();
                state.writers -= 1;
                state.stage = Stage::Over;
                drop(state);
                match written {
                    Ok(()) => self.finish(run, ticket, false),
                    Err(error) => self.lost_at_last(run, ticket, error),
                }
            }
            None => Ok(()),
        }
    }

    /// The ticket, with this thread counted as a writer; `None` when the file is over.
    fn begin(&self, run: &Run<'_>) -> Result<Option<FileTicket>> {
        let mut state = self.state();
        let ticket = match state.stage {
            Stage::Over => return Ok(None),
            Stage::Begun(ticket) => ticket,
            Stage::Ahead => match run.target.begin_file(&self.place, self.node.size_bytes()) {
                Ok(ticket) => {
                    state.stage = Stage::Begun(ticket);
                    ticket
                }
                Err(error) => {
                    drop(state);
                    self.give_up(run, FaultKind::Unsupported, &format!("{error:?}"));
                    run.target_trouble(error)?;
                    return Ok(None);
                }
            },
        };
        state.writers += 1;
        Ok(Some(ticket))
    }

    /// Gives the file up that is whole and could not be finished.
    fn lost_at_last(&self, run: &Run<'_>, ticket: FileTicket, error: Error) -> Result<()> {
        run.target.abandon_file(ticket);
        if error.kind() == ErrorKind::Interrupted {
            return Err(error);
        }
        run.lost_file(&self.place, &self.node, FaultKind::Unsupported, &format!("{error:?}"));
        run.progress.advance(1, self.padding());
        run.target_trouble(error)
    }

    /// Encrypts it if it has to be, and gives it its attributes and its name.
    fn finish(&self, run: &Run<'_>, ticket: FileTicket, is_in_pieces: bool) -> Result<()> {
        if let Encoding::AppleEncrypted { file_key } = &self.node.encoding
            && is_in_pieces
            && let Err(error) = encoded::in_place(run, ticket, self.node.content.len, file_key)
        {
            return self.lost_at_last(run, ticket, error);
        }
        let attributes = match attributes::read(run.store, &self.node) {
            Ok(attributes) => attributes,
            Err(error) => {
                run.target.abandon_file(ticket);
                return Err(error);
            }
        };
        let restored = Restored {
            path: &self.place,
            node: &self.node,
            xattrs: &attributes.xattrs,
            holes: &attributes.holes,
        };
        match run.target.finish_file(ticket, &restored) {
            Ok(notes) => {
                run.tally(|report| {
                    report.written_files += 1;
                    report.written_bytes += self.node.size_bytes();
                    report.removed += self.displaced;
                });
                run.notes(&self.place, attributes.lost, notes);
            }
            Err(error) => {
                run.lost_file(
                    &self.place,
                    &self.node,
                    FaultKind::Unsupported,
                    &format!("{error:?}"),
                );
                run.target_trouble(error)?;
            }
        }
        run.progress.advance(1, self.padding());
        Ok(())
    }

    /// Gives the file up: what stands at its path stays as it is. Says so once.
    ///
    /// `Unreadable` says that the store failed, `Unsupported` that the target did.
    pub(super) fn give_up(&self, run: &Run<'_>, kind: FaultKind, reason: &str) {
        if let Some(left) = self.drop_it(run) {
            run.lost_file(&self.place, &self.node, kind, reason);
            run.progress.advance(1, left + self.padding());
        }
    }

    /// Drops the file without a word, because everything stops; the bytes that were left, if it
    /// was not over already.
    pub(super) fn drop_it(&self, run: &Run<'_>) -> Option<u64> {
        let mut state = self.state();
        let stage = std::mem::replace(&mut state.stage, Stage::Over);
        let (left, writers) = (state.left, state.writers);
        drop(state);
        match stage {
            Stage::Over => return None,
            Stage::Begun(ticket) if writers == 0 => run.target.abandon_file(ticket),
            Stage::Begun(_) | Stage::Ahead => {}
        }
        Some(left)
    }
}
