use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::guard::{DistributedLimiter, SharedLimitOptions};
use ops_core::model::{EndpointClass, LimitKey, LimitRequest, LimitTable, RunId, Timestamp};
use ops_core::ports::{Clock, LimitStore};
use ops_railway::redis::{RedisLimits, RedisLimitsBuilder};
use secrecy::SecretString;

/// A space that no other test uses.
pub(crate) fn space() -> String {
    RunId::generate(Timestamp::UNIX_EPOCH).as_str()[4..]
        .chars()
        .filter(|c| *c != '-')
        .take(32)
        .collect()
}

pub(crate) fn builder(url: &str) -> RedisLimitsBuilder {
    RedisLimits::builder()
        .with_url(SecretString::from(url))
        .with_space(space())
        .with_clock(Arc::new(SystemClock::new()))
}

pub(crate) fn store(url: &str) -> Arc<RedisLimits> {
    Arc::new(builder(url).build().unwrap())
}

/// An instance. The time limit is one that a busy machine keeps.
pub(crate) fn instance(store: &Arc<RedisLimits>, options: SharedLimitOptions) -> DistributedLimiter {
    instance_of(store, LimitTable::preset(), options)
}

pub(crate) fn instance_of(
    store: &Arc<RedisLimits>,
    table: LimitTable,
    options: SharedLimitOptions,
) -> DistributedLimiter {
    let store = Arc::clone(store) as Arc<dyn LimitStore>;
    let secret = SecretString::from("sixteen characters");
    let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
    DistributedLimiter::new(store, table, &secret, options, clock).unwrap()
}

pub(crate) fn patient() -> SharedLimitOptions {
    SharedLimitOptions::default().with_timeout(Duration::from_secs(2))
}

pub(crate) fn llm(user: &str) -> LimitRequest<'_> {
    LimitRequest::new(EndpointClass::Llm, LimitKey::user("org", user))
}

/// Sends a command as a person would type it, and gives what comes back at once.
pub(crate) fn say(port: u16, command: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut answer = vec![0; 65_536];
    let length = connection.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Asks until the store answers again.
pub(crate) async fn until_shared(limiter: &DistributedLimiter, user: &str) {
    for _ in 0..500 {
        if !limiter.check(&llm(user).with_cost(0)).await.is_degraded() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the store must be used again: {limiter:?}");
}
