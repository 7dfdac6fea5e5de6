//! `portbook serve`: the book as a service.

mod installation;
mod log;
mod signals;
mod units;

use std::io;
use std::sync::Arc;

use portbook::{Configuration, Environment, PortAllocationService};
use portbook_server::portserver::{self, runtime_folder};
use portbook_server::{Address, Inherited, Server, Settings, TlsFiles};
use tokio::runtime::{Builder, Runtime};

use self::log::Log;
use super::{Answer, Ending, configure, tell};
use crate::arguments::{Global, Serve};
use crate::output::{Complaint, Output};

/// Where a server listens that is not told otherwise.
const DEFAULT_ADDRESS: &str = "127.0.0.1:7678";

pub(crate) fn run(arguments: &Serve, global: &Global, output: &Output) -> Ending {
    if arguments.install.is_some() {
        return installation::run(arguments, global, output);
    }
    let configuration = configure(global)?;
    tell(&configuration, output);
    let service = PortAllocationService::open_or_make(&configuration)?;
    let log = Log::begin(arguments)?;
    let inherited =
        Inherited::take().map_err(|error| cannot("use a socket that was handed over", &error))?;
    let settings = settings(arguments, &inherited)?;
    let runtime = runtime(&settings).map_err(|error| cannot("be started", &error))?;
    let in_time = runtime.block_on(async {
        let deaf = |error: io::Error| cannot("listen to signals", &error);
        let stop = signals::stop().map_err(deaf)?;
        let hangups = signals::Hangups::new().map_err(deaf)?;
        let server = Server::bind(settings, inherited, service).await;
        let server = server.map_err(|error| Complaint::of_server(&error))?;
        announce(&server, output)?;
        let reloader = Arc::new(server.reloader(configuration));
        let flags = global.flags();
        let reload = move || {
            reloader.reload(|| Configuration::load(&flags, &Environment::of_process()));
        };
        let stop = async move {
            tokio::select! {
                () = stop => {}
                () = hangups.follow(reload) => {}
            }
        };
        Ok::<_, Complaint>(server.run(stop).await)
    })?;
    // What did not end in time is left behind, whatever it waits for.
    runtime.shutdown_background();
    log.end();
    Ok(match in_time {
        true => Answer::Yes,
        false => Answer::No,
    })
}

fn settings(arguments: &Serve, inherited: &Inherited) -> Result<Settings, Complaint> {
    let mut listen = arguments.listen.clone();
    if listen.is_empty() {
        let default = DEFAULT_ADDRESS.parse::<Address>();
        listen.push(default.map_err(|error| Complaint::about_usage(error.to_string(), None))?);
    }
    let tls = arguments.tls_cert.clone().zip(arguments.tls_key.clone());
    let mut settings = Settings {
        listen,
        token_file: arguments.token_file.clone(),
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        allowed_hosts: arguments.allow_host.clone(),
        allowed_origins: arguments.allow_origin.clone(),
        ..Settings::default()
    };
    settings.portserver = portserver(arguments, inherited)?;
    if let Some(most) = arguments.max_connections {
        settings.limits.connections = most;
    }
    Ok(settings)
}

fn portserver(
    arguments: &Serve,
    inherited: &Inherited,
) -> Result<Option<portserver::Settings>, Complaint> {
    let address = inherited.portserver_address();
    let Some(address) = address.or_else(|| arguments.portserver.clone()) else {
        return Ok(None);
    };
    let folder =
        runtime_folder().map_err(|error| cannot("keep the portserver's leases", &error))?;
    Ok(Some(portserver::Settings {
        address,
        ports: arguments.portserver_ports,
        runtime_folder: folder,
    }))
}

fn runtime(settings: &Settings) -> io::Result<Runtime> {
    let limits = &settings.limits;
    Builder::new_multi_thread()
        .enable_all()
        .thread_name("portbook")
        .max_blocking_threads(limits.changes + limits.questions)
        .build()
}

fn announce(server: &Server, output: &Output) -> io::Result<()> {
    let addresses = server.addresses();
    let portserver = server.portserver_address();
    if output.is_json() {
        let mut answer = serde_json::json!({ "listening": addresses });
        if let Some(address) = portserver {
            answer["portserver"] = address.into();
        }
        return output.answer_json(&answer);
    }
    let lines: Vec<String> = addresses
        .iter()
        .map(|address| format!("listening at {address}"))
        .chain(portserver.map(|address| format!("portserver at {address}")))
        .collect();
    output.answer(&lines.join("\n"))
}

fn cannot(what: &str, error: &io::Error) -> Complaint {
    Complaint::other("server", format!("the server cannot {what}: {error}"))
}
