use crate::model::Text;

/// What is so, and what to do.
type Both = (Text, Text);

/// Nothing says what is applied.
pub fn no_table() -> Both {
    (
        Text::new(
            "どのツールの適用記録もないので、何が適用済みか分からない",
            "no tool has a table there, so nothing says what is applied",
        ),
        Text::new(
            "接続先のデータベースを確かめる",
            "check that it is the right database",
        ),
    )
}

/// Another program's table.
pub fn not_ours(tool: &str, command: &str) -> Both {
    (
        Text::new(
            format!("{tool} の移行は {tool} 自身だけが戻せる（適用記録を書くのは {tool} だけ）"),
            format!("migrations of {tool} are taken back by {tool} itself, which alone writes its table"),
        ),
        Text::new(command, command),
    )
}

/// Newer ones stand on it.
pub fn in_the_middle(version: &str, newer: &str) -> Both {
    (
        Text::new(
            format!("{version} より新しい版がある（{newer}）。途中の版だけは戻せない"),
            format!("newer ones stand on {version} ({newer}); one in the middle is not taken back"),
        ),
        Text::new(
            "新しい版から順に戻す（--to には残す版を書く）",
            "go back from the newest: --to with the version that is to stay",
        ),
    )
}

/// The version to stay at is not there.
pub fn not_applied(version: &str) -> Both {
    (
        Text::new(
            format!("{version} は適用されていないので、そこへは戻れない"),
            format!("{version} is not applied, so there is no way back to it"),
        ),
        Text::new(
            "適用済みの版を書く（opsctl migrations status --dir DIR）",
            "name one that is applied (opsctl migrations status --dir DIR)",
        ),
    )
}

/// A deed of its own is not ended.
pub fn other_way_back(versions: &str) -> Both {
    (
        Text::new(
            format!("{versions} を戻す作業が終わっていない"),
            format!("going back from {versions} has begun and not ended"),
        ),
        Text::new(
            "先にそれを終わらせる（opsctl migrations back DIR --yes。版は書かない）",
            "end that first: opsctl migrations back DIR --yes, without a version",
        ),
    )
}

/// Applied, and newer than what is to be taken back, and not at hand.
pub fn unknown_newer(version: &str) -> Both {
    (
        Text::new(
            format!("{version} は適用済みだが、このフォルダにない。それより古い版だけは戻せない"),
            format!(
                "{version} is applied, and not in this folder; what is older is not taken back before it"
            ),
        ),
        Text::new(
            "その版を含むリリースのフォルダを使う",
            "use the folder of a release that has it",
        ),
    )
}

/// Half-way, and not meant.
pub fn half_elsewhere(version: &str) -> Both {
    (
        Text::new(
            format!("{version} の適用が途中で止まっている"),
            format!("{version} is half-way: a run of it stopped"),
        ),
        Text::new(
            format!("先に {version} を戻す（back --version {version}）か、最後まで適用する（run）"),
            format!("take {version} back first (back --version {version}), or run it to its end (run)"),
        ),
    )
}

/// A run of it stopped, and it stands on what is on its way back.
pub fn half_on_top(version: &str) -> Both {
    (
        half_elsewhere(version).0,
        Text::new(
            format!("一緒に {version} も戻す（back --to で、戻す途中の版より前の版を指定する）"),
            format!(
                "take {version} back together with them (back --to the version before those that are on their way back)"
            ),
        ),
    )
}

/// The run is not over.
pub fn run_owed(versions: &str) -> Both {
    (
        Text::new(
            format!("{versions} の実行が終わっていない（再起動か見守りが残っている）"),
            format!("the run of {versions} is not over: it owes the restart or the watch"),
        ),
        Text::new(
            "先に終わらせる（opsctl migrations run DIR --restart COMMAND。再起動しないなら --restart true --watch 0）",
            "end it first: opsctl migrations run DIR --restart COMMAND (--restart true --watch 0 to go without)",
        ),
    )
}

/// No SQL.
pub fn program(version: &str) -> Both {
    (
        Text::new(
            format!("{version}: SQL ではなくプログラム"),
            format!("{version} is a program, not a script"),
        ),
        Text::new("そのツールで戻す", "take it back with its tool"),
    )
}

/// There is no down.
pub fn no_way_back(version: &str) -> Both {
    (
        Text::new(
            format!("{version}: .down.sql がない、または文が一つもない"),
            format!("{version} has no .down.sql, or no statement in it"),
        ),
        Text::new(
            "前に進んで直す（新しい移行を書く）か、.down.sql を書いて check --proof で試す",
            "fix forward with a new migration; or write the .down.sql and try it (check --proof)",
        ),
    )
}

/// The server has to be put right first.
pub fn half_done_step(version: &str, position: u32) -> Both {
    (
        Text::new(
            format!("{version}:{position} は途中のまま（DETACH か REINDEX の CONCURRENTLY）"),
            format!("{version}:{position} may be half done (DETACH or REINDEX CONCURRENTLY)"),
        ),
        Text::new(
            "run をもう一度実行して終わらせ（直す文を示す）、それから戻す",
            "run it again, which names what puts it right, and go back from there",
        ),
    )
}

/// Which part of the way up a statement undoes cannot be told.
pub fn not_told(version: &str, sql: &str) -> Both {
    let sql = short(sql);
    (
        Text::new(
            format!("{version} は途中までしか適用されておらず、戻す文がどの段階を戻すのか分からない: {sql}"),
            format!(
                "{version} is applied in part, and which part this statement of the way back undoes cannot be told: {sql}"
            ),
        ),
        finish_or_mend(),
    )
}

/// Something would be left of a step that was run.
pub fn not_undone(version: &str, position: u32, sql: &str) -> Both {
    let sql = short(sql);
    (
        Text::new(
            format!(
                "{version} は途中までしか適用されておらず、適用した段階 {version}:{position} を戻す文が .down.sql に見当たらない: {sql}"
            ),
            format!(
                "{version} is applied in part, and no statement of the .down.sql is known to undo {version}:{position}, which was run: {sql}"
            ),
        ),
        Text::new(
            "原因を直して最後まで適用し（run）、それから戻す。または、その段階を戻す文を .down.sql に書き足す（DROP … IF EXISTS）",
            "mend the cause and run it to its end (run), then go back; or add to the .down.sql what undoes that step (DROP … IF EXISTS)",
        ),
    )
}

/// A statement undoes what was done and what was not.
pub fn undoes_both(version: &str, sql: &str) -> Both {
    let sql = short(sql);
    (
        Text::new(
            format!("{version}: 戻す文が、適用した段階と適用していない段階の両方を戻そうとする: {sql}"),
            format!(
                "{version}: this statement of the way back undoes steps that were run and steps that were not: {sql}"
            ),
        ),
        finish_or_mend(),
    )
}

fn finish_or_mend() -> Text {
    Text::new(
        "原因を直して最後まで適用し（run）、それから戻す。または .down.sql を一文ずつに分ける",
        "mend the cause and run it to its end (run), then go back; or let each statement of the .down.sql undo one step",
    )
}

fn short(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").chars().take(90).collect()
}

/// The running code has to live with it.
pub fn needs_code() -> Both {
    (
        Text::new(
            "動いているコードは、戻したスキーマで動く",
            "the running code can live with what is left",
        ),
        Text::new(
            "--code VERSION=FILE で確かめる。使うコードが動いているなら、先にコードを戻す",
            "look with --code VERSION=FILE; where code that uses it still runs, roll that back first",
        ),
    )
}
