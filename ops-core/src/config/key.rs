/// The keys of the whole file.
pub(super) const ROOT: &[&str] = &[
    "lang",
    "state_dir",
    "loopback_only",
    "tenant",
    "gcp",
    "railway",
    "vercel",
    "database",
    "shared_limits",
    "backup",
    "service",
    "switch",
    "contact",
    "health",
    "procedure",
    "uncovered",
    "approvals",
    "approver",
    "window",
    "automation",
    "masking",
    "tenancy",
    "personal_data",
    "retention",
    "calendar",
];
/// The keys of a `[[calendar]]`.
pub(super) const CALENDAR: &[&str] = &[
    "id", "title", "every", "weekday", "day", "month", "since", "owner", "runbook", "command", "drill",
];
/// The keys of `[tenancy]`.
pub(super) const TENANCY: &[&str] = &[
    "phase",
    "column",
    "schemas",
    "app_roles",
    "levels",
    "table",
    "accepted",
];
/// The keys of a `[[tenancy.table]]`.
pub(super) const TENANT_TABLE: &[&str] = &["name", "column", "global"];
/// The keys of a `[[tenancy.accepted]]`.
pub(super) const ACCEPTED_GAP: &[&str] = &["subject", "gap", "reason"];
/// The keys of a `[[personal_data]]`.
pub(super) const PERSONAL_DATA: &[&str] = &["table", "user_column", "how", "columns", "reason"];
/// The keys of a `[[retention]]`.
pub(super) const RETENTION: &[&str] = &[
    "name",
    "table",
    "until",
    "column",
    "keep_days",
    "user_column",
    "users",
    "left_column",
];
/// The keys of `[gcp]`.
pub(super) const GCP: &[&str] = &[
    "project",
    "region",
    "inventory_regions",
    "run_base_url",
    "api_base_url",
    "evidence_bucket",
    "identity_project",
    "token_env",
    "emergency_token_env",
];
/// The keys of `[railway]`.
pub(super) const RAILWAY: &[&str] = &[
    "base_url",
    "project",
    "environment",
    "token_env",
    "emergency_token_env",
    "token_kind",
];
/// The keys of `[vercel]`.
pub(super) const VERCEL: &[&str] = &["base_url", "team", "token_env", "emergency_token_env"];
/// The keys of `[database]`.
pub(super) const DATABASE: &[&str] = &[
    "url_env",
    "audit_url_env",
    "name",
    "strength",
    "spare_applications",
    "spare_roles",
    "roll_back_prepared",
    "probe_url_env",
    "pooled_url_env",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_timeout",
    "session_rule",
];
/// The keys of a `[[database.session_rule]]`.
pub(super) const SESSION_RULE: &[&str] = &["name", "when", "longer_than", "deed", "role", "application"];
/// The keys of `[backup]`.
pub(super) const BACKUP: &[&str] = &[
    "directory",
    "rpo",
    "every",
    "rto",
    "keep_days",
    "test_every_days",
    "min_standbys",
];
/// The keys of `[shared_limits]`.
pub(super) const SHARED_LIMITS: &[&str] = &[
    "store",
    "url_env",
    "secret_env",
    "space",
    "max_instances",
    "timeout_ms",
    "private_network",
];
/// The keys of a `[[service]]`.
pub(super) const SERVICE: &[&str] = &["name", "platform", "id", "region"];
/// The keys of a `[[switch]]`.
pub(super) const SWITCH: &[&str] = &["name", "env", "env_stops", "default", "on_stale", "grace_seconds"];
/// The keys of a `[[contact]]`.
pub(super) const CONTACT: &[&str] = &["audience", "phone_env"];
/// The keys of a `[[procedure]]`.
pub(super) const PROCEDURE: &[&str] = &[
    "name",
    "kind",
    "switch",
    "services",
    "read_only_database",
    "read_only_strength",
    "notify",
    "target_seconds",
    "keep_at_least",
    "at_most",
    "requires",
    "not_during",
    "unseen",
    "ramp",
    "jitter",
    "gate",
];
/// The keys of `keep_at_least`.
pub(super) const KEEP_AT_LEAST: &[&str] = &["up", "of"];
/// The keys of a `[[window]]`.
pub(super) const WINDOW: &[&str] = &["name", "days", "from", "until", "start", "end"];
/// The keys of `[automation]`.
pub(super) const AUTOMATION: &[&str] = &["max_targets", "window_minutes", "journal_unread"];
/// The keys of a `[[procedure.gate]]`.
pub(super) const GATE: &[&str] = &["after", "health", "hold", "every", "patience"];
/// The keys of a `[[health]]`.
pub(super) const HEALTH: &[&str] = &["name", "url", "field", "equals"];
/// The keys of an `[[uncovered]]`.
pub(super) const UNCOVERED: &[&str] = &["target", "reason", "until"];
/// The keys of `[approvals]`.
pub(super) const APPROVALS: &[&str] = &["stop", "restore", "valid_minutes", "review_days"];
/// The keys of `[masking]`.
pub(super) const MASKING: &[&str] = &["log", "external", "storage", "support"];
/// The keys of `[masking.log]` and its like: categories and types.
pub(super) const MASKED: &[&str] = &[
    "direct",
    "indirect",
    "confidential",
    "address",
    "api_key",
    "bank_account",
    "corporate_number",
    "credit_card",
    "department",
    "drivers_license",
    "email",
    "employee_id",
    "health_insurance",
    "ip",
    "my_number",
    "passport",
    "person",
    "phone",
    "postal_code",
];
/// The keys of an `[[approver]]`.
pub(super) const APPROVER: &[&str] = &["name", "public_key"];

/// The one of `known` that `unknown` is probably a misspelling of.
pub(super) fn nearest<'k>(unknown: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if unknown.len() > LONGEST {
        return None;
    }
    let allowed = (unknown.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&unknown.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A key that is longer than this is no misspelling of one of ours.
const LONGEST: usize = 100;

/// Whether a key of this name holds something that must not stand in a file.
pub(super) fn names_a_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    const MARKS: [&str; 10] = [
        "token",
        "password",
        "passwd",
        "secret",
        "credential",
        "api_key",
        "apikey",
        "private_key",
        "dsn",
        "phone",
    ];
    !name.ends_with("_env") && MARKS.iter().any(|mark| name.contains(mark))
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != *other);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if column > 0 && previous == Some(*other) && right[column - 1] == letter {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        previous = Some(letter);
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_letter_mistakes() {
        for (left, right, wanted) in [
            ("region", "region", 0),
            ("regoin", "region", 1),
            ("projct", "project", 1),
            ("platfrom", "platform", 1),
            ("", "abc", 3),
            ("abc", "", 3),
            ("名前", "名前x", 1),
        ] {
            assert_eq!(distance(left, right), wanted, "{left} {right}");
        }
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_a_foreign_one_finds_none() {
        assert_eq!(nearest("plaform", SERVICE.iter().copied()), Some("platform"));
        assert_eq!(nearest("Region", GCP.iter().copied()), Some("region"));
        assert_eq!(nearest("colour", SERVICE.iter().copied()), None);
        assert_eq!(nearest(&"x".repeat(100_000), SERVICE.iter().copied()), None);
    }

    #[test]
    fn no_key_of_ours_looks_like_a_secret() {
        let tables = [
            APPROVALS,
            APPROVER,
            AUTOMATION,
            BACKUP,
            CALENDAR,
            CONTACT,
            DATABASE,
            GCP,
            KEEP_AT_LEAST,
            PERSONAL_DATA,
            PROCEDURE,
            RETENTION,
            ROOT,
            SERVICE,
            SHARED_LIMITS,
            SWITCH,
            TENANCY,
            TENANT_TABLE,
            ACCEPTED_GAP,
            UNCOVERED,
            VERCEL,
            WINDOW,
        ];
        for key in tables.into_iter().flatten() {
            assert!(!names_a_secret(key), "{key}");
        }
        assert!(names_a_secret("API_TOKEN") && names_a_secret("db_password"));
    }
}
