//! The promises of every store.
//!
//! Each public function that takes a [`Make`] is one promise; it is kept, or it panics and says how it
//! was broken. A store's tests name a way to make a new, empty book, and get one test a promise:
//!
//! ```
//! # use portbook_store::MemoryStore;
//! portbook_store::store_contract!(|| MemoryStore::new());
//! // For a store whose turns nobody waits for, in a module of its own: every other promise holds.
//! mod without_turns {
//!     # use portbook_store::MemoryStore;
//!     portbook_store::store_contract!(without turns, || MemoryStore::without_turns());
//! }
//! ```
//!
//! A book in a temporary folder is made together with what removes the folder: see [`Guarded`].
//! What a store promises of crashes, of files and of several processes is for its own tests.

#![allow(clippy::unwrap_used, reason = "a promise that is not kept panics")]

mod agreement;
mod commits;
mod keys;
mod kit;
mod lists;
mod readings;
mod sequences;
mod turns;

use std::thread;
use std::time::Duration;

use portbook_model::{
    Ask, Book, Command, CommitId, Needs, Outcome, Policy, Refusal, Revision, Timestamp,
    UncheckedHost, plan,
};

use crate::{CommitError, Reading, Store, StoreError, Turn};

use kit::batch_at;

pub use agreement::agrees_with_its_changes;
pub use commits::{
    a_commit_happens_whole_or_not_at_all, a_commit_is_found_by_its_name,
    a_commit_on_another_revision_is_stale_and_changes_nothing, a_revision_tells_its_commit,
    changes_are_read_from_any_revision_on, each_change_is_one_revision,
    of_two_who_read_the_same_book_one_commits,
};
pub use keys::{
    a_port_has_one_owner_whatever_is_planned, a_release_takes_only_what_is_the_apps,
    an_app_has_one_record_whatever_is_planned, spaces_have_nothing_to_do_with_each_other,
};
pub use lists::{
    a_models_name_is_no_pattern_beneath, allocations_are_filtered_and_in_order,
    every_model_is_listed_once_in_the_order_of_their_coming,
    history_is_filtered_and_its_end_can_be_asked_for, names_in_any_script_are_kept,
    the_first_spelling_is_the_one_shown,
};
pub use readings::{
    a_new_book_is_empty_and_has_a_name_of_its_own, a_reading_stays_as_it_was,
    every_kind_of_change_reads_back, lapsed_leases_are_found_in_every_space,
    promises_are_replaced_file_by_file, rests_reach_back_as_far_as_asked,
    the_last_release_of_a_port_counts, what_is_needed_is_loaded_and_no_more,
};
pub use sequences::{
    a_role_that_is_given_back_is_free_and_the_rest_stays,
    any_commands_leave_what_they_leave_in_memory, the_last_port_of_the_ranges_is_given_out,
};
pub use turns::{
    a_turn_that_is_dropped_commits_nothing, many_threads_get_a_pair_each,
    one_has_the_turn_and_others_wait_as_long_as_they_will, readings_wait_for_no_turn,
    threads_that_ask_for_one_app_hear_of_one_pair,
};

/// Makes a new, empty book.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Store>;

/// Turns every promise into a test, for the store that the expression, a closure, makes.
#[macro_export]
macro_rules! store_contract {
    (without turns, $make:expr) => {
        $crate::store_contract!(@tests $make;
            a_new_book_is_empty_and_has_a_name_of_its_own,
            each_change_is_one_revision,
            a_commit_happens_whole_or_not_at_all,
            a_commit_on_another_revision_is_stale_and_changes_nothing,
            of_two_who_read_the_same_book_one_commits,
            a_port_has_one_owner_whatever_is_planned,
            an_app_has_one_record_whatever_is_planned,
            a_release_takes_only_what_is_the_apps,
            a_role_that_is_given_back_is_free_and_the_rest_stays,
            spaces_have_nothing_to_do_with_each_other,
            a_reading_stays_as_it_was,
            a_turn_that_is_dropped_commits_nothing,
            a_commit_is_found_by_its_name,
            changes_are_read_from_any_revision_on,
            a_revision_tells_its_commit,
            history_is_filtered_and_its_end_can_be_asked_for,
            allocations_are_filtered_and_in_order,
            a_models_name_is_no_pattern_beneath,
            the_first_spelling_is_the_one_shown,
            every_model_is_listed_once_in_the_order_of_their_coming,
            names_in_any_script_are_kept,
            lapsed_leases_are_found_in_every_space,
            rests_reach_back_as_far_as_asked,
            the_last_release_of_a_port_counts,
            promises_are_replaced_file_by_file,
            what_is_needed_is_loaded_and_no_more,
            every_kind_of_change_reads_back,
            the_last_port_of_the_ranges_is_given_out,
            many_threads_get_a_pair_each,
            threads_that_ask_for_one_app_hear_of_one_pair,
            any_commands_leave_what_they_leave_in_memory,
        );
    };
    (@tests $make:expr; $($promise:ident,)+) => {
        $(
            #[test]
            fn $promise() {
                let make = $make;
                $crate::contract::$promise(&|| Box::new(make()));
            }
        )+
    };
    ($make:expr) => {
        $crate::store_contract!(without turns, $make);
        $crate::store_contract!(@tests $make;
            one_has_the_turn_and_others_wait_as_long_as_they_will,
            readings_wait_for_no_turn,
        );
    };
}

/// A store, and what must not be dropped before it: the temporary folder that it lies in.
#[derive(Debug)]
pub struct Guarded<S, G> {
    /// The store.
    pub store: S,
    /// What goes after it.
    pub guard: G,
}

impl<S: Store, G: Send + Sync> Store for Guarded<S, G> {
    fn read(&self) -> Result<Box<dyn Reading + '_>, StoreError> {
        self.store.read()
    }

    fn turn(&self, patience: Duration) -> Result<Box<dyn Turn + '_>, StoreError> {
        self.store.turn(patience)
    }

    fn find_commit(&self, commit: CommitId, after: Revision) -> Result<bool, StoreError> {
        self.store.find_commit(commit, after)
    }

    fn location(&self) -> String {
        self.store.location()
    }
}

/// How long a promise waits for a turn that it is to get.
const PATIENCE: Duration = Duration::from_secs(60);

/// Commits what `commands` come to, as the service does: turn, read, load, plan, commit, and once
/// more from the start when another commit came first. Nothing on the host is in use.
///
/// `wall` is what the clock shows; the plan's time is never before the book's last change.
pub fn commit_plan(
    store: &dyn Store,
    commands: &[Command],
    policy: &Policy,
    wall: Timestamp,
) -> Vec<Result<Outcome, Refusal>> {
    loop {
        let mut turn = store.turn(PATIENCE).unwrap();
        let mut book = Book::new(turn.head().unwrap());
        let now = book.clock(wall);
        let delay = i64::try_from(policy.reuse_delay().as_millis()).unwrap();
        let released_after = Timestamp::from_millis(now.millis() - delay);
        let lapsed = turn.lapsed(now).unwrap();
        for (space, mut needs) in Needs::of(commands) {
            if commands
                .iter()
                .any(|command| command.space == space && command.ask == Ask::Expire)
            {
                let here = lapsed.iter().filter(|(other, _)| *other == space);
                needs.apps.extend(here.map(|(_, app)| app.clone()));
            }
            let mut known = turn.space(&space, released_after).unwrap();
            turn.load(&space, &needs, &mut known).unwrap();
            book.spaces.insert(space, known);
        }
        let planned = plan(&mut book, commands, &UncheckedHost, policy, now);
        if planned.changes.is_empty() {
            return planned.answers;
        }
        let batch = batch_at(now, planned.changes);
        match turn.commit(book.head.revision, &batch) {
            Ok(()) => return planned.answers,
            Err(CommitError::Stale) => thread::yield_now(),
            Err(failure) => panic!("a commit that was planned rightly failed: {failure}"),
        }
    }
}
