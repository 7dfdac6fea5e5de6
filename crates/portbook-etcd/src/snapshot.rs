//! The book at one revision of etcd's.
//!
//! etcd keeps its past, so whatever is read at one revision belongs together, however many requests that
//! takes. Where a commit is being carried out in parts, what it will leave is laid over what is there.
//!
//! What was read is kept, and outlasts the reading for as long as the head stays as it was: nothing
//! changes without it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use portbook_store::StoreError;

use crate::client::{Client, Found, Order, Question, Row};
use crate::error::Failure;
use crate::keys::Keys;

/// So many keys are asked for at once: etcd takes 128 operations in a transaction.
const QUESTIONS: usize = 120;
/// So many rows are read at once.
const PAGE: usize = 1000;

/// What lies under keys, as far as it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    rows: BTreeMap<String, Option<String>>,
    /// Stretches of which every row is known: where they begin, and the first key after them.
    stretches: BTreeMap<String, String>,
}

impl Known {
    /// What lies there, if that is known.
    pub(crate) fn get(&self, key: &str) -> Option<Option<&str>> {
        if let Some(value) = self.rows.get(key) {
            return Some(value.as_deref());
        }
        let (_, end) = self.stretches.range(..=key.to_owned()).next_back()?;
        (key < end.as_str()).then_some(None)
    }

    /// Follows a commit.
    pub(crate) fn apply(&mut self, writes: BTreeMap<String, Option<String>>) {
        self.rows.extend(writes);
    }
}

pub(crate) struct Snapshot<'a> {
    client: &'a Client,
    location: &'a str,
    revision: i64,
    /// What a commit that is being carried out will leave.
    staged: BTreeMap<String, Option<String>>,
    known: RefCell<Known>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(
        client: &'a Client,
        location: &'a str,
        revision: i64,
        staged: BTreeMap<String, Option<String>>,
        known: Known,
    ) -> Self {
        Self {
            client,
            location,
            revision,
            staged,
            known: RefCell::new(known),
        }
    }

    pub(crate) fn location(&self) -> &'a str {
        self.location
    }

    /// Whether a commit is being carried out.
    pub(crate) fn is_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    pub(crate) fn take_known(&self) -> Known {
        self.known.take()
    }

    /// What lies under the key, if that is known without asking.
    pub(crate) fn known(&self, key: &str) -> Option<Option<String>> {
        if let Some(value) = self.staged.get(key) {
            return Some(value.clone());
        }
        let known = self.known.borrow();
        known.get(key).map(|value| value.map(str::to_owned))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.learn(&[key.to_owned()], &[])?;
        Ok(self.known(key).flatten())
    }

    /// Reads, with as few requests as it takes, these keys, and up to so many rows from the beginning of
    /// each of these stretches. What is known already is not read again.
    pub(crate) fn learn(
        &self,
        keys: &[String],
        stretches: &[(Keys, usize)],
    ) -> Result<(), StoreError> {
        let unknown = keys.iter().filter(|key| self.known(key).is_none());
        let mut questions: Vec<Question> = unknown
            .map(|key| Question::all(Keys::one(key.as_str())))
            .collect();
        let unknown = stretches
            .iter()
            .filter(|(keys, _)| self.known(&keys.start).is_none());
        questions.extend(unknown.map(|(keys, limit)| Question {
            limit: *limit,
            ..Question::all(keys.clone())
        }));
        for questions in questions.chunks(QUESTIONS) {
            let found = self.ask(questions)?;
            let mut known = self.known.borrow_mut();
            for (question, found) in questions.iter().zip(found) {
                match (&question.keys.end, found.more, found.rows.last()) {
                    (None, ..) if found.rows.is_empty() => {
                        known.rows.insert(question.keys.start.clone(), None);
                    }
                    (None, ..) => {}
                    (Some(end), false, _) | (Some(end), true, None) => {
                        let start = question.keys.start.clone();
                        known.stretches.insert(start, end.clone());
                    }
                    (Some(_), true, Some(last)) => {
                        let start = question.keys.start.clone();
                        known.stretches.insert(start, last.key.clone());
                    }
                }
                let rows = found.rows.into_iter();
                known
                    .rows
                    .extend(rows.map(|row| (row.key, Some(row.value))));
            }
        }
        Ok(())
    }

    /// Every row of these, in the order of their keys. They are not kept.
    pub(crate) fn scan(&self, keys: &Keys) -> Result<BTreeMap<String, String>, StoreError> {
        self.pages(keys, false)
    }

    /// Every key of these that there is.
    pub(crate) fn scan_keys(&self, keys: &Keys) -> Result<Vec<String>, StoreError> {
        Ok(self.pages(keys, true)?.into_keys().collect())
    }

    fn pages(&self, keys: &Keys, only_keys: bool) -> Result<BTreeMap<String, String>, StoreError> {
        let mut rows = BTreeMap::new();
        let mut page = Question {
            limit: PAGE,
            only_keys,
            ..Question::all(keys.clone())
        };
        loop {
            let found = self.one_page(&mut page)?;
            if let Some(last) = found.rows.last() {
                // The next key after it.
                page.keys.start = format!("{}\0", last.key);
            }
            let more = found.more;
            rows.extend(found.rows.into_iter().map(|row| (row.key, row.value)));
            if !more {
                break;
            }
        }
        for (key, value) in self.staged.iter().filter(|(key, _)| keys.holds(key)) {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows)
    }

    /// Some of these rows, from the last key backwards: at most `limit`, and more if a commit is being
    /// carried out. Whether there may be more is told.
    pub(crate) fn last(&self, keys: &Keys, limit: usize) -> Result<(Vec<Row>, bool), StoreError> {
        let mut page = Question {
            limit,
            order: Order::LastKeyFirst,
            ..Question::all(keys.clone())
        };
        let found = self.one_page(&mut page)?;
        let staged = self.staged.iter().rev().filter(|(key, _)| keys.holds(key));
        let staged = staged.filter_map(|(key, value)| {
            Some(Row {
                key: key.clone(),
                value: value.clone()?,
                created: 0,
                changed: 0,
            })
        });
        // Changes are only ever added, after all others.
        let is_new = |row: &Row| found.rows.iter().all(|other| other.key != row.key);
        let mut rows: Vec<Row> = staged.filter(is_new).collect();
        rows.extend(found.rows.clone());
        Ok((rows, found.more))
    }

    /// The first key at or after `start`, and before `end`.
    pub(crate) fn first_key(&self, start: &str, end: &str) -> Result<Option<String>, StoreError> {
        let keys = Keys::between(start, end);
        let question = Question {
            limit: 1,
            only_keys: true,
            ..Question::all(keys.clone())
        };
        let found = self.ask(&[question])?;
        let rows = found.into_iter().flat_map(|found| found.rows);
        let there = rows.map(|row| row.key).next();
        let mut staged = self.staged.iter();
        let staged = staged.find(|(key, value)| keys.holds(key) && value.is_some());
        Ok(there
            .into_iter()
            .chain(staged.map(|(key, _)| key.clone()))
            .min())
    }

    /// Halves the page until it is one that etcd's gateway carries.
    fn one_page(&self, page: &mut Question) -> Result<Found, StoreError> {
        loop {
            let failure = match self
                .client
                .ask(std::slice::from_ref(page), Some(self.revision))
            {
                Ok((_, found)) => return Ok(found.into_iter().next().unwrap_or_default()),
                Err(failure) => failure,
            };
            match failure {
                Failure::Refused(reason)
                    if reason.contains("larger than max") && page.limit > 1 =>
                {
                    page.limit /= 2;
                }
                other => return Err(other.for_book(self.location)),
            }
        }
    }

    fn ask(&self, questions: &[Question]) -> Result<Vec<Found>, StoreError> {
        let asked = self.client.ask(questions, Some(self.revision));
        let (_, found) = asked.map_err(|failure| failure.for_book(self.location))?;
        Ok(found)
    }
}
