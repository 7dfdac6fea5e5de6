//! Spans of a server's requests, taken by a collector that is the test's own.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what a helper of a test cannot have fails the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

#[path = "cli/kit.rs"]
#[allow(dead_code, reason = "the other tests of the command need more of it")]
mod kit;
#[path = "service/serving.rs"]
#[allow(dead_code, reason = "the tests of the service need more of it")]
mod serving;

use kit::Sandbox;
use serving::Serving;

/// The commands have the book themselves.
const KEEPER: kit::Keeper = kit::Keeper::Command;

/// What a collector was sent at once.
struct Export {
    head: String,
    body: Vec<u8>,
}

impl Export {
    fn says(&self, what: &[u8]) -> bool {
        self.body.windows(what.len()).any(|part| part == what)
    }
}

/// Takes one export and confirms it.
fn collect(collector: TcpListener) -> JoinHandle<Export> {
    std::thread::spawn(move || {
        let (stream, _) = collector.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let confirmed = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        reader.get_mut().write_all(confirmed).unwrap();
        Export { head, body }
    })
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_allocation_is_a_span_of_its_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let export = collect(collector);
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        // Nothing is due before the server stops, and it sends what it has before it ends.
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let serving = Serving::of(command);

    let body = r#"{"model":"m","app_num":1}"#;
    let answer = ask(
        &serving.address,
        &format!(
            "POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(serving.stop().success());

    let export = export.join().unwrap();
    assert!(
        export.head.starts_with("post /v1/traces "),
        "{}",
        export.head
    );
    let kind = "content-type: application/x-protobuf";
    assert!(export.head.contains(kind), "{}", export.head);
    for said in [
        "POST /api/v1/allocations",
        "http.response.status_code",
        "service.name",
        "portbook",
        "deployment.environment",
    ] {
        assert!(export.says(said.as_bytes()), "{said}");
    }
    let trace = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef].repeat(2);
    assert!(export.says(&trace), "it is no part of the caller's trace");
}
