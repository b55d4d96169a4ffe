use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::durable::again;
use crate::error::{Error, ErrorKind, Result};
use crate::model::RunId;

/// Entries of a run that wait at the same time go to the disk together: while one write is on its way, the next one gathers. No run waits for another.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Of the runs that somebody writes, who looks again before ending.
    writing: Mutex<BTreeMap<RunId, Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    text: String,
    done: oneshot::Sender<Result<()>>,
}

impl Group {
    /// Takes an entry; its answer comes when it is durable or cannot be. `true`: nobody writes for this run, so the caller must see to
    /// [`write`](Self::write).
    pub(super) fn push(&self, run: &RunId, text: String) -> (oneshot::Receiver<Result<()>>, bool) {
        let (done, answer) = oneshot::channel();
        let mut writing = self.lock();
        let leads = !writing.contains_key(run);
        let waiting = writing.entry(run.clone()).or_default();
        waiting.push(Waiting { text, done });
        (answer, leads)
    }

    /// Writes until nothing of `run` waits, one call of `append` for all entries that do. Blocks.
    pub(super) fn write(&self, run: &RunId, append: impl Fn(&[String]) -> Result<()>) {
        while let Some(batch) = self.take(run) {
            let (texts, callers): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .map(|waiting| (waiting.text, waiting.done))
                .unzip();
            let mut answer = append(&texts);
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

    /// Nobody will write for `run`: the callers are let go without an answer.
    pub(super) fn give_up(&self, run: &RunId) {
        self.lock().remove(run);
    }

    fn take(&self, run: &RunId) -> Option<Vec<Waiting>> {
        let mut writing = self.lock();
        let batch = mem::take(writing.get_mut(run)?);
        if batch.is_empty() {
            writing.remove(run);
            return None;
        }
        Some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Vec<Waiting>>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let (mut first, leads) = group.push(&run("a"), "1".to_owned());
        assert!(leads);
        let answers: Vec<_> = ["2", "3"]
            .map(|text| group.push(&run("a"), text.to_owned()))
            .into_iter()
            .map(|(answer, leads)| {
                assert!(!leads);
                answer
            })
            .collect();
        group.write(&run("a"), |texts| {
            written.borrow_mut().push(texts.join(","));
            if written.borrow().len() == 1 {
                // One that comes meanwhile has its turn next, and needs nobody else to write it.
                assert!(!group.push(&run("a"), "4".to_owned()).1);
            }
            Ok(())
        });
        assert_eq!(written.into_inner(), ["1,2,3", "4"]);
        assert!(first.try_recv().unwrap().is_ok());
        for mut answer in answers {
            assert!(answer.try_recv().unwrap().is_ok());
        }
        assert!(
            group.push(&run("a"), "5".to_owned()).1,
            "the next one leads again"
        );
    }

    #[test]
    fn a_run_whose_write_takes_long_holds_up_no_other() {
        let group = Group::default();
        let (_slow, leads) = group.push(&run("slow"), "1".to_owned());
        assert!(leads);
        group.write(&run("slow"), |_| {
            let (mut answer, leads) = group.push(&run("stop"), "1".to_owned());
            assert!(leads, "it is written by somebody of its own");
            group.write(&run("stop"), |_| Ok(()));
            assert!(answer.try_recv().unwrap().is_ok());
            Ok(())
        });
    }

    #[test]
    fn a_failed_write_is_told_to_each_of_its_callers() {
        let group = Group::default();
        let bad: Vec<_> = (0..3).map(|_| group.push(&run("bad"), String::new()).0).collect();
        group.write(&run("bad"), |_| {
            Err(Error::new(ErrorKind::PermissionDenied, "append to file").provider("file"))
        });
        for mut answer in bad {
            let error = answer.try_recv().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }

    #[test]
    fn who_is_given_up_is_let_go_and_the_next_one_leads() {
        let group = Group::default();
        let (mut answer, _) = group.push(&run("a"), String::new());
        let (mut other, _) = group.push(&run("b"), String::new());
        group.give_up(&run("a"));
        assert!(answer.try_recv().is_err());
        assert!(group.push(&run("a"), String::new()).1);
        group.write(&run("b"), |_| Ok(()));
        assert!(other.try_recv().unwrap().is_ok());
    }
}
