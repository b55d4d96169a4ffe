use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::messages;
use crate::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text, Verdict,
};
use crate::ports::{Action, Ramp, SessionRevoker};

/// Ends the sessions of a user. What is ended cannot be put back: the user signs in again, so the way back has nothing to do.
#[derive(Clone, Debug)]
pub struct RevokeSessions {
    sessions: Arc<dyn SessionRevoker>,
    user: String,
    target: TargetId,
}

impl RevokeSessions {
    /// Ends the sessions of `user`, an id of the directory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::error::ErrorKind::InvalidInput) for an id that cannot be part of a target id.
    pub fn new(sessions: Arc<dyn SessionRevoker>, user: impl Into<String>) -> Result<Self> {
        let user = user.into();
        let target = TargetId::new(format!("sessions:{user}"))?;
        Ok(Self {
            sessions,
            user,
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
        let state = match seen.active {
            0 => TargetState::Stopped,
            _ => TargetState::Serving,
        };
        // No field: nothing of it can be written back.
        let snapshot = Snapshot::new(self.target.clone(), FORMAT);
        let observation = Observation::new(snapshot, state);
        Ok(match seen.tokens_until {
            Some(until) => observation.with_caveat(messages::tokens_live_until(until)),
            None => observation,
        })
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
