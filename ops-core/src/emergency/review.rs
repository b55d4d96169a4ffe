use serde::Serialize;

use super::{Engine, Refusal};
use crate::error::Result;
use crate::model::{Actor, ActorKind, RunId, Timestamp};
use crate::ports::{JournalEntry, JournalEvent};

/// Somebody broke the glass, and somebody else has to look at it. Computed from the journal, kept nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Review {
    /// The run.
    pub run: RunId,
    /// Its procedure.
    pub procedure: String,
    /// Who broke the glass.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The rules that were named.
    pub overrides: Vec<String>,
    /// When the review is due.
    pub due: Timestamp,
    /// Who reviewed it, when, with what note; `None`: it is open.
    pub reviewed: Option<(Actor, Timestamp, String)>,
}

impl Review {
    /// Whether it is open although it was due.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.reviewed.is_none() && self.due < now
    }

    fn of(entries: &[JournalEntry], due_after: std::time::Duration) -> Option<Self> {
        let mut review = entries.iter().find_map(|entry| match &entry.event {
            JournalEvent::Started {
                procedure,
                actor,
                glass: Some(glass),
                ..
            } => Some(Self {
                run: entry.run.clone(),
                procedure: procedure.clone(),
                by: actor.clone(),
                at: entry.at,
                reason: glass.reason.clone(),
                overrides: glass.overrides.clone(),
                due: entry.at + due_after,
                reviewed: None,
            }),
            _ => None,
        })?;
        review.reviewed = entries.iter().find_map(|entry| match &entry.event {
            JournalEvent::Reviewed { by, note }
                if by.kind() == ActorKind::Person && by.id() != review.by.id() =>
            {
                Some((by.clone(), entry.at, note.clone()))
            }
            _ => None,
        });
        Some(review)
    }
}

impl Engine {
    /// Every broken glass, reviewed or not, oldest first. Runs that cannot be read are passed over.
    ///
    /// # Errors
    /// As [`runs`](Self::runs).
    pub async fn reviews(&self) -> Result<Vec<Review>> {
        let mut reviews = Vec::new();
        for run in self.runs().await? {
            match self.entries(&run).await {
                Ok(entries) => reviews.extend(Review::of(&entries, self.review_due)),
                Err(error) => tracing::warn!(%error, %run, "passed over a run that cannot be read"),
            }
        }
        Ok(reviews)
    }

    /// Closes the review of a run. The note is masked.
    ///
    /// # Errors
    /// [`Refusal::NoReview`] unless the run broke the glass and `by` is a person other than who did; [`Refusal::Undecided`] when the
    /// journal cannot be read or takes no entry.
    pub async fn review(&self, run: &RunId, by: &Actor, note: &str) -> Result<Review, Refusal> {
        let refuse = |what: &str| {
            Err(Refusal::NoReview {
                what: what.to_owned(),
            })
        };
        let Some(review) = Review::of(&self.entries(run).await?, self.review_due) else {
            return refuse("this run broke no glass");
        };
        let by = by.renamed(&self.masked(by.id().to_owned()));
        if by.kind() != ActorKind::Person || by.id() == review.by.id() {
            return refuse("it takes a person other than the one who broke the glass");
        }
        if note.trim().is_empty() {
            return refuse("a review says in a note what was found");
        }
        let note = self.masked(note.to_owned());
        let recorded = self
            .note(run, JournalEvent::Reviewed { by: by.clone(), note })
            .await;
        if recorded == super::ledger::Recorded::Nowhere {
            return Err(Refusal::Undecided(
                crate::error::Error::new(crate::error::ErrorKind::Unavailable, "review")
                    .context("journal", "no journal takes entries"),
            ));
        }
        Review::of(&self.entries(run).await?, self.review_due)
            .map_or_else(|| refuse("this run broke no glass"), Ok)
    }
}
