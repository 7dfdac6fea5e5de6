//! What the book knows of a run.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::Value;

use crate::going::{Going, is_alive, send, wait_until};
use crate::kit::{Sandbox, each, free_stretch, ranges};

const WAIT: &str = "sys.stdin.read()";
const LISTEN: &str = "s = socket.create_server(('', int(os.environ['PORT'])))
print('listening', flush=True)
sys.stdin.read()";

/// The pid of the run that the book remembers of the app, by the last note.
fn noted(sandbox: &Sandbox) -> Option<u64> {
    let history = sandbox.json("history m 1");
    let notes = history.as_array().unwrap().iter();
    let last = notes
        .rev()
        .find(|change| change["change"] == "noted")
        .unwrap();
    last["notes"]["run"]["pid"].as_u64()
}

/// Real ports, of which other tests have others.
fn on_this_host() -> Sandbox {
    let sandbox = Sandbox::looking_at_host();
    sandbox.write("portbook.toml", ranges(free_stretch(8), 4));
    sandbox
}

fn host_in_use(sandbox: &Sandbox) -> Vec<Value> {
    let mut conflicts = sandbox.conflicts();
    conflicts.retain(|conflict| conflict["kind"] == "host-in-use");
    conflicts
}

#[test]
fn the_command_is_noted_while_it_runs() {
    let sandbox = Sandbox::new();
    let (going, pid) = Going::start(&sandbox, "m 1", WAIT);
    assert_eq!(noted(&sandbox), Some(u64::from(pid)));
    assert!(going.end().success());
    assert_eq!(noted(&sandbox), None);
    let told = sandbox.text("history m 1");
    assert!(told.contains(&format!("run by process {pid}")), "{told}");
}

#[test]
fn killed_portbook_leaves_the_command_and_the_truth_about_it() {
    let sandbox = on_this_host();
    let (mut going, pid) = Going::start(&sandbox, "m 1", LISTEN);
    assert_eq!(going.line(), "listening");
    send(going.pid(), Signal::KILL);
    wait_until("portbook is gone", || !is_alive(going.pid()));
    assert!(is_alive(pid), "the command went with portbook");
    assert_eq!(noted(&sandbox), Some(u64::from(pid)));
    assert_eq!(
        host_in_use(&sandbox),
        [] as [Value; 0],
        "it is the app's own"
    );
    // The next command takes its place once it is gone.
    let (beside, _) = Going::start(&sandbox, "m 1", WAIT);
    assert!(beside.end().success());
    assert_eq!(noted(&sandbox), Some(u64::from(pid)));
    going.end();
    wait_until("the command is gone", || !is_alive(pid));
    let (next, next_pid) = Going::start(&sandbox, "m 1", WAIT);
    assert_eq!(noted(&sandbox), Some(u64::from(next_pid)));
    next.end();
    assert_eq!(noted(&sandbox), None);
}

#[test]
fn a_second_command_runs_beside_the_first_and_says_so() {
    let sandbox = Sandbox::new();
    let (going, pid) = Going::start(&sandbox, "m 1", WAIT);
    let second = sandbox.run("run m 1 --release-on-exit -- echo migrated");
    assert_eq!(second.done().stdout, "migrated\n");
    let told = format!("m/app1 is run already by process {pid} (python3)");
    assert!(second.stderr.contains(&told), "{}", second.stderr);
    assert_eq!(noted(&sandbox), Some(u64::from(pid)));
    going.end();
    assert_eq!(sandbox.pair("get m 1"), (5001, 8001));
}

#[test]
fn many_that_begin_at_once_are_one_run_and_others_beside_it() {
    let sandbox = Sandbox::new();
    let started: Vec<(Going, u32)> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Going::start(&sandbox, "m 1", WAIT)))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let first = noted(&sandbox).unwrap();
    let (first, others): (Vec<_>, Vec<_>) = started
        .into_iter()
        .partition(|(_, pid)| u64::from(*pid) == first);
    others
        .into_iter()
        .for_each(|(going, _)| assert!(going.end().success()));
    assert_eq!(noted(&sandbox), Some(u64::from(first[0].1)));
    first
        .into_iter()
        .for_each(|(going, _)| assert!(going.end().success()));
    assert_eq!(noted(&sandbox), None);
}

#[test]
fn a_run_within_the_apps_run_is_part_of_it() {
    let sandbox = Sandbox::new();
    let script = "import subprocess
portbook = sys.argv[1]
inner = subprocess.run([portbook, 'run', 'm', '1', '--role', 'frontend', '--', 'sh', '-c', 'echo $PORT'], capture_output=True, text=True)
print(inner.stdout.strip(), inner.returncode, inner.stderr, flush=True)
sys.stdin.read()"
        .replace("sys.argv[1]", &format!("{:?}", sandbox.command().get_program()));
    let (mut going, pid) = Going::start(&sandbox, "m 1", &script);
    assert_eq!(going.line(), "8001 0");
    assert_eq!(noted(&sandbox), Some(u64::from(pid)));
    going.end();
    assert_eq!(noted(&sandbox), None);
}

#[test]
fn who_has_a_port_of_the_app_is_named_and_the_command_runs_all_the_same() {
    let sandbox = on_this_host();
    let (backend, _) = sandbox.pair("allocate m 1");
    let port = u16::try_from(backend).unwrap();
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let run = sandbox.run("run m 1 -- echo ran");
    assert_eq!(run.done().stdout, "ran\n");
    let told = format!("port {port}, the backend of m/app1, is in use on this host by");
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    assert_eq!(sandbox.run("run m 1 --quiet -- true").stderr, "");
    assert_eq!(sandbox.run("run m 1 --no-host-check -- true").stderr, "");
}

#[test]
fn a_daemon_that_the_command_leaves_is_the_apps_run_from_then_on() {
    let sandbox = on_this_host();
    let script = "
listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1), os.close(2)
        os.write(writer, str(os.getpid()).encode())
        sys.stdin.read()
    os._exit(0)
print(os.read(reader, 20).decode(), flush=True)";
    let (mut going, _) = Going::start(&sandbox, "m 1 --release-on-exit", script);
    let daemon: u32 = going.line().parse().unwrap();
    wait_until("portbook is gone", || !is_alive(going.pid()));
    assert!(is_alive(daemon));
    assert_eq!(noted(&sandbox), Some(u64::from(daemon)));
    assert_eq!(host_in_use(&sandbox), [] as [Value; 0]);
    assert!(going.end().success());
    wait_until("the daemon is gone", || !is_alive(daemon));
    // It was made for a run, so the next one with --release-on-exit may release it.
    sandbox.run("run m 1 --release-on-exit -- true").done();
    sandbox.run("get m 1").failed(1);
    let causes = sandbox.history();
    assert_eq!(
        each(&causes, "cause").last().unwrap().as_str(),
        Some("run-ended")
    );
}
