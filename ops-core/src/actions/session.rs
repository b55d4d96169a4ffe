use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::messages;
use crate::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text, Timestamp, Verdict,
};
use crate::ports::{Action, Ramp, SessionRevoker};

/// Ends the sessions of a user. What is ended cannot be put back: the user signs in again, so the way back has nothing to do.
///
/// It counts as stopped when the provider says that no session is active, or that all that began before a given moment are ended. Not knowing
/// is not stopped. Keeping the user out is another action.
#[derive(Clone, Debug)]
pub struct RevokeSessions {
    sessions: Arc<dyn SessionRevoker>,
    user: String,
    before: Timestamp,
    target: TargetId,
}

impl RevokeSessions {
    /// Ends the sessions of `user`, an id of the directory.
    ///
    /// `before`: sessions that began before this must be ended. Take the time at which the stop is decided, not that of the incident: of a session
    /// in between, an earlier revocation says nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::error::ErrorKind::InvalidInput) for an id that cannot be part of a target id.
    pub fn new(
        sessions: Arc<dyn SessionRevoker>,
        user: impl Into<String>,
        before: Timestamp,
    ) -> Result<Self> {
        let user = user.into();
        let target = TargetId::new(format!("sessions:{}/{user}", sessions.directory()))?;
        Ok(Self {
            sessions,
            user,
            before,
            target,
        })
    }
}

#[async_trait]
impl Action for RevokeSessions {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        Effect::Irreversible
    }

    fn describe(&self) -> Text {
        messages::revoke_sessions(&self.user)
    }

    fn describe_restore(&self) -> Text {
        messages::sessions_begin_anew(&self.user)
    }

    fn limitations(&self) -> Vec<Text> {
        self.sessions.limitations()
    }

    async fn observe(&self) -> Result<Observation> {
        let seen = self.sessions.sessions(&self.user).await?;
        let state = match seen.none_left_from_before(self.before) {
            true => TargetState::Stopped,
            false => TargetState::Serving,
        };
        // No field: nothing of it can be written back.
        let snapshot = Snapshot::new(self.target.clone(), FORMAT);
        // Before the revocation counts, the time is that of an older one.
        let tokens = seen
            .tokens_until
            .filter(|_| state == TargetState::Stopped)
            .map(messages::tokens_live_until);
        Ok(tokens
            .into_iter()
            .chain(seen.caveats)
            .fold(Observation::new(snapshot, state), Observation::with_caveat))
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.sessions.revoke(&self.user, key).await
    }

    async fn restore(&self, _prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        Ok(Accepted::default())
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}

const FORMAT: &str = "sessions/1";
