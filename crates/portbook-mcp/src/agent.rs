//! The tools.

use std::sync::Arc;

use portbook::model::{Allocation, AllocationRequest, AppKey, ModelPattern, Port, Role};
use portbook::{Checkout, Error, GrantRecord, PortAllocationService};
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResult, ContentBlock, Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};

use crate::Settings;
use crate::answers::{
    Allocated, AppPorts, Checked, Explained, Explanation, Listed, Released, RunHints, Wrong, notes,
};
use crate::belonging::Belonging;
use crate::questions::{Allocate, Check, Explain, List, Named, Release, Subject};

/// How many apps a list shows unless told otherwise: an agent reads every one of them.
const LISTED: usize = 100;

/// What an agent is told before it uses a tool.
const INSTRUCTIONS: &str = "\
portbook is the book of record for ports on this machine: every app has its own backend and frontend port, \
and nobody else gets them. Never pick a port by hand, and never kill whoever listens on one. Before you start \
or configure a server, call allocate_ports (without arguments for the project in the current directory); it \
answers the same ports every time. Then call run_hints for how to start the app on them. If a port seems to \
be taken, call explain_port. Release only what you allocated and nobody needs any more.";

/// What answers an agent.
#[derive(Clone)]
pub(crate) struct Agent {
    desk: Arc<Desk>,
}

/// What the tools share.
struct Desk {
    service: PortAllocationService,
    checkout: Option<Checkout>,
    belonging: Belonging,
}

/// Why a tool did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// The book or the library says so.
    #[error("{}", told(.0))]
    Error(#[from] Error),
    /// Half of an app's name was given.
    #[error(
        "`model` and `app_num` name an app together. Give both, or neither for the app of the current directory"
    )]
    HalfNamed,
    /// No app was named, and none can be told from where the agent works.
    #[error(
        "which app the current directory is cannot be told. Give `model` and `app_num`, such as \"my-project\" and 1"
    )]
    Nowhere,
    /// A role, a pattern or a port that is none.
    #[error("{0}")]
    Word(String),
    /// The app is somebody else's.
    #[error(
        "{0} is not yours: it was not allocated in this session, and its files are elsewhere, so nothing was released. If the person that you work for asked for exactly this app to be released, call release_ports again with `although_not_mine: true`; otherwise leave it alone"
    )]
    NotMine(AppKey),
    /// The call did not come to its end.
    #[error("the call broke off: {0}")]
    BrokenOff(String),
}

fn told(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}. What to do: {hint} [{}]", error.code()),
        None => format!("{error} [{}]", error.code()),
    }
}

impl Agent {
    pub(crate) fn new(service: PortAllocationService, settings: Settings) -> Self {
        let Settings { checkout, own } = settings;
        let belonging = Belonging::new(own);
        let desk = Arc::new(Desk {
            service,
            checkout,
            belonging,
        });
        Self { desk }
    }

    /// Asks the book, which may wait for its turn, without holding the agent's other calls up.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Desk) -> Result<T, Refused> + Send + 'static,
    ) -> Result<Json<T>, CallToolResult> {
        let desk = self.desk.clone();
        let asked = tokio::task::spawn_blocking(move || question(&desk)).await;
        let answer = asked.unwrap_or_else(|error| Err(Refused::BrokenOff(error.to_string())));
        answer
            .map(Json)
            .map_err(|refused| CallToolResult::error(vec![ContentBlock::text(refused.to_string())]))
    }
}

#[tool_router]
impl Agent {
    /// Get the ports of an app, allocating them if it has none. Safe to call again: the same app gets the same
    /// ports every time, and no other app ever gets them. Without `model` and `app_num` it is the app of the
    /// current directory, one per git worktree. Call this before you write a port anywhere or start a server.
    #[tool(annotations(
        title = "Get or allocate ports",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn allocate_ports(
        &self,
        question: Parameters<Allocate>,
    ) -> Result<Json<Allocated>, CallToolResult> {
        self.ask(move |desk| desk.allocate(&question.0)).await
    }

    /// Look up the ports of an app. Nothing is allocated: an app without ports is an error.
    #[tool(annotations(
        title = "Look up ports",
        read_only_hint = true,
        open_world_hint = false
    ))]
    async fn get_ports(
        &self,
        question: Parameters<Named>,
    ) -> Result<Json<AppPorts>, CallToolResult> {
        self.ask(move |desk| Ok(AppPorts::of(&desk.allocation(&question.0)?)))
            .await
    }

    /// List the apps that have ports, with where their files are: all of them, or those of some models.
    #[tool(annotations(title = "List apps", read_only_hint = true, open_world_hint = false))]
    async fn list_ports(&self, question: Parameters<List>) -> Result<Json<Listed>, CallToolResult> {
        self.ask(move |desk| desk.list(&question.0)).await
    }

    /// Give an app's ports back, for others to use. Only for apps that you allocated or whose directory you work
    /// in; anything else is refused unless you say that it is not yours.
    #[tool(annotations(
        title = "Release ports",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn release_ports(
        &self,
        question: Parameters<Release>,
    ) -> Result<Json<Released>, CallToolResult> {
        self.ask(move |desk| desk.release(&question.0)).await
    }

    /// Say what a port is used for: which app it belongs to, or why it is not given out, and which process has it
    /// open. Call this when a server says that its address is already in use.
    #[tool(annotations(
        title = "Explain a port",
        read_only_hint = true,
        open_world_hint = false
    ))]
    async fn explain_port(
        &self,
        question: Parameters<Explain>,
    ) -> Result<Json<Explained>, CallToolResult> {
        self.ask(move |desk| desk.explain(question.0.port)).await
    }

    /// Find conflicts: two claims on one port, or strangers that listen on an app's port, each with what to do.
    #[tool(annotations(
        title = "Check for conflicts",
        read_only_hint = true,
        open_world_hint = false
    ))]
    async fn check_conflicts(
        &self,
        question: Parameters<Check>,
    ) -> Result<Json<Checked>, CallToolResult> {
        self.ask(move |desk| desk.check(question.0.app.as_deref()))
            .await
    }

    /// Say how to run an app on its ports: environment variables, commands, a line for docker-compose.yml. The app
    /// has to have ports already.
    #[tool(annotations(
        title = "How to run an app",
        read_only_hint = true,
        open_world_hint = false
    ))]
    async fn run_hints(
        &self,
        question: Parameters<Named>,
    ) -> Result<Json<RunHints>, CallToolResult> {
        self.ask(move |desk| desk.run_hints(&question.0)).await
    }
}

#[tool_handler]
impl ServerHandler for Agent {
    fn get_info(&self) -> ServerConfig {
        let version = env!("CARGO_PKG_VERSION");
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("portbook", version).with_title("portbook");
        info.with_instructions(INSTRUCTIONS)
    }
}

impl Desk {
    fn checkout(&self) -> Result<&Checkout, Refused> {
        self.checkout.as_ref().ok_or(Refused::Nowhere)
    }

    fn subject(named: &Named) -> Result<Subject, Refused> {
        named.subject()?.ok_or(Refused::HalfNamed)
    }

    /// The app that is meant, which has to be in the book.
    fn allocation(&self, named: &Named) -> Result<Allocation, Refused> {
        let app = match Self::subject(named)? {
            Subject::App(app) => app,
            Subject::Here => self.service.here(self.checkout()?)?,
        };
        Ok(self.service.get(&app)?)
    }

    fn allocate(&self, question: &Allocate) -> Result<Allocated, Refused> {
        let roles = question.roles.iter().map(|role| {
            let role = role.parse::<Role>();
            role.map_err(|error| Refused::Word(error.to_string()))
        });
        let request = AllocationRequest {
            roles: roles.collect::<Result<_, _>>()?,
            explain: question.explain,
            ..AllocationRequest::plain(Vec::new())
        };
        let grant = match Self::subject(&question.named())? {
            Subject::Here => self.service.allocate_here(self.checkout()?, &request)?,
            Subject::App(app) => self.service.allocate_one(app, &request)?,
        };
        let app = &grant.allocation.app;
        if grant.created {
            self.belonging.made(app);
        }
        let record = GrantRecord::of(&grant, self.service.space());
        Ok(Allocated {
            created: grant.created,
            notes: notes(&grant),
            explanation: record.explain.map(Explanation::of),
            app: AppPorts::of(&grant.allocation),
        })
    }

    fn list(&self, question: &List) -> Result<Listed, Refused> {
        let models = question.model.as_deref().map(ModelPattern::new).transpose();
        let models = models.map_err(|error| Refused::Word(error.to_string()))?;
        let allocations = self.service.allocations(models)?;
        let shown = allocations.iter().take(question.limit.unwrap_or(LISTED));
        Ok(Listed {
            apps: shown.map(AppPorts::of).collect(),
            total: allocations.len(),
            space: self.service.space().to_string(),
        })
    }

    fn release(&self, question: &Release) -> Result<Released, Refused> {
        let allocation = self.allocation(&question.named())?;
        let app = allocation.app.clone();
        if !question.although_not_mine && !self.belonging.has(&allocation, self.checkout.as_ref()) {
            return Err(Refused::NotMine(app));
        }
        let released = self.service.release(vec![app.clone()])?;
        let ports = released.into_iter().find_map(|(_, ports)| ports);
        let ports = ports.ok_or_else(|| Error::NothingToRelease(vec![app.clone()]))?;
        let ports = ports.iter();
        Ok(Released {
            app: app.to_string(),
            ports: ports
                .map(|(role, port)| (role.as_str().to_owned(), port.get()))
                .collect(),
        })
    }

    fn explain(&self, port: u16) -> Result<Explained, Refused> {
        let port = Port::new(port)
            .ok_or_else(|| Refused::Word("0 is no port: they go from 1 to 65535".to_owned()))?;
        let state = self.service.port_line()?.state(port);
        let allocations = self.service.allocations(None)?;
        let owner = allocations
            .iter()
            .find(|allocation| allocation.ports.values().any(|held| *held == port));
        let holder = self.service.holder(port);
        let app = owner.map(|allocation| &allocation.app);
        Ok(Explained::of(port, state, app, holder.as_ref()))
    }

    fn check(&self, app: Option<&str>) -> Result<Checked, Refused> {
        let mut conflicts = self.service.check_port_conflicts()?;
        if let Some(app) = app {
            conflicts.retain(|conflict| conflict.apps.iter().any(|concerned| concerned == app));
        }
        Ok(Checked {
            conflicts: conflicts.into_iter().map(Wrong::of).collect(),
        })
    }

    fn run_hints(&self, question: &Named) -> Result<RunHints, Refused> {
        let allocation = self.allocation(question)?;
        let variables = self.service.variables(&allocation)?;
        let words = portbook::command_words(&allocation.app);
        Ok(RunHints::of(
            &allocation,
            variables,
            &words,
            self.service.space(),
        ))
    }
}
