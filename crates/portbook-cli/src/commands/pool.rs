//! `portbook pool`: reserve stretches of ports for models.

use portbook::model::Pool;
use portbook::{PoolRecord, PortAllocationService};

use super::{Answer, Ending};
use crate::arguments::PoolCommand;
use crate::output::Output;

pub(crate) fn run(
    command: &PoolCommand,
    service: &PortAllocationService,
    output: &Output,
) -> Ending {
    match command {
        PoolCommand::List => list(service, output)?,
        PoolCommand::Add {
            name,
            ports,
            models,
        } => {
            let pool = Pool {
                name: name.clone(),
                ports: *ports,
                models: models.clone(),
            };
            let added = service.add_pool(pool.clone())?;
            let what = if added {
                "reserved"
            } else {
                "reserved already"
            };
            tell(&pool, what, output)?;
        }
        PoolCommand::Remove { name } => {
            let pool = service.remove_pool(name.clone())?;
            tell(&pool, "anybody's again", output)?;
        }
    }
    Ok(Answer::Yes)
}

fn tell(pool: &Pool, what: &str, output: &Output) -> std::io::Result<()> {
    if output.is_json() {
        return output.answer_json(&PoolRecord::of(pool));
    }
    output.answer(&format!(
        "pool {}: {} for {}: {what}",
        pool.name, pool.ports, pool.models
    ))
}

fn list(service: &PortAllocationService, output: &Output) -> Result<(), crate::output::Complaint> {
    let stats = service.stats()?;
    if output.is_json() {
        let pools: Vec<_> = stats.pools.iter().map(PoolRecord::of_use).collect();
        output.answer_json(&pools)?;
        return Ok(());
    }
    if stats.pools.is_empty() {
        output.note("there is no pool: `portbook pool add NAME FIRST-LAST MODELS` makes one");
        return Ok(());
    }
    let mut table = output.table(["POOL", "PORTS", "MODELS", "USED", "FREE"]);
    for usage in &stats.pools {
        table.add_row([
            usage.pool.name.to_string(),
            usage.pool.ports.to_string(),
            usage.pool.models.to_string(),
            usage.used.to_string(),
            usage.free.to_string(),
        ]);
    }
    output.answer_table(table)?;
    Ok(())
}
