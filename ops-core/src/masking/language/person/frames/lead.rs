//! What stands in front of a surname: a role, a greeting, the company somebody speaks for.

use super::super::super::letters::is_space;

/// Whether a role and a sign stand before: 出席：奥村, （文責・奥村）.
pub(in super::super) fn is_led(before: &str) -> bool {
    const LEADS: [&str; 20] = [
        "出席",
        "欠席",
        "参加",
        "不参加",
        "確認",
        "承認",
        "作成",
        "記入",
        "起票",
        "文責",
        "遅刻",
        "早退",
        "同席",
        "検印",
        "決裁",
        "査閲",
        "ゲスト",
        "監督",
        "撮影",
        "取材",
    ];
    let lead = before
        .trim_end_matches(is_space)
        .strip_suffix(['：', ':', '＝', '・', '／']);
    lead.is_some_and(|lead| LEADS.iter().any(|word| lead.ends_with(word)))
}

/// Whether somebody speaks of themselves right before: 私は奥村です.
pub(super) fn is_oneself(before: &str) -> bool {
    [
        "私は",
        "僕は",
        "俺は",
        "わたしは",
        "わたくしは",
        "自分は",
        "私、",
        "わたくし、",
        "はい、",
        "はい。",
        "もしもし",
        "もしもし、",
    ]
    .iter()
    .any(|word| before.ends_with(word))
}

/// Whether a message ends before: 以上、奥村.
pub(super) fn signs_off(before: &str) -> bool {
    const ENDS: [&str; 8] = [
        "以上",
        "お願い",
        "失礼",
        "ありがとう",
        "敬具",
        "草々",
        "取り急ぎ",
        "よろしく",
    ];
    before.ends_with(['。', '、', '！', '!', ' ', '　']) && {
        let near = last_of(before, 18);
        ENDS.iter().any(|end| near.contains(end))
    }
}

/// Whether a relation, a role or a department and の stand before: 友人の奥村, 経理の奥村.
pub(super) fn is_related(before: &str) -> bool {
    const ROLES: [&str; 24] = [
        "同僚", "友人", "知人", "親友", "先輩", "後輩", "上司", "部下", "同期", "秘書", "店長", "部長",
        "課長", "係長", "主任", "社長", "院長", "園長", "所長", "弊社", "当社", "当店", "うち", "担任",
    ];
    let Some(role) = before.strip_suffix('の') else {
        return false;
    };
    ROLES.iter().any(|word| role.ends_with(word))
        || [
            "営業",
            "経理",
            "人事",
            "総務",
            "広報",
            "法務",
            "情シス",
            "受付",
            "担当",
            "購買",
            "開発",
        ]
        .iter()
        .any(|word| role.ends_with(word))
}

/// Whether a line begins behind `before`.
pub(in super::super) fn is_line_start(before: &str) -> bool {
    before.is_empty() || before.ends_with('\n')
}

/// Whether a greeting in the same line ends right before: お世話になっております。安藤です。
pub(super) fn greets(before: &str) -> bool {
    const GREETINGS: [&str; 19] = [
        "お世話",
        "お疲れ",
        "おつかれ",
        "はじめまして",
        "初めまして",
        "こんにちは",
        "こんばんは",
        "おはよう",
        "もしもし",
        "失礼いたし",
        "失礼し",
        "ご無沙汰",
        "お久しぶり",
        "夜分",
        "お電話ありがとう",
        "いつもありがとう",
        "先日はありがとう",
        "恐れ入ります",
        "お待たせ",
    ];
    if !before.ends_with(['。', '、', '！', '!', '，', ' ', '　', '.', ',']) {
        return false;
    }
    let near = last_of(before, 26);
    GREETINGS.iter().any(|greeting| near.contains(greeting))
}

/// Whether somebody speaks for a company or an office: 株式会社…の.
pub(super) fn speaks_for(before: &str) -> bool {
    const WITHIN: [&str; 11] = [
        "会社",
        "商店",
        "銀行",
        "法人",
        "（株）",
        "(株)",
        "㈱",
        "事務所",
        "窓口",
        "センター",
        "病院",
    ];
    const ENDS: &[&str] = &[
        "商事",
        "工業",
        "製作所",
        "物産",
        "建設",
        "不動産",
        "電機",
        "電子",
        "製薬",
        "印刷",
        "運輸",
        "運送",
        "保険",
        "証券",
        "大学",
        "支店",
        "本社",
        "支社",
        "営業所",
        "工場",
        "部",
        "課",
        "係",
        "室",
        "デスク",
        "サポート",
        "システムズ",
        "クリニック",
        "出版",
        "商会",
        "産業",
        "食品",
        "興業",
        "設計",
        "通信",
        "ホールディングス",
        "コーポレーション",
        "サービス",
        "ソリューションズ",
        "テック",
        "総務",
        "経理",
        "人事",
        "営業",
        "広報",
        "役所",
        "役場",
        "組合",
        "協会",
        "担当",
        "責任者",
        "委員会",
        "事務局",
        "学校",
        "学院",
        "高校",
        "研究所",
        "医院",
        "薬局",
        "財団",
        "信用金庫",
        "農協",
        "ホテル",
        "旅館",
        "警察署",
        "消防署",
        "保育園",
        "幼稚園",
        "店",
    ];
    let near = last_of(before, 20);
    let office = near.strip_suffix('の').unwrap_or(near);
    WITHIN.iter().any(|word| near.contains(word)) || ENDS.iter().any(|end| office.ends_with(end))
}

/// The last characters of `before` in its line, at most `most`.
fn last_of(before: &str, most: usize) -> &str {
    let near = before
        .char_indices()
        .rev()
        .nth(most)
        .map_or(before, |(at, _)| &before[at..]);
    near.rsplit('\n').next().unwrap_or_default()
}
