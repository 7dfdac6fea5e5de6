//! Servers that nobody here wrote, handed their port, while a stranger tries to take it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::going::Going;
use crate::kit::Sandbox;
use crate::listening::with_ports;

/// A server of the virtual environment that `scripts/test-servers` makes.
fn installed(server: &str) -> String {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-servers/bin");
    let path = place.join(server);
    assert!(
        path.exists(),
        "{} is missing: run scripts/test-servers",
        path.display()
    );
    path.to_str().unwrap().to_owned()
}

const APP: &str = "
def wsgi(environ, start):
    start('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello from wsgi']

async def asgi(scope, receive, send):
    if scope['type'] != 'http':
        raise NotImplementedError
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'hello from asgi'})
";

fn sandbox_with_app() -> (Sandbox, u16) {
    let (sandbox, backend, _) = with_ports();
    sandbox.write("app.py", APP);
    (sandbox, backend)
}

/// A request that is under way.
struct Request(TcpStream);

impl Request {
    #[track_caller]
    fn send(address: &str, port: u16) -> Self {
        let mut stream = TcpStream::connect((address, port)).unwrap();
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        Self(stream)
    }

    #[track_caller]
    fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }
}

/// Tries to bind the port at every address until told to stop; how often.
fn try_to_take(port: u16, is_over: &AtomicBool) -> usize {
    let mut tries = 0;
    while !is_over.load(Ordering::Relaxed) {
        for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
            match TcpListener::bind((address, port)) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
                Ok(_) => panic!("a stranger got port {port} at {address} after {tries} tries"),
            }
            tries += 1;
        }
    }
    tries
}

/// Starts the server, which answers with this text, and stops it. From before it starts until it is told
/// to stop, a stranger tries to bind its port.
#[track_caller]
fn serves(sandbox: &Sandbox, port: u16, options: &str, server: &str, text: &str) {
    let options = format!("m 1 --role backend {options}");
    let script = format!("echo bound; read go; exec {server}");
    let mut going = Going::command(sandbox, &options, &["sh", "-c", &script]);
    assert_eq!(going.line(), "bound");
    let is_over = AtomicBool::new(false);
    let tries = std::thread::scope(|scope| {
        let stranger = scope.spawn(|| try_to_take(port, &is_over));
        // The server is not there yet, and nobody is turned away.
        let early = Request::send("127.0.0.1", port);
        going.tell("go");
        let answers = [
            early.answer(),
            Request::send("127.0.0.1", port).answer(),
            Request::send("::1", port).answer(),
        ];
        is_over.store(true, Ordering::Relaxed);
        for answer in answers {
            assert!(answer.contains(text), "{answer}");
        }
        stranger.join().unwrap()
    });
    assert!(tries > 100, "{tries}");
    assert_eq!(
        sandbox.run("check --json").done().json(),
        serde_json::json!([])
    );
    going.send(Signal::TERM);
    going.end();
    TcpListener::bind(("0.0.0.0", port)).unwrap();
}

#[test]
fn gunicorn_takes_its_socket() {
    let (sandbox, port) = sandbox_with_app();
    let server = format!("{} app:wsgi", installed("gunicorn"));
    serves(&sandbox, port, "--listen", &server, "hello from wsgi");
}

#[test]
fn uvicorn_takes_its_socket_by_variable_and_by_placeholder() {
    let (sandbox, port) = sandbox_with_app();
    let server = format!("{} app:asgi", installed("uvicorn"));
    serves(&sandbox, port, "--listen=fd", &server, "hello from asgi");
    let server = format!("env -u UVICORN_FD {server} --fd {{fd}}");
    serves(&sandbox, port, "--listen=fd", &server, "hello from asgi");
}

#[test]
fn hypercorn_takes_its_socket_by_placeholder() {
    let (sandbox, port) = sandbox_with_app();
    let server = format!("{} --bind fd://{{fd}} app:asgi", installed("hypercorn"));
    serves(&sandbox, port, "--listen=fd", &server, "hello from asgi");
}

#[test]
fn flask_takes_its_socket() {
    let (sandbox, port) = sandbox_with_app();
    sandbox.write(
        "flasks.py",
        "from flask import Flask\napp = Flask(__name__)\napp.get('/')(lambda: 'hello from flask')\n",
    );
    let server = format!("{} --app flasks run", installed("flask"));
    serves(&sandbox, port, "--listen=fd", &server, "hello from flask");
}

#[test]
fn node_takes_its_socket() {
    let (sandbox, port) = sandbox_with_app();
    sandbox.write(
        "server.js",
        "require('http').createServer((_, answer) => answer.end('hello from node'))\n\
         .listen({ fd: Number(process.env.LISTEN_FD || 3) });\n",
    );
    serves(
        &sandbox,
        port,
        "--listen=fd",
        "node server.js",
        "hello from node",
    );
    serves(
        &sandbox,
        port,
        "--listen",
        "node server.js",
        "hello from node",
    );
}
