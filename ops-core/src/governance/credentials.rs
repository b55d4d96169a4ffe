use secrecy::{ExposeSecret, SecretString};

use crate::messages::{need_another_credential, need_credential_set, need_emergency_credential};
use crate::model::Check;

/// The variables that hold the two credentials of a vendor, and what is in them.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made to be written out")]
pub struct Credential<'a> {
    /// The vendor, as people call it.
    pub platform: &'a str,
    /// The variable with the everyday credential.
    pub everyday_env: &'a str,
    /// What is in it.
    pub everyday: Option<&'a SecretString>,
    /// The variable with the credential of the button, if the configuration names one.
    pub emergency_env: Option<&'a str>,
    /// What is in it.
    pub emergency: Option<&'a SecretString>,
}

/// Whether the button has a credential of its own: set, and not the everyday one. The vendor is not asked.
pub fn check_credential(credential: &Credential<'_>) -> Vec<Check> {
    let Credential {
        platform,
        everyday_env,
        everyday,
        emergency_env,
        emergency,
    } = credential;
    let mut checks = Vec::new();
    checks.push(match everyday {
        Some(_) => need_credential_set(everyday_env).ready(),
        None => need_credential_set(everyday_env).missing("is not set"),
    });
    let Some(variable) = emergency_env else {
        checks.push(
            need_emergency_credential(platform, everyday_env)
                .missing("no emergency_token_env is configured: the button uses the everyday credential"),
        );
        return checks;
    };
    let Some(emergency) = emergency else {
        checks.push(
            need_emergency_credential(platform, variable)
                .missing("is not set: the button would use the everyday credential"),
        );
        return checks;
    };
    checks.push(need_emergency_credential(platform, variable).ready());
    let same = everyday.is_some_and(|everyday| everyday.expose_secret() == emergency.expose_secret());
    let need = need_another_credential(variable, everyday_env);
    checks.push(match same {
        true => need.missing("both variables hold the same credential"),
        false => need.ready(),
    });
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CheckState::{Missing, Ready};

    fn states(everyday: Option<&str>, named: bool, emergency: Option<&str>) -> Vec<(String, bool)> {
        let (everyday, emergency) = (
            everyday.map(SecretString::from),
            emergency.map(SecretString::from),
        );
        let checks = check_credential(&Credential {
            platform: "Cloud Run",
            everyday_env: "EVERYDAY",
            everyday: everyday.as_ref(),
            emergency_env: named.then_some("EMERGENCY"),
            emergency: emergency.as_ref(),
        });
        assert!(!format!("{checks:?}").contains("s3cret"));
        checks
            .into_iter()
            .map(|check| {
                assert!(matches!(check.state, Ready | Missing));
                (check.name, check.state == Ready)
            })
            .collect()
    }

    fn found(name: &str, ready: bool) -> (String, bool) {
        (name.to_owned(), ready)
    }

    #[test]
    fn two_different_credentials_are_ready() {
        assert_eq!(
            states(Some("s3cret-a"), true, Some("s3cret-b")),
            [
                found("credential-set", true),
                found("emergency-credential", true),
                found("emergency-credential-differs", true)
            ]
        );
    }

    #[test]
    fn each_way_of_not_having_a_credential_of_its_own_is_named() {
        assert_eq!(
            states(Some("s3cret"), true, Some("s3cret"))[2],
            found("emergency-credential-differs", false)
        );
        assert_eq!(
            states(Some("s3cret"), true, None)[1],
            found("emergency-credential", false)
        );
        assert_eq!(
            states(Some("s3cret"), false, None)[1],
            found("emergency-credential", false)
        );
        assert_eq!(
            states(None, true, Some("s3cret"))[0],
            found("credential-set", false)
        );
    }
}
