//! Copies in a directory, as the real programs write them: complete, cut off anywhere, empty, of another database.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ops_core::masking::BuiltinMasker;
use ops_core::model::{BackupCopy, CopyKind};
use ops_core::ports::BackupInspector;
use ops_core::testkit::{self, PostgresServer};
use ops_postgres::{DumpFiles, PostgresBackups};
use secrecy::{ExposeSecret, SecretString};

use super::world::{World, run, session};

pub(crate) fn dump(url: &SecretString, arguments: &[&str], file: &Path) {
    let status = Command::new("pg_dump")
        .args(arguments)
        .arg("-f")
        .arg(file)
        .arg("-d")
        .arg(url.expose_secret())
        .status()
        .unwrap();
    assert!(status.success());
}

async fn filled() -> Option<World> {
    let world = World::new().await?;
    let mut owner = world.owner().await;
    let statements =
        "insert into public.conversations (title) select md5(n::text) from generate_series(1, 3000) as n;
                      select lo_from_bytea(0, decode(repeat('abcdef', 5000), 'hex'))";
    run(&mut owner, statements).await.unwrap();
    Some(world)
}

fn cut(from: &Path, to: &Path, bytes: u64) {
    fs::copy(from, to).unwrap();
    File::options()
        .write(true)
        .open(to)
        .unwrap()
        .set_len(bytes)
        .unwrap();
}

async fn inspected(url: &SecretString) -> Option<String> {
    let backups = PostgresBackups::new(url, Arc::new(BuiltinMasker::new())).unwrap();
    let state = backups.inspect().await.unwrap();
    assert!(state.server.as_ref().unwrap().system.is_some());
    state.server.unwrap().system
}

fn judged(path: &Path) -> BackupCopy {
    DumpFiles::one(path).unwrap()
}

#[tokio::test]
async fn dumps_of_all_forms_are_complete_and_name_their_database_where_they_say_it() {
    let Some(world) = filled().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (arguments, name, kind, says) in [
        (&["-Fc"][..], "custom.dump", CopyKind::CustomDump, true),
        (&["-Fc", "-Z0"], "custom-0.dump", CopyKind::CustomDump, true),
        (&["-Fd"], "directory", CopyKind::DirectoryDump, true),
        (&["-Fd", "-Z0"], "directory-0", CopyKind::DirectoryDump, true),
        (&["-Fp"], "plain.sql", CopyKind::PlainDump, false),
        (&["-Fp", "-C"], "plain-create.sql", CopyKind::PlainDump, true),
    ] {
        dump(&world.superuser_url(), arguments, &path(name));
        let copy = judged(&path(name));
        assert_eq!((copy.complete, copy.kind), (Some(true), kind), "{name}: {copy:?}");
        let wanted = says.then_some(world.scratch.name());
        assert_eq!(copy.database.as_deref(), wanted, "{name}");
    }
    // What lies beside them is no copy.
    fs::write(path("notes.txt"), "not a dump").unwrap();
    fs::create_dir(path("photos")).unwrap();
    let files = DumpFiles::new(dir.path());
    testkit::backup_inspector(&files).await;
    let state = files.inspect().await.unwrap();
    assert_eq!(state.copies.unwrap().len(), 6);
    assert_eq!(state.unseen, []);
    world.close().await;
}

#[tokio::test]
async fn a_dump_that_is_cut_off_anywhere_is_not_complete() {
    let Some(world) = filled().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let short = dir.path().join("short.dump");
    let whole = dir.path().join("whole.dump");
    let piped = dir.path().join("piped.dump");
    dump(&world.superuser_url(), &["-Fc"], &whole);
    // Into a pipe it cannot note where its data are.
    let mut program = Command::new("pg_dump")
        .args(["-Fc", "-d", world.superuser_url().expose_secret()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::copy(
        &mut program.stdout.take().unwrap(),
        &mut File::create(&piped).unwrap(),
    )
    .unwrap();
    assert!(program.wait().unwrap().success());
    let plain = dir.path().join("plain.sql");
    dump(&world.superuser_url(), &["-Fp"], &plain);
    for dump in [&whole, &piped, &plain] {
        assert_eq!(judged(dump).complete, Some(true), "{dump:?}");
        let length = fs::metadata(dump).unwrap().len();
        // Behind the last line of a plain dump others may follow, that say nothing of the data.
        let end = b"-- PostgreSQL database dump complete";
        let bytes = fs::read(dump).unwrap();
        let found = bytes.windows(end.len()).rposition(|part| part == end);
        let last = match *dump == plain {
            true => (found.unwrap() + end.len()) as u64,
            false => length - 1,
        };
        let steps = (0..40).map(|step| last * step / 40).chain([last - 7, last]);
        for bytes in steps {
            cut(dump, &short, bytes);
            assert_eq!(
                judged(&short).complete,
                Some(false),
                "{dump:?} {bytes} of {length}"
            );
        }
    }
    world.close().await;
}

#[tokio::test]
async fn an_empty_a_foreign_a_schema_only_and_a_compressed_file_are_no_complete_copies() {
    let Some(world) = filled().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("empty.dump"), "").unwrap();
    fs::write(path("foreign.sql"), "select 1;\n").unwrap();
    fs::write(
        path("noise.dump"),
        b"PGDMP\x01\x0e\x00\x04\x08\x01\xff\xff\xff\xff\xff\xff\xff",
    )
    .unwrap();
    fs::write(path("newer.dump"), b"PGDMP\x01\x63\x00\x04\x08\x01").unwrap();
    fs::write(path("shop.sql.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    fs::write(path("shop.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    dump(&world.superuser_url(), &["-Ft"], &path("tar"));
    dump(&world.superuser_url(), &["-Fc", "-s"], &path("schema.dump"));
    dump(&world.superuser_url(), &["-Fd"], &path("half"));
    fs::remove_file(path("half").join("toc.dat")).unwrap();
    dump(&world.superuser_url(), &["-Fd"], &path("lost"));
    let data = fs::read_dir(path("lost"))
        .unwrap()
        .flatten()
        .map(|file| file.path());
    let data = data.filter(|file| file.to_string_lossy().ends_with(".dat.gz"));
    fs::remove_file(data.last().unwrap()).unwrap();
    for (name, complete) in [
        ("empty.dump", Some(false)),
        ("foreign.sql", Some(false)),
        ("noise.dump", Some(false)),
        ("newer.dump", None),
        ("shop.sql.gz", None),
        ("shop.gz", None),
        ("tar", None),
        ("schema.dump", Some(false)),
        ("half", Some(false)),
        ("lost", Some(false)),
    ] {
        let copy = judged(&path(name));
        assert_eq!(copy.complete, complete, "{name}: {copy:?}");
        assert!(copy.fault.is_some());
    }
    let state = DumpFiles::new(dir.path()).inspect().await.unwrap();
    assert_eq!(state.newest_complete(None), None);
    let missing = DumpFiles::new(path("nowhere")).inspect().await.unwrap_err();
    assert_eq!(missing.kind(), ops_core::error::ErrorKind::NotFound);
    world.close().await;
}

#[tokio::test]
async fn a_base_backup_is_complete_by_its_manifest_until_a_file_of_it_is_gone() {
    if super::world::admin_url().await.is_none() {
        return;
    }
    let server = PostgresServer::start().await.unwrap();
    let url = SecretString::from(server.url());
    run(&mut session(&url).await, "create table t (id int)")
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let base = |name: &str, form: &[&str]| -> PathBuf {
        let folder = dir.path().join(name);
        let status = Command::new("pg_basebackup")
            .args(["--no-sync", "-c", "fast", "-X", "stream", "-D"])
            .arg(&folder)
            .args(form)
            .args(["-d", url.expose_secret()])
            .status()
            .unwrap();
        assert!(status.success());
        folder
    };
    let (plain, tar) = (base("plain", &["-Fp"]), base("tar", &["-Ft", "-z"]));
    let loose = base("loose", &["-Ft"]);
    let system = inspected(&url).await;
    // One that is compressed may have been cut off on its way.
    for (folder, complete) in [(&plain, Some(true)), (&loose, Some(true)), (&tar, None)] {
        let copy = judged(folder);
        // Before PostgreSQL 17 the manifest does not name the server; the control file and the label do, which are compressed.
        if *folder != tar || copy.system.is_some() {
            assert_eq!(copy.system, system, "{copy:?}");
        }
        assert_eq!(
            (copy.kind, copy.complete),
            (CopyKind::BaseBackup, complete),
            "{copy:?}"
        );
    }
    testkit::backup_inspector(&DumpFiles::new(dir.path())).await;
    // A file that was changed later is not younger for that.
    let label = plain.join("backup_label");
    let text = fs::read_to_string(&label).unwrap();
    let year = text.find("START TIME: ").unwrap() + "START TIME: ".len();
    fs::write(&label, format!("{}2001{}", &text[..year], &text[year + 4..])).unwrap();
    let old = judged(&plain).at;
    assert!(old < "2002-01-02T00:00:00Z".parse().unwrap(), "{old}");
    fs::write(&label, &text).unwrap();
    for name in ["base.tar", "pg_wal.tar"] {
        let whole = fs::read(loose.join(name)).unwrap();
        for bytes in [
            0,
            511,
            512,
            512 * 700,
            whole.len() / 2,
            whole.len() / 1024 * 512,
            whole.len() - 1024,
        ] {
            fs::write(loose.join(name), &whole[..bytes]).unwrap();
            assert_eq!(judged(&loose).complete, Some(false), "{name} {bytes}");
        }
        fs::write(loose.join(name), &whole).unwrap();
        assert_eq!(judged(&loose).complete, Some(true), "{name}");
    }
    let file = plain.join("global/pg_control");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[1..]).unwrap();
    assert_eq!(judged(&plain).complete, Some(false));
    fs::write(&file, &bytes).unwrap();
    assert_eq!(judged(&plain).complete, Some(true));
    let manifest = plain.join("backup_manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"Size\": ", "\"Size\":  ", 1)).unwrap();
    assert_eq!(
        judged(&plain).complete,
        Some(false),
        "it does not fit its own digest"
    );
    fs::remove_file(tar.join("backup_manifest")).unwrap();
    assert_eq!(judged(&tar).complete, Some(false));
}

#[test]
fn a_dump_of_a_whole_cluster_is_of_no_one_database_and_ends_with_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.sql");
    let begun = "--\n-- PostgreSQL database cluster dump\n--\n\n\\connect template1\n\n--\n-- PostgreSQL database dump\n--\n\ncreate table t ();\n
--\n-- PostgreSQL database dump complete\n--\n\n";
    for (end, complete) in [
        ("", false),
        ("--\n-- Database \"shop\" dump\n--\n\n", false),
        ("--\n-- PostgreSQL database cluster dump complete\n--\n\n", true),
        (
            "--\n-- PostgreSQL database cluster dump complete\n--\n\n\\unrestrict x\n\n",
            true,
        ),
    ] {
        fs::write(&file, format!("{begun}{end}")).unwrap();
        let copy = judged(&file);
        assert_eq!((copy.complete, copy.database), (Some(complete), None), "{end}");
        assert_eq!(copy.kind, CopyKind::ClusterDump);
    }
    let one = "--\n-- PostgreSQL database dump\n--\n\ncreate table t ();\n\n--\n-- PostgreSQL database dump complete\n--\n";
    fs::write(&file, one).unwrap();
    assert_eq!(judged(&file).complete, Some(true));
    fs::write(&file, format!("{one}\ncopy t from stdin;\n")).unwrap();
    assert_eq!(judged(&file).complete, Some(false), "something follows");
}

#[tokio::test]
async fn a_folder_of_which_a_file_ends_in_the_middle_or_a_large_object_is_gone_is_damaged() {
    let Some(world) = filled().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loose");
    dump(&world.superuser_url(), &["-Fd", "-Z0"], &folder);
    let files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let named = |file: &&PathBuf, part: &str| file.file_name().unwrap().to_string_lossy().contains(part);
    let mut cut_off = 0;
    for file in files.iter().filter(|file| !named(file, "toc.dat")) {
        let bytes = fs::read(file).unwrap();
        if named(&file, "blob_") {
            fs::remove_file(file).unwrap();
        } else {
            // One is cut off before its end, a list of large objects in its last line.
            let lost = if named(&file, "blobs") { 4 } else { 6 };
            fs::write(file, &bytes[..bytes.len().saturating_sub(lost)]).unwrap();
        }
        assert_eq!(judged(&folder).complete, Some(false), "{file:?}");
        fs::write(file, &bytes).unwrap();
        assert_eq!(judged(&folder).complete, Some(true), "{file:?}");
        cut_off += 1;
    }
    assert!(cut_off > 3, "{files:?}");
    // Rows as statements have no such end.
    let inserts = dir.path().join("inserts");
    dump(&world.superuser_url(), &["-Fd", "-Z0", "--inserts"], &inserts);
    assert_eq!(judged(&inserts).complete, Some(true));
    world.close().await;
}

#[tokio::test]
async fn a_dump_that_was_copied_lately_is_as_old_as_it_says_itself() {
    let Some(world) = filled().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("old.dump");
    dump(&world.superuser_url(), &["-Fc"], &file);
    let fresh = judged(&file);
    let mut bytes = fs::read(&file).unwrap();
    // Behind the magic, versions, sizes, form and compression: the parts of the time, each a sign and four bytes; the year is the sixth.
    let compression = if bytes[6] >= 15 { 1 } else { 5 };
    let year = 11 + compression + 5 * 5 + 1;
    assert!(bytes[year] > 100, "years since 1900");
    bytes[year] -= 1;
    fs::write(&file, bytes).unwrap();
    let old = judged(&file);
    assert_eq!(old.complete, Some(true), "{old:?}");
    assert!(
        old.at + std::time::Duration::from_secs(300 * 86_400) < fresh.at,
        "{old:?}"
    );
    world.close().await;
}
