//! Rows in an order, one at a time.
use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, Statement, params_from_iter};

use super::database::{BadManifest, ManifestDb, Meter};
use super::{FileId, NAME_LEN_MAX, Row, RowKind};

/// In which order rows come.
///
/// Both are orders of bytes, and what the table's own indexes say is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the names of the stored files.
    FileId,
    /// By domain, then by path as a tree has it: a folder, what is in it, then what else begins like
    /// its name. That is the engine's order of paths too.
    Name,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Within {
    domain: Option<(Exactly, String)>,
    path: String,
    names_only: bool,
}

/// Whether a domain is that text, or begins with it.
type Exactly = bool;

impl Within {
    /// All rows.
    pub fn everything() -> Within {
        Within::default()
    }

    /// The rows of `domain`.
    pub fn domain(domain: impl Into<String>) -> Within {
        Within { domain: Some((true, domain.into())), ..Within::default() }
    }

    /// The rows of every domain whose name begins with `start`.
    pub fn domains_from(start: impl Into<String>) -> Within {
        Within { domain: Some((false, start.into())), ..Within::default() }
    }

    /// Of those, the row at `path` and the rows below it; all for an empty path.
    #[must_use]
    pub fn below(self, path: impl Into<String>) -> Within {
        Within { path: path.into(), ..self }
    }

    /// Without their records, which are most of the bytes.
    #[must_use]
    pub fn names_only(self) -> Within {
        Within { names_only: true, ..self }
    }

    /// Whether `row` is wanted; in a damaged table a number may lead to another row.
    fn holds(&self, row: &Row) -> bool {
        let in_domain = self.domain.as_ref().is_none_or(|(exactly, domain)| match exactly {
            true => row.domain == *domain,
            false => row.domain.starts_with(domain),
        });
        let rest = row.relative_path.strip_prefix(&self.path);
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        in_domain && (self.path.is_empty() || rest.is_some_and(is_below))
    }

    /// The condition, and what stands for its question marks.
    fn condition(&self) -> (String, Vec<Vec<u8>>) {
        // As blobs: a column may say that its texts are to be compared otherwise.
        let (mut terms, mut values) = (vec!["1".to_owned()], Vec::new());
        if let Some((exactly, domain)) = &self.domain {
            let start = format!("substr(CAST(domain AS BLOB), 1, {})", domain.len());
            let all = "CAST(domain AS BLOB)".to_owned();
            terms.push(format!("{} = ?", if *exactly { all } else { start }));
            values.push(domain.clone().into_bytes());
        }
        if !self.path.is_empty() {
            let path = "CAST(relativePath AS BLOB)";
            let len = self.path.len() + 1;
            terms.push(format!("({path} = ? OR substr({path}, 1, {len}) = ?)"));
            values.push(self.path.clone().into_bytes());
            values.push(format!("{}/", self.path).into_bytes());
        }
        (terms.join(" AND "), values)
    }
}

/// How many rows a listing came by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that were handed out.
    pub rows: u64,
    /// Rows left out: their name, domain or path is none, no text, too long or another row's, or they
    /// are damaged.
    pub refused: u64,
}

/// A listing that has been asked for; [`rows`](Self::rows) reads it.
#[derive(Debug)]
pub struct Listing<'db> {
    /// The numbers of the rows, sorted.
    sorted: Statement<'db>,
    order: Order,
    /// A row by its number.
    lookup: Statement<'db>,
    within: Within,
    values: Vec<Vec<u8>>,
    meter: &'db Meter,
    values_max: u64,
}

impl<'db> Listing<'db> {
    /// Only names and numbers are sorted, and each row is read when its turn comes. `NOT INDEXED`, since
    /// an index may say what the table does not: the table was measured, the indexes were not.
    pub(super) fn prepare(
        manifest: &'db ManifestDb,
        order: Order,
        within: &Within,
    ) -> Result<Self, BadManifest> {
        let verdict = |error| manifest.meter.verdict(error);
        let (condition, values) = within.condition();
        let columns = match order {
            Order::FileId => "CAST(fileID AS BLOB)",
            Order::Name => {
                "CAST(domain AS BLOB), CAST(replace(relativePath, '/', char(0)) AS BLOB)"
            }
        };
        let sql =
            format!("SELECT rowid FROM Files NOT INDEXED WHERE {condition} ORDER BY {columns}");
        let sorted = manifest.connection.prepare(&sql).map_err(verdict)?;
        let file = if within.names_only { "NULL" } else { "file" };
        let sql = format!(
            "SELECT fileID, domain, relativePath, flags, {file} FROM Files NOT INDEXED \
             WHERE rowid = ?"
        );
        let lookup = manifest.connection.prepare(&sql).map_err(verdict)?;
        let values_max = manifest.values_max();
        let within = within.clone();
        Ok(Listing { sorted, order, lookup, within, values, meter: &manifest.meter, values_max })
    }

    /// Reads the listing from its beginning.
    ///
    /// # Errors
    ///
    /// See [`BadManifest`].
    pub fn rows(&mut self) -> Result<Rows<'_, 'db>, BadManifest> {
        self.meter.start();
        let numbers = self.sorted.query(params_from_iter(self.values.iter()));
        let numbers = numbers.map_err(|error| self.meter.verdict(error))?;
        Ok(Rows {
            numbers,
            lookup: &mut self.lookup,
            meter: self.meter,
            order: self.order,
            within: &self.within,
            last: None,
            values_left: self.values_max,
            tally: Tally::default(),
        })
    }
}

/// Rows, one at a time, no name twice.
pub struct Rows<'l, 'db> {
    numbers: rusqlite::Rows<'l>,
    lookup: &'l mut Statement<'db>,
    meter: &'db Meter,
    order: Order,
    within: &'l Within,
    /// What the last row was sorted by.
    last: Option<(String, Vec<u8>)>,
    /// Bytes of values that may still come.
    values_left: u64,
    tally: Tally,
}

impl Rows<'_, '_> {
    /// The next row that can be used; `None` after the last.
    ///
    /// # Errors
    ///
    /// See [`BadManifest`]; nothing comes after an error.
    #[expect(clippy::should_implement_trait, reason = "reading fails, and ends with that")]
    pub fn next(&mut self) -> Result<Option<Row>, BadManifest> {
        self.next_where(&|_, _| true)
    }

    /// The next row whose domain and path are `wanted`; the others are passed over and not counted.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_where(
        &mut self,
        wanted: &dyn Fn(&str, &str) -> bool,
    ) -> Result<Option<Row>, BadManifest> {
        loop {
            self.meter.check()?;
            self.meter.answer();
            let verdict = |error| self.meter.verdict(error);
            let Some(number) = self.numbers.next().map_err(verdict)? else {
                return Ok(None);
            };
            let number: i64 = number.get(0).map_err(verdict)?;
            let read = self.lookup.query_row([number], |row| {
                let mut len = 0;
                for column in 0..5 {
                    len += bytes(row.get_ref(column)?).map_or(0, <[u8]>::len);
                }
                Ok((read(row, wanted), len as u64))
            });
            let (row, len) = match read {
                Ok(read) => read,
                // Others may well be whole.
                Err(error) if is_of_one_row(&error) => (Read::Unusable, 0),
                Err(error) => return Err(verdict(error)),
            };
            self.values_left = self.values_left.checked_sub(len).ok_or(BadManifest::TooMuch)?;
            // A damaged table may have two rows of one number, which come in no order.
            match row {
                Read::Row(row) if self.within.holds(&row) && self.comes_next(&row) => {
                    self.tally.rows += 1;
                    return Ok(Some(row));
                }
                Read::Row(_) | Read::Unusable => self.tally.refused += 1,
                Read::Unwanted => {}
            }
        }
    }

    fn comes_next(&mut self, row: &Row) -> bool {
        let key = match self.order {
            Order::FileId => (String::new(), row.file_id.to_string().into_bytes()),
            Order::Name => (row.domain.clone(), row.relative_path.replace('/', "\0").into_bytes()),
        };
        let is_next = self.last.as_ref().is_none_or(|last| key > *last);
        if is_next {
            self.last = Some(key);
        }
        is_next
    }

    /// What came so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

/// What a number leads to.
enum Read {
    Row(Row),
    Unwanted,
    Unusable,
}

fn read(row: &rusqlite::Row<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Read {
    read_wanted(row, wanted).unwrap_or(Read::Unusable)
}

/// The row, if it is one: a blob where a text should be is read as the text.
fn read_wanted(row: &rusqlite::Row<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Option<Read> {
    let name = |column| {
        let bytes = bytes(row.get_ref(column).ok()?)?;
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= NAME_LEN_MAX);
        text.map(str::to_owned)
    };
    let file_id = FileId::parse(bytes(row.get_ref(0).ok()?)?)?;
    let (domain, relative_path) = (name(1)?, name(2)?);
    let kind = RowKind::of(row.get_ref(3).ok()?.as_i64().ok()?);
    if !wanted(&domain, &relative_path) {
        return Some(Read::Unwanted);
    }
    let record = bytes(row.get_ref(4).ok()?).map(<[u8]>::to_vec);
    Some(Read::Row(Row { file_id, domain, relative_path, kind, record }))
}

/// Whether the row is cut off, or longer than any can be.
fn is_of_one_row(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::TooBig))
        || matches!(error, rusqlite::Error::QueryReturnedNoRows)
}

/// The bytes of a text or a blob.
fn bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}
