//! Connections that mean no good, or none at all: others are served meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::asking::{Client, connect};
use crate::kit::Sandbox;
use crate::serving::Serving;

const IDLE: usize = 1000;
const OTHERS: usize = 60;
/// Far below what a server waits for any of them.
const SOON: Duration = Duration::from_secs(10);

/// A server that begins with fewer descriptors than there will be connections, as most do.
fn serve(sandbox: &Sandbox) -> Serving {
    let inner = sandbox.command();
    let mut command = Command::new("sh");
    sandbox.furnish(&mut command);
    command
        .args(["-c", "ulimit -Sn 1024 && exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(["serve", "--listen", "127.0.0.1:0"]);
    Serving::of(command)
}

/// What comes back for these bytes, as far as it comes in one piece.
fn told(url: &str, bytes: &[u8]) -> String {
    let mut stream = connect(url).unwrap();
    // The server may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = vec![0; 512];
    let read = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[test]
fn others_are_served_beside_a_thousand_idle_slow_half_closed_and_malformed_connections() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let sandbox = Sandbox::new();
    let serving = serve(&sandbox);
    let url = &serving.address;

    let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(url).unwrap()).collect();
    let head = b"POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n";
    let slow: Vec<TcpStream> = (0..3 * OTHERS)
        .map(|number| {
            let mut stream = connect(url).unwrap();
            match number % 3 {
                0 => stream.write_all(b"POST /api/v1/alloc").unwrap(),
                1 => stream.write_all(head).unwrap(),
                // Its head is whole, and so is nothing else.
                _ => stream
                    .write_all(&[&head[..], b"\r\n{\"model\":"].concat())
                    .unwrap(),
            }
            if number % 2 == 0 {
                stream.shutdown(Shutdown::Write).unwrap();
            }
            stream
        })
        .collect();

    let began = Instant::now();
    let mut client = Client::connect(url).unwrap();
    for number in 1..=20 {
        let (status, record) = client.allocate("model_a", number).unwrap();
        assert_eq!(status, 201, "{record}");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    for (bytes, status) in [
        (&b"\x01\x02nonsense\r\n\r\n"[..], "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "400"),
        (
            b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "403",
        ),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", "400"),
        (b"POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", "400"),
        (b"POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n", "413"),
        (b"POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n\xff\xfe", "400"),
        (b"GET /api/v1/allocations/%ff/1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        (b"GET /api/v1/allocations/..%2f..%2fetc/1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
    ] {
        let answer = told(url, bytes);
        let asked = String::from_utf8_lossy(bytes);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{asked}: {answer}");
    }
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}",
        "x".repeat(1 << 20)
    );
    let answer = told(url, long.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    let deep = format!(
        "POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{}",
        "[".repeat(100_000)
    );
    assert!(told(url, deep.as_bytes()).starts_with("HTTP/1.1 400"));
    assert_eq!(client.allocate("model_a", 1).unwrap().0, 200);
    drop((idle, slow));
    assert!(serving.stop().success());
}
