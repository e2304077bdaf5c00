//! Storing again what snapshots need of condemned packs, in a session like any writer's.
use super::PruneOptions;
use super::usage::{Endangered, read_record};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, PackId};
use crate::index::{PackStanding, Spot};
use crate::interrupt::Interrupt;
use crate::pack::BlockEntry;
use crate::pipeline::{Pipeline, PipelineOptions, StoredBytes};
use crate::progress::Progress;
use crate::repository::{Repository, Session};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sealed bytes of one request.
const REQUEST_MAX: u64 = 4 << 20;

/// Plain bytes of the blocks of one request.
const PLAIN_MAX: u64 = 16 << 20;

/// Copies in a session of its own.
pub(super) struct Copier<'a> {
    pub(super) repository: &'a Repository,
    pub(super) options: &'a PruneOptions,
    pub(super) progress: &'a Arc<dyn Progress>,
    pub(super) interrupt: &'a Interrupt,
    /// What goes when the copies are there: no copy may be left out because of it.
    pub(super) condemned: &'a BTreeSet<PackId>,
}

impl Copier<'_> {
    /// Stores the endangered blobs in new packs and lists those. Which of them need it is decided
    /// once more, against the index as it is after the session's `open`.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when one cannot be read; what storing meets;
    /// [`Interrupted`](ErrorKind::Interrupted).
    pub(super) fn copy(&self, endangered: &mut Endangered) -> Result<StoredBytes> {
        let session = Arc::new(Session::open(self.repository, &self.options.program)?);
        let copied = self.in_session(&session, endangered);
        if copied.is_err() {
            self.repository.index().forget_claims();
        }
        // A session that is left open is litter that the next prune has to wait for.
        let ended = session.end_without_snapshot();
        let copied = copied?;
        ended?;
        Ok(copied)
    }

    fn in_session(
        &self,
        session: &Arc<Session>,
        endangered: &mut Endangered,
    ) -> Result<StoredBytes> {
        self.repository.level_index()?;
        self.repository.index().add_condemned(self.condemned.iter().copied());
        let scratch = self.repository.scratch()?;
        let pipeline = Pipeline::start(
            self.repository,
            session.clone(),
            PipelineOptions { dry_run: false, scratch: scratch.path().to_owned() },
            self.progress.clone(),
            self.interrupt,
        )?;
        match self.feed(&pipeline, endangered) {
            Ok(()) => pipeline.finish(),
            Err(error) => {
                let first = pipeline.abandon();
                self.interrupt.check()?;
                Err(first.unwrap_or(error))
            }
        }
    }

    /// Reads the blobs pack by pack, neighbouring blocks with one request.
    fn feed(&self, pipeline: &Pipeline, endangered: &mut Endangered) -> Result<()> {
        let standings = self.repository.index().standings();
        let mut request = Request::default();
        for record in endangered.blobs.sorted()? {
            let (id, spot) = read_record(&record?);
            if !request.takes(&spot) {
                self.answer(pipeline, &standings, &std::mem::take(&mut request))?;
            }
            request.push(id, spot);
        }
        self.answer(pipeline, &standings, &request)
    }

    fn answer(
        &self,
        pipeline: &Pipeline,
        standings: &[Option<PackStanding>],
        request: &Request,
    ) -> Result<()> {
        self.interrupt.check()?;
        let Some((_, first)) = request.blobs.first() else { return Ok(()) };
        // Another sweep has finished this pack meanwhile, and saved what was needed of it.
        let Some(Some(standing)) = standings.get(first.pack as usize) else { return Ok(()) };
        let (kind, pack) = (standing.pack.header.kind, standing.pack.id);
        let plains = match self.repository.read_blocks(kind, &pack, &request.blocks) {
            Ok(plains) => plains,
            Err(e) if e.kind() == ErrorKind::NotFound && self.is_gone(&pack) => return Ok(()),
            Err(e) => return Err(e),
        };
        let mut blocks = request.blocks.iter().zip(&plains).peekable();
        for (id, spot) in &request.blobs {
            while blocks.next_if(|((ordinal, _), _)| *ordinal < spot.ordinal).is_some() {}
            let plain = blocks.peek().and_then(|(_, block)| part(block, spot));
            let plain = plain.ok_or_else(|| outside(&pack))?;
            self.repository.verify_named(kind, id, plain)?;
            pipeline.store_again(kind, *id, plain.to_vec())?;
            self.progress.advance(1, u64::from(spot.len));
        }
        Ok(())
    }

    fn is_gone(&self, pack: &PackId) -> bool {
        self.repository.index().live_pack(pack).is_none()
    }
}

fn part<'b>(block: &'b [u8], spot: &Spot) -> Option<&'b [u8]> {
    block.get(spot.offset as usize..)?.get(..spot.len as usize)
}

fn outside(pack: &PackId) -> Error {
    Error::new(ErrorKind::Damaged, format!("reading pack {}", pack.short()))
        .because("a blob lies outside its block")
}

/// Neighbouring blocks of one pack, and what is wanted of them.
#[derive(Default)]
struct Request {
    blobs: Vec<(BlobId, Spot)>,
    blocks: Vec<(u32, BlockEntry)>,
    plain_bytes: u64,
}

impl Request {
    /// Whether a blob can be read with those before it.
    fn takes(&self, spot: &Spot) -> bool {
        let (Some((_, first)), Some((last, _))) = (self.blobs.first(), self.blocks.last()) else {
            return true;
        };
        let end = u64::from(spot.block.offset) + u64::from(spot.block.stored_len);
        let is_near = end.saturating_sub(u64::from(first.block.offset)) <= REQUEST_MAX
            && self.plain_bytes + u64::from(spot.block.raw_len) <= PLAIN_MAX;
        spot.pack == first.pack && (spot.ordinal == *last || is_near)
    }

    fn push(&mut self, id: BlobId, spot: Spot) {
        if self.blocks.last().is_none_or(|(last, _)| *last != spot.ordinal) {
            self.blocks.push((spot.ordinal, spot.block));
            self.plain_bytes += u64::from(spot.block.raw_len);
        }
        self.blobs.push((id, spot));
    }
}
