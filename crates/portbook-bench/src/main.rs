//! portbook's benchmarks.
//!
//! Each measures portbook and a floor or a peer in one run, turn by turn, and prints the ratio of the
//! medians: absolute times say more of the machine than of portbook. `BENCHMARKS.md` names the bound
//! that each ratio has to keep.
//!
//! ```text
//! cargo build --release --workspace && target/release/portbook-bench all
//! ```
//!
//! Exit status: 0 every bound was kept, 1 one was missed, 3 something failed.

mod cluster;
mod database;
mod durable;
mod fairness;
mod full_book;
mod harness;
mod http;
mod peers;
mod process;
mod scaffold;
mod server;
mod serving;
mod validate;

use std::process::ExitCode;

use harness::{Benchmark, Outcome};

type Run = fn() -> Outcome;

const BENCHMARKS: [(&str, Run); 10] = [
    ("durable", durable::one_caller),
    ("shared", durable::sixty_four_callers),
    ("full-book", full_book::run),
    ("process", process::run),
    ("fairness", fairness::run),
    ("postgres", database::run),
    ("etcd", cluster::run),
    ("scaffold", scaffold::run),
    ("validate", validate::run),
    ("server", server::run),
];

/// What has to be asked for by name, since it wants programs that `scripts/test-servers` installs.
const BY_NAME: [(&str, Run); 1] = [("peers", peers::run)];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == fairness::WORKER {
        return fairness::work();
    }
    let chosen: Vec<_> = BENCHMARKS
        .iter()
        .filter(|_| wanted == "all")
        .chain(
            BENCHMARKS
                .iter()
                .chain(&BY_NAME)
                .filter(|(name, _)| wanted == *name),
        )
        .collect();
    if chosen.is_empty() {
        let names = BENCHMARKS.map(|(name, _)| name).join("|");
        let by_name = BY_NAME.map(|(name, _)| name).join("|");
        eprintln!("usage: portbook-bench all|{names}|{by_name}");
        return ExitCode::from(2);
    }
    let (mut kept, mut failed) = (true, false);
    for (name, run) in chosen {
        match run() {
            Ok(benchmarks) => {
                for Benchmark { what, ratio, bound } in benchmarks {
                    let verdict = if bound.holds(ratio) { "kept" } else { "MISSED" };
                    kept &= bound.holds(ratio);
                    println!("{name:10} {what}: {ratio:.2} ({bound}: {verdict})");
                }
            }
            Err(error) => {
                failed = true;
                println!("{name:10} failed: {error}");
            }
        }
    }
    match (failed, kept) {
        (true, _) => ExitCode::from(3),
        (false, false) => ExitCode::from(1),
        (false, true) => ExitCode::SUCCESS,
    }
}
