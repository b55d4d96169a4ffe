use super::*;

#[test]
fn fourteen_faults_of_one_file_come_at_once_in_the_order_of_the_lines() {
    let text = r##"lang = "jp"
loopback_only = "yes"
[gcp]
projct = "soul-kun"
run_base_url = "http://run.googleapis.com"
[[service]]
name = "api"
platform = "cloudrun"
[[service]]
name = "api"
platform = "vercel"
[[switch]]
name = "LLM"
[[procedure]]
name = "stop"
kind = "api-stop"
services = ["api",
  "web"]
notify = ["#emergency"]
target_seconds = 0
[database]
url = "postgres://ops:hunter2@db/soul_kun"
"##;
    let faults = OpsConfig::parse(text).unwrap_err();
    let found: Vec<_> = faults
        .faults
        .iter()
        .map(|fault| (fault.line, fault.key.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (1, "lang"),
            (2, "loopback_only"),
            (3, "gcp.project"),
            (4, "gcp.projct"),
            (5, "gcp.run_base_url"),
            (8, "service[1].platform"),
            (10, "service[2].name"),
            (11, "service[2].platform"),
            (13, "switch[1].name"),
            (14, "approvals.restore"),
            (18, "procedure[1].services"),
            (19, "procedure[1].notify"),
            (20, "procedure[1].target_seconds"),
            (22, "database.url"),
        ]
    );
    let shown = faults.to_string();
    assert_eq!(shown.lines().count(), faults.faults.len());
    assert!(shown.contains(
        "line 8: service[1].platform: unknown platform \"cloudrun\" — use cloud-run, railway or vercel"
    ));
    assert!(!shown.contains("hunter2"), "{shown}");
    let error = Error::from(faults);
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn unknown_keys_are_faults_and_the_nearest_known_one_is_suggested() {
    assert_only(
        "lnag = 'ja'\n",
        1,
        "lnag",
        "not a known key",
        "did you mean `lang`?",
    );
    assert_only(
        "\n[services]\n",
        2,
        "services",
        "not a known key",
        "did you mean `service`?",
    );
    assert_only(
        &small_and("[gcp.zone]\n"),
        8,
        "gcp.zone",
        "not a known key",
        "use project, region",
    );
    assert_only(
        "[vercel]\n'a\tb' = 1\n",
        2,
        "vercel.a\u{fffd}b",
        "not a known key",
        "use base_url",
    );
}

#[test]
fn values_of_the_wrong_type_are_faults() {
    assert_only("lang = 1\n", 1, "lang", "is an integer", "double quotes");
    assert_only(
        "loopback_only = 'true'\n",
        1,
        "loopback_only",
        "is a string",
        "true or false",
    );
    assert_only(
        "[approvals]\nstop = '0'\n",
        2,
        "approvals.stop",
        "is a string",
        "whole number",
    );
    assert_only(
        "[approvals]\nstop = 0.5\n",
        2,
        "approvals.stop",
        "is a float",
        "whole number",
    );
    assert_only("gcp = 'soul-kun'\n", 1, "gcp", "is a string", "[gcp] table");
    assert_only(
        "[[gcp]]\nproject = 'p'\n",
        1,
        "gcp",
        "is an array",
        "one [gcp] table",
    );
    assert_only(
        "[service]\nname = 'api'\n",
        1,
        "service",
        "is a table",
        "[[service]]",
    );
    assert_only("switch = ['a']\n", 1, "switch[1]", "is a string", "[[switch]]");
    let text = small_and(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = 'api'\n[approvals]\nrestore = 0\n",
    );
    assert_only(&text, 11, "procedure[1].services", "is a string", "a list");
    let text = small_and(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api',\n 3]\n[approvals]\nrestore = 0\n",
    );
    assert_only(
        &text,
        12,
        "procedure[1].services",
        "is an integer",
        "double quotes",
    );
}

#[test]
fn missing_keys_are_faults_at_the_head_of_their_table() {
    let text = small_and("[[service]]\nplatform = 'cloud-run'\nid = 'x'\n");
    assert_only(&text, 8, "service[2].name", "is missing", "add `name");
    assert_only(
        &small_and("[[service]]\nname = 'x'\n"),
        8,
        "service[2].platform",
        "is missing",
        "add `platform",
    );
    assert_only("\n[gcp]\n", 2, "gcp.project", "is missing", "add `project");
    assert_only(
        "[railway]\nproject = 'p'\n",
        1,
        "railway.environment",
        "is missing",
        "add `environment",
    );
    assert_only("[[switch]]\n", 1, "switch[1].name", "is missing", "add `name");
    assert_only(
        "[[contact]]\n",
        1,
        "contact[1].audience",
        "is missing",
        "add `audience",
    );
    assert_only(
        "[[approver]]\nname = 'a'\n",
        1,
        "approver[1].public_key",
        "is missing",
        "add `public_key",
    );
    let free = "[approvals]\nrestore = 0\n";
    let text = format!("{free}[[procedure]]\nname = 'p'\n");
    assert_only(&text, 3, "procedure[1].kind", "is missing", "add `kind");
    let text = format!("{free}[[procedure]]\nname = 'p'\nkind = 'api-stop'\n");
    assert_only(&text, 3, "procedure[1].services", "is missing", "add `services");
    let text = small_and(
        "[[procedure]]\nname = 'p'\nkind = 'llm-brain-stop'\nservices = ['api']\n[approvals]\nrestore = 0\n",
    );
    assert_only(&text, 8, "procedure[1].switch", "is missing", "add `switch");
}

#[test]
fn bad_values_are_faults() {
    assert_only("lang = 'fr'\n", 1, "lang", "unknown lang \"fr\"", "ja or en");
    assert_only(
        "state_dir = ''\n",
        1,
        "state_dir",
        "not a directory",
        "write a path",
    );
    assert_only(
        "tenant = 'a b'\n",
        1,
        "tenant",
        "not a tenant id",
        "without a space",
    );
    assert_only(
        "[gcp]\nproject = '../x'\n",
        2,
        "gcp.project",
        "not an id",
        "letters",
    );
    assert_only("[vercel]\nteam = ''\n", 2, "vercel.team", "not an id", "letters");
    assert_only(
        "[database]\nname = ''\n",
        2,
        "database.name",
        "is empty",
        "visible",
    );
    assert_only(
        "[[switch]]\nname = 'llm_brain'\n",
        2,
        "switch[1].name",
        "\"llm_brain\" is not a name",
        "hyphens",
    );
    assert_only(
        "[[contact]]\naudience = ' '\n",
        2,
        "contact[1].audience",
        "is empty",
        "visible",
    );
    assert_only(
        "[approvals]\nvalid_minutes = 0\n",
        2,
        "approvals.valid_minutes",
        "out of range",
        "1 to 1440",
    );
    assert_only(
        "[approvals]\nstop = -1\n",
        2,
        "approvals.stop",
        "out of range",
        "0 to 20",
    );
    let huge = format!("[approvals]\nstop = {}\n", "9".repeat(60));
    assert_only(&huge, 2, "approvals.stop", "out of range", "0 to 20");
    assert_only(
        "[railway]\nproject = 'p'\nenvironment = 'e'\ntoken_kind = 'team'\n",
        4,
        "railway.token_kind",
        "unknown token_kind \"team\"",
        "project or bearer",
    );
    assert_only(
        "[[approver]]\nname = 'a'\npublic_key = 'abc'\n",
        3,
        "approver[1].public_key",
        "not an Ed25519 public key",
        "64 hexadecimal",
    );
}

#[test]
fn urls_must_be_https_or_lead_to_this_machine() {
    let vercel = |url: &str| format!("[vercel]\nbase_url = '{url}'\n");
    for url in ["http://api.vercel.com", "api.vercel.com", "ftp://localhost", ""] {
        assert_only(&vercel(url), 2, "vercel.base_url", "not an https URL", "https://");
    }
    assert_only(
        &vercel("https://api.vercel.com/?a=1"),
        2,
        "vercel.base_url",
        "has a query",
        "only",
    );
    for url in [
        "http://127.0.0.1:1",
        "https://api.vercel.com",
        "https://proxy.example/vercel",
    ] {
        assert!(OpsConfig::parse(&vercel(url)).is_ok(), "{url}");
    }
}

#[test]
fn loopback_only_excludes_every_other_machine_the_defaults_too() {
    assert!(OpsConfig::parse("loopback_only = true\n[vercel]\nbase_url = 'http://127.0.0.1:1'\n").is_ok());
    let text = "loopback_only = true\n[vercel]\nbase_url = 'https://api.vercel.com'\n";
    assert_only(
        text,
        3,
        "vercel.base_url",
        "leads to another machine",
        "127.0.0.1",
    );
    let text = "loopback_only = true\n[vercel]\n";
    assert_only(
        text,
        2,
        "vercel.base_url",
        "leads to another machine",
        "base_url = ",
    );
    let text = "loopback_only = true\n[gcp]\nproject = 'p'\n";
    assert_only(
        text,
        2,
        "gcp.run_base_url",
        "leads to another machine",
        "run_base_url = ",
    );
    let text = "loopback_only = true\n[vercel]\nbase_url = 'nonsense'\n";
    assert_only(text, 3, "vercel.base_url", "not an https URL", "https://");
}

#[test]
fn secrets_in_the_file_are_faults_and_are_never_repeated() {
    let cases = [
        (
            "[railway]\nproject = 'p'\nenvironment = 'e'\ntoken = 's3cret'\n",
            4,
            "railway.token",
            "token_env = \"TOKEN\"",
        ),
        (
            "[database]\nurl = 's3cret'\n",
            2,
            "database.url",
            "url_env = \"URL\"",
        ),
        (
            "[database]\naudit_url = 's3cret'\n",
            2,
            "database.audit_url",
            "audit_url_env",
        ),
        (
            "[database]\npassword = 's3cret'\n",
            2,
            "database.password",
            "_env",
        ),
        (
            "[database]\ndatabase_url = 'postgres://u:s3cret@h/d'\n",
            2,
            "database.database_url",
            "_env",
        ),
        ("api_key = 's3cret'\n", 1, "api_key", "_env"),
        (
            "[[contact]]\naudience = 'a'\nphone = '090-s3cret'\n",
            3,
            "contact[1].phone",
            "phone_env",
        ),
        (
            "[vercel]\nbase_url = 'https://u:s3cret@api.vercel.com'\n",
            2,
            "vercel.base_url",
            "environment",
        ),
        (
            "[vercel]\nbase_url = 'https://api.vercel.com/?token=s3cret'\n",
            2,
            "vercel.base_url",
            "environment",
        ),
        (
            "[vercel]\ntoken_env = 's3cret'\n",
            2,
            "vercel.token_env",
            "never the value",
        ),
        (
            "[database]\nurl_env = 'postgres://u:s3cret@h/d'\n",
            2,
            "database.url_env",
            "environment",
        ),
        (
            "[database]\nurl_env = 's3cret/d'\n",
            2,
            "database.url_env",
            "never the value",
        ),
        ("tenant = 'redis://:s3cret@h'\n", 1, "tenant", "environment"),
    ];
    for (text, line, key, remedy) in cases {
        let fault = only_fault(text);
        assert_eq!((fault.line, fault.key.as_str()), (line, key), "{fault}");
        assert!(fault.remedy.contains(remedy), "{fault}");
        assert!(!fault.to_string().contains("s3cret"), "{fault}");
    }
}

#[test]
fn syntax_errors_come_with_the_other_faults_and_without_their_own_consequences() {
    // The lines 4 and 6 are broken, and nothing else is said about them.
    let text =
        "lang = 'fr'\n[gcp]\nproject = 'p'\nregion = \"r\n[[service]]\nname = api\nplatform = 'cloudrun'\n";
    let found: Vec<_> = faults(text)
        .into_iter()
        .map(|fault| (fault.line, fault.key))
        .collect();
    let wanted = [(1, "lang"), (4, ""), (6, ""), (7, "service[1].platform")];
    assert_eq!(found, wanted.map(|(line, key)| (line, key.to_owned())));

    let fault = only_fault("[gcp]\nproject = 'p'\nproject = 'q'\n");
    assert_eq!((fault.line, fault.problem.as_str()), (3, "duplicate key"));
    assert_eq!(fault.to_string().lines().count(), 1);
    // The project is missing because its line is broken.
    assert_eq!(only_fault("[gcp]\nproject\nregion = 'r'\n").line, 2);
    // A whole table may be gone with its head.
    assert_eq!(only_fault("[gcp\nprojct = 'p'\n").line, 1);
    // An unquoted token is a syntax error, and not repeated.
    let shown = OpsConfig::parse("[vercel]\ntoken_env = s3cret\n")
        .unwrap_err()
        .to_string();
    assert!(!shown.contains("s3cret"), "{shown}");
}
