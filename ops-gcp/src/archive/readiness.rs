use ops_core::messages::need_archive_permission;
use ops_core::model::Check;

use super::CloudStorageArchive;
use crate::readiness;

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
        let mut checks = vec![readiness::credential("Google Cloud (Cloud Storage)", &granted)];
        checks.extend(asked.iter().map(|permission| {
            readiness::permission(need_archive_permission(bucket, permission), permission, &granted)
        }));
        checks
    }
}
