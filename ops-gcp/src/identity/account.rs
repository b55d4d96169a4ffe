use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::{Accepted, IdempotencyKey, Text};
use ops_core::ports::{AccountSeen, AccountSuspender};

use super::IdentityUsers;
use super::wire::UpdateRequest;

#[async_trait]
impl AccountSuspender for IdentityUsers {
    fn directory(&self) -> &str {
        Self::directory(self)
    }

    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "Identity Toolkit: アカウントを停止しても、発行済みの ID トークンは最長1時間有効です。バックエンドが停止を照会する場合に限り、すぐに無効になります",
                "Identity Toolkit: an ID token that was given out stays valid for up to an hour after the account is disabled, unless the backend asks whether it is",
            ),
            Text::new(
                "Identity Toolkit: セッション Cookie（最長14日）は、バックエンドが失効を照会しない限り、期限まで有効です。報告の時刻は ID トークンのものです",
                "Identity Toolkit: a session cookie (14 days at most) stays valid to its end, unless the backend asks whether it was revoked; the time in the report is that of ID tokens",
            ),
            Text::new(
                "Identity Toolkit: 誰が停止したかは記録されません。計画の後、または停止中に他の人が停止しても、元に戻す操作で有効になります",
                "Identity Toolkit: who disabled an account is not told; if somebody else disables it after the plan was made or meanwhile, the way back enables it all the same",
            ),
        ]
    }

    async fn account(&self, user: &str) -> Result<AccountSeen> {
        let found = self.lookup(user, "read account").await?;
        Ok(AccountSeen::new(found.disabled))
    }

    async fn suspend(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        self.disable(user, true, "suspend account").await
    }

    async fn resume(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        self.disable(user, false, "resume account").await
    }
}

impl IdentityUsers {
    /// An account that is so already is not written.
    async fn disable(&self, user: &str, disabled: bool, doing: &'static str) -> Result<Accepted> {
        if self.lookup(user, doing).await?.disabled != disabled {
            let change = UpdateRequest {
                local_id: user,
                valid_since: None,
                disable_user: Some(disabled),
            };
            self.update(&change, doing).await?;
        }
        Ok(Accepted::new())
    }
}
