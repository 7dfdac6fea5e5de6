//! What the book says, read from the records under its keys.
//!
//! Nothing that lies there is trusted to be what this crate wrote: a record that no portbook writes is
//! [`StoreError::Damaged`], with the key that it lies under.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    Allocation, AppKey, AppNumber, AppRecord, CommitId, Model, Needs, Owner, Pool, Port,
    PromiseFile, Recorded, Rest, Revision, Space, SpaceBook, Timestamp,
};
use portbook_store::{Filter, HistoryFilter, StoreError};
use serde::de::DeserializeOwned;

use crate::keys::{self, Keys};
use crate::records::{AppRow, ChangesRecord, LeaseRow, ModelRow, PortRow, RestRow};
use crate::snapshot::Snapshot;

/// Who asks for an app often asks for the next ones, too: so many are read with it.
const AHEAD: usize = 32;

pub(crate) fn damaged(location: &str, key: &str, nonsense: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        location: location.to_owned(),
        reason: format!("the key {key}: {nonsense}"),
    }
}

impl Snapshot<'_> {
    pub(crate) fn record<T: DeserializeOwned>(
        &self,
        key: &str,
        value: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(value).map_err(|error| damaged(self.location(), key, &error))
    }

    /// The number at the end of a key.
    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, StoreError> {
        let digits = key.rsplit('/').next().unwrap_or_default();
        // `+5` would be a number to Rust.
        let parsed = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok());
        parsed
            .flatten()
            .ok_or_else(|| damaged(self.location(), key, &"it does not end in a number"))
    }

    fn port(&self, key: &str) -> Result<Port, StoreError> {
        let number: u64 = self.number(key)?;
        Port::try_from(number).map_err(|error| damaged(self.location(), key, &error))
    }

    pub(crate) fn app_record(&self, key: &str, value: &str) -> Result<AppRecord, StoreError> {
        let number: u32 = self.number(key)?;
        let number = AppNumber::new(number)
            .ok_or_else(|| damaged(self.location(), key, &"no app has this number"))?;
        let row: AppRow = self.record(key, value)?;
        let record = row.record(number);
        let identity = key.split('/').nth(2);
        let model = &record.app().model;
        match identity == Some(model.identity()) {
            true => Ok(record),
            false => Err(damaged(
                self.location(),
                key,
                &format!("it is an app of the model {model}"),
            )),
        }
    }

    pub(crate) fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, StoreError> {
        let Some(first) = after.0.checked_add(1) else {
            return Ok(Vec::new());
        };
        let keys = Keys::between(keys::change(Revision(first)), keys::after(keys::CHANGES));
        let mut changes = Vec::new();
        for (key, value) in self.scan(&keys)? {
            let recorded = self.recorded(&key, &value)?;
            changes.extend(
                recorded
                    .into_iter()
                    .filter(|change| change.revision > after),
            );
        }
        Ok(changes)
    }

    pub(crate) fn commit_at(&self, revision: Revision) -> Result<Option<CommitId>, StoreError> {
        // A stretch of changes lies under the number of its last one.
        let first = keys::change(revision);
        let Some(key) = self.first_key(&first, &keys::after(keys::CHANGES))? else {
            return Ok(None);
        };
        let Some(value) = self.get(&key)? else {
            return Ok(None);
        };
        let record: ChangesRecord = self.record(&key, &value)?;
        Ok((record.first <= revision).then_some(record.commit))
    }

    fn recorded(&self, key: &str, value: &str) -> Result<Vec<Recorded>, StoreError> {
        let record: ChangesRecord = self.record(key, value)?;
        let last: u64 = self.number(key)?;
        if record.first.0 + record.changes.len() as u64 != last + 1 {
            return Err(damaged(
                self.location(),
                key,
                &"it ends in another revision",
            ));
        }
        let recorded = (record.first.0..).zip(record.changes);
        let recorded = recorded.map(|(revision, change)| Recorded {
            revision: Revision(revision),
            commit: record.commit,
            at: record.at,
            actor: change.by,
            space: change.space,
            change: change.change,
        });
        Ok(recorded.collect())
    }

    pub(crate) fn space(
        &self,
        space: &Space,
        released_after: Timestamp,
    ) -> Result<SpaceBook, StoreError> {
        let mut book = SpaceBook::default();
        for key in self.scan_keys(&Keys::under(keys::ports(space)))? {
            book.taken.insert(self.port(&key)?);
        }
        for (key, value) in self.scan(&Keys::under(keys::promises(space)))? {
            book.promises.set(self.record::<PromiseFile>(&key, &value)?);
        }
        for (key, value) in self.scan(&Keys::under(keys::pools(space)))? {
            let pool: Pool = self.record(&key, &value)?;
            book.pools.insert(pool.name.clone(), pool);
        }
        for (key, value) in self.scan(&Keys::under(keys::rests(space)))? {
            let port = self.port(&key)?;
            let RestRow { since, by } = self.record(&key, &value)?;
            // What is held again rests no more; its last rest is left lying.
            if since > released_after && !book.taken.contains(port) {
                book.rests.insert(port, Rest { since, by });
            }
        }
        Ok(book)
    }

    pub(crate) fn load(
        &self,
        space: &Space,
        needs: &Needs,
        book: &mut SpaceBook,
    ) -> Result<(), StoreError> {
        let mut wanted = Vec::new();
        let mut first_of_model = BTreeMap::<&str, AppNumber>::new();
        for app in &needs.apps {
            wanted.push(keys::app(space, app));
            let first = first_of_model
                .entry(app.model.identity())
                .or_insert(app.number);
            *first = (*first).min(app.number);
            if !book.models.contains(&app.model) {
                wanted.push(keys::model(space, &app.model));
            }
        }
        let ahead = first_of_model.into_iter().map(|(identity, first)| {
            let model = keys::apps_of(space, identity);
            let start = format!("{model}{:010}", first.get());
            (Keys::between(start, keys::after(&model)), AHEAD)
        });
        let ahead: Vec<_> = ahead.collect();
        // Alone, an app and those that follow it are one question.
        let found_ahead = |key: &String| ahead.iter().any(|(keys, _)| keys.start == *key);
        let others: Vec<String> = wanted
            .iter()
            .filter(|key| !found_ahead(key))
            .cloned()
            .collect();
        self.learn(&others, &ahead)?;
        for app in &needs.apps {
            if let Some(record) = self.app(space, app)? {
                book.load(record);
            }
            if !book.models.contains(&app.model) {
                let key = keys::model(space, &app.model);
                if let Some(value) = self.get(&key)? {
                    book.models
                        .insert(self.record::<ModelRow>(&key, &value)?.model);
                }
            }
        }
        if needs.every_owner {
            for (key, value) in self.scan(&Keys::under(keys::ports(space)))? {
                book.owners
                    .insert(self.port(&key)?, self.owner(&key, &value)?);
            }
            return Ok(());
        }
        let owned: Vec<(Port, String)> = needs
            .owners
            .iter()
            .map(|port| (*port, keys::port(space, *port)))
            .collect();
        let wanted: Vec<String> = owned.iter().map(|(_, key)| key.clone()).collect();
        self.learn(&wanted, &[])?;
        for (port, key) in owned {
            if let Some(value) = self.get(&key)? {
                book.owners.insert(port, self.owner(&key, &value)?);
            }
        }
        Ok(())
    }

    fn owner(&self, key: &str, value: &str) -> Result<Owner, StoreError> {
        let PortRow { app, role } = self.record(key, value)?;
        Ok(Owner { app, role })
    }

    pub(crate) fn app(&self, space: &Space, app: &AppKey) -> Result<Option<AppRecord>, StoreError> {
        let key = keys::app(space, app);
        match self.get(&key)? {
            Some(value) => self.app_record(&key, &value).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn allocations(&self, filter: &Filter) -> Result<Vec<Allocation>, StoreError> {
        let keys = match filter.only_identity() {
            Some(identity) => keys::apps_of(&filter.space, &identity),
            None => keys::apps(&filter.space),
        };
        let mut held = Vec::new();
        for (key, value) in self.scan(&Keys::under(keys))? {
            if let AppRecord::Held(allocation) = self.app_record(&key, &value)?
                && filter.means(&allocation.app)
            {
                held.push(allocation);
            }
        }
        // The keys are nearly in this order: `-` and `.` come before the `/` that ends an identity.
        held.sort_by(|one, other| one.app.cmp(&other.app));
        Ok(held)
    }

    /// The apps whose lease ended at or before `now`, where `first` is the key of the first lease.
    pub(crate) fn lapsed(
        &self,
        now: Timestamp,
        first: Option<&str>,
    ) -> Result<Vec<(Space, AppKey)>, StoreError> {
        let end = keys::after(&keys::leases_at(now));
        if !self.is_staged() && first.is_none_or(|first| first >= end.as_str()) {
            return Ok(Vec::new());
        }
        let mut lapsed = Vec::new();
        for (key, value) in self.scan(&Keys::between(keys::LEASES, end))? {
            let LeaseRow { space, app } = self.record(&key, &value)?;
            lapsed.push((space, app));
        }
        Ok(lapsed)
    }

    pub(crate) fn history(&self, filter: &HistoryFilter) -> Result<Vec<Recorded>, StoreError> {
        /// So many stretches of changes are read at once, from the newest back.
        const PAGE: usize = 500;
        let of = &filter.of;
        let everything = of.models.is_none() && of.number.is_none();
        let wanted = filter.last.unwrap_or(usize::MAX);
        let limit = wanted.clamp(1, PAGE);
        let mut before = keys::after(keys::CHANGES);
        let mut recorded: Vec<Recorded> = Vec::new();
        while recorded.len() < wanted {
            let keys = Keys::between(keys::CHANGES, before);
            let (rows, more) = self.last(&keys, limit)?;
            let Some(oldest) = rows.last() else { break };
            before = oldest.key.clone();
            for row in &rows {
                let changes = self.recorded(&row.key, &row.value)?;
                let meant = changes.into_iter().rev().filter(|recorded| {
                    let app = recorded.change.app();
                    recorded.space == of.space && app.map_or(everything, |app| of.means(app))
                });
                recorded.extend(meant.take(wanted - recorded.len()));
            }
            if !more {
                break;
            }
        }
        recorded.reverse();
        Ok(recorded)
    }

    /// Looks from space to space: what lies in them is not read.
    pub(crate) fn spaces(&self) -> Result<Vec<Space>, StoreError> {
        let mut spaces = BTreeSet::new();
        for kind in ["apps/", "ports/", "promises/", "pools/"] {
            let mut start = kind.to_owned();
            let end = keys::after(kind);
            while let Some(key) = self.first_key(&start, &end)? {
                let name = key[kind.len()..].split('/').next().unwrap_or_default();
                let space =
                    Space::new(name).map_err(|error| damaged(self.location(), &key, &error))?;
                start = keys::after(&format!("{kind}{space}/"));
                spaces.insert(space);
            }
        }
        Ok(spaces.into_iter().collect())
    }

    pub(crate) fn models(&self, space: &Space) -> Result<Vec<Model>, StoreError> {
        let mut models = Vec::new();
        for (key, value) in self.scan(&Keys::under(keys::models(space)))? {
            models.push(self.record::<ModelRow>(&key, &value)?);
        }
        models.sort_by_key(|row| row.since);
        Ok(models.into_iter().map(|row| row.model).collect())
    }
}
