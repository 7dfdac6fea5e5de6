//! The turn among processes: for fairness, and fenced when it is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot have fails it"
)]

use std::thread;
use std::time::{Duration, Instant};

use portbook_etcd::testing::Cluster;
use portbook_etcd::{Address, EtcdStore, Options, init};
use portbook_model::{
    Batch, Change, CommitId, Pool, PoolName, Port, PortStretch, Revision, SpaceChange,
};
use portbook_store::{CommitError, Store, StoreError};

const PATIENCE: Duration = Duration::from_secs(60);

/// Two stores as two processes have them.
fn two_writers() -> (EtcdStore, EtcdStore) {
    let address: Address = Cluster::shared().place().parse().unwrap();
    assert!(init(&address).unwrap());
    let open = || EtcdStore::open(address.clone(), Options::default()).unwrap();
    (open(), open())
}

fn batch(number: u16) -> Batch {
    let port = |number| Port::new(number).unwrap();
    let pool = Pool {
        name: PoolName::new(&format!("pool-{number}")).unwrap(),
        ports: PortStretch::new(port(number), port(number)).unwrap(),
        models: "m*".to_owned().try_into().unwrap(),
    };
    Batch {
        commit: CommitId([u8::try_from(number % 256).unwrap(); 16]),
        at: std::time::SystemTime::now().into(),
        changes: vec![SpaceChange {
            space: Default::default(),
            by: "test".into(),
            change: Change::PoolAdded { pool },
        }],
    }
}

/// Has the writer meet another, so that it lines up from now on.
fn make_wary(writer: &EtcdStore, other: &EtcdStore, revision: u64) {
    let turn = writer.turn(PATIENCE).unwrap();
    let theirs = other.turn(PATIENCE).unwrap();
    let number = u16::try_from(revision).unwrap() + 7000;
    theirs.commit(Revision(revision), &batch(number)).unwrap();
    let stale = turn.commit(Revision(revision), &batch(number + 100));
    assert_eq!(stale, Err(CommitError::Stale));
}

#[test]
fn a_turn_that_is_held_longer_than_its_lease_is_fenced() {
    let (hanging, other) = two_writers();
    make_wary(&hanging, &other, 0);
    let held = hanging.turn(PATIENCE).unwrap();
    let began = Instant::now();
    // The other waits until the lease has ended, and no longer.
    let theirs = other.turn(PATIENCE).unwrap();
    assert!(
        began.elapsed() > Duration::from_secs(2),
        "a turn was taken that somebody had: {:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < Duration::from_secs(30));
    // The book is as it was, so that only the lost turn speaks against this.
    let late = held.commit(Revision(1), &batch(7500));
    assert_eq!(late, Err(CommitError::Stale));
    theirs.commit(Revision(1), &batch(7501)).unwrap();
    assert_eq!(other.read().unwrap().head().unwrap().revision, Revision(2));
}

#[test]
fn whoever_takes_no_place_overtakes_nobody_who_waits() {
    let (first, second) = two_writers();
    make_wary(&second, &first, 0);
    let unaware = first.turn(PATIENCE).unwrap();
    let turn = second.turn(PATIENCE).unwrap();
    let overtaking = unaware.commit(Revision(1), &batch(7500));
    assert_eq!(overtaking, Err(CommitError::Stale));
    turn.commit(Revision(1), &batch(7501)).unwrap();
}

#[test]
fn whoever_gives_up_says_who_has_the_turn_and_leaves_the_line() {
    let (first, second) = two_writers();
    make_wary(&first, &second, 0);
    let turn = first.turn(PATIENCE).unwrap();
    let Err(busy) = second.turn(Duration::from_millis(300)) else {
        panic!("two have the turn");
    };
    let StoreError::Busy { holder, .. } = &busy else {
        panic!("{busy}");
    };
    let name = format!("process {}", std::process::id());
    assert!(holder.contains(&name), "{busy}");
    turn.commit(Revision(1), &batch(7500)).unwrap();
    first
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(2), &batch(7501))
        .unwrap();
}

/// Four processes that never rest: nobody fails, and nobody gets less than half of what another gets.
#[test]
fn writers_of_several_processes_are_served_alike() {
    const WRITERS: u16 = 4;
    let address: Address = Cluster::shared().place().parse().unwrap();
    init(&address).unwrap();
    let until = Instant::now() + Duration::from_secs(8);
    let write = |writer: u16| {
        let store = EtcdStore::open(address.clone(), Options::default()).unwrap();
        let (mut commits, mut stale) = (0_u16, 0);
        while Instant::now() < until {
            let mut turn = store.turn(PATIENCE).unwrap();
            let seen = turn.head().unwrap().revision;
            let mut batch = batch(1 + commits % 60_000);
            batch.commit = CommitId(name_of(writer, commits));
            let space = format!("writer-{writer}");
            batch.changes[0].space = space.parse().unwrap();
            match turn.commit(seen, &batch) {
                Ok(()) => commits += 1,
                Err(CommitError::Stale) => stale += 1,
                Err(error) => panic!("{error}"),
            }
        }
        (commits, stale)
    };
    let served: Vec<(u16, u16)> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(writer)))
            .collect();
        let served = writers.into_iter().map(|writer| writer.join().unwrap());
        served.collect()
    });
    let (least, most) = (
        served.iter().map(|(commits, _)| commits).min().unwrap(),
        served.iter().map(|(commits, _)| commits).max().unwrap(),
    );
    assert!(
        *least > 10 && 2 * least >= *most,
        "commits and stale: {served:?}"
    );
}

fn name_of(writer: u16, commit: u16) -> [u8; 16] {
    let mut name = [0; 16];
    name[..2].copy_from_slice(&writer.to_be_bytes());
    name[2..4].copy_from_slice(&commit.to_be_bytes());
    name
}
