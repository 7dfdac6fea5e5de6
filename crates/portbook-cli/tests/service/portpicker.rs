//! Google's portpicker, as PyPI has it, with `portbook serve` as its portserver.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use crate::installed;
use crate::kit::Sandbox;
use crate::serving::Serving;

/// A stretch that is no other test's, also not in a run beside this one.
fn stretch(number: u32, length: u32) -> (u32, String) {
    let first = 15_000 + std::process::id() % 90 * 100 + number * 40;
    (first, format!("{first}-{}", first + length - 1))
}

fn serve(sandbox: &Sandbox, address: &str, ports: &str) -> Serving {
    let options = format!("--portserver {address} --portserver-ports {ports}");
    let mut serving = Serving::start(sandbox, &options);
    assert_eq!(serving.line(), format!("portserver at {address}"));
    serving
}

fn a_path(sandbox: &Sandbox) -> String {
    sandbox.path("portserver").display().to_string()
}

fn an_abstract_name(sandbox: &Sandbox) -> String {
    format!("@{}", sandbox.path("portserver").display())
}

/// A process that asked portpicker for a port, and has it until it is dropped.
struct Picker {
    child: Child,
    port: Option<u32>,
}

/// Asks the portserver, and nothing else: portpicker would find a port by itself if there were no answer.
const PICK: &str = "
import os, portpicker, sys
print(portpicker.get_port_from_port_server(os.environ['PORTSERVER_ADDRESS']), flush=True)
sys.stdin.read()
";

impl Picker {
    fn start(address: &str) -> Child {
        Command::new(installed("bin/python"))
            .args(["-c", PICK])
            .env("PORTSERVER_ADDRESS", address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn with_answer(mut child: Child) -> Self {
        let mut line = String::new();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        answers.read_line(&mut line).unwrap();
        Self {
            child,
            port: line.trim_end().parse().ok(),
        }
    }
}

impl Drop for Picker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

#[track_caller]
fn each_process_has_its_own_until_it_is_gone(address: fn(&Sandbox) -> String, number: u32) {
    const MANY: u32 = 24;
    let sandbox = Sandbox::new();
    let (first, ports) = stretch(number, MANY);
    let address = address(&sandbox);
    let serving = serve(&sandbox, &address, &ports);

    let children: Vec<Child> = (0..MANY).map(|_| Picker::start(&address)).collect();
    let mut pickers: Vec<Picker> = children.into_iter().map(Picker::with_answer).collect();
    let given: BTreeSet<u32> = pickers.iter().filter_map(|picker| picker.port).collect();
    assert_eq!(given, (first..first + MANY).collect());

    let one_more = Picker::with_answer(Picker::start(&address));
    assert_eq!(one_more.port, None, "all have somebody who runs");
    let gone = pickers.remove(7);
    let free = gone.port;
    drop(gone);
    let next = Picker::with_answer(Picker::start(&address));
    assert_eq!(next.port, free);
    assert!(serving.stop().success());
}

#[test]
fn processes_that_ask_at_a_path_have_each_its_own_port_until_they_are_gone() {
    each_process_has_its_own_until_it_is_gone(a_path, 0);
}

#[test]
fn processes_that_ask_at_an_abstract_name_have_each_its_own_port_until_they_are_gone() {
    each_process_has_its_own_until_it_is_gone(an_abstract_name, 1);
}

#[test]
fn an_app_never_gets_a_port_of_the_portservers() {
    let sandbox =
        Sandbox::configured("[ranges]\nbackend = { base = 15000, step = 1, max = 20000 }\n");
    let address = a_path(&sandbox);
    let serving = serve(&sandbox, &address, "15000-15099");
    assert_eq!(sandbox.pair("allocate model_a 1").0, 15_100);
    assert!(serving.stop().success());
    let again = sandbox.pair("allocate model_a 2").0;
    assert_eq!(again, 15_101, "processes outlive the server");
}

#[test]
fn what_it_gave_out_and_what_it_did_not_is_counted() {
    let sandbox = Sandbox::new();
    let address = a_path(&sandbox);
    let serving = serve(&sandbox, &address, "15100-15109");
    let own = format!("{}\n", std::process::id());
    for request in [own.as_str(), "999999999\n", "nonsense\n"] {
        let mut client = UnixStream::connect(&address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
    }
    let mut client = UnixStream::connect(sandbox.path("api")).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request).unwrap();
    let mut figures = String::new();
    client.read_to_string(&mut figures).unwrap();
    for outcome in ["leased", "denied", "malformed"] {
        let line = format!("portbook_portserver_requests_total{{outcome=\"{outcome}\"}} 1\n");
        assert!(figures.contains(&line), "{line}: {figures}");
    }
    assert!(serving.stop().success());
}

/// Its own tests, against this portserver in place of its own.
#[test]
fn the_tests_of_portpicker_pass() {
    let tests = installed("portpicker-1.6.0/src/tests");
    for (number, address) in [a_path as fn(&Sandbox) -> String, an_abstract_name]
        .into_iter()
        .enumerate()
    {
        let sandbox = Sandbox::looking_at_host();
        let address = address(&sandbox);
        let ports = format!("{}000-{}999", 25 + number, 25 + number);
        let serving = serve(&sandbox, &address, &ports);
        let run = Command::new(installed("bin/python"))
            .args(["-m", "unittest", "-v", "portpicker_test"])
            .current_dir(&tests)
            .env("PORTSERVER_ADDRESS", &address)
            .output()
            .unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success(), "{said}");
        assert!(!said.contains("skipped 'no existing port server"), "{said}");
        assert!(serving.stop().success());
    }
}
