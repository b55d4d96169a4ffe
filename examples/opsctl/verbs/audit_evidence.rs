use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use ops_core::audit::{
    ArchivedFile, Checkpoint, EvidenceExport, EvidenceManifest, EvidenceRequest, EvidenceVerdict,
    EvidenceVerifier, Note, NoteSigner, archive_evidence, check_dump,
};
use ops_core::model::Timestamp;
use ops_core::ports::{ArchiveHold, EvidenceArchive, EvidenceFilter};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::audit::query;
use super::audit_proof::{public_keys, read};
use crate::cli::{ArchiveArgs, PreserveArgs, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::input::{self, Written};
use crate::print::Printer;
use crate::session::Session;

/// What was exported, by its files alone, and what of it is in an archive.
#[derive(Debug)]
pub(super) struct Preserved {
    manifest: EvidenceManifest,
    verdict: EvidenceVerdict,
    to_archive: Option<ToArchive>,
    archived: Vec<ArchivedFile>,
    /// Why it is not in the archive.
    not_archived: Option<String>,
}

/// Where it is to be brought.
#[derive(Debug)]
struct ToArchive {
    archive: Arc<dyn EvidenceArchive>,
    folder: String,
    verifier: EvidenceVerifier,
    hold: ArchiveHold,
}

impl Preserved {
    /// Whether nothing is wrong with the trail, and the evidence is where it was to be brought.
    pub(super) fn complete(&self) -> bool {
        self.verdict.intact() && self.not_archived.is_none()
    }

    /// Brings it to the archive. What does not arrive is said: the export is whole all the same.
    pub(super) async fn bring(&mut self, session: &Session, args: &PreserveArgs) {
        let Some(to) = &self.to_archive else { return };
        let clock = &*session.world.ops.providers().clock;
        match archive_evidence(&*to.archive, &args.out, &to.folder, &to.verifier, &to.hold, clock).await {
            Ok(archived) => self.archived = archived,
            Err(error) => self.not_archived = Some(error.to_string()),
        }
    }

    pub(super) fn document(&self, args: &PreserveArgs) -> Value {
        json!({
            "directory": args.out, "manifest": self.manifest, "intact": self.verdict.intact(), "faults": self.verdict.faults,
            "archived": self.archived, "not_archived": self.not_archived,
            "again": self.not_archived.as_ref().and_then(|_| again(args)),
        })
    }
}

/// Exports, and says what came of it.
pub(crate) async fn preserve(
    session: &Session,
    printer: &Printer,
    args: &PreserveArgs,
    complete: bool,
) -> Result<Exit, Failure> {
    let mut preserved = export(session, args).await?;
    preserved.bring(session, args).await;
    let exit = match preserved.complete() && complete {
        true => Exit::Done,
        false => Exit::Partly,
    };
    if printer.json() {
        let mut document = preserved.document(args);
        document["complete"] = complete.into();
        document["exit_code"] = exit.code().into();
        printer.document(&document);
    } else {
        show_preserved(printer, args, &preserved);
        show_arrival(printer, args, &preserved);
    }
    Ok(exit)
}

/// Exports, and verifies what was written. It is brought nowhere yet.
pub(super) async fn export(session: &Session, args: &PreserveArgs) -> Result<Preserved, Failure> {
    let hold = hold(args.retain_until.as_deref())?;
    // Before anything is exported: a place that cannot be is said at once.
    let archive = match &args.archive {
        Some(place) => Some((session.world.archive(place)?, place.folder(&args.incident)?)),
        None => None,
    };
    let signer = NoteSigner::from_text(&SecretString::from(read(&args.key)?))?;
    let keys = vec![signer.verifier().clone()];
    let world = &session.world;
    let (tenant, clock) = (&world.config.tenant, &world.ops.providers().clock);
    let mut request = EvidenceRequest::new(tenant.clone(), &args.incident, session.actor.clone());
    request.filter = EvidenceFilter::of(&query(&args.filter)?);
    request.allow_empty = args.allow_empty;
    let mut verifier = EvidenceVerifier::new(keys.clone());
    for file in &args.checkpoint {
        let note: Note = read(file)?.parse()?;
        note.verify(&keys)?;
        request.seen.push(note.text().parse::<Checkpoint>()?);
        verifier = verifier.with_seen(&note)?;
    }
    let export = EvidenceExport::new(session.evidence_source().await?, signer, Arc::clone(clock));
    let manifest = session
        .audit_reader()
        .export(&export, &request, &args.out)
        .await?;
    // By the files alone, as whoever gets them will.
    let verdict = verifier.verify(&args.out)?;
    Ok(Preserved {
        manifest,
        verdict,
        to_archive: archive.map(|(archive, folder)| ToArchive {
            archive,
            folder,
            verifier,
            hold,
        }),
        archived: Vec::new(),
        not_archived: None,
    })
}

fn hold(retain_until: Option<&str>) -> Result<ArchiveHold, Failure> {
    let until = retain_until.map(str::parse::<Timestamp>).transpose()?;
    Ok(until.map_or_else(ArchiveHold::held, |until| ArchiveHold::held().until(until)))
}

/// Brings an export to an archive.
pub(crate) async fn archive(
    session: &Session,
    printer: &Printer,
    args: &ArchiveArgs,
) -> Result<Exit, Failure> {
    let hold = hold(args.retain_until.as_deref())?;
    let verifier = EvidenceVerifier::new(public_keys(&args.public_key)?);
    let archive = session.world.archive(&args.to)?;
    let clock = &session.world.ops.providers().clock;
    let folder = args.to.folder(&args.incident)?;
    let verdict = verifier.verify(&args.evidence)?;
    let manifest = verdict.manifest.as_ref();
    if let Some(other) = manifest.filter(|manifest| manifest.incident != args.incident) {
        return Err(Failure::usage(
            format!("{} is evidence of {}", args.evidence.display(), other.incident),
            "name the incident that it was preserved for",
        ));
    }
    let archived = archive_evidence(&*archive, &args.evidence, &folder, &verifier, &hold, &**clock).await?;
    // Evidence of a trail with faults arrives as well as any other.
    let exit = if verdict.intact() {
        Exit::Done
    } else {
        Exit::Partly
    };
    if printer.json() {
        printer.document(&json!({
            "archive": args.to, "archived": archived, "intact": verdict.intact(), "faults": verdict.faults,
            "exit_code": exit.code(),
        }));
    } else {
        show_faults(printer, &verdict);
        show_archived(printer, &archived);
    }
    Ok(exit)
}

pub(super) fn show_preserved(printer: &Printer, args: &PreserveArgs, preserved: &Preserved) {
    let Preserved {
        manifest, verdict, ..
    } = preserved;
    let bytes: u64 = manifest.parts.iter().map(|part| part.bytes).sum();
    printer.line(&printer.pick(
        &format!(
            "{} 件を保全しました（全 {} 件中）: {} · {bytes} バイト",
            manifest.records,
            manifest.size,
            args.out.display()
        ),
        &format!(
            "preserved {} of {} records: {} · {bytes} bytes",
            manifest.records,
            manifest.size,
            args.out.display()
        ),
    ));
    show_faults(printer, verdict);
}

/// Whether it is in the archive.
pub(super) fn show_arrival(printer: &Printer, args: &PreserveArgs, preserved: &Preserved) {
    let Preserved {
        archived,
        not_archived,
        ..
    } = preserved;
    show_archived(printer, archived);
    if let (Some(why), Some(again)) = (not_archived, again(args)) {
        printer.line(&printer.warn(&printer.pick(
            &format!(
                "  ✘ 保管庫に置けませんでした（書き出したものは無事です）: {why}\n    もう一度: {again}"
            ),
            &format!("  ✘ not in the archive (the export itself is whole): {why}\n    again: {again}"),
        )));
    }
}

/// The command that brings what was exported.
fn again(args: &PreserveArgs) -> Option<String> {
    let place = args.archive.as_ref()?;
    let mut words = ["opsctl", "audit", "archive", "--evidence"]
        .map(str::to_owned)
        .to_vec();
    words.extend([args.out.display().to_string(), "--key".to_owned()]);
    words.extend([format!("{}.pub", args.key.display()), "--incident".to_owned()]);
    words.extend([args.incident.clone(), "--to".to_owned(), place.to_string()]);
    if let Some(until) = &args.retain_until {
        words.extend(["--retain-until".to_owned(), until.clone()]);
    }
    Some(
        words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+=,@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn show_archived(printer: &Printer, archived: &[ArchivedFile]) {
    if let [.., last] = archived {
        printer.line(&printer.pick(
            &format!(
                "保管庫に {} ファイルを置き、読み戻して確認しました（{} ほか）",
                archived.len(),
                last.name.as_str()
            ),
            &format!(
                "{} files are in the archive, held, and were read back ({} among them)",
                archived.len(),
                last.name.as_str()
            ),
        ));
    }
}

fn show_faults(printer: &Printer, verdict: &EvidenceVerdict) {
    for fault in &verdict.faults {
        let place = fault
            .sequence
            .map_or_else(String::new, |sequence| format!(" #{sequence}"));
        let file = fault.file.as_deref().unwrap_or_default();
        let kind = serde_json::to_value(fault.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        printer.line(&printer.warn(&format!("  ✘ {kind}{place} {file}: {}", fault.what)));
    }
    if verdict.more_faults > 0 {
        printer.line(&printer.warn(&printer.pick(
            &format!("  ほかに {} 件", verdict.more_faults),
            &format!("  and {} more", verdict.more_faults),
        )));
    }
    for open in &verdict.undecided {
        printer.line(&printer.warn(&format!("  ? {open}")));
    }
}

/// Checks an export by its files and public keys alone.
pub(crate) fn verify(
    printer: &Printer,
    args: &VerifyArgs,
    evidence: &Path,
    public_key: &Path,
) -> Result<Exit, Failure> {
    let mut verifier = EvidenceVerifier::new(public_keys(public_key)?);
    if let Some(checkpoint) = &args.checkpoint {
        verifier = verifier.with_seen(&read(checkpoint)?.parse()?)?;
    }
    let mut lines = String::new();
    let mut written = Ok(Written::Whole);
    let verdict = verifier.verify_each(evidence, |receipt, record| {
        if args.print && matches!(written, Ok(Written::Whole)) {
            lines.push_str(&json!({"sequence": receipt.sequence, "record": record}).to_string());
            lines.push('\n');
            if lines.len() > 64 * 1024 {
                written = input::write(&std::mem::take(&mut lines));
            }
        }
    })?;
    if matches!(written?, Written::Whole) {
        input::write(&lines)?;
    }
    let exit = if !verdict.intact() {
        Exit::Failed
    } else if verdict.undecided.is_empty() {
        Exit::Done
    } else {
        Exit::Unverified
    };
    if printer.json() {
        printer.document(&json!({
            "intact": verdict.intact(), "records": verdict.records, "faults": verdict.faults, "more_faults": verdict.more_faults,
            "undecided": verdict.undecided, "manifest": verdict.manifest, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    if args.print {
        return Ok(exit);
    }
    show_faults(printer, &verdict);
    if let Some(manifest) = verdict.manifest.as_ref().filter(|_| verdict.intact()) {
        printer.line(&printer.pick(
            &format!(
                "{} 件、改ざんは見つかりません（{} · {} · {} が作成）",
                verdict.records,
                manifest.incident,
                manifest.made_at.to_jst(),
                manifest.made_by
            ),
            &format!(
                "{} records, no tampering found ({}, made {} by {})",
                verdict.records, manifest.incident, manifest.made_at, manifest.made_by
            ),
        ));
    }
    Ok(exit)
}

/// Says whether a dump is complete.
pub(crate) fn check(printer: &Printer, args: &VerifyArgs, dump: &Path) -> Result<Exit, Failure> {
    let file = File::open(dump).map_err(|error| {
        Failure::usage(
            format!("cannot read {}: {}", dump.display(), error.kind()),
            "name the file that pg_dump wrote",
        )
    })?;
    let report = check_dump(
        BufReader::with_capacity(1024 * 1024, file),
        &args.table,
        args.rows,
    )?;
    // Without a count nobody knows whether rows are missing.
    let exit = if !report.complete() {
        Exit::Failed
    } else if report.expected.is_none() {
        Exit::Unverified
    } else {
        Exit::Done
    };
    if printer.json() {
        printer.document(&json!({"dump": report, "complete": exit == Exit::Done, "exit_code": exit.code()}));
        return Ok(exit);
    }
    printer.line(&printer.pick(
        &format!("{}: {} 行", args.table, report.rows),
        &format!("{}: {} rows", args.table, report.rows),
    ));
    for fault in &report.faults {
        printer.line(&printer.warn(&format!("  ✘ {fault}")));
    }
    if exit == Exit::Unverified {
        printer.line(&printer.warn(&printer.pick(
            "  ? 件数が分からないので、欠けがないとは言えません: --rows N",
            "  ? nobody said how many rows there should be: --rows N",
        )));
    }
    Ok(exit)
}
