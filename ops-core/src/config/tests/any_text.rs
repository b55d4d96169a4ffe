use proptest::prelude::*;

use super::*;

/// Lines that a person could write, right and wrong ones.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(
        [
            key::ROOT,
            key::GCP,
            key::RAILWAY,
            key::DATABASE,
            key::SERVICE,
            key::PROCEDURE,
            key::GATE,
            key::HEALTH,
            key::APPROVALS,
            key::APPROVER,
            key::MASKING,
            key::MASKED,
            key::TENANCY,
            key::TENANT_TABLE,
            key::PERSONAL_DATA,
            key::RETENTION,
            key::CALENDAR,
        ]
        .concat(),
    );
    let value = prop_oneof![
        Just("\"a\"".to_owned()),
        Just("true".to_owned()),
        Just("[\"a\", \"b\"]".to_owned()),
        Just("{ name = \"a\" }".to_owned()),
        Just("\"cloud-run\"".to_owned()),
        Just("\"api-stop\"".to_owned()),
        Just("\"drop\"".to_owned()),
        Just("[[\"a\"]]".to_owned()),
        Just("'''".to_owned()),
        "[-+]?[0-9a-fx_.]{0,50}",
        "\\PC{0,12}",
    ];
    prop_oneof![
        4 => (key.clone(), value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => key.clone().prop_map(|key| format!("[{key}]")),
        2 => key.clone().prop_map(|key| format!("[[{key}]]")),
        1 => (key.clone(), key).prop_map(|(first, second)| format!("{first}.{second} = 1")),
        1 => "\\PC{0,20}",
    ]
}

/// What holds whatever the text is.
fn assert_sound(text: &str) {
    match OpsConfig::parse(text) {
        Ok(config) => {
            let written = config.to_toml().unwrap();
            assert_eq!(OpsConfig::parse(&written).as_ref(), Ok(&config), "{written}");
        }
        Err(ConfigFaults { faults }) => {
            assert!(!faults.is_empty());
            assert!(faults.is_sorted_by_key(|fault| fault.line));
            let lines = text.matches('\n').count() + 1;
            for fault in faults {
                assert!((1..=lines).contains(&fault.line), "{fault}");
                assert!(!fault.problem.is_empty() && !fault.remedy.is_empty());
                assert_eq!(fault.to_string().lines().count(), 1, "{fault}");
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        assert_sound(&text);
    }

    #[test]
    fn arbitrary_configurations_never_panic(lines in prop::collection::vec(line(), 0..30)) {
        assert_sound(&lines.join("\n"));
    }

    /// Whatever is done to one byte of a good file, it is read or its faults are told.
    #[test]
    fn damaged_files_never_panic(at in 0..WHOLE.len(), letter in any::<char>()) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        let at = at % text.len();
        text[at] = letter;
        assert_sound(&text.into_iter().collect::<String>());
    }
}
