//! Stored bytes: every block of the chosen packs is opened, every blob in it verified.
use super::census::{PackOf, Packs, name_of};
use super::{CheckReport, Severity};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackId;
use crate::interrupt::Interrupt;
use crate::pack::{BlobEntry, BlockEntry, PackFooter};
use crate::progress::Progress;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Stored and plain bytes of one request; a longer block is a request of its own.
const REQUEST_MAX: u64 = 4 << 20;

/// Threads that read at a time; each holds two requests' bytes at most.
const THREADS_MAX: usize = 8;

/// Whether a pack is among the `percent` that are read. Ids are hashes, so any of their bytes
/// choose evenly, and the same packs each time.
pub(super) fn is_chosen(id: &PackId, percent: u8) -> bool {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_le_bytes([a, b, c, d]) % 100 < u32::from(percent)
}

/// Reads the chosen ones of `packs`.
pub(super) fn check(
    store: &dyn Packs,
    packs: &[PackOf],
    percent: u8,
    report: &mut CheckReport,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let chosen: Vec<&PackOf> = packs.iter().filter(|p| is_chosen(&p.id, percent)).collect();
    progress.expect(chosen.len() as u64, chosen.iter().map(|pack| pack.size_bytes).sum());
    progress.expect_no_more();
    let next = AtomicUsize::new(0);
    let found: Mutex<(Vec<String>, u64, Option<Error>)> = Mutex::default();
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = thread::available_parallelism().map_or(2, NonZero::get).min(THREADS_MAX);
    thread::scope(|scope| {
        for _ in 0..threads.min(chosen.len()) {
            scope.spawn(|| {
                while let Some(pack) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let read = read_pack(store, pack, interrupt);
                    progress.advance(1, pack.size_bytes);
                    let mut found = lock();
                    match read {
                        Ok((bytes, sentence)) => {
                            found.1 += bytes;
                            found.0.extend(sentence);
                        }
                        Err(error) => {
                            found.2.get_or_insert(error);
                            next.store(chosen.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (mut bad, bytes, failed) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failed {
        return Err(error);
    }
    bad.sort_unstable();
    report.read_bytes += bytes;
    report.find_many(Severity::Damage, bad);
    Ok(())
}

/// Plain bytes that were right, and a sentence when others were not.
fn read_pack(
    store: &dyn Packs,
    pack: &PackOf,
    interrupt: &Interrupt,
) -> Result<(u64, Option<String>)> {
    let contents = match store.contents(pack) {
        Ok(contents) => contents,
        Err(error) if is_loss(&error) => {
            let name = name_of(pack);
            return Ok((0, Some(format!("{name}: its list of blobs cannot be read: {error:?}"))));
        }
        Err(error) => return Err(error),
    };
    let footer = &contents.footer;
    let mut blobs = footer.blobs.clone();
    blobs.sort_unstable_by_key(|blob| blob.block);
    let (mut bytes, mut bad, mut first) = (0, 0, None);
    for blocks in groups(footer) {
        interrupt.check()?;
        for ((ordinal, _), plain) in blocks.iter().zip(read(store, pack, &blocks)?) {
            let from = blobs.partition_point(|blob| blob.block < *ordinal);
            for blob in blobs[from..].iter().take_while(|blob| blob.block == *ordinal) {
                match verify(store, pack, blob, plain.as_deref()) {
                    Ok(()) => bytes += u64::from(blob.len),
                    Err(error) => {
                        bad += 1;
                        first.get_or_insert(format!("{error:?}"));
                    }
                }
            }
        }
    }
    let (name, of) = (name_of(pack), blobs.len());
    let Some(first) = first else {
        store.note_sound(contents)?;
        return Ok((bytes, None));
    };
    Ok((bytes, Some(format!("{name}: {bad} of {of} blobs are damaged, first: {first}"))))
}

/// The plaintexts of some blocks; a damaged one is `None` and takes no neighbour with it.
fn read(
    store: &dyn Packs,
    pack: &PackOf,
    blocks: &[(u32, BlockEntry)],
) -> Result<Vec<Option<Vec<u8>>>> {
    match store.read_blocks(pack, blocks) {
        Ok(plain) if plain.len() == blocks.len() => {
            return Ok(plain.into_iter().map(Some).collect());
        }
        Ok(_) => return Ok(vec![None; blocks.len()]),
        Err(error) if !is_loss(&error) => return Err(error),
        Err(_) if blocks.len() == 1 => return Ok(vec![None]),
        Err(_) => {}
    }
    let mut all = Vec::new();
    for block in blocks {
        all.extend(read(store, pack, std::slice::from_ref(block))?);
    }
    Ok(all)
}

fn verify(store: &dyn Packs, pack: &PackOf, blob: &BlobEntry, block: Option<&[u8]>) -> Result<()> {
    let damaged = |why: &str| {
        Error::new(ErrorKind::Damaged, format!("blob {}", blob.id.short())).because(why)
    };
    let block = block.ok_or_else(|| damaged("its block does not open"))?;
    let plain = block.get(blob.offset as usize..).and_then(|rest| rest.get(..blob.len as usize));
    let plain = plain.ok_or_else(|| damaged("it lies outside its block"))?;
    store.verify(pack.kind, &blob.id, plain)
}

/// The written blocks of a pack, put into requests.
fn groups(contents: &PackFooter) -> Vec<Vec<(u32, BlockEntry)>> {
    let mut groups: Vec<Vec<(u32, BlockEntry)>> = Vec::new();
    let mut room = 0u64;
    for (ordinal, block) in (0u32..).zip(&contents.blocks) {
        if block.stored_len == 0 {
            continue;
        }
        let cost = u64::from(block.stored_len.max(block.raw_len));
        match groups.last_mut() {
            Some(last) if cost <= room => {
                last.push((ordinal, *block));
                room -= cost;
            }
            _ => {
                groups.push(vec![(ordinal, *block)]);
                room = REQUEST_MAX.saturating_sub(cost);
            }
        }
    }
    groups
}

pub(super) fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew)
}
