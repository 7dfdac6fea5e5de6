//! The one entry point to a book.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use portbook_apps::export::PortConfiguration;
use portbook_model::{
    Allocation, AllocationRequest, AppKey, AppNumber, AppRecord, Ask, Command, Grant, HostView,
    Match, Model, ModelPattern, Move, MovedApp, Note, Outcome, Policy, Pool, PoolName, PortSet,
    Ports, Recorded, Refusal, ReleaseCause, Resolution, Role, Space, SpaceBook, Span, Timestamp,
    resolve,
};
use portbook_sqlite::legacy::LegacyError;
use portbook_store::{Filter, HistoryFilter, Reading, Store};

use crate::check::Conflict;
use crate::configuration::Configuration;
use crate::import::{self, ImportReport};
use crate::ownership::{Whose, port_uses};
use crate::promises::{Current, PromiseSource};
use crate::rules::Rules;
use crate::usage::{PortLine, Stats};
use crate::writer::Writer;
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
pub struct PortAllocationService {
    writer: Writer,
    space: Space,
    promises: Option<PromiseSource>,
    acquainted: Acquaintances,
    /// The book's file, where it is one.
    book: Option<PathBuf>,
}

/// The apps that this process has allocated: those that probably still stand when they ask again, so
/// that a look before the queue pays. Any other is most likely new, but for the first that a process
/// asks for, since a command asks once, mostly for what is there. A wrong guess costs a look.
#[derive(Default)]
struct Acquaintances {
    asked: AtomicBool,
    apps: RwLock<HashSet<AppKey>>,
}

impl Acquaintances {
    /// Enough for every app of a space; then it begins anew.
    const MOST: usize = 65_536;

    fn may_stand(&self, apps: &[AppKey]) -> bool {
        let is_first = !self.asked.swap(true, Ordering::Relaxed);
        let known = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        is_first || apps.iter().all(|app| known.contains(app))
    }

    fn note(&self, apps: &[AppKey]) {
        let mut known = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + apps.len() > Self::MOST {
            known.clear();
        }
        known.extend(apps.iter().cloned());
    }
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
    /// Opens the book that the configuration names, and makes it where there is none.
    pub fn open(configuration: &Configuration) -> Result<Self, Error> {
        let store = open::store(&configuration.store.value)?;
        Ok(Self::with_store(store, configuration))
    }

    /// The service over a store that is open already.
    pub fn with_store(store: Box<dyn Store>, configuration: &Configuration) -> Self {
        let rules = Rules::new(
            configuration.policy().clone(),
            configuration.host_check.value,
        );
        let promises = configuration.port_config.as_ref();
        Self {
            writer: Writer::new(store, rules, actor()),
            space: configuration.space.value.clone(),
            promises: promises.map(|file| PromiseSource::new(file.value.clone())),
            acquainted: Acquaintances::default(),
            book: open::sqlite_path(&configuration.store.value).ok(),
        }
    }

    /// The port space that this service works in.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The rules that ports are given out by.
    pub fn policy(&self) -> &Policy {
        self.writer.rules().policy()
    }

    /// Where the book is, without passwords.
    pub fn location(&self) -> String {
        self.writer.store().location()
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
            && self.acquainted.may_stand(&request.apps)
            && let Some(grants) = self.standing(request)?
        {
            return Ok(grants);
        }
        match self.submit_knowing(promises, Ask::Allocate(request.clone()))? {
            Ok(Outcome::Allocated(grants)) => {
                self.acquainted.note(&request.apps);
                Ok(grants)
            }
            Err(refusal) => Err(refusal.into()),
            other => Err(internal("grants", other)),
        }
    }

    fn promises_now(&self) -> Result<Option<Current>, Error> {
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
    fn submit_knowing(
        &self,
        promises: Option<Current>,
        ask: Ask,
    ) -> Result<Result<Outcome, Refusal>, Error> {
        let digest = promises
            .as_ref()
            .map(|promises| promises.file.digest.clone());
        let promise = promises.map(|promises| Ask::Promise {
            file: promises.file,
        });
        let mut answers = self.submit(promise.into_iter().chain([ask]).collect())?;
        if let (Some(source), Some(digest)) = (&self.promises, digest) {
            source.note(&digest);
        }
        answers.pop().ok_or_else(|| internal("an answer", "none"))
    }

    /// The grants for apps that all hold what is asked already: no turn is needed for those.
    fn standing(&self, request: &AllocationRequest) -> Result<Option<Vec<Grant>>, Error> {
        if request.ttl.is_some() || request.explain {
            return Ok(None);
        }
        let mut roles: Vec<&Role> = self
            .writer
            .rules()
            .configured()
            .base_roles()
            .iter()
            .collect();
        roles.extend(request.roles.iter());
        let mut reading = self.reading()?;
        let now = now(&mut *reading)?;
        let mut grants = Vec::with_capacity(request.apps.len());
        for app in &request.apps {
            let record = reading.app(&self.space, app)?;
            let Some(allocation) = record.as_ref().and_then(AppRecord::held) else {
                return Ok(None);
            };
            let has_pins = request
                .pins
                .iter()
                .all(|(role, port)| allocation.ports.get(role) == Some(port));
            let has_roles = roles
                .iter()
                .all(|role| allocation.ports.contains_key(*role));
            if allocation.has_lapsed(now) || !has_pins || !has_roles {
                return Ok(None);
            }
            grants.push(Grant {
                allocation: allocation.clone(),
                created: false,
                added: Vec::new(),
                in_use: Vec::new(),
                unkept: Ports::new(),
                explanation: None,
            });
        }
        Ok(Some(grants))
    }

    /// What an app holds.
    pub fn get(&self, app: &AppKey) -> Result<Allocation, Error> {
        let mut reading = self.reading()?;
        match reading.app(&self.space, app)? {
            Some(AppRecord::Held(allocation)) => unless_lapsed(allocation, now(&mut *reading)?),
            Some(AppRecord::Former(former)) => Err(Error::NotFound(former.app)),
            None => Err(Error::NotFound(app.clone())),
        }
    }

    /// Looks an app up with fallbacks, and refuses to guess between two.
    pub fn resolve(&self, model: &Model, number: AppNumber) -> Result<Resolved, Error> {
        let filter = Filter {
            space: self.space.clone(),
            models: None,
            number: Some(number),
        };
        let mut reading = self.reading()?;
        let now = now(&mut *reading)?;
        let mut candidates = reading.allocations(&filter)?;
        candidates.retain(|allocation| !allocation.has_lapsed(now));
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

    /// Has the book remember something of apps, in one atomic step, and says of how many it is news. An
    /// app that holds nothing is passed over.
    pub fn note(&self, notes: Vec<(AppKey, Note)>) -> Result<usize, Error> {
        match self.ask(Ask::Note { notes })? {
            Outcome::Noted(noted) => Ok(noted),
            other => Err(internal("notes", other)),
        }
    }

    /// Moves ports: all of them, in one atomic step, or none.
    pub fn relocate(&self, moves: Vec<Move>) -> Result<Vec<MovedApp>, Error> {
        match self.ask(Ask::Move { moves })? {
            Outcome::Moved(moved) => Ok(moved),
            other => Err(internal("moved apps", other)),
        }
    }

    /// What [`relocate`](Self::relocate) would do now.
    pub fn preview_relocation(&self, moves: Vec<Move>) -> Result<Vec<MovedApp>, Error> {
        let command = Command {
            space: self.space.clone(),
            ask: Ask::Move { moves },
        };
        match self.writer.preview(&[command])?.pop() {
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

    /// Reclaims every allocation whose lease has ended, as each change of the book does, too.
    pub fn expire(&self) -> Result<(), Error> {
        self.ask(Ask::Expire).map(|_| ())
    }

    /// What the space's apps hold, by model, then app number; with `models`, those of the models that
    /// match.
    pub fn allocations(&self, models: Option<ModelPattern>) -> Result<Vec<Allocation>, Error> {
        let filter = Filter {
            space: self.space.clone(),
            models,
            number: None,
        };
        let mut reading = self.reading()?;
        let now = now(&mut *reading)?;
        let mut allocations = reading.allocations(&filter)?;
        allocations.retain(|allocation| !allocation.has_lapsed(now));
        Ok(allocations)
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
        let allocations = self.allocations(models)?;
        let strangers = self.ports_of_strangers(&allocations);
        let usable = |allocation: &Allocation| {
            let mut ports = allocation.ports.values();
            ports.all(|port| !strangers.contains(*port) && self.policy().blocked(*port).is_none())
        };
        let configuration = |allocation: &Allocation| {
            PortConfiguration::new(
                allocation.app.clone(),
                allocation.ports.clone(),
                usable(allocation),
                self.space.clone(),
                allocation.created_at,
            )
            .map_err(|incomplete| Error::IncompletePair(incomplete.app))
        };
        allocations.iter().map(configuration).collect()
    }

    /// The allocated ports that are known to be used by somebody else. A machine that does not say
    /// who has its ports makes none known.
    fn ports_of_strangers(&self, allocations: &[Allocation]) -> PortSet {
        if !self.checks_host() {
            return PortSet::new();
        }
        let uses = port_uses(allocations).unwrap_or_default();
        uses.into_iter()
            .filter(|port_use| port_use.whose == Whose::Stranger)
            .map(|port_use| port_use.holder.port)
            .collect()
    }

    /// Every conflict: the book against itself, the pre-configured ports, browsers and this host.
    pub fn check_port_conflicts(&self) -> Result<Vec<Conflict>, Error> {
        self.check(self.checks_host())
    }

    /// Every conflict, with or without a look at this host.
    pub fn check(&self, host: bool) -> Result<Vec<Conflict>, Error> {
        let known = match &self.promises {
            Some(source) => {
                self.refuse_own_book(source.path())?;
                Some(source.read()?)
            }
            None => None,
        };
        crate::check::conflicts(
            &mut *self.reading()?,
            &self.space,
            self.policy(),
            known,
            host,
        )
    }

    /// What happened, oldest first; with `last`, the last so many changes.
    pub fn history(
        &self,
        models: Option<ModelPattern>,
        number: Option<AppNumber>,
        last: Option<usize>,
    ) -> Result<Vec<Recorded>, Error> {
        let filter = HistoryFilter {
            of: Filter {
                space: self.space.clone(),
                models,
                number,
            },
            last,
        };
        Ok(self.reading()?.history(&filter)?)
    }

    /// How much is allocated, by model and range.
    pub fn stats(&self) -> Result<Stats, Error> {
        let allocations = self.allocations(None)?;
        let book = self.promised_book()?;
        Ok(Stats::of(&self.space, &allocations, &book, self.policy()))
    }

    /// What each port of the line is used for; with the host's use where it may be looked at.
    pub fn port_line(&self) -> Result<PortLine, Error> {
        let allocations = self.allocations(None)?;
        let book = self.promised_book()?;
        let mut in_use = PortSet::new();
        if self.checks_host() {
            in_use.extend(
                portbook_host::listeners()?
                    .into_iter()
                    .map(|socket| socket.port),
            );
        }
        Ok(PortLine::of(&allocations, &book, self.policy(), &in_use))
    }

    fn space_book(&self) -> Result<SpaceBook, Error> {
        // How long ports have rested is no matter of the line.
        let released_after = Timestamp::from_millis(i64::MAX);
        Ok(self.reading()?.space(&self.space, released_after)?)
    }

    /// The space with what the file of pre-configured ports promises, whether or not a change of the
    /// book has told it yet.
    fn promised_book(&self) -> Result<SpaceBook, Error> {
        let mut book = self.space_book()?;
        if let Some(current) = self.promises_now()? {
            book.promises.set(current.file);
        }
        Ok(book)
    }

    /// The pools, by name.
    pub fn pools(&self) -> Result<BTreeMap<PoolName, Pool>, Error> {
        Ok(self.space_book()?.pools)
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
        let file = import::File::read(path)?;
        // A file that cannot stand is told of whole, with what the book has against its other entries.
        // Anything else is decided in the turn.
        if file.has_problems() {
            let problems = file.problems(&mut *self.reading()?, &self.space)?;
            return Err(file.refused(problems));
        }
        let promises = self.promises_now()?;
        let entries = file.entries();
        match self.submit_knowing(promises, Ask::Import { entries })? {
            Ok(Outcome::Imported {
                registered,
                unchanged,
            }) => Ok(file.report(registered, unchanged, &self.space)),
            Err(Refusal::Import(problems)) => Err(file.refused(file.located(&problems))),
            Err(refusal) => Err(refusal.into()),
            other => Err(internal("an import", other)),
        }
    }

    /// The book's own file must not be opened beside SQLite: closing it again would drop every lock
    /// that this process has on it (fcntl(2), "Record locking").
    fn refuse_own_book(&self, path: &Path) -> Result<(), Error> {
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
        Ok(self.reading()?.spaces()?)
    }

    /// What this machine says about ports; where the service may not ask it, that all are free.
    pub fn host_view(&self) -> Box<dyn HostView> {
        self.writer.rules().host_view()
    }

    /// Whether this host may be asked which ports it uses.
    pub(crate) fn checks_host(&self) -> bool {
        self.writer.rules().checks_host()
    }

    pub(crate) fn reading(&self) -> Result<Box<dyn Reading + '_>, Error> {
        Ok(self.writer.store().read()?)
    }

    pub(crate) fn submit(&self, asks: Vec<Ask>) -> Result<Vec<Result<Outcome, Refusal>>, Error> {
        let command = |ask| Command {
            space: self.space.clone(),
            ask,
        };
        self.writer.submit(asks.into_iter().map(command).collect())
    }

    fn ask(&self, ask: Ask) -> Result<Outcome, Error> {
        match self.submit(vec![ask])?.pop() {
            Some(answer) => Ok(answer?),
            None => Err(internal("an answer", "none")),
        }
    }
}

/// The time that the book goes by: a clock that was put back does not bring a lease back to life.
pub(crate) fn now(reading: &mut dyn Reading) -> Result<Timestamp, Error> {
    let wall: Timestamp = std::time::SystemTime::now().into();
    Ok(wall.max(reading.head()?.changed_at))
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
