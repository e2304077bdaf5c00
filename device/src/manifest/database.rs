//! Opening a database that anybody may have written, to be read and never changed.
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use devsnap_engine::interrupt::Interrupt;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::listing::{Listing, Order, Within};
use super::schema::{self, Shape};

/// The longest row, in bytes. A record has about 700, and up to 2048 of attributes.
const ROW_LEN_MAX: i32 = 1 << 20;

/// The longest statement, in bytes, those of the schema included. Real ones have 100.
const SQL_LEN_MAX: i32 = 16 << 10;

/// The most columns of a table. A real one has five.
const COLUMNS_MAX: i32 = 64;

/// SQLite's page cache, in KiB. Every row is looked up once, so more would not help.
const CACHE_KIB: i32 = 2048;

/// How many steps of SQLite's machine pass between two looks at the meter.
const STEPS_PER_TICK: i32 = 1000;

/// How many steps reading a database of no size may take.
const STEPS_FREE: u64 = 1 << 20;

/// How long one answer may take however small the database, and what each MiB of it adds. An answer
/// that must be sorted reads the whole table once.
const PATIENCE: Duration = Duration::from_secs(45);
const PATIENCE_PER_MIB: Duration = Duration::from_secs(1);

/// The columns that are read, as the table must have them.
const COLUMNS: [&str; 5] = ["fileID", "domain", "relativePath", "flags", "file"];

/// Why a file is no manifest that can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadManifest {
    /// It does not begin as a database does: encrypted, or something else altogether.
    #[error("it is not a plain SQLite database")]
    NotADatabase,
    /// A database that no device writes: a view or a virtual table for `Files`, computed columns,
    /// a schema of thousands of tables.
    #[error("it is not a manifest as devices write them: {0}")]
    Strange(&'static str),
    /// It holds more than a file of its length can hold, or an answer takes far longer than such a file
    /// needs.
    #[error("it asks for more than a file of its length can need")]
    TooMuch,
    /// Somebody asked to stop.
    #[error("stopping as asked")]
    Interrupted,
    /// SQLite cannot make sense of it.
    #[error("it is damaged")]
    Damaged(#[source] rusqlite::Error),
    /// This computer could not read the file.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
}

/// A manifest, opened to be read.
///
/// Nothing in it can make this program run, write or wait: no view, trigger or virtual table is used, the
/// schema, the rows and the work are bounded by the file's length, and the wish to stop is heeded
/// within milliseconds. It takes some MiB of memory whatever its length. What must be sorted is sorted
/// in temporary files without a name, which take less than the database does.
#[derive(Debug)]
pub struct ManifestDb {
    pub(super) connection: Connection,
    pub(super) meter: Arc<Meter>,
    len: u64,
    rows: u64,
}

impl ManifestDb {
    /// Opens the plain database at `path`, and reads its table once to measure it.
    ///
    /// Nothing is written beside it. It must not change while it is open.
    ///
    /// # Errors
    ///
    /// See [`BadManifest`].
    pub fn open(path: &Path, interrupt: &Interrupt) -> Result<Self, BadManifest> {
        let mut file = File::open(path).map_err(BadManifest::Unreadable)?;
        match schema::look(&mut file).map_err(BadManifest::Unreadable)? {
            Shape::Fit => {}
            Shape::Foreign => return Err(BadManifest::NotADatabase),
            Shape::Strange(what) => return Err(BadManifest::Strange(what)),
        }
        let len = file.metadata().map_err(BadManifest::Unreadable)?.len();
        let meter = Arc::new(Meter::new(len, interrupt));
        let connection = connect(path, &meter).map_err(|error| meter.verdict(error))?;
        let mut manifest = ManifestDb { connection, meter, len, rows: 0 };
        manifest.require_plain_table()?;
        manifest.rows = manifest.measure()?;
        Ok(manifest)
    }

    /// How many rows it has, those that cannot be used included.
    pub fn rows_total(&self) -> u64 {
        self.rows
    }

    /// The rows `within`, in `order`; those that cannot be used are counted and left out.
    ///
    /// # Errors
    ///
    /// See [`BadManifest`].
    pub fn list(&self, order: Order, within: &Within) -> Result<Listing<'_>, BadManifest> {
        self.meter.start();
        Listing::prepare(self, order, within)
    }

    /// Bytes of values that a listing may hand out: more cannot be in the file.
    pub(super) fn values_max(&self) -> u64 {
        self.len
    }

    /// A view or a virtual table of this name would run whatever its writer thought of, and so would a
    /// column that is computed.
    fn require_plain_table(&self) -> Result<(), BadManifest> {
        self.meter.start();
        let verdict = |error| self.meter.verdict(error);
        let sql = "SELECT sql FROM sqlite_schema WHERE name = 'Files' COLLATE NOCASE \
                   AND type IN ('table', 'view')";
        let mut statement = self.connection.prepare(sql).map_err(verdict)?;
        let made_by = statement.query_map([], |row| row.get::<_, String>(0)).map_err(verdict)?;
        let made_by = made_by.collect::<Result<Vec<_>, _>>().map_err(verdict)?;
        // SQLite keeps these words so, however they were written.
        if made_by.len() != 1 || !made_by[0].starts_with("CREATE TABLE") {
            return Err(BadManifest::Strange("`Files` is no plain table"));
        }
        let mut statement =
            self.connection.prepare("PRAGMA table_xinfo(Files)").map_err(verdict)?;
        let columns = statement
            .query_map([], |row| Ok((row.get::<_, String>("name")?, row.get::<_, i64>("hidden")?)))
            .map_err(verdict)?;
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(verdict)?;
        let is = |name: &str, of: &str| name.eq_ignore_ascii_case(of);
        for wanted in COLUMNS {
            if !columns.iter().any(|(name, hidden)| is(name, wanted) && *hidden == 0) {
                return Err(BadManifest::Strange("`Files` lacks a column"));
            }
        }
        // Rows are looked up by their number, so nothing else may go by its name.
        let row_names = ["rowid", "oid", "_rowid_"];
        if columns.iter().any(|(name, _)| row_names.iter().any(|of| is(name, of))) {
            return Err(BadManifest::Strange("`Files` hides the numbers of its rows"));
        }
        Ok(())
    }

    /// Counts the rows, and the bytes of what will be sorted: pages that several others point to can hold
    /// more than the file does, and sorting them would fill the disk.
    fn measure(&self) -> Result<u64, BadManifest> {
        self.meter.start();
        let sql = "SELECT count(*), coalesce(sum(coalesce(octet_length(fileID), 0) \
                   + coalesce(octet_length(domain), 0) \
                   + coalesce(octet_length(relativePath), 0)), 0) FROM Files NOT INDEXED";
        let measured = self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (rows, text): (i64, i64) = measured.map_err(|error| self.meter.verdict(error))?;
        match (u64::try_from(rows), u64::try_from(text)) {
            (Ok(rows), Ok(text)) if text <= self.len => Ok(rows),
            _ => Err(BadManifest::TooMuch),
        }
    }
}

fn connect(path: &Path, meter: &Arc<Meter>) -> rusqlite::Result<Connection> {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' | 0x80.. => uri.push_str(&format!("%{byte:02x}")),
            _ => uri.push(char::from(byte)),
        }
    }
    // Immutable: real manifests are in WAL mode, and opening one would put files beside it.
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(uri, flags)?;
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, ROW_LEN_MAX),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_LEN_MAX),
        (Limit::SQLITE_LIMIT_COLUMN, COLUMNS_MAX),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 64),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 2),
        (Limit::SQLITE_LIMIT_VDBE_OP, 10_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 8),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    let ticking = Arc::clone(meter);
    connection.progress_handler(STEPS_PER_TICK, Some(move || ticking.tick()))?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Sorting may take as much as the database's texts do.
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Counts what SQLite does, and says when it is enough.
#[derive(Debug)]
pub(super) struct Meter {
    interrupt: Interrupt,
    /// How many ticks one task may take.
    ticks_max: u64,
    ticks: AtomicU64,
    /// How long one answer may take.
    patience: Duration,
    began: Instant,
    /// When the answer must be there, in milliseconds after `began`.
    until_ms: AtomicU64,
}

impl Meter {
    /// For a database of `len` bytes. Going through all its rows, sorted, takes some 40 steps a row, and
    /// the shortest row has 60 bytes in the table and its indexes, real ones ten times as many.
    fn new(len: u64, interrupt: &Interrupt) -> Self {
        let steps = (STEPS_FREE + len) / u64::from(STEPS_PER_TICK.unsigned_abs());
        let mib = u32::try_from(len >> 20).unwrap_or(u32::MAX);
        let patience = PATIENCE.saturating_add(PATIENCE_PER_MIB.saturating_mul(mib));
        let meter = Meter {
            interrupt: interrupt.clone(),
            ticks_max: steps,
            ticks: AtomicU64::new(0),
            patience,
            began: Instant::now(),
            until_ms: AtomicU64::new(0),
        };
        meter.start();
        meter
    }

    /// A new task begins.
    pub(super) fn start(&self) {
        self.ticks.store(0, Ordering::Relaxed);
        self.answer();
    }

    /// SQLite is asked for the next answer; what the caller does between two does not count.
    pub(super) fn answer(&self) {
        let until = self.began.elapsed().saturating_add(self.patience);
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.store(until, Ordering::Relaxed);
    }

    /// Whether SQLite must stop.
    fn tick(&self) -> bool {
        let ticks = self.ticks.fetch_add(1, Ordering::Relaxed);
        self.interrupt.is_raised()
            || ticks >= self.ticks_max
            || self.began.elapsed().as_millis() > self.until_ms.load(Ordering::Relaxed).into()
    }

    /// Goes on unless somebody asked to stop.
    pub(super) fn check(&self) -> Result<(), BadManifest> {
        if self.interrupt.is_raised() { Err(BadManifest::Interrupted) } else { Ok(()) }
    }

    /// What SQLite's complaint means.
    pub(super) fn verdict(&self, error: rusqlite::Error) -> BadManifest {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) if self.interrupt.is_raised() => {
                BadManifest::Interrupted
            }
            Some(ErrorCode::OperationInterrupted | ErrorCode::TooBig) => BadManifest::TooMuch,
            Some(ErrorCode::NotADatabase) => BadManifest::NotADatabase,
            Some(ErrorCode::DiskFull | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
                BadManifest::Unreadable(io::Error::other(error))
            }
            _ => BadManifest::Damaged(error),
        }
    }
}
