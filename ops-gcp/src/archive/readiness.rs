use ops_core::error::ErrorKind;
use ops_core::messages::{need_archive_permission, need_valid_credential};
use ops_core::model::Check;

use super::CloudStorageArchive;

/// What keeping evidence needs on the bucket. Without `storage.objects.list` the vendor answers 403 for an object that is not there.
/// Unverified, each: the names of permissions are in no description of the API.
pub const REQUIRED: &[&str] = &[
    "storage.objects.create",
    "storage.objects.get",
    "storage.objects.list",
    "storage.objects.update",
];

/// For a retention time, besides [`REQUIRED`].
const RETENTION: &str = "storage.objects.setRetention";

impl CloudStorageArchive {
    /// Tells by reading whether the credential may keep evidence in the bucket, and set a retention time. What could not be found out is a check that says so.
    pub async fn examine(&self) -> Vec<Check> {
        let bucket = &self.client.bucket;
        let asked = [REQUIRED, &[RETENTION]].concat();
        let granted = self.client.granted(&asked).await;
        let credential = need_valid_credential("Google Cloud (Cloud Storage)");
        let mut checks = vec![match &granted {
            Ok(_) => credential.ready(),
            Err(error) if error.kind() == ErrorKind::Unauthenticated => {
                credential.missing("the vendor does not accept it, or it has expired")
            }
            Err(error) => credential.failed(error),
        }];
        checks.extend(asked.iter().map(|permission| {
            let need = need_archive_permission(bucket, permission);
            match &granted {
                Ok(granted) if granted.iter().any(|found| found == permission) => need.ready(),
                Ok(_) => need.missing("is not granted"),
                Err(error) => need.failed(error),
            }
        }));
        checks
    }
}
