//! How much anybody may ask for, and how long that may take.

use std::time::Duration;

/// Bounds that keep one caller from taking the server away from others.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; further ones are turned away.
    pub connections: usize,
    /// Changes that wait or are being made at once; further ones are turned away.
    pub changes: usize,
    /// Questions about the book that wait or are being answered at once; further ones are turned away.
    pub questions: usize,
    /// Bytes of a body.
    pub body: usize,
    /// Bytes of a body that carries a whole file.
    pub file: usize,
    /// Apps of one request.
    pub apps: usize,
    /// Readers of the event stream at once.
    pub streams: usize,
    /// For a request's head to come, and for a kept connection to be used again.
    pub head: Duration,
    /// For a request's body to come.
    pub upload: Duration,
    /// For a client that was answered to end what it sends.
    pub linger: Duration,
    /// For what was accepted to be finished once the server is told to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            changes: 256,
            questions: 32,
            body: 1 << 20,
            file: 16 << 20,
            apps: 16_384,
            streams: 256,
            head: Duration::from_secs(30),
            upload: Duration::from_secs(30),
            linger: Duration::from_secs(5),
            farewell: Duration::from_secs(10),
        }
    }
}
