use std::fs;
use std::path::Path;

use ops_core::governance::migration::{MigrationFolder, MigrationStatus, StateKind, migration_status};
use ops_core::memory::InMemoryMigrations;
use ops_core::model::{AppliedMigration, Leftover, MigrationTool};
use ops_core::ports::MigrationInspector;
use ops_core::testkit;

fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, MigrationFolder) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let read = read(dir.path());
    (dir, read)
}

fn read(dir: &Path) -> MigrationFolder {
    MigrationFolder::read(dir).unwrap()
}

async fn status(database: &InMemoryMigrations, folder: &MigrationFolder) -> MigrationStatus {
    migration_status(&database.state().await.unwrap(), Some(folder))
}

fn kinds(status: &MigrationStatus) -> Vec<(StateKind, &str)> {
    status
        .findings
        .iter()
        .map(|finding| (finding.kind, finding.subject.as_str()))
        .collect()
}

fn applied(version: &str, checksum: Option<String>) -> AppliedMigration {
    let mut applied = AppliedMigration::new(version);
    applied.checksum = checksum;
    applied
}

const SQLX: &str = "public._sqlx_migrations";

#[tokio::test]
async fn a_database_says_what_is_pending_unknown_changed_and_out_of_order() {
    let (_dir, folder) = folder(&[
        ("0001_one.sql", "select 1;\n"),
        ("0002_two.sql", "select 2;\n"),
        ("0003_three.up.sql", "select 3;\n"),
        ("0003_three.down.sql", "select -3;\n"),
        ("0004_four.sql", "select 4;\n"),
        ("README.md", "no migration"),
    ]);
    let checksum = |version: &str| folder.find(version).unwrap().checksum();
    let database = InMemoryMigrations::new();
    database.apply(MigrationTool::Sqlx, SQLX, applied("1", checksum("0001")));
    database.apply(MigrationTool::Sqlx, SQLX, applied("3", Some("00".repeat(48))));
    database.apply(MigrationTool::Sqlx, SQLX, applied("9", None));
    let status = status(&database, &folder).await;
    assert_eq!(status.pending, ["0002", "0004"]);
    let wanted = [
        (StateKind::Changed, "3"),
        (StateKind::Unknown, "9"),
        (StateKind::OutOfOrder, "0002"),
    ];
    assert_eq!(kinds(&status), wanted);
    assert_eq!(folder.find("0003").unwrap().down.as_deref(), Some("select -3;\n"));
}

#[tokio::test]
async fn other_line_ends_are_told_apart_from_another_text() {
    let (_dir, unix) = folder(&[("0001_one.sql", "select 1;\nselect 2;\n")]);
    let (_dir, windows) = folder(&[("0001_one.sql", "select 1;\r\nselect 2;\r\n")]);
    let database = InMemoryMigrations::new();
    let checksum = windows.find("1").unwrap().checksum();
    database.apply(MigrationTool::Sqlx, SQLX, applied("1", checksum));
    assert_eq!(
        kinds(&status(&database, &unix).await),
        [(StateKind::LineEnds, "1")]
    );
    assert_eq!(kinds(&status(&database, &windows).await), []);
}

#[tokio::test]
async fn several_heads_are_legal_and_the_graph_says_what_is_pending() {
    let revision = |own: &str, before: &str| {
        format!("revision: str = '{own}'\ndown_revision = {before}\ndef downgrade():\n    pass\n")
    };
    let (_dir, folder) = folder(&[
        ("versions/a.py", &revision("a1", "None")),
        ("versions/b.py", &revision("b2", "'a1'")),
        ("versions/c.py", &revision("c3", "'a1'")),
        ("versions/m.py", &revision("d4", "('b2', 'c3')")),
    ]);
    assert_eq!(folder.heads(), ["d4"]);
    let database = InMemoryMigrations::new();
    database.apply(
        MigrationTool::Alembic,
        "public.alembic_version",
        AppliedMigration::new("b2"),
    );
    database.apply(
        MigrationTool::Alembic,
        "public.alembic_version",
        AppliedMigration::new("c3"),
    );
    let found = status(&database, &folder).await;
    assert_eq!(found.pending, ["d4"]);
    assert_eq!(
        kinds(&found),
        [(StateKind::SeveralHeads, "public.alembic_version")]
    );
    assert!(StateKind::SeveralHeads.is_legal());

    let older = InMemoryMigrations::new();
    older.apply(
        MigrationTool::Alembic,
        "public.alembic_version",
        AppliedMigration::new("ff"),
    );
    assert_eq!(
        kinds(&status(&older, &folder).await),
        [(StateKind::Unknown, "ff")]
    );
}

#[tokio::test]
async fn django_goes_by_dependencies_and_by_app() {
    let migration =
        |before: &str| format!("class Migration(migrations.Migration):\n    dependencies = [{before}]\n");
    let (dir, _) = folder(&[
        ("shop/migrations/0001_initial.py", &migration("")),
        (
            "shop/migrations/0002_b.py",
            &migration("('shop', '0001_initial'), ('auth', '0001_initial')"),
        ),
        ("shop/migrations/__init__.py", ""),
        ("0001_for_the_helper.sql", ""),
    ]);
    let folder = read(&dir.path().join("shop/migrations"));
    let database = InMemoryMigrations::new();
    let table = "public.django_migrations";
    for version in ["auth.0001_initial", "shop.0001_initial"] {
        database.apply(MigrationTool::Django, table, AppliedMigration::new(version));
    }
    let found = status(&database, &folder).await;
    assert_eq!(found.pending, ["shop.0002_b"]);
    assert_eq!(kinds(&found), [], "migrations of other apps are nobody's fault");
}

#[tokio::test]
async fn numbers_are_not_sorted_as_text_and_dirt_is_told() {
    let (_dir, folder) = folder(&[
        ("9_nine.up.sql", ""),
        ("10_ten.up.sql", ""),
        ("11_eleven.up.sql", ""),
    ]);
    let versions: Vec<_> = folder.files.iter().map(|file| file.version.as_str()).collect();
    assert_eq!(versions, ["9", "10", "11"]);
    let rails = InMemoryMigrations::new();
    for version in ["10", "9"] {
        rails.apply(
            MigrationTool::Rails,
            "public.schema_migrations",
            AppliedMigration::new(version),
        );
    }
    let found = status(&rails, &folder).await;
    assert_eq!(
        (found.ledgers[0].newest.as_slice(), found.pending.as_slice()),
        (&["10".to_owned()][..], &["11".to_owned()][..])
    );

    let golang = InMemoryMigrations::new();
    let mut dirty = AppliedMigration::new("10");
    dirty.dirty = true;
    golang.apply(MigrationTool::GolangMigrate, "public.schema_migrations", dirty);
    let found = status(&golang, &folder).await;
    assert_eq!(kinds(&found), [(StateKind::Dirty, "10")]);
    assert_eq!(
        found.pending,
        ["10", "11"],
        "a dirty one is not applied; what is before it is"
    );
}

#[tokio::test]
async fn what_is_half_done_is_told_whatever_the_tool_says() {
    let database = InMemoryMigrations::new();
    database.leave(Leftover::InvalidIndex {
        index: "public.i".to_owned(),
        table: "public.t".to_owned(),
        being_built: false,
    });
    let found = migration_status(&database.state().await.unwrap(), None);
    assert_eq!(kinds(&found), [(StateKind::HalfDone, "public.i")]);
}

#[test]
fn two_files_of_one_version_and_an_empty_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(MigrationFolder::read(dir.path()).is_err());
    assert!(MigrationFolder::read(&dir.path().join("nowhere")).is_err());
    fs::write(dir.path().join("1_a.sql"), "").unwrap();
    fs::write(dir.path().join("1_b.sql"), "").unwrap();
    let error = MigrationFolder::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("version"), "{error}");
}

#[tokio::test]
async fn the_inspector_in_memory_keeps_its_contract() {
    let database = InMemoryMigrations::new();
    database.apply(MigrationTool::Sqlx, SQLX, AppliedMigration::new("1"));
    let expected = database.state().await.unwrap();
    testkit::migration_inspector(&database, &expected).await;
    testkit::migration_executor(&database, "select 1", "public.t").await;
    database.set_reachable(false);
    assert!(database.state().await.is_err());
}
