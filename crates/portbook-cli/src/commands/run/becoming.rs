//! A process that waits, known by its number, until it may become the command.
//!
//! What the command is to know is known late (its ports, the sockets bound to them, its own pid for
//! LISTEN_PID), and the book is to know the process before it does anything. So portbook starts itself
//! once more, under another name; that process waits at the other end of a socket for its [`Orders`]
//! and then executes the command, which keeps the pid and the start time. If portbook is killed before
//! that, the socket ends and nothing is executed.
//!
//! The socket is the waiting process's standard input, so that no descriptor needs to be inherited by
//! number. The command's own standard input comes over it, before the sockets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

/// What the waiting process is called, as its first argument says.
const NAME: &str = "portbook: about to run";
/// Where portbook is, even if its file was replaced since it was started.
const PORTBOOK: &str = "/proc/self/exe";
/// The most descriptors that one message carries: SCM_MAX_FD of the kernel.
const MOST_DESCRIPTORS: usize = 253;
/// The longest orders.
const LONGEST: usize = 64 * 1024;
/// The first descriptor of a handed-over socket: SD_LISTEN_FDS_START of sd_listen_fds(3).
pub(super) const FIRST_SOCKET: i32 = 3;

/// What the process is to do before it becomes the command.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// Variables to set.
    pub(super) variables: BTreeMap<String, String>,
    /// What the sockets are called, in the order in which they come along.
    pub(super) sockets: Vec<String>,
    /// Texts in the command's arguments, and what to put in their place.
    pub(super) placeholders: BTreeMap<String, String>,
}

/// The process that waits. Where it is dropped, it ends without having done anything.
pub(super) struct Becoming {
    pid: u32,
    /// `None` once there is nobody to be waited for.
    channel: Option<OwnedFd>,
}

impl Becoming {
    /// Starts the process that is to become `command`.
    pub(super) fn start(command: &[OsString]) -> io::Result<Self> {
        let (channel, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let waiting = Command::new(PORTBOOK)
            .arg0(NAME)
            .args(command)
            .stdin(Stdio::from(theirs))
            .spawn()?;
        Ok(Self {
            pid: waiting.id(),
            channel: Some(channel),
        })
    }

    /// The pid that the command will have.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Has the process become the command, with these sockets. From then on the command is the caller's
    /// to wait for; where it cannot be executed, there is none, and the error says why.
    pub(super) fn proceed(mut self, orders: &Orders, sockets: &[OwnedFd]) -> io::Result<()> {
        let Some(channel) = &self.channel else {
            return Err(Errno::BADF.into());
        };
        let stdin = io::stdin();
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(stdin.as_fd())
            .chain(sockets.iter().map(AsFd::as_fd))
            .collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOBIG.into());
        }
        let text = serde_json::to_vec(orders)?;
        let sent = retry_on_intr(|| {
            let message = [IoSlice::new(&text)];
            sendmsg(channel, &message, &mut control, SendFlags::NOSIGNAL)
        });
        match sent {
            // A signal ended it while it waited: how, its status will tell.
            Err(Errno::PIPE | Errno::CONNRESET) => {
                self.channel = None;
                return Ok(());
            }
            sent => sent?,
        };
        let mut answer = [0; 4];
        let (length, _) =
            retry_on_intr(|| rustix::net::recv(channel, &mut answer[..], RecvFlags::empty()))?;
        // The channel closes as the process becomes the command.
        if length == 0 {
            self.channel = None;
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(i32::from_ne_bytes(answer)))
    }
}

impl Drop for Becoming {
    fn drop(&mut self) {
        if self.channel.take().is_some() {
            // It has not become anybody, so nothing but its end can come.
            let pid = i32::try_from(self.pid).ok();
            let pid = pid.and_then(rustix::process::Pid::from_raw);
            let options = rustix::process::WaitOptions::empty();
            let _ = retry_on_intr(|| rustix::process::waitpid(pid, options));
        }
    }
}

/// If this process was started to become a command, does so. Returns only if it could not, or was not.
pub(crate) fn become_command() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    if words.next()? != NAME {
        return None;
    }
    let command: Vec<OsString> = words.collect();
    let Ok(Some((orders, descriptors))) = await_orders() else {
        // Nobody is left to say what to do, or to be told why not.
        return Some(ExitCode::FAILURE);
    };
    // Out of the way of the sockets: it tells of a failure, and closes with a success.
    let beyond = i32::try_from(descriptors.len()).map_or(i32::MAX, |count| FIRST_SOCKET + count);
    match rustix::io::fcntl_dupfd_cloexec(io::stdin(), beyond) {
        Ok(channel) => report(channel, &execute(&command, orders, descriptors)),
        Err(errno) => report(io::stdin(), &errno.into()),
    }
    Some(ExitCode::FAILURE)
}

/// Tells portbook why the command was not executed. Where it is gone, nobody asks any more.
fn report(channel: impl AsFd, failure: &io::Error) {
    let errno = failure
        .raw_os_error()
        .unwrap_or(Errno::INVAL.raw_os_error());
    let _ = send(channel, &errno.to_ne_bytes(), SendFlags::NOSIGNAL);
}

/// The orders, with the descriptors that came along; `None` where there are none to come.
fn await_orders() -> io::Result<Option<(Orders, Vec<OwnedFd>)>> {
    let channel = io::stdin();
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(channel.as_fd(), &mut parts, &mut control, flags)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptors = descriptors.flatten().collect();
    let orders = serde_json::from_slice(&text[..received.bytes])?;
    Ok(Some((orders, descriptors)))
}

/// Executes the command in this process; returns why it could not.
fn execute(command: &[OsString], orders: Orders, descriptors: Vec<OwnedFd>) -> io::Error {
    let mut descriptors = descriptors.into_iter();
    let (Some((program, arguments)), Some(stdin)) = (command.split_first(), descriptors.next())
    else {
        return Errno::INVAL.into();
    };
    let mappings: Vec<FdMapping> = descriptors
        .zip(FIRST_SOCKET..)
        .map(|(parent_fd, child_fd)| FdMapping {
            parent_fd,
            child_fd,
        })
        .collect();
    let mut command = Command::new(program);
    command
        .args(
            arguments
                .iter()
                .map(|word| filled(word, &orders.placeholders)),
        )
        .stdin(Stdio::from(stdin))
        // They are about the process that they name, and the command is another one.
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .envs(orders.variables);
    if !mappings.is_empty() {
        command
            .env("LISTEN_PID", std::process::id().to_string())
            .env("LISTEN_FDS", mappings.len().to_string())
            .env("LISTEN_FDNAMES", orders.sockets.join(":"));
    }
    match command.fd_mappings(mappings) {
        Ok(command) => command.exec(),
        Err(error) => io::Error::other(error),
    }
}

/// An argument with its placeholders filled in; one that is no text has none.
fn filled(word: &OsStr, placeholders: &BTreeMap<String, String>) -> OsString {
    let Some(text) = word.to_str() else {
        return word.to_owned();
    };
    let fill = |text: String, (name, value): (&String, &String)| text.replace(name, value);
    placeholders.iter().fold(text.to_owned(), fill).into()
}
