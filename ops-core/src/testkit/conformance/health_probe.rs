use crate::model::Verdict;
use crate::ports::HealthProbe;

/// What a suite puts the probed thing into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the test must bring about each")]
pub enum Health {
    /// It works.
    Well,
    /// It answers, and does not work.
    Sick,
    /// Nothing can be learnt of it.
    Silent,
}

/// The contract of [`HealthProbe`]; `set` changes what is probed.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn health_probe(port: &dyn HealthProbe, set: impl Fn(Health)) {
    // Each after each other one: an answer that was remembered shows.
    let order = [
        Health::Well,
        Health::Sick,
        Health::Silent,
        Health::Well,
        Health::Silent,
        Health::Sick,
        Health::Well,
    ];
    for health in order {
        set(health);
        for look in ["first", "second"] {
            let verdict = port.check().await;
            let clause = match health {
                Health::Well => "evidence that it works must hold",
                Health::Sick => "evidence that it does not work must be `NotYet`",
                Health::Silent => "no data must be `Unknown`, never health",
            };
            let fits = match health {
                Health::Well => matches!(verdict, Verdict::Holds),
                Health::Sick => matches!(verdict, Verdict::NotYet { .. }),
                Health::Silent => matches!(verdict, Verdict::Unknown { .. }),
            };
            assert!(fits, "{clause}: the {look} look gave {verdict:?}");
            let reason = verdict.reason();
            assert!(
                reason.is_none_or(|reason| !reason.trim().is_empty()),
                "a verdict that does not hold must say why"
            );
        }
    }
}
