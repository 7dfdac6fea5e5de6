//! Standing by a command while it runs: its signals, its end, and who is left when it has ended.
//!
//! The command has portbook's process group and terminal. So a key such as Ctrl-C reaches it by itself,
//! and is not passed on a second time; what is sent to portbook alone is. Nothing is handled: the
//! signals are blocked and read from a descriptor (signalfd(2)), so that the command inherits none of
//! it, and one that was ignored when portbook was started (nohup(1)) is for the command as if portbook
//! were not there.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc::SI_KERNEL;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp, getsid, tcgetpgrp, tcsetpgrp};
use portbook_host::{children, descends_from, has_stopped};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, getpid, wait};

/// What is passed on to the command.
const PASSED_ON: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTERM,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
];

/// How long processes that the command left behind may take to end when they are told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With this status.
    Exited(i32),
    /// By the signal of this number.
    Killed(i32),
    /// Nobody can tell: there is no such child.
    Unseen,
}

impl End {
    /// The status as shells give it.
    pub(super) fn exit_status(self) -> u8 {
        let status = match self {
            End::Exited(status) => status,
            End::Killed(signal) => 128 + signal,
            End::Unseen => 5,
        };
        u8::try_from(status).unwrap_or(u8::MAX)
    }

    fn of(status: WaitStatus) -> Option<Self> {
        let exited = status.exit_status().map(End::Exited);
        exited.or_else(|| status.terminating_signal().map(End::Killed))
    }
}

/// The signals that are held back for the command, and what they have said so far.
pub(super) struct Supervisor {
    signals: SignalFd,
    /// The command's process, until it has ended: then its number may be another's.
    command: Option<u32>,
    /// Whether a stop of the command is to be a stop of portbook, too.
    is_to_stop: bool,
    /// Whether portbook has stopped along with the command, and not seen yet who had it continue.
    has_stopped: bool,
    /// Whether portbook was asked to end.
    is_to_end: bool,
}

impl Supervisor {
    /// Holds the signals back from now on, for the process that is to be the command. What the command
    /// leaves behind will be portbook's child, instead of nobody's.
    pub(super) fn of(command: u32) -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(getpid()))?;
        // Whoever ignores this signal is not told of its children's ends, and may have had portbook
        // ignore it, too (waitpid(2), "Notes"). With a handler that never runs, it is not ignored.
        signal_hook::flag::register(nix::libc::SIGCHLD, Arc::default())?;
        let mut signals: SigSet = PASSED_ON.into_iter().collect();
        signals.add(Signal::SIGCHLD);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            signals: SignalFd::with_flags(&signals, flags)?,
            command: Some(command),
            is_to_stop: false,
            has_stopped: false,
            is_to_end: false,
        })
    }

    /// Stands by until the command has ended, and calls `tick` once every `interval`, as long as it
    /// gives one.
    pub(super) fn await_end(
        &mut self,
        mut interval: Option<Duration>,
        mut tick: impl FnMut() -> Option<Duration>,
    ) -> io::Result<End> {
        let mut next = interval.map(|interval| Instant::now() + interval);
        loop {
            self.pass_on()?;
            if let Some(end) = self.reap()? {
                return Ok(end);
            }
            self.stop_along()?;
            if next.is_some_and(|next| next <= Instant::now()) {
                interval = tick();
                next = interval.map(|interval| Instant::now() + interval);
            }
            self.sleep(next)?;
        }
    }

    /// The processes that the command left behind. If portbook was asked to end, those that have not
    /// left its session are asked as well, and given some time.
    pub(super) fn survivors(&mut self) -> io::Result<Vec<u32>> {
        let own = std::process::id();
        let until = Instant::now() + PATIENCE;
        let mut told = Vec::new();
        loop {
            if self.reap()? == Some(End::Unseen) {
                return Ok(Vec::new());
            }
            let left = children(own);
            if !self.is_to_end {
                return Ok(left);
            }
            let here: Vec<u32> = left.iter().copied().filter(|pid| is_here(*pid)).collect();
            if here.is_empty() || Instant::now() >= until {
                return Ok(left);
            }
            for pid in here {
                if !told.contains(&pid) {
                    // Whatever it was that portbook was sent: shells start what is to run in the
                    // background with SIGINT and SIGQUIT ignored.
                    send(pid, Signal::SIGTERM);
                    told.push(pid);
                }
            }
            self.sleep(Some(until))?;
            self.pass_on()?;
        }
    }

    /// Until there is a signal, or until `then`.
    fn sleep(&self, then: Option<Instant>) -> io::Result<()> {
        let left = then.map(|then| then.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut waited_for = [PollFd::new(&self.signals, PollFlags::IN)];
        match poll(&mut waited_for, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Passes on what has come for the command and has not reached it.
    fn pass_on(&mut self) -> io::Result<()> {
        let mut is_to_continue = false;
        while let Some(info) = self.signals.read_signal()? {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            let Ok(signal) = Signal::try_from(number) else {
                continue;
            };
            match signal {
                Signal::SIGCHLD => continue,
                Signal::SIGTSTP => {
                    self.is_to_stop = true;
                    is_to_continue = false;
                }
                Signal::SIGCONT => {
                    self.is_to_stop = false;
                    // A shell continues the whole job: told a second time, the command would go on
                    // even if it has been stopped again meanwhile.
                    if std::mem::take(&mut self.has_stopped) {
                        is_to_continue = self.command.is_some_and(has_stopped);
                        continue;
                    }
                }
                // What a key has sent has reached everybody who wants to hear of it, and a program may
                // well go on after it.
                Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTERM => {
                    self.is_to_end |= !is_from_terminal(&info);
                }
                _ => {}
            }
            if let Some(command) = self.command
                && !has_reached(command, &info)
            {
                send(command, signal);
            }
        }
        if let Some(command) = self.command.filter(|_| is_to_continue) {
            continue_command(command);
        }
        Ok(())
    }

    /// Stops if the command has and portbook was told to, or the terminal is theirs (a shell that suspends
    /// itself tells nobody): so the shell that waits for portbook takes notice. What has portbook continue
    /// is passed on, as ever.
    fn stop_along(&mut self) -> io::Result<()> {
        let stopped = self.command.filter(|command| has_stopped(*command));
        if stopped.is_some_and(|command| self.is_to_stop || is_in_foreground(command)) {
            self.is_to_stop = false;
            self.has_stopped = true;
            rustix::process::kill_process(getpid(), rustix::process::Signal::STOP)?;
        }
        Ok(())
    }

    /// Takes notice of every child that has ended; gives the command's end, or that there is
    /// no child whose end could be seen.
    fn reap(&mut self) -> io::Result<Option<End>> {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(Errno::CHILD) => return Ok(Some(End::Unseen)),
                Err(errno) => return Err(errno.into()),
            };
            if !self.command.is_some_and(|command| is_of(pid, command)) {
                continue;
            }
            if let Some(end) = End::of(status) {
                self.command = None;
                return Ok(Some(end));
            }
        }
    }
}

/// The terminal tells its whole foreground group, and so do programs that suspend themselves.
fn has_reached(command: u32, info: &siginfo) -> bool {
    let sender = info.ssi_pid;
    let is_from_command = sender != 0 && (sender == command || descends_from(sender, command));
    (is_from_terminal(info) || is_from_command) && is_in_group(command)
}

fn is_from_terminal(info: &siginfo) -> bool {
    info.ssi_code == SI_KERNEL
}

/// A process that is gone needs no signal any more.
fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Whether the terminal, if there is one, is the command's now.
fn is_in_foreground(command: u32) -> bool {
    let group = terminal()
        .and_then(|terminal| Ok(tcgetpgrp(terminal)?))
        .ok();
    group.is_some() && (group == Some(getpgrp()) || group == group_of(command))
}

/// Has the command go on as the shell has portbook do: one with a process group of its own, such as a
/// shell, needs to be given the terminal as well.
fn continue_command(command: u32) {
    let group = group_of(command).filter(|group| *group != getpgrp());
    if let (Some(group), true) = (group, is_in_foreground(command))
        && let Ok(terminal) = terminal()
    {
        // It has gone, or the terminal has: nobody is to go on.
        let _ = tcsetpgrp(terminal, group);
    }
    send(command, Signal::SIGCONT);
}

fn terminal() -> io::Result<File> {
    File::open("/dev/tty")
}

fn is_in_group(command: u32) -> bool {
    group_of(command) == Some(getpgrp())
}

/// 0 is a group like any other: one that was begun outside of this namespace of processes, where it has
/// a number that is not known here (pid_namespaces(7)).
fn group_of(pid: u32) -> Option<Pid> {
    let pid = i32::try_from(pid).ok()?;
    getpgid(Some(Pid::from_raw(pid))).ok()
}

/// Whether the process is in portbook's session: what went off to one of its own is a daemon.
fn is_here(pid: u32) -> bool {
    let session = |pid| getsid(pid).ok();
    i32::try_from(pid).is_ok_and(|pid| session(Some(Pid::from_raw(pid))) == session(None))
}

fn is_of(found: rustix::process::Pid, pid: u32) -> bool {
    u32::try_from(found.as_raw_pid()) == Ok(pid)
}
