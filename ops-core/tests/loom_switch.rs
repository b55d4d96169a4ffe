//! The switch word under every interleaving that loom finds. It includes the library's file with loom's atomics in place of the
//! standard library's, so that it runs with the other tests and the tree is not built twice.

#[path = "../src/guard/word.rs"]
#[allow(dead_code, reason = "each model needs a part of it")]
mod word;

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

use loom::sync::Arc;
use loom::thread;

use self::word::{Count, Word};

const A: u64 = 1;
const B: u64 = 2;
/// Their places.
const AT_A: usize = 0;
const AT_B: usize = 1;

#[test]
fn a_stop_made_here_is_never_undone_by_an_adoption_not_even_for_a_moment() {
    loom::model(|| {
        // Stopped by the store until the adoption opens it: the stop made here changes no bit but the one that tells.
        let word = Arc::new(Word::new(A, 2));
        let adopting = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.put_in_force(0))
        };
        word.stop_here(AT_A);
        assert!(!word.allows(A), "at once");
        thread::yield_now();
        assert!(!word.allows(A), "and while the adoption goes on");
        adopting.join().unwrap();
        assert!(!word.allows(A), "and after it");
    });
}

#[test]
fn stops_of_two_threads_and_an_adoption_are_all_in_force_in_the_end() {
    loom::model(|| {
        let word = Arc::new(Word::new(0, 2));
        let stopping = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.stop_here(AT_B))
        };
        let adopting = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.put_in_force(A))
        };
        stopping.join().unwrap();
        adopting.join().unwrap();
        assert!(!word.allows(A) && !word.allows(B));
    });
}

#[test]
fn a_count_of_zero_after_a_stop_means_that_nothing_runs() {
    loom::model(|| {
        let state = Arc::new((Word::new(0, 2), Count::new()));
        let calling = {
            let state = Arc::clone(&state);
            thread::spawn(move || state.1.begin(|| state.0.allows(A)))
        };
        state.0.stop_here(AT_A);
        let running = state.1.running();
        let entered = calling.join().unwrap();
        assert!(!entered || running == 1, "a call runs that the count did not see");
        assert_eq!(
            state.1.running(),
            u64::from(entered),
            "a refused call must not stay counted"
        );
    });
}

#[test]
fn a_stop_made_here_after_a_read_began_is_not_forgotten_by_its_adoption() {
    loom::model(|| {
        // Stopped here before, and shown by the store.
        let word = Arc::new(Word::new(0, 2));
        word.stop_here(AT_A);
        let since = word.moment();
        let adopting = {
            let word = Arc::clone(&word);
            thread::spawn(move || {
                word.forget(A, &since);
                word.put_in_force(0);
            })
        };
        word.stop_here(AT_A);
        assert_eq!(word.local(), A, "at once");
        adopting.join().unwrap();
        assert!(!word.allows(A) && word.local() == A, "and after it");
    });
}

#[test]
fn a_stop_that_is_being_made_while_a_read_begins_is_forgotten_only_if_the_read_can_have_seen_it() {
    loom::model(|| {
        let word = Arc::new(Word::new(0, 2));
        let stopping = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.stop_here(AT_A))
        };
        let since = word.moment();
        let seen = word.local() == A;
        word.forget(A, &since);
        word.put_in_force(0);
        stopping.join().unwrap();
        assert!(seen || word.local() == A, "forgotten, though nobody had seen it");
        assert_eq!(word.allows(A), word.local() == 0);
    });
}

#[test]
fn a_stop_that_returned_before_the_read_began_is_forgotten_with_it() {
    loom::model(|| {
        let word = Arc::new(Word::new(0, 2));
        word.stop_here(AT_A);
        let stopping = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.stop_here(AT_B))
        };
        let since = word.moment();
        word.forget(A, &since);
        word.put_in_force(0);
        assert!(word.allows(A), "a stop of another feature keeps it closed");
        stopping.join().unwrap();
        assert!(!word.allows(B));
    });
}
