use std::sync::Arc;
use std::time::Duration;

use ops_core::error::{Error, ErrorKind};
use ops_core::pipeline::{Kept, LeaseKeeper};
use ops_postgres::{PostgresLeases, WriteFence};

use super::tenant_data::{Deed, Tally, TenantData};
use crate::exit::{Exit, Failure};
use crate::print::Printer;

/// Runs what must not run twice at once, with what its writes are fenced by. The second is told who runs it; a run that was killed keeps it for [`TTL`] at most.
pub(super) async fn alone<F>(
    data: &TenantData,
    printer: &Printer,
    name: &str,
    (deed, tally): (&Deed<'_>, &Tally),
    job: impl FnOnce(WriteFence) -> F + Send,
) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>> + Send,
{
    let clock = Arc::clone(&data.session.world.ops.providers().clock);
    let keeper = LeaseKeeper::new(
        Arc::new(PostgresLeases::new(&data.store)),
        clock,
        holder(data.session.actor.id()),
        TTL,
    )?;
    match keeper
        .run(name, |fence| {
            job(WriteFence::new(name, fence.holder(), fence.token()))
        })
        .await?
    {
        Kept::Done(result) => result,
        Kept::Held(lease) => Err(Failure::Held(lease)),
        _ => {
            let lost = Error::new(ErrorKind::Conflict, "go on alone")
                .context(
                    "lease",
                    format!("{name} was lost under way, so this run has ended"),
                )
                .context(
                    "remedy",
                    "what was done stays done; see opsctl leases, and run it again",
                );
            // Only to record what was changed until then.
            data.or_half(printer, deed, tally, Err(lost)).await
        }
    }
}

/// Who and where, for whoever is told to wait.
fn holder(actor: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let holder = format!("{actor}@{} pid {}", host.trim(), std::process::id());
    holder
        .chars()
        .filter(|letter| !letter.is_control())
        .take(150)
        .collect()
}

/// How long a run that was killed keeps others out. Longer than any change of ours may take (30 s a batch), so that what it had sent is over by then.
pub(super) const TTL: Duration = Duration::from_secs(60);
