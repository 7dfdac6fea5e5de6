//! What the book costs beside what SQLite costs: `cargo run --release --example floor [FOLDER]`.
//!
//! The floor is one plain INSERT a transaction, on a database with the same settings, in the same
//! run and in turns with what is measured, so that a disk that slows down does so for both.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use portbook_model::{
    AllocationRequest, AppKey, AppNumber, Ask, Batch, Book, Change, Command, CommitId, Model,
    Needs, Policy, PromiseFile, Space, SpaceBook, SpaceChange, Timestamp, UncheckedHost, plan,
};
use portbook_sqlite::{Options, SqliteStore};
use portbook_store::Store;
use rusqlite::{Connection, params};

type Outcome<T> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Outcome<()> {
    let folder = match std::env::args_os().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    one_caller(folder.path())?;
    batches(folder.path())?;
    reading(folder.path())?;
    contenders(folder.path())
}

/// A process that keeps the book in memory, as the service does, and gives out one pair a commit.
struct Caller {
    store: SqliteStore,
    known: SpaceBook,
    model: Model,
    given: u32,
}

impl Caller {
    fn new(path: &Path, model: &str) -> Outcome<Self> {
        let store = SqliteStore::open(path, Options::default())?;
        let known = store.read()?.space(&Space::default(), Timestamp::EPOCH)?;
        Ok(Self {
            store,
            known,
            model: Model::new(model)?,
            given: 0,
        })
    }

    fn next_app(&mut self) -> Outcome<Command> {
        self.given += 1;
        let number = AppNumber::new(self.given).ok_or("too many apps")?;
        let app = AppKey::new(self.model.clone(), number);
        Ok(Command::new(
            Space::default(),
            Ask::Allocate(AllocationRequest::plain(vec![app])),
        ))
    }

    /// Gives out as many pairs in one commit.
    fn allocate(&mut self, pairs: usize, policy: &Policy) -> Outcome<()> {
        let commands = (0..pairs)
            .map(|_| self.next_app())
            .collect::<Outcome<Vec<_>>>()?;
        let mut turn = self.store.turn(PATIENCE)?;
        let mut book = Book::new(turn.head()?);
        let mut known = std::mem::take(&mut self.known);
        for (space, needs) in Needs::of(&commands) {
            known.forget_loaded();
            turn.load(&space, &needs, &mut known)?;
        }
        book.spaces.insert(Space::default(), known);
        let now = book.clock(Timestamp::from(std::time::SystemTime::now()));
        let planned = plan(&mut book, &commands, &UncheckedHost, policy, now);
        if planned.changes.len() != pairs {
            return Err("not every app got its ports".into());
        }
        let batch = Batch {
            commit: CommitId(u128::from(self.given).to_be_bytes()),
            at: now,
            changes: planned.changes,
        };
        turn.commit(book.head.revision, &batch)?;
        self.known = book.spaces.remove(&Space::default()).unwrap_or_default();
        Ok(())
    }
}

fn one_caller(folder: &Path) -> Outcome<()> {
    const COMMITS: u32 = 200;
    const ROUNDS: u32 = 10;
    let plain = Connection::open(folder.join("plain.db"))?;
    plain.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)",
    )?;
    let mut insert = plain.prepare("INSERT INTO t (text) VALUES (?1)")?;
    let mut caller = Caller::new(&folder.join("one.db"), "openai_gpt-4")?;
    let policy = Policy::default();
    let (mut floor, mut ours) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..COMMITS {
            insert.execute(params!["a row of some forty characters' length.."])?;
        }
        floor += began.elapsed();
        let began = Instant::now();
        for _ in 0..COMMITS {
            caller.allocate(1, &policy)?;
        }
        ours += began.elapsed();
    }
    let each = |spent: Duration| spent / (COMMITS * ROUNDS);
    println!(
        "one caller: {:?} an allocation, {:?} a plain INSERT: {:.2} of the floor's rate",
        each(ours),
        each(floor),
        floor.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

fn batches(folder: &Path) -> Outcome<()> {
    const BATCHES: u32 = 200;
    const PAIRS: u32 = 64;
    let mut caller = Caller::new(&folder.join("batches.db"), "openai_gpt-4")?;
    let policy = Policy::default();
    let began = Instant::now();
    for _ in 0..BATCHES {
        caller.allocate(PAIRS as usize, &policy)?;
    }
    let spent = began.elapsed();
    println!(
        "batches of {PAIRS}: {:?} a commit, {:?} an allocation",
        spent / BATCHES,
        spent / (BATCHES * PAIRS)
    );
    Ok(())
}

/// The book that the batches left has 12,800 apps; another 1,200 and it has 28,000 ports.
fn reading(folder: &Path) -> Outcome<()> {
    const TIMES: u32 = 50;
    let full = folder.join("batches.db");
    let mut caller = Caller::new(&full, "openai_gpt-5")?;
    caller.allocate(1_200, &Policy::default())?;
    drop(caller);
    SqliteStore::open(&folder.join("empty.db"), Options::default())?;
    for name in ["empty.db", "batches.db"] {
        let path = folder.join(name);
        let began = Instant::now();
        for _ in 0..TIMES {
            let store = SqliteStore::open(&path, Options::default())?;
            store.read()?.head()?;
        }
        let ours = began.elapsed() / TIMES;
        let began = Instant::now();
        for _ in 0..TIMES {
            let plain = Connection::open(&path)?;
            let sql = "SELECT max(revision) FROM changes";
            plain.query_row(sql, [], |row| row.get::<_, i64>(0))?;
        }
        let floor = began.elapsed() / TIMES;
        println!("{name}: open, SELECT, close: {ours:?}, by SQLite alone {floor:?}");
        let mut loading = Duration::ZERO;
        let mut ports = 0;
        for _ in 0..TIMES {
            let store = SqliteStore::open(&path, Options::default())?;
            let mut reading = store.read()?;
            let began = Instant::now();
            ports = reading
                .space(&Space::default(), Timestamp::EPOCH)?
                .taken
                .count();
            loading += began.elapsed();
        }
        println!(
            "{name}: the space of {ports} ports, cold: {:?}",
            loading / TIMES
        );
    }
    Ok(())
}

/// Threads stand for processes here: each has a store of its own, and `flock` tells no difference.
fn contenders(folder: &Path) -> Outcome<()> {
    const CONTENDERS: u32 = 8;
    let path = folder.join("contended.db");
    SqliteStore::open(&path, Options::default())?;
    let until = Instant::now() + Duration::from_secs(3);
    let contend = |number: u32| -> Result<(u32, Duration), String> {
        let run = || -> Outcome<(u32, Duration)> {
            let store = SqliteStore::open(&path, Options::default())?;
            let (mut commits, mut worst) = (0, Duration::ZERO);
            while Instant::now() < until {
                let began = Instant::now();
                let mut turn = store.turn(PATIENCE)?;
                worst = worst.max(began.elapsed());
                let head = turn.head()?;
                let file = PromiseFile {
                    source: format!("/{number}.json"),
                    digest: commits.to_string(),
                    promises: Vec::new(),
                };
                let batch = Batch {
                    commit: CommitId(u128::from(number).to_be_bytes()),
                    at: head.changed_at,
                    changes: vec![SpaceChange {
                        space: Space::default(),
                        by: "floor".into(),
                        change: Change::Promised { file },
                    }],
                };
                turn.commit(head.revision, &batch)?;
                commits += 1;
            }
            Ok((commits, worst))
        };
        run().map_err(|error| error.to_string())
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let contend = &contend;
        let running: Vec<_> = (0..CONTENDERS)
            .map(|number| scope.spawn(move || contend(number)))
            .collect();
        running.into_iter().map(|thread| thread.join()).collect()
    });
    for result in results {
        let (commits, worst) = result.map_err(|_| "a contender panicked")??;
        println!("of {CONTENDERS} contenders: {commits} commits, worst wait {worst:?}");
    }
    Ok(())
}
