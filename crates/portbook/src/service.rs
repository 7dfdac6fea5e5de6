//! The one entry point to a book.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portbook_apps::export::PortConfiguration;
use portbook_host::LocalHost;
use portbook_model::{
    Actor, Allocation, AllocationRequest, AppKey, AppNumber, AppRecord, Ask, Grant, Head, Holder,
    HostView, Match, Model, ModelPattern, Move, MovedApp, Note, Outcome, Policy, Pool, PoolName,
    Port, Ports, PromiseFile, Recorded, Refusal, ReleaseCause, Resolution, Revision, Role, Space,
    Span, Timestamp, UncheckedHost, resolve,
};
use portbook_sqlite::Creation;
use portbook_sqlite::legacy::LegacyError;
use portbook_store::Store;

use crate::check::Conflict;
use crate::configuration::Configuration;
use crate::desk::{Answers, Desk, Held, HistoryOf, HostLook, Scope, Seen};
use crate::import::{self, ImportReport};
use crate::local::LocalDesk;
use crate::promises::{Current, PromiseSource};
use crate::remote::{RemoteDesk, ServerAddress};
use crate::repair::RepairIntent;
use crate::rules::Rules;
use crate::sightings::Sightings;
use crate::truths::LiveContainers;
use crate::usage::{PortLine, Stats};
use crate::watching::{Waits, Watcher};
use crate::{Error, PortPair, open};

/// Gives every app its own ports, and keeps them: all that the command, the server and the bindings
/// do goes through here.
///
/// Safe to share between threads; as many processes as like may each have one on the same book. An
/// answer is given only after its commit is on the disk.
///
/// ```
/// # fn main() -> Result<(), portbook::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("portbook.db");
/// use portbook::{Configuration, Environment, Flags, PortAllocationService};
///
/// let flags = Flags {
///     store: Some(format!("sqlite:{}", path.display())),
///     ..Flags::default()
/// };
/// let configuration = Configuration::load(&flags, &Environment::of_process())?;
/// let service = PortAllocationService::open(&configuration)?;
/// let pair = service.get_or_allocate_ports("openai_gpt-4", 1)?;
/// assert_eq!(service.get_or_allocate_ports("openai_gpt-4", 1)?, pair);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PortAllocationService {
    desk: Arc<dyn Desk>,
    scope: Scope,
    promises: Option<Arc<PromiseSource>>,
    /// The book's file, where it is one.
    book: Option<PathBuf>,
    /// Whether the host is looked at where a space is about it.
    may_check_host: bool,
    /// This host's space, where spaces are hosts.
    this_host: Option<Space>,
}

/// An app that was looked up with fallbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What it holds.
    pub allocation: Allocation,
    /// In which way it was found.
    pub way: Match,
}

impl PortAllocationService {
    /// Opens the book that the configuration names, or turns to the server that keeps it. Where there is
    /// none, a file is made by the first who writes; until then, readings find an empty book.
    pub fn open(configuration: &Configuration) -> Result<Self, Error> {
        Self::open_made(configuration, Creation::Writing)
    }

    /// The same, but a file that is not there is made at once: for one who stays, and should hear now
    /// that it cannot be made.
    pub fn open_or_make(configuration: &Configuration) -> Result<Self, Error> {
        Self::open_made(configuration, Creation::Opening)
    }

    fn open_made(configuration: &Configuration, creation: Creation) -> Result<Self, Error> {
        let address = &configuration.store.value;
        if let Some(server) = ServerAddress::parse(address)? {
            let desk = RemoteDesk::new(server, configuration.server.clone())?;
            return Ok(Self::at(Arc::new(desk), configuration));
        }
        let store = open::store_made(address, creation)?;
        let state = configuration.state.as_deref();
        let sightings = open::sightings(address, &*store, state)?;
        Ok(Self::with_seen_store(store, sightings, configuration))
    }

    /// The service over a store that is open already.
    pub fn with_store(store: Box<dyn Store>, configuration: &Configuration) -> Self {
        Self::with_seen_store(store, Sightings::Nowhere, configuration)
    }

    fn with_seen_store(
        store: Box<dyn Store>,
        sightings: Sightings,
        configuration: &Configuration,
    ) -> Self {
        let rules = Rules::new(
            configuration.policy().clone(),
            configuration.host_check.value,
        );
        Self::at(
            Arc::new(LocalDesk::new(store, sightings, rules)),
            configuration,
        )
    }

    fn at(desk: Arc<dyn Desk>, configuration: &Configuration) -> Self {
        let promises = configuration.port_config.as_ref();
        Self {
            desk,
            scope: Scope {
                space: configuration.space.value.clone(),
                by: actor().into(),
                checks_host: configuration.host_check.value,
                is_of_this_host: true,
                waits: Waits::default(),
            },
            promises: promises.map(|file| Arc::new(PromiseSource::new(file.value.clone()))),
            book: open::sqlite_path(&configuration.store.value).ok(),
            may_check_host: configuration.host_check.value,
            this_host: configuration.this_host.clone(),
        }
        .in_space(configuration.space.value.clone())
    }

    /// Whether another process keeps the book and answers for it.
    pub fn is_remote(&self) -> bool {
        self.desk.own_rules().is_none()
    }

    /// The same book's service for another port space. Where spaces are hosts, the ports of this one are
    /// looked at for its own space alone.
    pub fn in_space(&self, space: Space) -> Self {
        let mut other = self.clone();
        let this_host = self.this_host.as_ref();
        other.scope.is_of_this_host = this_host.is_none_or(|own| *own == space);
        other.scope.checks_host = self.may_check_host && other.scope.is_of_this_host;
        other.scope.space = space;
        other
    }

    /// The same service on behalf of somebody else, as the history is to tell.
    pub fn on_behalf_of(&self, by: Actor) -> Self {
        let mut other = self.clone();
        other.scope.by = by;
        other
    }

    /// The same service for a caller who may go: nothing is planned for it once nobody has `held` any
    /// more, and [`Error::CallerGone`] is the answer.
    pub fn as_long_as(&self, held: &Arc<()>) -> Self {
        let mut other = self.clone();
        other.scope.waits = Waits::as_long_as(held);
        other
    }

    /// Has somebody count what the book's writer does here; the first who comes stays.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.desk.watch(watcher);
    }

    /// The same service without a look at which ports the host uses.
    pub fn without_host_check(&self) -> Self {
        let mut other = self.clone();
        other.may_check_host = false;
        other.scope.checks_host = false;
        other
    }

    /// The port space that this service works in.
    pub fn space(&self) -> &Space {
        &self.scope.space
    }

    /// The rules that ports are given out by, here or by the server that keeps the book.
    pub fn policy(&self) -> Result<Arc<Policy>, Error> {
        self.desk.policy()
    }

    /// Goes by the ranges, roles, blocked ports and delay of another configuration from now on, as do all
    /// that share this service's book in this process. The store, the space and what else a service is
    /// opened with stay as they are ([`Configuration::differences`] tells them apart), and so does all
    /// where a server keeps the book.
    pub fn adopt(&self, configuration: &Configuration) {
        if let Some(rules) = self.desk.own_rules() {
            rules.replace(configuration.policy().clone());
        }
    }

    /// Where the book is, without passwords.
    pub fn location(&self) -> String {
        self.desk.location()
    }

    /// The app's pair of ports: those it has, else new ones, which are its own from then on.
    ///
    /// Idempotent, and atomic among any number of threads and processes.
    pub fn get_or_allocate_ports(&self, model: &str, app_num: u32) -> Result<PortPair, Error> {
        let request = AllocationRequest::plain(vec![app_key(model, app_num)?]);
        match self.allocate(&request)?.as_slice() {
            [grant] => PortPair::of(&grant.allocation),
            grants => Err(internal("one grant", grants)),
        }
    }

    /// Gets or allocates ports for several apps in one atomic step: all of them or none.
    pub fn allocate(&self, request: &AllocationRequest) -> Result<Vec<Grant>, Error> {
        let promises = self.promises_now()?;
        if !promises.as_ref().is_some_and(|promises| promises.is_news)
            && let Some(grants) = self.desk.standing(&self.scope, request)?
        {
            return Ok(grants);
        }
        let asks = vec![Ask::Allocate(request.clone())];
        match self.submit_knowing(promises, asks)?.pop() {
            Some(Ok(Outcome::Allocated(grants))) => Ok(grants),
            Some(Err(refusal)) => Err(refusal.into()),
            other => Err(internal("grants", other)),
        }
    }

    pub(crate) fn promises_now(&self) -> Result<Option<Current>, Error> {
        let Some(source) = &self.promises else {
            return Ok(None);
        };
        self.refuse_own_book(source.path())?;
        Ok(Some(source.current()?))
    }

    /// Has something carried out once the book knows what the file of pre-configured ports promises.
    ///
    /// The promises go along each time, which changes nothing where the book has them: another
    /// process may have read an earlier state of the file and have been slower to tell of it.
    pub(crate) fn submit_knowing(
        &self,
        promises: Option<Current>,
        asks: Vec<Ask>,
    ) -> Result<Answers, Error> {
        let Some(file) = promises.map(|promises| promises.file) else {
            return self.submit(asks);
        };
        let digest = file.digest.clone();
        let file = Arc::unwrap_or_clone(file);
        let promise = Ask::Promise { file };
        let mut answers = self.submit(iter::once(promise).chain(asks).collect())?;
        if let Some(source) = &self.promises {
            source.note(&digest);
        }
        // The first answer is that to the promises.
        Ok(answers.split_off(1))
    }

    /// Answers another process that has no book of its own: as if its asks had been made here.
    pub(crate) fn answer(&self, asks: Vec<Ask>) -> Result<Answers, Error> {
        if let [Ask::Allocate(request)] = asks.as_slice() {
            let grants = self.allocate(request);
            return match grants {
                Ok(grants) => Ok(vec![Ok(Outcome::Allocated(grants))]),
                Err(Error::Refused(refusal)) => Ok(vec![Err(*refusal)]),
                Err(error) => Err(error),
            };
        }
        let gives_ports = |ask: &Ask| {
            matches!(
                ask,
                Ask::Allocate(_) | Ask::BeginRun(_) | Ask::Import { .. } | Ask::Move { .. }
            )
        };
        if asks.iter().any(gives_ports) {
            return self.submit_knowing(self.promises_now()?, asks);
        }
        self.submit(asks)
    }

    pub(crate) fn desk_and_scope(&self) -> (&dyn Desk, &Scope) {
        (&*self.desk, &self.scope)
    }

    /// What an app holds.
    pub fn get(&self, app: &AppKey) -> Result<Allocation, Error> {
        let Seen { record, now } = self.desk.record(&self.scope, app)?;
        match record {
            Some(AppRecord::Held(allocation)) => unless_lapsed(allocation, now),
            Some(AppRecord::Former(former)) => Err(Error::NotFound(former.app)),
            None => Err(Error::NotFound(app.clone())),
        }
    }

    /// Looks an app up with fallbacks, and refuses to guess between two.
    pub fn resolve(&self, model: &Model, number: AppNumber) -> Result<Resolved, Error> {
        let held = self.desk.held(&self.scope, None, Some(number))?;
        let candidates = held.standing();
        let models: Vec<Model> = candidates
            .iter()
            .map(|allocation| allocation.app.model.clone())
            .collect();
        match resolve(model, &models) {
            Resolution::Found(found, way) => {
                let allocation = candidates
                    .iter()
                    .find(|allocation| allocation.app.model == *found);
                let allocation = allocation.ok_or_else(|| internal("a candidate", found))?;
                Ok(Resolved {
                    allocation: allocation.clone(),
                    way,
                })
            }
            Resolution::Ambiguous(found, _) => Err(Error::Ambiguous {
                wanted: model.clone(),
                found: found
                    .into_iter()
                    .map(|model| AppKey::new(model.clone(), number))
                    .collect(),
            }),
            Resolution::Nothing => Err(Error::Unresolved {
                model: model.clone(),
                number,
            }),
        }
    }

    /// Goes on with the book as it lies, although changes that were seen in it are missing, and has
    /// everybody else go on, too ([`Error::WentBack`]). The history tells of it.
    pub fn accept(&self) -> Result<Revision, Error> {
        match self.ask(Ask::Accept)? {
            Outcome::Accepted => Ok(self.head()?.revision),
            other => Err(internal("an acceptance", other)),
        }
    }

    /// Gives an app's ports back; `false` when it held none.
    pub fn release_ports(&self, model: &str, app_num: u32) -> Result<bool, Error> {
        let released = self.release(vec![app_key(model, app_num)?])?;
        Ok(released.iter().any(|(_, ports)| ports.is_some()))
    }

    /// Gives back what these apps hold, in one atomic step, and says what each held.
    pub fn release(&self, apps: Vec<AppKey>) -> Result<Vec<(AppKey, Option<Ports>)>, Error> {
        match self.ask(Ask::Release { apps })? {
            Outcome::Released(released) => Ok(released),
            other => Err(internal("releases", other)),
        }
    }

    /// Gives back what apps hold whose end was found out, where the allocation is still as it was seen,
    /// and says whose was.
    pub fn reclaim(&self, orphans: Vec<(Allocation, ReleaseCause)>) -> Result<Vec<AppKey>, Error> {
        match self.ask(Ask::Reclaim { orphans })? {
            Outcome::Reclaimed(reclaimed) => Ok(reclaimed),
            other => Err(internal("reclaimed apps", other)),
        }
    }

    /// Gives back what an app holds in some roles besides backend and frontend, where the allocation is
    /// still as it was seen, and says which ports that were.
    pub fn give_back(&self, seen: Allocation, roles: BTreeSet<Role>) -> Result<Ports, Error> {
        match self.ask(Ask::GiveBack { seen, roles })? {
            Outcome::GivenBack(ports) => Ok(ports),
            other => Err(internal("given back ports", other)),
        }
    }

    /// Has the book remember something of apps, in one atomic step, and says of how many it is news. An
    /// app that holds nothing is passed over.
    pub fn note(&self, notes: Vec<(AppKey, Note)>) -> Result<usize, Error> {
        match self.ask(Ask::Note { notes })? {
            Outcome::Noted(noted) => Ok(noted),
            other => Err(internal("notes", other)),
        }
    }

    /// Moves ports: all of them, in one atomic step, or none. What the file of pre-configured ports
    /// promises is known to the book before that.
    pub fn relocate(&self, moves: Vec<Move>) -> Result<Vec<MovedApp>, Error> {
        let promises = self.promises_now()?;
        match self
            .submit_knowing(promises, vec![Ask::Move { moves }])?
            .pop()
        {
            Some(Ok(Outcome::Moved(moved))) => Ok(moved),
            Some(Err(refusal)) => Err(refusal.into()),
            other => Err(internal("moved apps", other)),
        }
    }

    /// What [`relocate`](Self::relocate) would do now.
    pub fn preview_relocation(&self, moves: Vec<Move>) -> Result<Vec<MovedApp>, Error> {
        let promise = self.promised()?.map(|file| Ask::Promise { file });
        let asks = promise.into_iter().chain([Ask::Move { moves }]).collect();
        match self.desk.preview(&self.scope, asks)?.pop() {
            Some(Ok(Outcome::Moved(moved))) => Ok(moved),
            Some(Err(refusal)) => Err(refusal.into()),
            other => Err(internal("moved apps", other)),
        }
    }

    /// Moves the end of an app's lease to `ttl` from now, or to the lease's own length from now.
    pub fn renew(&self, app: AppKey, ttl: Option<Span>) -> Result<Allocation, Error> {
        match self.ask(Ask::Renew { app, ttl })? {
            Outcome::Renewed(allocation) => Ok(allocation),
            other => Err(internal("a lease", other)),
        }
    }

    /// What the space's apps hold, by model, then app number; with `models`, those of the models that
    /// match.
    pub fn allocations(&self, models: Option<ModelPattern>) -> Result<Vec<Allocation>, Error> {
        Ok(self.held(models)?.standing())
    }

    /// What the space's apps hold, those among them whose lease has ended, too.
    pub(crate) fn held(&self, models: Option<ModelPattern>) -> Result<Held, Error> {
        self.desk.held(&self.scope, models, None)
    }

    /// Every app's ports, by model, then app number, with whether they are usable.
    pub fn get_all_allocations(&self) -> Result<Vec<PortConfiguration>, Error> {
        self.configurations(None)
    }

    /// The ports of the apps of the models that match, with whether they are usable.
    pub fn configurations(
        &self,
        models: Option<ModelPattern>,
    ) -> Result<Vec<PortConfiguration>, Error> {
        self.desk.configurations(&self.scope, models)
    }

    /// The same in every port space of the book, by model, then app number, then space.
    pub fn configurations_everywhere(
        &self,
        models: Option<ModelPattern>,
    ) -> Result<Vec<PortConfiguration>, Error> {
        let mut all = Vec::new();
        for space in self.spaces()? {
            all.extend(self.in_space(space).configurations(models.clone())?);
        }
        all.sort_by(|one, other| (&one.app, &one.space).cmp(&(&other.app, &other.space)));
        Ok(all)
    }

    /// Every conflict: the book against itself, the pre-configured ports, browsers and this host.
    pub fn check_port_conflicts(&self) -> Result<Vec<Conflict>, Error> {
        self.conflicts(match self.scope.checks_host {
            true => HostLook::AsConfigured,
            false => HostLook::Never,
        })
    }

    /// Every conflict, with or without a look at this host.
    pub fn check(&self, host: bool) -> Result<Vec<Conflict>, Error> {
        self.conflicts(match host {
            true => HostLook::Always,
            false => HostLook::Never,
        })
    }

    fn conflicts(&self, host: HostLook) -> Result<Vec<Conflict>, Error> {
        let known = match &self.promises {
            Some(source) => {
                self.refuse_own_book(source.path())?;
                Some(source.read()?)
            }
            None => None,
        };
        self.desk.conflicts(&self.scope, known, host)
    }

    /// What happened, oldest first; with `last`, the last so many changes.
    pub fn history(
        &self,
        models: Option<ModelPattern>,
        number: Option<AppNumber>,
        last: Option<usize>,
    ) -> Result<Vec<Recorded>, Error> {
        let of = HistoryOf {
            models,
            number,
            last,
        };
        self.desk.history(&self.scope, &of)
    }

    /// How much is allocated, by model and range.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.desk.stats(&self.scope, self.promised()?)
    }

    /// What each port of the line is used for; with the host's use where it may be looked at.
    pub fn port_line(&self) -> Result<PortLine, Error> {
        self.desk.port_line(&self.scope, self.promised()?)
    }

    /// What the file of pre-configured ports promises, whether or not a change of the book has told it
    /// yet.
    fn promised(&self) -> Result<Option<PromiseFile>, Error> {
        let current = self.promises_now()?;
        Ok(current.map(|current| Arc::unwrap_or_clone(current.file)))
    }

    /// The pools, by name.
    pub fn pools(&self) -> Result<BTreeMap<PoolName, Pool>, Error> {
        self.desk.pools(&self.scope)
    }

    /// Reserves a stretch of ports for some models; `false` when it is so already.
    pub fn add_pool(&self, pool: Pool) -> Result<bool, Error> {
        match self.ask(Ask::AddPool { pool })? {
            Outcome::PoolAdded(added) => Ok(added),
            other => Err(internal("a pool", other)),
        }
    }

    /// Gives a pool up.
    pub fn remove_pool(&self, name: PoolName) -> Result<Pool, Error> {
        match self.ask(Ask::RemovePool { name })? {
            Outcome::PoolRemoved(pool) => Ok(pool),
            other => Err(internal("a pool", other)),
        }
    }

    /// Registers the apps that a file names, all of them or none: a `port_config.json`, an earlier
    /// SQLite database, or an export of portbook's.
    pub fn import(&self, path: &Path) -> Result<ImportReport, Error> {
        self.refuse_own_book(path)?;
        self.import_file(&import::File::read(path)?, true)
    }

    /// Registers the apps that a list names, as [`import`](Self::import) does those of a file; without
    /// `apply`, only says what would be done. `name` is what the list is called when something is wrong
    /// with it.
    pub fn import_list(&self, name: &str, list: &[u8], apply: bool) -> Result<ImportReport, Error> {
        self.import_file(&import::File::of_bytes(Path::new(name), list)?, apply)
    }

    fn import_file(&self, file: &import::File, apply: bool) -> Result<ImportReport, Error> {
        let asks = vec![Ask::Import {
            entries: file.entries(),
        }];
        // A file that cannot stand is told of whole, with what the book has against its other entries.
        // Anything else is decided in the turn.
        if file.has_problems() {
            let against_book = match self.desk.preview(&self.scope, asks)?.pop() {
                Some(Err(Refusal::Import(problems))) => problems,
                _ => Vec::new(),
            };
            return Err(file.refused(file.problems(&against_book)));
        }
        let mut answers = if apply {
            self.submit_knowing(self.promises_now()?, asks)?
        } else {
            self.desk.preview(&self.scope, asks)?
        };
        match answers.pop() {
            Some(Ok(Outcome::Imported {
                registered,
                unchanged,
            })) => Ok(file.report(registered, unchanged, self.space())),
            Some(Err(Refusal::Import(problems))) => Err(file.refused(file.located(&problems))),
            Some(Err(refusal)) => Err(refusal.into()),
            other => Err(internal("an import", other)),
        }
    }

    /// The book's own file must not be opened beside SQLite: closing it again would drop every lock
    /// that this process has on it (fcntl(2), "Record locking").
    pub(crate) fn refuse_own_book(&self, path: &Path) -> Result<(), Error> {
        let same = self
            .book
            .as_deref()
            .is_some_and(|book| is_one_file(book, path));
        if same {
            let path = path.display().to_string();
            return Err(LegacyError::OwnBook { path }.into());
        }
        Ok(())
    }

    /// Lets the promises of a file go that the book knows; `false` when it knows of none.
    pub fn forget_promises(&self, source: &str) -> Result<bool, Error> {
        let source = source.to_owned();
        match self.ask(Ask::Unpromise { source })? {
            Outcome::Unpromised(forgotten) => Ok(forgotten),
            other => Err(internal("promises", other)),
        }
    }

    /// Every port space of the book that has something in it.
    pub fn spaces(&self) -> Result<Vec<Space>, Error> {
        self.desk.spaces()
    }

    /// What this machine says about ports; where the service may not ask it, that all are free.
    pub fn host_view(&self) -> Box<dyn HostView> {
        if self.scope.checks_host {
            Box::new(LocalHost::new())
        } else {
            Box::new(UncheckedHost)
        }
    }

    /// Who has a port of the host that the book is kept on, as far as it can be told.
    pub fn holder(&self, port: Port) -> Option<Holder> {
        self.desk.holder(&self.scope, port).ok().flatten()
    }

    /// Whether this host may be asked which ports it uses.
    pub fn checks_host(&self) -> bool {
        self.scope.checks_host
    }

    /// Which book it is and how far it has come.
    pub fn head(&self) -> Result<Head, Error> {
        self.desk.head()
    }

    /// The changes of every space after a revision, oldest first: what others did meanwhile.
    pub fn changes_since(&self, after: Revision) -> Result<Vec<Recorded>, Error> {
        self.desk.changes_since(after)
    }

    /// The models of which the space knows an app, in the order in which it came to know them.
    pub(crate) fn models(&self) -> Result<Vec<Model>, Error> {
        self.desk.models(&self.scope)
    }

    /// Whether an app holds a port or is promised it, by the book as it is now: a look at the book's
    /// revision where nothing happened since the last question.
    pub fn is_claimed(&self, port: Port) -> Result<bool, Error> {
        self.desk.is_claimed(&self.scope, port)
    }

    /// The apps at whose ports somebody is on the host who may be the app.
    pub(crate) fn apps_that_answer(
        &self,
        containers: &LiveContainers,
    ) -> Result<BTreeSet<AppKey>, Error> {
        self.desk.apps_that_answer(&self.scope, containers)
    }

    /// What a repair moves and leaves.
    pub(crate) fn repair_intent(
        &self,
        containers: &LiveContainers,
        moves_running: bool,
    ) -> Result<RepairIntent, Error> {
        let file = self.promised()?;
        let desk = &self.desk;
        desk.repair_intent(&self.scope, file, containers, moves_running)
    }

    /// Has asks carried out together, in one commit.
    pub(crate) fn submit(&self, asks: Vec<Ask>) -> Result<Answers, Error> {
        self.desk.submit(&self.scope, asks)
    }

    fn ask(&self, ask: Ask) -> Result<Outcome, Error> {
        match self.submit(vec![ask])?.pop() {
            Some(answer) => Ok(answer?),
            None => Err(internal("an answer", "none")),
        }
    }
}

fn unless_lapsed(allocation: Allocation, now: Timestamp) -> Result<Allocation, Error> {
    match allocation.lease {
        Some(lease) if allocation.has_lapsed(now) => Err(Error::Lapsed {
            app: allocation.app,
            ended: lease.expires_at,
        }),
        _ => Ok(allocation),
    }
}

fn app_key(model: &str, app_num: u32) -> Result<AppKey, Error> {
    let number = AppNumber::try_from(i64::from(app_num))?;
    Ok(AppKey::new(Model::new(model)?, number))
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        id(one).is_some_and(|one| Some(one) == id(other))
    }
    #[cfg(not(unix))]
    {
        one.canonicalize()
            .is_ok_and(|one| Ok(one) == other.canonicalize().map_err(|_| ()))
    }
}

pub(crate) fn internal(wanted: &str, got: impl std::fmt::Debug) -> Error {
    Error::Internal(format!("{wanted} expected, {got:?} found"))
}

/// Who asks, for the history.
fn actor() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user} (pid {})", std::process::id())
}
