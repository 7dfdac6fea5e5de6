//! `portbook release`: give ports back.

use portbook::{Error, PortAllocationService, ReleaseRecord};

use super::{Answer, Ending};
use crate::arguments::SeveralAppsOrHere;
use crate::output::Output;

pub(crate) fn run(
    arguments: &SeveralAppsOrHere,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    let apps = match super::here::apps(arguments) {
        Some(apps) => apps,
        None => vec![service.here(&super::here::checkout()?)?],
    };
    let is_one = apps.len() == 1;
    let released = service.release(apps)?;
    if released.iter().all(|(_, ports)| ports.is_none()) {
        let apps = released.into_iter().map(|(app, _)| app).collect();
        return Err(Error::NothingToRelease(apps).into());
    }
    let records: Vec<ReleaseRecord> = released.iter().map(ReleaseRecord::of).collect();
    match records.as_slice() {
        [record] if is_one && output.is_json() => output.answer_json(record)?,
        records if output.is_json() => output.answer_json(&records)?,
        records => output.answer(&sentences(records))?,
    }
    Ok(Answer::Yes)
}

fn sentences(records: &[ReleaseRecord]) -> String {
    let sentence = |record: &ReleaseRecord| match &record.ports {
        Some(ports) => {
            let ports: Vec<String> = ports.values().map(ToString::to_string).collect();
            format!("released {} of {}\n", ports.join(", "), record.app)
        }
        None => format!("{} had no ports\n", record.app),
    };
    records.iter().map(sentence).collect()
}
