//! A cluster of a test's own: on loopback, its data in a temporary folder, gone with the test.
//!
//! For the tests of this crate and of those above it; what it cannot have, it panics for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot have fails it"
)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Address, EtcdStore, Options, init};

/// What else a cluster is started with.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// The certificate and its key, for what members serve clients with.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The authority of the certificates that clients have to show.
    pub clients: Option<PathBuf>,
}

/// The members, for as long as this is kept, and no longer than this process runs.
#[derive(Debug)]
pub struct Cluster {
    folder: tempfile::TempDir,
    security: Security,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    client_port: u16,
    peer_port: u16,
    /// Ends the member once this process is gone.
    keeper: Mutex<Child>,
}

impl Cluster {
    /// The cluster of one member that every test of this process uses.
    pub fn shared() -> &'static Cluster {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| Cluster::start(1))
    }

    /// A cluster of one's own.
    pub fn start(members: usize) -> Self {
        Self::start_secured(members, Security::default())
    }

    /// A cluster that is secured like this.
    pub fn start_secured(members: usize, security: Security) -> Self {
        // Between finding a port free and listening on it, somebody else may.
        for _ in 0..10 {
            if let Some(cluster) = Self::try_to_start(members, &security) {
                return cluster;
            }
        }
        panic!("etcd does not start (packages etcd-server and etcd-client)");
    }

    fn try_to_start(count: usize, security: &Security) -> Option<Self> {
        let folder = tempfile::Builder::new()
            .prefix("portbook-etcd-")
            .tempdir()
            .unwrap();
        let ports = free_ports(2 * count);
        let names: Vec<(String, u16, u16)> = ports
            .chunks(2)
            .enumerate()
            .map(|(number, ports)| (format!("m{number}"), ports[0], ports[1]))
            .collect();
        let peers: Vec<String> = names
            .iter()
            .map(|(name, _, peer)| format!("{name}=http://127.0.0.1:{peer}"))
            .collect();
        std::fs::write(folder.path().join("peers"), peers.join(",")).unwrap();
        let members = names
            .into_iter()
            .map(|(name, client_port, peer_port)| {
                let keeper = keeper(folder.path(), &name, client_port, peer_port, security);
                Member {
                    name,
                    client_port,
                    peer_port,
                    keeper: Mutex::new(keeper),
                }
            })
            .collect();
        let cluster = Self {
            folder,
            security: security.clone(),
            members,
        };
        cluster.is_ready().then_some(cluster)
    }

    /// Waits until every member serves; `false` if one has ended instead.
    fn is_ready(&self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(120);
        for (number, member) in self.members.iter().enumerate() {
            loop {
                let log = std::fs::read_to_string(self.log(member)).unwrap_or_default();
                if log.contains("ready to serve client requests") {
                    break;
                }
                if !self.runs(number) || Instant::now() > deadline {
                    eprintln!("{log}");
                    return false;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        true
    }

    fn log(&self, member: &Member) -> PathBuf {
        self.folder.path().join(format!("{}.log", member.name))
    }

    fn runs(&self, member: usize) -> bool {
        let mut keeper = self.members[member].keeper.lock().unwrap();
        keeper.try_wait().unwrap().is_none()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Where the member serves clients.
    pub fn host(&self, member: usize) -> String {
        format!("127.0.0.1:{}", self.members[member].client_port)
    }

    /// The process number of the member.
    pub fn pid(&self, member: usize) -> i32 {
        let file = self.folder.path().join(format!("m{member}.pid"));
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                return pid;
            }
            assert!(Instant::now() < deadline, "m{member} has no process");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to the member.
    pub fn signal(&self, member: usize, signal: &str) {
        let pid = self.pid(member).to_string();
        run(Command::new("kill").args([&format!("-{signal}"), &pid]));
    }

    /// Starts a member that was killed once more.
    pub fn revive(&self, member: usize) {
        let Member {
            name,
            client_port,
            peer_port,
            keeper: kept,
        } = &self.members[member];
        let mut kept = kept.lock().unwrap();
        drop(kept.stdin.take());
        kept.wait().unwrap();
        let _ = std::fs::remove_file(self.folder.path().join(format!("{name}.pid")));
        *kept = keeper(
            self.folder.path(),
            name,
            *client_port,
            *peer_port,
            &self.security,
        );
    }

    /// Which member leads, as far as those that answer know.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            for member in 0..self.len() {
                let mut ask = self.etcdctl();
                ask.args(["--endpoints", &self.host(member), "-w", "json"]);
                ask.args(["endpoint", "status"]);
                let told = String::from_utf8(ask.output().unwrap().stdout).unwrap();
                let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
                let status = &told[0]["Status"];
                if status["leader"].is_u64() && status["leader"] == status["header"]["member_id"] {
                    return member;
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("nobody leads");
    }

    /// etcd's own client, which has to be told whom to ask.
    pub fn etcdctl(&self) -> Command {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3");
        command
    }

    /// Somebody else's hand: what etcd's own client answers.
    pub fn told(&self, arguments: &[&str]) -> String {
        let mut command = self.etcdctl();
        run(command.args(["--endpoints", &self.host(0)]).args(arguments))
    }

    /// The address of a place for a book in which there is nothing.
    pub fn place(&self) -> String {
        let hosts: Vec<String> = (0..self.len()).map(|member| self.host(member)).collect();
        self.place_behind(&hosts.join(","))
    }

    /// The same, to be reached by other ports: those of a proxy.
    pub fn place_behind(&self, hosts: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("etcd://{hosts}/tests/book{number}_{}", std::process::id())
    }

    /// A new, empty book.
    pub fn book(&self, turns: bool) -> EtcdStore {
        let address: Address = self.place().parse().unwrap();
        assert!(init(&address).unwrap());
        EtcdStore::open(address, Options { turns }).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &self.members {
            let mut keeper = member.keeper.lock().unwrap();
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// Runs a member until its standard input ends, as it does with this process, or the member does.
fn keeper(
    folder: &Path,
    name: &str,
    client_port: u16,
    peer_port: u16,
    security: &Security,
) -> Child {
    let peers = std::fs::read_to_string(folder.join("peers")).unwrap();
    let scheme = match security.certificate {
        Some(_) => "https",
        None => "http",
    };
    let secured = security.certificate.iter().map(|(certificate, key)| {
        format!(
            "--cert-file={} --key-file={}",
            certificate.display(),
            key.display()
        )
    });
    let clients = security.clients.iter().map(|authority| {
        format!(
            "--client-cert-auth --trusted-ca-file={}",
            authority.display()
        )
    });
    let secured: Vec<String> = secured.chain(clients).collect();
    // The shell that waits is the parent of two: whichever ends first ends the other.
    let script = format!(
        "exec 3<&0
         etcd --name {name} --data-dir {data} \
           --listen-client-urls {scheme}://127.0.0.1:{client_port} \
           --advertise-client-urls {scheme}://127.0.0.1:{client_port} \
           --listen-peer-urls http://127.0.0.1:{peer_port} \
           --initial-advertise-peer-urls http://127.0.0.1:{peer_port} \
           --initial-cluster {peers} {secured} >{log} 2>&1 3<&- &
         member=$!
         echo $member >{pid}
         (cat <&3 >/dev/null; ! grep -qx etcd /proc/$member/comm || kill -9 $member) &
         wait $member",
        data = folder.join(name).display(),
        log = folder.join(format!("{name}.log")).display(),
        pid = folder.join(format!("{name}.pid")).display(),
        secured = secured.join(" "),
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ports that nobody has, outside of the range of outgoing connections: one of those would get in the way
/// of a member that starts again.
fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs that follow each other begin far apart, so that one does not meet what the other left.
    let start = std::process::id().wrapping_mul(1_997);
    let steps = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    steps
        .map(|step| 10_000 + (start.wrapping_add(step) % 8_000) as u16)
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .take(count)
        .collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}
