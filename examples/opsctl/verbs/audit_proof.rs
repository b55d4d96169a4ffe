use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ops_core::audit::{
    Checkpoint, Note, NoteSigner, NoteVerifier, RecordProof, SignedCheckpoint, growth_since,
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
    let mut keeper = world.ops.checkpoint_keeper(signer);
    if let Some(file) = public_key {
        keeper = keeper.with_keys(public_keys(file)?);
    }
    if let Some((archive, folder)) = archive {
        keeper = keeper.with_archive(archive, folder, ArchiveHold::held());
    }
    let SignedCheckpoint {
        checkpoint, archived, ..
    } = keeper.keep(&world.config.tenant, out).await?;
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
    Ok((seen, growth.fault().map(|what| AuditFault::new(0, what))))
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

fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("cannot write {}: {}", file.display(), error.kind()),
        "name a file that can be written; a key is never overwritten",
    )
}

/// The folder of checkpoints in an archive.
const CHECKPOINTS: &str = "checkpoints";
