//! Many clients in several processes, all of whom want the lowest free ports of one space.

use std::process::{Command, Stdio};
use std::thread;

use portbook::{Configuration, Environment, Flags, PortAllocationService};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::{Value, json};

use crate::desk::Desk;

const PROCESSES: usize = 4;
const CLIENTS: usize = 16;
const APPS: u32 = 4;

const STORE: &str = "PORTBOOK_CONTENTION_STORE";
const HOME: &str = "PORTBOOK_CONTENTION_HOME";
const NUMBER: &str = "PORTBOOK_CONTENTION_NUMBER";

/// Sixty-four clients in four processes: every call is answered, and every answer holds.
pub(crate) fn nobody_is_refused(desk: &Desk) {
    let start = |number: usize| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "contention::is_one_of_the_processes",
                "--nocapture",
            ])
            .env(STORE, &desk.store)
            .env(HOME, desk.path(""))
            .env(NUMBER, number.to_string())
            .stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let processes: Vec<_> = (0..PROCESSES).map(start).collect();
    let mut answers: Vec<Value> = Vec::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{told}");
        // The harness writes its own words beside.
        let lines = told
            .lines()
            .filter_map(|line| Some(&line[line.find("{\"")?..]));
        answers.extend(lines.map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    assert_eq!(answers.len(), PROCESSES * CLIENTS * APPS as usize);
    desk.holds(&answers);
}

/// Does nothing when nobody told it to.
#[test]
fn is_one_of_the_processes() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    // Whatever becomes of the test, its thread's end is the end of this process.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let flags = Flags {
        store: Some(store),
        no_host_check: true,
        ..Flags::default()
    };
    let home = std::env::var(HOME).unwrap();
    let environment = Environment::new(&home, [("HOME", &home)]);
    let configuration = Configuration::load(&flags, &environment).unwrap();
    let service = PortAllocationService::open(&configuration).unwrap();
    let number = std::env::var(NUMBER).unwrap();
    let client = |client: usize| {
        let (service, model) = (&service, format!("client-{number}-{client}"));
        move || {
            for app in 1..=APPS {
                let pair = service.get_or_allocate_ports(&model, app).unwrap();
                let ports = json!({"backend": pair.backend, "frontend": pair.frontend});
                println!(
                    "{}",
                    json!({"model": model, "app_num": app, "ports": ports})
                );
            }
        }
    };
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            scope.spawn(client(number));
        }
    });
}
