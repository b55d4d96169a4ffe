use crate::model::{Lang, Text};

/// A component of a rollback.
pub fn component(word: &str) -> Text {
    let ja = match word {
        "front-end" => "フロントエンド",
        "back-end" => "バックエンド",
        "ai-model" => "AIモデル",
        "schema" => "データベースのスキーマ",
        other => other,
    };
    let en = match word {
        "front-end" => "front end",
        "back-end" => "back end",
        "ai-model" => "AI model",
        "schema" => "database schema",
        other => other,
    };
    Text::new(ja, en)
}

/// Why one component goes back before another.
pub fn rollback_rule(first: &str, then: &str) -> Text {
    let (ja, en) = match (first, then) {
        ("front-end", "back-end") => (
            "新しいフロントエンドは、古いバックエンドにない機能を呼ぶ",
            "a newer front end calls what an older back end does not have",
        ),
        ("back-end", "ai-model") => (
            "プロンプトとツールはバックエンドの版に合わせてあるので、モデルは後に続く",
            "prompts and tools belong to the version of the back end, so the model follows it",
        ),
        ("back-end", "schema") => (
            "新しいバックエンドが動いている間は、スキーマを戻さない",
            "no schema goes back while a newer back end serves",
        ),
        _ => (
            "後のものは先のものに依存しない",
            "the latter does not depend on the former",
        ),
    };
    let (before, after) = (component(first), component(then));
    Text::new(
        format!("{} → {}: {ja}", before.get(Lang::Ja), after.get(Lang::Ja)),
        format!("{}, then {}: {en}", before.get(Lang::En), after.get(Lang::En)),
    )
}

/// The parts of a rollback, in their order.
pub fn rollback_phases() -> Vec<Text> {
    [
        (
            "検知: エラー率・遅延・利用者の報告から、どの配備の後に始まったかを確かめる",
            "detect: from error rate, latency and reports, find the deployment after which it began",
        ),
        (
            "判断: 前進して直すより戻す方が早く安全かを決める。スキーマが後方互換でなければ戻さない",
            "judge: decide that going back is faster and safer than a fix; not if the schema cannot go back",
        ),
        (
            "順序: 依存する側から先に戻す",
            "order: what depends on something goes back before it",
        ),
        (
            "整合: 各段で、残っている新しい版が古い版に依存しないことを確かめる",
            "consistency: at each stage, no newer version that is left depends on an older one",
        ),
        (
            "実行: 段ごとに戻し、読み取りで確認してから次へ進む",
            "act: go back stage by stage, and read back each before the next",
        ),
        (
            "確認: 利用者の経路・エラー率・データを確かめる",
            "check: the paths of users, the error rate, the data",
        ),
        (
            "学習: 経過と原因を記録し、再発を防ぐ試験を加える",
            "learn: keep timeline and cause, and add the test that would have caught it",
        ),
    ]
    .map(|(ja, en)| Text::new(ja, en))
    .into()
}
