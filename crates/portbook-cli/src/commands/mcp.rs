//! `portbook mcp`: the book as tools of a coding agent.

use portbook::PortAllocationService;
use portbook_mcp::Settings;
use tokio::runtime::Builder;

use super::{Answer, Ending};
use crate::arguments::Mcp;
use crate::output::{Complaint, Output};

pub(crate) fn run(arguments: &Mcp, service: PortAllocationService, output: &Output) -> Ending {
    let checkout = super::here::checkout();
    if let Err(error) = &checkout {
        output.note(&format!("{error}: the agent has to name its apps"));
    }
    let settings = Settings {
        checkout: checkout.ok(),
        own: arguments.own.clone(),
    };
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .thread_name("portbook")
        .build()?;
    let served = runtime.block_on(portbook_mcp::serve(service, settings));
    // A read of standard input that nobody answers any more does not hold the end up.
    runtime.shutdown_background();
    match served {
        Ok(()) => Ok(Answer::Yes),
        Err(error) => Err(Complaint::other("mcp", error.to_string())),
    }
}
