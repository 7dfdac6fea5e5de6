//! The portserver protocol, for programs that want a port for as long as they run.
//!
//! A client sends a pid in ASCII and a newline, and gets a port and a newline; the port is its own until
//! that process is gone. It is what Google's `portpicker` speaks with whatever listens at
//! `PORTSERVER_ADDRESS`. A client that cannot be served gets no answer but the end of the connection, as
//! from the server that came with `portpicker`, and then finds a port by itself.
//!
//! These ports are from a pool of their own, which the book reserves from every app. The leases themselves
//! are no matter of the book: they end with a process or with the boot of the machine, and come by the
//! thousand where tests run. They are kept beside the sockets of the machine (`ledger`), so that a server
//! that is started anew takes nothing from those that still run.
//!
//! | question | file |
//! | --- | --- |
//! | where does it listen | `address.rs` |
//! | what does a client say | `protocol.rs` |
//! | who has which port, and who gets which next | `leases.rs` |
//! | what survives the server, in which folder | `ledger.rs`, `folder.rs` |

mod address;
mod folder;
mod leases;
mod ledger;
mod protocol;

use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portbook::PortAllocationService;
use portbook::model::{HostUnknown, ModelPattern, Pool, PoolName, Port, PortStretch};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

pub use address::{Address, InvalidAddress};
pub use folder::runtime_folder;
use leases::Leases;
use ledger::Ledger;

/// The pool's name in the book.
const POOL: &str = "portserver";
/// How long a client may take to say its pid.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many clients are served at once; further ones wait to be accepted.
const MOST_CLIENTS: usize = 128;

/// Where the portserver listens and what it gives out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients find it.
    pub address: Address,
    /// The ports that it gives out.
    pub ports: PortStretch,
    /// The folder that its ledger is kept in: one that is emptied when the machine starts is best.
    pub runtime_folder: PathBuf,
}

/// Why the portserver cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PortserverError {
    /// Somebody listens there already.
    #[error("another portserver listens at {0}")]
    Occupied(Address),
    /// The address cannot be listened at.
    #[error("nothing can listen at {address}: {source}")]
    Listen {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// Another process gives out these ports.
    #[error("another portserver of this machine gives out the ports {0} already")]
    Served(PortStretch),
    /// The ledger cannot be kept.
    #[error("the leases cannot be kept in {}: {source}", .path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The book does not reserve the pool.
    #[error(transparent)]
    Book(#[from] portbook::Error),
}

/// What the portserver has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Ports that were given out.
    pub leased: AtomicU64,
    /// Requests that got none: no such process, or no port left.
    pub denied: AtomicU64,
    /// Requests that were none.
    pub malformed: AtomicU64,
}

/// A portserver that listens.
pub struct Portserver {
    listener: UnixListener,
    address: Address,
    /// The socket's file, where it goes with the server.
    file: Option<PathBuf>,
    desk: Arc<Desk>,
    clients: Arc<Semaphore>,
}

/// What all clients share.
struct Desk {
    service: PortAllocationService,
    leases: Mutex<Leases>,
    tally: Arc<Tally>,
}

impl Portserver {
    /// Reserves the pool from every app, takes up the leases that still run, and listens: at the
    /// settings' address, or with the socket that listens there already.
    pub fn open(
        settings: &Settings,
        inherited: Option<StdUnixListener>,
        service: PortAllocationService,
    ) -> Result<Self, PortserverError> {
        let failed = |source| PortserverError::Listen {
            address: settings.address.clone(),
            source,
        };
        let ledger = Ledger::open(&settings.runtime_folder, settings.ports)?;
        service.add_pool(pool(settings.ports)?)?;
        let (listener, file) = match inherited {
            Some(listener) => (take_over(listener).map_err(failed)?, None),
            None => (settings.address.listen()?, settings.address.file()),
        };
        let leases = Leases::new(settings.ports, ledger);
        info!(address = %settings.address, ports = %settings.ports, taken_up = leases.running(), "portserver listens");
        Ok(Self {
            listener,
            address: settings.address.clone(),
            file,
            desk: Arc::new(Desk {
                service,
                leases: Mutex::new(leases),
                tally: Arc::default(),
            }),
            clients: Arc::new(Semaphore::new(MOST_CLIENTS)),
        })
    }

    /// Where clients find it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it has done so far.
    pub fn tally(&self) -> Arc<Tally> {
        self.desk.tally.clone()
    }

    /// Serves clients until `stop` is ready, then those that were accepted.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let Ok(place) = self.clients.clone().acquire_owned().await else {
                break;
            };
            let client = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match client {
                Ok((stream, _)) => {
                    let desk = self.desk.clone();
                    tokio::spawn(async move {
                        desk.serve(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "a portserver client could not be accepted");
                    // Out of file descriptors: trying again at once would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        if let Some(file) = &self.file {
            // It may be gone already, which is as good.
            let _ = std::fs::remove_file(file);
        }
        let everybody = u32::try_from(MOST_CLIENTS).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(PATIENCE, self.clients.acquire_many(everybody)).await;
    }
}

impl Desk {
    async fn serve(self: Arc<Self>, mut stream: UnixStream) {
        let request = tokio::time::timeout(PATIENCE, protocol::read_pid(&mut stream)).await;
        let pid = match request {
            Ok(Ok(pid)) => pid,
            Ok(Err(error)) => {
                self.tally.malformed.fetch_add(1, Ordering::Relaxed);
                debug!(%error, "a portserver client said no pid");
                return;
            }
            Err(_) => {
                self.tally.malformed.fetch_add(1, Ordering::Relaxed);
                debug!("a portserver client said nothing");
                return;
            }
        };
        let desk = self.clone();
        let leased = tokio::task::spawn_blocking(move || desk.lease(pid)).await;
        let answer = match leased {
            Ok(Ok(Some(port))) => format!("{port}\n"),
            Ok(Ok(None)) => {
                self.tally.denied.fetch_add(1, Ordering::Relaxed);
                info!(pid, "no port for this process");
                return;
            }
            Ok(Err(error)) => {
                self.tally.denied.fetch_add(1, Ordering::Relaxed);
                warn!(pid, error = %error, "no port can be given out");
                return;
            }
            Err(error) => {
                warn!(pid, %error, "giving out a port broke off");
                return;
            }
        };
        self.tally.leased.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = stream.write_all(answer.as_bytes()).await {
            debug!(pid, %error, "a portserver client did not wait for its port");
        }
    }

    fn lease(&self, pid: u32) -> Result<Option<Port>, Undecided> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.lease(pid, |port| {
            let is_apps = self.service.is_claimed(port)?;
            Ok(!is_apps && !self.service.host_view().is_in_use(port)?)
        })
    }
}

/// Why it cannot be told whether a port may be given out.
#[derive(Debug, thiserror::Error)]
enum Undecided {
    #[error(transparent)]
    Book(#[from] portbook::Error),
    #[error(transparent)]
    Host(#[from] HostUnknown),
    #[error(transparent)]
    Ledger(#[from] io::Error),
}

fn take_over(listener: StdUnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// The pool as the book has it: for no app.
fn pool(ports: PortStretch) -> Result<Pool, portbook::Error> {
    let name = PoolName::new(POOL).map_err(|error| portbook::Error::Internal(error.to_string()))?;
    Ok(Pool {
        name,
        ports,
        models: ModelPattern::nobody(),
    })
}
