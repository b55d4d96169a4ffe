//! Simulated Cloud Storage, as far as an archive needs it.
//!
//! What it keeps: an upload ends when its last byte is there, by whatever request; nothing stored is a 308 without `Range`; a question with the total size of
//! an upload that has all its bytes ends it; the condition on the generation counts when the upload ends, not when it begins; chunks are multiples of 256 KiB;
//! a length must be said; sessions need no credential and end after a week; an object under a hold or a retention is not deleted; a retention needs a bucket
//! that has it, is not moved nearer, and is locked only with an override; an event-based hold excludes a retention; an unknown field or parameter is
//! refused; an object that is not there is 403 to whoever may not list.

mod refusal;
mod route;
mod stored;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::http::HttpResponse;
use ops_core::model::Timestamp;
use ops_core::ports::Clock;
use ops_core::testkit::{Fault, Faults, Handler, Reply, SimRequest};
use serde_json::{Map, Value, json};

use self::refusal::Refusal;
use self::route::Route;
use self::stored::{BucketRules, Stored};
use self::upload::{ContentRange, Upload};
use super::readiness::REQUIRED;

/// A simulated Cloud Storage with some buckets.
#[derive(Debug)]
pub struct StorageSim {
    clock: Arc<dyn Clock>,
    faults: Faults,
    others: Option<Arc<dyn Handler>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    uploads: BTreeMap<String, Upload>,
    granted: BTreeSet<String>,
    requests: Vec<(String, String)>,
    made: u64,
    /// Of a chunk, no more than so many bytes are stored.
    most: Option<usize>,
    /// The checksum in the metadata is not looked at, and a byte is changed on the way.
    careless: bool,
    damage_next: bool,
}

#[derive(Debug, Default)]
struct Bucket {
    rules: BucketRules,
    objects: BTreeMap<String, Stored>,
}

impl StorageSim {
    /// Without a bucket.
    pub fn new(clock: Arc<dyn Clock>, faults: Faults) -> Arc<Self> {
        Self::made(clock, faults, None)
    }

    /// The same, at one address with other simulated services: what is not about storage is handed on to `others`.
    pub fn beside(others: Arc<dyn Handler>, clock: Arc<dyn Clock>, faults: Faults) -> Arc<Self> {
        Self::made(clock, faults, Some(others))
    }

    fn made(clock: Arc<dyn Clock>, faults: Faults, others: Option<Arc<dyn Handler>>) -> Arc<Self> {
        let all = REQUIRED.iter().chain(&[DELETE, SET_RETENTION]);
        let state = State {
            granted: all.map(|permission| (*permission).to_owned()).collect(),
            ..State::default()
        };
        Arc::new(Self {
            clock,
            faults,
            others,
            state: Mutex::new(state),
        })
    }

    /// Adds a bucket, with or without object retention.
    pub fn add_bucket(&self, name: &str, object_retention: bool) {
        let bucket = Bucket {
            rules: BucketRules {
                object_retention,
                keep_seconds: None,
            },
            ..Bucket::default()
        };
        self.lock().buckets.insert(name.to_owned(), bucket);
    }

    /// Removes a bucket with all that is in it.
    pub fn remove_bucket(&self, name: &str) {
        self.lock().buckets.remove(name);
    }

    /// From now on objects of the bucket may have a retention of their own, or may not.
    pub fn set_object_retention(&self, bucket: &str, enabled: bool) {
        if let Some(bucket) = self.lock().buckets.get_mut(bucket) {
            bucket.rules.object_retention = enabled;
        }
    }

    /// The mode of the retention of an object.
    pub fn retention_mode(&self, bucket: &str, name: &str) -> Option<String> {
        let state = self.lock();
        let object = state.buckets.get(bucket)?.objects.get(name)?;
        object.retention.as_ref().map(|(mode, _)| mode.clone())
    }

    /// From now on the bucket keeps each object so long.
    pub fn keep_all(&self, bucket: &str, seconds: u32) {
        if let Some(bucket) = self.lock().buckets.get_mut(bucket) {
            bucket.rules.keep_seconds = Some(seconds);
        }
    }

    /// The bytes of an object.
    pub fn bytes(&self, bucket: &str, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        let object = state.buckets.get(bucket)?.objects.get(name)?;
        Some(object.bytes.clone())
    }

    /// Changes the first byte of an object behind everybody's back.
    pub fn damage(&self, bucket: &str, name: &str) {
        let mut state = self.lock();
        let object = state
            .buckets
            .get_mut(bucket)
            .and_then(|bucket| bucket.objects.get_mut(name));
        if let Some(byte) = object.and_then(|object| object.bytes.first_mut()) {
            *byte ^= 1;
        }
    }

    /// Somebody sets an event-based hold on an object (`true`) or lifts it.
    pub fn set_event_based_hold(&self, bucket: &str, name: &str, held: bool) {
        let mut state = self.lock();
        let object = state
            .buckets
            .get_mut(bucket)
            .and_then(|bucket| bucket.objects.get_mut(name));
        if let Some(object) = object {
            object.event_based_hold = held;
            object.metageneration += 1;
        }
    }

    /// From now on, of what a request brings no more than so many bytes are stored.
    pub fn store_at_most(&self, bytes: Option<usize>) {
        self.lock().most = bytes;
    }

    /// From now on a byte of each upload is changed on the way, and the checksum in its metadata is not looked at.
    pub fn be_careless(&self) {
        self.lock().careless = true;
    }

    /// A byte of the next upload that ends is changed on the way.
    pub fn damage_next_upload(&self) {
        self.lock().damage_next = true;
    }

    /// Every upload that has not ended is forgotten.
    pub fn forget_uploads(&self) {
        self.lock().uploads.clear();
    }

    /// How many uploads have begun and not ended.
    pub fn open_uploads(&self) -> usize {
        let state = self.lock();
        state
            .uploads
            .values()
            .filter(|upload| upload.ended.is_none())
            .count()
    }

    /// From now on no credential has this permission.
    pub fn revoke(&self, permission: &str) {
        self.lock().granted.remove(permission);
    }

    /// Every request about storage so far: method, path.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &SimRequest, route: &Route) -> Result<Reply, Refusal> {
        if let Route::Session { id } = route {
            return self.session(request, id);
        }
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_none_or(str::is_empty) {
            return Err(Refusal::new(401, "required", "Anonymous caller"));
        }
        if let Some((name, _)) = request
            .query
            .iter()
            .find(|(name, _)| !route.known_query().contains(&name.as_str()))
        {
            return Err(Refusal::invalid(format!("unknown query parameter \"{name}\"")));
        }
        let mut state = self.lock();
        let state = &mut *state;
        let may = |permission: &str| match state.granted.contains(permission) {
            true => Ok(()),
            false => Err(Refusal::forbidden(permission)),
        };
        let now = self.clock.now();
        match route {
            Route::Session { .. } => Err(Refusal::not_found()),
            Route::Permissions { bucket } => {
                if !state.buckets.contains_key(bucket) {
                    return Err(Refusal::not_found());
                }
                let asked = request.query.iter().map(|(_, value)| value);
                let granted: Vec<_> = asked.filter(|asked| state.granted.contains(*asked)).collect();
                let mut answer = json!({"kind": "storage#testIamPermissionsResponse"});
                if !granted.is_empty() {
                    answer["permissions"] = json!(granted);
                }
                Ok(Reply::json(200, &answer))
            }
            Route::Begin { bucket } => {
                may("storage.objects.create")?;
                let Some(known) = state.buckets.get(bucket) else {
                    return Err(Refusal::not_found());
                };
                let seed = object(&request.body)?;
                if seed.contains_key("retention") {
                    may(SET_RETENTION)?;
                }
                // All that can be refused at once is.
                Stored::new(&seed, Vec::new(), 1, now, known.rules)?;
                let named = request.query("name").or_else(|| seed.get("name")?.as_str());
                let Some(name) = named.filter(|name| !name.is_empty()) else {
                    return Err(Refusal::new(400, "required", "Required: name"));
                };
                if request.query("uploadType") != Some("resumable") {
                    return Err(Refusal::new(
                        501,
                        "notImplemented",
                        "the simulation has resumable uploads only",
                    ));
                }
                let host = request.header("host").unwrap_or_default();
                state.made += 1;
                let id = format!("session-{}", state.made);
                let escaped = name.replace('/', "%2F");
                let location = format!(
                    "http://{host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={escaped}&ifGenerationMatch=0&upload_id={id}"
                );
                state.uploads.insert(
                    id,
                    Upload {
                        bucket: bucket.clone(),
                        name: name.to_owned(),
                        only_new: request.query("ifGenerationMatch") == Some("0"),
                        begun: now,
                        bytes: Vec::new(),
                        total: None,
                        ended: None,
                        refused: None,
                        seed,
                    },
                );
                let headers = vec![("location".to_owned(), location)];
                Ok(Reply::Answer(HttpResponse::new(200, headers, "")))
            }
            Route::Object { bucket, name } => {
                let lists = state.granted.contains("storage.objects.list");
                let granted = state.granted.clone();
                let may = |permission: &str| match granted.contains(permission) {
                    true => Ok(()),
                    false => Err(Refusal::forbidden(permission)),
                };
                let known = state.buckets.get_mut(bucket).ok_or_else(Refusal::not_found)?;
                let rules = known.rules;
                let Some(found) = known.objects.get_mut(name) else {
                    return Err(match lists {
                        true => Refusal::not_found(),
                        false => Refusal::forbidden("storage.objects.list"),
                    });
                };
                match request.method.as_str() {
                    "GET" => {
                        may("storage.objects.get")?;
                        match request.query("alt") {
                            Some("media") => media(found, request.header("range")),
                            _ => Ok(Reply::json(200, &found.json(bucket, name, rules))),
                        }
                    }
                    "PATCH" => {
                        may("storage.objects.update")?;
                        unchanged(request, found)?;
                        let body = object(&request.body)?;
                        if body.contains_key("retention") {
                            may(SET_RETENTION)?;
                        }
                        let overridden = request.query("overrideUnlockedRetention") == Some("true");
                        found.change(&body, overridden, now, rules)?;
                        Ok(Reply::json(200, &found.json(bucket, name, rules)))
                    }
                    _ => {
                        may(DELETE)?;
                        unchanged(request, found)?;
                        found.keeps(now, rules)?;
                        known.objects.remove(name);
                        Ok(Reply::Answer(HttpResponse::new(204, Vec::new(), "")))
                    }
                }
            }
        }
    }

    /// Whoever has the address needs no credential.
    fn session(&self, request: &SimRequest, id: &str) -> Result<Reply, Refusal> {
        let now = self.clock.now();
        let mut state = self.lock();
        let state = &mut *state;
        let gone = || Refusal::new(404, "notFound", "No such upload");
        let upload = state.uploads.get_mut(id).ok_or_else(gone)?;
        if now.saturating_since(upload.begun) > LIFETIME {
            return Err(Refusal::new(410, "gone", "The upload has expired"));
        }
        if request.header("content-length").is_none() {
            return Err(Refusal::new(411, "required", "Length Required"));
        }
        if request.method == "DELETE" {
            state.uploads.remove(id);
            return Ok(Reply::Answer(HttpResponse::new(499, Vec::new(), "")));
        }
        let bucket = state
            .buckets
            .get_mut(&upload.bucket)
            .ok_or_else(Refusal::not_found)?;
        if let Some(generation) = upload.ended {
            return match bucket.objects.get(&upload.name) {
                Some(stored) if stored.generation == generation => Ok(Reply::json(
                    200,
                    &stored.json(&upload.bucket, &upload.name, bucket.rules),
                )),
                _ => Err(gone()),
            };
        }
        if let Some(refusal) = &upload.refused {
            return Err(refusal.clone());
        }
        let range = request
            .header("content-range")
            .and_then(ContentRange::parse)
            .ok_or_else(|| Refusal::invalid("Content-Range is missing or wrong"))?;
        upload.take(&range, &request.body, state.most)?;
        if !upload.is_whole() {
            let mut headers = Vec::new();
            if let Some(last) = upload.bytes.len().checked_sub(1) {
                headers.push(("range".to_owned(), format!("bytes=0-{last}")));
            }
            return Ok(Reply::Answer(HttpResponse::new(308, headers, "")));
        }
        state.made += 1;
        let (generation, careless) = (state.made, state.careless);
        let damaged = std::mem::take(&mut state.damage_next) || careless;
        if let Some(byte) = upload.bytes.first_mut().filter(|_| damaged) {
            *byte ^= 1;
        }
        let stored = match end(upload, bucket, generation, careless, now) {
            Ok(stored) => stored,
            Err(refusal) => {
                upload.refused = Some(refusal.clone());
                return Err(refusal);
            }
        };
        let answer = stored.json(&upload.bucket, &upload.name, bucket.rules);
        upload.ended = Some(stored.generation);
        bucket.objects.insert(upload.name.clone(), stored);
        Ok(Reply::json(200, &answer))
    }
}

#[async_trait]
impl Handler for StorageSim {
    async fn handle(&self, request: SimRequest) -> Reply {
        let route = match (Route::of(&request), &self.others) {
            (Some(route), _) => route,
            (None, Some(others)) => return others.handle(request).await,
            (None, None) => return Refusal::not_found().reply(),
        };
        self.lock()
            .requests
            .push((request.method.clone(), request.path.clone()));
        let mut lost = false;
        match self.faults.strike(&request.path, request.method != "GET") {
            Some(Fault::Latency(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refused) => return Reply::Hangup,
            Some(Fault::LostAnswer) => lost = true,
            Some(Fault::TooManyRequests) => {
                return Refusal::new(429, "rateLimitExceeded", "The rate of changes exceeds the limit")
                    .reply();
            }
            Some(Fault::Unavailable) => return Refusal::new(503, "backendError", "Backend Error").reply(),
            Some(Fault::Forbidden) => return Refusal::forbidden("storage.objects.any").reply(),
            _ => {}
        }
        let reply = self
            .answer(&request, &route)
            .unwrap_or_else(|refusal| refusal.reply());
        if lost { Reply::Hangup } else { reply }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Refusal::new(400, "parseError", "Parse Error")),
    }
}

/// What an upload becomes that has all its bytes.
fn end(
    upload: &Upload,
    bucket: &Bucket,
    generation: u64,
    careless: bool,
    now: Timestamp,
) -> Result<Stored, Refusal> {
    let known = bucket.objects.get(&upload.name);
    if upload.only_new && known.is_some() {
        return Err(Refusal::condition_not_met());
    }
    if let Some(known) = known {
        known.keeps(now, bucket.rules)?;
    }
    let stored = Stored::new(&upload.seed, upload.bytes.clone(), generation, now, bucket.rules)?;
    let announced = upload.seed.get("crc32c").and_then(Value::as_str);
    if announced.is_some_and(|announced| announced != stored.crc32c()) && !careless {
        return Err(Refusal::invalid(
            "Provided CRC32C does not match the calculated one",
        ));
    }
    Ok(stored)
}

/// The conditions on what is there.
fn unchanged(request: &SimRequest, found: &Stored) -> Result<(), Refusal> {
    let holds = |name: &str, now: u64| request.query(name).is_none_or(|asked| asked == now.to_string());
    match holds("ifGenerationMatch", found.generation) && holds("ifMetagenerationMatch", found.metageneration)
    {
        true => Ok(()),
        false => Err(Refusal::condition_not_met()),
    }
}

fn media(found: &Stored, range: Option<&str>) -> Result<Reply, Refusal> {
    let total = found.bytes.len();
    let asked = range
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
        .and_then(|(first, last)| Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?)));
    let Some((first, last)) = asked else {
        return Ok(Reply::Answer(HttpResponse::new(
            200,
            Vec::new(),
            found.bytes.clone(),
        )));
    };
    if first >= total || last < first {
        let headers = vec![("content-range".to_owned(), format!("bytes */{total}"))];
        return Ok(Reply::Answer(HttpResponse::new(416, headers, "")));
    }
    let last = last.min(total - 1);
    let headers = vec![(
        "content-range".to_owned(),
        format!("bytes {first}-{last}/{total}"),
    )];
    Ok(Reply::Answer(HttpResponse::new(
        206,
        headers,
        found.bytes[first..=last].to_vec(),
    )))
}

const DELETE: &str = "storage.objects.delete";
const SET_RETENTION: &str = "storage.objects.setRetention";
/// Of a resumable upload.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
