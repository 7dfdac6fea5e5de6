//! A wire between the command and the server that can be cut at a chosen moment.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tempfile::TempDir;

/// Where the wire is cut, when a transaction is to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server hears of it.
    BeforeTheServerHears,
    /// When the server has answered, before the client hears.
    BeforeTheClientHears,
}

pub(crate) struct Proxy {
    folder: TempDir,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// Cuts the first `cuts` commits that come by.
    pub(crate) fn start(server: &Path, cut: Cut, cuts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket(folder.path())).unwrap();
        let left = Arc::new(AtomicUsize::new(cuts));
        let (server, counter) = (socket(server), left.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, left) = (server.clone(), counter.clone());
                thread::spawn(move || carry(client, &server, cut, &left));
            }
        });
        Self { folder, cuts: left }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many cuts are still to come.
    pub(crate) fn left(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

/// `Q` with the statement: how the simple protocol asks for a commit.
const COMMIT: &[u8] = b"COMMIT\0";

fn carry(mut client: UnixStream, server: &Path, cut: Cut, left: &AtomicUsize) {
    let Ok(mut server) = UnixStream::connect(server) else {
        return;
    };
    let (mut answers, mut listener) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let muted = Arc::new(AtomicUsize::new(0));
    let mute = muted.clone();
    thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(length @ 1..) = answers.read(&mut bytes) {
            if mute.load(Ordering::SeqCst) == 1 || listener.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = listener.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 65536];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let said = &bytes[..length];
        let commits = said.windows(COMMIT.len()).any(|window| window == COMMIT);
        let cuts = commits
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
        if cuts && cut == Cut::BeforeTheServerHears {
            let _ = client.shutdown(Shutdown::Both);
            break;
        }
        if cuts {
            muted.store(1, Ordering::SeqCst);
        }
        if server.write_all(said).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}
