//! The command line: what can be said, and what `--help` teaches.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
#[cfg(target_os = "linux")]
use portbook::host::Reach;
use portbook::model::{
    AppNumber, AppNumbers, Model, ModelPattern, PoolName, Port, PortStretch, Role, Span,
};
use portbook::wire::Right;
use portbook::{CleanupRequest, Flags, Share};
use portbook_server::{Address, portserver};

/// What `--version` says: the number, then how this program was built.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    include_str!(concat!(env!("OUT_DIR"), "/version.txt"))
);

/// portbook gives every app its own ports, and keeps them.
///
/// An app is known by its model and its number. The first time it asks, it gets the lowest free pair of
/// ports; every time after, the same ones. The book is one file, made at the first use; any number of
/// processes may ask at once.
#[derive(Debug, Parser)]
#[command(
    name = "portbook",
    version,
    long_version = LONG_VERSION,
    about = "Every app gets its own ports, and keeps them",
    max_term_width = 100,
    after_help = "\
Examples:
  portbook allocate openai_gpt-4 1          the ports of openai_gpt-4/app1, for good
  portbook allocate openai_gpt-4 1-30       thirty apps in one step: all or none
  portbook get openai_gpt-4 1 --json        look up, for scripts
  portbook run --here -- npm run dev        this checkout's own ports, whatever they are
  portbook list 'openai_*'                  what those models hold
  portbook check                            every conflict, and what to do about it

Exit status: 0 done, 1 the answer is no, 2 bad input, 3 no port left, 4 the book cannot be used,
5 anything else."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where the book is: sqlite:PATH, postgres://USER@HOST/DATABASE, etcd://HOST:PORT,HOST:PORT/PREFIX, or a
    /// server: http://HOST:PORT, https://..., unix:PATH [default: sqlite:$XDG_DATA_HOME/portbook/portbook.db]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// The port space to work in: a set of hosts sharing one number line, or `auto` for this host's name
    /// where each has a line of its own [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) space: Option<String>,
    /// The configuration file [default: ./portbook.toml, else
    /// $XDG_CONFIG_HOME/portbook/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The file of pre-configured ports [default: ./port_config.json, else
    /// ./misc/port_config.json]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) port_config: Option<PathBuf>,
    /// Answer, and complain, in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not look at which ports this host uses
    #[arg(long, global = true)]
    pub(crate) no_host_check: bool,
    /// No notes and no progress: the answer and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say which book and which files are used
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Colours: on a terminal only, always, or never
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = false
    )]
    pub(crate) color: Color,
}

impl Global {
    /// The flags that the configuration is layered under.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            store: self.store.clone(),
            space: self.space.clone(),
            port_config: self.port_config.clone(),
            no_host_check: self.no_host_check,
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is to be done.
// Of all commands' arguments, only those of the one that is asked for are put together.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Get an app's ports, allocating them if it has none
    ///
    /// In this order: the ports that the app has; those that a file of pre-configured ports promises
    /// it; those it had before; its model's pool; the lowest slot in which every role's port is
    /// eligible. Several apps are one atomic step: all of them get ports, or none.
    Allocate(Allocate),
    /// Look up an app's ports, and allocate nothing
    Get(OneAppOrHere),
    /// Look up an app by a name that may be spelt otherwise
    ///
    /// Tries, in this order: exactly this name, the same identity, other separators, the same words
    /// (a number is a word: gpt-4 is not gpt-4.1), the same letters and digits. Says which one matched,
    /// and refuses to guess between two.
    Resolve(Resolve),
    /// List what is allocated
    List(List),
    /// Show how much is allocated, by model and range
    Stats,
    /// Draw the port line
    Map,
    /// Show what happened, oldest first
    History(History),
    /// Find every conflict; exit status 1 if there is one
    ///
    /// Compares the book with itself, with the pre-configured ports, with the ports that browsers
    /// refuse, with pools, and with this host: who listens on an allocated port. A process that runs in
    /// the app's own directory, such as openai_gpt-4/app1, is no conflict. With --docker, also with
    /// every container's published ports; a container is an app's by its Compose project, or by the
    /// folder it was started from. Nobody's process or container is ended.
    Check(Check),
    /// Move what is in conflict to eligible ports
    ///
    /// Shows which port moves, where to, and why that one; --yes does it, in one step. Of two claimants
    /// the older keeps its port, a promise goes before both. What is promised by a file of
    /// pre-configured ports goes where it is promised, and stays there whatever else is wrong with it.
    /// An app that runs is not moved without --include-running, and what is only a warning stays.
    ///
    /// Then the files of every app that was ever moved are brought up to date: its .env and compose files,
    /// and what `scaffold` made from a template that is still there, merged line by line where it was
    /// edited. Each is replaced at once, and the old one kept beside it as NAME.portbook-old. A repair
    /// that was killed half-way is finished by the next one.
    Repair(Repair),
    /// Compare what compose and .env files say with the book; exit status 1 if something differs
    ///
    /// PATH is a compose file, an .env file, or a directory, which is searched for compose projects: for
    /// compose.yaml, docker-compose.yml and so on, with their overrides, and for .env files. Every port
    /// that they publish is read as Docker Compose reads it, and compared with the book: it should be the
    /// app's own. A file is an app's that lies in the directory that the book remembers or in one like
    /// openai_gpt-4/app1, or whose project is called openai_gpt-4-app1. Ports and container names that two
    /// of the files claim are told, too. A file that cannot be read makes the exit status 2; the others
    /// are compared all the same.
    Validate(Validate),
    /// Give an app's ports back
    ///
    /// The next new app may get them. If the app asks again before, it gets the same ones.
    Release(SeveralAppsOrHere),
    /// Move the end of an app's lease
    Renew(Renew),
    /// Release the apps that are gone
    ///
    /// Gone is an app whose directory is, whose lease has ended, or that was made by `portbook run
    /// --release-on-exit` and neither runs nor has a container. Shows what it would do; --yes does it, in one step. An app
    /// that was not missed before is only noted, and released once it has been missing for the grace.
    /// One that runs, or at whose port somebody is who may be the app, is never gone. What was released
    /// comes back with its old ports if the app asks again. Run it on the host where the apps are.
    Cleanup(Cleanup),
    /// Run a command with an app's ports, allocating them if it has none
    ///
    /// The command finds BACKEND_PORT, FRONTEND_PORT and so on for every role, PROJECT_NAME,
    /// COMPOSE_PROJECT_NAME, and PORT: the port of the --role, else of the backend. It has the terminal,
    /// standard input and output to itself, gets the signals that portbook gets, and its exit status is
    /// portbook's: 128 and the signal's number where a signal ended it, 127 if there is no such command,
    /// 126 if it cannot be executed.
    ///
    /// The book remembers the command's process while it runs, so that `check` knows the app from a
    /// stranger. A lease is renewed meanwhile. Where somebody else has one of the ports, or the app is
    /// run already, a note says so and the command runs all the same.
    ///
    /// With --listen, portbook binds the ports itself, those of every role or of the --role alone, and the
    /// command gets one listening socket a role, from descriptor 3 on, with LISTEN_FDS, LISTEN_PID and
    /// LISTEN_FDNAMES (the roles) as sd_listen_fds(3) has them: gunicorn and whatever systemd starts know
    /// them. If somebody else has one of the ports, nothing is started. With --listen=fd, UVICORN_FD, the
    /// variables of `flask run`, LISTEN_FD and BACKEND_FD and so on say the numbers, and in the arguments
    /// {fd} and {backend_fd} are replaced by them.
    Run(Run),
    /// Register the apps that a file names with the ports it names: all of them or none
    ///
    /// FILE is a port_config.json, an export of portbook's (JSON or CSV), or an earlier SQLite database
    /// with the table port_configurations. Importing again changes nothing.
    Import(Import),
    /// Write what is allocated, for other programs and for `import`
    Export(Export),
    /// Reserve stretches of ports for the models that match a pattern
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Show an app's ports and names as variables
    ///
    /// One KEY=value line for each role's port (BACKEND_PORT, FRONTEND_PORT, WEB_SOCKET_PORT for the
    /// role web-socket), PROJECT_NAME and COMPOSE_PROJECT_NAME. The values need no quotes, so that
    /// shells, Compose and docker's --env-file read the same. Nothing is allocated.
    ///
    /// In a shell: eval "$(portbook env --export openai_gpt-4 1)"
    Env(Env),
    /// Copy a template tree with an app's ports filled in
    ///
    /// The app gets its ports if it has none. In every text file {{backend_port}}, {{frontend_port}},
    /// {{<role>_port}}, {{app_num}}, {{model}}, {{project_name}}, {{compose_project_name}}, and each in
    /// upper case, become what they are for the app; so does {{backend_port|5000}}, with a default for
    /// use without portbook. Everything else in braces stays as it is. .env.example becomes .env.
    /// Binary files, line ends and permissions are kept, and .git is left out.
    ///
    /// It happens whole or not at all, and the book remembers where the app is. Running it again is
    /// refused, since DEST holds files then; with --force only what differs is replaced, by the
    /// template's: what you changed there is kept beside it as NAME.portbook-old.
    Scaffold(Scaffold),
    /// Make a book, copy one elsewhere, verify one
    #[command(subcommand)]
    Store(StoreCommand),
    /// Answer for the book: REST, a dashboard, and portbook's own commands with --store
    ///
    /// Listens on this machine alone unless told otherwise. Where others can reach it, each request has
    /// to carry a token of --token-file, which `portbook token` makes.
    #[command(after_help = "\
Examples:
  portbook serve                                     http://127.0.0.1:7678, the dashboard on /
  portbook serve --listen unix:/run/user/1000/portbook.sock
  portbook --store http://127.0.0.1:7678 list        any command, answered by the server
  portbook serve --listen 0.0.0.0:7678 --token-file tokens --tls-cert cert.pem --tls-key key.pem
  portbook serve --install --user                    as a service of systemd's, from your next login on

PORTBOOK_LOG says how much is logged: warn, info, debug. SIGTERM and Ctrl-C finish what was accepted;
SIGHUP reads the configuration and the certificate anew.")]
    Serve(Serve),
    /// Tell coding agents in this project of portbook
    ///
    /// A section of AGENTS.md says how to get ports and run servers on them; the settings of agents' programs
    /// whose files are in the project name the server of tools, `portbook mcp`. Without --yes it only shows
    /// what it would change.
    Init(Init),
    /// Serve a coding agent: the book as tools of the Model Context Protocol, on standard input and output
    ///
    /// The agent's program starts it, as its settings say. The tools allocate, look up, list, explain, check and
    /// say how to run an app. Release is refused for apps that the agent has not allocated and does not work in,
    /// unless it says so.
    #[command(after_help = "\
In the settings of an agent's program:
  {\"mcpServers\": {\"portbook\": {\"command\": \"portbook\", \"args\": [\"mcp\"]}}}")]
    Mcp(Mcp),
    /// Make a token for a server's clients
    ///
    /// Writes the token, which nobody can show again. The server's file has a digest of it only.
    Token(Token),
    /// Show the configuration and where each value comes from
    Config(Config),
    /// Say whether this machine is fit, and what to change
    Doctor(Doctor),
    /// Write the completions for a shell to standard output
    ///
    /// For bash: portbook completions bash > ~/.local/share/bash-completion/completions/portbook
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual to standard output, or every page of it into a directory
    Man {
        /// Write portbook.1 and one page a command into this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Instead, every command and its options as one page of Markdown
        #[arg(long, conflicts_with = "dir")]
        markdown: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OneApp {
    /// The app's model
    pub(crate) model: Model,
    /// The app's number
    #[arg(allow_negative_numbers = true)]
    pub(crate) app: AppNumber,
}

#[derive(Debug, Args)]
pub(crate) struct OneAppOrHere {
    /// The app's model
    #[arg(required_unless_present = "here")]
    pub(crate) model: Option<Model>,
    /// The app's number
    #[arg(allow_negative_numbers = true, required_unless_present = "here")]
    pub(crate) app: Option<AppNumber>,
    /// Instead of MODEL APP: the app that this directory is, one for each checkout of a project (git
    /// worktree), the same as long as the checkout or its branch is there
    #[arg(long, conflicts_with = "model")]
    pub(crate) here: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SeveralAppsOrHere {
    /// The apps' model
    #[arg(required_unless_present = "here")]
    pub(crate) model: Option<Model>,
    /// Which apps: 3, 1-30 or 1,4,9-12
    #[arg(allow_negative_numbers = true, required_unless_present = "here")]
    pub(crate) apps: Option<AppNumbers>,
    /// Instead of MODEL APPS: the app that this directory is, one for each checkout of a project (git
    /// worktree), the same as long as the checkout or its branch is there
    #[arg(long, conflicts_with = "model")]
    pub(crate) here: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Allocate {
    #[command(flatten)]
    pub(crate) apps: SeveralAppsOrHere,
    /// Roles besides backend and frontend, as the configuration names them
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    pub(crate) roles: Vec<Role>,
    /// Exactly these ports, or fail: backend=5001,frontend=8001
    #[arg(long, value_delimiter = ',', value_name = "ROLE=PORT,...", value_parser = parse_pin)]
    pub(crate) ports: Vec<(Role, Port)>,
    /// End the allocation after this long unless it is renewed: 90s, 45m, 2h, 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) ttl: Option<Span>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: AllocateFormat,
    /// Say which candidates were passed over and why
    #[arg(long)]
    pub(crate) explain: bool,
}

fn parse_pin(text: &str) -> Result<(Role, Port), String> {
    let (role, port) = text
        .split_once('=')
        .filter(|(role, port)| !role.is_empty() && !port.is_empty())
        .ok_or_else(|| format!("`{text}` is not ROLE=PORT"))?;
    let role = role.parse::<Role>().map_err(|error| error.to_string())?;
    let port = port.parse::<Port>().map_err(|error| error.to_string())?;
    Ok((role, port))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AllocateFormat {
    /// A table for people
    #[default]
    Table,
    /// JSON, as with --json
    Json,
    /// KEY=value lines for a shell or an .env file; for one app
    Env,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) app: OneApp,
    /// Say in words which way the app was found
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this model, or the models that match a glob: 'openai_*'
    pub(crate) model: Option<ModelPattern>,
    /// Comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Of every port space in the book
    #[arg(long)]
    pub(crate) all_spaces: bool,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only this model, or the models that match a glob
    pub(crate) model: Option<ModelPattern>,
    /// Only this app of the model
    #[arg(allow_negative_numbers = true)]
    pub(crate) app: Option<AppNumber>,
    /// Only the last N changes
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_count)]
    pub(crate) last: Option<usize>,
}

fn parse_count(text: &str) -> Result<usize, String> {
    let wrong = |_| format!("`{text}` is not a number of changes: write it as 20");
    text.parse().map_err(wrong)
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Compose files, .env files, and directories to search for them
    #[arg(required_unless_present = "docker", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Compare what every container of the running engine publishes, too, stopped ones included: Docker
    /// and podman, at DOCKER_HOST, else Docker's context, else the usual sockets
    #[arg(long)]
    pub(crate) docker: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Compose files, .env files and directories to compare with the book, as `portbook validate` does
    #[arg(value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,
    /// Look at this host even where the configuration turns the host check off
    #[arg(long, conflicts_with = "no_host_check")]
    pub(crate) host: bool,
    /// Ask the container engine what each container publishes, stopped ones included: Docker and podman,
    /// at DOCKER_HOST, else Docker's context, else the usual sockets
    #[arg(long)]
    pub(crate) docker: bool,
    /// Say of each app in which state it is, in JSON instead of the conflicts: reserved (only the book
    /// knows of it), confirmed (it answers), drifting (a file or its container says another port), foreign
    /// (somebody else is there), unclear (a container engine that was not asked is there)
    #[arg(long)]
    pub(crate) states: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Renew {
    #[command(flatten)]
    pub(crate) app: OneAppOrHere,
    /// End it this long from now [default: as long as it was asked for]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) ttl: Option<Span>,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Only show the plan, as without --yes
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Move apps that run, too: each has to be started anew
    #[arg(long)]
    pub(crate) include_running: bool,
    /// The container engine has to say which apps run in containers. Without it, one is asked where it is
    /// there, once there is something to move
    #[arg(long)]
    pub(crate) docker: bool,
    /// Not what is in conflict, but this app: every port of it to the lowest eligible one
    #[arg(long = "move", num_args = 2, value_names = ["MODEL", "APP"], allow_negative_numbers = true)]
    pub(crate) app: Option<Vec<String>>,
    /// With --move: only these roles, and to these ports: backend=5101
    #[arg(long, requires = "app", value_delimiter = ',', value_name = "ROLE=PORT,...", value_parser = parse_pin)]
    pub(crate) ports: Vec<(Role, Port)>,
    /// Rewrite files below this folder too, which has apps' as MODEL/appN, besides the directories that
    /// the book remembers; may be said several times
    #[arg(long, value_name = "DIR")]
    pub(crate) apps_dir: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    /// The folder that has every app's as MODEL/appN; without it, only apps whose directory the book
    /// remembers are looked for
    #[arg(long, value_name = "DIR")]
    pub(crate) apps_dir: Option<PathBuf>,
    /// Release what has been missing for this long: 0, 90s, 12h, 7d
    #[arg(long, value_name = "TIME", default_value_t = CleanupRequest::GRACE, allow_hyphen_values = true)]
    pub(crate) grace: Span,
    /// Release nothing if more than this share of the apps would go
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t,
        allow_hyphen_values = true
    )]
    pub(crate) max_share: Share,
    /// Only show what would be done, as without --yes
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) app: OneAppOrHere,
    /// Whose port is PORT [default: backend]
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<Role>,
    /// Roles besides backend and frontend, as the configuration names them
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    pub(crate) roles: Vec<Role>,
    /// If the app is new, end its allocation this long after the command: 90s, 45m, 2h, 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) ttl: Option<Span>,
    /// If the app is made by this call, give its ports back when the command ends, however it ends
    #[arg(long, conflicts_with = "here")]
    pub(crate) release_on_exit: bool,
    /// Bind the ports before the command starts, and hand the sockets over: nobody can take them
    /// meanwhile. With =fd also for servers that do not know LISTEN_FDS
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sockets",
        value_name = "HOW",
        hide_possible_values = true
    )]
    pub(crate) listen: Option<Listen>,
    /// Where --listen listens: localhost, `::` for everybody, or an address of this machine
    #[cfg(target_os = "linux")]
    #[arg(long, requires = "listen", value_name = "ADDRESS", default_value_t)]
    pub(crate) bind: Reach,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// How a command is told of the sockets that it is handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Listen {
    /// By LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
    Sockets,
    /// Also by the variables that common servers read, and by placeholders in its arguments.
    Fd,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file
    pub(crate) file: PathBuf,
    /// Do not register anything: let go the promises that the book knows from this file
    #[arg(long)]
    pub(crate) forget: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ExportFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Everything, as `list --json`
    #[default]
    Json,
    /// The backend and frontend ports, as port_config.json has them
    PortConfig,
    /// Comma-separated values
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PoolCommand {
    /// Show the pools
    List,
    /// Reserve ports for models: portbook pool add gpus 20000-20999 'openai_*'
    Add {
        /// What to call the pool
        name: PoolName,
        /// Its ports: FIRST-LAST
        ports: PortStretch,
        /// The models it is for: a name or a glob
        models: ModelPattern,
    },
    /// Give a pool up; its ports are anybody's again
    Remove {
        /// The pool
        name: PoolName,
    },
}

#[derive(Debug, Args)]
#[command(
    override_usage = "portbook scaffold [OPTIONS] <TEMPLATE> <DEST> <MODEL> <APP>\n       portbook scaffold --list"
)]
pub(crate) struct Scaffold {
    /// A folder, or a template that comes with portbook: python-web
    #[arg(required_unless_present = "list")]
    pub(crate) template: Option<PathBuf>,
    /// The app's folder, made with those above it
    #[arg(required_unless_present = "list")]
    pub(crate) dest: Option<PathBuf>,
    /// The app's model
    #[arg(required_unless_present = "list")]
    pub(crate) model: Option<Model>,
    /// The app's number
    #[arg(required_unless_present = "list", allow_negative_numbers = true)]
    pub(crate) app: Option<AppNumber>,
    /// Roles besides backend and frontend, as the configuration names them
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    pub(crate) roles: Vec<Role>,
    /// Write into a DEST that holds files, and keep what is replaced beside it
    #[arg(long)]
    pub(crate) force: bool,
    /// Show the templates that come with portbook
    #[arg(long, conflicts_with_all = ["template", "roles", "force"])]
    pub(crate) list: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make a new, empty book where --store says
    ///
    /// A PostgreSQL database needs this once: nothing else creates or changes tables. The user needs the
    /// right to create tables in the first schema of its search_path, and no more. An etcd cluster needs it
    /// once for each prefix. A file is made at its first use in any case.
    Init {
        /// Write the SQL, or etcd's command, to standard output, for whoever carries it out by hand
        #[arg(long)]
        print: bool,
    },
    /// Bring the book to this portbook's schema
    Upgrade,
    /// Copy a book, its history included, to another place, and verify the copy
    ///
    /// The other place has to hold an empty book, or what an earlier copy of the same book left when it
    /// broke off: then it goes on from there. Whoever uses the book should stop first, since later changes
    /// are not in the copy.
    Copy {
        /// The book to copy: sqlite:PATH, postgres://... or etcd://...
        #[arg(long, value_name = "URL")]
        from: String,
        /// Where to copy it to
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// Check every invariant of the book where it lies, in all of its spaces; exit status 1 if one is broken
    Verify,
    /// Write the book, its history included, to a portable file
    ///
    /// The book is verified first, and others may go on writing: the file is the book as it was at one
    /// moment. It is lines of JSON with a checksum at the end.
    Backup {
        /// The file to write; one that is there is not overwritten
        file: PathBuf,
    },
    /// Bring a backup back into an empty book where --store says
    ///
    /// Nothing is changed unless the whole file is as it was made; a file's book is made, a database needs
    /// `portbook store init` first. Whoever saw changes in the book that the backup lacks writes nothing
    /// until somebody says `portbook store accept`.
    Restore {
        /// The file that `portbook store backup` wrote
        file: PathBuf,
    },
    /// Go on with the book as it lies, although it lacks changes that were seen in it
    ///
    /// After a backup was put back, or a failover lost the last changes, whoever saw more refuses to write:
    /// apps may use ports that the book does not know of any more. This says that the rest does not come
    /// back. It is said once, in the book, and its history tells of it.
    Accept,
}

#[derive(Debug, Args)]
pub(crate) struct Env {
    #[command(flatten)]
    pub(crate) app: OneAppOrHere,
    /// Write `export` before each line
    #[arg(long)]
    pub(crate) export: bool,
    /// Bring these variables up to date in FILE, such as .env, made if it is not there; everything else
    /// in it stays byte for byte
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A directory of the project [default: this one]
    pub(crate) dir: Option<PathBuf>,
    /// Only show what would be done, as without --yes
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// The models whose apps are the agent's own, to release as it likes: a name or a glob, once or several
    /// times
    #[arg(long, value_name = "MODEL")]
    pub(crate) own: Vec<ModelPattern>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen, once or several times: HOST:PORT or unix:PATH [default: 127.0.0.1:7678]
    ///
    /// Port 0 is any free one; which, is the command's answer.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<Address>,
    /// The file of the tokens that requests by TCP have to carry; read anew when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The certificate to speak TLS with, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A name that the server is known by, besides localhost and its addresses
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// The origin of a page elsewhere that may ask: https://example.org
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Where to give ports to programs that ask for PORTSERVER_ADDRESS: a path, or @NAME
    ///
    /// The protocol is that of Google's portpicker. A port is its process's until that process is gone.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) portserver: Option<portserver::Address>,
    /// The ports that the portserver gives out, and no app gets
    #[arg(long, value_name = "FIRST-LAST", default_value = "15000-24999")]
    pub(crate) portserver_ports: PortStretch,
    /// Connections at once; further ones are told to come back later
    #[arg(long, value_name = "N", value_parser = parse_connections)]
    pub(crate) max_connections: Option<usize>,
    /// How to write the log
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Instead of serving, write the units by which systemd serves as this command line says, and
    /// explain them; with =DIR, below DIR, for a package or an image
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) install: Option<Option<PathBuf>>,
    /// With --install: for your own service manager, with the book of your own commands
    #[arg(long, requires = "install")]
    pub(crate) user: bool,
    /// With --install: only show the units
    #[arg(long, requires = "install", conflicts_with_all = ["force", "enable"])]
    pub(crate) print: bool,
    /// With --install: write over units that differ
    #[arg(long, requires = "install")]
    pub(crate) force: bool,
    /// With --install: start the service, now and with every boot
    #[arg(long, requires = "install")]
    pub(crate) enable: bool,
}

fn parse_connections(text: &str) -> Result<usize, String> {
    let connections = text
        .parse()
        .ok()
        .filter(|most| (1..=1_000_000).contains(most));
    connections.ok_or_else(|| format!("`{text}` is not a number of connections: write it as 4096"))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// An object a line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// What the history calls whoever has it
    pub(crate) name: String,
    /// What it is good for
    #[arg(long, value_enum)]
    pub(crate) scope: TokenScope,
    /// The server's file, to add the token to
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenScope {
    /// To look
    Read,
    /// To look, get ports, give them back and renew leases
    Write,
    /// Everything: imports, pools, repairs and cleanups, too
    Admin,
}

impl TokenScope {
    pub(crate) fn right(self) -> Right {
        match self {
            TokenScope::Read => Right::Read,
            TokenScope::Write => Right::Write,
            TokenScope::Admin => Right::Admin,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Write a complete, commented configuration file instead
    #[arg(long)]
    pub(crate) example: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Prove on a temporary book, on this machine: unique, conflict-free, persistent, concurrent
    #[arg(long)]
    pub(crate) self_test: bool,
}
