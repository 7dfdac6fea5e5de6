//! One file a command: from its arguments to its answer.

mod allocate;
mod check;
mod cleanup;
mod config;
mod doctor;
mod env;
mod export;
mod get;
mod here;
mod history;
mod import;
mod init;
mod list;
mod manual;
mod map;
mod mcp;
mod pool;
mod reference;
mod release;
mod renew;
mod repair;
mod resolve;
#[cfg(target_os = "linux")]
pub(crate) mod run;
#[cfg(not(target_os = "linux"))]
#[path = "run_elsewhere.rs"]
pub(crate) mod run;
mod scaffold;
mod serve;
mod stats;
mod store;
mod token;
mod validate;

use portbook::{Configuration, Environment, Error, PortAllocationService};

use crate::arguments::{Arguments, Command, Global};
use crate::output::{Complaint, Output};

/// Whether the answer is yes: exit status 0, or no: exit status 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done.
    Yes,
    /// Nothing is wrong with the call, but the answer is no.
    No,
    /// The command that was run has answered, with this status.
    Status(u8),
}

/// What a command ends with.
pub(crate) type Ending = Result<Answer, Complaint>;

/// Does what the command line says.
pub(crate) fn run(arguments: Arguments, output: &Output) -> Ending {
    let Arguments { global, command } = arguments;
    match command {
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir, markdown } => match dir {
            Some(dir) => manual::pages(&dir, output),
            None => manual::page(markdown),
        },
        Command::Serve(serve) => serve::run(&serve, &global, output),
        Command::Init(init) => init::run(&init, output),
        Command::Mcp(mcp) => mcp::run(&mcp, open(&global, output)?, output),
        Command::Token(token) => token::run(&token, output),
        Command::Config(config) => config::run(&config, &global, output),
        Command::Doctor(doctor) => doctor::run(&doctor, &global, output),
        Command::Scaffold(scaffold) => scaffold::run(&scaffold, &global, output),
        Command::Allocate(allocate) => allocate::run(&allocate, &open(&global, output)?, output),
        Command::Env(env) => env::run(&env, &open(&global, output)?, output),
        Command::Get(app) => get::run(&app, &open(&global, output)?, output),
        Command::Resolve(resolve) => resolve::run(&resolve, &open(&global, output)?, output),
        Command::List(list) => list::run(&list, &open(&global, output)?, output),
        Command::Stats => stats::run(&open(&global, output)?, output),
        Command::Map => map::run(&open(&global, output)?, output),
        Command::History(history) => history::run(&history, &open(&global, output)?, output),
        Command::Check(check) => check::run(&check, &open(&global, output)?, output),
        Command::Repair(repair) => repair::run(&repair, &open(&global, output)?, output),
        Command::Validate(validate) => validate::run(&validate, &open(&global, output)?, output),
        Command::Release(apps) => release::run(&apps, &open(&global, output)?, output),
        Command::Run(run) => run::run(&run, &open(&global, output)?, output),
        Command::Renew(renew) => renew::run(&renew, &open(&global, output)?, output),
        Command::Cleanup(cleanup) => cleanup::run(&cleanup, &open(&global, output)?, output),
        Command::Import(import) => import::run(&import, &open(&global, output)?, output),
        Command::Export(export) => export::run(&export, &open(&global, output)?, output),
        Command::Store(store) => store::run(&store, &global, output),
        Command::Pool(pool) => pool::run(&pool, &open(&global, output)?, output),
    }
}

fn open(global: &Global, output: &Output) -> Result<PortAllocationService, Complaint> {
    let configuration = configure(global)?;
    tell(&configuration, output);
    Ok(PortAllocationService::open(&configuration)?)
}

/// What `--verbose` shows of the configuration.
fn tell(configuration: &Configuration, output: &Output) {
    for (key, value, origin) in configuration.describe() {
        output.detail(&format!("{key} = {value} ({origin})"));
    }
}

fn configure(global: &Global) -> Result<Configuration, Complaint> {
    let loaded = Configuration::load(&global.flags(), &Environment::of_process());
    Ok(loaded.map_err(Error::from)?)
}
