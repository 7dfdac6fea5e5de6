//! The protocol between writers and a store, small enough to look at every state that it can reach.
//!
//! | here | in the code |
//! | --- | --- |
//! | a writer's phases | `src/writer.rs`: turn, read, plan, commit, look up |
//! | the store: a head that counts its writes, commits on the condition that it is as it was read | `portbook-store/src/store.rs`, promises 1, 3 and 4 |
//! | the turn, which may be lost at any moment | promise "for speed and fairness only" |
//! | the head written anew before a lost commit is looked for | `find_commit` of each store: etcd's write, PostgreSQL's row lock, SQLite's emptied journal |
//!
//! There are no unique keys here: the condition alone has to do. Left out are the planner, which `portbook-model`
//! tests, and everything that one commit does at once.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::collections::BTreeSet;

use stateright::{Checker, Model, Property};

/// Who asks for which app, and how often each tries.
#[derive(Clone, Copy)]
struct Scene {
    wishes: &'static [u8],
    tries: u8,
}

/// More writers and tries tell nothing new, and take long.
const SCENES: [Scene; 3] = [
    Scene {
        wishes: &[0, 1],
        tries: 2,
    },
    Scene {
        wishes: &[0, 0],
        tries: 2,
    },
    Scene {
        wishes: &[0, 0, 1],
        tries: 1,
    },
];
/// How often somebody crashes.
const CRASHES: u8 = 1;

type Writer = usize;

/// What a protocol does without.
#[derive(Clone, Copy)]
struct Rules {
    takes_turns: bool,
    /// A commit counts only on the head that it was planned on.
    has_condition: bool,
    /// Before a lost commit is looked for, it is made too late for it to arrive.
    overtakes: bool,
    /// An answer is given once the commit outlasts a crash.
    answers_durably: bool,
}

const OURS: Rules = Rules {
    takes_turns: true,
    has_condition: true,
    overtakes: true,
    answers_durably: true,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct State {
    book: Vec<Commit>,
    /// How much of it outlasts a crash.
    durable: usize,
    /// How often the head was written.
    head: u8,
    turn: Option<Writer>,
    writers: Vec<Asking>,
    /// Commits that are on their way, each with the head that it was planned on. One that is lost is one that
    /// never arrives.
    requests: BTreeSet<(Commit, u8)>,
    /// Answers that are on their way, and whether the commit happened.
    answers: BTreeSet<(Commit, bool)>,
    crashes: u8,
}

/// A commit: its name is who tried, and for which time.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
struct Commit {
    writer: Writer,
    attempt: u8,
    app: u8,
    port: u8,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Asking {
    attempt: u8,
    phase: Phase,
    /// The attempts of which it was told that they came to nothing.
    denied: BTreeSet<u8>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Phase {
    Waits,
    Planned { head: u8, port: u8 },
    Sent(Commit),
    Doubts(Commit),
    Answered { port: u8 },
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Step {
    TakeTurn(Writer),
    LoseTurn,
    Plan(Writer),
    Send(Writer),
    Arrive(Commit, u8),
    Hear(Commit, bool),
    Doubt(Writer),
    LookUp(Writer),
    Sync,
    CrashWriter(Writer),
    CrashStore,
}

impl State {
    fn of(&self, app: u8) -> Option<u8> {
        let commit = self.book.iter().find(|commit| commit.app == app)?;
        Some(commit.port)
    }

    fn lowest_free(&self) -> u8 {
        let taken = |port: &u8| self.book.iter().any(|commit| commit.port == *port);
        (0..).find(|port| !taken(port)).unwrap()
    }

    fn ends(&mut self, writer: Writer, phase: Phase) {
        if self.turn == Some(writer) {
            self.turn = None;
        }
        self.writers[writer].phase = phase;
    }

    fn tries_again(&mut self, writer: Writer) {
        self.writers[writer].attempt += 1;
        self.ends(writer, Phase::Waits);
    }
}

/// What is looked at: these rules in this scene.
struct Protocol {
    rules: Rules,
    scene: Scene,
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let asking = Asking {
            attempt: 0,
            phase: Phase::Waits,
            denied: BTreeSet::new(),
        };
        vec![State {
            book: Vec::new(),
            durable: 0,
            head: 0,
            turn: None,
            writers: vec![asking; self.scene.wishes.len()],
            requests: BTreeSet::new(),
            answers: BTreeSet::new(),
            crashes: 0,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (writer, asking) in state.writers.iter().enumerate() {
            let has_turn = !self.rules.takes_turns || state.turn == Some(writer);
            match asking.phase {
                Phase::Waits if asking.attempt >= self.scene.tries => {}
                Phase::Waits if has_turn => steps.push(Step::Plan(writer)),
                Phase::Waits if state.turn.is_none() => steps.push(Step::TakeTurn(writer)),
                Phase::Planned { .. } => steps.push(Step::Send(writer)),
                Phase::Sent(_) => steps.push(Step::Doubt(writer)),
                Phase::Doubts(_) => steps.push(Step::LookUp(writer)),
                Phase::Waits | Phase::Answered { .. } => continue,
            }
            if state.crashes < CRASHES {
                steps.push(Step::CrashWriter(writer));
            }
        }
        if state.turn.is_some() {
            steps.push(Step::LoseTurn);
        }
        for (commit, head) in &state.requests {
            steps.push(Step::Arrive(*commit, *head));
        }
        for (commit, happened) in &state.answers {
            steps.push(Step::Hear(*commit, *happened));
        }
        if state.durable < state.book.len() {
            steps.push(Step::Sync);
        }
        if state.crashes < CRASHES {
            steps.push(Step::CrashStore);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::TakeTurn(writer) => next.turn = Some(writer),
            Step::LoseTurn => next.turn = None,
            Step::Plan(writer) => match state.of(self.scene.wishes[writer]) {
                Some(port) => next.ends(writer, Phase::Answered { port }),
                None => {
                    next.writers[writer].phase = Phase::Planned {
                        head: state.head,
                        port: state.lowest_free(),
                    }
                }
            },
            Step::Send(writer) => {
                let Phase::Planned { head, port } = state.writers[writer].phase else {
                    return None;
                };
                let commit = Commit {
                    writer,
                    attempt: state.writers[writer].attempt,
                    app: self.scene.wishes[writer],
                    port,
                };
                next.requests.insert((commit, head));
                next.writers[writer].phase = Phase::Sent(commit);
            }
            Step::Arrive(commit, head) => {
                next.requests.remove(&(commit, head));
                let counts = !self.rules.has_condition || head == state.head;
                if counts {
                    next.book.push(commit);
                    next.head += 1;
                    if self.rules.answers_durably {
                        next.durable = next.book.len();
                    }
                }
                next.answers.insert((commit, counts));
            }
            Step::Hear(commit, happened) => {
                next.answers.remove(&(commit, happened));
                match happened {
                    true => next.ends(commit.writer, Phase::Answered { port: commit.port }),
                    false => next.tries_again(commit.writer),
                }
            }
            Step::Doubt(writer) => {
                let Phase::Sent(commit) = state.writers[writer].phase else {
                    return None;
                };
                next.writers[writer].phase = Phase::Doubts(commit);
            }
            Step::LookUp(writer) => {
                let Phase::Doubts(commit) = state.writers[writer].phase else {
                    return None;
                };
                if state.book.contains(&commit) {
                    next.ends(writer, Phase::Answered { port: commit.port });
                } else {
                    if self.rules.overtakes {
                        next.head += 1;
                    }
                    next.writers[writer].denied.insert(commit.attempt);
                    next.tries_again(writer);
                }
            }
            Step::Sync => next.durable = next.book.len(),
            Step::CrashWriter(writer) => {
                next.crashes += 1;
                next.tries_again(writer);
            }
            Step::CrashStore => {
                next.crashes += 1;
                next.book.truncate(state.durable);
                next.requests.clear();
                next.answers.clear();
            }
        }
        // An answer that nobody waits for any more is of no matter.
        let State {
            answers, writers, ..
        } = &mut next;
        answers.retain(|(commit, _)| writers[commit.writer].phase == Phase::Sent(*commit));
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_OWNER, |_, state: &State| {
                let ports: BTreeSet<u8> = state.book.iter().map(|commit| commit.port).collect();
                ports.len() == state.book.len()
            }),
            Property::always(AT_MOST_ONCE, |_, state: &State| {
                let apps: BTreeSet<u8> = state.book.iter().map(|commit| commit.app).collect();
                apps.len() == state.book.len()
            }),
            Property::always(NOTHING_LOST, |protocol: &Protocol, state: &State| {
                let mut answered = state.writers.iter().zip(protocol.scene.wishes);
                answered.all(|(asking, app)| match asking.phase {
                    Phase::Answered { port } => state.of(*app) == Some(port),
                    _ => true,
                })
            }),
            Property::always(NO_IS_NO, |_, state: &State| {
                let denied = |commit: &Commit| {
                    state.writers[commit.writer]
                        .denied
                        .contains(&commit.attempt)
                };
                !state.book.iter().any(denied)
            }),
            Property::sometimes(ALL_ANSWERED, |_, state: &State| {
                let mut writers = state.writers.iter();
                writers.all(|asking| matches!(asking.phase, Phase::Answered { .. }))
            }),
        ]
    }
}

const ONE_OWNER: &str = "no port has two owners";
const AT_MOST_ONCE: &str = "each command is applied at most once";
const NOTHING_LOST: &str = "nothing that was answered is lost";
const NO_IS_NO: &str = "what was said not to have happened does not happen";
const ALL_ANSWERED: &str = "everybody can be answered";

/// Looks at every state of every scene, and tells which promises are broken in one.
fn broken(rules: Rules) -> BTreeSet<&'static str> {
    let mut broken = BTreeSet::new();
    for scene in SCENES {
        let protocol = Protocol { rules, scene };
        let checker = protocol.checker().threads(2).spawn_bfs().join();
        let promises = [ONE_OWNER, AT_MOST_ONCE, NOTHING_LOST, NO_IS_NO];
        broken.extend(
            promises
                .iter()
                .filter(|promise| checker.discovery(promise).is_some()),
        );
        assert!(checker.discovery(ALL_ANSWERED).is_some());
        println!("{} states", checker.unique_state_count());
    }
    broken
}

#[test]
fn every_promise_holds_in_every_state() {
    assert_eq!(broken(OURS), BTreeSet::new());
}

#[test]
fn i8_every_promise_holds_without_turns() {
    let rules = Rules {
        takes_turns: false,
        ..OURS
    };
    assert_eq!(broken(rules), BTreeSet::new());
}

#[test]
fn i3_without_the_condition_ports_are_given_twice() {
    // The turn does not help: it can be lost.
    let rules = Rules {
        has_condition: false,
        ..OURS
    };
    let broken = broken(rules);
    assert!(broken.contains(ONE_OWNER), "{broken:?}");
    assert!(broken.contains(AT_MOST_ONCE), "{broken:?}");
}

#[test]
fn i6_a_look_that_does_not_overtake_the_commit_may_be_wrong() {
    let rules = Rules {
        overtakes: false,
        ..OURS
    };
    assert_eq!(broken(rules), BTreeSet::from([NO_IS_NO]));
}

#[test]
fn i2_an_answer_before_the_disk_has_it_may_be_lost() {
    let rules = Rules {
        answers_durably: false,
        ..OURS
    };
    assert!(broken(rules).contains(NOTHING_LOST));
}
