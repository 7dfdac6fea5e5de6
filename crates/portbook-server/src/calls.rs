//! The answers to changes that were named, kept for a while: a client whose answer got lost asks again
//! by the same name and is told what was answered, not what would be answered now.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::problem::Problem;

/// How many answers are kept.
const MOST: usize = 1024;
/// How many bytes the kept answers have at most, together.
const MOST_BYTES: usize = 4 << 20;

/// An answer as it was given.
pub(crate) type Given = Result<Vec<u8>, Problem>;
type Cell = Arc<OnceCell<Given>>;

/// The answers that are kept.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_name: HashMap<String, Cell>,
    oldest_first: VecDeque<(String, usize)>,
    bytes: usize,
}

impl Answers {
    /// The answer that this name stands for: the one that was given, the one that is being made, or
    /// that of `make`. Says whether it was there before.
    pub(crate) async fn get_or_make<F: Future<Output = Given>>(
        &self,
        name: &str,
        make: impl FnOnce() -> F,
    ) -> (Given, bool) {
        let (cell, again) = self.cell(name);
        let given = cell.get_or_init(make).await.clone();
        if !again {
            self.count(name, given.as_ref().map_or(0, Vec::len));
        }
        (given, again)
    }

    fn cell(&self, name: &str) -> (Cell, bool) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = kept.by_name.get(name) {
            return (cell.clone(), true);
        }
        let cell = Cell::default();
        kept.by_name.insert(name.to_owned(), cell.clone());
        kept.oldest_first.push_back((name.to_owned(), 0));
        kept.shrink();
        (cell, false)
    }

    fn count(&self, name: &str, bytes: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept
            .oldest_first
            .iter_mut()
            .rev()
            .find(|(kept, _)| kept == name);
        if let Some((_, counted)) = entry {
            *counted = bytes;
            kept.bytes += bytes;
        }
        kept.shrink();
    }
}

impl Kept {
    fn shrink(&mut self) {
        while self.oldest_first.len() > MOST || self.bytes > MOST_BYTES {
            let Some((name, bytes)) = self.oldest_first.pop_front() else {
                return;
            };
            self.by_name.remove(&name);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_name_is_carried_out_once() {
        let answers = Answers::default();
        let say = |text: &'static str| move || async move { Ok(text.as_bytes().to_vec()) };
        let (first, again) = answers.get_or_make("a", say("done")).await;
        assert_eq!(
            (first.unwrap().as_slice(), again),
            (b"done".as_slice(), false)
        );
        let (second, again) = answers.get_or_make("a", say("nothing")).await;
        assert_eq!(
            (second.unwrap().as_slice(), again),
            (b"done".as_slice(), true)
        );
        for number in 0..MOST {
            answers
                .get_or_make(&number.to_string(), say("x"))
                .await
                .0
                .unwrap();
        }
        let (third, again) = answers.get_or_make("a", say("anew")).await;
        assert_eq!(
            (third.unwrap().as_slice(), again),
            (b"anew".as_slice(), false)
        );
    }
}
