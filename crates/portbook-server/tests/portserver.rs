//! The portserver as clients that nobody here wrote see it.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::JoinHandle;

use portbook::model::{AllocationRequest, AppKey, Model, Port, PortStretch};
use portbook::{Configuration, Environment, Error, Flags, PortAllocationService};
use portbook_server::portserver::{Address, Portserver, PortserverError, Settings};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A stretch that the tests of one process share with nobody: each test has its own hundred.
fn stretch(number: i64, length: i64) -> PortStretch {
    let first = 20_000 + i64::from(std::process::id() % 80) * 100 + number * 20;
    let port = |number| Port::try_from(number).unwrap();
    PortStretch::new(port(first), port(first + length - 1)).unwrap()
}

struct Served {
    folder: TempDir,
    settings: Settings,
    service: PortAllocationService,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(ports: PortStretch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Path(folder.path().join("portserver"));
        let service = service(folder.path());
        let settings = Settings {
            address,
            ports,
            runtime_folder: folder.path().join("run"),
        };
        let mut served = Self {
            folder,
            settings,
            service,
            stop: None,
            thread: None,
        };
        served.resume();
        served
    }

    fn resume(&mut self) {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (settings, service) = (self.settings.clone(), self.service.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Portserver::open(&settings, None, service).unwrap();
                ready.send(()).unwrap();
                server
                    .run(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
        });
        is_ready.recv().unwrap();
        self.stop = Some(stop);
        self.thread = Some(thread);
    }

    fn pause(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    fn socket(&self) -> PathBuf {
        match &self.settings.address {
            Address::Path(path) => path.clone(),
            Address::Abstract(_) => unreachable!("a path was given"),
        }
    }

    /// What the server answers to these bytes.
    fn says(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        // Where more was said than is read, the kernel ends the connection with a reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn lease(&self, process: &Sleeper) -> Option<u16> {
        let answer = self.says(format!("{}\n", process.0.id()).as_bytes());
        answer.strip_suffix('\n').map(|port| port.parse().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.pause();
    }
}

fn service(folder: &Path) -> PortAllocationService {
    let flags = Flags {
        store: Some(format!("sqlite:{}", folder.join("portbook.db").display())),
        ..Flags::default()
    };
    let configuration = Configuration::load(&flags, &Environment::of_process()).unwrap();
    PortAllocationService::open(&configuration).unwrap()
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Sleeper(Command::new("sleep").arg("600").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn many_clients_at_once_get_ports_of_the_pool_each_its_own() {
    let served = Served::start(stretch(0, 20));
    let sleeper = Sleeper::start();
    let mut ports: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| served.lease(&sleeper)))
            .collect();
        let answers = clients
            .into_iter()
            .map(|client| client.join().unwrap().unwrap());
        answers.collect()
    });
    ports.sort_unstable();
    let pool: Vec<u16> = served.settings.ports.ports().map(Port::get).collect();
    assert_eq!(ports, pool);
    assert_eq!(served.lease(&sleeper), None, "a port was given out twice");
}

#[test]
fn leases_stand_after_the_server_was_started_anew() {
    let mut served = Served::start(stretch(1, 3));
    let sleeper = Sleeper::start();
    let held = served.lease(&sleeper).unwrap();
    served.pause();
    assert!(
        !served.socket().exists(),
        "the socket's file was left behind"
    );
    served.resume();
    let others: Vec<u16> = std::iter::from_fn(|| served.lease(&sleeper)).collect();
    assert_eq!(others.len(), 2);
    assert!(!others.contains(&held));
}

#[test]
fn a_port_that_the_host_uses_is_passed_over() {
    let served = Served::start(stretch(2, 2));
    let first = served.settings.ports.first().get();
    let _stranger = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let sleeper = Sleeper::start();
    assert_eq!(served.lease(&sleeper), Some(first + 1));
    assert_eq!(served.lease(&sleeper), None);
}

#[test]
fn no_app_gets_a_port_of_the_pool_and_no_process_one_of_an_app() {
    let folder = tempfile::tempdir().unwrap();
    let ports = stretch(3, 4);
    let early = service(folder.path());
    let app = |number: &str| AppKey::new(Model::new("early").unwrap(), number.parse().unwrap());
    let pins = |first: Port, second: Port| AllocationRequest {
        pins: [("backend", first), ("frontend", second)]
            .map(|(role, port)| (role.parse().unwrap(), port))
            .into(),
        ..AllocationRequest::plain(vec![app("1")])
    };
    let [first, second, third, fourth] = ports.ports().collect::<Vec<_>>()[..] else {
        unreachable!("four ports");
    };
    early.allocate(&pins(first, second)).unwrap();

    let mut served = Served::start(stretch(4, 1));
    served.pause();
    served.folder = folder;
    served.service = early;
    served.settings.ports = ports;
    served.resume();
    let sleeper = Sleeper::start();
    let leased: Vec<u16> = std::iter::from_fn(|| served.lease(&sleeper)).collect();
    assert_eq!(leased, [third.get(), fourth.get()]);
    let refused = served.service.allocate(&AllocationRequest {
        apps: vec![app("2")],
        ..pins(third, fourth)
    });
    assert!(
        matches!(&refused, Err(Error::Refused(refusal)) if refusal.to_string().contains("portserver")),
        "{refused:?}"
    );
}

#[test]
fn what_is_no_request_gets_no_answer_and_keeps_nobody_waiting() {
    let served = Served::start(stretch(4, 10));
    let _silent: Vec<UnixStream> = (0..50)
        .map(|_| UnixStream::connect(served.socket()).unwrap())
        .collect();
    for request in [
        &b"\n"[..],
        b"0\n",
        b"-5\n",
        b"1\n",
        b"get me a port\n",
        b"4294967295\n",
        b"\xff\xff\xff\n",
        &[b'9'; 10_000],
    ] {
        assert_eq!(served.says(request), "", "{request:?}");
    }
    assert!(served.lease(&Sleeper::start()).is_some());
}

#[test]
fn a_second_server_is_told_that_there_is_one() {
    let served = Served::start(stretch(4, 10));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let second = Portserver::open(&served.settings, None, served.service.clone());
    assert!(matches!(second, Err(PortserverError::Served(_))));
    let elsewhere = Settings {
        runtime_folder: served.folder.path().join("elsewhere"),
        ..served.settings.clone()
    };
    let third = Portserver::open(&elsewhere, None, served.service.clone());
    assert!(matches!(third, Err(PortserverError::Occupied(_))));
    assert!(
        served.lease(&Sleeper::start()).is_some(),
        "the first one was disturbed"
    );
}
