//! What a repair moves, and what it leaves.

use std::collections::{BTreeMap, BTreeSet};

use portbook_model::plan::{Fault, Hindrance, Repair, RepairView, plan_repair};
use portbook_model::{
    Allocation, AppKey, AppRecord, Ask, Holder, Notes, Outcome, Port, Role, SocketUse, Source,
    Transport, browser_blocked,
};
use proptest::prelude::*;

use crate::kit::{Desk, Entry, app, at, pool, port, ports, promise_file, role};

/// A space as another hand might have left it, with this host around it.
#[derive(Debug, Clone, Default)]
struct Scene {
    allocations: Vec<Allocation>,
    promises: portbook_model::Promises,
    pools: BTreeMap<portbook_model::PoolName, portbook_model::Pool>,
    /// Ports of this host that a stranger uses.
    in_use: BTreeSet<u16>,
    running: BTreeSet<AppKey>,
    moves_running: bool,
}

impl Scene {
    /// One app more, younger than those before it.
    fn holds(mut self, model: &str, backend: u16, frontend: u16) -> Self {
        let age = self.allocations.len() as i64;
        self.allocations.push(Allocation {
            app: app(model, 1),
            ports: ports(&[("backend", backend), ("frontend", frontend)]),
            source: Source::Dynamic,
            created_at: at(age),
            updated_at: at(age),
            lease: None,
            notes: Notes::default(),
        });
        self
    }

    fn promised(mut self, entries: &[Entry<'_>]) -> Self {
        self.promises
            .set(promise_file("/port_config.json", entries));
        self
    }

    fn pooled(mut self, first: u16, last: u16, models: &str) -> Self {
        let pool = pool("p", first, last, models);
        self.pools.insert(pool.name.clone(), pool);
        self
    }

    fn used(mut self, number: u16) -> Self {
        self.in_use.insert(number);
        self
    }

    fn runs(mut self, model: &str) -> Self {
        self.running.insert(app(model, 1));
        self
    }

    fn plan(&self) -> Repair {
        let apps = self.allocations.iter().map(|held| &held.app);
        let strangers: BTreeMap<(AppKey, Port), Holder> = apps
            .flat_map(|app| {
                let at_port = |number: &u16| ((app.clone(), port(*number)), stranger(*number));
                self.in_use.iter().map(at_port)
            })
            .collect();
        plan_repair(&RepairView {
            allocations: &self.allocations,
            promises: &self.promises,
            pools: &self.pools,
            strangers: &strangers,
            running: &self.running,
            moves_running: self.moves_running,
        })
    }

    /// The scene once a repair was carried out on it.
    fn repaired(&self, repair: &Repair) -> Self {
        let mut desk = Desk::new();
        desk.host.in_use.clone_from(&self.in_use);
        let space = desk.space();
        space.promises = self.promises.clone();
        space.pools = self.pools.clone();
        for allocation in &self.allocations {
            space.taken.extend(allocation.ports.values().copied());
            space.load(AppRecord::Held(allocation.clone()));
        }
        let moves = repair.moves.iter().map(|step| step.to_move()).collect();
        let moved = match desk.ask(Ask::Move { moves }) {
            Ok(Outcome::Moved(moved)) => moved,
            other => panic!("{other:?}"),
        };
        let mut after = self.clone();
        for allocation in &mut after.allocations {
            if let Some(moved) = moved.iter().find(|moved| moved.app == allocation.app) {
                allocation.ports.extend(moved.to.clone());
            }
            let in_book = desk.space().allocation(&allocation.app).unwrap();
            assert_eq!(in_book.ports, allocation.ports);
        }
        after
    }

    fn port(&self, model: &str, of: &str) -> u16 {
        let held = self
            .allocations
            .iter()
            .find(|held| held.app == app(model, 1));
        held.unwrap().ports[&role(of)].get()
    }
}

fn stranger(number: u16) -> Holder {
    Holder {
        port: port(number),
        transport: Transport::Tcp,
        address: None,
        usage: SocketUse::Listening,
        uid: None,
        process: None,
    }
}

fn faults(repair: &Repair) -> Vec<(String, &Fault)> {
    let of =
        |step: &'_ portbook_model::plan::RepairMove| format!("{} {}", step.app.model, step.role);
    repair
        .moves
        .iter()
        .map(|step| (of(step), &step.fault))
        .collect()
}

#[test]
fn the_older_of_two_claimants_keeps_its_port() {
    let scene = Scene::default()
        .holds("z", 5001, 8001)
        .holds("a", 5001, 8003)
        .holds("b", 5005, 5001);
    let repair = scene.plan();
    let keeper = || Fault::HeldTwice {
        keeper: app("z", 1),
        role: role("backend"),
    };
    assert_eq!(
        faults(&repair),
        [
            ("a backend".to_owned(), &keeper()),
            ("b frontend".to_owned(), &keeper())
        ]
    );
    let after = scene.repaired(&repair);
    assert_eq!(after.port("z", "backend"), 5001);
    assert_eq!(after.port("a", "backend"), 5003);
    assert_eq!(after.plan(), Repair::default());
}

#[test]
fn who_is_promised_the_port_keeps_it_though_it_is_younger() {
    let scene = Scene::default()
        .holds("old", 5001, 8001)
        .holds("new", 5001, 8003)
        .promised(&[("new", 1, &[("backend", 5001)])]);
    let repair = scene.plan();
    assert_eq!(
        faults(&repair),
        [(
            "old backend".to_owned(),
            &Fault::PromisedToOther(app("new", 1))
        )]
    );
    assert_eq!(scene.repaired(&repair).plan(), Repair::default());
}

#[test]
fn a_promise_is_kept_in_one_step_with_whoever_has_the_port() {
    let scene = Scene::default()
        .holds("holder", 7001, 8001)
        .holds("promised", 5001, 8003)
        .promised(&[("promised", 1, &[("backend", 7001), ("frontend", 8003)])]);
    let repair = scene.plan();
    let after = scene.repaired(&repair);
    assert_eq!(after.port("promised", "backend"), 7001);
    assert_ne!(after.port("holder", "backend"), 7001);
    assert_eq!(after.plan(), Repair::default());
}

#[test]
fn what_runs_stays_and_keeps_others_from_coming_unless_it_may_be_moved() {
    let mut scene = Scene::default()
        .holds("holder", 7001, 8001)
        .holds("promised", 5001, 8003)
        .promised(&[("promised", 1, &[("backend", 7001)])])
        .runs("holder");
    let repair = scene.plan();
    assert_eq!(repair.moves, []);
    let hindrances: Vec<&Hindrance> = repair.left.iter().map(|left| &left.hindrance).collect();
    let held = Hindrance::DestinationHeld {
        port: port(7001),
        by: app("holder", 1),
    };
    assert_eq!(hindrances, [&Hindrance::Runs, &held]);
    scene.moves_running = true;
    let after = scene.repaired(&scene.plan());
    assert_eq!(after.port("promised", "backend"), 7001);
    assert_eq!(after.plan(), Repair::default());
}

#[test]
fn pools_strangers_and_browsers_make_a_port_move_unless_it_is_promised() {
    let scene = Scene::default()
        .holds("pooled", 5001, 8001)
        .holds("used", 5003, 8003)
        .holds("blocked", 5005, 6000)
        .pooled(5001, 5001, "other")
        .used(5003);
    let repair = scene.plan();
    assert_eq!(
        faults(&repair),
        [
            (
                "pooled backend".to_owned(),
                &Fault::InPool("p".parse().unwrap())
            ),
            ("used backend".to_owned(), &Fault::InUse(stranger(5003))),
            ("blocked frontend".to_owned(), &Fault::BrowserBlocked),
        ]
    );
    assert_eq!(scene.repaired(&repair).plan(), Repair::default());
    let promised = scene.promised(&[
        ("pooled", 1, &[("backend", 5001)]),
        ("used", 1, &[("backend", 5003)]),
        ("blocked", 1, &[("frontend", 6000)]),
    ]);
    let repair = promised.plan();
    assert_eq!(repair.moves, []);
    let is_promised = |left: &portbook_model::plan::Unmoved| left.hindrance == Hindrance::Promised;
    assert!(repair.left.iter().all(is_promised), "{repair:?}");
    assert_eq!(repair.left.len(), 3);
}

#[test]
fn nobody_is_sent_to_a_promised_port_that_a_stranger_uses() {
    let scene = Scene::default()
        .holds("m", 5001, 8001)
        .promised(&[("m", 1, &[("backend", 7001)])])
        .used(7001);
    let repair = scene.plan();
    assert_eq!(repair.moves, []);
    assert!(matches!(
        repair.left[0].hindrance,
        Hindrance::DestinationInUse { .. }
    ));
}

#[test]
fn an_app_changes_its_own_ports_round_as_promised() {
    let scene = Scene::default().holds("m", 5001, 8001).promised(&[(
        "m",
        1,
        &[("backend", 8001), ("frontend", 5001)],
    )]);
    let after = scene.repaired(&scene.plan());
    assert_eq!(
        (after.port("m", "backend"), after.port("m", "frontend")),
        (8001, 5001)
    );
    // A promise for one role alone drives the other out of its port.
    let scene = Scene::default()
        .holds("m", 5001, 8001)
        .promised(&[("m", 1, &[("backend", 8001)])]);
    let after = scene.repaired(&scene.plan());
    assert_eq!(after.port("m", "backend"), 8001);
    assert_eq!(after.plan(), Repair::default());
}

const MODELS: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Few ports, so that claims meet; some that no browser opens, and some of ranges.
const PORTS: [u16; 9] = [4999, 5001, 5003, 5005, 6000, 6665, 7001, 8001, 8003];

fn any_port() -> impl Strategy<Value = u16> {
    proptest::sample::select(&PORTS[..])
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let held = proptest::collection::vec((any_port(), any_port()), MODELS.len());
    let promised = proptest::collection::vec(
        proptest::option::of((any_port(), proptest::option::of(any_port()))),
        MODELS.len(),
    );
    let pool = proptest::option::of((any_port(), proptest::sample::select(&MODELS[..])));
    let in_use = proptest::collection::btree_set(any_port(), 0..3);
    let running = proptest::collection::btree_set(proptest::sample::select(&MODELS[..]), 0..3);
    (held, promised, pool, in_use, running, any::<bool>()).prop_map(
        |(held, promised, pool, in_use, running, moves_running)| {
            let mut scene = Scene {
                in_use,
                moves_running,
                ..Scene::default()
            };
            for (model, (backend, frontend)) in MODELS.iter().zip(held) {
                scene = scene.holds(model, backend, frontend);
            }
            for (model, promise) in MODELS.iter().zip(promised) {
                let Some((backend, frontend)) = promise else {
                    continue;
                };
                let mut listed = vec![("backend", backend)];
                listed.extend(frontend.map(|frontend| ("frontend", frontend)));
                let source = format!("/{model}.json");
                scene
                    .promises
                    .set(promise_file(&source, &[(*model, 1, &listed)]));
            }
            if let Some((first, models)) = pool {
                scene = scene.pooled(first, first + 2, models);
            }
            for model in running {
                scene = scene.runs(model);
            }
            scene
        },
    )
}

/// What is wrong with a port by plain words, other than the planner goes about it.
fn wrongs(scene: &Scene, of: &AppKey, of_role: &Role) -> Vec<&'static str> {
    let held = scene
        .allocations
        .iter()
        .find(|held| held.app == *of)
        .unwrap();
    let number = held.ports[of_role];
    let own = scene.promises.of(of).and_then(|own| own.get(of_role));
    let mut wrong = Vec::new();
    let holders = scene.allocations.iter().flat_map(|held| {
        let roles = held.ports.iter().filter(|(_, port)| **port == number);
        roles.map(|(role, _)| (held.app.clone(), role.clone()))
    });
    if holders.count() > 1 {
        wrong.push("held twice");
    }
    if own.is_some_and(|own| *own != number) || scene.promises.to(number).is_some_and(|to| to != of)
    {
        wrong.push("not as promised");
    }
    if own == Some(&number) {
        return wrong;
    }
    if scene.in_use.contains(&number.get()) {
        wrong.push("in use");
    }
    if browser_blocked().contains(number) {
        wrong.push("blocked");
    }
    let mut pools = scene.pools.values();
    if pools.any(|pool| pool.ports.contains(number) && !pool.models.matches(&of.model)) {
        wrong.push("in a pool");
    }
    wrong
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the space looks like: what is moved is in order afterwards, nobody else moves, what is
    /// neither moved nor left was in order before, and a second repair finds nothing more to do.
    #[test]
    fn a_repair_solves_what_it_says_and_touches_nobody_else(scene in any_scene()) {
        let repair = scene.plan();
        let after = scene.repaired(&repair);
        let moved: BTreeSet<(&AppKey, &Role)> =
            repair.moves.iter().map(|step| (&step.app, &step.role)).collect();
        let left: BTreeSet<(&AppKey, &Role)> =
            repair.left.iter().map(|left| (&left.app, &left.role)).collect();
        for (before, after_it) in scene.allocations.iter().zip(&after.allocations) {
            for (of, port) in &before.ports {
                let place = (&before.app, of);
                if moved.contains(&place) {
                    prop_assert!(!scene.running.contains(place.0) || scene.moves_running);
                    prop_assert_ne!(&after_it.ports[of], port);
                } else {
                    prop_assert_eq!(&after_it.ports[of], port);
                }
                let wrong = wrongs(&after, place.0, of);
                if moved.contains(&place) {
                    prop_assert_eq!(wrong, Vec::<&str>::new(), "{:?} {:?}", place, &repair);
                } else if !left.contains(&place) {
                    // The other side of a claim that is left may well be in order itself.
                    let with_left = wrong == ["held twice"] && !repair.left.is_empty();
                    prop_assert!(wrong.is_empty() || with_left, "{:?} {:?} {:?}", place, wrong, &repair);
                }
            }
        }
        let again = after.plan();
        prop_assert_eq!(&again.moves, &[]);
        for unmoved in &again.left {
            let place = (&unmoved.app, &unmoved.role);
            let by_promise = unmoved.hindrance == Hindrance::Promised && moved.contains(&place);
            prop_assert!(left.contains(&place) || by_promise, "{:?}", unmoved);
        }
    }
}
