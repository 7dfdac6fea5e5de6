//! Processes other than this one: where they run, what they may see, and what they lack.
//!
//! Apart from the other tests, since a child that was just forked has every socket of its parent for
//! a moment; and one at a time for the same reason.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A helper of tests fails as a test does.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use portbook_host::LocalHost;
use portbook_model::{HostView, Port};
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

const ROLE: &str = "PORTBOOK_HOST_TEST_ROLE";
const NOBODY: u32 = 65_534;

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn in_use(number: u16) -> bool {
    LocalHost::new().is_in_use(port(number)).unwrap()
}

/// A port that nobody has, and that the kernel gives to no outgoing connection of a stranger's.
fn free() -> u16 {
    (20_000..32_000).find(|number| !in_use(*number)).unwrap()
}

fn listening(number: u16) -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap()
}

/// This binary once more, as a process that plays a role.
fn child(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "the_role_of_a_child", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// The number that a child said.
fn said(child: &mut Child) -> u16 {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    lines
        .map(Result::unwrap)
        .find_map(|line| line.split_once("port=")?.1.parse().ok())
        .unwrap()
}

#[test]
fn the_role_of_a_child() {
    let Ok(role) = env::var(ROLE) else { return };
    match role.split_once(' ') {
        Some(("everywhere", number)) => {
            let number: u16 = number.parse().unwrap();
            let _listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).unwrap();
            println!("\nport={number}");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        Some(("no-files", number)) => {
            let limit = Rlimit {
                current: Some(0),
                maximum: getrlimit(Resource::Nofile).maximum,
            };
            setrlimit(Resource::Nofile, limit).unwrap();
            let unknown = LocalHost::new()
                .is_in_use(port(number.parse().unwrap()))
                .unwrap_err();
            assert!(unknown.to_string().contains("ulimit -n"), "{unknown}");
        }
        Some(("stranger", numbers)) => {
            let (taken, free) = numbers.split_once(' ').unwrap();
            let (taken, free) = (taken.parse().unwrap(), free.parse().unwrap());
            assert!(in_use(taken));
            assert!(!in_use(free));
            let holder = LocalHost::new().holder(port(taken)).unwrap();
            assert_eq!(holder.process, None);
            assert_eq!(holder.uid, Some(0));
        }
        _ => panic!("there is no role `{role}`"),
    }
}

#[test]
fn a_process_elsewhere_is_named_with_its_own_directory() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let number = free();
    let mut child = child(&format!("everywhere {number}"))
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    assert_eq!(said(&mut child), number);
    let process = LocalHost::new().holder(port(number)).unwrap().process;
    let process = process.unwrap();
    assert_eq!(process.pid, child.id());
    assert_eq!(
        process.directory,
        Some(folder.path().canonicalize().unwrap())
    );
    assert!(portbook_host::process_start_time(child.id()).is_some());
    assert_eq!(portbook_host::process(child.id()), Some(process));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(!in_use(number));
    assert_eq!(LocalHost::new().holder(port(number)), None);
}

#[test]
fn without_a_file_to_open_the_answer_is_unknown() {
    let _turn = one_at_a_time();
    let role = "no-files 5001";
    let output = child(role).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// As inside a container: another number line, which only root can make.
#[test]
fn a_listener_in_another_network_is_ignored() {
    let _turn = one_at_a_time();
    if !getuid().is_root() {
        return;
    }
    let number = free();
    let role = child(&format!("everywhere {number}"));
    let mut apart = Command::new("unshare")
        .arg("--net")
        .arg(role.get_program())
        .args(role.get_args())
        .envs(
            role.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(said(&mut apart), number);
    assert!(!in_use(number));
    assert_eq!(LocalHost::new().holder(port(number)), None);
    drop(listening(number));
    drop(apart.stdin.take());
    assert!(apart.wait().unwrap().success());
}

/// A port that this user may not bind is asked of the kernel's list, and whose it is is told by
/// user. Only root can hold such a port and turn into somebody else.
#[test]
fn a_strangers_privileged_port_is_seen() {
    let _turn = one_at_a_time();
    if !getuid().is_root() || !may_be_run_by_all(&env::current_exe().unwrap()) {
        return;
    }
    let mut low = (600..1000).filter(|number| !in_use(*number));
    let (taken, free) = (low.next().unwrap(), low.next().unwrap());
    let _listener = listening(taken);
    let output = child(&format!("stranger {taken} {free}"))
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn may_be_run_by_all(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    program.ancestors().all(|part| {
        let mode = std::fs::metadata(part).unwrap().permissions().mode();
        mode & 0o001 != 0
    })
}
