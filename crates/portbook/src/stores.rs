//! What is done to a book as a whole, wherever it lies: made, brought to this program's schema, copied
//! to another place, and verified.

use std::time::Duration;

use portbook_model::{Actor, Batch, Policy, Recorded, Revision, Space, SpaceChange, Timestamp};
use portbook_sqlite::Creation;
use portbook_store::{CommitError, Filter, Reading, Store};

use crate::Error;
use crate::check::{Conflict, ConflictKind, conflicts};
use crate::open::{self, StoreAddress};
use crate::replay::Replays;

/// How long a copy waits for its turn at the book that it writes.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many commits, whoever waits is told how far the copy has come.
const STRIDE: usize = 64;

/// What was made of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// A new, empty book.
    Made,
    /// There was a book of this program's schema already.
    Stood,
}

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// The changes that the other book has now: all of the first one's.
    pub changes: u64,
    /// Those of them that an earlier copy had brought over.
    pub resumed_after: u64,
    /// The apps that hold ports, in all spaces.
    pub apps: usize,
}

/// What was found of a book where it lies.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// How far the book has come.
    pub revision: Revision,
    /// Its port spaces.
    pub spaces: Vec<Space>,
    /// Everything in which it contradicts itself.
    pub conflicts: Vec<Conflict>,
}

/// Makes a new, empty book at `address`.
pub fn prepare(address: &str) -> Result<Prepared, Error> {
    match address.parse()? {
        StoreAddress::Postgres(database) => match portbook_postgres::init(&database)? {
            true => Ok(Prepared::Made),
            false => Ok(Prepared::Stood),
        },
        StoreAddress::Etcd(cluster) => match portbook_etcd::init(&cluster)? {
            true => Ok(Prepared::Made),
            false => Ok(Prepared::Stood),
        },
        StoreAddress::Sqlite(path) => {
            let there = path.exists();
            open::store_made(address, Creation::Opening)?;
            match there {
                true => Ok(Prepared::Stood),
                false => Ok(Prepared::Made),
            }
        }
    }
}

/// What [`prepare`] would do at `address`, as SQL or as a command of etcd's own client; `None` where nothing
/// needs doing by hand.
pub fn preparation(address: &str) -> Result<Option<String>, Error> {
    match address.parse()? {
        StoreAddress::Postgres(_) => Ok(Some(portbook_postgres::init_statements())),
        StoreAddress::Etcd(cluster) => Ok(Some(portbook_etcd::init_command(&cluster)?)),
        StoreAddress::Sqlite(_) => Ok(None),
    }
}

/// Brings the book at `address` to this program's schema; `false` where it had that already.
pub fn bring_up_to_date(address: &str) -> Result<bool, Error> {
    match address.parse()? {
        StoreAddress::Postgres(database) => Ok(portbook_postgres::upgrade(&database)?),
        StoreAddress::Etcd(cluster) => Ok(portbook_etcd::upgrade(&cluster)?),
        // A file is brought there by whoever opens it.
        StoreAddress::Sqlite(_) => {
            open::store(address)?;
            Ok(false)
        }
    }
}

/// Copies the book at `from`, its history included, to the empty book at `to`, and verifies what lies
/// there then. A copy that broke off goes on where it stopped. `progress` is told of the changes that
/// are done, and of how many, and says whether to go on.
///
/// Each commit of the first book is one of the other's, with its name, time and author, so that the two
/// tell the same history by the same revisions.
pub fn copy(
    from: &str,
    to: &str,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Copied, Error> {
    let from = open::store_made(from, Creation::Never)?;
    let to = open::store(to)?;
    let mut source = from.read()?;
    let history = source.changes_since(Revision(0))?;
    let total = history.len() as u64;
    let done = tell_again(&history, &*to, progress)?;
    let mut target = to.read()?;
    let apps = compare(&mut *source, &mut *target, &to.location())?;
    Ok(Copied {
        changes: total,
        resumed_after: done as u64,
        apps,
    })
}

/// Writes a history into a book that is empty, or has the beginning of it already; how much that was.
pub(crate) fn tell_again(
    history: &[Recorded],
    to: &dyn Store,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<usize, Error> {
    let done = common_history(history, to)?;
    let total = history.len() as u64;
    for (count, commit) in history[done..]
        .chunk_by(|one, other| one.commit == other.commit)
        .enumerate()
    {
        if count % STRIDE == 0 && !progress(commit[0].revision.0 - 1, total) {
            return Err(Error::Interrupted);
        }
        write(commit, to)?;
    }
    Ok(done)
}

/// How many of the changes the other book has already. It may have none but these.
fn common_history(history: &[Recorded], to: &dyn Store) -> Result<usize, Error> {
    let there = to.read()?.changes_since(Revision(0))?;
    match history.starts_with(&there) {
        true => Ok(there.len()),
        false => Err(Error::TargetNotEmpty {
            location: to.location(),
            changes: there.len(),
        }),
    }
}

fn write(commit: &[Recorded], to: &dyn Store) -> Result<(), Error> {
    let first = &commit[0];
    let expected = Revision(first.revision.0 - 1);
    let batch = Batch {
        commit: first.commit,
        at: first.at,
        changes: commit
            .iter()
            .map(|recorded| SpaceChange {
                space: recorded.space.clone(),
                by: Actor::from(recorded.actor.as_str()),
                change: recorded.change.clone(),
            })
            .collect(),
    };
    let location = to.location();
    match to.turn(PATIENCE)?.commit(expected, &batch) {
        Ok(()) => Ok(()),
        Err(CommitError::Failed(error)) => Err(error.into()),
        // The next copy looks up how far this one has come.
        Err(CommitError::Unknown(reason)) => Err(Error::Unconfirmed { location, reason }),
        Err(error @ (CommitError::Stale | CommitError::Duplicate(_))) => Err(Error::CopyRefused {
            location,
            revision: first.revision,
            reason: error.to_string(),
        }),
    }
}

/// Compares what two books say of every space; how many apps they hold.
fn compare(one: &mut dyn Reading, other: &mut dyn Reading, location: &str) -> Result<usize, Error> {
    let differ = |what: String| Error::CopyDiffers {
        location: location.to_owned(),
        what,
    };
    let spaces = one.spaces()?;
    if spaces != other.spaces()? {
        return Err(differ("its spaces".to_owned()));
    }
    let (here, there) = (one.head()?, other.head()?);
    if (here.revision, here.changed_at) != (there.revision, there.changed_at) {
        return Err(differ("its revision".to_owned()));
    }
    let mut apps = 0;
    for space in spaces {
        let all = Filter {
            space: space.clone(),
            ..Filter::default()
        };
        let held = one.allocations(&all)?;
        if held != other.allocations(&all)? {
            return Err(differ(format!("the allocations of the space `{space}`")));
        }
        apps += held.len();
        let ever = Timestamp::from_millis(i64::MIN);
        let (here, there) = (one.space(&space, ever)?, other.space(&space, ever)?);
        let files = here.promises.files().eq(there.promises.files());
        if !files
            || here.taken != there.taken
            || here.pools != there.pools
            || here.rests != there.rests
        {
            return Err(differ(format!(
                "the promises, pools or rests of the space `{space}`"
            )));
        }
    }
    Ok(apps)
}

/// Checks every invariant of the book where it lies, in all of its spaces: its rows against each other,
/// against its keys and against its history.
pub fn verify(address: &str) -> Result<Verified, Error> {
    let store = open::store_made(address, Creation::Never)?;
    verify_reading(&mut *store.read()?)
}

/// Checks every invariant of a book at one moment.
pub(crate) fn verify_reading(reading: &mut dyn Reading) -> Result<Verified, Error> {
    let mut verified = Verified {
        revision: reading.head()?.revision,
        spaces: reading.spaces()?,
        conflicts: Vec::new(),
    };
    for space in &verified.spaces {
        let mut found = conflicts(
            reading,
            space,
            &Policy::default(),
            &Replays::default(),
            None,
            false,
        )?;
        found.retain(|conflict| {
            matches!(
                conflict.kind,
                ConflictKind::BookDamaged | ConflictKind::DuplicatePort
            )
        });
        verified.conflicts.extend(found);
    }
    Ok(verified)
}
