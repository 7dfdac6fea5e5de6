//! `portbook release`: give ports back.

use portbook::model::{AppKey, Ports};
use portbook::{Error, PortAllocationService};
use serde::Serialize;

use super::{Answer, Ending};
use crate::arguments::SeveralApps;
use crate::output::Output;

#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    app: &'a AppKey,
    released: bool,
    ports: Option<&'a Ports>,
}

pub(crate) fn run(
    arguments: &SeveralApps,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let apps = arguments.apps.of(&arguments.model);
    let is_one = apps.len() == 1;
    let released = service.release(apps)?;
    if released.iter().all(|(_, ports)| ports.is_none()) {
        let apps = released.into_iter().map(|(app, _)| app).collect();
        return Err(Error::NothingToRelease(apps).into());
    }
    let records: Vec<Record<'_>> = released
        .iter()
        .map(|(app, ports)| Record {
            app,
            released: ports.is_some(),
            ports: ports.as_ref(),
        })
        .collect();
    match records.as_slice() {
        [record] if is_one && output.is_json() => output.answer_json(record)?,
        records if output.is_json() => output.answer_json(&records)?,
        records => output.answer(&sentences(records))?,
    }
    Ok(Answer::Yes)
}

fn sentences(records: &[Record<'_>]) -> String {
    let sentence = |record: &Record<'_>| match record.ports {
        Some(ports) => {
            let ports: Vec<String> = ports.values().map(ToString::to_string).collect();
            format!("released {} of {}\n", ports.join(", "), record.app)
        }
        None => format!("{} had no ports\n", record.app),
    };
    records.iter().map(sentence).collect()
}
