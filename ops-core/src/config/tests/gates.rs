use super::*;

const GATED: &str = r#"[[health]]
name = "ready"
url = "https://api.example/ready"
[[procedure]]
name = "stop-api"
kind = "api-stop"
services = ["api"]
"#;

fn gated(rest: &str) -> String {
    let text = format!("{SMALL}[approvals]\nrestore = 0\n{GATED}");
    assert!(OpsConfig::parse(&text).is_ok(), "{:?}", OpsConfig::parse(&text));
    format!("{text}{rest}")
}

/// The line of the first key that is added.
const FIRST: usize = 17;

#[test]
fn what_is_wrong_with_a_gate_is_said_with_its_place() {
    let gate = |rest: &str| gated(&format!("[[procedure.gate]]\n{rest}\n"));
    let key = |key: &str| format!("procedure[1].gate[1].{key}");
    let cases = [
        (
            "after = \"service\"\nhealth = [\"ready\"]",
            1,
            "after",
            "is nothing that this kind opens",
            "did you mean \"services\"?",
        ),
        (
            "after = \"switch\"\nhealth = [\"ready\"]",
            1,
            "after",
            "is nothing that this kind opens",
            "use start or services",
        ),
        (
            "after = 1\nhealth = [\"ready\"]",
            1,
            "after",
            "is out of range",
            "from 0 to 0",
        ),
        (
            "after = 0\nhealth = [\"redy\"]",
            2,
            "health",
            "there is no health \"redy\"",
            "did you mean \"ready\"?",
        ),
        (
            "after = 0\nhealth = []",
            2,
            "health",
            "no data is never health",
            "at least one",
        ),
        ("after = 0", 0, "health", "is missing", "add `health"),
        ("health = [\"ready\"]", 0, "after", "is missing", "add `after"),
        (
            "after = 0\nhealth = [\"ready\"]\nhold = 60",
            3,
            "hold",
            "wrong type",
            "\"60s\"",
        ),
        (
            "after = 0\nhealth = [\"ready\"]\nhold = \"60\"",
            3,
            "hold",
            "is not a time",
            "ms, s, m or h",
        ),
        (
            "after = 0\nhealth = [\"ready\"]\nhold = \"25h\"",
            3,
            "hold",
            "is out of range",
            "to 86400s",
        ),
        (
            "after = 0\nhealth = [\"ready\"]\nevery = \"0s\"",
            3,
            "every",
            "is out of range",
            "from 1s",
        ),
        (
            "after = 0\nhealth = [\"ready\"]\npatience = \"1m\"",
            3,
            "patience",
            "is not longer than `hold`",
            "longer time",
        ),
        (
            "after = 0\nhealth = [\"ready\"]\nholds = \"1m\"",
            3,
            "holds",
            "is not a known key",
            "did you mean `hold`?",
        ),
    ];
    for (rest, line, name, problem, remedy) in cases {
        assert_only(&gate(rest), FIRST + line, &key(name), problem, remedy);
    }
    let twice = gate(
        "after = 0\nhealth = [\"ready\"]\n[[procedure.gate]]\nafter = \"services\"\nhealth = [\"ready\"]",
    );
    assert_only(
        &twice,
        FIRST + 4,
        "procedure[1].gate[2].after",
        "is the place of another gate",
        "both checks",
    );
}

#[test]
fn what_is_wrong_with_ramp_jitter_and_health_is_said_with_its_place() {
    let cases = [
        ("ramp = [10, 1]", "ramp", "does not rise", "larger than"),
        ("ramp = [0, 1]", "ramp", "is not in range", "from 1 to 99"),
        ("ramp = [1, 100]", "ramp", "is not in range", "from 1 to 99"),
        ("ramp = [\"1 %\"]", "ramp", "is not in range", "without quotes"),
        ("ramp = 1", "ramp", "wrong type", "[1, 10]"),
        ("jitter = \"2h\"", "jitter", "is out of range", "to 3600s"),
        (
            "jiter = \"2m\"",
            "jiter",
            "is not a known key",
            "did you mean `jitter`?",
        ),
    ];
    for (rest, name, problem, remedy) in cases {
        assert_only(
            &gated(&format!("{rest}\n")),
            FIRST,
            &format!("procedure[1].{name}"),
            problem,
            remedy,
        );
    }
    let health = |rest: &str| format!("{}[[health]]\nname = \"ready\"\n{rest}\n", SMALL);
    let line = 11;
    assert_only(&health(""), 8, "health[1].url", "is missing", "add `url");
    assert_only(
        &health("url = \"http://api.example/\""),
        line - 1,
        "health[1].url",
        "is not an https URL",
        "https://",
    );
    assert_only(
        &health("url = \"https://api.example/\"\nfield = \"status\""),
        line,
        "health[1].field",
        "means nothing without `equals`",
        "add `equals",
    );
    let secret = health("url = \"https://me:hunter2@api.example/\"");
    assert!(!only_fault(&secret).to_string().contains("hunter2"));
}
