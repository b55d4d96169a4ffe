use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::model::RunId;

/// Entries that wait at the same time go to the disk together: while one write is on its way, the next one gathers.
#[derive(Debug, Default)]
pub(super) struct Group {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Somebody writes, and looks again before ending.
    writing: bool,
}

#[derive(Debug)]
struct Waiting {
    run: RunId,
    text: String,
    done: oneshot::Sender<Result<()>>,
}

impl Group {
    /// Takes an entry; its answer comes when it is durable or cannot be. `true`: nobody writes, so the caller must see to
    /// [`write`](Self::write).
    pub(super) fn push(&self, run: RunId, text: String) -> (oneshot::Receiver<Result<()>>, bool) {
        let (done, answer) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push(Waiting { run, text, done });
        (answer, !mem::replace(&mut state.writing, true))
    }

    /// Writes until nothing waits, one call of `append` for all entries of a run. Blocks.
    pub(super) fn write(&self, append: impl Fn(&RunId, &[String]) -> Result<()>) {
        while let Some(batch) = self.take() {
            let mut runs: BTreeMap<RunId, (Vec<String>, Vec<_>)> = BTreeMap::new();
            for Waiting { run, text, done } in batch {
                let (texts, callers) = runs.entry(run).or_default();
                texts.push(text);
                callers.push(done);
            }
            for (run, (texts, callers)) in runs {
                let mut answer = append(&run, &texts);
                for caller in callers {
                    let next = match &answer {
                        Ok(()) => Ok(()),
                        Err(error) => Err(again(error)),
                    };
                    // A caller that was dropped waits no more; the entry is kept all the same.
                    let _ = caller.send(mem::replace(&mut answer, next));
                }
            }
        }
    }

    /// Nobody will write: the callers are let go without an answer.
    pub(super) fn give_up(&self) {
        *self.lock() = State::default();
    }

    fn take(&self) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        state.writing = !state.waiting.is_empty();
        state.writing.then(|| mem::take(&mut state.waiting))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same failure for another caller of the same write.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.operation())
        .provider(error.provider_name())
        .with_retry(error.retry())
        .context("cause", error.to_string())
}

/// What a caller is told who got no answer.
pub(super) fn ended(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation)
        .provider("file")
        .context("cause", "the runtime is ending")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn run(id: &str) -> RunId {
        RunId::new(id).unwrap()
    }

    #[test]
    fn what_waits_is_written_at_once_and_in_order() {
        let group = Group::default();
        let written = RefCell::new(Vec::new());
        let (mut first, leads) = group.push(run("a"), "1".to_owned());
        assert!(leads);
        let answers: Vec<_> = [("b", "2"), ("a", "3"), ("a", "4")]
            .map(|(id, text)| group.push(run(id), text.to_owned()))
            .into_iter()
            .map(|(answer, leads)| {
                assert!(!leads);
                answer
            })
            .collect();
        group.write(|run, texts| {
            written.borrow_mut().push((run.to_string(), texts.join(",")));
            if written.borrow().len() == 1 {
                // One that comes meanwhile has its turn next, and needs nobody else to write it.
                assert!(!group.push(run.clone(), "5".to_owned()).1);
            }
            Ok(())
        });
        let expected =
            [("a", "1,3,4"), ("b", "2"), ("a", "5")].map(|(run, text)| (run.to_owned(), text.to_owned()));
        assert_eq!(written.into_inner(), expected);
        assert!(first.try_recv().unwrap().is_ok());
        for mut answer in answers {
            assert!(answer.try_recv().unwrap().is_ok());
        }
        assert!(group.push(run("a"), "6".to_owned()).1, "the next one leads again");
    }

    #[test]
    fn a_failed_write_is_told_to_each_of_its_callers_and_to_no_other() {
        let group = Group::default();
        let bad: Vec<_> = (0..3).map(|_| group.push(run("bad"), String::new()).0).collect();
        let (mut good, _) = group.push(run("good"), String::new());
        group.write(|run, _| match run.as_str() {
            "good" => Ok(()),
            _ => Err(Error::new(ErrorKind::PermissionDenied, "append to file").provider("file")),
        });
        for mut answer in bad {
            let error = answer.try_recv().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
        assert!(good.try_recv().unwrap().is_ok());
    }

    #[test]
    fn who_is_given_up_is_let_go_and_the_next_one_leads() {
        let group = Group::default();
        let (mut answer, _) = group.push(run("a"), String::new());
        group.give_up();
        assert!(answer.try_recv().is_err());
        assert!(group.push(run("a"), String::new()).1);
    }
}
