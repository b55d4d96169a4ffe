use crate::model::Text;

/// To a person who may not touch something of a tenant, or of one that is not there.
pub fn tenant_denied() -> Text {
    Text::new(
        "この情報にアクセスする権限がありません。",
        "You do not have access to this.",
    )
}

/// To a client that does not say which tenant it means.
pub fn tenant_not_named() -> Text {
    Text::new(
        "組織を特定できませんでした。ログインし直してください。",
        "It is not clear which organisation is meant. Please sign in again.",
    )
}

/// A gap between tenants by its name, and what to do. `detail` names the policy, key, constraint or role.
pub fn tenant_gap(name: &str, detail: &str) -> Text {
    let (ja, en) = match name {
        "no_tenant_column" => (
            "テナント列がない。列を追加するか、全体共通の表として理由とともに登録する".to_owned(),
            "has no column with the tenant: add it, or list the table as global with a reason".to_owned(),
        ),
        "tenant_may_be_null" => (
            "テナント列が NULL になり得る。back-fill の後に NOT NULL を付ける".to_owned(),
            "the tenant may be null: back-fill, then set NOT NULL".to_owned(),
        ),
        "row_security_off" => (
            "行レベルセキュリティが無効 (ENABLE ROW LEVEL SECURITY)".to_owned(),
            "row security is off: ENABLE ROW LEVEL SECURITY".to_owned(),
        ),
        "row_security_not_forced" => (
            "所有者には行レベルセキュリティが効かない (FORCE ROW LEVEL SECURITY)".to_owned(),
            "row security does not hold for the owner: FORCE ROW LEVEL SECURITY".to_owned(),
        ),
        "no_policy" => (
            "ポリシーが 1 つもない。誰も何も見えない".to_owned(),
            "there is no policy: nobody sees anything".to_owned(),
        ),
        "open_policy" => (
            format!("ポリシー {detail} がテナントを問わず読ませる（許可ポリシーは OR で結ばれる）"),
            format!("policy {detail} lets rows of every tenant be read (permissive policies are joined by OR)"),
        ),
        "unchecked_write" => (
            format!("ポリシー {detail} が他テナントの行の書き込みを許す（WITH CHECK を直す）"),
            format!("policy {detail} lets rows of another tenant be written: mend its WITH CHECK"),
        ),
        "noisy_policy" => (
            format!("ポリシー {detail} はテナント未設定のときエラーになる（current_setting(…, true) にする）"),
            format!("policy {detail} is an error without a tenant: use current_setting(…, true)"),
        ),
        "slow_policy" => (
            format!("ポリシー {detail} は行ごとに設定を読む（(select …) で囲む）"),
            format!("policy {detail} reads the setting for each row: put it into (select …)"),
        ),
        "view_runs_as_owner" => (
            "ビューが所有者の権限で読む (security_invoker = true)".to_owned(),
            "the view reads with its owner's rights: set (security_invoker = true)".to_owned(),
        ),
        "beyond_row_security" => (
            "マテリアライズドビュー・外部表には行レベルセキュリティが効かない。アプリの役割から権限を外す".to_owned(),
            "row security does not exist for materialized views and foreign tables: take the rights from the application's roles".to_owned(),
        ),
        "open_through_parent" => (
            format!("継承元の {detail} を読めば、この表の行が全テナント分読める（アプリの役割から継承元の権限を外すか、NO INHERIT にする）"),
            format!(
                "who reads {detail}, from which it inherits, reads its rows of every tenant: take the rights on that one, or NO INHERIT"
            ),
        ),
        "key_without_tenant" => (
            format!("一意キー {detail} がテナント列で始まらない（他テナントの存在が分かり、自分の行が黙って捨てられる）"),
            format!("unique key {detail} does not begin with the tenant: it tells of other tenants' rows"),
        ),
        "reference_without_tenant" => (
            format!("外部キー {detail} がテナント列を含まない（他テナントの行を指せる）"),
            format!("foreign key {detail} does not take the tenant along: it may point at another tenant's row"),
        ),
        "schema_unchecked" => (
            "アプリの役割が触れるのに確認されていない。schemas に登録する（名前に点のある表は改名する）".to_owned(),
            "the application may touch it, and it is not looked at: name it among the schemas (a table with a point in its name: rename it)"
                .to_owned(),
        ),
        "no_app_role" => (
            "アプリケーションの役割が設定されていない (app_roles)".to_owned(),
            "no role of the application is named: app_roles".to_owned(),
        ),
        "unknown_role" => ("この役割は存在しない".to_owned(), "there is no such role".to_owned()),
        "role_bypasses" => (
            format!("{detail} はスーパーユーザーまたは BYPASSRLS で、全テナントが見える"),
            format!("{detail} is a superuser or has BYPASSRLS: it sees every tenant"),
        ),
        "role_owns" => (
            format!("役割 {detail} は所有者になれるため、行レベルセキュリティを外せる"),
            format!("role {detail} is or may become the owner and can turn row security off"),
        ),
        "role_may_truncate" => (
            format!("役割 {detail} は TRUNCATE できる（行レベルセキュリティが効かない）"),
            format!("role {detail} may TRUNCATE, which row security does not see: revoke it"),
        ),
        "definer_function" => (
            format!("SECURITY DEFINER 関数が {detail} の権限で動く。中身を確認するか EXECUTE を外す"),
            format!("a SECURITY DEFINER function with the rights of {detail}: review it, or revoke EXECUTE"),
        ),
        other => (other.to_owned(), other.to_owned()),
    };
    Text::new(ja, en)
}
