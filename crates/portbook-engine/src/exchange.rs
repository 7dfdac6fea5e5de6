//! One question and its answer: HTTP/1.1, a connection each.
//!
//! A connection to a local socket costs less than keeping one would: what is read is at most one
//! answer, up to its end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::EngineError;
use crate::tls;

/// An answer is a list of containers or one of them: the longest seen has some megabytes.
const LONGEST: usize = 64 << 20;
/// An engine sends about a dozen.
const MOST_HEADERS: usize = 64;

/// What an engine answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Asks for `path`, and waits for the whole answer for at most `patience`.
pub(crate) fn get(
    endpoint: &Endpoint,
    path: &str,
    patience: Duration,
) -> Result<Answer, EngineError> {
    let told = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => EngineError::Silent {
            endpoint: endpoint.clone(),
            seconds: patience.as_secs(),
        },
        ErrorKind::PermissionDenied => EngineError::Refused {
            endpoint: endpoint.clone(),
            reason: error.to_string(),
        },
        _ if tls::is_about_trust(&error) => EngineError::Untrusted {
            endpoint: endpoint.clone(),
            reason: error.to_string(),
        },
        _ => EngineError::Unreachable {
            endpoint: endpoint.clone(),
            source: error,
        },
    };
    let form = |reason: String| EngineError::Form {
        endpoint: endpoint.clone(),
        reason,
    };
    let deadline = Instant::now() + patience;
    let terms = match endpoint {
        Endpoint::Tls {
            host, certificates, ..
        } => {
            let terms = tls::Terms::read(host, certificates);
            Some(terms.map_err(|reason| EngineError::Certificates {
                endpoint: endpoint.clone(),
                reason,
            })?)
        }
        Endpoint::Unix(_) | Endpoint::Tcp { .. } => None,
    };
    let mut line = ask(endpoint, terms.as_ref(), path, deadline).map_err(told)?;
    let mut heard = Vec::new();
    loop {
        let has_ended = line.hear(&mut heard, deadline).map_err(told)? == 0;
        match read_answer(&heard, has_ended).map_err(form)? {
            Some(answer) => return Ok(answer),
            None if has_ended && heard.is_empty() => {
                return Err(form("it hung up without a word".to_owned()));
            }
            None if has_ended => return Err(form("its answer breaks off".to_owned())),
            None if heard.len() > LONGEST => {
                return Err(form("its answer does not end".to_owned()));
            }
            None => {}
        }
    }
}

fn ask(
    endpoint: &Endpoint,
    terms: Option<&tls::Terms>,
    path: &str,
    deadline: Instant,
) -> io::Result<Line> {
    let mut line = Line::open(endpoint, deadline)?;
    line.wait_at_most(remaining(deadline)?)?;
    if let Some(terms) = terms {
        line = line.secured(terms)?;
    }
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    line.wait_at_most(remaining(deadline)?)?;
    line.write_all(request.as_bytes())?;
    line.flush()?;
    Ok(line)
}

/// How long may still be waited: never zero, which sockets take for "for ever".
fn remaining(deadline: Instant) -> io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| ErrorKind::TimedOut.into())
}

/// A connection to an engine.
enum Line {
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    Tcp(TcpStream),
    Tls(Box<tls::Stream>),
}

impl Line {
    fn open(endpoint: &Endpoint, deadline: Instant) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => open_socket(path, remaining(deadline)?),
            Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } => {
                open_port(host, *port, deadline)
            }
        }
    }

    fn secured(self, terms: &tls::Terms) -> io::Result<Self> {
        match self {
            Line::Tcp(stream) => Ok(Line::Tls(Box::new(terms.agree(stream)?))),
            other => Ok(other),
        }
    }

    /// Appends what comes next, and gives its length: 0 once the engine has hung up.
    fn hear(&mut self, heard: &mut Vec<u8>, deadline: Instant) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        loop {
            self.wait_at_most(remaining(deadline)?)?;
            match self.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(length) => {
                    heard.extend_from_slice(&piece[..length]);
                    return Ok(length);
                }
            }
        }
    }

    fn wait_at_most(&self, patience: Duration) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Line::Unix(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
            Line::Tcp(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
            Line::Tls(stream) => {
                stream.sock.set_read_timeout(Some(patience))?;
                stream.sock.set_write_timeout(Some(patience))
            }
        }
    }
}

/// Where the engine accepts nobody any more, connecting waits: on Linux as long as a send may.
#[cfg(unix)]
fn open_socket(path: &Path, patience: Duration) -> io::Result<Line> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
    };
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(patience))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(Line::Unix(socket.into()))
}

#[cfg(not(unix))]
fn open_socket(_path: &Path, _patience: Duration) -> io::Result<Line> {
    Err(ErrorKind::Unsupported.into())
}

fn open_port(host: &str, port: u16, deadline: Instant) -> io::Result<Line> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, remaining(deadline)?) {
            Ok(stream) => return Ok(Line::Tcp(stream)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Line::Unix(stream) => stream.read(buffer),
            Line::Tcp(stream) => stream.read(buffer),
            Line::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Line::Unix(stream) => stream.write(bytes),
            Line::Tcp(stream) => stream.write(bytes),
            Line::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Line::Unix(stream) => stream.flush(),
            Line::Tcp(stream) => stream.flush(),
            Line::Tls(stream) => stream.flush(),
        }
    }
}

/// The answer, once there is the whole of it; only an engine that has hung up ends one that does not
/// say how long it is.
fn read_answer(bytes: &[u8], has_ended: bool) -> Result<Option<Answer>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("it does not speak HTTP ({error})")),
    };
    let header = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value).trim().to_lowercase())
    };
    let rest = &bytes[start..];
    let body = if header("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        join_chunks(rest)?
    } else if let Some(length) = header("content-length") {
        let length: usize = length
            .parse()
            .map_err(|_| format!("its answer is `{length}` long"))?;
        rest.get(..length).map(<[u8]>::to_owned)
    } else {
        has_ended.then(|| rest.to_owned())
    };
    Ok(body.map(|body| Answer {
        status: response.code.unwrap_or_default(),
        body,
    }))
}

/// A body that comes in chunks (RFC 9112, 7.1), once there are all of them; what trails them is passed
/// over.
fn join_chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let (start, length) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(chunk)) => chunk,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("a chunk of its answer has no length".to_owned()),
        };
        if length == 0 {
            return Ok(Some(body));
        }
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|end| *end <= LONGEST)
            .ok_or("a chunk of its answer does not end")?;
        let Some((chunk, after)) = rest.split_at_checked(end) else {
            return Ok(None);
        };
        body.extend_from_slice(&chunk[start..]);
        match after {
            [b'\r', b'\n', after @ ..] => rest = after,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("a chunk of its answer is longer than it says".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of an answer after which the engine hung up, if it was whole.
    fn body(answer: &str) -> Result<Option<String>, String> {
        let answer = read_answer(answer.as_bytes(), true)?;
        Ok(answer.map(|answer| String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn a_body_ends_by_its_length_by_its_last_chunk_or_by_hanging_up() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello",
        ] {
            assert_eq!(body(answer).unwrap().as_deref(), Some("hello"));
        }
    }

    #[test]
    fn an_answer_cut_anywhere_is_never_taken_for_a_whole_one() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n",
        ] {
            for length in 0..answer.len() - 3 {
                assert_eq!(body(&answer[..length]).unwrap(), None, "cut at {length}");
            }
        }
        let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        assert!(body(endless).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn an_engine_that_hangs_is_waited_for_only_so_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let _deaf = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let patience = Duration::from_millis(200);
        let error = get(&Endpoint::Unix(path.clone()), "/", patience).unwrap_err();
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
        // Once its queue is full, even connecting waits.
        let mut waiting = Vec::new();
        while let Ok(line) = open_socket(&path, patience) {
            waiting.push(line);
        }
        let error = get(&Endpoint::Unix(path), "/", patience).unwrap_err();
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
    }

    #[test]
    fn what_is_no_engine_is_told_from_one() {
        for (answer, says) in [
            ("SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "`-1` long"),
        ] {
            let error = body(answer).unwrap_err();
            assert!(error.contains(says), "{answer}: {error}");
        }
    }
}
