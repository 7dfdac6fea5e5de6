//! Commands, one after the other, on this store and on the one in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portbook_model::{
    Allocation, AllocationRequest, AppKey, Ask, Command, ImportEntry, Outcome, Policy, PoolName,
    PortRange, Ports, Refusal, Revision, Role, Space, SpaceBook, Span,
};

use super::agreement::{agrees_with_its_changes, exact, follow, same_space};
use super::kit::{
    allocate, app, at, elsewhere, granted, pool, port, ports, promise_file, revision,
};
use super::{Make, commit_plan};
use crate::{MemoryStore, Store};

/// The last port of a range is as good as the first, up to 65535; then there is none.
pub fn the_last_port_of_the_ranges_is_given_out(make: Make<'_>) {
    let store = make();
    let policy = policy(
        &[("backend", 65530, 2, 65534), ("frontend", 65531, 2, 65535)],
        Duration::ZERO,
    );
    for (number, backend) in [(1, 65530), (2, 65532), (3, 65534)] {
        let answers = commit_plan(&*store, &[allocate("m", number)], &policy, at(1));
        assert_eq!(granted(&answers).ports, ports(backend, backend + 1));
    }
    let answers = commit_plan(&*store, &[allocate("m", 4)], &policy, at(2));
    assert!(
        matches!(answers.as_slice(), [Err(Refusal::Exhausted(_))]),
        "{answers:?}"
    );
    assert_eq!(revision(&*store), Revision(3));
    agrees_with_its_changes(&*store);
}

/// After any commands the store answers as the store in memory does, and both hold what the changes
/// come to.
pub fn any_commands_leave_what_they_leave_in_memory(make: Make<'_>) {
    for seed in 1..=4 {
        let (store, memory) = (make(), MemoryStore::new());
        let mut dice = Dice(seed);
        let delay = Duration::from_millis(10 * (seed % 2));
        // Overlapping ranges with few ports: whoever asks meets others, and in the end a full book.
        let ranges = [
            ("backend", 5001, 1, 5020),
            ("frontend", 5008, 2, 5040),
            ("db", 5015, 3, 5060),
        ];
        let policy = policy(&ranges, delay);
        let mut seen = Revision(0);
        let mut replayed: BTreeMap<Space, SpaceBook> = BTreeMap::new();
        let mut now = 1000;
        for step in 0..120 {
            now += i64::from(dice.below(8));
            let commands: Vec<Command> = (0..=dice.below(3)).map(|_| dice.command(now)).collect();
            let answers = commit_plan(&*store, &commands, &policy, at(now));
            let expected = commit_plan(&memory, &commands, &policy, at(now));
            assert_eq!(
                exact(&answers),
                exact(&expected),
                "seed {seed}, step {step}: {commands:?}"
            );
            let changes = store.read().unwrap().changes_since(seen).unwrap();
            follow(&mut replayed, &changes);
            seen = seen.after(changes.len());
            for (space, book) in &replayed {
                same_space(&mut *memory.read().unwrap(), space, book);
                same_space(&mut *store.read().unwrap(), space, book);
            }
            let lapsed = |store: &dyn Store| {
                let lapsed = store.read().unwrap().lapsed(at(now)).unwrap();
                lapsed.into_iter().collect::<BTreeSet<_>>()
            };
            assert_eq!(lapsed(&*store), lapsed(&memory), "seed {seed}, step {step}");
        }
        assert!(
            seen > Revision(50),
            "the dice made too little happen: {seen}"
        );
        agrees_with_its_changes(&*store);
    }
}

/// A role that an app gives back is anybody's, and what else it holds stays its own.
pub fn a_role_that_is_given_back_is_free_and_the_rest_stays(make: Make<'_>) {
    let store = make();
    let ranges = [
        ("backend", 5001, 2, 65535),
        ("frontend", 8001, 2, 65535),
        ("db", 15001, 2, 65535),
    ];
    let policy = policy(&ranges, Duration::ZERO);
    let db = Role::new("db").unwrap();
    let wanted = Ask::Allocate(AllocationRequest {
        roles: BTreeSet::from([db.clone()]),
        ..AllocationRequest::plain(vec![app("m", 1)])
    });
    let wanted = Command::new(Space::default(), wanted);
    let plain = commit_plan(&*store, &[allocate("m", 1)], &policy, at(1));
    let seen = granted(&commit_plan(&*store, &[wanted], &policy, at(2))).clone();
    assert_eq!(seen.ports[&db], port(15001));
    let roles = || BTreeSet::from([db.clone(), Role::backend()]);
    let give_back = |seen: &Allocation| {
        let seen = seen.clone();
        let roles = roles();
        Command::new(Space::default(), Ask::GiveBack { seen, roles })
    };
    // Whoever saw something else has nothing to give back.
    let stale = commit_plan(&*store, &[give_back(granted(&plain))], &policy, at(3));
    assert_eq!(stale, [Ok(Outcome::GivenBack(Ports::new()))]);
    let given = commit_plan(&*store, &[give_back(&seen)], &policy, at(3));
    let ports = Ports::from([(db.clone(), port(15001))]);
    assert_eq!(given, [Ok(Outcome::GivenBack(ports))]);
    let again = commit_plan(&*store, &[give_back(&seen)], &policy, at(4));
    assert_eq!(again, [Ok(Outcome::GivenBack(Ports::new()))]);
    let kept = commit_plan(&*store, &[allocate("m", 1)], &policy, at(5));
    assert_eq!(granted(&kept).ports, granted(&plain).ports);
    let pinned = Ask::Allocate(AllocationRequest {
        pins: Ports::from([(db.clone(), port(15001))]),
        ..AllocationRequest::plain(vec![app("m", 2)])
    });
    let pinned = Command::new(Space::default(), pinned);
    let other = commit_plan(&*store, &[pinned], &policy, at(6));
    assert_eq!(granted(&other).ports[&db], port(15001));
    assert_eq!(revision(&*store), Revision(4));
    agrees_with_its_changes(&*store);
}

/// A policy with these ranges: role, base, step, max.
fn policy(ranges: &[(&str, u16, u16, u16)], reuse_delay: Duration) -> Policy {
    let range = |(role, base, step, max): &(&str, u16, u16, u16)| {
        (
            Role::new(role).unwrap(),
            PortRange::new(port(*base), *step, port(*max)).unwrap(),
        )
    };
    Policy::new(ranges.iter().map(range).collect(), [])
        .unwrap()
        .with_reuse_delay(reuse_delay)
}

/// Random commands, the same for the same seed: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u16) -> u16 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((self.0 >> 33) % u64::from(sides)).unwrap()
    }

    fn app(&mut self) -> AppKey {
        let models = ["x-ai/grok-4", "x-ai_grok-4", "my_app", "my-app"];
        app(
            models[usize::from(self.below(4))],
            u32::from(self.below(5)) + 1,
        )
    }

    fn apps(&mut self) -> Vec<AppKey> {
        (0..=self.below(3)).map(|_| self.app()).collect()
    }

    fn port(&mut self) -> u16 {
        5001 + self.below(40)
    }

    fn command(&mut self, now: i64) -> Command {
        let space = if self.below(4) == 0 {
            elsewhere()
        } else {
            Space::default()
        };
        let ask = self.ask(now);
        Command::new(space, ask)
    }

    fn ask(&mut self, now: i64) -> Ask {
        match self.below(16) {
            0..=4 => self.allocation(),
            5..=8 => Ask::Release { apps: self.apps() },
            9 => Ask::Renew {
                app: self.app(),
                ttl: (self.below(2) == 0).then(|| Span::from_millis(20)),
            },
            10 => Ask::Expire,
            11 => {
                let created_at = (self.below(2) == 0).then(|| at(now - 500));
                let entry = |app| ImportEntry {
                    app,
                    ports: ports(self.port(), self.port()),
                    created_at,
                };
                let apps: Vec<_> = vec![app("imported", 1), app("imported", 2)];
                Ask::Import {
                    entries: apps.into_iter().map(entry).collect(),
                }
            }
            12 => {
                let source = format!("/{}.json", self.below(2));
                let entries = [
                    ("x-ai/grok-4", 1, self.port(), 5050),
                    ("my_app", 2, 5051, 5052),
                ];
                Ask::Promise {
                    file: promise_file(&source, &entries),
                }
            }
            13 => Ask::Unpromise {
                source: format!("/{}.json", self.below(2)),
            },
            14 => {
                let first = self.port();
                Ask::AddPool {
                    pool: pool(&format!("p{}", self.below(3)), first, first + self.below(5)),
                }
            }
            _ => Ask::RemovePool {
                name: PoolName::new(&format!("p{}", self.below(3))).unwrap(),
            },
        }
    }

    fn allocation(&mut self) -> Ask {
        let mut request = AllocationRequest::plain(self.apps());
        if self.below(3) == 0 {
            request.roles.insert(Role::new("db").unwrap());
        }
        if self.below(3) == 0 {
            request.ttl = Some(Span::from_millis(u64::from(self.below(40)) + 1));
        }
        if self.below(4) == 0 {
            request.apps.truncate(1);
            request.pins.insert(Role::backend(), port(self.port()));
        }
        request.explain = self.below(4) == 0;
        Ask::Allocate(request)
    }
}
