//! `portbook renew`: move the end of a lease.

use portbook::{AllocationRecord, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments::Renew;
use crate::output::Output;

pub(crate) fn run(arguments: &Renew, service: &PortAllocationService, output: &Output) -> Ending {
    let app = super::here::app(&arguments.app, service)?;
    let allocation = service.renew(app, arguments.ttl)?;
    if output.is_json() {
        output.answer_json(&AllocationRecord::of(&allocation, service.space()))?;
    } else {
        super::get::table([(&allocation, "renewed".to_owned())].into_iter(), output)?;
    }
    Ok(Answer::Yes)
}
