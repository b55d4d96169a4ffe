use super::{BackupFinding, BackupSeverity};
use crate::messages::backup as text;
use crate::model::{ArchiveMode, BackupPolicy, ServerBackups};

pub(super) fn judge(server: &ServerBackups, policy: &BackupPolicy, findings: &mut Vec<BackupFinding>) {
    let mut add = |kind: &str, severity, both| findings.push(BackupFinding::new(kind, severity, both));
    let (warning, failed) = (BackupSeverity::Warning, BackupSeverity::Failed);
    for (name, on) in [
        ("fsync", server.fsync),
        ("full_page_writes", server.full_page_writes),
    ] {
        if !on {
            add(&format!("{name}_off"), warning, text::unsafe_setting(name));
        }
    }
    if !server.checksums {
        add("no_checksums", warning, text::no_checksums());
    }
    if let Some(count) = server.checksum_failures.filter(|count| *count > 0) {
        add("checksum_failures", failed, text::checksum_failures(count));
    }
    if server.wal_level == "minimal" {
        add("wal_level_minimal", warning, text::wal_level_minimal());
    }
    let archiving = &server.archiving;
    if archiving.mode == ArchiveMode::Off {
        add("archive_off", warning, text::archive_off());
    } else if !archiving.configured {
        add("archive_unset", failed, text::archive_unset());
    } else if !server.in_recovery {
        if let Some(failure) = archiving.last_failure.as_ref().filter(|_| archiving.is_failing()) {
            let both = text::archive_failing(&failure.segment, failure.at, archiving.failed);
            add("archive_failing", failed, both);
        } else if archiving.last.is_none() {
            add(
                "archive_unproven",
                BackupSeverity::Unknown,
                text::archive_unproven(),
            );
        }
        if archiving.timeout.is_zero() || archiving.timeout > policy.rpo {
            let both = text::archive_timeout(archiving.timeout, policy.rpo);
            add("archive_timeout", warning, both);
        }
    }
    let follow = server.standbys.iter().filter(|standby| standby.follows());
    let count = follow.clone().count();
    if u32::try_from(count).is_ok_and(|count| count < policy.min_standbys) {
        add(
            "few_standbys",
            warning,
            text::few_standbys(count, policy.min_standbys),
        );
    }
    for standby in follow {
        if let Some(lag) = standby.lag.filter(|lag| *lag > policy.rpo) {
            add(
                "standby_behind",
                warning,
                text::standby_behind(&standby.name, lag),
            );
        }
    }
    for slot in &server.slots {
        if slot.wal_status.as_deref() == Some("lost") {
            add("slot_lost", warning, text::slot_lost(&slot.name));
        } else if let Some(held) = slot.held
            && !slot.active
            && server.slots_may_hold.is_none()
        {
            add(
                "slot_fills_disk",
                warning,
                text::slot_fills_disk(&slot.name, held),
            );
        }
    }
}
