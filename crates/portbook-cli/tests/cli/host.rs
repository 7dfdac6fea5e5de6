//! What this machine uses is not given out.

use std::net::{TcpListener, TcpStream, UdpSocket};

use crate::kit::{Listener, Run, Sandbox, free_stretch, ranges};

fn sandbox_at(port: u16, slots: u16) -> Sandbox {
    let sandbox = Sandbox::looking_at_host();
    sandbox.write("portbook.toml", ranges(port, slots));
    sandbox
}

#[test]
fn a_port_on_which_somebody_listens_is_passed_over() {
    let port = free_stretch(12);
    let _sockets = (
        TcpListener::bind(("0.0.0.0", port)).unwrap(),
        TcpListener::bind(("127.0.0.1", port + 2)).unwrap(),
        UdpSocket::bind(("127.0.0.1", port + 4)).unwrap(),
        // The frontend of a slot counts as its backend does.
        UdpSocket::bind(("0.0.0.0", port + 7)).unwrap(),
    );
    // A machine without IPv6 has no such listener.
    let _sixth = TcpListener::bind(("::1", port + 8));
    let sandbox = sandbox_at(port, 6);
    assert_eq!(
        sandbox.pair("allocate one 1"),
        (u64::from(port) + 10, u64::from(port) + 11)
    );
    sandbox
        .run("allocate one 2")
        .failed_saying(3, &["in use on this host"]);
    assert_eq!(
        sandbox.pair("allocate one 2 --no-host-check").0,
        u64::from(port)
    );
}

#[test]
fn an_explanation_names_the_process() {
    let port = free_stretch(4);
    let sandbox = sandbox_at(port, 2);
    let listener = Listener::start(port, sandbox.root());
    let explained = sandbox.json("allocate one 1 --explain");
    assert_eq!(explained["backend"], port + 2);
    let why = explained["explain"]["passed_over"][0]["why"]
        .as_str()
        .unwrap();
    for said in [
        "in use on this host",
        "python",
        &format!("pid {}", listener.pid()),
        sandbox.root().to_str().unwrap(),
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
}

#[test]
fn a_pin_on_a_port_in_use_is_refused_unless_the_host_is_not_asked() {
    let port = free_stretch(1);
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let sandbox = Sandbox::looking_at_host();
    let line = format!("allocate one 1 --ports backend={port}");
    sandbox.run(&line).failed_saying(
        1,
        &[&port.to_string(), "in use on this host", "--no-host-check"],
    );
    let mut by_variable = sandbox.command();
    by_variable
        .env("PORTBOOK_HOST_CHECK", "0")
        .args(line.split(' '));
    Run::of(by_variable).done();
}

#[test]
fn the_host_check_can_be_configured_off() {
    let port = free_stretch(2);
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let sandbox = Sandbox::looking_at_host();
    sandbox.write(
        "portbook.toml",
        format!("host_check = false\n{}", ranges(port, 1)),
    );
    assert_eq!(sandbox.pair("allocate one 1").0, u64::from(port));
}

#[test]
fn i4_a_promise_is_kept_though_the_port_is_in_use_and_a_note_says_so() {
    let port = free_stretch(2);
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let sandbox = Sandbox::looking_at_host();
    sandbox.write(
        "port_config.json",
        format!(
            r#"[{{"model": "one", "app_number": 1, "backend_port": {port}, "frontend_port": {}}}]"#,
            port + 1
        ),
    );
    let run = sandbox.run("allocate one 1 --json");
    assert_eq!(run.done().json()["backend"], port);
    for said in ["note:", &port.to_string(), "promised to one/app1", "in use"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}

#[test]
fn the_wait_after_a_connection_counts_as_free() {
    let port = free_stretch(2);
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    // Who closes first keeps the port in TIME_WAIT.
    drop(server);
    drop(listener);
    drop(client);
    assert_eq!(
        sandbox_at(port, 1).pair("allocate one 1").0,
        u64::from(port)
    );
}
