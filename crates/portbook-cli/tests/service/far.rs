//! A server that is far away: spoken to by TLS, and not to be relied on. Whatever it does, the command
//! ends in time, with one sentence.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::{Run, Sandbox};
use crate::serving::Serving;

/// An authority with a certificate for 127.0.0.1.
struct Authority {
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let names = "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n";
        fs::write(folder.join("names"), names).unwrap();
        let openssl = |line: &str| {
            let run = Command::new("openssl")
                .args(line.split(' '))
                .current_dir(folder)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "{line}: {said}");
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
        ));
        openssl(&format!(
            "req {key} -keyout key.pem -out request.pem -subj /CN=portbook"
        ));
        openssl(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
        );
        Self {
            folder: folder.to_owned(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[test]
fn a_server_with_tls_is_asked_by_whoever_knows_its_authority_and_has_a_token() {
    let sandbox = Sandbox::new();
    let authority = Authority::new(&sandbox.path("tls"));
    let token = sandbox.text("token tester --scope write --file tokens");
    let mut command = sandbox.command();
    command
        .args("serve --listen 127.0.0.1:0 --token-file tokens --tls-cert tls/cert.pem --tls-key tls/key.pem".split(' '));
    let serving = Serving::of(command);
    assert!(serving.address.starts_with("https://127.0.0.1:"));
    let ask = |variables: &[(&str, &Path)]| {
        let mut command = sandbox.command();
        command
            .args(["allocate", "model_a", "1", "--store", &serving.address])
            .env("PORTBOOK_TOKEN", token.trim());
        for (name, value) in variables {
            command.env(name, value);
        }
        Run::of(command)
    };
    let trusts = |authority: &Authority| ask(&[("PORTBOOK_CA_FILE", &authority.file("ca.pem"))]);
    trusts(&authority).done();

    let unknown = ask(&[]);
    assert_eq!(unknown.status, 4);
    is_one_sentence(&unknown.stderr);
    assert!(unknown.stderr.contains("certificate"), "{}", unknown.stderr);

    let nobody = ask(&[
        ("PORTBOOK_CA_FILE", &authority.file("ca.pem")),
        ("PORTBOOK_TOKEN", Path::new("pb_another")),
    ]);
    assert_eq!(nobody.status, 4);
    assert!(nobody.stderr.contains("token"), "{}", nobody.stderr);

    let plain = serving.address.replace("https", "http");
    let plain = sandbox.run(&format!("get model_a 1 --store {plain}"));
    assert_eq!(plain.status, 4);
    is_one_sentence(&plain.stderr);

    // Another authority's certificate in the same place, taken up by a signal.
    let next = Authority::new(&sandbox.path("next"));
    for file in ["cert.pem", "key.pem"] {
        fs::copy(next.file(file), authority.file(file)).unwrap();
    }
    serving.signal(Signal::HUP);
    let begun = Instant::now();
    while trusts(&next).status != 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(trusts(&authority).status, 4);
    assert!(serving.stop().success());
}

/// Whoever may write may take back what it came to itself, and leaves nothing behind.
#[test]
fn a_token_for_writing_is_enough_to_give_back_what_came_to_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("portbook.toml", "[ranges.db]\nbase = 15001\n");
    let token = sandbox.text("token tester --scope write --file tokens");
    let mut command = sandbox.command();
    command.args("serve --listen 127.0.0.1:0 --token-file tokens".split(' '));
    let serving = Serving::of(command);
    let deep = vec!["d".repeat(200); 15].join("/");
    sandbox.write(&format!("template/{deep}/file"), "");
    let far = vec!["e".repeat(200); 8].join("/");
    let ask = |line: &str, status| {
        let mut command = sandbox.command();
        command
            .env("PORTBOOK_STORE", &serving.address)
            .env("PORTBOOK_TOKEN", token.trim())
            .args(line.split_whitespace());
        let run = Run::of(command);
        assert_eq!(run.status, status, "{line}: {}", run.stderr);
        run.stdout
    };
    ask(&format!("scaffold template {far} m 1"), 5);
    ask("run m 2 --release-on-exit -- true", 0);
    assert_eq!(ask("list --json", 0).trim(), "[]");
    ask("allocate m 3", 0);
    ask(&format!("scaffold template {far} m 3 --roles db"), 5);
    assert!(!ask("get m 3 --json", 0).contains("db"));
    assert!(serving.stop().success());
}

/// What somebody at a port does with whoever connects.
type Conduct = fn(TcpStream);

fn silence(mut stream: TcpStream) {
    // Until the other side has enough.
    let _ = stream.read_to_end(&mut Vec::new());
}

fn farewell(stream: TcpStream) {
    drop(stream);
}

fn nonsense(mut stream: TcpStream) {
    take_request(&mut stream);
    let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
}

fn a_page(mut stream: TcpStream) {
    take_request(&mut stream);
    let _ = stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>",
    );
}

fn half_an_answer(mut stream: TcpStream) {
    take_request(&mut stream);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"record\":");
}

/// A byte now and then, without an end.
fn drops(mut stream: TcpStream) {
    take_request(&mut stream);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while stream.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Goes just before it is given up, so that it is asked again.
fn late_farewell(mut stream: TcpStream) {
    take_request(&mut stream);
    std::thread::sleep(Duration::from_millis(1_600));
}

fn take_request(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
}

/// Somebody at a port, for as long as the test runs.
fn somebody(conduct: Conduct) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || conduct(stream));
        }
    });
    address
}

fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[track_caller]
fn is_one_sentence(stderr: &str) {
    let lines: Vec<_> = stderr.lines().collect();
    let (first, hints) = lines.split_first().unwrap();
    assert!(first.starts_with("portbook: "), "{stderr}");
    assert!(hints.len() <= 1, "{stderr}");
    assert!(!stderr.contains("os error"), "{stderr}");
}

#[test]
fn a_server_that_is_down_slow_or_lies_costs_one_sentence_and_no_more_time_than_was_given() {
    let sandbox = Sandbox::new();
    let servers = [
        ("nobody", nobody(), "book-unreachable", "book-unreachable"),
        (
            "silence",
            somebody(silence),
            "book-unreachable",
            "unconfirmed",
        ),
        (
            "farewell",
            somebody(farewell),
            "book-unreachable",
            "unconfirmed",
        ),
        ("nonsense", somebody(nonsense), "no-server", "no-server"),
        ("a page", somebody(a_page), "no-server", "no-server"),
        (
            "half an answer",
            somebody(half_an_answer),
            "book-unreachable",
            "unconfirmed",
        ),
        ("drops", somebody(drops), "book-unreachable", "unconfirmed"),
        (
            "late farewell",
            somebody(late_farewell),
            "book-unreachable",
            "unconfirmed",
        ),
    ];
    std::thread::scope(|scope| {
        for (who, address, asked, changed) in &servers {
            let sandbox = &sandbox;
            scope.spawn(move || {
                for (line, code) in [("get m 1", asked), ("allocate m 1", changed)] {
                    let said = asked_in_vain(sandbox, &format!("{line} --store {address}"));
                    is_one_sentence(&said);
                    assert!(said.contains(address.as_str()), "{who}: {said}");
                    let line = format!("{line} --store {address} --json");
                    let told = asked_in_vain(sandbox, &line);
                    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
                    assert_eq!(told["error"]["code"], **code, "{who} at {line}: {told}");
                }
            });
        }
    });
}

/// What a command says on standard error that gets no answer in the two seconds that it is given.
#[track_caller]
fn asked_in_vain(sandbox: &Sandbox, line: &str) -> String {
    let mut command = sandbox.command();
    command.args(line.split(' ')).env("PORTBOOK_TIMEOUT", "2s");
    let begun = Instant::now();
    let run = Run::of(command);
    // The rest is for a busy machine; a second try that had the whole time again would take 3.6 s.
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(3_500), "{line}: {took:?}");
    assert_eq!((run.status, run.stdout.as_str()), (4, ""), "{line}");
    run.stderr
}
