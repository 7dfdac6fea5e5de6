//! portbook as tools of coding agents: a Model Context Protocol server on standard input and output.
//!
//! | question | file |
//! | --- | --- |
//! | which tools are there, and what are they called | `agent.rs` |
//! | what may a tool be asked | `questions.rs` |
//! | what does a tool answer | `answers.rs` |
//! | which apps are the agent's to release | `belonging.rs` |
//!
//! The protocol is <https://modelcontextprotocol.io>; all of it is the official library's.

mod agent;
mod answers;
mod belonging;
mod questions;

use portbook::model::{Actor, ModelPattern};
use portbook::{Checkout, PortAllocationService};
use rmcp::ServiceExt;

use crate::agent::Agent;

/// Whose tools they are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the agent works on; `None` where that cannot be told: then it names its apps.
    pub checkout: Option<Checkout>,
    /// The models whose apps are the agent's, besides what it allocates itself.
    pub own: Vec<ModelPattern>,
}

/// The agent could not be served.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// It did not speak the protocol.
    #[error("the agent did not greet as the Model Context Protocol has it: {0}")]
    Greeting(String),
    /// The server broke off.
    #[error("the tools' server broke off: {0}")]
    BrokenOff(String),
}

/// Serves one agent on standard input and output, until it closes them.
pub async fn serve(service: PortAllocationService, settings: Settings) -> Result<(), McpError> {
    let service = service.on_behalf_of(actor());
    let agent = Agent::new(service, settings);
    let running = agent.serve(rmcp::transport::stdio()).await;
    let running = match running {
        Ok(running) => running,
        // Whoever closes the connection before a word was said wanted nothing.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(McpError::Greeting(error.to_string())),
    };
    let ended = running.waiting().await;
    ended.map_err(|error| McpError::BrokenOff(error.to_string()))?;
    Ok(())
}

/// How the history tells of what an agent does.
fn actor() -> Actor {
    format!("agent (portbook mcp, pid {})", std::process::id()).into()
}
