use ops_core::governance::migration::{StatementReview, is_way_back, is_whole, review, statements};
use ops_core::model::StatementTrace;
use ops_postgres::{PostgresTrial, schema_dump};

use crate::exit::Failure;

/// What a server said.
pub(super) struct Proof {
    pub(super) traces: Vec<StatementTrace>,
    pub(super) differs: Vec<usize>,
    pub(super) back: Back,
}

/// Whether the way back leads back.
pub(super) enum Back {
    None,
    Exactly,
    Elsewhere(String),
    Failed(String),
    /// It does, and from there the script does not run.
    NotAgain(String),
    NotTried(String),
}

/// Up, down, and up again.
pub(super) async fn prove(
    trial: &PostgresTrial,
    (up, down, atomic): (&str, Option<&str>, bool),
    locks: &[StatementReview],
) -> Result<Proof, Failure> {
    let sent_up = sent(up, locks)?;
    let before = schema_dump(&trial.url()).await;
    let traces = trial.run(&sent_up, atomic).await?;
    let expected = |trace: &StatementTrace| locks.iter().find(|review| review.sql == trace.sql);
    // In one transaction a lock that is held already is not taken again, so only the first statement shows it.
    let unlike = |trace: &StatementTrace| {
        !atomic
            && expected(trace)
                .is_some_and(|review| review.unknown.is_empty() && review.effects != trace.effects)
    };
    let differs = (0..traces.len()).filter(|at| unlike(&traces[*at])).collect();
    let mut proof = Proof {
        traces,
        differs,
        back: Back::None,
    };
    let Some(down) = down.filter(|down| is_way_back(down)) else {
        return Ok(proof);
    };
    if proof.traces.iter().any(|trace| trace.failure.is_some()) {
        proof.back = Back::NotTried("the way up failed".to_owned());
        return Ok(proof);
    }
    let before = match before {
        Ok(before) => before,
        Err(error) => {
            proof.back = Back::NotTried(error.to_string());
            return Ok(proof);
        }
    };
    let whole = is_whole(down);
    // What the server refuses inside a transaction depends on the schema that the way up has left.
    let sent_down = sent(down, &review(down, &trial.schema().await?, whole))?;
    let back = trial.run(&sent_down, whole).await?;
    proof.back = match first_failure(back) {
        Some(failure) => Back::Failed(failure),
        None => {
            let after = schema_dump(&trial.url()).await?;
            match after == before {
                true => Back::Exactly,
                false => Back::Elsewhere(first_difference(&before, &after)),
            }
        }
    };
    // What comes next begins where this script ends. From elsewhere it need not run.
    if !matches!(proof.back, Back::Failed(_)) {
        let again = first_failure(trial.run(&sent_up, atomic).await?);
        if let (Back::Exactly, Some(failure)) = (&proof.back, again) {
            proof.back = Back::NotAgain(failure);
        }
    }
    Ok(proof)
}

/// The statements of `text`, each with whether the server refuses it inside a transaction.
fn sent(text: &str, locks: &[StatementReview]) -> Result<Vec<(String, bool)>, Failure> {
    let refuses = |sql: &str| locks.iter().any(|review| review.autocommit && review.sql == sql);
    let all = statements(text)?.into_iter();
    Ok(all
        .map(|statement| {
            let autocommit = statement.autocommit || refuses(&statement.sql);
            (statement.sql, autocommit)
        })
        .collect())
}

fn first_failure(traces: Vec<StatementTrace>) -> Option<String> {
    traces.into_iter().find_map(|trace| trace.failure)
}

fn first_difference(before: &str, after: &str) -> String {
    let lines = before.lines().map(Some).chain(std::iter::repeat(None));
    let pairs = lines.zip(after.lines().map(Some).chain(std::iter::repeat(None)));
    let found = pairs
        .take_while(|(one, other)| one.is_some() || other.is_some())
        .find(|(one, other)| one != other);
    let (one, other) = found.unwrap_or_default();
    format!("{} / {}", one.unwrap_or("-").trim(), other.unwrap_or("-").trim())
}
