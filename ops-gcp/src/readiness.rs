//! What an answer about permissions says.

use ops_core::error::{ErrorKind, Result};
use ops_core::messages::need_valid_credential;
use ops_core::model::{Check, Need};

/// Whether the vendor takes the credential, by its answer to which permissions are granted.
pub(crate) fn credential(subject: &str, granted: &Result<Vec<String>>) -> Check {
    let need = need_valid_credential(subject);
    match granted {
        Ok(_) => need.ready(),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            need.missing("the vendor does not accept it, or it has expired")
        }
        Err(error) => need.failed(error),
    }
}

/// Whether `permission`, which `need` is about, is among them.
pub(crate) fn permission(need: Need, permission: &str, granted: &Result<Vec<String>>) -> Check {
    match granted {
        Ok(granted) if granted.iter().any(|found| found == permission) => need.ready(),
        Ok(_) => need.missing("is not granted"),
        Err(error) => need.failed(error),
    }
}
