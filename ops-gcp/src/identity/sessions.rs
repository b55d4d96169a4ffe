use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::{Accepted, IdempotencyKey, Text, Timestamp};
use ops_core::ports::{SessionRevoker, SessionsSeen};

use super::IdentityUsers;
use super::client::Found;
use super::wire::UpdateRequest;

#[async_trait]
impl SessionRevoker for IdentityUsers {
    fn directory(&self) -> &str {
        Self::directory(self)
    }

    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "Identity Toolkit: 発行済みの ID トークンは最長1時間有効です。バックエンドが auth_time を validSince と照合する場合に限り、すぐに無効になります",
                "Identity Toolkit: an ID token that was given out stays valid for up to an hour, unless the backend compares its auth_time with validSince",
            ),
            Text::new(
                "Identity Toolkit: セッション Cookie（最長14日）は、バックエンドが失効を照会しない限り、期限まで有効です。報告の時刻は ID トークンのものです",
                "Identity Toolkit: a session cookie (14 days at most) stays valid to its end, unless the backend asks whether it was revoked; the time in the report is that of ID tokens",
            ),
            Text::new(
                "Identity Toolkit: セッションは数えられません。分かるのは、ある時刻より前のサインインを更新できないことだけです",
                "Identity Toolkit: sessions are not counted; all that is known is that sign-ins before a moment cannot be renewed",
            ),
        ]
    }

    async fn sessions(&self, user: &str) -> Result<SessionsSeen> {
        Ok(seen(&self.lookup(user, "read sessions").await?))
    }

    /// Sign-ins up to the end of the present second end. The vendor has no precondition, so that it is read first; a later time than ours stays.
    async fn revoke(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        let found = self.lookup(user, "revoke sessions").await?;
        if found.valid_since.is_none_or(|since| since < found.next_second) {
            let change = UpdateRequest {
                local_id: user,
                valid_since: Some(found.next_second.to_string()),
                disable_user: None,
            };
            self.update(&change, "revoke sessions").await?;
        }
        Ok(Accepted::new())
    }
}

/// What a user's `validSince` says.
fn seen(found: &Found) -> SessionsSeen {
    let Some(since) = found.valid_since else {
        return SessionsSeen::uncounted(None);
    };
    // A token that was given out before it was read has ended an hour later, whatever `validSince` says.
    let until = moment(since.min(found.next_second)) + TOKEN_LIFE;
    // In our time, and rather too early: whoever asks compares with our clock.
    let ended = since.saturating_mul(1_000_000).saturating_sub(found.ahead);
    let ended = Timestamp::from_unix_micros(ended);
    let seen = SessionsSeen::uncounted(Some(ended)).with_tokens_until(Some(until));
    match since.saturating_sub(found.next_second) {
        ..=NEAR => seen,
        _ => seen.with_caveat(locked_out(moment(since))),
    }
}

/// Seconds since the epoch; what is later than any date is the last one.
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000))
}

fn locked_out(until: Timestamp) -> Text {
    Text::new(
        format!(
            "Identity Toolkit: validSince が未来 ({}) です。それまでは、再びサインインしてもセッションを更新できません（ミリ秒で書かれた可能性があります）",
            until.to_jst()
        ),
        format!(
            "Identity Toolkit: validSince is in the future ({until}); until then a new sign-in cannot be renewed either (perhaps it was written in milliseconds)"
        ),
    )
}

/// How long the vendor's ID tokens live.
const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// So many seconds ahead, a time may come from another machine's clock.
const NEAR: i64 = 60;

#[cfg(test)]
mod tests {
    use ops_core::model::Lang;

    use super::*;

    fn of(valid_since: Option<i64>) -> SessionsSeen {
        seen(&Found {
            valid_since,
            disabled: false,
            next_second: 1_000_000,
            ahead: 0,
        })
    }

    #[test]
    fn tokens_live_an_hour_from_the_revocation_but_never_longer_than_from_now() {
        assert_eq!(of(None), SessionsSeen::default());
        assert_eq!(of(Some(999_000)).tokens_until, Some(moment(1_002_600)));
        assert_eq!(of(Some(2_000_000)).tokens_until, Some(moment(1_003_600)));
        assert_eq!(of(Some(2_000_000)).ended_before, Some(moment(2_000_000)));
    }

    #[test]
    fn a_time_in_the_future_is_said_also_one_that_no_date_has() {
        assert!(of(Some(1_000_060)).caveats.is_empty());
        for far in [1_000_061, 1_793_404_800_000, i64::MAX] {
            let seen = of(Some(far));
            assert_eq!(seen.caveats.len(), 1, "{far}");
            assert!(seen.caveats[0].get(Lang::En).contains("milliseconds"));
        }
    }
}
