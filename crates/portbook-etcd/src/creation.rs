//! The head: how a new book gets one, and how it is read.

use portbook_model::{BookId, Revision, Timestamp};
use portbook_store::StoreError;

use crate::address::Address;
use crate::client::{Client, Condition, Question, Row, Write};
use crate::error::Failure;
use crate::keys::{self, Keys};
use crate::reading::damaged;
use crate::records::HeadRecord;

/// The layout of keys that this program writes.
pub(crate) const SCHEMA: i64 = 1;

/// The head, and the revision of etcd's at which it was last written.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) head: HeadRecord,
    pub(crate) changed: i64,
}

/// Makes a new, empty book; `false` where there was one already.
pub fn init(address: &Address) -> Result<bool, StoreError> {
    let location = address.to_string();
    let failed = |failure: Failure| failure.for_book(&location);
    let client = Client::new(address.clone()).map_err(failed)?;
    let head = text(&new_head()).map_err(failed)?;
    let made = client.change_surely(
        &[Condition::Absent(Keys::one(keys::HEAD))],
        &[Write::Put(keys::HEAD.to_owned(), head.clone())],
        &[Question::all(Keys::one(keys::HEAD))],
    );
    let made = made.map_err(failed)?;
    if made.succeeded {
        return Ok(true);
    }
    let row = made.found.into_iter().flat_map(|found| found.rows).next();
    // When the first answer was lost, the book that is there is this one.
    let is_ours = row.as_ref().is_some_and(|row| row.value == head);
    found(row, &location)?;
    Ok(is_ours)
}

/// What [`init`] does, for whoever does it by hand.
pub fn init_command(address: &Address) -> Result<String, StoreError> {
    let location = address.to_string();
    let head = text(&new_head()).map_err(|failure| failure.for_book(&location))?;
    Ok(format!(
        "etcdctl put '{}/{}' '{head}'",
        address.prefix.replace('\'', "'\\''"),
        keys::HEAD
    ))
}

/// Brings the book to this program's schema; `false` where it had that already.
pub fn upgrade(address: &Address) -> Result<bool, StoreError> {
    let location = address.to_string();
    let failed = |failure: Failure| failure.for_book(&location);
    let client = Client::new(address.clone()).map_err(failed)?;
    let question = Question::all(Keys::one(keys::HEAD));
    let (_, answer) = client.ask(&[question], None).map_err(failed)?;
    let row = answer.into_iter().flat_map(|found| found.rows).next();
    found(row, &location)?;
    Ok(false)
}

fn new_head() -> HeadRecord {
    let mut name = [0; 16];
    // Before the kernel has gathered randomness, time and process are distinct enough.
    if rustix::rand::getrandom(&mut name, rustix::rand::GetRandomFlags::empty()) != Ok(name.len()) {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let time = since.map_or(0, |time| time.as_nanos());
        name = (time ^ (u128::from(std::process::id()) << 96)).to_le_bytes();
    }
    HeadRecord {
        schema: SCHEMA,
        book: BookId(name.iter().map(|byte| format!("{byte:02x}")).collect()),
        revision: Revision(0),
        changed_at: Timestamp::EPOCH,
        staged: None,
    }
}

pub(crate) fn text(head: &HeadRecord) -> Result<String, Failure> {
    serde_json::to_string(head)
        .map_err(|error| Failure::Refused(format!("it cannot be written: {error}")))
}

/// The head of the book that has to be there, and that this program has to know.
pub(crate) fn found(row: Option<Row>, location: &str) -> Result<Found, StoreError> {
    let row = row.ok_or_else(|| StoreError::NotABook {
        location: location.to_owned(),
        reason: format!(
            "its keys are not there: `portbook store init --store {location}` makes them"
        ),
    })?;
    let nonsense = |error: &dyn std::fmt::Display| damaged(location, keys::HEAD, error);
    let any: serde_json::Value =
        serde_json::from_str(&row.value).map_err(|error| nonsense(&error))?;
    let schema = any.get("schema").and_then(serde_json::Value::as_i64);
    match schema {
        Some(schema) if schema > SCHEMA => {
            return Err(StoreError::TooNew {
                location: location.to_owned(),
                found: schema,
                known: SCHEMA,
            });
        }
        Some(SCHEMA) => {}
        _ => return Err(nonsense(&"it has no schema that there ever was")),
    }
    Ok(Found {
        head: serde_json::from_value(any).map_err(|error| nonsense(&error))?,
        changed: row.changed,
    })
}
