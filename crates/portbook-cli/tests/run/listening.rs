//! `--listen`: the sockets that the command is handed.

use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use crate::going::{Going, is_alive, send, wait_until};
use crate::kit::{Sandbox, free_stretch, ranges};

/// An app with real ports, of which other tests have others: its sandbox, its backend, its frontend.
pub(crate) fn with_ports() -> (Sandbox, u16, u16) {
    let sandbox = Sandbox::looking_at_host();
    sandbox.write("portbook.toml", ranges(free_stretch(8), 4));
    let (backend, frontend) = sandbox.pair("allocate m 1");
    let port = |port| u16::try_from(port).unwrap();
    (sandbox, port(backend), port(frontend))
}

/// Says what sd_listen_fds(3) promises, and which descriptors there are beyond those of the caller.
const LOOK: &str = "
print(os.environ['LISTEN_PID'] == str(os.getpid()), os.environ['LISTEN_FDS'], os.environ['LISTEN_FDNAMES'])
for fd in range(3, 3 + int(os.environ['LISTEN_FDS'])):
    s = socket.socket(fileno=fd)
    listens = s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    print(fd, s.getsockname()[1], listens, os.get_blocking(fd), os.get_inheritable(fd))
    s.detach()
sockets = [fd for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)]
print(sum(os.readlink('/proc/self/fd/' + fd).startswith('socket:') for fd in sockets), flush=True)";

#[test]
fn every_role_has_a_listening_socket_from_3_on() {
    let (sandbox, backend, frontend) = with_ports();
    let (mut going, _) = Going::start(&sandbox, "m 1 --listen", LOOK);
    assert_eq!(going.line(), "True 2 backend:frontend");
    assert_eq!(going.line(), format!("3 {backend} 1 True True"));
    assert_eq!(going.line(), format!("4 {frontend} 1 True True"));
    assert_eq!(going.line(), "2", "sockets besides those handed over");
    assert!(going.end().success());
    let (mut going, _) = Going::start(&sandbox, "m 1 --listen --role frontend", LOOK);
    assert_eq!(going.line(), "True 1 frontend");
    assert_eq!(going.line(), format!("3 {frontend} 1 True True"));
    going.end();
}

#[test]
fn what_the_caller_has_at_their_numbers_gives_way() {
    let (sandbox, backend, _) = with_ports();
    let mut shell = std::process::Command::new("bash");
    let script =
        "import os, socket; print(socket.socket(fileno=3).getsockname()[1], os.read(9, 9))";
    shell
        .args(["-c", "echo nine > nine; exec \"$0\" run m 1 --listen -- python3 -c \"$1\" 3< nine 4< nine 5< nine 9< nine"])
        .arg(sandbox.command().get_program())
        .arg(script);
    sandbox.furnish(&mut shell);
    let run = crate::kit::Run::of(shell);
    assert_eq!(run.done().stdout, format!("{backend} b'nine\\n'\n"));
}

#[test]
fn localhost_is_reached_by_both_families_and_nobody_else_can_bind() {
    let (sandbox, backend, _) = with_ports();
    let wait = "print('ready', flush=True); sys.stdin.read()";
    let (mut going, pid) = Going::start(&sandbox, "m 1 --listen", wait);
    assert_eq!(going.line(), "ready");
    for address in ["127.0.0.1", "::1"] {
        TcpStream::connect((address, backend)).unwrap();
    }
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::", "127.0.0.9"] {
        assert!(TcpListener::bind((address, backend)).is_err(), "{address}");
    }
    // Only the command has it open: with portbook killed, it goes with the command.
    send(going.pid(), Signal::KILL);
    wait_until("portbook is gone", || !is_alive(going.pid()));
    assert!(TcpListener::bind(("127.0.0.1", backend)).is_err());
    let conflicts = sandbox.run("check --json");
    assert_eq!(conflicts.done().json(), serde_json::json!([]));
    going.end();
    wait_until("the command is gone", || !is_alive(pid));
    TcpListener::bind(("::", backend)).unwrap();
}

#[test]
fn a_port_that_somebody_has_is_a_sentence_and_nothing_is_started() {
    let (sandbox, _, frontend) = with_ports();
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        let listener = TcpListener::bind((address, frontend)).unwrap();
        let run = sandbox.run("run m 1 --listen -- touch started");
        let holder = format!("(pid {}", std::process::id());
        let port = format!("port {frontend}, the frontend of m/app1");
        run.failed_saying(1, &[&port, &holder, "nothing was started"]);
        let error = sandbox
            .run("run m 1 --listen --json -- touch started")
            .error(1);
        assert_eq!(error["code"], "port-taken");
        drop(listener);
    }
    assert!(!sandbox.path("started").exists());
    sandbox.run("run m 1 --listen -- touch started").done();
    // The backend was free all the while.
    let _listener = TcpListener::bind(("127.0.0.1", frontend)).unwrap();
    sandbox
        .run("run m 1 --listen --role backend -- true")
        .done();
}

#[test]
fn an_app_made_for_a_run_that_cannot_listen_is_released() {
    let (sandbox, backend, _) = with_ports();
    sandbox.text("release m 1");
    sandbox.write(
        "port_config.json",
        format!(
            r#"[{{"model": "m", "app_number": 1, "backend_port": {backend}, "frontend_port": {}}}]"#,
            backend + 1
        ),
    );
    let _listener = TcpListener::bind(("127.0.0.1", backend)).unwrap();
    sandbox
        .run("run m 1 --listen --release-on-exit -- true")
        .ended(1);
    sandbox.run("get m 1").failed(1);
}

#[test]
fn an_address_can_be_named() {
    let (sandbox, backend, _) = with_ports();
    let name = "print(socket.socket(fileno=3).getsockname()[0], flush=True)";
    for (address, found) in [
        ("::", "::"),
        ("0.0.0.0", "0.0.0.0"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "::"),
    ] {
        let options = format!("m 1 --listen --bind {address}");
        let (mut going, _) = Going::start(&sandbox, &options, name);
        assert_eq!(going.line(), found);
        going.end();
    }
    sandbox
        .run("run m 1 --listen --bind 192.0.2.77 -- true")
        .failed_saying(2, &["192.0.2.77"]);
    sandbox
        .run("run m 1 --listen --bind nowhere -- true")
        .failed_saying(2, &["nowhere"]);
    sandbox.run("run m 1 --bind :: -- true").failed(2);
    TcpListener::bind(("::", backend)).unwrap();
}

#[test]
fn fd_says_the_numbers_in_variables_and_arguments() {
    let (sandbox, ..) = with_ports();
    let script = "echo $LISTEN_FD $BACKEND_FD $FRONTEND_FD $UVICORN_FD {fd} {backend_fd} {frontend_fd} {other}";
    let run = |how: &str| {
        let words = ["run", "m", "1", how, "--", "sh", "-c", script];
        sandbox.run_words(words).done().stdout.clone()
    };
    assert_eq!(run("--listen=fd"), "3 3 4 3 3 3 4 {other}\n");
    assert_eq!(run("--listen"), "{fd} {backend_fd} {frontend_fd} {other}\n");
}
