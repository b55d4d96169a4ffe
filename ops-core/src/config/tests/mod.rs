mod any_text;
mod calendar;
mod consistency;
mod database;
mod gates;
mod masking;
mod presets;
mod reading;
mod rules;
mod tenancy;
mod values;

use super::*;

/// Every key of every table, each at a known line.
const WHOLE: &str = r##"lang = "en"
state_dir = "/var/lib/ops"
loopback_only = true
tenant = "org_customer_a"
[gcp]
project = "soul-kun"
region = "asia-northeast1"
run_base_url = "http://127.0.0.1:8080/"
token_env = "GCP_TOKEN"
inventory_regions = ["us-east1"]
api_base_url = "http://127.0.0.1:8080"
evidence_bucket = "soul-kun-evidence"
identity_project = "soul-kun-users"
emergency_token_env = "GCP_EMERGENCY_TOKEN"
[railway]
base_url = "http://[::1]:8081"
project = "p-1"
environment = "e-1"
token_env = "RW_TOKEN"
emergency_token_env = "RW_EMERGENCY_TOKEN"
token_kind = "bearer"
[vercel]
base_url = "http://localhost:8082"
team = "team_1"
token_env = "VC_TOKEN"
emergency_token_env = "VC_EMERGENCY_TOKEN"
[database]
url_env = "DB_URL"
audit_url_env = "AUDIT_URL"
name = "soul_kun"
[[service]]
name = "api"
platform = "cloud-run"
id = "soul-kun-api"
region = "us-central1"
[[service]]
name = "worker"
platform = "railway"
[[switch]]
name = "llm-brain"
env = "USE_BRAIN_ARCHITECTURE"
env_stops = "no"
default = "stopped"
on_stale = "stop"
grace_seconds = 60
[[contact]]
audience = "#emergency"
[[contact]]
audience = "カズさん"
phone_env = "PHONE"
[[health]]
name = "api"
url = "http://127.0.0.1:8083/ready"
field = "db.status"
equals = "ok"
[[health]]
name = "staging"
url = "http://localhost/ready"
[[procedure]]
name = "stop-brain"
kind = "llm-brain-stop"
switch = "llm-brain"
services = ["api"]
read_only_database = true
notify = ["#emergency", "カズさん"]
target_seconds = 0x1E
ramp = [1, 10]
jitter = "1m"
[[procedure.gate]]
after = "start"
health = ["staging"]
[[procedure.gate]]
after = "services"
health = ["api", "staging"]
hold = "90s"
every = "1500ms"
patience = "1h"
[[procedure]]
name = "stop-api"
kind = "api-stop"
services = ["api", "worker"]
[[procedure]]
name = "read-only"
kind = "database-read-only"
[[uncovered]]
target = "cloud-run:soul-kun/us-central1/batch"
reason = "a job of the night"
until = "2027-03-31"
[approvals]
stop = 1
restore = 2
valid_minutes = 15
[[approver]]
name = "alice"
public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
[[approver]]
name = "bob"
public_key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
[masking.log]
indirect = "partial"
employee_id = "pseudonym"
[masking.storage]
confidential = "encrypt"
"##;

/// A configuration without a fault, to which a test adds one from line 8 on.
const SMALL: &str = r#"[gcp]
project = "p"
region = "r"
[[service]]
name = "api"
platform = "cloud-run"

"#;

fn faults(text: &str) -> Vec<ConfigFault> {
    OpsConfig::parse(text).unwrap_err().faults
}

fn small_and(rest: &str) -> String {
    assert!(OpsConfig::parse(SMALL).is_ok());
    format!("{SMALL}{rest}")
}

/// The only fault of `text`.
#[track_caller]
fn only_fault(text: &str) -> ConfigFault {
    let mut faults = faults(text);
    assert_eq!(faults.len(), 1, "{text}\n{faults:#?}");
    faults.remove(0)
}

#[track_caller]
fn assert_only(text: &str, line: usize, key: &str, problem: &str, remedy: &str) {
    let fault = only_fault(text);
    assert_eq!((fault.line, fault.key.as_str()), (line, key), "{text}\n{fault}");
    assert!(fault.problem.contains(problem), "{fault}");
    assert!(fault.remedy.contains(remedy), "{fault}");
}
