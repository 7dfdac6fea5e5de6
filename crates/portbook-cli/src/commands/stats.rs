//! `portbook stats`: how much is allocated, with bars.

use portbook::{PortAllocationService, Stats};

use super::{Answer, Ending};
use crate::output::{FAINT, GOOD, HEADING, NOTABLE, Output, counted};

const BAR: usize = 30;
/// From this share on a range or pool is nearly full.
const NEARLY_FULL: f64 = 0.9;

pub(crate) fn run(service: &PortAllocationService, output: &Output) -> Ending {
    let stats = service.stats()?;
    if output.is_json() {
        output.answer_json(&stats)?;
    } else {
        show(&stats, output)?;
    }
    Ok(Answer::Yes)
}

fn show(stats: &Stats, output: &Output) -> std::io::Result<()> {
    output.answer(&format!(
        "space {}: {HEADING}{}{HEADING:#} with {}, room for {} more\n",
        stats.space,
        counted(stats.allocations, "app"),
        counted(stats.ports, "port"),
        stats.free_slots
    ))?;
    let mut ranges = output.table(["RANGE", "PORTS", "USED", "FREE", ""]);
    for range in &stats.ranges {
        ranges.add_row([
            range.role.to_string(),
            format!("{}-{} step {}", range.base, range.max, range.step),
            range.used.to_string(),
            range.free.to_string(),
            bar(range.used, range.used + range.free),
        ]);
    }
    output.answer_table(ranges)?;
    if !stats.pools.is_empty() {
        output.answer("\n")?;
        let mut pools = output.table(["POOL", "PORTS", "USED", "FREE", ""]);
        for usage in &stats.pools {
            pools.add_row([
                usage.pool.name.to_string(),
                format!("{} for {}", usage.pool.ports, usage.pool.models),
                usage.used.to_string(),
                usage.free.to_string(),
                bar(usage.used, usage.used + usage.free),
            ]);
        }
        output.answer_table(pools)?;
    }
    if !stats.models.is_empty() {
        output.answer("\n")?;
        let most = stats
            .models
            .iter()
            .map(|model| model.apps)
            .max()
            .unwrap_or(0);
        let mut models = output.table(["MODEL", "APPS", ""]);
        for model in &stats.models {
            let apps = model.apps.to_string();
            let length = (model.apps * BAR).div_ceil(most.max(1));
            models.add_row([
                model.model.clone(),
                apps,
                format!("{GOOD}{}{GOOD:#}", "█".repeat(length)),
            ]);
        }
        output.answer_table(models)?;
    }
    Ok(())
}

/// `part` of `whole` as a bar; something is never drawn as nothing.
fn bar(part: usize, whole: usize) -> String {
    let filled = (part * BAR).div_ceil(whole.max(1)).min(BAR);
    let style = if part as f64 >= NEARLY_FULL * whole as f64 {
        NOTABLE
    } else {
        GOOD
    };
    let (full, empty) = ("█".repeat(filled), "░".repeat(BAR - filled));
    format!("{style}{full}{style:#}{FAINT}{empty}{FAINT:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_is_still_seen() {
        assert_eq!(bar(1, 30_000).matches('█').count(), 1);
        assert_eq!(bar(0, 30_000).matches('█').count(), 0);
        assert_eq!(bar(30_000, 30_000).matches('█').count(), BAR);
    }
}
