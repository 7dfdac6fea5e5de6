//! What the REST interface promises, asked of a server over real sockets.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portbook::wire::Right;
use portbook::{Configuration, Environment, Flags, PortAllocationService};
use portbook_server::{Inherited, Limits, NewToken, Server, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use ureq::http::StatusCode;

/// A server on a book of its own, which stops when it is dropped.
struct Running {
    folder: TempDir,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl Running {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags {
            store: Some(format!(
                "sqlite:{}",
                folder.path().join("book.db").display()
            )),
            no_host_check: true,
            ..Flags::default()
        };
        let environment = Environment::new(folder.path(), [("HOME", folder.path())]);
        let configuration = Configuration::load(&flags, &environment).unwrap();
        let service = PortAllocationService::open(&configuration).unwrap();
        let mut settings = Settings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..Settings::default()
        };
        change(&mut settings);
        let (told, tell) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let server = Server::bind(settings, Inherited::default(), service)
                    .await
                    .unwrap();
                told.send(server.addresses()[0].clone()).unwrap();
                server
                    .run(async {
                        let _ = stopped.await;
                    })
                    .await
            })
        });
        Self {
            folder,
            url: tell.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                agent.run(request.body(body.to_string()).unwrap()).unwrap()
            }
            None => agent.run(request.body(()).unwrap()).unwrap(),
        };
        let kind = response.headers().get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let text = response.body_mut().read_to_string().unwrap();
        Answer {
            status: response.status(),
            kind,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None, None)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, None, Some(body))
    }

    fn stop(&mut self) -> bool {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    kind: String,
    body: Value,
}

impl Answer {
    #[track_caller]
    fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// It is a problem of this status and code.
    #[track_caller]
    fn fails(self, status: u16, code: &str) -> Value {
        assert_eq!(self.kind, "application/problem+json", "{}", self.body);
        assert_eq!(self.body["code"], code, "{}", self.body);
        assert_eq!(self.body["status"], status, "{}", self.body);
        self.is(status)
    }
}

#[test]
fn an_app_gets_its_ports_keeps_them_and_gives_them_back() {
    let server = Running::start();
    let app = json!({ "model": "x-ai/grok-4", "app_num": 1 });
    let path = "/api/v1/allocations/x-ai%2Fgrok-4/1";
    server.get(path).fails(404, "not-found");
    let made = server.post("/api/v1/allocations", &app).is(201);
    assert_eq!(
        (&made["backend"], &made["created"]),
        (&json!(5001), &json!(true))
    );
    let again = server.post("/api/v1/allocations", &app).is(200);
    assert_eq!(
        (&again["backend"], &again["created"]),
        (&json!(5001), &json!(false))
    );
    assert_eq!(server.get(path).is(200)["frontend"], 8001);
    let several = json!({ "apps": [
        { "model": "m", "app_num": 1 }, { "model": "m", "app_num": 2 },
    ]});
    let records = server.post("/api/v1/allocations", &several).is(201);
    assert_eq!(records.as_array().unwrap().len(), 2);
    let released = server.ask("DELETE", path, None, None).is(200);
    assert_eq!(released["released"], true);
    let gone = server.ask("DELETE", path, None, None);
    gone.fails(404, "nothing-to-release");
    let history = server.get("/api/v1/history?last=1").is(200);
    assert_eq!(history[0]["by"], "127.0.0.1");
}

#[test]
fn the_list_comes_in_pages_that_leave_nothing_out() {
    let server = Running::start();
    let apps: Vec<Value> = (1..=7)
        .map(|number| json!({ "model": format!("m/{}", number % 3), "app_num": number }))
        .collect();
    server
        .post("/api/v1/allocations", &json!({ "apps": apps }))
        .is(201);
    let all = server.get("/api/v1/allocations").is(200);
    let mut read = Vec::new();
    let mut path = "/api/v1/allocations?limit=3".to_owned();
    loop {
        let response = ureq::get(format!("{}{path}", server.url)).call().unwrap();
        let link = response.headers().get("link");
        let link = link.map(|link| link.to_str().unwrap().to_owned());
        let page: Value =
            serde_json::from_str(&response.into_body().read_to_string().unwrap()).unwrap();
        read.extend(page.as_array().unwrap().clone());
        match link {
            Some(link) => path = link[1..link.find('>').unwrap()].to_owned(),
            None => break,
        }
    }
    assert_eq!(Value::Array(read), all);
    let some = server.get("/api/v1/allocations?model=m%2F1").is(200);
    assert_eq!(some.as_array().unwrap().len(), 3);
}

#[test]
fn what_nobody_knows_is_refused_with_what_was_meant() {
    let server = Running::start();
    let wrong = server.get("/api/v1/allocations?limt=3");
    assert_eq!(
        wrong.fails(400, "bad-request")["hint"],
        "did you mean `limit`?"
    );
    let wrong = server.post("/api/v1/allocations", &json!({ "modl": "m", "app_num": 1 }));
    assert_eq!(
        wrong.fails(400, "bad-request")["hint"],
        "did you mean `model`?"
    );
    server
        .get("/api/v1/allocations/m/0")
        .fails(400, "bad-app-number");
    server.get("/api/v1/nothing").fails(404, "no-such-path");
    server
        .ask("PATCH", "/api/v1/stats", None, None)
        .fails(405, "no-such-method");
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = agent.build().into();
    let text = agent
        .post(format!("{}/api/v1/allocations", server.url))
        .content_type("text/plain")
        .send("{}")
        .unwrap();
    assert_eq!(text.status().as_u16(), 415);
    let huge = json!({ "model": "m".repeat(2 << 20), "app_num": 1 });
    server
        .post("/api/v1/allocations", &huge)
        .fails(413, "too-large");
    let pin = json!({ "model": "m", "app_num": 1, "ports": { "backend": 7001 } });
    server.post("/api/v1/allocations", &pin).is(201);
    let taken = json!({ "model": "m", "app_num": 2, "ports": { "backend": 7001 } });
    server
        .post("/api/v1/allocations", &taken)
        .fails(409, "port-taken");
}

#[test]
fn an_import_is_planned_first_and_applied_when_asked() {
    let server = Running::start();
    let mut import = json!({ "entries": [
        { "model": "m", "app_number": 1, "backend_port": 6001, "frontend_port": 9001 },
    ]});
    assert_eq!(
        server.post("/api/v1/import", &import).is(200)["imported"],
        1
    );
    server
        .get("/api/v1/allocations/m/1")
        .fails(404, "not-found");
    import["apply"] = json!(true);
    server.post("/api/v1/import", &import).is(200);
    assert_eq!(
        server.get("/api/v1/allocations/m/1").is(200)["backend"],
        6001
    );
    import["entries"][0]["app_number"] = json!(2);
    server
        .post("/api/v1/import", &import)
        .fails(400, "bad-entries");
}

fn paths() -> Vec<(String, String)> {
    let document = serde_json::to_value(portbook_server::openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = paths.flat_map(|(path, methods)| {
        let path = path.replace("{model}", "m").replace("{app_num}", "1");
        let path = path.replace("{name}", "p");
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    methods.collect()
}

#[test]
fn every_route_wants_a_token_that_reaches_far_enough() {
    let tokens = tempfile::tempdir().unwrap();
    let file: PathBuf = tokens.path().join("tokens");
    let token = |name: &str, right| {
        let token = NewToken::make(name, right).unwrap();
        token.add_to(&file).unwrap();
        token.secret
    };
    let (reader, writer) = (token("reader", Right::Read), token("writer", Right::Write));
    let admin = token("admin", Right::Admin);
    let server = Running::with(|settings| settings.token_file = Some(file.clone()));
    let mut paths = paths();
    assert!(paths.len() > 15, "{paths:?}");
    paths.push(("GET".to_owned(), "/metrics".to_owned()));
    paths.push(("POST".to_owned(), portbook::wire::PATH.to_owned()));
    for (method, path) in paths {
        let ask = |token| {
            server.ask(
                &method,
                &path,
                token,
                (method == "POST").then_some(&json!({})),
            )
        };
        ask(None).fails(401, "unauthorized");
        ask(Some("pb_no_such_token")).fails(401, "unauthorized");
        if method == "GET" || path == portbook::wire::PATH {
            continue;
        }
        // To plan a repair or a cleanup is to look.
        if path.contains("repair") || path.contains("cleanup") {
            ask(Some(&reader)).is(200);
            let apply = json!({ "apply": true });
            for token in [&reader, &writer] {
                let answer = server.ask(&method, &path, Some(token), Some(&apply));
                answer.fails(403, "forbidden");
            }
            continue;
        }
        ask(Some(&reader)).fails(403, "forbidden");
        let is_admins = ["import", "pools"].iter().any(|name| path.contains(name));
        if is_admins {
            ask(Some(&writer)).fails(403, "forbidden");
        } else {
            let answer = ask(Some(&writer));
            assert!(![401, 403].contains(&answer.status.as_u16()), "{path}");
        }
        let answer = ask(Some(&admin));
        assert!(![401, 403].contains(&answer.status.as_u16()), "{path}");
    }
    for open in ["/health", "/ready", "/openapi.json", "/docs", "/"] {
        server.ask("GET", open, None, None).is(200);
    }
    let app = json!({ "model": "m", "app_num": 1 });
    let path = "/api/v1/allocations";
    server.ask("POST", path, Some(&writer), Some(&app)).is(201);
    let history = server.ask("GET", "/api/v1/history", Some(&reader), None);
    assert_eq!(history.is(200)[0]["by"], "token writer");
}

/// Sends bytes as they are, and gives the beginning of what comes back.
fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = vec![0; 512];
    let read = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[test]
fn pages_from_elsewhere_and_foreign_names_are_turned_away() {
    let server = Running::with(|settings| {
        settings.allowed_origins = vec!["https://ports.example".to_owned()];
    });
    let ask = |headers: &str| {
        let request =
            format!("GET /api/v1/stats HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
        raw(server.address(), &request)
    };
    let address = server.address();
    assert!(ask(&format!("Host: {address}")).starts_with("HTTP/1.1 200"));
    for foreign in [
        "Host: rebound.example".to_owned(),
        format!("Host: rebound.example:{}", address.port()),
        format!("Host: {address}\r\nOrigin: https://evil.example"),
        format!("Host: {address}\r\nOrigin: null"),
        format!("Host: {address}\r\nOrigin: http://127.0.0.1:1"),
    ] {
        assert!(ask(&foreign).starts_with("HTTP/1.1 403"), "{foreign}");
    }
    let own = ask(&format!("Host: {address}\r\nOrigin: http://{address}"));
    assert!(own.starts_with("HTTP/1.1 200") && !own.contains("access-control"));
    let named = ask(&format!("Host: {address}\r\nOrigin: https://ports.example"));
    assert!(named.contains("access-control-allow-origin: https://ports.example"));
}

#[test]
fn others_are_served_beside_hostile_connections() {
    let server = Running::with(|settings| {
        settings.limits = Limits {
            head: Duration::from_secs(1),
            upload: Duration::from_secs(1),
            ..Limits::default()
        };
    });
    let address = server.address();
    let idle: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut half: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for stream in &mut half {
        stream
            .write_all(b"POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-")
            .unwrap();
    }
    assert!(raw(address, "\u{1}\u{2}nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}",
        "x".repeat(1 << 20)
    );
    let _ = TcpStream::connect(address)
        .unwrap()
        .write_all(head.as_bytes());
    let slow = "POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    assert!(raw(address, slow).starts_with("HTTP/1.1 408"));
    for number in 1..=20 {
        let app = json!({ "model": "m", "app_num": number });
        server.post("/api/v1/allocations", &app).is(201);
    }
    // Those that never said anything are let go.
    let began = Instant::now();
    let mut first = &idle[0];
    first
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(first.read(&mut [0; 64]).unwrap_or(0), 0);
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_body_is_an_object_as_it_stands() {
    let server = Running::start();
    let path = "/api/v1/allocations";
    // The members in the order in which the code has them.
    let array = json!(["m", 1, null, [], {}, null, null, false, true]);
    server.post(path, &array).fails(400, "bad-request");
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let body = r#"{"model":"m","app_num":1}"#;
    let json = format!("Content-Type: application/json\r\nContent-Length: 25\r\n\r\n{body}");
    for (encoding, status) in [
        ("gzip", "415"),
        ("identity, gzip", "415"),
        ("identity", "201"),
    ] {
        let answer = raw(
            server.address(),
            &format!("{head}Content-Encoding: {encoding}\r\n{json}"),
        );
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[test]
fn a_list_that_cannot_be_imported_says_what_is_wrong_entry_by_entry() {
    let server = Running::start();
    let entries = json!([
        { "model": "m", "app_num": 1, "backend_port": 5001, "frontend_port": 8001 },
        { "model": "m", "app_num": 0, "backend_port": 5003, "frontend_port": 8003 },
    ]);
    let import = json!({ "entries": entries, "apply": true });
    let problem = server
        .post("/api/v1/import", &import)
        .fails(400, "bad-entries");
    let problems = problem["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problem}");
    assert!(
        problems[0]["message"].as_str().unwrap().contains('0'),
        "{problem}"
    );
    assert_eq!(server.get("/api/v1/allocations").is(200), json!([]));
}

#[test]
fn whoever_has_seen_more_than_the_book_has_is_told_to_begin_anew() {
    let server = Running::start();
    let app = json!({ "model": "m", "app_num": 1 });
    server.post("/api/v1/allocations", &app).is(201);
    let events = server.get("/api/v1/events?after=1000");
    events.fails(410, "ahead-of-the-book");
}

#[test]
fn a_client_that_still_sends_hears_why_its_body_is_refused() {
    let server = Running::with(|settings| {
        settings.limits.body = 1024;
        settings.limits.linger = Duration::from_secs(120);
    });
    let head = "POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let piece = "x".repeat(1 << 16);
    let said = format!("Content-Length: {}\r\n\r\n", 40 << 16);
    let chunk = format!("10000\r\n{piece}\r\n");
    for (length, piece) in [
        (said.as_str(), &piece),
        ("Transfer-Encoding: chunked\r\n\r\n", &chunk),
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(length.as_bytes()).unwrap();
        // Longer than the answer takes, and more than the sockets hold.
        for _ in 0..40 {
            stream.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("too-large"), "{answer}");
    }
}

#[test]
fn a_server_that_is_told_to_stop_waits_for_nobody_who_was_answered() {
    let mut server = Running::with(|settings| {
        settings.limits.linger = Duration::from_secs(120);
        settings.limits.farewell = Duration::from_secs(60);
    });
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(server.stop(), "it lingered for somebody who says nothing");
}

#[test]
fn changes_are_told_as_they_happen_whoever_makes_them() {
    let server = Running::start();
    let app = |number| json!({ "model": "m", "app_num": number });
    server.post("/api/v1/allocations", &app(1)).is(201);
    server.post("/api/v1/allocations", &app(2)).is(201);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let request = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut bytes = [0; 4096];
        while !heard.contains(what) {
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0, "the stream ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        heard.clone()
    };
    let missed = hear("id: 2\n");
    assert!(!missed.contains("id: 1\n"), "{missed}");
    // Another process's commit, as far as the server can tell.
    let flags = Flags {
        store: Some(format!(
            "sqlite:{}",
            server.folder.path().join("book.db").display()
        )),
        no_host_check: true,
        ..Flags::default()
    };
    let environment = Environment::new(server.folder.path(), [("HOME", server.folder.path())]);
    let other = PortAllocationService::open(&Configuration::load(&flags, &environment).unwrap());
    other.unwrap().get_or_allocate_ports("other", 1).unwrap();
    hear("id: 3\n");
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_it_took() {
    let mut server = Running::start();
    server.get("/ready").is(200);
    let events = TcpStream::connect(server.address()).unwrap();
    let mut writing = &events;
    writing
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    events
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(writing.read(&mut [0; 64]).unwrap() > 0);
    assert!(server.stop(), "something was not finished in time");
}

/// The document in `tests/openapi.json` is the one that the code makes. `PORTBOOK_GOLDEN=write` writes
/// it anew.
#[test]
fn the_openapi_document_is_the_one_that_was_agreed_on() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi.json");
    let made = portbook_server::openapi_document()
        .to_pretty_json()
        .unwrap()
        + "\n";
    if std::env::var_os("PORTBOOK_GOLDEN").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let agreed = std::fs::read_to_string(path).unwrap();
    assert!(
        agreed == made,
        "the interface changed: look at it, then run the test with PORTBOOK_GOLDEN=write"
    );
    assert!(made.contains("\"openapi\": \"3.1"));
}

#[test]
fn the_rules_of_the_server_are_told() {
    let server = Running::start();
    let rules = server.get("/api/v1/policy").is(200);
    assert_eq!(rules["roles"], json!(["backend", "frontend"]));
    assert_eq!(
        rules["ranges"][0],
        json!({ "role": "backend", "base": 5001, "step": 2, "max": 65535 })
    );
    let irc = json!({ "first": 6665, "last": 6669, "by": "browsers" });
    assert!(
        rules["blocked"].as_array().unwrap().contains(&irc),
        "{rules}"
    );
    assert_eq!(rules["reuse_delay"], "0s");
}

#[test]
fn conflicts_are_looked_for_in_what_happened_since_and_in_every_row() {
    let server = Running::start();
    let app = |number| json!({ "model": "m", "app_num": number });
    server
        .ask("POST", "/api/v1/allocations", None, Some(&app(1)))
        .is(201);
    assert_eq!(server.get("/api/v1/conflicts").is(200), json!([]));
    server
        .ask("POST", "/api/v1/allocations", None, Some(&app(2)))
        .is(201);
    server
        .ask("DELETE", "/api/v1/allocations/m/1", None, None)
        .is(200);
    assert_eq!(server.get("/api/v1/conflicts").is(200), json!([]));
    let book = rusqlite::Connection::open(server.folder.path().join("book.db")).unwrap();
    book.execute("UPDATE ports SET port = 7777 WHERE port = 5003", [])
        .unwrap();
    let found = server.get("/api/v1/conflicts").is(200);
    let kinds = found
        .as_array()
        .unwrap()
        .iter()
        .map(|conflict| &conflict["kind"]);
    assert!(kinds.clone().count() > 0, "{found}");
    assert!(kinds.clone().all(|kind| kind == "book-damaged"), "{found}");
    book.execute("UPDATE ports SET port = 5003 WHERE port = 7777", [])
        .unwrap();
    assert_eq!(server.get("/api/v1/conflicts").is(200), json!([]));
}
