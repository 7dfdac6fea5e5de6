//! (c) An allocation with 14,000 apps in the book against one with 100.

use std::path::Path;

use portbook::PortAllocationService;
use portbook_model::AllocationRequest;

use crate::harness::{
    Benchmark, Bound, Failure, HostCheck, Outcome, app, fill, median, service, timed,
};

const MANY: usize = 14_000;
const FEW: usize = 100;
const ROUNDS: usize = 15;
const PER_ROUND: usize = 100;

pub fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let many = book(&folder.path().join("many/portbook.db"), MANY)?;
    let few = book(&folder.path().join("few/portbook.db"), FEW)?;
    let (mut fresh_many, mut fresh_few) = (Vec::new(), Vec::new());
    let (mut again_many, mut again_few) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        fresh_few.push(timed(|| allocate_and_release_new(&few, round))?);
        fresh_many.push(timed(|| allocate_and_release_new(&many, round))?);
        again_few.push(timed(|| release_lowest_and_allocate(&few, round))?);
        again_many.push(timed(|| release_lowest_and_allocate(&many, round))?);
    }
    Ok(vec![
        Benchmark {
            what: format!("allocating a new app with {MANY} apps / with {FEW}"),
            ratio: median(fresh_many) / median(fresh_few),
            bound: Bound::AtMost(1.3),
        },
        Benchmark {
            what: format!("releasing the lowest and allocating with {MANY} apps / with {FEW}"),
            ratio: median(again_many) / median(again_few),
            bound: Bound::AtMost(1.3),
        },
    ])
}

fn book(path: &Path, apps: usize) -> Result<PortAllocationService, Failure> {
    let service = service(path, HostCheck::On)?;
    fill(&service, "bench/held", apps)?;
    Ok(service)
}

/// New apps at the top of the book, released again so that each round finds the same book.
fn allocate_and_release_new(service: &PortAllocationService, round: usize) -> Result<(), Failure> {
    let model = format!("bench/new-{round}");
    let apps = (1..=PER_ROUND)
        .map(|number| app(&model, number))
        .collect::<Result<Vec<_>, _>>()?;
    for app in &apps {
        service.allocate(&AllocationRequest::plain(vec![app.clone()]))?;
    }
    service.release(apps)?;
    Ok(())
}

/// The lowest slot is given back and given out again, to another app each time.
fn release_lowest_and_allocate(
    service: &PortAllocationService,
    round: usize,
) -> Result<(), Failure> {
    let mut lowest = match round {
        0 => app("bench/held", 1)?,
        _ => app(&format!("bench/lowest-{}", round - 1), PER_ROUND)?,
    };
    for number in 1..=PER_ROUND {
        service.release(vec![lowest])?;
        lowest = app(&format!("bench/lowest-{round}"), number)?;
        let grants = service.allocate(&AllocationRequest::plain(vec![lowest.clone()]))?;
        let backends: Vec<u16> = grants
            .iter()
            .flat_map(|grant| grant.allocation.ports.values().next())
            .map(|port| port.get())
            .collect();
        if backends != [5001] {
            return Err(format!("{lowest} got {backends:?} instead of the lowest slot").into());
        }
    }
    Ok(())
}
