//! A support request passes through a service: what it logs, what it sends to a language model, what it stores.
//!
//! Run it: `cargo run --example masking`. It needs no configuration, no server and no credentials.

use std::io::Write;
use std::sync::Arc;

use ops_core::masking::{BuiltinMasker, Confidential, MaskingKeys, Pii, Sealed, field};
use ops_core::model::{Destination, MaskingPolicy, PiiType, Treatment};
use ops_core::ports::PiiMasker;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// A request as it comes in. Whatever is done with it, `{:?}`, a log, a serialiser: it shows itself masked.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    #[serde(with = "field::person")]
    name: Pii<String>,
    #[serde(with = "field::email")]
    mail: Pii<String>,
    salary: Confidential<u32>,
    text: String,
}

/// What is kept of it.
#[derive(Debug, Serialize)]
struct Record {
    mail: Sealed,
    text: String,
}

fn main() -> anyhow::Result<()> {
    let request: Request = serde_json::from_str(
        r#"{"name": "田中 太郎", "mail": "tanaka@example.com", "salary": 5000000,
            "text": "氏名: 田中太郎。090-9999-1234 に連絡してください"}"#,
    )?;
    println!("a value     {request:?}");

    // A log line, whoever wrote it. Clean text comes back borrowed: nothing is copied.
    let log = BuiltinMasker::new();
    println!(
        "a log line  {}",
        log.mask("retry 3: POST /users {\"mail\":\"tanaka@example.com\",\"try\":3}")
    );

    // A prompt leaves the company. The model can still tell one person from another: the same value has the same pseudonym.
    let keys = Arc::new(MaskingKeys::parse(&SecretString::from(format!(
        "2026-01 {}",
        "5e".repeat(32)
    )))?);
    let policy = MaskingPolicy::new().with_type(Destination::External, PiiType::Person, Treatment::Pseudonym);
    let external = BuiltinMasker::new()
        .with_policy(policy)
        .with_destination(Destination::External)
        .with_keys(Arc::clone(&keys));
    println!("a prompt    {}", external.mask(&request.text));

    // What is stored is encrypted; who may see it decrypts it.
    let storage = BuiltinMasker::new()
        .with_destination(Destination::Storage)
        .with_keys(Arc::clone(&keys));
    let record = Record {
        mail: request.mail.seal(&keys)?,
        text: storage.mask(&request.text).into_owned(),
    };
    println!("a record    {}", serde_json::to_string(&record)?);
    println!("decrypted   {}", keys.open(&record.mail)?.expose_secret());

    // A stream, cut anywhere.
    let mut out = log.writer(std::io::stdout());
    for chunk in ["a stream    tanaka@exa", "mple.com, 090-99", "99-1234\n"] {
        out.write_all(chunk.as_bytes())?;
    }
    out.finish()?;
    Ok(())
}
