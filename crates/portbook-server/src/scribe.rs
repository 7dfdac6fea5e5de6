//! Answers about the whole book: read and written by one thread, in pieces.
//!
//! Such an answer takes some ten megabytes while it is made, and the C library's allocator keeps what a thread
//! has given back for that thread: made by whichever thread is idle, each of them would keep as much. One
//! that makes them all keeps it once, however many ask.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame, SizeHint};
use portbook::Error;
use serde::{Serialize, Serializer};
use tokio::sync::oneshot;

use crate::problem::Problem;

/// The bytes of a piece: few enough that the allocator keeps none of them apart.
const PIECE: usize = 64 << 10;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

type Work = Box<dyn FnOnce() + Send>;

/// The thread that makes answers about the whole book, one after the other. It ends with this value.
#[derive(Debug)]
pub(crate) struct Scribe {
    asked: mpsc::Sender<Work>,
}

impl Scribe {
    /// Starts the thread.
    pub(crate) fn begin() -> io::Result<Self> {
        let (asked, to_do) = mpsc::channel::<Work>();
        let thread = std::thread::Builder::new().name("portbook-scribe".to_owned());
        thread.spawn(move || {
            for work in to_do {
                // Whoever waits for it hears that it broke off; the others are answered all the same.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        })?;
        Ok(Self { asked })
    }

    /// Has an answer written, unless whoever asks is gone before its turn has come. `permit` is held until
    /// then.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        permit: impl Send + 'static,
        write: impl FnOnce(&mut Pieces) -> Result<T, Error> + Send + 'static,
    ) -> Result<(T, Pieces), Problem> {
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let _permit = permit;
            if !answer.is_closed() {
                let mut pieces = Pieces::default();
                let written = write(&mut pieces);
                // Whoever has gone meanwhile misses nothing.
                let _ = answer.send(written.map(|value| (value, pieces)));
            }
        };
        let broke_off = || Problem::internal("answering broke off");
        self.asked.send(Box::new(work)).map_err(|_| broke_off())?;
        Ok(answered.await.map_err(|_| broke_off())??)
    }
}

/// The body of an answer, in pieces that are given back as they are sent.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    full: VecDeque<Bytes>,
    last: Vec<u8>,
}

impl Pieces {
    /// Writes a value as JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(self, value).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Writes values as an array of JSON, one after the other.
    pub(crate) fn json_list<T: Serialize>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        let mut writer = serde_json::Serializer::new(self);
        let written = writer.collect_seq(values);
        written.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Writes a text as it is.
    pub(crate) fn bytes(&mut self, text: &[u8]) {
        for part in text.chunks(PIECE) {
            if self.last.len() + part.len() > PIECE {
                self.end_piece();
            }
            self.last.extend_from_slice(part);
        }
    }

    fn end_piece(&mut self) {
        if !self.last.is_empty() {
            let piece = std::mem::replace(&mut self.last, Vec::with_capacity(PIECE));
            self.full.push_back(piece.into());
        }
    }

    /// The answer that has this as its body.
    pub(crate) fn of_kind(mut self, kind: HeaderValue) -> Response {
        self.full.push_back(std::mem::take(&mut self.last).into());
        ([(header::CONTENT_TYPE, kind)], Body::new(self)).into_response()
    }
}

impl io::Write for Pieces {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.bytes(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Written as JSON already.
impl IntoResponse for Pieces {
    fn into_response(self) -> Response {
        self.of_kind(JSON)
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.full.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.full.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let left: usize = self.full.iter().map(Bytes::len).sum();
        SizeHint::with_exact(left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_whole_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let text: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let scribe = Scribe::begin().unwrap();
            let sent = text.clone();
            let (cut, pieces) = scribe
                .write((), move |pieces| {
                    let (begin, rest) = sent.split_at(sent.len() / 3);
                    pieces.bytes(begin);
                    pieces.bytes(rest);
                    Ok(begin.len())
                })
                .await
                .unwrap();
            assert_eq!(cut, length / 3);
            let body = pieces.into_response().into_body();
            assert_eq!(
                hyper::body::Body::size_hint(&body).exact(),
                Some(length as u64)
            );
            let read = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            assert!(read == text, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_leaves_the_others_theirs() {
        let scribe = Scribe::begin().unwrap();
        let broken = scribe.write((), |_| -> Result<(), Error> { panic!("on purpose") });
        assert!(broken.await.is_err());
        let whole = scribe.write((), |pieces| pieces.json(&[1, 2])).await;
        assert_eq!(whole.unwrap().1.last, b"[1,2]");
    }
}
