//! A book, a host and a clock to ask the planner with.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portbook_model::{
    Allocation, AllocationRequest, AppKey, AppNumber, Ask, Book, BookId, Command, Grant, Head,
    Holder, HostUnknown, HostView, ImportEntry, Model, ModelPattern, Outcome, Plan, Policy, Pool,
    PoolName, Port, PortRange, PortSet, PortStretch, Ports, Promise, PromiseFile, Refusal,
    Revision, Role, Space, SpaceBook, Span, Timestamp, plan,
};

/// Ports by their roles' names.
pub(crate) type Listed<'a> = &'a [(&'a str, u16)];

/// An app with its ports, as files name them.
pub(crate) type Entry<'a> = (&'a str, u32, Listed<'a>);

/// A host on which a list of ports is in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListedHost {
    /// The ports in use.
    pub(crate) in_use: BTreeSet<u16>,
    /// Whether it cannot tell.
    pub(crate) is_mute: bool,
    /// The ports that were asked about.
    pub(crate) asked: RefCell<Vec<u16>>,
}

impl HostView for ListedHost {
    fn is_in_use(&self, port: Port) -> Result<bool, HostUnknown> {
        self.asked.borrow_mut().push(port.get());
        if self.is_mute {
            let reason = "too many open files".to_owned();
            return Err(HostUnknown { port, reason });
        }
        Ok(self.in_use.contains(&port.get()))
    }

    fn holder(&self, _port: Port) -> Option<Holder> {
        None
    }
}

/// A book with nobody else at it, from which nothing is ever forgotten.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) policy: Policy,
    pub(crate) host: ListedHost,
    /// What the clock shows.
    pub(crate) wall: Timestamp,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let head = Head {
            book: BookId("b".to_owned()),
            revision: Revision(0),
            changed_at: Timestamp::EPOCH,
        };
        Self {
            book: Book::new(head),
            policy,
            host: ListedHost::default(),
            wall: at(0),
        }
    }

    pub(crate) fn space(&mut self) -> &mut SpaceBook {
        self.book.space(&Space::default())
    }

    /// Plans and takes the plan for committed.
    pub(crate) fn plan(&mut self, asks: &[Ask]) -> Plan {
        let commands: Vec<Command> = asks.iter().cloned().map(command).collect();
        let now = self.book.clock(self.wall);
        let planned = plan(&mut self.book, &commands, &self.host, &self.policy, now);
        if !planned.changes.is_empty() {
            self.book.head.revision = self.book.head.revision.after(planned.changes.len());
            self.book.head.changed_at = now;
        }
        planned
    }

    /// The answer to one ask; a refused one must have left everything as it was.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Outcome, Refusal> {
        let before = exact(self.space());
        let mut planned = self.plan(&[ask]);
        let answer = planned.answers.remove(0);
        if answer.is_err() {
            assert!(
                planned.changes.is_empty(),
                "refused, and yet {:?}",
                planned.changes
            );
            assert_eq!(
                exact(self.space()),
                before,
                "refused, and yet the book is another"
            );
        }
        answer
    }

    pub(crate) fn request(&mut self, request: AllocationRequest) -> Result<Vec<Grant>, Refusal> {
        match self.ask(Ask::Allocate(request))? {
            Outcome::Allocated(grants) => Ok(grants),
            other => panic!("{other:?}"),
        }
    }

    /// What an app gets that asks for nothing special.
    pub(crate) fn grant(&mut self, model: &str, number: u32) -> Grant {
        let request = AllocationRequest::plain(vec![app(model, number)]);
        self.request(request).unwrap().remove(0)
    }

    /// The backend and frontend of it.
    pub(crate) fn pair(&mut self, model: &str, number: u32) -> (u16, u16) {
        pair_of(&self.grant(model, number).allocation)
    }

    pub(crate) fn pin(
        &mut self,
        model: &str,
        number: u32,
        pins: &[(&str, u16)],
    ) -> Result<Grant, Refusal> {
        let mut request = AllocationRequest::plain(vec![app(model, number)]);
        request.pins = ports(pins);
        self.request(request).map(|mut grants| grants.remove(0))
    }

    pub(crate) fn lease(&mut self, model: &str, number: u32, ttl: u64) -> Grant {
        let mut request = AllocationRequest::plain(vec![app(model, number)]);
        request.ttl = Some(Span::from_millis(ttl));
        self.request(request).unwrap().remove(0)
    }

    /// How the app's ports were chosen: the reason, and what was passed over.
    pub(crate) fn explain(&mut self, model: &str, number: u32) -> (String, Vec<String>) {
        let mut request = AllocationRequest::plain(vec![app(model, number)]);
        request.explain = true;
        let explanation = self
            .request(request)
            .unwrap()
            .remove(0)
            .explanation
            .unwrap();
        let passed = explanation.passed_over.iter();
        let passed =
            passed.map(|passed| format!("{} {}: {}", passed.role, passed.port, passed.why));
        (explanation.reason, passed.collect())
    }

    pub(crate) fn release(&mut self, model: &str, number: u32) -> Option<Ports> {
        let apps = vec![app(model, number)];
        match self.ask(Ask::Release { apps }) {
            Ok(Outcome::Released(mut released)) => released.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn promise(&mut self, source: &str, entries: &[Entry<'_>]) {
        let file = promise_file(source, entries);
        self.ask(Ask::Promise { file }).unwrap();
    }

    pub(crate) fn pool(&mut self, name: &str, first: u16, last: u16, models: &str) {
        let pool = pool(name, first, last, models);
        assert_eq!(
            self.ask(Ask::AddPool { pool }),
            Ok(Outcome::PoolAdded(true))
        );
    }

    pub(crate) fn import(&mut self, entries: &[Entry<'_>]) -> Result<Outcome, Refusal> {
        let entry = |(model, number, listed): &Entry<'_>| ImportEntry {
            app: app(model, *number),
            ports: ports(listed),
            created_at: None,
        };
        let entries = entries.iter().map(entry).collect();
        self.ask(Ask::Import { entries })
    }
}

/// Everything of a space in an order of its own, so that two of them can be compared, spelling included.
pub(crate) fn exact(space: &SpaceBook) -> String {
    let apps: BTreeMap<_, _> = space.apps.iter().collect();
    let owners: BTreeMap<_, _> = space.owners.iter().collect();
    let rests: BTreeMap<_, _> = space.rests.iter().collect();
    let files: Vec<_> = space.promises.files().collect();
    format!(
        "{:?}",
        (&space.taken, apps, owners, rests, files, &space.pools)
    )
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

pub(crate) fn command(ask: Ask) -> Command {
    Command::new(Space::default(), ask)
}

pub(crate) fn app(model: &str, number: u32) -> AppKey {
    AppKey::new(Model::new(model).unwrap(), AppNumber::new(number).unwrap())
}

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(crate) fn role(name: &str) -> Role {
    Role::new(name).unwrap()
}

pub(crate) fn ports(listed: &[(&str, u16)]) -> Ports {
    listed
        .iter()
        .map(|(name, number)| (role(name), port(*number)))
        .collect()
}

pub(crate) fn pair_of(allocation: &Allocation) -> (u16, u16) {
    let port = |role| allocation.ports[&role].get();
    (port(Role::backend()), port(Role::frontend()))
}

pub(crate) fn set(numbers: impl IntoIterator<Item = u16>) -> PortSet {
    numbers.into_iter().map(port).collect()
}

pub(crate) fn pool(name: &str, first: u16, last: u16, models: &str) -> Pool {
    Pool {
        name: PoolName::new(name).unwrap(),
        ports: PortStretch::new(port(first), port(last)).unwrap(),
        models: ModelPattern::new(models).unwrap(),
    }
}

pub(crate) fn promise_file(source: &str, entries: &[Entry<'_>]) -> PromiseFile {
    let promise = |(model, number, listed): &Entry<'_>| Promise {
        app: app(model, *number),
        ports: ports(listed),
    };
    PromiseFile {
        source: source.to_owned(),
        digest: format!("{entries:?}"),
        promises: entries.iter().map(promise).collect(),
    }
}

/// Ranges: role, base, step, max.
pub(crate) fn ranges(listed: &[(&str, u16, u16, u16)]) -> BTreeMap<Role, PortRange> {
    let range = |(name, base, step, max): &(&str, u16, u16, u16)| {
        (
            role(name),
            PortRange::new(port(*base), *step, port(*max)).unwrap(),
        )
    };
    listed.iter().map(range).collect()
}

pub(crate) fn policy(listed: &[(&str, u16, u16, u16)]) -> Policy {
    Policy::new(ranges(listed), []).unwrap()
}

pub(crate) fn delay(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
