//! A wire between the command and a member that can be cut at a chosen moment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Where the wire is cut, when a transaction is to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the member hears of it.
    BeforeTheMemberHears,
    /// When the member has answered, before the client hears.
    BeforeTheClientHears,
    /// At once, and the member hears of it all the same, a while later.
    AndTheMemberHearsLate(Duration),
}

pub(crate) struct Proxy {
    host: String,
    left: Arc<AtomicUsize>,
    late: Arc<AtomicBool>,
}

impl Proxy {
    /// Cuts the first commit that comes by.
    pub(crate) fn start(member: &str, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (left, late) = (
            Arc::new(AtomicUsize::new(1)),
            Arc::new(AtomicBool::new(false)),
        );
        let (member, count, arrived) = (member.to_owned(), left.clone(), late.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (member, left, late) = (member.clone(), count.clone(), arrived.clone());
                thread::spawn(move || carry(client, &member, cut, &left, &late));
            }
        });
        Self { host, left, late }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether the cut is still to come.
    pub(crate) fn is_whole(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    /// Whether the member has answered what it heard late.
    pub(crate) fn was_late(&self) -> bool {
        self.late.load(Ordering::SeqCst)
    }
}

/// What only a transaction has that changes the book: the condition on its head.
const COMMIT: &[u8] = br#""target":"MOD""#;

fn carry(mut client: TcpStream, member: &str, cut: Cut, left: &AtomicUsize, late: &AtomicBool) {
    let Ok(mut member) = TcpStream::connect(member) else {
        return;
    };
    let (mut answers, mut listener) = (member.try_clone().unwrap(), client.try_clone().unwrap());
    let is_mute = Arc::new(AtomicBool::new(false));
    let mute = is_mute.clone();
    let answering = thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(length @ 1..) = answers.read(&mut bytes) {
            if mute.load(Ordering::SeqCst) || listener.write_all(&bytes[..length]).is_err() {
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
        if cuts {
            is_mute.store(true, Ordering::SeqCst);
        }
        match cut {
            Cut::BeforeTheMemberHears if cuts => break,
            Cut::AndTheMemberHearsLate(pause) if cuts => {
                let _ = client.shutdown(Shutdown::Both);
                thread::sleep(pause);
                member.write_all(said).unwrap();
                answering.join().unwrap();
                late.store(true, Ordering::SeqCst);
                return;
            }
            _ => {}
        }
        if member.write_all(said).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = member.shutdown(Shutdown::Both);
}
