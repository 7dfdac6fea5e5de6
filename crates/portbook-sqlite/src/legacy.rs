//! Reading the databases of the service that portbook replaces.
//!
//! That was a Python program with SQLAlchemy on SQLite. Its rows are handed over as they lie, since
//! what they say may be wrong: whoever imports them judges each one and tells which it refused.

use std::fmt::Write;
use std::path::Path;

use portbook_model::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use crate::error::{BUSY_TIMEOUT, plain};
use crate::schema::APPLICATION_ID;

/// The table of the old service's allocations. Its other columns are of no use here: `is_available`
/// was never anything but true, and `metadata_json` says nothing that the ports don't.
const TABLE: &str = "port_configurations";

/// The columns without which there is nothing to import.
const COLUMNS: [&str; 4] = ["model", "app_num", "backend_port", "frontend_port"];

/// One row of an old database, unchecked.
///
/// Numbers are text here, as SQLite's columns may hold either; what is NULL is empty, and so is
/// refused by whatever parses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyRow {
    /// The row's number in the old database, for messages.
    pub row: i64,
    /// The model.
    pub model: String,
    /// The app's number.
    pub app_num: String,
    /// The backend's port.
    pub backend: String,
    /// The frontend's port.
    pub frontend: String,
    /// When the allocation came to be, where the row says so in a way that can be read. The old
    /// service wrote UTC without saying so.
    pub created_at: Option<Timestamp>,
}

/// Why an old database cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    /// It cannot be opened.
    #[error("{path} cannot be opened: {reason}")]
    Unreachable {
        /// The file.
        path: String,
        /// What stood in the way.
        reason: String,
    },
    /// It is no SQLite database.
    #[error("{path} is not an SQLite database")]
    NotSqlite {
        /// The file.
        path: String,
    },
    /// It is one of portbook's books.
    #[error("{path} is a portbook book, not a database of the former service")]
    OwnBook {
        /// The file.
        path: String,
    },
    /// The table is not there.
    #[error("{path} has no table {TABLE}, so it is not a database of the former service")]
    NoTable {
        /// The file.
        path: String,
    },
    /// The table lacks a column.
    #[error("the table {TABLE} of {path} has no column {column}")]
    NoColumn {
        /// The file.
        path: String,
        /// The column.
        column: &'static str,
    },
    /// Reading failed.
    #[error("{path} cannot be read: {reason}")]
    Failed {
        /// The file.
        path: String,
        /// What SQLite said.
        reason: String,
    },
}

/// The rows of an old database, in the order in which it got them. Nothing is written to it.
pub fn read_legacy(path: &Path) -> Result<Vec<LegacyRow>, LegacyError> {
    let file = File {
        path: path.display().to_string(),
    };
    let sqlite = file.open(path)?;
    file.check_columns(&sqlite)?;
    file.rows(&sqlite)
}

/// The database's name, for errors.
struct File {
    path: String,
}

impl File {
    fn open(&self, path: &Path) -> Result<Connection, LegacyError> {
        let unreachable = |reason: String| LegacyError::Unreachable {
            path: self.path.clone(),
            reason,
        };
        let metadata = std::fs::metadata(path).map_err(|error| unreachable(error.to_string()))?;
        if !metadata.is_file() {
            return Err(unreachable("it is no regular file".to_owned()));
        }
        // SQLite takes a name that begins with `file:` for a URI, but no absolute path begins so.
        let absolute = std::path::absolute(path).map_err(|error| unreachable(error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connect = || -> rusqlite::Result<(Connection, i64)> {
            let sqlite = Connection::open_with_flags(absolute, flags)?;
            sqlite.busy_timeout(BUSY_TIMEOUT)?;
            let id: i64 = sqlite.query_row("PRAGMA application_id", [], |row| row.get(0))?;
            Ok((sqlite, id))
        };
        match connect() {
            Ok((_, APPLICATION_ID)) => Err(LegacyError::OwnBook {
                path: self.path.clone(),
            }),
            Ok((sqlite, _)) => Ok(sqlite),
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn check_columns(&self, sqlite: &Connection) -> Result<(), LegacyError> {
        let names = self.columns(sqlite)?;
        if names.is_empty() {
            return Err(LegacyError::NoTable {
                path: self.path.clone(),
            });
        }
        match COLUMNS.into_iter().find(|column| !has(&names, column)) {
            None => Ok(()),
            Some(column) => Err(LegacyError::NoColumn {
                path: self.path.clone(),
                column,
            }),
        }
    }

    fn columns(&self, sqlite: &Connection) -> Result<Vec<String>, LegacyError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            sqlite
                .prepare("SELECT name FROM pragma_table_info(?1)")?
                .query_map([TABLE], |row| row.get(0))?
                .collect()
        };
        read().map_err(|error| self.failure(&error))
    }

    fn rows(&self, sqlite: &Connection) -> Result<Vec<LegacyRow>, LegacyError> {
        let created_at = match has(&self.columns(sqlite)?, "created_at") {
            true => "created_at",
            false => "NULL",
        };
        let select =
            format!("model, app_num, backend_port, frontend_port, {created_at} FROM {TABLE}");
        let read = || -> rusqlite::Result<Vec<LegacyRow>> {
            // A table made WITHOUT ROWID, and a view, has rows in an order of its own.
            let by_number = sqlite.prepare(&format!("SELECT rowid, {select} ORDER BY rowid"));
            let mut statement = match by_number {
                Ok(statement) => statement,
                Err(_) => sqlite.prepare(&format!("SELECT row_number() OVER (), {select}"))?,
            };
            statement.query_map([], legacy_row)?.collect()
        };
        read().map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &rusqlite::Error) -> LegacyError {
        let path = self.path.clone();
        let reason = plain(error);
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => LegacyError::NotSqlite { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                LegacyError::Unreachable { path, reason }
            }
            _ => LegacyError::Failed { path, reason },
        }
    }
}

/// SQLite's names of columns don't differ by the case of their letters.
fn has(names: &[String], column: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(column))
}

fn legacy_row(row: &Row<'_>) -> rusqlite::Result<LegacyRow> {
    Ok(LegacyRow {
        row: row.get(0)?,
        model: text(row.get_ref(1)?),
        app_num: text(row.get_ref(2)?),
        backend: text(row.get_ref(3)?),
        frontend: text(row.get_ref(4)?),
        created_at: time(&text(row.get_ref(5)?)),
    })
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        // A whole number that went through a column of another type.
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().fold("x".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

/// A time as SQLAlchemy writes it, `2026-01-31 12:00:00.000000`, or in one of ISO 8601's forms.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    [
        text.to_owned(),
        format!("{text}Z"),
        format!("{text}T00:00:00Z"),
    ]
    .iter()
    .find_map(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        let noon = "2026-01-31T12:00:00Z".parse().ok();
        for written in [
            "2026-01-31 12:00:00",
            "2026-01-31 12:00:00.000000",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00Z",
            "2026-01-31 12:00:00.000123Z",
            "2026-01-31T14:00:00+02:00",
        ] {
            assert_eq!(time(written), noon, "{written}");
        }
        assert_eq!(time("2026-01-31"), "2026-01-31T00:00:00Z".parse().ok());
        for nonsense in ["", "yesterday", "1769860800", "2026-13-31 12:00:00"] {
            assert_eq!(time(nonsense), None, "{nonsense}");
        }
    }
}
