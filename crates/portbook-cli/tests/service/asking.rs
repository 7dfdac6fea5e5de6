//! A client that keeps its connection, and tells of an answer that did not come whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any answer takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client(BufReader<TcpStream>);

/// Connects to `http://host:port`.
pub(crate) fn connect(url: &str) -> io::Result<TcpStream> {
    let address = url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Client {
    pub(crate) fn connect(url: &str) -> io::Result<Self> {
        connect(url).map(|stream| Self(BufReader::new(stream)))
    }

    /// Allocates an app; the answer's status and JSON.
    pub(crate) fn allocate(&mut self, model: &str, number: u64) -> io::Result<(u16, Value)> {
        let body = json!({ "model": model, "app_num": number }).to_string();
        let head = format!(
            "POST /api/v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all((head + &body).as_bytes())?;
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut status = String::new();
        self.0.read_line(&mut status)?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(broken)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(broken());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(announced) = line.strip_prefix("content-length: ") {
                length = announced.parse().map_err(|_| broken())?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body).unwrap()))
    }
}
