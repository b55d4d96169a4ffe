use std::fs;
use std::path::Path;
use std::sync::Arc;

use ops_core::config::{ConfigFaults, OpsConfig};
use ops_core::masking::{BuiltinMasker, MaskingKeys};
use ops_core::model::{Destination, MaskingPolicy, PiiType, Treatment};
use secrecy::SecretString;
use serde::de::IgnoredAny;

use crate::cli::{Global, MaskArgs};
use crate::exit::{Exit, Failure};
use crate::input::{self, Input, Line, Lines, Written};
use crate::print::Printer;

/// Masks standard input to standard output.
pub(crate) fn run(global: &Global, printer: &Printer, args: &MaskArgs) -> Result<Exit, Failure> {
    let masker = masker(global, printer, args)?;
    let input = Input::stdin();
    let mut stream = masker.stream().with_workers(input::workers());
    let mut check = args.json_lines.then(Check::default);
    let mut batch = Vec::new();
    loop {
        let more = input.take(&mut batch)?;
        let mut out = String::new();
        stream.push(&batch, &mut out);
        if let Some(check) = &mut check {
            check.push(&batch, printer);
        }
        batch.clear();
        if !more {
            stream.finish(&mut out);
        }
        if input::write(&out)? == Written::Nobody {
            return Ok(Exit::Done);
        }
        if !more {
            let wrong = check.map_or(0, |check| check.finish(printer));
            return Ok(if wrong == 0 { Exit::Done } else { Exit::Usage });
        }
    }
}

fn masker(global: &Global, printer: &Printer, args: &MaskArgs) -> Result<BuiltinMasker, Failure> {
    let policy = policy(&global.config, printer)?;
    let to = Destination::from(args.destination);
    let masker = BuiltinMasker::new().with_policy(policy).with_destination(to);
    let Some(file) = &args.key_file else {
        let needs_key = |kind| {
            matches!(
                policy.treatment(kind, to),
                Treatment::Encrypt | Treatment::Pseudonym
            )
        };
        if PiiType::ALL.into_iter().any(needs_key) {
            printer.error(&printer.warn(&printer.pick(
                "⚠ --key-file がないため、暗号化・仮名化する値は削除します",
                "⚠ no --key-file: values that would be encrypted, or given a pseudonym, are dropped",
            )));
        }
        return Ok(masker);
    };
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::usage(
            format!("cannot read the key file {}: {}", file.display(), error.kind()),
            "name a readable file with --key-file",
        )
    })?;
    Ok(masker.with_keys(Arc::new(MaskingKeys::parse(&SecretString::from(text))?)))
}

/// That of the configuration, if there is one: without `--config`, a missing `ops.toml` is none.
fn policy(config: &Path, printer: &Printer) -> Result<MaskingPolicy, Failure> {
    if config == Path::new("ops.toml") && !config.exists() {
        return Ok(MaskingPolicy::default());
    }
    let config = OpsConfig::load(config).map_err(|error| match ConfigFaults::of(&error) {
        Some(faults) => Failure::Config {
            file: config.display().to_string(),
            faults: faults.clone(),
        },
        None => Failure::Failed(error),
    })?;
    printer.prefer(config.lang);
    Ok(config.masking)
}

/// Looks whether each line is JSON. It is masked all the same.
#[derive(Default)]
struct Check {
    lines: Lines,
    wrong: u64,
}

impl Check {
    fn push(&mut self, bytes: &[u8], printer: &Printer) {
        for line in self.lines.push(bytes) {
            self.check(&line, printer);
        }
    }

    fn finish(mut self, printer: &Printer) -> u64 {
        if let Some(line) = self.lines.finish() {
            self.check(&line, printer);
        }
        self.wrong
    }

    fn check(&mut self, line: &Line, printer: &Printer) {
        let what = match &line.text {
            None => "is longer than 16 MiB, and was not checked",
            Some(text) if serde_json::from_slice::<IgnoredAny>(text).is_err() => "is no JSON",
            Some(_) => return,
        };
        self.wrong += 1;
        let number = line.number;
        printer.error(&printer.pick(
            &format!("opsctl: {number} 行目: {what} — テキストとして処理しました。JSON でない入力には --json-lines を付けないでください"),
            &format!("opsctl: line {number}: {what} — it was masked as text; leave out --json-lines for what is not JSON"),
        ));
    }
}
