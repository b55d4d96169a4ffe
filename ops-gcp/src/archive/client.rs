use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::ports::{ArchiveName, ArchiveUpload};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::object::{Object, ObjectPatch, ObjectSeed};
use super::{DELETE, HOLD, PROVIDER, UPLOAD};
use crate::auth::TokenSource;
use crate::error::from_response;

/// The calls of the JSON API that an archive needs.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) transport: Arc<dyn HttpTransport>,
    pub(super) token: Arc<dyn TokenSource>,
    /// Without a slash at the end.
    pub(super) base_url: String,
    pub(super) bucket: String,
}

/// What the vendor says about an upload.
#[derive(Debug)]
pub(super) enum Progress {
    /// So many bytes are stored, and more are expected.
    Stands(u64),
    Whole(Box<Object>),
    /// There is no such upload any more.
    Gone,
}

impl Client {
    /// What is stored under a name.
    pub(super) async fn object(&self, name: &ArchiveName, doing: &'static str) -> Result<Option<Object>> {
        let response = self
            .ask(HttpRequest::new(Method::Get, self.object_url(name)))
            .await?;
        match response.status() {
            404 => Ok(None),
            _ => self.read_object(&response, name, doing).map(Some),
        }
    }

    /// Begins an upload. The vendor looks at the condition when it ends.
    pub(super) async fn start(&self, upload: &ArchiveUpload, lock: bool) -> Result<SecretString> {
        let url = format!(
            "{}/upload/storage/v1/b/{}/o?uploadType=resumable&name={}&ifGenerationMatch=0",
            self.base_url,
            self.bucket,
            escaped(&upload.name)
        );
        let request = HttpRequest::new(Method::Post, url)
            .with_json(&ObjectSeed::new(upload, lock))?
            .with_header("x-upload-content-type", "application/octet-stream".to_owned());
        let response = self.ask(request).await?;
        if !response.is_success() {
            let error = self.failure(&response, UPLOAD, &upload.name);
            return Err(match (error.kind(), upload.hold.retained_until) {
                (ErrorKind::InvalidInput, Some(_)) => error.context(
                    "remedy",
                    "a retention time needs a bucket that was made with object retention",
                ),
                (ErrorKind::NotFound, _) => error.context("remedy", "make the bucket: it is not made here"),
                _ => error,
            });
        }
        // It is sent evidence without a credential of ours: only to the address that was asked.
        let at = format!("{}/upload/storage/v1/b/{}/o?", self.base_url, self.bucket);
        match response.header("location") {
            Some(uri) if uri.starts_with(&at) => Ok(SecretString::from(uri)),
            _ => Err(self.odd(
                UPLOAD,
                &upload.name,
                "names no upload at the address that was asked",
            )),
        }
    }

    /// Sends bytes of an upload, or none to ask where it stands.
    pub(super) async fn send(
        &self,
        uri: &SecretString,
        range: &str,
        body: Bytes,
        upload: &ArchiveUpload,
    ) -> Result<Progress> {
        let mut request = HttpRequest::new(Method::Put, uri.expose_secret())
            .with_header("content-range", range.to_owned())
            .with_timeout(CHUNK_TIMEOUT);
        if body.is_empty() {
            // Some clients leave it out where there is no body, and the vendor answers 411.
            request = request.with_header("content-length", "0".to_owned());
        }
        let response = self.transport.send(request.with_body(body)).await?;
        match response.status() {
            308 => match response.header("range") {
                // Nothing is stored: not everything.
                None => Ok(Progress::Stands(0)),
                Some(range) => range
                    .strip_prefix("bytes=0-")
                    .and_then(|last| last.parse::<u64>().ok())
                    .and_then(|last| last.checked_add(1))
                    .map(Progress::Stands)
                    .ok_or_else(|| self.odd(UPLOAD, &upload.name, "has a range that cannot be read")),
            },
            404 | 410 | CANCELLED => Ok(Progress::Gone),
            _ => self
                .read_object(&response, &upload.name, UPLOAD)
                .map(|object| Progress::Whole(Box::new(object))),
        }
    }

    /// Throws an upload away. What fails here is forgotten by the vendor after a week.
    pub(super) async fn cancel(&self, uri: &SecretString) {
        let request = HttpRequest::new(Method::Delete, uri.expose_secret())
            .with_header("content-length", "0".to_owned());
        let _ = self.transport.send(request).await;
    }

    /// At most `most` bytes from `offset` on.
    pub(super) async fn read(&self, name: &ArchiveName, offset: u64, most: u32) -> Result<Vec<u8>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let last = offset.saturating_add(u64::from(most) - 1);
        let request = HttpRequest::new(Method::Get, format!("{}?alt=media", self.object_url(name)))
            .with_header("range", format!("bytes={offset}-{last}"))
            .with_timeout(CHUNK_TIMEOUT);
        let response = self.ask(request).await?;
        let begins = format!("bytes {offset}-");
        match response.status() {
            416 => Ok(Vec::new()),
            206 if response.body().len() as u64 <= u64::from(most)
                && response
                    .header("content-range")
                    .is_some_and(|range| range.starts_with(&begins)) =>
            {
                Ok(response.body().to_vec())
            }
            // All of it, whatever was asked for: of an empty object too.
            200 if offset == 0 && response.body().len() as u64 <= u64::from(most) => {
                Ok(response.body().to_vec())
            }
            200..=299 => Err(self.odd(READ, name, "has other bytes than were asked for")),
            _ => Err(self.failure(&response, READ, name)),
        }
    }

    /// Changes an object that is still the one that was read.
    pub(super) async fn patch(
        &self,
        name: &ArchiveName,
        object: &Object,
        patch: &ObjectPatch,
        unlocked_to_locked: bool,
    ) -> Result<Object> {
        let mut url = format!(
            "{}?{}",
            self.object_url(name),
            self.unchanged(object, HOLD, name)?
        );
        if unlocked_to_locked {
            url.push_str("&overrideUnlockedRetention=true");
        }
        let request = HttpRequest::new(Method::Patch, url).with_json(patch)?;
        let response = self.ask(request).await?;
        self.read_object(&response, name, HOLD)
    }

    /// Deletes an object that is still the one that was read; one that is not there is deleted.
    pub(super) async fn delete(&self, name: &ArchiveName, object: &Object) -> Result<()> {
        let url = format!(
            "{}?{}",
            self.object_url(name),
            self.unchanged(object, DELETE, name)?
        );
        let response = self.ask(HttpRequest::new(Method::Delete, url)).await?;
        match response.is_success() || response.status() == 404 {
            true => Ok(()),
            false => Err(self.failure(&response, DELETE, name)),
        }
    }

    /// Which of `permissions` the credential has on the bucket.
    pub(super) async fn granted(&self, permissions: &[&str]) -> Result<Vec<String>> {
        let query: Vec<_> = permissions
            .iter()
            .map(|permission| format!("permissions={permission}"))
            .collect();
        let url = format!(
            "{}/storage/v1/b/{}/iam/testPermissions?{}",
            self.base_url,
            self.bucket,
            query.join("&")
        );
        let response = self.ask(HttpRequest::new(Method::Get, url)).await?;
        if !response.is_success() {
            let error = from_response(&response, "test permissions", PROVIDER);
            return Err(error.context("bucket", self.bucket.clone()));
        }
        Ok(response.json::<Granted>()?.permissions)
    }

    pub(super) fn name_in(&self, error: Error, name: &ArchiveName) -> Error {
        error
            .context("bucket", self.bucket.clone())
            .context("object", name.as_str())
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse> {
        let request = request.with_bearer(&self.token.token().await?);
        self.transport.send(request).await
    }

    fn object_url(&self, name: &ArchiveName) -> String {
        format!(
            "{}/storage/v1/b/{}/o/{}",
            self.base_url,
            self.bucket,
            escaped(name)
        )
    }

    /// Generation and metageneration as conditions.
    fn unchanged(&self, object: &Object, doing: &'static str, name: &ArchiveName) -> Result<String> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (generation, metageneration) = (&object.generation, &object.metageneration);
        if !is_number(generation) || !is_number(metageneration) {
            return Err(self.odd(doing, name, "has no generation"));
        }
        Ok(format!(
            "ifGenerationMatch={generation}&ifMetagenerationMatch={metageneration}"
        ))
    }

    fn read_object(
        &self,
        response: &HttpResponse,
        name: &ArchiveName,
        doing: &'static str,
    ) -> Result<Object> {
        if !response.is_success() {
            return Err(self.failure(response, doing, name));
        }
        let object: Object = response.json().map_err(|error| self.name_in(error, name))?;
        match object.bucket == self.bucket && object.name == name.as_str() {
            true => Ok(object),
            false => Err(self.odd(doing, name, "is about another object")),
        }
    }

    fn failure(&self, response: &HttpResponse, doing: &'static str, name: &ArchiveName) -> Error {
        self.name_in(from_response(response, doing, PROVIDER), name)
    }

    fn odd(&self, doing: &'static str, name: &ArchiveName, what: &'static str) -> Error {
        self.name_in(
            Error::new(ErrorKind::Unexpected, doing)
                .provider(PROVIDER)
                .context("answer", what),
            name,
        )
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Granted {
    /// Absent when nothing is granted.
    permissions: Vec<String>,
}

/// In a path the slash must be escaped; the other characters that a name may have need it nowhere.
fn escaped(name: &ArchiveName) -> String {
    name.as_str().replace('/', "%2F")
}

const READ: &str = "read archive";
/// For up to 4 MiB over a slow line.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(120);
/// Unverified: what an upload that was thrown away is answered with.
const CANCELLED: u16 = 499;
