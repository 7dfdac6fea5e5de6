//! Any commands, under any rules, with ports few enough that they meet.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::{
    Allocation, AllocationRequest, AppKey, Ask, ImportEntry, Notes, Policy, PoolName, Ports,
    Promise, PromiseFile, Source, SpaceBook, Span,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::kit::{self, at, set};
use crate::naive::Rules;

/// How many ports the commands speak of: few, so that they meet.
pub(crate) const SPAN: u16 = 36;
pub(crate) const ROLES: [&str; 3] = ["backend", "frontend", "db"];

/// One thing that happens, with ports as distances from where the ranges begin.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Commands that are planned together.
    Ask(Vec<Wish>),
    /// The clock goes on, or back.
    Clock(i64),
    /// Other programs come and go on the host.
    Host(BTreeSet<u16>),
}

#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Allocate {
        apps: Vec<AppKey>,
        roles: BTreeSet<usize>,
        pins: BTreeMap<usize, u16>,
        ttl: Option<u64>,
        explain: bool,
    },
    Release(Vec<AppKey>),
    GiveBack(AppKey, BTreeSet<usize>),
    Renew(AppKey, Option<u64>),
    Expire,
    Import(Vec<(AppKey, u16, u16, Option<i64>)>),
    Promise(u8, Vec<(AppKey, BTreeMap<usize, u16>)>),
    Unpromise(u8),
    AddPool(u8, u16, u16, usize),
    RemovePool(u8),
}

/// Rules, and where their ports begin.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    origin: u16,
    pub(crate) rules: Rules,
}

impl Ground {
    pub(crate) fn number(&self, distance: u16) -> u16 {
        self.origin.saturating_add(distance)
    }

    pub(crate) fn policy(&self) -> Option<Policy> {
        let ranges: Vec<_> = self
            .rules
            .ranges
            .iter()
            .map(|(role, (base, step, max))| (role.as_str(), *base, *step, *max))
            .collect();
        let base_roles = self.rules.base_roles.iter().map(|role| kit::role(role));
        let policy = Policy::new(kit::ranges(&ranges), base_roles).ok()?;
        let delay = u64::try_from(self.rules.reuse_delay).unwrap();
        Some(
            policy
                .with_block_list(set(self.rules.block_list.iter().copied()))
                .with_ephemeral(set(self.rules.ephemeral.iter().copied()))
                .with_reuse_delay(kit::delay(delay)),
        )
    }

    pub(crate) fn ports(&self, distances: &BTreeMap<usize, u16>) -> portbook_model::Ports {
        distances
            .iter()
            .map(|(role, distance)| (kit::role(ROLES[*role]), kit::port(self.number(*distance))))
            .collect()
    }

    /// The wish in full. What it says of an allocation is as `space` has it now.
    pub(crate) fn ask(&self, wish: &Wish, space: &SpaceBook) -> Ask {
        let source = |file: &u8| format!("/{file}.json");
        match wish {
            Wish::Allocate {
                apps,
                roles,
                pins,
                ttl,
                explain,
            } => Ask::Allocate(AllocationRequest {
                apps: apps.clone(),
                roles: roles.iter().map(|role| kit::role(ROLES[*role])).collect(),
                pins: self.ports(pins),
                ttl: ttl.map(Span::from_millis),
                explain: *explain,
            }),
            Wish::Release(apps) => Ask::Release { apps: apps.clone() },
            Wish::GiveBack(app, roles) => Ask::GiveBack {
                seen: space.allocation(app).cloned().unwrap_or_else(|| never(app)),
                roles: roles.iter().map(|role| kit::role(ROLES[*role])).collect(),
            },
            Wish::Renew(app, ttl) => Ask::Renew {
                app: app.clone(),
                ttl: ttl.map(Span::from_millis),
            },
            Wish::Expire => Ask::Expire,
            Wish::Import(entries) => {
                let entry =
                    |(app, backend, frontend, created_at): &(AppKey, u16, u16, Option<i64>)| {
                        ImportEntry {
                            app: app.clone(),
                            ports: self.ports(&[(0, *backend), (1, *frontend)].into()),
                            created_at: created_at.map(at),
                        }
                    };
                Ask::Import {
                    entries: entries.iter().map(entry).collect(),
                }
            }
            Wish::Promise(file, entries) => {
                let promise = |(app, ports): &(AppKey, BTreeMap<usize, u16>)| Promise {
                    app: app.clone(),
                    ports: self.ports(ports),
                };
                let promises: Vec<_> = entries.iter().map(promise).collect();
                Ask::Promise {
                    file: PromiseFile {
                        source: source(file),
                        digest: format!("{promises:?}"),
                        promises,
                    },
                }
            }
            Wish::Unpromise(file) => Ask::Unpromise {
                source: source(file),
            },
            Wish::AddPool(pool, first, count, models) => {
                let models = ["x-ai/*", "my?app", "*"][*models];
                let (first, last) = (self.number(*first), self.number(first + count));
                Ask::AddPool {
                    pool: kit::pool(&format!("p{pool}"), first, last, models),
                }
            }
            Wish::RemovePool(pool) => Ask::RemovePool {
                name: PoolName::new(&format!("p{pool}")).unwrap(),
            },
        }
    }
}

/// An allocation that nobody holds.
fn never(app: &AppKey) -> Allocation {
    Allocation {
        app: app.clone(),
        ports: Ports::new(),
        source: Source::Dynamic,
        created_at: at(0),
        updated_at: at(0),
        lease: None,
        notes: Notes::default(),
    }
}

pub(crate) fn any_app() -> impl Strategy<Value = AppKey> {
    // The first two are one model.
    let models = prop::sample::select(vec!["x-ai/grok-4", "x-ai_grok-4", "my_app", "my-app"]);
    (models, 1u32..5).prop_map(|(model, number)| kit::app(model, number))
}

pub(crate) fn any_distance() -> impl Strategy<Value = u16> {
    0..SPAN
}

pub(crate) fn any_wish() -> impl Strategy<Value = Wish> {
    let apps = || prop_oneof![3 => vec(any_app(), 1), 1 => vec(any_app(), 0..6)];
    let ttl = || option::weighted(0.3, 0u64..40);
    let roles = || prop_oneof![2 => Just(BTreeSet::new()), 1 => btree_set(0usize..3, 0..3)];
    let pins =
        || prop_oneof![4 => Just(BTreeMap::new()), 1 => btree_map(0usize..3, any_distance(), 0..3)];
    let allocate = (apps(), roles(), pins(), ttl(), any::<bool>()).prop_map(
        |(apps, roles, pins, ttl, explain)| Wish::Allocate {
            apps,
            roles,
            pins,
            ttl,
            explain,
        },
    );
    let entry = (
        any_app(),
        any_distance(),
        any_distance(),
        option::of(-100i64..100),
    );
    let promise = (any_app(), btree_map(0usize..3, any_distance(), 1..4));
    prop_oneof![
        8 => allocate,
        4 => apps().prop_map(Wish::Release),
        2 => (any_app(), btree_set(0usize..3, 0..4)).prop_map(|(app, roles)| Wish::GiveBack(app, roles)),
        1 => (any_app(), ttl()).prop_map(|(app, ttl)| Wish::Renew(app, ttl)),
        1 => Just(Wish::Expire),
        1 => vec(entry, 0..3).prop_map(Wish::Import),
        1 => (0u8..2, vec(promise, 0..4)).prop_map(|(file, entries)| Wish::Promise(file, entries)),
        1 => (0u8..2).prop_map(Wish::Unpromise),
        1 => (0u8..3, any_distance(), 0u16..6, 0usize..3).prop_map(|(p, first, count, models)| Wish::AddPool(p, first, count, models)),
        1 => (0u8..3).prop_map(Wish::RemovePool),
    ]
}

pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop_oneof![3 => vec(any_wish(), 1), 1 => vec(any_wish(), 2..5)].prop_map(Step::Ask),
        2 => prop_oneof![3 => 0i64..30, 1 => -60i64..0].prop_map(Step::Clock),
        1 => btree_set(any_distance(), 0..8).prop_map(Step::Host),
    ]
}

/// Few ports in awkward places: the first that there are, among those that browsers refuse, the last.
pub(crate) fn any_ground() -> impl Strategy<Value = Ground> {
    let origin = prop::sample::select(vec![
        1u16,
        6655,
        65536u32.wrapping_sub(u32::from(SPAN)) as u16,
    ]);
    let range = || (0u16..20, 1u16..4, 0u16..30);
    let ranges = (range(), range(), option::of(range()));
    let sets = || btree_set(any_distance(), 0..6);
    (
        origin,
        ranges,
        any::<bool>(),
        sets(),
        sets(),
        prop_oneof![Just(0i64), 1i64..40],
        any::<bool>(),
    )
        .prop_map(
            |(
                origin,
                (backend, frontend, db),
                db_for_all,
                block_list,
                ephemeral,
                reuse_delay,
                equal,
            )| {
                let place = |(base, step, length): (u16, u16, u16)| {
                    let base = origin + base;
                    (base, step, base.saturating_add(length))
                };
                // Often, ranges with one step that meet.
                let frontend = if equal {
                    (frontend.0, backend.1, frontend.2)
                } else {
                    frontend
                };
                let mut ranges = BTreeMap::from([
                    ("backend".to_owned(), place(backend)),
                    ("frontend".to_owned(), place(frontend)),
                ]);
                ranges.extend(db.map(|range| ("db".to_owned(), place(range))));
                let mut base_roles = BTreeSet::from(["backend".to_owned(), "frontend".to_owned()]);
                if db_for_all && ranges.contains_key("db") {
                    base_roles.insert("db".to_owned());
                }
                let move_there = |set: BTreeSet<u16>| {
                    set.into_iter().map(|distance| origin + distance).collect()
                };
                let (block_list, ephemeral) = (move_there(block_list), move_there(ephemeral));
                Ground {
                    origin,
                    rules: Rules {
                        ranges,
                        base_roles,
                        block_list,
                        ephemeral,
                        reuse_delay,
                    },
                }
            },
        )
}
