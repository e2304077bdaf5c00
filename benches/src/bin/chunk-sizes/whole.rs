//! The engine over a phone-like folder that ages, once per pair of sizes.
use std::error::Error as StdError;

use devsnap_benches::store::Store;
use devsnap_engine::backend::ObjectKind;
use devsnap_engine::error::Result;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::pack::{HEADER_LEN, TRAILER_LEN};
use devsnap_engine::repository::Repository;
use devsnap_testkit::test_repository::snapshot;

use crate::{DAYS, SET, mib, sizes};

/// Usual chunk and extent of databases, in KiB. 1024 and 32 is what is written today.
const SIZES_KIB: [(u32, u32); 8] =
    [(1024, 8), (1024, 16), (1024, 32), (1024, 64), (1024, 256), (512, 32), (256, 32), (64, 32)];

/// What lies in a repository, in bytes as stored.
///
/// The filler of packs is left out: it rounds sizes up, whatever they are, and would blur days.
#[derive(Clone, Copy, Default)]
struct Kept {
    /// Chunks and small contents.
    blobs: u64,
    /// Blocks of contents.
    contents: u64,
    /// Headers, footers and trailers of data packs, and index segments.
    lists: u64,
    /// Packs of pages: trees, and lists of the chunks of large files.
    pages: u64,
}

impl Kept {
    fn in_repository(repository: &Repository) -> Result<Kept> {
        let mut kept = Kept::default();
        for kind in [ObjectKind::DataPack, ObjectKind::MetaPack] {
            for listed in repository.backend().list(kind, "") {
                let listed = listed?;
                let footer = repository.read_pack_list(&listed.key, listed.size_bytes)?.footer;
                let blocks: u64 =
                    footer.blocks.iter().map(|block| u64::from(block.stored_len)).sum();
                let frame = (HEADER_LEN + footer.sealed_len() + TRAILER_LEN) as u64;
                if kind == ObjectKind::DataPack {
                    kept.blobs += footer.blobs.len() as u64;
                    kept.contents += blocks;
                    kept.lists += frame;
                } else {
                    kept.pages += blocks + frame;
                }
            }
        }
        for listed in repository.backend().list(ObjectKind::IndexSegment, "") {
            kept.lists += listed?.size_bytes;
        }
        Ok(kept)
    }

    fn since(self, before: Kept) -> Kept {
        Kept {
            blobs: self.blobs - before.blobs,
            contents: self.contents - before.contents,
            lists: self.lists - before.lists,
            pages: self.pages - before.pages,
        }
    }

    fn print(self, label: &str) {
        let Kept { blobs, contents, lists, pages } = self;
        println!(
            "| {label} | {blobs} | {} | {} | {} | {} |",
            mib(contents),
            lists >> 10,
            pages >> 10,
            mib(contents + lists + pages)
        );
    }
}

/// Prints a row for the first snapshot and one for all days after it, per pair of sizes.
pub(crate) fn table() -> Result<(), Box<dyn StdError + Send + Sync>> {
    println!(
        "| chunks, databases | chunks and small contents | contents, MiB | lists, KiB | pages, KiB | all, MiB |"
    );
    println!("|---|---|---|---|---|---|");
    let (mut firsts, mut laters) = (Vec::new(), Vec::new());
    for (target_kib, database_kib) in SIZES_KIB {
        let name = format!("{target_kib}, {database_kib} KiB");
        let folder = tempfile::tempdir()?;
        SET.write(folder.path())?;
        let store = Store::new(sizes(target_kib, database_kib)?)?;
        let repository = store.open()?;
        snapshot(&repository, folder.path(), &Interrupt::new())?;
        let first = Kept::in_repository(&repository)?;
        for day in 1..=DAYS {
            SET.mutate(folder.path(), day)?;
            snapshot(&repository, folder.path(), &Interrupt::new())?;
        }
        firsts.push((name.clone(), first));
        laters.push((name, Kept::in_repository(&repository)?.since(first)));
    }
    for (name, kept) in firsts {
        kept.print(&format!("{name}, first snapshot"));
    }
    for (name, kept) in laters {
        kept.print(&format!("{name}, {DAYS} days"));
    }
    Ok(())
}
