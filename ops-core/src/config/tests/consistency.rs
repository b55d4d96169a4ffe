use super::*;

#[test]
fn keys_that_have_no_meaning_there_are_faults() {
    let free = "[approvals]\nrestore = 0\n";
    let text = small_and(&format!(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api']\nswitch = 's'\n{free}"
    ));
    assert_only(
        &text,
        12,
        "procedure[1].switch",
        "no meaning for api-stop",
        "remove",
    );
    let text =
        format!("[database]\n[[procedure]]\nname = 'p'\nkind = 'database-read-only'\nservices = []\n{free}");
    assert_only(
        &text,
        5,
        "procedure[1].services",
        "no meaning for database-read-only",
        "remove",
    );
    let text = format!(
        "[database]\n[[procedure]]\nname = 'p'\nkind = 'database-read-only'\nread_only_database = false\n{free}"
    );
    assert_only(&text, 5, "procedure[1].read_only_database", "is false", "remove");
    let text = "[vercel]\n[[service]]\nname = 'web'\nplatform = 'vercel'\nregion = 'r'\n";
    assert_only(text, 5, "service[1].region", "no meaning on vercel", "remove");
    let text = small_and(&format!(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = []\n{free}"
    ));
    assert_only(&text, 11, "procedure[1].services", "is empty", "at least one");
}

#[test]
fn a_name_that_is_given_twice_is_a_fault_at_the_second_place() {
    let text = small_and("[[service]]\nname = 'api'\nplatform = 'cloud-run'\nid = 'other'\n");
    assert_only(
        &text,
        9,
        "service[2].name",
        "\"api\" is taken by the table at line 5",
        "its own",
    );
    assert_only(
        "switch = [{name = 'a'}, {name = 'a'}]\n",
        1,
        "switch[2].name",
        "is taken",
        "its own",
    );
    let text = "[[contact]]\naudience = '#a'\n[[contact]]\naudience = '#a'\n";
    assert_only(
        text,
        4,
        "contact[2].audience",
        "is taken by the table at line 2",
        "its own",
    );
    let procedure = "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api']\n";
    let text = small_and(&format!("{procedure}{procedure}[approvals]\nrestore = 0\n"));
    assert_only(
        &text,
        13,
        "procedure[2].name",
        "is taken by the table at line 9",
        "its own",
    );
    let text = small_and(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api', 'api']\n[approvals]\nrestore = 0\n",
    );
    assert_only(&text, 11, "procedure[1].services", "names \"api\" twice", "once");
}

#[test]
fn one_person_or_one_key_cannot_approve_twice() {
    let text = WHOLE.replace("\"bob\"", "\"alice\"");
    assert_only(&text, 97, "approver[2].name", "\"alice\" is taken", "its own");
    let text = WHOLE.replace(
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    );
    assert_only(&text, 98, "approver[2].public_key", "is taken", "its own");
}

/// The journal keeps one prior state for each target, so a service with two names would lose one.
#[test]
fn one_service_of_a_vendor_cannot_have_two_names() {
    let text = small_and("[[service]]\nname = 'other'\nplatform = 'cloud-run'\nid = 'api'\n");
    assert_only(
        &text,
        11,
        "service[2].id",
        "is the same service as \"api\"",
        "once",
    );
    let elsewhere = format!("{text}region = 'r2'\n");
    assert!(OpsConfig::parse(&elsewhere).is_ok());
}

#[test]
fn references_to_what_does_not_exist_are_faults() {
    let free = "[approvals]\nrestore = 0\n";
    let text = small_and(&format!(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['apj']\n{free}"
    ));
    assert_only(
        &text,
        11,
        "procedure[1].services",
        "there is no service \"apj\"",
        "did you mean \"api\"?",
    );
    let text = small_and(&format!(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api']\nnotify = ['#x']\n{free}"
    ));
    assert_only(
        &text,
        12,
        "procedure[1].notify",
        "there is no contact \"#x\"",
        "[[contact]]",
    );
    let text = small_and(&format!(
        "[[procedure]]\nname = 'p'\nkind = 'llm-brain-stop'\nswitch = 'brain'\nservices = ['api']\n{free}"
    ));
    assert_only(
        &text,
        11,
        "procedure[1].switch",
        "there is no switch \"brain\"",
        "[[switch]]",
    );
    let text = format!("[[procedure]]\nname = 'p'\nkind = 'database-read-only'\n{free}");
    assert_only(&text, 3, "procedure[1].kind", "no [database] table", "[database]");
    let text = small_and(&format!(
        "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api']\nread_only_database = true\n{free}"
    ));
    assert_only(
        &text,
        12,
        "procedure[1].read_only_database",
        "no [database] table",
        "[database]",
    );
    let text = "[[service]]\nname = 'web'\nplatform = 'vercel'\n";
    assert_only(
        text,
        3,
        "service[1].platform",
        "no [vercel] table",
        "add a [vercel]",
    );
    let text = "[gcp]\nproject = 'p'\n[[service]]\nname = 'api'\nplatform = 'cloud-run'\n";
    assert_only(
        text,
        3,
        "service[1].region",
        "[gcp] has no region either",
        "region",
    );
}

#[test]
fn a_wrong_name_does_not_make_its_references_faults_too() {
    let text = small_and(
        "[[switch]]\nname = 'Brain'\n[[service]]\nname = 'web'\nplatform = 'heroku'\n[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['web']\n[approvals]\nrestore = 0\n",
    );
    let found: Vec<_> = faults(&text).into_iter().map(|fault| fault.line).collect();
    assert_eq!(found, [9, 12]);
}

#[test]
fn approvals_that_nobody_can_give_are_faults() {
    let procedure = "[[procedure]]\nname = 'p'\nkind = 'api-stop'\nservices = ['api']\n";
    let alice = "[[approver]]\nname = 'a'\npublic_key = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'\n";
    // The default of two.
    assert_only(
        &small_and(procedure),
        8,
        "approvals.restore",
        "2 persons must sign, and the file has 0",
        "at most 0",
    );
    let text = small_and(&format!("{procedure}[approvals]\nvalid_minutes = 5\n{alice}"));
    assert_only(
        &text,
        12,
        "approvals.restore",
        "2 persons must sign, and the file has 1",
        "at most 1",
    );
    let text = small_and(&format!("{procedure}{alice}[approvals]\nrestore = 1\nstop = 2\n"));
    assert_only(
        &text,
        17,
        "approvals.stop",
        "2 persons must sign, and the file has 1",
        "at most 1",
    );
    assert!(
        OpsConfig::parse(&small_and(&format!(
            "{procedure}{alice}[approvals]\nrestore = 1\n"
        )))
        .is_ok()
    );
}

#[test]
fn the_two_database_roles_need_two_variables() {
    let text = "[database]\nurl_env = 'A'\naudit_url_env = 'A'\n";
    assert_only(text, 3, "database.audit_url_env", "same variable", "of its own");
}

#[test]
fn the_sixty_fourth_switch_is_one_too_many() {
    let switches = |count: usize| -> String {
        (1..=count)
            .map(|n| format!("[[switch]]\nname = 's{n}'\n"))
            .collect()
    };
    assert!(OpsConfig::parse(&switches(63)).is_ok());
    assert_only(
        &switches(65),
        127,
        "switch[64]",
        "there are 65 switches, 63 is the most",
        "remove",
    );
}

#[test]
fn the_two_credentials_of_a_vendor_need_two_variables() {
    for (table, line) in [
        ("[gcp]\nproject = 'p'\n", 3),
        ("[railway]\nproject = 'p'\nenvironment = 'e'\n", 4),
        ("[vercel]\n", 2),
    ] {
        let name = table.trim_start_matches('[').split(']').next().unwrap();
        let text = format!("{table}emergency_token_env = 'T'\ntoken_env = 'T'\n");
        assert_only(
            &text,
            line,
            &format!("{name}.emergency_token_env"),
            "same variable as token_env",
            "of its own",
        );
    }
}

#[test]
fn an_uncovered_service_needs_a_target_a_reason_and_a_day() {
    let uncovered = |target: &str, reason: &str, until: &str| {
        format!("[[uncovered]]\ntarget = '{target}'\nreason = '{reason}'\nuntil = '{until}'\n")
    };
    let right = uncovered("cloud-run:p/r/s", "a batch", "2027-03-31");
    let config = OpsConfig::parse(&right).unwrap();
    let ends = config.uncovered[0].ends();
    assert_eq!(ends.to_jst(), "2027-03-31 23:59:59");
    for (text, line, key, problem) in [
        (
            uncovered("api", "a batch", "2027-03-31"),
            2,
            "target",
            "not a target",
        ),
        (uncovered("x:y", "", "2027-03-31"), 3, "reason", "is empty"),
        (uncovered("x:y", "r", "2027-02-30"), 4, "until", "not a day"),
        (uncovered("x:y", "r", "tomorrow"), 4, "until", "not a day"),
        (uncovered("x:y", "r", "2027-3-31T"), 4, "until", "not a day"),
    ] {
        let fault = only_fault(&text);
        assert_eq!(
            (fault.line, fault.key),
            (line, format!("uncovered[1].{key}")),
            "{text}"
        );
        assert!(fault.problem.contains(problem), "{}", fault.problem);
    }
    assert_only(
        &format!("{right}{right}"),
        6,
        "uncovered[2].target",
        "is taken",
        "its own",
    );
    let text = "[gcp]\nproject = 'p'\ninventory_regions = ['../x']\n";
    assert_only(text, 3, "gcp.inventory_regions", "not an id", "letters");
}

#[test]
fn a_closing_value_without_a_variable_and_a_grace_without_staleness_are_named() {
    let text = "[[switch]]\nname = \"a\"\nenv_stops = \"no\"\ngrace_seconds = 5\n";
    let faults = faults(text);
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["switch[1].env_stops", "switch[1].grace_seconds"]);
    assert!(faults[0].remedy.contains("env = ") && faults[1].remedy.contains("on_stale"));
}
