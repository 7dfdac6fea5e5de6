//! A keep-alive HTTP client that costs next to nothing, so that what is measured is the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::Failure;

/// Longer than any answer takes: a server that hangs fails the benchmark.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection, on which one request follows the other.
pub struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    /// Connects to `http://host:port`.
    pub fn connect(url: &str) -> Result<Self, Failure> {
        let address = url.strip_prefix("http://").ok_or("no plain HTTP address")?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            answer: vec![0; 1 << 16],
        })
    }

    /// Sends a request as it is, takes the whole answer, which has to be a good one, and returns how
    /// many bytes of a body it had.
    pub fn ask(&mut self, request: &[u8]) -> Result<usize, Failure> {
        self.stream.write_all(request)?;
        let mut had = 0;
        let (head, length) = loop {
            let read = self.stream.read(&mut self.answer[had..])?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            had += read;
            if let Some(end) = find(&self.answer[..had], b"\r\n\r\n") {
                break (end + 4, length(&self.answer[..end])?);
            }
        };
        let mut left = length.saturating_sub(had - head);
        if !self.answer.starts_with(b"HTTP/1.1 20") {
            let said = String::from_utf8_lossy(&self.answer[..had]);
            return Err(format!("the server refused: {said}").into());
        }
        while left > 0 {
            let most = left.min(self.answer.len());
            let read = self.stream.read(&mut self.answer[..most])?;
            if read == 0 {
                return Err("the answer broke off".into());
            }
            left -= read;
        }
        Ok(length)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn length(head: &[u8]) -> Result<usize, Failure> {
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .ok_or("an answer without a length")?;
    Ok(line.trim().parse()?)
}

/// A GET of this path.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A POST of this JSON.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
