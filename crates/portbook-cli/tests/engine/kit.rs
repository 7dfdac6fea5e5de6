//! A container engine and a book beside it, both a test's own.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A machine under load starts an engine in some seconds.
const PATIENCE: Duration = Duration::from_secs(90);
const IMAGE: &str = "portbook-test";

/// Which engine, and how it holds the ports that it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Docker, with a process `docker-proxy` for each port.
    Docker,
    /// Docker without these: `dockerd` holds the ports itself.
    DockerWithoutProxy,
    /// Docker, also at port 2376 of the loopback device, to those who show a certificate.
    DockerByTls,
    /// podman, which answers Docker's API; `conmon` holds the ports.
    Podman,
    /// podman as a user runs it, without any right on the machine; `rootlessport` holds the ports.
    RootlessPodman,
}

pub(crate) const KINDS: [Kind; 4] = [
    Kind::Docker,
    Kind::DockerWithoutProxy,
    Kind::Podman,
    Kind::RootlessPodman,
];

impl Kind {
    pub(crate) fn is_docker(self) -> bool {
        !matches!(self, Kind::Podman | Kind::RootlessPodman)
    }
}

/// Somebody without a name on this machine.
const USER: u32 = 64_042;

/// A running engine in a network of its own, with one image. Ended when dropped.
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    folder: TempDir,
    daemon: Child,
}

impl Engine {
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("portbook-engine-")
            .tempdir()
            .unwrap();
        for name in ["home", "work", "rootfs/bin", "run/podman"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let engine = match kind {
            Kind::Docker => dockerd(folder.path(), true),
            Kind::DockerWithoutProxy => dockerd(folder.path(), false),
            Kind::DockerByTls => dockerd_by_tls(folder.path()),
            Kind::Podman => podman(folder.path()),
            Kind::RootlessPodman => {
                give_to_user(folder.path());
                let user = format!("setpriv --reuid {USER} --regid {USER} --clear-groups");
                format!("{user} {}", podman(folder.path()))
            }
        };
        // A network of its own, and mounts of its own, which go with it.
        let script = format!("ip link set lo up && exec {engine}");
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let daemon = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "TERM",
                "unshare",
                "--net",
                "--mount",
                "sh",
                "-c",
                &script,
            ])
            .env("CONTAINERS_CONF", folder.path().join("containers.conf"))
            .env("HOME", folder.path().join("home"))
            .env("XDG_RUNTIME_DIR", folder.path().join("run"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut engine = Self {
            kind,
            folder,
            daemon,
        };
        engine.wait_for_it();
        engine.import_image();
        engine
    }

    fn wait_for_it(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = self.daemon.try_wait().unwrap();
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(ended.is_none(), "{:?} ended: {}", self.kind, log());
            assert!(Instant::now() < patience, "{:?}: {}", self.kind, log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let mut version = self.docker();
        version.args(["version", "--format", "{{.Server.Version}}"]);
        UnixStream::connect(self.socket()).is_ok() && version.output().unwrap().status.success()
    }

    /// busybox and nothing else: no registry is asked.
    fn import_image(&self) {
        let rootfs = self.folder.path().join("rootfs");
        fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
        let mut archive = Command::new("tar")
            .arg("-C")
            .arg(&rootfs)
            // A user without further ids can unpack nobody else's files.
            .args(["--owner=0", "--group=0", "-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut import = self.docker();
        import
            .args(["import", "-", IMAGE])
            .stdin(archive.stdout.take().unwrap());
        succeed(import);
        assert!(archive.wait().unwrap().success());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// The address of the engine's socket.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A folder of certificates of [`Kind::DockerByTls`].
    pub(crate) fn certificates(&self, whose: &str) -> PathBuf {
        self.folder.path().join(whose)
    }

    /// What stands for `XDG_RUNTIME_DIR`: the engine's socket is where a user's own podman has it.
    pub(crate) fn runtime_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Docker's own command, which both engines obey.
    pub(crate) fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker
            .env("DOCKER_HOST", self.address())
            .env("DOCKER_CONFIG", self.folder.path().join("home"))
            .stdin(Stdio::null());
        docker
    }

    /// Runs `docker` with these words, which must succeed, and gives what it wrote.
    #[track_caller]
    pub(crate) fn does(&self, words: &str) -> String {
        let mut docker = self.docker();
        docker.args(words.split_whitespace());
        succeed(docker)
    }

    /// Starts a container that does nothing; `words` say its name and ports.
    #[track_caller]
    pub(crate) fn runs(&self, words: &str) -> String {
        self.does(&format!(
            "run --detach {words} {IMAGE} /bin/busybox sleep 3600"
        ))
    }

    /// Makes a container, and does not start it.
    #[track_caller]
    pub(crate) fn creates(&self, words: &str) -> String {
        self.does(&format!("create {words} {IMAGE} /bin/busybox sleep 3600"))
    }

    /// Starts a container on the engine's own network, where it listens at `port`.
    #[track_caller]
    pub(crate) fn listens_on_host_network(&self, name: &str, port: u16) {
        self.does(&format!(
            "run --detach --name {name} --network host {IMAGE} /bin/busybox httpd -f -p 127.0.0.1:{port}"
        ));
        let table = format!("/proc/{}/net/tcp", self.daemon.id());
        let local = format!("0100007F:{port:04X}");
        let patience = Instant::now() + PATIENCE;
        while !fs::read_to_string(&table).unwrap().contains(&local) {
            assert!(Instant::now() < patience, "{name} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails to start a container, since its port is taken: it stays behind, created.
    #[track_caller]
    pub(crate) fn fails_to_run(&self, words: &str) {
        let mut docker = self.docker();
        docker.args(["run", "--detach"]);
        docker.args(words.split_whitespace());
        docker.args([IMAGE, "/bin/busybox", "sleep", "3600"]);
        let output = docker.output().unwrap();
        assert!(!output.status.success(), "{output:?}");
    }

    pub(crate) fn removes_all(&self) {
        self.remove_containers();
        assert_eq!(self.does("ps --all --quiet"), "");
    }

    /// podman does not remove one whose network another one uses: the second round does.
    fn remove_containers(&self) {
        for _ in 0..2 {
            let all = self.docker().args(["ps", "--all", "--quiet"]).output();
            let all = all.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            for container in all.unwrap_or_default().split_whitespace() {
                // Nothing here may panic: a test may be failing already.
                let _ = self.docker().args(["rm", "--force", container]).output();
            }
        }
    }

    /// A program in the engine's network.
    pub(crate) fn within(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.daemon.id()))
            .arg(program);
        command
    }

    /// A working directory for a book and its apps, emptied at each call.
    pub(crate) fn desk(&self) -> Desk<'_> {
        let work = self.folder.path().join("work");
        fs::remove_dir_all(&work).unwrap();
        fs::create_dir(&work).unwrap();
        Desk { engine: self, work }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // By hand, since a daemon that ends gives each container ten seconds first.
        self.remove_containers();
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let patience = Instant::now() + PATIENCE;
        while matches!(self.daemon.try_wait(), Ok(None)) {
            if Instant::now() > patience {
                let _ = self.daemon.kill();
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.end_leftovers();
    }
}

impl Engine {
    /// Ends what the engine started and left: a rootless podman keeps a process for its namespaces. Each of
    /// them has the engine's folder, which nobody else knows, in its arguments or its environment.
    fn end_leftovers(&self) {
        let folder = self.folder.path().display().to_string();
        let knows_the_folder = |process: &Path| {
            ["cmdline", "environ"].iter().any(|file| {
                let said = fs::read(process.join(file)).unwrap_or_default();
                String::from_utf8_lossy(&said).contains(&folder)
            })
        };
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_string_lossy().parse().ok();
            let pid = pid.and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| knows_the_folder(&entry.path())) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

fn give_to_user(folder: &Path) {
    for name in ["", "home", "run", "run/podman"] {
        chown(folder.join(name), Some(USER), Some(USER)).unwrap();
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("run/podman/podman.sock")
}

/// Without layers, which not every file system can have.
fn dockerd(folder: &Path, has_proxy: bool) -> String {
    let socket = socket(folder);
    let (socket, folder) = (socket.display(), folder.display());
    format!(
        "dockerd --host unix://{socket} --data-root {folder}/data --exec-root {folder}/exec \
         --pidfile {folder}/pid --storage-driver vfs --userland-proxy={has_proxy}"
    )
}

/// With authorities of its own: `keys` has a caller's files, named as Docker's command wants them, and
/// `stranger` those of somebody for whom another authority vouches.
fn dockerd_by_tls(folder: &Path) -> String {
    let script = r#"
        set -e
        authority() {
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
                -keyout "$1-key.pem" -out "$1.pem"
        }
        vouched() { # by whom, for whom, with which extension
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$2-key.pem" -out "$2.csr"
            printf '%s\n' "$3" > "$2.ext"
            openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1-key.pem" -CAcreateserial -days 2 -extfile "$2.ext" -out "$2.pem"
        }
        authority ours; authority theirs
        vouched ours engine 'subjectAltName=IP:127.0.0.1'
        vouched ours caller 'extendedKeyUsage=clientAuth'
        vouched theirs other 'extendedKeyUsage=clientAuth'
        mkdir keys stranger
        cp ours.pem keys/ca.pem; cp caller.pem keys/cert.pem; cp caller-key.pem keys/key.pem
        cp ours.pem stranger/ca.pem; cp other.pem stranger/cert.pem; cp other-key.pem stranger/key.pem
    "#;
    let mut make = Command::new("sh");
    make.args(["-c", script]).current_dir(folder);
    succeed(make);
    let folder_name = folder.display();
    format!(
        "{} --host tcp://127.0.0.1:2376 --tlsverify --tlscacert {folder_name}/ours.pem \
         --tlscert {folder_name}/engine.pem --tlskey {folder_name}/engine-key.pem",
        dockerd(folder, true)
    )
}

/// With what podman needs where neither systemd nor a journal runs.
fn podman(folder: &Path) -> String {
    let settings = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
                    [containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n";
    fs::write(folder.join("containers.conf"), settings).unwrap();
    let socket = socket(folder);
    let (socket, folder) = (socket.display(), folder.display());
    format!(
        "podman --root {folder}/data --runroot {folder}/exec --tmpdir {folder}/tmp \
         --storage-driver vfs system service --time 0 unix://{socket}"
    )
}

/// A book in the engine's network.
pub(crate) struct Desk<'e> {
    engine: &'e Engine,
    work: PathBuf,
}

impl Desk<'_> {
    /// A path in the working directory, made if need be.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.work.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// `portbook` in the engine's network, told where the engine is.
    pub(crate) fn portbook(&self, words: &str) -> Command {
        let mut command = self
            .engine
            .within(assert_cmd::cargo::cargo_bin!("portbook"));
        command
            .args(words.split_whitespace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.work)
            .env("XDG_DATA_HOME", self.work.join("data"))
            .env("XDG_CONFIG_HOME", self.work.join("config"))
            .env("DOCKER_HOST", self.engine.address())
            .current_dir(&self.work)
            .stdin(Stdio::null());
        command
    }

    /// Runs `portbook`, which must succeed, and gives what it wrote.
    #[track_caller]
    pub(crate) fn done(&self, words: &str) -> String {
        succeed(self.portbook(words))
    }

    /// Runs `portbook` with `--json`, which must end with this status, and gives its answer.
    #[track_caller]
    pub(crate) fn answer(&self, status: i32, words: &str) -> Value {
        let output = self.portbook(words).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{words}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What `check --docker` finds.
    #[track_caller]
    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        let output = self.portbook("check --docker --json").output().unwrap();
        let found: Vec<Conflict> = serde_json::from_slice::<Value>(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"))
            .as_array()
            .unwrap()
            .iter()
            .map(Conflict::of)
            .collect();
        let status = if found.is_empty() { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        found
    }

    /// In which state `check --docker` sees each app.
    #[track_caller]
    pub(crate) fn states(&self) -> Vec<String> {
        let output = self
            .portbook("check --docker --states --json")
            .output()
            .unwrap();
        let apps: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let apps = apps.as_array().unwrap();
        apps.iter()
            .map(|app| app["state"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A conflict, without its hint.
#[derive(Debug)]
pub(crate) struct Conflict {
    pub(crate) kind: String,
    pub(crate) port: u64,
    pub(crate) apps: Vec<String>,
    pub(crate) message: String,
}

impl Conflict {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            kind: text(&value["kind"]),
            port: value["port"].as_u64().unwrap(),
            apps: value["apps"].as_array().unwrap().iter().map(text).collect(),
            message: text(&value["message"]),
        }
    }

    /// It is of this kind and says each of these words.
    #[track_caller]
    pub(crate) fn says(&self, kind: &str, words: &[&str]) {
        assert_eq!(self.kind, kind, "{self:?}");
        for word in words {
            assert!(self.message.contains(word), "`{word}` is missing: {self:?}");
        }
    }
}

#[track_caller]
pub(crate) fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
