use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::TenantId;

/// Something that keeps what leads back to a person and cannot be found by a table's column: the salts of commitments, an index, a
/// file store, a vendor.
///
/// # Contract
/// - On `Ok`, nothing in it leads back to the person any more. It says how many things went; `0` when there was nothing.
/// - Repeating it is harmless.
///
/// # Errors
/// `Unavailable`, `Timeout`: the request stays open then, and is taken up again.
///
/// # Cancellation
/// Dropping the future may leave a part done; it is to be repeated.
#[async_trait]
pub trait ForgetPerson: Debug + Send + Sync + 'static {
    /// What it is, for the report to the person: `salts of the audit trail`.
    fn name(&self) -> &str;
    /// Lets the person go.
    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<u64>;
}
