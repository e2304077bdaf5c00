//! Databases that SQLite itself writes: which pages a change touches, and where they lie, is its
//! doing and not ours. What rows are like and how many change in a day is an assumption.
use std::error::Error as StdError;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use crate::DAYS;
use crate::counted::{self, Counted, Mark};

/// As a device's own databases are set up; but for the journal, which is emptied each day so that
/// all changes are in the file, and the wait for the disk.
const SCHEMA: &str = "
    PRAGMA page_size = 4096;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = MEMORY;
    PRAGMA synchronous = OFF;
    CREATE TABLE message (rowid INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE, text TEXT,
        body BLOB, handle INTEGER, date INTEGER, date_read INTEGER DEFAULT 0);
    CREATE INDEX message_date ON message(date);
    CREATE INDEX message_handle ON message(handle, date);
";

/// How a database is used.
pub(crate) struct Usage {
    /// What it stands for.
    pub(crate) name: &'static str,
    /// Rows on the first day.
    rows: u64,
    /// Rows that a day adds.
    added: u64,
    /// Of the newest rows, how many a day marks as read.
    marked: u64,
    /// Rows anywhere that a day rewrites.
    rewritten: u64,
    /// Rows anywhere that a day removes.
    removed: u64,
}

/// A chat history, which grows at its end; and a cache, which changes everywhere.
pub(crate) const USAGES: [Usage; 2] = [
    Usage { name: "messages", rows: 100_000, added: 200, marked: 150, rewritten: 20, removed: 5 },
    Usage {
        name: "a cache",
        rows: 100_000,
        added: 2000,
        marked: 0,
        rewritten: 2000,
        removed: 2000,
    },
];

type Failure = Box<dyn StdError + Send + Sync>;

/// Prints a row per way of cutting.
pub(crate) fn table(usage: &Usage) -> Result<(), Failure> {
    let keys = devsnap_benches::keys()?;
    let mut counted = Counted::all(&keys)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.sqlite");
    let mut database = Connection::open(&path)?;
    database.execute_batch(SCHEMA)?;
    let change = database.transaction()?;
    (0..usage.rows).try_for_each(|row| insert(&change, row))?;
    change.commit()?;
    let mut before = store(&path, &mut counted)?;
    let first = Mark::of(&counted);
    let mut pages = 0;
    for day in 1..=u64::from(DAYS) {
        let change = database.transaction()?;
        pass_day(&change, usage, day)?;
        change.commit()?;
        let now = store(&path, &mut counted)?;
        pages += changed_pages(&before, &now);
        before = now;
    }
    println!(
        "{} MiB in {} pages; a day touches {} of them on the average.\n",
        before.len() >> 20,
        before.len() / PAGE_LEN,
        pages / DAYS as usize
    );
    counted::print(&counted, &first, DAYS);
    Ok(())
}

const PAGE_LEN: usize = 4096;

/// Pages of `now` that are not the same page of `before`.
fn changed_pages(before: &[u8], now: &[u8]) -> usize {
    let mut old = before.chunks(PAGE_LEN);
    now.chunks(PAGE_LEN).filter(|page| old.next() != Some(*page)).count()
}

/// Stores the file as it is, and returns it.
fn store(path: &Path, counted: &mut [Counted<'_>]) -> Result<Vec<u8>, Failure> {
    let file = fs::read(path)?;
    for one in counted {
        one.store(&file)?;
        one.seal_bundle();
    }
    Ok(file)
}

fn pass_day(change: &Transaction<'_>, usage: &Usage, day: u64) -> rusqlite::Result<()> {
    // Rows are numbered from 0 and never reuse a number; those that are gone are not found.
    let newest = usage.rows + (day - 1) * usage.added;
    let anywhere = |what: &str, n: u64| draw(what, day << 32 | n) % newest;
    let mut rewrite = change.prepare_cached("UPDATE message SET body = ?2 WHERE rowid = ?1")?;
    let mut remove = change.prepare_cached("DELETE FROM message WHERE rowid = ?1")?;
    let mut mark = change.prepare_cached("UPDATE message SET date_read = ?2 WHERE rowid = ?1")?;
    for n in 0..usage.rewritten {
        let row = anywhere("rewrite", n);
        rewrite.execute(params![signed(row + 1), text("new body", day << 32 | row)])?;
    }
    for n in 0..usage.removed {
        remove.execute(params![signed(anywhere("remove", n) + 1)])?;
    }
    for n in 0..usage.added {
        insert(change, newest + n)?;
    }
    for n in 0..usage.marked {
        mark.execute(params![signed(newest + usage.added - n), signed(day)])?;
    }
    Ok(())
}

fn insert(change: &Transaction<'_>, row: u64) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached(
        "INSERT INTO message (rowid, guid, text, body, handle, date) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let guid = blake3::hash(&row.to_le_bytes()).to_hex()[..36].to_uppercase();
    let date = (700_000_000 + row * 600 + draw("second", row) % 600) * 1_000_000_000;
    let text = text("text", row);
    let body = [b"\x04\x0bstreamtyped NSMutableAttributedString\x00", text.as_bytes()].concat();
    let handle = draw("handle", row) % 40;
    insert.execute(params![signed(row + 1), guid, text, body, signed(handle), signed(date)])?;
    Ok(())
}

/// As SQLite counts.
fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("because all numbers here are below 2^63")
}

/// A few words that depend on `what` and `n` alone.
fn text(what: &str, n: u64) -> String {
    const WORDS: &str = "the I you to a and it is that we at me for on ok so my not have this see home time \
        good today when tomorrow dinner photo morning thanks reservation";
    let words: Vec<&str> = WORDS.split(' ').filter(|word| !word.is_empty()).collect();
    let count = 3 + draw(what, n) % 24;
    let word = |at| words[usize::from(draw(what, n << 8 | at).to_le_bytes()[0]) % words.len()];
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

/// A number that depends on `what` and `n` alone.
fn draw(what: &str, n: u64) -> u64 {
    let hash = blake3::Hasher::new().update(what.as_bytes()).update(&n.to_le_bytes()).finalize();
    let bytes = hash.as_bytes().first_chunk().expect("because a hash has 32 bytes");
    u64::from_le_bytes(*bytes)
}
