//! What a stop and a restore need, and what to do when it is not there.

use crate::model::{Need, Text};

/// A credential in the variable that the configuration names.
pub fn need_credential_set(variable: &str) -> Need {
    need(
        "credential-set",
        variable,
        (
            "資格情報の環境変数が設定されている",
            "the variable of the credential is set",
        ),
        (
            format!("環境変数 {variable} を設定する"),
            format!("set the environment variable {variable}"),
        ),
    )
}

/// A credential of its own for the button.
pub fn need_emergency_credential(platform: &str, variable: &str) -> Need {
    need(
        "emergency-credential",
        variable,
        (
            "緊急用の資格情報が別にある",
            "the button has a credential of its own",
        ),
        (
            format!(
                "{platform} に最小権限の緊急用トークンを作り、emergency_token_env に変数名を書いて設定する"
            ),
            format!(
                "make a least-privileged token at {platform}, name its variable in emergency_token_env, and set it"
            ),
        ),
    )
}

/// An emergency credential that differs from the everyday one.
pub fn need_another_credential(variable: &str, everyday: &str) -> Need {
    need(
        "emergency-credential-differs",
        variable,
        (
            "緊急用の資格情報が日常用と異なる",
            "the emergency credential is not the everyday one",
        ),
        (
            format!("{variable} には {everyday} と別のトークンを入れる"),
            format!("put a token into {variable} that is not that of {everyday}"),
        ),
    )
}

/// A credential that the vendor takes.
pub fn need_valid_credential(subject: &str) -> Need {
    need(
        "credential-valid",
        subject,
        (
            "資格情報が有効で期限内",
            "the credential is valid and has not expired",
        ),
        (
            "トークンを新しく発行して設定し直す",
            "issue a new token and set it",
        ),
    )
}

/// A vendor that answers.
pub fn need_reachable(subject: &str) -> Need {
    need(
        "reachable",
        subject,
        ("接続できる", "it answers"),
        (
            "ネットワーク、アドレス、相手側の状況を確認する",
            "check the network, the address, and the other side's status page",
        ),
    )
}

/// Notifications of switch changes that arrive.
pub fn need_notifications(database: &str) -> Need {
    need(
        "switch-notifications",
        database,
        (
            "停止スイッチの通知が届く",
            "notifications of the kill switch arrive",
        ),
        (
            "トランザクション方式のプーラーを通さない接続（直接、またはセッション方式）にする。それまで停止はポーリングの間隔（1 秒）で伝わる",
            "connect without a transaction-mode pooler in between (directly, or in session mode); until then a stop spreads with the poll interval (1 s)",
        ),
    )
}

/// A credential whose scope covers the target.
pub fn need_scope(subject: &str) -> Need {
    need(
        "credential-scope",
        subject,
        (
            "資格情報の範囲に対象が含まれる",
            "the credential covers the target",
        ),
        (
            "対象のプロジェクト・環境・チームに対するトークンを発行する",
            "issue a token for the target's project, environment or team",
        ),
    )
}

/// A service that is there and can be read.
pub fn need_readable_service(target: &str) -> Need {
    need(
        "service-readable",
        target,
        (
            "サービスが存在し、状態を読める",
            "the service is there and its state can be read",
        ),
        (
            "ops.toml の名前・ID・リージョンと、読み取り権限を確認する",
            "check name, id and region in ops.toml, and the right to read it",
        ),
    )
}

/// A permission that the stop or the restore uses.
pub fn need_permission(subject: &str, permission: &str) -> Need {
    need(
        &format!("permission:{permission}"),
        subject,
        (
            format!("権限 {permission} がある"),
            format!("permission {permission} is granted"),
        ),
        (
            format!("停止に使う資格情報に {permission} を与える"),
            format!("grant {permission} to the credential that stops"),
        ),
    )
}

/// A permission that the button never uses.
pub fn need_no_permission(subject: &str, permission: &str) -> Need {
    need(
        &format!("excess:{permission}"),
        subject,
        (
            format!("不要な権限 {permission} がない"),
            format!("permission {permission}, which is never used, is not granted"),
        ),
        (
            format!("緊急用の資格情報から {permission} を外す（最小権限の役割に替える）"),
            format!("take {permission} from the emergency credential: give it a smaller role"),
        ),
    )
}

/// A clock that agrees with the other side's.
pub fn need_clock(subject: &str) -> Need {
    need(
        "clock",
        subject,
        (
            "この機械の時計が相手と合っている",
            "this machine's clock agrees with the other side's",
        ),
        (
            "NTP で時計を合わせる（承認の期限がずれます）",
            "set the clock by NTP: approvals expire by it",
        ),
    )
}

/// A directory for the state that can be written.
pub fn need_state_directory(directory: &str) -> Need {
    need(
        "state-directory",
        directory,
        ("状態ディレクトリに書ける", "the state directory can be written"),
        (
            "ディレクトリを作り、所有者と権限、マウント (ro) を確認する",
            "make the directory; check its owner, its mode, and whether the disk is mounted read-only",
        ),
    )
}

/// Room on the disk of the state.
pub fn need_free_space(directory: &str, megabytes: u64) -> Need {
    need(
        "free-space",
        directory,
        (
            format!("空き容量が {megabytes} MB 以上ある"),
            format!("at least {megabytes} MB are free"),
        ),
        (
            "ディスクを空けるか、state_dir を別のディスクに置く",
            "free the disk, or put state_dir on another one",
        ),
    )
}

/// A disk that keeps what it says it keeps.
pub fn need_durable_disk(directory: &str) -> Need {
    need(
        "durable",
        directory,
        (
            "ディスクへの同期 (fsync) ができる",
            "the disk can be told to keep what was written (fsync)",
        ),
        (
            "fsync できるローカルディスクに state_dir を置く",
            "put state_dir on a local disk that takes fsync",
        ),
    )
}

/// A store that can be read.
pub fn need_store(store: &str, name: Text) -> Need {
    Need::new(
        "store-readable",
        store,
        Text::new(
            format!("{}を読める", name.get(crate::model::Lang::Ja)),
            format!("the {} can be read", name.get(crate::model::Lang::En)),
        ),
        Text::new(
            "接続先とファイルを確認する（壊れたファイルは消さずに退避する）",
            "check connection and file; set a damaged file aside, do not delete it",
        ),
    )
}

/// Approvers who can sign.
pub fn need_real_approver(approver: &str) -> Need {
    need(
        "approver-key",
        approver,
        ("承認者の公開鍵が本人のもの", "the approver's key is a person's"),
        (
            "見本の鍵を承認者本人の公開鍵に置き換える",
            "replace the sample key by the approver's own public key",
        ),
    )
}

/// As many approvers as a restore or a stop asks for. `plan` is `restore` or `stop`.
pub fn need_enough_approvers(plan: &str, persons: usize) -> Need {
    need(
        &format!("approvers:{plan}"),
        "approvers",
        (
            format!("{plan} に必要な {persons} 人の承認者がいる"),
            format!("there are the {persons} approvers that a {plan} needs"),
        ),
        ("[[approver]] に承認者を加える", "add [[approver]] tables"),
    )
}

/// A restore that two persons sign.
pub fn need_two_for_a_restore() -> Need {
    need(
        "approvals:restore",
        "approvals",
        (
            "復旧に 2 人の署名が必要になっている",
            "a restore needs the signatures of two persons",
        ),
        (
            "[approvals] の restore を 2 以上にする",
            "set restore in [approvals] to 2 or more",
        ),
    )
}

/// A stop that hardly waits for anybody.
pub fn need_quick_stop() -> Need {
    need(
        "approvals:stop",
        "approvals",
        (
            "停止に必要な署名が 1 人分以下になっている",
            "a stop waits for one signature at most",
        ),
        (
            "[approvals] の stop を 0 か 1 にする",
            "set stop in [approvals] to 0 or 1",
        ),
    )
}

/// The right to write where a vendor has no dry way to prove it.
pub fn need_right_to_write(platform: &str) -> Need {
    need(
        "permission:write",
        platform,
        (
            "停止と復旧の書き込みが許可されている",
            "the credential may write what a stop and a restore write",
        ),
        (
            "止めても害のないサービスを、この資格情報で停止して復旧してみる",
            "stop and restore a service that nobody needs, with this very credential",
        ),
    )
}

/// Why nobody can say beforehand whether the credential may write.
pub const NO_DRY_WAY: &str = "the vendor has no dry way to prove it";

/// A deployed service that a procedure can stop.
pub fn need_covered(target: &str) -> Need {
    need(
        "covered",
        target,
        (
            "稼働中のサービスがいずれかの手順に含まれる",
            "the deployed service is in a procedure",
        ),
        (
            format!(
                "[[service]] と [[procedure]] に加えるか、理由と期限を付けて [[uncovered]] target = \"{target}\" と書く"
            ),
            format!(
                "add it to a [[service]] and a [[procedure]], or say [[uncovered]] target = \"{target}\" with a reason and a last day"
            ),
        ),
    )
}

/// A listed service that is still deployed.
pub fn need_deployed(target: &str) -> Need {
    need(
        "deployed",
        target,
        (
            "手順にあるサービスが今も存在する",
            "the service that is listed is still deployed",
        ),
        (
            "ops.toml から除くか、名前・ID・リージョンを直す",
            "take it out of ops.toml, or correct its name, id or region",
        ),
    )
}

/// A list of what is deployed.
pub fn need_inventory(subject: &str) -> Need {
    need(
        "inventory",
        subject,
        ("稼働中のサービスを一覧できる", "what is deployed can be listed"),
        (
            "日常用の資格情報に一覧の権限 (run.services.list など) を与える",
            "give the everyday credential the right to list (run.services.list, for example)",
        ),
    )
}

/// A stop rule that the vendor would take.
pub fn need_accepted_rule(target: &str) -> Need {
    need(
        "stop-rule-accepted",
        target,
        (
            "停止ルールが受理される（試行）",
            "the vendor would take the stop rule (its dry run)",
        ),
        (
            "プランのルール数の上限と公開ドメインの有無を確認する",
            "check the plan's limit of rules, and that the service has a public domain",
        ),
    )
}

/// The library's own tables, in the version that this program expects.
pub fn need_schema(database: &str) -> Need {
    need(
        "schema",
        database,
        ("スキーマ ops が最新", "the schema ops is there and up to date"),
        (
            "一度 `opsctl db status` を実行してスキーマを作る・更新する",
            "run `opsctl db status` once: it makes or updates the schema",
        ),
    )
}

/// The rights on the library's own tables.
pub fn need_own_tables(database: &str) -> Need {
    need(
        "own-tables",
        database,
        (
            "ジャーナルと停止スイッチの表に書ける",
            "journal and switches may be written",
        ),
        (
            "接続する役割をスキーマ ops の所有者にするか、権限を与える",
            "make the connected role the owner of the schema ops, or grant it the rights",
        ),
    )
}

/// The rights to make a database read-only.
pub fn need_ownership(database: &str) -> Need {
    need(
        "may-make-read-only",
        database,
        (
            "データベースを読み取り専用にし、元に戻す権限がある",
            "the role may make the database read-only, and writable again",
        ),
        (
            "接続する役割に、データベースと全オブジェクトの所有者の権限を与える",
            "give the connected role the rights of the owners of the database and of everything in it",
        ),
    )
}

/// The right to end other sessions.
pub fn need_session_control(database: &str) -> Need {
    need(
        "may-end-sessions",
        database,
        ("他のセッションを終了できる", "the role may end other sessions"),
        (
            "GRANT pg_signal_backend を実行する",
            "run GRANT pg_signal_backend for the role",
        ),
    )
}

/// An audit writer that goes on while the database is read-only.
pub fn need_exempt_role(role: &str) -> Need {
    need(
        "exempt-role",
        role,
        (
            "監査用の役割が読み取り専用の間も書ける",
            "the audit role goes on writing while the database is read-only",
        ),
        (
            "管理者が ALTER ROLE … IN DATABASE … SET default_transaction_read_only = off を一度実行する",
            "let an administrator run ALTER ROLE … IN DATABASE … SET default_transaction_read_only = off once",
        ),
    )
}

/// An audit writer that is another role than the one that stops.
pub fn need_separate_audit_role(subject: &str) -> Need {
    need(
        "audit-role-separate",
        subject,
        (
            "監査用の役割が別にある",
            "the audit trail is written by a role of its own",
        ),
        (
            "監査専用の役割を作り、[database] audit_url_env で指定する",
            "make a role for the audit trail and name its URL by audit_url_env in [database]",
        ),
    )
}

/// No transaction that can be committed behind the stop's back.
pub fn need_no_prepared_transactions(database: &str) -> Need {
    need(
        "no-prepared-transactions",
        database,
        (
            "準備済みトランザクションが残っていない",
            "no prepared transaction is left over",
        ),
        (
            "pg_prepared_xacts を見て COMMIT PREPARED か ROLLBACK PREPARED する",
            "look at pg_prepared_xacts; commit or roll back what is there",
        ),
    )
}

pub(super) fn need(
    name: &str,
    subject: &str,
    (ja, en): (impl Into<String>, impl Into<String>),
    (remedy_ja, remedy_en): (impl Into<String>, impl Into<String>),
) -> Need {
    Need::new(name, subject, Text::new(ja, en), Text::new(remedy_ja, remedy_en))
}
