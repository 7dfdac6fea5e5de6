//! A cluster that asks for passwords and certificates.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portbook_etcd::testing::{Cluster, Security};
use portbook_etcd::{Address, EtcdStore, Options};
use portbook_store::Store;
use tempfile::TempDir;

use crate::desk::Run;
use crate::kit::Desk;

/// An authority, and what it certified.
struct Papers {
    folder: TempDir,
}

impl Papers {
    fn new() -> Self {
        let papers = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let path = |name: &str| papers.path(name).display().to_string();
        let key = |name: &str| {
            format!(
                "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {}",
                path(name)
            )
        };
        let authority = format!(
            "req -x509 {} -out {} -days 2 -subj /CN=authority",
            key("ca.key"),
            path("ca.pem")
        );
        openssl(&authority);
        std::fs::write(papers.path("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        for name in ["member", "client"] {
            openssl(&format!(
                "req {} -out {} -subj /CN={name}",
                key(&format!("{name}.key")),
                path("request")
            ));
            openssl(&format!(
                "x509 -req -in {} -CA {} -CAkey {} -CAcreateserial -days 2 -extfile {} -out {}",
                path("request"),
                path("ca.pem"),
                path("ca.key"),
                path("names"),
                path(&format!("{name}.pem"))
            ));
        }
        papers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cluster(&self, clients: Option<PathBuf>) -> Cluster {
        let security = Security {
            certificate: Some((self.path("member.pem"), self.path("member.key"))),
            clients,
        };
        Cluster::start_secured(1, security)
    }
}

fn openssl(line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "{line}: {output:?}");
}

fn etcdctl(cluster: &Cluster, authority: &Path, line: &str) {
    let mut command = cluster.etcdctl();
    command
        .args(["--endpoints", &format!("https://{}", cluster.host(0))])
        .arg("--cacert")
        .arg(authority)
        .args(line.split(' '));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

#[test]
fn a_user_with_a_password_over_tls() {
    let papers = Papers::new();
    let cluster = papers.cluster(None);
    let authority = papers.path("ca.pem");
    let ctl = |line: &str| etcdctl(&cluster, &authority, line);
    ctl("user add root:root-secret");
    ctl("user grant-role root root");
    ctl("user add ports:se@cret");
    ctl("role add books");
    ctl("role grant-permission books --prefix=true readwrite books/");
    ctl("user grant-role ports books");
    ctl("auth enable");

    let place = format!("{}/books?cacert={}", cluster.host(0), authority.display());
    let desk = Desk::at(format!("etcds://ports:se%40cret@{place}"));
    let answer = desk.json("allocate m 1-50");
    desk.holds(answer.as_array().unwrap());

    let told = |store: &str, password: Option<&str>| -> Run {
        let desk = desk.by(store.to_owned());
        let mut command = desk.command("list --verbose");
        command.envs(password.map(|password| ("ETCDCTL_PASSWORD", password)));
        let run = Run::of(command);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains("cret"), "{said}");
        run
    };
    let in_environment = told(&format!("etcds://ports@{place}"), Some("se@cret"));
    assert_eq!(in_environment.status, 0, "{in_environment:?}");
    let refused = |store: String, part: &str| {
        let run = told(&store, None);
        assert_eq!(run.status, 4, "{run:?}");
        assert!(run.stderr.contains(part), "{run:?}");
    };
    refused(
        format!("etcds://ports:wrong-secret@{place}"),
        "authentication failed",
    );
    refused(format!("etcds://{place}"), "ETCDCTL_PASSWORD");
    let elsewhere = place.replace("/books?", "/others?");
    refused(
        format!("etcds://ports:se%40cret@{elsewhere}"),
        "permission denied",
    );
    let (host, _) = place.split_once('/').unwrap();
    let trusts_nobody = told(&format!("etcds://ports:se%40cret@{host}/books"), None);
    assert_eq!(trusts_nobody.status, 4, "{trusts_nobody:?}");

    // A member that speaks TLS hangs up on whoever does not.
    let plainly = told(&format!("etcd://ports:se%40cret@{host}/books"), None);
    assert_eq!(plainly.status, 4, "{plainly:?}");

    // Whoever has signed in is not thrown out when users change.
    let address: Address = desk.store.parse().unwrap();
    let store = EtcdStore::open(address, Options::default()).unwrap();
    let root = |line: &str| ctl(&format!("--user root:root-secret {line}"));
    root("user add another:other-secret");
    root("user grant-role another books");
    let listed = store.read().unwrap().allocations(&Default::default());
    assert_eq!(listed.unwrap().len(), 50);
}

#[test]
fn a_cluster_that_asks_for_a_certificate() {
    let papers = Papers::new();
    let authority = papers.path("ca.pem");
    let cluster = papers.cluster(Some(authority.clone()));
    let without = format!(
        "etcds://{}/books?cacert={}",
        cluster.host(0),
        authority.display()
    );
    let with = format!(
        "{without}&cert={}&key={}",
        papers.path("client.pem").display(),
        papers.path("client.key").display()
    );
    let desk = Desk::at(with);
    let answer = desk.json("allocate m 1");
    desk.holds(&[answer]);
    let began = Instant::now();
    let refused = desk.by(without).run("list");
    assert!(began.elapsed() < Duration::from_secs(10), "{refused:?}");
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(refused.stderr.contains("Certificate"), "{refused:?}");
}
