//! What a client says: its pid in ASCII, and a newline.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// More characters than any pid has.
const LONGEST: usize = 20;

/// Why what was said is no pid that could have a port.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPid {
    #[error("the connection broke off: {0}")]
    Io(#[from] io::Error),
    #[error("{0:?} is no pid")]
    Nonsense(String),
    #[error("the machine's first process was named: most likely the client's parent has ended")]
    Init,
}

/// Reads the request: up to a newline or to the end of what the client sends.
pub(super) async fn read_pid(stream: &mut (impl AsyncRead + Unpin)) -> Result<u32, NoPid> {
    let mut said = Vec::with_capacity(LONGEST + 1);
    let mut buffer = [0; LONGEST + 1];
    while said.len() <= LONGEST && !said.contains(&b'\n') {
        match stream.read(&mut buffer).await? {
            0 => break,
            length => said.extend_from_slice(&buffer[..length]),
        }
    }
    parse(&said)
}

fn parse(said: &[u8]) -> Result<u32, NoPid> {
    let nonsense = || NoPid::Nonsense(String::from_utf8_lossy(said).into_owned());
    if said.len() > LONGEST {
        return Err(nonsense());
    }
    let text = std::str::from_utf8(said).map_err(|_| nonsense())?;
    match text.trim().parse() {
        Ok(0) | Err(_) => Err(nonsense()),
        Ok(1) => Err(NoPid::Init),
        Ok(pid) => Ok(pid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_a_positive_number_in_a_short_line() {
        assert_eq!(parse(b"4242\n").unwrap(), 4242);
        assert_eq!(parse(b"4242").unwrap(), 4242);
        for said in [
            "",
            "\n",
            "0\n",
            "-1\n",
            "1\n",
            "x\n",
            "12 13\n",
            "99999999999\n",
            "123456789012345678901",
        ] {
            assert!(
                parse(said.as_bytes()).is_err(),
                "{said:?} was taken for a pid"
            );
        }
        assert!(parse(b"\xff\xfe\n").is_err());
    }
}
