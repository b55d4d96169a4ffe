//! What read-only mode does not cover, said in both languages.

use ops_core::model::{ReadOnlyStrength, Text};

use super::access::{AccessMap, Roles};
use super::probe::{self, Tried};
use super::risks::Risks;
use super::sessions::OpenWork;
use super::settings::Settings;

/// What [`of`] judges.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) strength: ReadOnlyStrength,
    pub(super) settings: &'a Settings,
    pub(super) access: &'a AccessMap,
    pub(super) roles: &'a Roles,
    pub(super) exempt: &'a [String],
    pub(super) writers: &'a [String],
    pub(super) open: OpenWork,
    pub(super) risks: &'a Risks,
    pub(super) tried: &'a [Tried],
}

/// What stays possible in this database as it is.
pub(super) fn of(evidence: &Evidence<'_>) -> Vec<Text> {
    let Evidence {
        strength,
        settings,
        access,
        roles,
        exempt,
        writers,
        open,
        risks,
        tried,
    } = evidence;
    let mut caveats = Vec::new();
    let walled = *strength == ReadOnlyStrength::Wall;
    caveats.extend(probe::said(tried));
    let mut say = |applies: bool, ja: String, en: String| {
        if applies {
            caveats.push(Text::new(ja, en));
        }
    };

    let superusers = listed(
        roles
            .0
            .iter()
            .filter(|role| role.superuser && role.can_log_in)
            .map(|role| role.name.as_str()),
    );
    say(
        !superusers.is_empty(),
        format!("スーパーユーザーは読み取り専用でも書き込めます: {superusers}"),
        format!("superusers can still write: {superusers}"),
    );

    say(
        open.superusers > 0,
        format!(
            "警告: スーパーユーザーの接続が{}件あり、停止の影響をまったく受けません",
            open.superusers
        ),
        format!(
            "WARNING: {} sessions of superusers are open here, and nothing of the stop applies to them",
            open.superusers
        ),
    );

    let owners = listed(names(&risks.owners));
    say(
        !owners.is_empty(),
        format!("所有者とそのメンバーは自分に権限を付け直す、または表の定義を変えることができます: {owners}"),
        format!(
            "owners, and members of them, could grant themselves the privileges again, or change and drop what they own: {owners}"
        ),
    );

    let still = listed(writers.iter().map(String::as_str));
    say(
        walled && settings.is_read_only() && !writers.is_empty(),
        format!("まだ書き込めるロール: {still}"),
        format!("roles that can still write: {still}"),
    );

    let overriding = listed(settings.overriding());
    say(
        !walled && !overriding.is_empty(),
        format!("自分の設定がデータベースの設定より優先されるロール: {overriding}"),
        format!("roles with a setting of their own, which beats the database's: {overriding}"),
    );
    say(
        !walled && settings.is_read_only() && open.older > 0,
        format!(
            "停止前からの接続が{}件残っており、書き込める可能性があります",
            open.older
        ),
        format!(
            "{} sessions from before are still open, and may go on writing",
            open.older
        ),
    );
    say(
        open.spared > 0,
        format!(
            "エクスポートとして{}件の接続を残します（名前だけで判断）",
            open.spared
        ),
        format!(
            "{} sessions are spared as exports, by the name that they give themselves",
            open.spared
        ),
    );

    let unknown = listed(
        exempt
            .iter()
            .map(String::as_str)
            .filter(|name| roles.get(name).is_none()),
    );
    say(
        !unknown.is_empty(),
        format!("除外対象のロールが存在しません: {unknown}"),
        format!("roles named as exempt that do not exist: {unknown}"),
    );

    let not_exempted = listed(settings.not_exempted());
    say(
        settings.is_read_only() && !not_exempted.is_empty(),
        format!("除外対象のロールの新しい接続は、自分で設定しない限り読み取り専用です: {not_exempted}"),
        format!("new sessions of these exempt roles are read-only unless they say otherwise: {not_exempted}"),
    );

    say(
        open.out_of_reach > 0,
        format!("終了できない接続が{}件あります", open.out_of_reach),
        format!(
            "{} open sessions cannot be ended with this role",
            open.out_of_reach
        ),
    );
    say(
        open.prepared > 0,
        format!(
            "準備済みトランザクションが{}件あり、いつでもコミットされ得ます",
            open.prepared
        ),
        format!(
            "{} prepared transactions may be committed at any time",
            open.prepared
        ),
    );
    say(
        risks.functions > 0,
        format!(
            "スーパーユーザーまたは除外対象のロールの権限で動く関数が{}件あり、書き込めます",
            risks.functions
        ),
        format!(
            "{} functions run with the rights of a superuser or an exempt role, and may write",
            risks.functions
        ),
    );

    let makers = listed(names(&risks.role_makers));
    say(
        !makers.is_empty(),
        format!("CREATEROLEを持つロールは自分に書き込み権限を与えられます: {makers}"),
        format!("roles with CREATEROLE could make themselves members of pg_write_all_data: {makers}"),
    );

    let subscriptions = listed(names(&risks.subscriptions));
    say(
        !subscriptions.is_empty(),
        format!("有効なサブスクリプションが書き込みを続けることがあります: {subscriptions}"),
        format!("enabled subscriptions may go on writing what they receive: {subscriptions}"),
    );

    let referring = listed(names(&risks.referring));
    say(
        !referring.is_empty(),
        format!(
            "停止中は、除外対象のロールも、停止対象の表を参照する行を次の表に追加できません: {referring}"
        ),
        format!(
            "while stopped, not even exempt roles can add rows that refer to covered tables to these: {referring}"
        ),
    );

    let grantors = listed(grantors_out_of_reach(access, roles));
    say(
        !grantors.is_empty(),
        format!("次のロールが付与した権限は、このロールでは元に戻せません: {grantors}"),
        format!("what these roles have granted cannot be put back with this role: {grantors}"),
    );
    caveats
}

/// What stays possible in every database, known beforehand.
pub(super) fn limitations(strength: ReadOnlyStrength, rolls_back_prepared: bool) -> Vec<Text> {
    let mut limitations = vec![
        Text::new(
            "スーパーユーザーと表の所有者は、読み取り専用を自分で解除できます",
            "superusers, and owners of tables, can lift the mode for themselves",
        ),
        Text::new(
            "ラージオブジェクト、一時表、dblink経由の書き込みは対象外です",
            "large objects, temporary tables and writes through dblink are not covered",
        ),
    ];
    let mut say = |applies: bool, ja: &str, en: &str| {
        if applies {
            limitations.push(Text::new(ja, en));
        }
    };
    let (brake, wall) = (
        strength == ReadOnlyStrength::Brake,
        strength == ReadOnlyStrength::Wall,
    );
    say(
        brake,
        "brake: 開いている接続は書き込みを続けます",
        "brake: sessions that are open go on writing",
    );
    say(
        !wall,
        "どの接続も SET または BEGIN READ WRITE で自分の読み取り専用を解除できます。トランザクションプーラー経由では他の利用者の分も解除されます",
        "any session can lift the mode for itself (SET, BEGIN READ WRITE), and behind a transaction pooler for the clients after it too",
    );
    say(
        !brake,
        "停止時に他の接続は切断されます",
        "other sessions of the database are ended by the stop",
    );
    say(
        !rolls_back_prepared,
        "準備済みトランザクションは COMMIT PREPARED でコミットできます",
        "prepared transactions can still be committed (COMMIT PREPARED)",
    );
    say(
        rolls_back_prepared,
        "準備済みトランザクションはロールバックされ、元に戻せません",
        "prepared transactions are rolled back, and nothing brings them back",
    );
    limitations
}

fn names(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}

fn grantors_out_of_reach<'a>(access: &'a AccessMap, roles: &'a Roles) -> impl Iterator<Item = &'a str> {
    access
        .values()
        .flat_map(|access| &access.grants)
        .filter_map(|grant| grant.by.as_deref())
        .filter(|by| !roles.may_become(by))
}

/// The first few, each once.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let mut text = names.join(", ");
    if more > 0 {
        text.push_str(&format!(", +{more}"));
    }
    text
}

const SHOWN: usize = 5;
