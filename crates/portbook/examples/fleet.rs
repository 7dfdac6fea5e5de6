//! A generator that makes apps by the hundred: each thread asks for the ports of the apps it writes.
//!
//! ```text
//! cargo run --release -p portbook --example fleet
//! ```

use std::collections::HashSet;
use std::thread;

use portbook::{Configuration, Environment, Error, Flags, PortAllocationService, PortPair};

const MODELS: [&str; 4] = [
    "openai/gpt-4",
    "x-ai/grok-4",
    "google/gemini-2.5-pro",
    "qwen/qwen3-8b",
];
const APPS: u32 = 30;

fn main() -> Result<(), Error> {
    let folder = std::env::temp_dir().join(format!("portbook-fleet-{}", std::process::id()));
    let flags = Flags {
        store: Some(format!("sqlite:{}", folder.join("portbook.db").display())),
        ..Flags::default()
    };
    let configuration = Configuration::load(&flags, &Environment::of_process())?;
    let service = PortAllocationService::open(&configuration)?;

    let pairs: Vec<PortPair> = thread::scope(|scope| {
        let writers = MODELS.map(|model| scope.spawn(|| write_apps(&service, model)));
        let pairs = writers.map(|writer| {
            writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        pairs.into_iter().collect::<Result<Vec<_>, _>>()
    })?
    .concat();

    let ports: HashSet<_> = pairs
        .iter()
        .flat_map(|pair| [pair.backend, pair.frontend])
        .collect();
    println!(
        "{} apps hold {} different ports; the first of each model:",
        pairs.len(),
        ports.len()
    );
    for pair in pairs.iter().filter(|pair| pair.app_num == 1) {
        println!(
            "  {}/app1: backend {}, frontend {}",
            pair.model, pair.backend, pair.frontend
        );
    }
    assert_eq!(ports.len(), 2 * pairs.len());

    drop(service);
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

fn write_apps(service: &PortAllocationService, model: &str) -> Result<Vec<PortPair>, Error> {
    (1..=APPS)
        .map(|app| service.get_or_allocate_ports(model, app))
        .collect()
}
