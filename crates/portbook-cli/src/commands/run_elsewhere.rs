//! `portbook run` where there is no Linux.

use std::process::ExitCode;

use portbook::PortAllocationService;

use super::Ending;
use crate::arguments::Run;
use crate::output::{Complaint, Output};

/// Nobody is called to become a command.
pub(crate) fn become_command() -> Option<ExitCode> {
    None
}

pub(super) fn run(_: &Run, _: &PortAllocationService, _: &Output) -> Ending {
    let message = "`run` needs Linux: take the ports from `allocate --format env`".to_owned();
    Err(Complaint::not_run("unsupported", message, 5))
}
