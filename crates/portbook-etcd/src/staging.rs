//! Commits that are too large for one transaction of etcd's.
//!
//! First everything that the commit writes is laid down in parts under `staged/COMMIT/`, where nobody
//! looks. Then one transaction moves the head on and has it name the commit: by that the commit has
//! happened, and whoever reads the book lays the parts over what they find. At last the parts are carried
//! to their own keys, by whoever comes next if need be; to do that twice does no harm.

use std::collections::BTreeMap;

use portbook_model::CommitId;

use crate::client::{Client, Condition, Question, Write};
use crate::creation;
use crate::error::Failure;
use crate::keys::{self, Keys};
use crate::records::{HeadRecord, StagedPart};

/// etcd takes 128 operations and 1.5 MiB in a transaction, unless it is told otherwise.
pub(crate) const MOST_OPERATIONS: usize = 120;
pub(crate) const MOST_BYTES: usize = 1024 * 1024;
/// What a part may have: it is written once as one value, and once as what it says.
const PART_OPERATIONS: usize = 100;
const PART_BYTES: usize = 512 * 1024;

/// What a commit writes.
pub(crate) type Writes = BTreeMap<String, Option<String>>;

pub(crate) fn writes(of: &Writes) -> Vec<Write> {
    let write = |(key, value): (&String, &Option<String>)| match value {
        Some(value) => Write::Put(key.clone(), value.clone()),
        None => Write::Delete(Keys::one(key.as_str())),
    };
    of.iter().map(write).collect()
}

pub(crate) fn size(writes: &Writes) -> usize {
    let size = |(key, value): (&String, &Option<String>)| {
        key.len() + value.as_ref().map_or(0, String::len)
    };
    writes.iter().map(size).sum()
}

/// Lays the parts down. Nothing has happened by that.
pub(crate) fn stage(client: &Client, commit: CommitId, writes: &Writes) -> Result<(), Failure> {
    let mut parts: Vec<StagedPart> = vec![Vec::new()];
    let mut bytes = 0;
    for (key, value) in writes {
        let length = key.len() + value.as_ref().map_or(0, String::len);
        let is_full = |part: &StagedPart| {
            part.len() >= PART_OPERATIONS || (bytes + length > PART_BYTES && !part.is_empty())
        };
        if parts.last().is_some_and(is_full) {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += length;
        if let Some(part) = parts.last_mut() {
            part.push((key.clone(), value.clone()));
        }
    }
    for (number, part) in parts.iter().enumerate() {
        let value = serde_json::to_string(part)
            .map_err(|error| Failure::Refused(format!("it cannot be written: {error}")))?;
        let put = Write::Put(keys::staged_part(commit, number), value);
        client.change_surely(&[], &[put], &[])?;
    }
    Ok(())
}

/// On this, a commit whose parts somebody has cleared away does not happen.
pub(crate) fn is_laid_down(commit: CommitId) -> Condition {
    Condition::There(keys::staged_part(commit, 0))
}

/// Clears away what writers have left that came to nothing, while the head stays as it is.
pub(crate) fn clear(client: &Client, head_changed: i64) -> Result<(), Failure> {
    let there = Question {
        limit: 1,
        only_keys: true,
        ..Question::all(Keys::under(keys::STAGED))
    };
    let (_, found) = client.ask(&[there], None)?;
    if found.iter().any(|found| !found.rows.is_empty()) {
        let unchanged = Condition::Unchanged(keys::HEAD.to_owned(), head_changed);
        let all = Write::Delete(Keys::under(keys::STAGED));
        client.change_surely(&[unchanged], &[all], &[])?;
    }
    Ok(())
}

/// What the commit will leave, by its parts at this revision of etcd's.
pub(crate) fn read(client: &Client, commit: CommitId, at: i64) -> Result<Writes, Failure> {
    let mut laid_down = Writes::new();
    for part in parts(client, commit, at)? {
        laid_down.extend(part);
    }
    Ok(laid_down)
}

fn parts(client: &Client, commit: CommitId, at: i64) -> Result<Vec<StagedPart>, Failure> {
    let mut parts = Vec::new();
    // One by one: each is as large as a request may be.
    for number in 0.. {
        let question = Question::all(Keys::one(keys::staged_part(commit, number)));
        let (_, found) = client.ask(&[question], Some(at))?;
        let Some(row) = found.into_iter().flat_map(|found| found.rows).next() else {
            break;
        };
        let part: StagedPart = serde_json::from_str(&row.value).map_err(|error| {
            Failure::Refused(format!("the key {} makes no sense: {error}", row.key))
        })?;
        parts.push(part);
    }
    Ok(parts)
}

/// Carries the parts of the commit that the head names to their own keys. Where another does so at the
/// same time, that is as good.
pub(crate) fn carry_out(
    client: &Client,
    head: &HeadRecord,
    head_changed: i64,
    commit: CommitId,
    at: i64,
) -> Result<(), Failure> {
    let unchanged = [Condition::Unchanged(keys::HEAD.to_owned(), head_changed)];
    for part in parts(client, commit, at)? {
        let part: Writes = part.into_iter().collect();
        let carried = client.change_surely(&unchanged, &writes(&part), &[])?;
        if !carried.succeeded {
            return Ok(());
        }
    }
    let done = HeadRecord {
        staged: None,
        ..head.clone()
    };
    let ended = [
        Write::Put(keys::HEAD.to_owned(), creation::text(&done)?),
        Write::Delete(Keys::under(keys::staged(commit))),
    ];
    client.change_surely(&unchanged, &ended, &[])?;
    Ok(())
}
