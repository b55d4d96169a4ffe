//! Reads the sources of the library crates and fails on an import that the layers forbid.
//!
//! The tables below are the law; a new edge is a change of a table and needs an ADR.

mod sources;

use std::cmp::Ordering;
use std::fmt;
use std::fs;

use self::sources::{Source, sources, workspace};

/// The rooms of `ops-core`, lowest first. A room imports from lower rows only.
const ROWS: &[&[&str]] = &[
    &["model", "error"],
    &["ports"],
    &["resilience", "http", "config", "audit", "masking", "tenancy"],
    &[
        "signals",
        "routing",
        "objectives",
        "emergency",
        "guard",
        "cost",
        "incidents",
        "governance",
        "notify",
    ],
    &["actions"],
    &["procedures"],
    &["pipeline", "ops", "builder", "providers", "web"],
];

/// The rows in which rooms may import each other: the values, and what puts everything together.
const OPEN_ROWS: &[usize] = &[0, 6];

/// Imports within another row.
const SIDEWAYS: &[(&str, &str)] = &[
    // One rule says which URLs are allowed, for the file and for the wire.
    ("config", "http"),
    // The recorder waits for a store no longer than a deadline.
    ("audit", "resilience"),
    // A gate before every transport masks what leaves.
    ("masking", "http"),
    // A test ends the process between two steps of a write.
    ("durable", "failpoint"),
];

/// Rooms that every room above the ports may use, and that use nothing above the ports.
const BESIDE_MODEL: &[&str] = &["clock", "messages", "durable", "failpoint"];

/// Rooms that stand beside the ports. Only [`ASSEMBLY`], tests and `testkit` may import them.
const BESIDE_PORTS: &[&str] = &["memory", "file", "testkit"];

/// Who hands out the in-memory and the file-backed providers.
const ASSEMBLY: &[&str] = &["providers", "builder"];

/// The rooms of `ops-core` that a provider may use, and those that its tests and simulators may use besides.
const FOR_PROVIDERS: &[&str] = &[
    "model",
    "error",
    "ports",
    "http",
    "config",
    "resilience",
    "audit",
    "tenancy",
    "clock",
    "messages",
];
const FOR_PROVIDER_TESTS: &[&str] = &["testkit", "memory"];

const CRATES: &[(&str, &str)] = &[
    ("ops-core", "ops_core"),
    ("ops-gcp", "ops_gcp"),
    ("ops-railway", "ops_railway"),
    ("ops-postgres", "ops_postgres"),
];

/// Outside crates (and one part of `std`) that stay behind a type of ours, and the only places that may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("reqwest", &["ops-core/src/http/reqwest.rs"]),
    (
        "rustls",
        &["ops-core/src/http/reqwest.rs", "ops-railway/src/redis/tls.rs"],
    ),
    ("tokio_rustls", &["ops-railway/src/redis/tls.rs"]),
    ("redis", &["ops-railway/src/redis/"]),
    ("governor", &["ops-core/src/guard/rate_limit.rs"]),
    ("jiff", &["ops-core/src/model/timestamp.rs"]),
    ("jiff_sqlx", &[]),
    ("squawk_syntax", &["ops-core/src/governance/migration/tree.rs"]),
    ("sqlx", &["ops-postgres/"]),
    ("tracing_subscriber", &["ops-core/src/masking/log/"]),
    ("hyper", &["ops-core/src/testkit/"]),
    (
        "std::env",
        &["ops-core/src/config/env.rs", "ops-core/src/testkit/env.rs"],
    ),
];

/// Parts of `std::env` that read no variable of ours.
const HARMLESS_IN_ENV: &[&str] = &["consts", "join_paths", "split_paths", "temp_dir"];

/// The tests that may name `HostPolicy::Any`: those of the policy itself, which send nothing.
const TESTS_OF_THE_HOST_POLICY: &[&str] = &["ops-core/src/http/transport.rs"];

#[test]
fn no_source_imports_what_the_layers_forbid() {
    let mut checked = 0;
    let mut found = Vec::new();
    for (folder, _) in CRATES {
        for source in sources(&format!("{folder}/src")).unwrap() {
            found.extend(forbidden_imports(&source));
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} sources were found");
    assert!(found.is_empty(), "{}", listed(&found));
}

#[test]
fn tests_and_simulators_never_talk_to_other_machines() {
    let folders = [
        "ops-core",
        "ops-gcp",
        "ops-railway",
        "ops-postgres",
        "examples",
        "benches",
    ];
    let found: Vec<_> = folders
        .into_iter()
        .flat_map(|folder| sources(folder).unwrap())
        .flat_map(|source| open_host_policies(&source))
        .collect();
    assert!(found.is_empty(), "{}", listed(&found));
}

#[test]
fn no_library_crate_depends_on_a_provider() {
    for (folder, _) in CRATES {
        let manifest = fs::read_to_string(workspace(&format!("{folder}/Cargo.toml"))).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(|section| section.as_table()) else {
                continue;
            };
            for (other, _) in CRATES {
                // A crate names itself to enable its own features in its tests.
                let allowed = *other == "ops-core" || other == folder;
                assert!(
                    allowed || !dependencies.contains_key(*other),
                    "{folder} depends on {other}"
                );
            }
        }
    }
}

#[test]
fn every_room_is_on_one_list() {
    let mut rooms: Vec<_> = ROWS.iter().copied().flatten().copied().collect();
    rooms.extend(BESIDE_MODEL.iter().chain(BESIDE_PORTS));
    let listed = rooms.len();
    rooms.sort_unstable();
    rooms.dedup();
    assert_eq!(rooms.len(), listed);
}

/// Made-up sources: path, text (⏎ for a line break), and the rule that the text breaks, if it breaks one.
const CASES: &str = r####"
Downwards is fine, upwards is not.
ops-core/src/ports/audit.rs     | use crate::model::Actor;                                |
ops-core/src/model/plan.rs      | use crate::ports::Clock;                                | ports is above model
ops-core/src/ports/audit.rs     | use crate::{model::{Actor, Plan},⏎ audit::Recorder,⏎};  | audit is above ports
ops-core/src/emergency/plan.rs  | fn f(x: &crate::pipeline::Worker) {}                    | pipeline is above emergency
ops-core/src/emergency/plan.rs  | use super::super::actions::TrafficAction;               | actions is above emergency
ops-core/src/emergency/plan.rs  | use super::super::{model::A, actions::B};               | actions is above emergency
ops-core/src/emergency/mod.rs   | pub use super::procedures::ApiStop;                     | procedures is above emergency
ops-core/src/emergency/plan.rs  | use super::approve::Approval;                           |
ops-core/src/emergency/plan.rs  | mod a { use super::super::super::ops::Ops; }            | ops is above emergency
ops-core/src/emergency/plan.rs  | mod a { use super::super::ops; }                        |
ops-core/src/actions/switch.rs  | use crate::guard::KillSwitch;                           |

Neighbours meet in values or in the pipeline.
ops-core/src/notify/router.rs   | use crate::incidents::State;                            | notify and incidents are neighbours
ops-core/src/audit/spool.rs     | use crate::http::HttpTransport;                         | audit and http are neighbours
ops-core/src/http/transport.rs  | use crate::config::OpsConfig;                           | http and config are neighbours
ops-core/src/config/rule.rs     | use crate::http::HostPolicy;                            |
ops-core/src/ops.rs             | use crate::pipeline::publish;                           |

Beside the model, and beside the ports.
ops-core/src/emergency/plan.rs  | use crate::messages::Catalogue;                         |
ops-core/src/model/plan.rs      | use crate::messages::Catalogue;                         | messages is above model
ops-core/src/messages/mod.rs    | use crate::config::OpsConfig;                           | config is above messages
ops-core/src/memory/audit.rs    | use crate::audit::Chain;                                |
ops-core/src/memory/audit.rs    | use crate::emergency::Run;                              | emergency is above memory
ops-core/src/memory/audit.rs    | use crate::testkit::ManualClock;                        | testkit is for assembly and tests
ops-core/src/emergency/run.rs   | use crate::memory::InMemoryJournal;                     | memory is for assembly and tests
ops-core/src/providers.rs       | use crate::memory::InMemoryJournal;                     |
ops-core/src/providers.rs       | use crate::testkit::ManualClock;                        | testkit is for assembly and tests
ops-core/src/lib.rs             | pub use crate::memory::InMemoryJournal;                 |

Tests may use providers that need nothing, and no more than that.
ops-core/src/emergency/run.rs   | #[cfg(test)]⏎mod tests { use crate::{memory::A, testkit::B}; use super::*; } |
ops-core/src/emergency/run.rs   | #[cfg(test)]⏎mod tests { fn a() {} } use crate::testkit::B; | testkit is for assembly and tests
ops-core/src/emergency/run.rs   | #[cfg(test)]⏎mod tests; use crate::testkit::B;          | testkit is for assembly and tests
ops-core/src/emergency/run.rs   | #[cfg(test)]⏎mod tests { use crate::pipeline::Worker; } | pipeline is above emergency
ops-core/src/emergency/tests.rs | use crate::memory::InMemoryJournal;                     |
ops-core/src/emergency/run.rs   | #[cfg(not(test))]⏎use crate::memory::A;                 | memory is for assembly and tests

A room without a row.
ops-core/src/emergency/run.rs   | use crate::utils::A;                                    | utils is on no list
ops-core/src/helpers/mod.rs     | use crate::model::A;                                    | helpers is on no list
ops-core/src/emergency/run.rs   | use crate::*;                                           | * is on no list
ops-core/src/emergency/run.rs   | use crate as here;                                      | as is on no list

Providers.
ops-gcp/src/run/client.rs       | use ops_core::http::HttpTransport;                      |
ops-gcp/src/run/client.rs       | use ops_core::{model::A, emergency::B};                 | a provider may not use emergency
ops-gcp/src/run/client.rs       | use ops_core::Ops;                                      | a provider may not use Ops
ops-gcp/src/run/client.rs       | use ops_core::testkit::A;                               | a provider may not use testkit
ops-gcp/src/run/sim.rs          | use ops_core::testkit::A;                               |
ops-gcp/src/run/sim/mod.rs      | use ops_core::testkit::A;                               |
ops-gcp/src/run/mod.rs          | #[cfg(test)]⏎mod tests { use ops_core::testkit::A; }    |
ops-gcp/src/run/client.rs       | use ops_core as core;                                   | ops_core under another name
ops-gcp/src/run/client.rs       | use ops_core::{self, model::A};                         | ops_core under another name
ops-gcp/src/run/client.rs       | use ops_postgres::Store;                                | ops-gcp may not use ops-postgres
ops-postgres/src/store.rs       | fn f() { ops_railway::f() }                             | ops-postgres may not use ops-railway
ops-core/src/emergency/run.rs   | use ops_gcp::Gcp;                                       | ops-core may not use ops-gcp
ops-core/src/lib.rs             | pub use ops_gcp::Gcp;                                   | ops-core may not use ops-gcp

What belongs to others stays at home.
ops-core/src/http/reqwest.rs    | use reqwest::Client;                                    |
ops-core/src/http/mod.rs        | mod reqwest; pub use self::reqwest::ReqwestTransport;   |
ops-gcp/src/error.rs            | fn f(e: reqwest::Error) {}                              | reqwest is used outside
ops-core/src/emergency/run.rs   | use ::jiff::Timestamp;                                  | jiff is used outside
ops-core/src/emergency/run.rs   | use jiff;                                               | jiff is used outside
ops-core/src/guard/admission.rs | use governor::Quota;                                    | governor is used outside
ops-core/src/audit/spool.rs     | use sqlx::PgPool;                                       | sqlx is used outside
ops-postgres/src/store.rs       | use sqlx::PgPool;                                       |
ops-core/src/file/mod.rs        | use std::{fs, env};                                     | std::env is used outside
ops-core/src/file/mod.rs        | fn f() { std::env::vars(); env!("A"); }                 | std::env is used outside
ops-core/src/file/mod.rs        | use std::env::{temp_dir, var};                          | std::env is used outside
ops-core/src/file/mod.rs        | use std::env::temp_dir;                                 |
ops-core/src/config/env.rs      | use std::env;                                           |

Comments and texts import nothing.
ops-core/src/model/plan.rs      | //! [`crate::ops`]⏎/* crate::ops /* crate::ops */ crate::ops */ |
ops-core/src/model/plan.rs      | const A: &str = "\" crate::ops"; const B: &[u8] = b"crate::ops"; |
ops-core/src/model/plan.rs      | const A: &str = r#""crate::ops"#; const B: char = '"'; use crate::ops::Ops; | ops is above model
ops-core/src/model/plan.rs      | fn f<'a>(a: &'a str) -> char { '\'' } use crate::ops::Ops; | ops is above model
"####;

#[test]
fn forbidden_imports_are_found() {
    let mut checked = 0;
    for case in CASES.lines().filter(|line| line.contains(" | ")) {
        let mut parts = case.splitn(3, " | ").map(str::trim);
        let (path, text) = (parts.next().unwrap(), parts.next().unwrap().replace('⏎', "\n"));
        let text = text.strip_suffix('|').unwrap_or(&text);
        let wanted = parts.next().unwrap_or("");
        let found = forbidden_imports(&Source::new(path, text));
        let as_wanted = match found.as_slice() {
            [] => wanted.is_empty(),
            [only] => !wanted.is_empty() && only.what.starts_with(wanted),
            _ => false,
        };
        assert!(as_wanted, "{case}\n{}", listed(&found));
        checked += 1;
    }
    assert_eq!(
        checked,
        CASES.matches("ops-core/src/").count()
            + CASES.matches("ops-gcp/src/").count()
            + CASES.matches("ops-postgres/src/").count()
    );
}

#[test]
fn a_forbidden_import_is_told_with_its_line() {
    let text = "//! Docs.\n\nuse std::fmt;\n\nuse crate::ops::Ops;\n";
    let found = forbidden_imports(&Source::new("ops-core/src/model/plan.rs", text));
    assert_eq!(listed(&found), "ops-core/src/model/plan.rs:5: ops is above model");
}

#[test]
fn open_host_policies_are_found_in_tests_and_simulators_only() {
    let text = "fn f() { HostPolicy::Any }";
    let in_test = format!("#[cfg(test)]\nmod tests {{ {text} }}");
    for (path, text, wanted) in [
        ("ops-gcp/src/run/client.rs", text, 0),
        ("ops-gcp/src/run/client.rs", in_test.as_str(), 1),
        ("ops-gcp/src/run/sim.rs", text, 1),
        ("ops-gcp/tests/conformance.rs", text, 1),
        ("ops-core/src/testkit/loopback.rs", text, 1),
        ("examples/opsctl/drill.rs", text, 1),
        ("examples/opsctl/stop.rs", text, 0),
        ("ops-core/src/http/transport.rs", in_test.as_str(), 0),
        (
            "ops-gcp/src/run/sim.rs",
            "use ops_core::http::HostPolicy::{Any, LoopbackOnly};",
            1,
        ),
        ("ops-gcp/src/run/sim.rs", "// HostPolicy::Any", 0),
        ("ops-gcp/src/run/sim.rs", "HostPolicy::AnyLoopback", 0),
    ] {
        let found = open_host_policies(&Source::new(path, text));
        assert_eq!(found.len(), wanted, "{path}: {text}");
    }
}

fn forbidden_imports(source: &Source) -> Vec<Forbidden> {
    let own = source.path.split('/').next().unwrap_or("");
    let mut found = Vec::new();
    if own == "ops-core" && source.path != "ops-core/src/lib.rs" {
        for (at, room) in source.paths("crate").into_iter().chain(source.paths_above()) {
            let wrong = core_edge(source.room(), &room, source.is_test(at));
            found.extend(wrong.map(|what| Forbidden::new(source, at, what)));
        }
    }
    for (folder, name) in CRATES.iter().filter(|(folder, _)| *folder != own) {
        for (at, room) in source.paths(name) {
            let for_tests = source.is_test(at) || source.is_in("sim");
            let wrong = match *folder {
                "ops-core" => provider_edge(&room, for_tests),
                other => Some(format!("{own} may not use {other}")),
            };
            found.extend(wrong.map(|what| Forbidden::new(source, at, what)));
        }
    }
    for (outside, homes) in HOMES {
        if homes.iter().any(|home| source.path.starts_with(home)) {
            continue;
        }
        let uses = match *outside {
            "std::env" => uses_of_the_environment(source),
            root => source.paths(root).into_iter().map(|(at, _)| at).collect(),
        };
        for at in uses {
            let what = format!("{outside} is used outside {}", homes.join(", "));
            found.push(Forbidden::new(source, at, what));
        }
    }
    found
}

/// Why a provider may not use this room of `ops-core`.
fn provider_edge(room: &str, in_test: bool) -> Option<String> {
    match room {
        "" | "as" | "self" => Some("ops_core under another name hides what is used".to_owned()),
        _ if FOR_PROVIDERS.contains(&room) => None,
        _ if in_test && FOR_PROVIDER_TESTS.contains(&room) => None,
        _ => Some(format!("a provider may not use {room}")),
    }
}

/// Why `from` may not import `to`.
fn core_edge(from: &str, to: &str, in_test: bool) -> Option<String> {
    if from == to {
        return None;
    }
    let Some(from_height) = height(from) else {
        return Some(format!("{from} is on no list"));
    };
    let Some(to_height) = height(to) else {
        return Some(format!("{to} is on no list"));
    };
    if from == "testkit" {
        return None;
    }
    if BESIDE_PORTS.contains(&to) {
        let assembly = ASSEMBLY.contains(&from) && to != "testkit";
        return (!in_test && !assembly).then(|| format!("{to} is for assembly and tests"));
    }
    let open = OPEN_ROWS.iter().any(|row| ROWS[*row].contains(&from));
    match to_height.cmp(&from_height) {
        Ordering::Less => None,
        Ordering::Equal if open || SIDEWAYS.contains(&(from, to)) => None,
        Ordering::Equal => Some(format!("{from} and {to} are neighbours")),
        Ordering::Greater => Some(format!("{to} is above {from}")),
    }
}

/// Where the whole of `std::env`, or more of it than is harmless, is named.
fn uses_of_the_environment(source: &Source) -> Vec<usize> {
    let modules = source.paths("std").into_iter().filter(|(_, name)| name == "env");
    let all_harmless = |at: usize| {
        let parts = source.names_after(at + "env".len());
        !parts.is_empty()
            && parts
                .iter()
                .all(|(_, part)| HARMLESS_IN_ENV.contains(&part.as_str()))
    };
    modules
        .map(|(at, _)| at)
        .filter(|at| !all_harmless(*at))
        .collect()
}

fn open_host_policies(source: &Source) -> Vec<Forbidden> {
    if TESTS_OF_THE_HOST_POLICY.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let never_real = source.is_in("sim") || source.is_in("drill");
    let variants = source.names_in("HostPolicy").into_iter();
    variants
        .filter(|(at, variant)| variant == "Any" && (never_real || source.is_test(*at)))
        .map(|(at, _)| Forbidden::new(source, at, "a test opens the host policy".to_owned()))
        .collect()
}

/// How high a room stands.
fn height(room: &str) -> Option<usize> {
    if BESIDE_MODEL.contains(&room) {
        // Above the ports, which are row 1.
        return Some(15);
    }
    if BESIDE_PORTS.contains(&room) {
        // Above what the domain rests on, which is row 2.
        return Some(25);
    }
    ROWS.iter()
        .position(|row| row.contains(&room))
        .map(|row| row * 10)
}

/// A forbidden import.
struct Forbidden {
    path: String,
    line: usize,
    what: String,
}

impl Forbidden {
    fn new(source: &Source, at: usize, what: String) -> Self {
        Self {
            path: source.path.clone(),
            line: source.line(at),
            what,
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

fn listed(found: &[Forbidden]) -> String {
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
