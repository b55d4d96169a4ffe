use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ops_core::audit::{
    Checkpoint, Growth, Note, NoteSigner, NoteVerifier, RecordProof, archive_checkpoint, growth_since, tree,
};
use ops_core::error::{Error, ErrorKind};
use ops_core::ports::{ArchiveHold, AuditFault};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::archive_place::ArchivePlace;
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;

/// Writes a fresh key pair.
pub(crate) fn keygen(printer: &Printer, name: &str, out: &Path) -> Result<Exit, Failure> {
    if name.contains('/') {
        return Err(Failure::usage(
            "the name of a log has no stroke",
            "name it like a host: audit.example.com",
        ));
    }
    let signer = NoteSigner::generate(name)?;
    let public = PathBuf::from(format!("{}.pub", out.display()));
    create(out, signer.to_text().expose_secret(), true)?;
    create(&public, &signer.verifier().to_string(), false)?;
    if printer.json() {
        printer.document(&json!({
            "key": out, "public_key_file": public, "public_key": signer.verifier().to_string(), "exit_code": 0,
        }));
    } else {
        printer.line(&printer.pick(
            &format!(
                "秘密鍵 {}（保管は金庫へ）・公開鍵 {}",
                out.display(),
                public.display()
            ),
            &format!(
                "private key {} (keep it in a vault), public key {}",
                out.display(),
                public.display()
            ),
        ));
    }
    Ok(Exit::Done)
}

/// Signs the trail as it is, unless the checkpoint that is there already is of another one.
pub(crate) async fn checkpoint(
    session: &Session,
    printer: &Printer,
    key: &Path,
    out: &Path,
    public_key: Option<&Path>,
    place: Option<&ArchivePlace>,
    complete: bool,
) -> Result<Exit, Failure> {
    // A place that cannot be is said before anything is signed.
    let archive = match place {
        Some(place) => Some((session.world.archive(place)?, place.folder(CHECKPOINTS)?)),
        None => None,
    };
    let signer = NoteSigner::from_text(&SecretString::from(read(key)?))?;
    let world = &session.world;
    let (store, tenant) = (&world.ops.providers().audit, &world.config.tenant);
    // What does not fit its own chain is signed by nobody.
    if let Some(fault) = store.verify(tenant).await?.faults.into_iter().next() {
        return Err(Error::new(ErrorKind::Conflict, "sign checkpoint")
            .context("position", fault.sequence.to_string())
            .context("trail", fault.what)
            .into());
    }
    let mut keys = public_key.map_or_else(|| Ok(Vec::new()), public_keys)?;
    keys.push(signer.verifier().clone());
    let growth = match fs::exists(out) {
        Ok(false) => Growth::First,
        _ => growth_since(&**store, tenant, &open(out, &keys)?.1).await?,
    };
    if let Some(fault) = fault(growth) {
        return Err(Error::new(ErrorKind::Conflict, "sign checkpoint")
            .context("trail", fault.what)
            .into());
    }
    let checkpoint = Checkpoint::of(
        signer.verifier().name(),
        tenant,
        &tree(&**store, tenant, None).await?,
    )?;
    let note = checkpoint.sign(&[&signer])?;
    replace(out, &note.to_string())?;
    if open(out, std::slice::from_ref(signer.verifier()))?.1 != checkpoint {
        return Err(Error::new(ErrorKind::Unexpected, "sign checkpoint")
            .context("file", "does not hold what was written")
            .into());
    }
    let archived = match &archive {
        Some((archive, folder)) => {
            let (hold, clock) = (ArchiveHold::held(), &*world.ops.providers().clock);
            Some(archive_checkpoint(&**archive, folder, &note, &keys, &hold, clock).await)
        }
        None => None,
    };
    // The file is signed all the same.
    let exit = match &archived {
        Some(Err(_)) => Exit::Partly,
        _ => Exit::Done,
    };
    if printer.json() {
        let (there, why) = match &archived {
            Some(Ok(there)) => (Some(there), None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, None),
        };
        printer.document(&json!({
            "checkpoint": checkpoint, "file": out, "archived": there, "not_archived": why, "complete": complete,
            "exit_code": exit.code(),
        }));
    } else {
        printer.line(&printer.pick(
            &format!(
                "{} 件までの控えに署名しました: {}",
                checkpoint.size,
                out.display()
            ),
            &format!(
                "signed a checkpoint over {} records: {}",
                checkpoint.size,
                out.display()
            ),
        ));
        match &archived {
            Some(Ok(there)) => printer.line(&printer.pick(
                &format!("  保管庫: {}", there.name.as_str()),
                &format!("  in the archive: {}", there.name.as_str()),
            )),
            Some(Err(why)) => printer.line(&printer.warn(&printer.pick(
                &format!("  ✘ 保管庫に置けませんでした: {why}"),
                &format!("  ✘ not in the archive: {why}"),
            ))),
            None => {}
        }
    }
    Ok(exit)
}

/// What a kept checkpoint says about the trail: the checkpoint, and what is wrong.
pub(crate) async fn compare(
    session: &Session,
    checkpoint: &Path,
    public_key: &Path,
) -> Result<(Checkpoint, Option<AuditFault>), Failure> {
    let (_, seen) = open(checkpoint, &public_keys(public_key)?)?;
    let world = &session.world;
    let growth = growth_since(&*world.ops.providers().audit, &world.config.tenant, &seen).await?;
    Ok((seen, fault(growth)))
}

/// Prints the proof of one record.
pub(crate) async fn prove(
    session: &Session,
    printer: &Printer,
    id: Uuid,
    checkpoint: &Path,
) -> Result<Exit, Failure> {
    let note: Note = read(checkpoint)?.parse()?;
    let proof = session
        .audit_reader()
        .prove(&session.actor, &session.world.config.tenant, id, &note)
        .await?;
    let proof = serde_json::to_value(&proof)
        .map_err(|error| Failure::Failed(Error::new(ErrorKind::Unexpected, "write proof").source(error)))?;
    printer.document(&proof);
    Ok(Exit::Done)
}

/// Checks a proof by two files.
pub(crate) fn check(printer: &Printer, proof: &Path, public_key: &Path) -> Result<Exit, Failure> {
    let keys = public_keys(public_key)?;
    let proof: RecordProof = serde_json::from_str(&read(proof)?)
        .map_err(|_| Failure::usage("the file is no proof", "make one with `opsctl audit prove`"))?;
    let checkpoint = match proof.verify(&keys) {
        Ok(checkpoint) => checkpoint,
        // What does not fit is the answer, not a fault of the call.
        Err(error) => return Err(Failure::Failed(error)),
    };
    if printer.json() {
        printer.document(&json!({
            "holds": true, "record": proof.record, "sequence": proof.sequence, "checkpoint": checkpoint, "exit_code": 0,
        }));
    } else {
        printer.line(&printer.pick(
            &format!(
                "記録 {} は署名された {} 件の {} 番目です",
                proof.record.id, checkpoint.size, proof.sequence
            ),
            &format!(
                "record {} is number {} of the {} that were signed",
                proof.record.id, proof.sequence, checkpoint.size
            ),
        ));
    }
    Ok(Exit::Done)
}

fn fault(growth: Growth) -> Option<AuditFault> {
    let what = match growth {
        Growth::RolledBack => {
            "has fewer records than were signed: the newest were cut off, or an older state was put back"
        }
        Growth::Forked => {
            "is not the one that was signed: records were changed, removed or inserted, and the hashes computed anew"
        }
        _ => return None,
    };
    Some(AuditFault::new(0, what))
}

fn open(file: &Path, keys: &[NoteVerifier]) -> Result<(Note, Checkpoint), Failure> {
    let note: Note = read(file)?.parse()?;
    note.verify(keys)?;
    let checkpoint = note.text().parse()?;
    Ok((note, checkpoint))
}

pub(super) fn public_keys(file: &Path) -> Result<Vec<NoteVerifier>, Failure> {
    let text = read(file)?;
    let keys = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys = keys.map(str::parse).collect::<Result<Vec<NoteVerifier>, _>>()?;
    if keys.is_empty() {
        return Err(Failure::usage(
            format!("{} holds no public key", file.display()),
            "name the FILE.pub that `opsctl audit keygen` wrote",
        ));
    }
    Ok(keys)
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        Failure::usage(
            format!("cannot read {}: {}", file.display(), error.kind()),
            "name a readable text file",
        )
    })
}

fn create(file: &Path, line: &str, private: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let written = options
        .open(file)
        .and_then(|mut open| writeln!(open, "{line}").and_then(|()| open.sync_all()));
    written.map_err(|error| unwritten(file, &error))
}

/// Puts the text in place as a whole: a checkpoint that was there is never lost half-way.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let fresh = folder.join(format!(".{name}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&fresh)
        .and_then(|mut open| open.write_all(text.as_bytes()).and_then(|()| open.sync_all()))
        .and_then(|()| fs::rename(&fresh, file));
    written.map_err(|error| {
        let _ = fs::remove_file(&fresh);
        unwritten(file, &error)
    })
}

fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("cannot write {}: {}", file.display(), error.kind()),
        "name a file that can be written; a key is never overwritten",
    )
}

/// The folder of checkpoints in an archive.
const CHECKPOINTS: &str = "checkpoints";
