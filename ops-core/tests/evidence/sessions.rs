use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::actions::RevokeSessions;
use ops_core::error::Result;
use ops_core::memory::InMemorySessions;
use ops_core::model::{Accepted, IdempotencyKey, Lang, RunId, TargetState, Text, Timestamp};
use ops_core::ports::{Action, Clock, SessionRevoker, SessionsSeen};
use ops_core::testkit::ManualClock;

fn key(clock: &ManualClock) -> IdempotencyKey {
    IdempotencyKey::for_step(&RunId::generate(clock.now()), 0)
}

#[tokio::test]
async fn without_a_count_only_a_time_that_is_late_enough_is_a_stop() {
    let clock = Arc::new(ManualClock::self_moving());
    let sessions = Arc::new(InMemorySessions::uncounted(Arc::<ManualClock>::clone(&clock)));
    let old = sessions.sign_in("u-17");
    let of_plan =
        |at: Timestamp| RevokeSessions::new(Arc::<InMemorySessions>::clone(&sessions), "u-17", at).unwrap();
    let first = of_plan(clock.now());
    assert!(
        !first.verify(&first.observe().await.unwrap()).holds(),
        "nobody revoked anything"
    );
    clock.advance(Duration::from_secs(5));
    first.apply(&key(&clock)).await.unwrap();
    assert!(first.verify(&first.observe().await.unwrap()).holds());
    assert!(!sessions.renews("u-17", old));

    // Signed in again: of this session the revocation says nothing.
    clock.advance(Duration::from_secs(60));
    let new = sessions.sign_in("u-17");
    let second = of_plan(clock.now());
    let seen = second.observe().await.unwrap();
    assert_eq!(seen.state(), TargetState::Serving);
    assert!(!second.verify(&seen).holds() && sessions.renews("u-17", new));
    second.apply(&key(&clock)).await.unwrap();
    assert!(second.verify(&second.observe().await.unwrap()).holds());
    assert!(!sessions.renews("u-17", new));
}

/// Says what it is told to say.
#[derive(Debug)]
struct Says(&'static str, SessionsSeen);

#[async_trait]
impl SessionRevoker for Says {
    fn directory(&self) -> &str {
        self.0
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn sessions(&self, _user: &str) -> Result<SessionsSeen> {
        Ok(self.1.clone())
    }

    async fn revoke(&self, _user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        Ok(Accepted::new())
    }
}

#[tokio::test]
async fn an_accepted_revocation_of_which_nothing_is_known_is_no_stop() {
    let clock = ManualClock::self_moving();
    let now = clock.now();
    for (seen, stopped) in [
        (SessionsSeen::default(), false),
        (SessionsSeen::counted(1), false),
        (SessionsSeen::counted(0), true),
        (
            SessionsSeen::uncounted(Some(now - Duration::from_micros(1))),
            false,
        ),
        (SessionsSeen::uncounted(Some(now)), true),
    ] {
        let action = RevokeSessions::new(Arc::new(Says("elsewhere", seen.clone())), "u-17", now).unwrap();
        action.apply(&key(&clock)).await.unwrap();
        let observed = action.observe().await.unwrap();
        assert_eq!(action.verify(&observed).holds(), stopped, "{seen:?}");
    }
}

#[tokio::test]
async fn what_the_provider_adds_reaches_the_operator() {
    let now = ManualClock::self_moving().now();
    let seen = SessionsSeen::uncounted(Some(now))
        .with_tokens_until(Some(now + Duration::from_secs(3600)))
        .with_caveat(Text::new("注意", "mind this"));
    let action = RevokeSessions::new(Arc::new(Says("elsewhere", seen)), "u-17", now).unwrap();
    let caveats: Vec<_> = action.observe().await.unwrap().caveats().to_vec();
    assert_eq!(caveats.len(), 2);
    let (ja, en) = (caveats[0].get(Lang::Ja), caveats[0].get(Lang::En));
    assert!(ja.contains("2026-01-30 10:00:00"), "{ja}");
    assert!(en.contains("2026-01-30T01:00:00Z"), "{en}");
    assert_eq!(caveats[1].get(Lang::En), "mind this");

    // Of a revocation that does not count yet the time says nothing.
    let seen = SessionsSeen::uncounted(Some(now - Duration::from_secs(1)))
        .with_tokens_until(Some(now + Duration::from_secs(3600)));
    let action = RevokeSessions::new(Arc::new(Says("elsewhere", seen)), "u-17", now).unwrap();
    assert!(action.observe().await.unwrap().caveats().is_empty());
}

#[test]
fn the_same_id_in_another_directory_is_another_target() {
    let target = |directory| {
        let revoker = Arc::new(Says(directory, SessionsSeen::default()));
        let action = RevokeSessions::new(revoker, "u-17", Timestamp::UNIX_EPOCH).unwrap();
        action.target().as_str().to_owned()
    };
    assert_eq!(target("p/one"), "sessions:p/one/u-17");
    assert_ne!(target("p/one"), target("p/two"));
}
