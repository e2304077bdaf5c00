//! Executing a batch: several threads, each reading one request at a time.
use super::batch::{Batch, Piece};
use super::{Run, is_loss};
use crate::error::{Error, ErrorKind, Result};
use crate::pack::{BlobLocation, Request, requests};
use crate::progress::FaultKind;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Bytes held by all threads together: of each request its stored and its plain bytes. Single
/// blocks that are longer than a thread's share may exceed it.
const IN_FLIGHT_MAX: u64 = 64 << 20;

/// More threads than this do not help one disk, and would make requests small.
const THREADS_MAX: usize = 16;

/// The longest request, in bytes: enough for any storage to be at full speed.
const REQUEST_MAX: u64 = 8 << 20;

/// Reads the pieces of `batch` in pack order and writes them.
///
/// # Errors
///
/// What stops the whole restore. Files that were begun are then the caller's to abandon.
pub(super) fn execute(run: &Run<'_>, batch: &mut Batch) -> Result<()> {
    batch.sort();
    let threads = thread::available_parallelism().map_or(2, NonZero::get).clamp(2, THREADS_MAX);
    let share = IN_FLIGHT_MAX / (2 * threads as u64);
    let requests =
        requests(batch.pieces.iter().map(|piece| &piece.location), share.min(REQUEST_MAX));
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let batch: &Batch = batch;
    thread::scope(|scope| {
        for _ in 0..threads.min(requests.len()) {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    if let Err(error) = answer(run, batch, request) {
                        stopped.store(true, Ordering::Relaxed);
                        // The first is the one to tell; the others followed from it.
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.get_or_insert(error);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(()), Err)
}

fn answer(run: &Run<'_>, batch: &Batch, request: &Request) -> Result<()> {
    run.interrupt.check()?;
    let pieces = |index: usize| &batch.pieces[request.pieces[index].clone()];
    // Files given up meanwhile may leave nothing to read for.
    let is_wanted = |piece: &Piece| !batch.files[piece.file as usize].is_over();
    if !request.pieces.iter().any(|range| batch.pieces[range.clone()].iter().any(is_wanted)) {
        return Ok(());
    }
    match run.store.read_blocks(&request.pack, &request.blocks) {
        Ok(blocks) if blocks.len() == request.blocks.len() => {
            for (index, block) in blocks.iter().enumerate() {
                write_block(run, batch, pieces(index), block)?;
            }
            Ok(())
        }
        Ok(_) => {
            let doing = format!("reading pack {}", request.pack.short());
            let error = Error::new(ErrorKind::Damaged, doing);
            (0..request.blocks.len()).try_for_each(|i| give_up(run, batch, pieces(i), &error))
        }
        // One bad block must not take its neighbours with it.
        Err(error) if is_loss(&error) && request.blocks.len() > 1 => {
            for (index, block) in request.blocks.iter().enumerate() {
                let range = request.pieces[index].clone();
                let blocks = vec![*block];
                let one = Request { pack: request.pack, blocks, pieces: vec![range] };
                answer(run, batch, &one)?;
            }
            Ok(())
        }
        Err(error) if is_loss(&error) => {
            pieces(0).iter().try_for_each(|piece| write_moved(run, batch, piece, &error))
        }
        Err(error) => Err(error),
    }
}

/// Writes the pieces of one opened block; each blob is verified once, however often it is wanted.
fn write_block(run: &Run<'_>, batch: &Batch, pieces: &[Piece], block: &[u8]) -> Result<()> {
    let mut stretch = Stretch { run, batch, block, of: None };
    for same in pieces.chunk_by(|a, b| a.id == b.id && a.location == b.location) {
        let Some(first) = same.first() else {
            continue;
        };
        match blob_of(run, first, &first.location, block) {
            Ok(_) => same.iter().try_for_each(|piece| stretch.push(piece))?,
            Err(error) if is_loss(&error) => {
                same.iter().try_for_each(|piece| write_moved(run, batch, piece, &error))?;
            }
            Err(error) => return Err(error),
        }
    }
    stretch.write()
}

/// Verified pieces that follow each other in a block and in a file: one write. A database lies in
/// a bundle so.
struct Stretch<'a> {
    run: &'a Run<'a>,
    batch: &'a Batch,
    block: &'a [u8],
    /// File, place in it, and where the bytes lie in the block.
    of: Option<(u32, u64, Range<usize>)>,
}

impl Stretch<'_> {
    fn push(&mut self, piece: &Piece) -> Result<()> {
        let start = piece.location.offset as usize;
        let bytes = start..start + piece.location.len as usize;
        if let Some((file, at, before)) = &mut self.of
            && *file == piece.file
            && *at + before.len() as u64 == piece.at
            && before.end == bytes.start
        {
            before.end = bytes.end;
            return Ok(());
        }
        self.write()?;
        self.of = Some((piece.file, piece.at, bytes));
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let Some((file, at, bytes)) = self.of.take() else { return Ok(()) };
        self.run.interrupt.check()?;
        self.batch.files[file as usize].write(self.run, at, &self.block[bytes])
    }
}

/// The verified bytes of a piece's blob in an opened block.
fn blob_of<'b>(
    run: &Run<'_>,
    piece: &Piece,
    location: &BlobLocation,
    block: &'b [u8],
) -> Result<&'b [u8]> {
    let start = location.offset as usize;
    let plain = block.get(start..).and_then(|rest| rest.get(..piece.location.len as usize));
    let plain = plain.ok_or_else(|| {
        Error::new(ErrorKind::Damaged, format!("reading blob {}", piece.id.short()))
            .because("it lies outside its block")
    })?;
    run.store.verify_blob(&piece.id, plain)?;
    Ok(plain)
}

/// Writes a piece that is not where it was: a pack may have been repacked since the batch was
/// planned, or an index may have lied. Only when the blob is nowhere else is its file given up.
fn write_moved(run: &Run<'_>, batch: &Batch, piece: &Piece, cause: &Error) -> Result<()> {
    let file = &batch.files[piece.file as usize];
    if file.is_over() {
        return Ok(());
    }
    let is_settled = run.store.settle(&piece.location.pack)?;
    let elsewhere = run.store.locate(&piece.id)?.filter(|location| {
        (is_settled || location.pack != piece.location.pack) && location.len == piece.location.len
    });
    let Some(location) = elsewhere else {
        return give_up(run, batch, std::slice::from_ref(piece), cause);
    };
    let block = [(location.ordinal, location.block)];
    let read = run.store.read_blocks(&location.pack, &block);
    let block = read.map(|blocks| blocks.into_iter().next().unwrap_or_default());
    match block.as_ref().map(|block| blob_of(run, piece, &location, block)) {
        Ok(Ok(plain)) => file.write(run, piece.at, plain),
        Ok(Err(error)) if is_loss(&error) => {
            give_up(run, batch, std::slice::from_ref(piece), &error)
        }
        Err(error) if is_loss(error) => give_up(run, batch, std::slice::from_ref(piece), error),
        Ok(Err(error)) => Err(error),
        Err(_) => block.map(|_| ()),
    }
}

fn give_up(run: &Run<'_>, batch: &Batch, pieces: &[Piece], error: &Error) -> Result<()> {
    run.interrupt.check()?;
    for piece in pieces {
        let file = &batch.files[piece.file as usize];
        file.give_up(run, FaultKind::Unreadable, &format!("{error:?}"));
    }
    Ok(())
}
