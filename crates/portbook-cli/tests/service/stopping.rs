//! How `portbook serve` ends: what it took is finished, and nothing more is taken.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::kit::Sandbox;
use crate::serving::Serving;

#[test]
fn a_request_under_way_is_answered_and_further_ones_are_refused() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, "");
    let api = sandbox.path("api");
    let mut under_way = UnixStream::connect(&api).unwrap();
    let body = r#"{"model":"model_a","app_num":1}"#;
    let head = format!(
        "POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    under_way.write_all(head.as_bytes()).unwrap();
    // The server says so once somebody waits for the body: the request has been taken.
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    serving.signal(Signal::TERM);
    while UnixStream::connect(&api).is_ok() {
        std::thread::yield_now();
    }
    under_way.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    assert!(serving.wait().success());
    assert!(sandbox.run("get model_a 1").status == 0, "it was made");
}
