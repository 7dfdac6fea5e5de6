//! The server put together: it listens, takes connections, and finishes what it took before it goes.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use portbook::{Configuration, PortAllocationService};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::activation::Inherited;
use crate::app::App;
use crate::auth::{TokenFileError, Tokens};
use crate::descriptors;
use crate::limits::Limits;
use crate::lingering::Lingering;
use crate::listen::{Address, Listener, Peer, Stream};
use crate::origin::Guard;
use crate::portserver::{self, Portserver, PortserverError};
use crate::reload::Reloader;
use crate::routes;
use crate::supervisor;
use crate::tls::{Tls, TlsError, TlsFiles};

/// What a server is told.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where to listen.
    pub listen: Vec<Address>,
    /// The file of tokens that requests by TCP have to carry one of.
    pub token_file: Option<PathBuf>,
    /// The certificate and key to speak TLS with.
    pub tls: Option<TlsFiles>,
    /// Names that the server is known by, besides `localhost` and the addresses it listens at.
    pub allowed_hosts: Vec<String>,
    /// The origins of pages elsewhere that may ask this server.
    pub allowed_origins: Vec<String>,
    /// The portserver, where one is wanted.
    pub portserver: Option<portserver::Settings>,
    /// How much anybody may ask for.
    pub limits: Limits,
}

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen there.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: Address,
        /// Why not.
        source: std::io::Error,
    },
    /// A socket that was handed over cannot be used.
    #[error("a socket that was handed over cannot be used: {0}")]
    Inherited(std::io::Error),
    /// Others could reach the server, and nothing says who may.
    #[error(
        "{0} can be reached from other machines, and nothing says who may ask: name the tokens with --token-file, or listen at 127.0.0.1"
    )]
    Unguarded(SocketAddr),
    /// The system gives it no thread.
    #[error("the system gives the server no thread of its own: {0}")]
    Thread(std::io::Error),
    /// The book is a server's: that one can be asked itself.
    #[error("{0} is a server's book, which that server answers for")]
    NoOwnBook(String),
    /// The tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The portserver cannot be started.
    #[error(transparent)]
    Portserver(#[from] PortserverError),
}

/// A server that listens and answers nothing yet.
pub struct Server {
    listeners: Vec<Listener>,
    portserver: Option<Portserver>,
    service: PortAllocationService,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Listens wherever the settings say; where sockets were handed over for that, at those instead.
    pub async fn bind(
        settings: Settings,
        inherited: Inherited,
        service: PortAllocationService,
    ) -> Result<Self, ServeError> {
        if service.is_remote() {
            return Err(ServeError::NoOwnBook(service.location()));
        }
        let tokens = settings
            .token_file
            .as_deref()
            .map(Tokens::open)
            .transpose()?;
        let tls = settings.tls.map(Tls::load).transpose()?.map(Arc::new);
        let listeners = inherited.sockets.into_iter().map(Listener::inherit);
        let mut listeners: Vec<Listener> = listeners
            .collect::<Result<_, _>>()
            .map_err(ServeError::Inherited)?;
        let is_to_bind = listeners.is_empty();
        for address in settings.listen.iter().filter(|_| is_to_bind) {
            let bound = Listener::bind(address).await;
            listeners.extend(bound.map_err(|source| ServeError::Listen {
                address: address.clone(),
                source,
            })?);
        }
        let reachable = listeners.iter().filter(|listener| !listener.is_local());
        for address in reachable.filter_map(Listener::socket_address) {
            if tokens.is_none() {
                return Err(ServeError::Unguarded(address));
            }
            if tls.is_none() {
                warn!(%address, "tokens and answers pass in clear text: name a certificate with --tls-cert and --tls-key");
            }
        }
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .filter_map(Listener::socket_address)
            .collect();
        let guard = Guard::new(
            &addresses,
            &settings.allowed_hosts,
            &settings.allowed_origins,
        );
        let portserver = settings
            .portserver
            .map(|wanted| Portserver::open(&wanted, inherited.portserver, service.clone()))
            .transpose()?;
        let (stop, stopping) = watch::channel(false);
        let mut limits = settings.limits;
        limits.connections = descriptors::for_connections(limits.connections);
        let tally = portserver.as_ref().map(Portserver::tally);
        let app = App::new(
            service.clone(),
            limits.clone(),
            tokens,
            guard,
            stopping,
            tally,
        )
        .map_err(ServeError::Thread)?;
        Ok(Self {
            listeners,
            portserver,
            service,
            tls,
            router: routes::router(Arc::new(app)),
            limits,
            stop,
        })
    }

    /// Where it listens, each as `--store` takes it.
    pub fn addresses(&self) -> Vec<String> {
        let is_tls = self.tls.is_some();
        let listeners = self.listeners.iter();
        listeners.map(|listener| listener.url(is_tls)).collect()
    }

    /// Where its portserver listens, as `PORTSERVER_ADDRESS` takes it.
    pub fn portserver_address(&self) -> Option<String> {
        let portserver = self.portserver.as_ref();
        portserver.map(|portserver| portserver.address().to_string())
    }

    /// What has the server take up new rules and a new certificate; `started` is the configuration that
    /// its service was opened with.
    pub fn reloader(&self, started: Configuration) -> Reloader {
        Reloader::new(self.service.clone(), self.tls.clone(), started)
    }

    /// Answers until `stop` is there; then takes nothing more, finishes what it took, and returns
    /// whether all of that was finished in time.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let door = Arc::new(Door {
            router: self.router,
            tls: self.tls,
            head: self.limits.head,
            linger: self.limits.linger,
            room: room.clone(),
            stopping: self.stop.subscribe(),
        });
        let mut accepting: Vec<_> = self
            .listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(listener, door.clone())))
            .collect();
        if let Some(portserver) = self.portserver {
            let mut stopping = self.stop.subscribe();
            let stop = async move { told_to_stop(&mut stopping).await };
            accepting.push(tokio::spawn(portserver.run(stop)));
        }
        supervisor::is_ready();
        let living = tokio::spawn(supervisor::keeps_living());
        stop.await;
        supervisor::stops();
        info!("stopping: what was accepted is finished");
        self.stop.send_replace(true);
        for task in accepting {
            // It ends by itself: it was told to stop.
            let _ = task.await;
        }
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let finished = tokio::time::timeout(self.limits.farewell, room.acquire_many(all));
        let in_time = finished.await.is_ok();
        living.abort();
        if !in_time {
            warn!("some requests were not finished in time");
        }
        in_time
    }
}

/// What takes connections in.
struct Door {
    router: Router,
    tls: Option<Arc<Tls>>,
    head: Duration,
    linger: Duration,
    room: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// How long the kernel is left alone when it has no more descriptors to give.
const RESPITE: Duration = Duration::from_millis(100);
/// How long whoever is turned away is given to take the answer.
const TURNING_AWAY: Duration = Duration::from_secs(1);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

async fn accept(listener: Listener, door: Arc<Door>) {
    let mut stopping = door.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told_to_stop(&mut stopping) => return,
        };
        match accepted {
            Ok((stream, peer)) => match door.room.clone().try_acquire_owned() {
                Ok(permit) => {
                    tokio::spawn(converse(stream, peer, door.clone(), permit));
                }
                Err(_) => {
                    tokio::spawn(turn_away(stream));
                }
            },
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(RESPITE).await;
            }
        }
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // A server that is gone has stopped, too.
    let _ = stopping.wait_for(|stops| *stops).await;
}

async fn turn_away(mut stream: Stream) {
    let answer = async {
        let _ = stream.write_all(FULL).await;
        let _ = stream.shutdown().await;
    };
    let _ = tokio::time::timeout(TURNING_AWAY, answer).await;
}

/// Answers one connection's requests, one after the other.
async fn converse(stream: Stream, peer: Peer, door: Arc<Door>, _permit: OwnedSemaphorePermit) {
    let stream = match (&door.tls, peer) {
        (Some(tls), Peer::Tcp(_)) => {
            let shaken = tokio::time::timeout(door.head, tls.accept(stream)).await;
            match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(?peer, %error, "no TLS came about"),
                Err(_) => return debug!(?peer, "TLS took too long to come about"),
            }
        }
        _ => stream,
    };
    let router = door.router.clone();
    let answer = tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move {
            let response: Response<Body> = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let hurries = Arc::new(AtomicBool::new(false));
    let stream = Lingering::new(stream, door.linger, hurries.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(answer));
    let mut connection = std::pin::pin!(connection);
    let mut stopping = door.stopping.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told_to_stop(&mut stopping) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            hurries.store(true, Ordering::Relaxed);
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(?peer, %error, "a connection broke off");
    }
}
