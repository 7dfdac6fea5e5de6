//! The file of tokens: a line each, with its name, its scope, and a digest of it.
//!
//! ```text
//! # name scope digest
//! ci     write sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```
//!
//! A token is 32 random bytes, so that a plain digest cannot be searched back. The file is read anew
//! when it changes; while it cannot be read, nobody is let in.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use portbook::wire::Right;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// How often the file is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// What tokens of portbook's begin with, so that those who search for leaked secrets find them.
const PREFIX: &str = "pb_";
const RANDOM_BYTES: usize = 32;

/// The file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read or written.
    #[error("the token file {} cannot be used: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may write it, and so let themselves in.
    #[error("the token file {path} can be written by others: chmod 600 {path}", path = .0.display())]
    Writable(PathBuf),
    /// A line is none.
    #[error("{}:{line}: {reason}: a line is NAME read|write|admin sha256:DIGEST, as `portbook token` makes it", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name that is there already.
    #[error("the token file {} has a token `{name}` already: take another name, or remove its line", .path.display())]
    NameTaken {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A name that no line could have.
    #[error("`{0}` cannot name a token: take letters, digits, `-`, `_` and `.`, at most 64")]
    BadName(String),
}

/// The tokens of a file, followed as it changes.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    looked: Instant,
    stamp: Option<Stamp>,
    entries: Vec<Entry>,
}

/// What changes when the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    right: Right,
    digest: [u8; 32],
}

impl Tokens {
    /// Reads the file for the first time.
    pub(crate) fn open(path: &Path) -> Result<Self, TokenFileError> {
        let (stamp, entries) = read(path)?;
        if entries.is_empty() {
            tracing::warn!(file = %path.display(), "the token file has no token: nobody is let in by TCP");
        }
        Ok(Self {
            path: path.to_owned(),
            known: Mutex::new(Known {
                looked: Instant::now(),
                stamp: Some(stamp),
                entries,
            }),
        })
    }

    /// Whose token it is, and what it is good for. How long that takes does not depend on the token.
    pub(crate) fn find(&self, token: &str) -> Result<Option<(String, Right)>, TokenFileError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() >= BETWEEN_LOOKS || known.stamp.is_none() {
            self.look_again(&mut known)?;
        }
        let mut found = u64::MAX;
        for (index, entry) in (0..).zip(&known.entries) {
            found.conditional_assign(&index, entry.digest.ct_eq(&digest));
        }
        let entry = usize::try_from(found)
            .ok()
            .and_then(|found| known.entries.get(found));
        Ok(entry.map(|entry| (entry.name.clone(), entry.right)))
    }

    fn look_again(&self, known: &mut Known) -> Result<(), TokenFileError> {
        known.looked = Instant::now();
        let stamp = stamp(&self.path)?;
        if known.stamp == Some(stamp) {
            return Ok(());
        }
        known.stamp = None;
        let (stamp, entries) = read(&self.path)?;
        tracing::info!(file = %self.path.display(), tokens = entries.len(), "the token file was read anew");
        known.stamp = Some(stamp);
        known.entries = entries;
        Ok(())
    }
}

fn stamp(path: &Path) -> Result<Stamp, TokenFileError> {
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    Ok(Stamp {
        inode: metadata.ino(),
        length: metadata.len(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn failed(path: &Path, source: io::Error) -> TokenFileError {
    TokenFileError::File {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<(Stamp, Vec<Entry>), TokenFileError> {
    let stamp = stamp(path)?;
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(TokenFileError::Writable(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|source| failed(path, source))?;
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason| TokenFileError::Line {
            path: path.to_owned(),
            line: number,
            reason,
        };
        let entry = parse(line).map_err(wrong)?;
        if entries.iter().any(|other| other.name == entry.name) {
            return Err(wrong("this name is taken by a line above"));
        }
        entries.push(entry);
    }
    Ok((stamp, entries))
}

fn parse(line: &str) -> Result<Entry, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(scope), Some(digest), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("this line has not three words");
    };
    if !is_name(name) {
        return Err("this is no name");
    }
    let rights = [Right::Read, Right::Write, Right::Admin];
    let right = rights.into_iter().find(|right| right.as_str() == scope);
    let right = right.ok_or("this scope is unknown")?;
    let digest = digest.strip_prefix("sha256:").and_then(from_hex);
    Ok(Entry {
        name: name.to_owned(),
        right,
        digest: digest.ok_or("this is no digest")?,
    })
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A token that was just made. Whoever it is for gets the secret; the server only ever sees the line.
pub struct NewToken {
    /// The secret: what `PORTBOOK_TOKEN` is set to.
    pub secret: String,
    /// The token's line in the file.
    pub line: String,
    name: String,
}

impl NewToken {
    /// Makes a token of the kernel's randomness.
    pub fn make(name: &str, right: Right) -> Result<Self, TokenFileError> {
        if !is_name(name) {
            return Err(TokenFileError::BadName(name.to_owned()));
        }
        let mut bytes = [0; RANDOM_BYTES];
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        if got != Ok(RANDOM_BYTES) {
            return Err(failed(
                Path::new("/dev/random"),
                io::Error::other("the kernel has no randomness to give"),
            ));
        }
        let secret = format!("{PREFIX}{}", hex(&bytes));
        let digest = hex(&Sha256::digest(secret.as_bytes()));
        Ok(Self {
            line: format!("{name} {} sha256:{digest}", right.as_str()),
            secret,
            name: name.to_owned(),
        })
    }

    /// Adds the token's line to a file, which is made where there is none, for its owner alone.
    pub fn add_to(&self, path: &Path) -> Result<(), TokenFileError> {
        if path.exists() {
            let (_, entries) = read(path)?;
            if entries.iter().any(|entry| entry.name == self.name) {
                return Err(TokenFileError::NameTaken {
                    path: path.to_owned(),
                    name: self.name.clone(),
                });
            }
        }
        let write = || -> io::Result<()> {
            let text = match fs::read(path) {
                Ok(text) if !text.is_empty() && !text.ends_with(b"\n") => "\n",
                _ => "",
            };
            let mut file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(format!("{text}{}\n", self.line).as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| failed(path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_secret_alone_and_a_new_line_counts_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let one = NewToken::make("ci", Right::Write).unwrap();
        one.add_to(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!fs::read_to_string(&path).unwrap().contains(&one.secret));
        let tokens = Tokens::open(&path).unwrap();
        let found = |secret: &str| tokens.find(secret).unwrap();
        assert_eq!(found(&one.secret), Some(("ci".to_owned(), Right::Write)));
        assert_eq!(found("pb_"), None);
        assert_eq!(found(&one.line), None);
        let two = NewToken::make("ops", Right::Admin).unwrap();
        two.add_to(&path).unwrap();
        tokens.known.lock().unwrap().looked -= BETWEEN_LOOKS;
        assert_eq!(found(&two.secret), Some(("ops".to_owned(), Right::Admin)));
        assert!(one.add_to(&path).is_err());
    }

    #[test]
    fn a_broken_file_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let token = NewToken::make("ci", Right::Read).unwrap();
        token.add_to(&path).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        fs::write(&path, "ci read").unwrap();
        tokens.known.lock().unwrap().looked -= BETWEEN_LOOKS;
        assert!(tokens.find(&token.secret).is_err());
        assert!(tokens.find(&token.secret).is_err(), "the second look, too");
        fs::write(&path, format!("# all\n\n{}\n", token.line)).unwrap();
        assert!(tokens.find(&token.secret).unwrap().is_some());
    }
}
