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

#[test]
fn a_stop_made_here_is_never_undone_by_an_adoption_not_even_for_a_moment() {
    loom::model(|| {
        // Stopped by the store until the adoption opens it: the stop made here changes no bit but the one that tells.
        let word = Arc::new(Word::new(A));
        let adopting = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.put_in_force(0))
        };
        word.stop_here(A);
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
        let word = Arc::new(Word::new(0));
        let stopping = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.stop_here(B))
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
        let state = Arc::new((Word::new(0), Count::new()));
        let calling = {
            let state = Arc::clone(&state);
            thread::spawn(move || state.1.begin(|| state.0.allows(A)))
        };
        state.0.stop_here(A);
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
