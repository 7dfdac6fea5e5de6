//! Closing a connection whose client still sends.
//!
//! A socket that is closed with bytes unread tells its peer of a reset, and a peer that hears that throws
//! away what it has not read yet: the answer that says why. So what still comes is read and dropped for
//! a while, once everything is said (RFC 9112, 9.6).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How much is dropped before others have their turn.
const AT_ONCE: usize = 64;
const DROPPED: usize = 16 << 10;

/// A stream that is shut down in the end, then listened to until its peer has no more to say.
pub(crate) struct Lingering<S> {
    stream: S,
    longest: Duration,
    hurries: Arc<AtomicBool>,
    is_shut: bool,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// Lingers for at most `longest`, and not at all once `hurries` says so.
    pub(crate) fn new(stream: S, longest: Duration, hurries: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            longest,
            hurries,
            is_shut: false,
            until: None,
        }
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let longest = self.longest;
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(longest)));
        if until.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut space = [0; DROPPED];
        for _ in 0..AT_ONCE {
            let mut dropped = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut dropped));
            if read.is_err() || dropped.filled().is_empty() {
                return Poll::Ready(());
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.is_shut = true;
        }
        if !self.hurries.load(Ordering::Relaxed) {
            ready!(self.poll_end(context));
        }
        Poll::Ready(Ok(()))
    }
}
