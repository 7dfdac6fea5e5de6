//! `portbook serve` as the test's service manager: sockets handed over, and what it is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::kit::{Sandbox, free_stretch};
use crate::serving::Serving;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the service manager would read.
pub(crate) struct Told(UnixDatagram);

impl Told {
    pub(crate) fn listen(at: &Path) -> Self {
        let socket = UnixDatagram::bind(at).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    #[track_caller]
    fn next(&self) -> String {
        let mut bytes = [0; 1024];
        let length = self.0.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length])
            .trim_end()
            .to_owned()
    }

    /// What is told next but that the server lives.
    #[track_caller]
    pub(crate) fn next_news(&self) -> String {
        loop {
            let told = self.next();
            if told != "WATCHDOG=1" {
                return told;
            }
        }
    }
}

fn serve(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command();
    command
        .args(["serve", "--listen"])
        .arg(format!("unix:{}", sandbox.path("api").display()));
    command
}

#[test]
fn the_service_manager_is_told_of_readiness_of_life_and_of_the_end() {
    let sandbox = Sandbox::new();
    let notify = sandbox.path("notify");
    let told = Told::listen(&notify);
    let mut command = serve(&sandbox);
    command
        .env("NOTIFY_SOCKET", &notify)
        .env("WATCHDOG_USEC", "400000");
    let serving = Serving::of(command);
    assert_eq!(told.next_news(), "READY=1");
    assert_eq!(told.next(), "WATCHDOG=1");
    assert_eq!(told.next(), "WATCHDOG=1");
    serving.signal(Signal::TERM);
    assert_eq!(told.next_news(), "STOPPING=1");
    assert!(serving.wait().success());
}

/// The program behind systemd's own tool for handing sockets over, which starts it at the first connection.
fn activated(sandbox: &Sandbox, sockets: &[&str], names: &str) -> Command {
    let mut command = Command::new("systemd-socket-activate");
    sandbox.furnish(&mut command);
    for socket in sockets {
        command.arg("--listen").arg(socket);
    }
    command
        .arg(format!("--fdname={names}"))
        .args([
            "-E",
            "HOME",
            "-E",
            "XDG_DATA_HOME",
            "-E",
            "PORTBOOK_HOST_CHECK",
        ])
        .arg("-E")
        .arg(format!(
            "RUNTIME_DIRECTORY={}",
            sandbox.path("runtime").display()
        ))
        .arg(assert_cmd::cargo::cargo_bin!("portbook"))
        .arg("serve")
        .args(["--portserver-ports", "15000-15009"]);
    command
}

/// Connects as soon as somebody listens there.
fn connect(at: &Path) -> UnixStream {
    let begun = std::time::Instant::now();
    loop {
        match UnixStream::connect(at) {
            Ok(stream) => return stream,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ask_health(mut stream: impl Read + Write) -> String {
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn sockets_that_systemd_hands_over_are_served_and_stay_its_own() {
    let sandbox = Sandbox::new();
    let (api, portserver) = (sandbox.path("api"), sandbox.path("portserver"));
    let sockets = [api.to_str().unwrap(), portserver.to_str().unwrap()];
    let command = activated(&sandbox, &sockets, "api:portserver");
    let child = std::thread::scope(|scope| {
        // The connection that starts the server is answered by it.
        let first = scope.spawn(|| ask_health(connect(&api)));
        let mut serving = Serving::of(command);
        assert_eq!(serving.address, format!("unix:{}", api.display()));
        assert_eq!(
            serving.line(),
            format!("portserver at {}", portserver.display())
        );
        let answer = first.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serving
    });
    let mut client = UnixStream::connect(&portserver).unwrap();
    writeln!(client, "{}", std::process::id()).unwrap();
    let mut port = String::new();
    client.read_to_string(&mut port).unwrap();
    assert_eq!(port, "15000\n");
    assert!(child.stop().success());
    assert!(api.exists() && portserver.exists(), "they are systemd's");
}

#[test]
fn a_port_that_systemd_hands_over_is_served_instead_of_the_default() {
    let sandbox = Sandbox::new();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_stretch(1)));
    let command = activated(&sandbox, &[&address.to_string()], "api");
    let serving = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let begun = std::time::Instant::now();
            loop {
                match TcpStream::connect(address) {
                    Ok(stream) => return ask_health(stream),
                    Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let serving = Serving::of(command);
        let answer = first.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serving
    });
    assert_eq!(serving.address, format!("http://{address}"));
    assert!(serving.stop().success());
}
