use crate::model::{Disposal, ErasureReport, Lang, Text};

/// The report to the person who asked to be forgotten. It names no other person and no technical detail but the tables.
pub fn erasure_report(report: &ErasureReport) -> Text {
    Text::new(written(report, Lang::Ja), written(report, Lang::En))
}

/// What becomes of rows.
pub fn disposal(disposal: &Disposal) -> Text {
    match disposal {
        Disposal::Delete => Text::new("削除", "deleted"),
        Disposal::Null { .. } => Text::new("項目を空にする", "fields emptied"),
        Disposal::Pseudonym { .. } => Text::new(
            "復元できない値に置き換え",
            "fields replaced by a value that cannot be traced back",
        ),
        Disposal::Keep { reason } => Text::new(format!("保持（理由: {reason}）"), format!("kept ({reason})")),
    }
}

fn written(report: &ErasureReport, lang: Lang) -> String {
    let pick = |ja: &'static str, en: &'static str| if lang == Lang::Ja { ja } else { en };
    let time = |at: Option<crate::model::Timestamp>| {
        at.map_or_else(
            || pick("未完了", "not yet").to_owned(),
            |at| format!("{} (JST)", at.to_jst()),
        )
    };
    let mut lines = vec![
        pick("個人データの削除について", "Erasure of your personal data").to_owned(),
        String::new(),
        format!("{}: {}", pick("対象", "person"), report.person),
        format!(
            "{}: {}",
            pick("受付日時", "requested"),
            time(Some(report.requested_at))
        ),
        format!("{}: {}", pick("完了日時", "completed"), time(report.completed_at)),
    ];
    if let Some(request) = report.request {
        lines.push(format!("{}: {request}", pick("受付番号", "request")));
    }
    lines.push(String::new());
    for line in &report.lines {
        let kept = matches!(line.disposal, Disposal::Keep { .. });
        let count = if kept { line.left } else { line.rows };
        let what = disposal(&line.disposal);
        let unit = pick(" 件", " row(s)");
        let mut text = format!("- {}: {count}{unit} {}", line.table, what.get(lang));
        if !line.is_done() {
            text += &format!(" ({}: {}{unit})", pick("残り", "left"), line.left);
        }
        lines.push(text);
    }
    for (name, count) in &report.traces {
        lines.push(format!("- {name}: {count}"));
    }
    lines.push(String::new());
    lines.push(
        pick(
            "監査ログは、個人情報をマスキングした上で保持期間まで保持します。バックアップに残る複製は、完了から 30 日以内に消えます。",
            "The audit trail stays for its retention period, with personal data masked. Copies in backups are gone within 30 days of the completion.",
        )
        .to_owned(),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ErasureLine, TenantId, Timestamp};

    #[test]
    fn the_person_is_told_both_times_what_went_and_why_something_stays() {
        let at = Timestamp::from_unix_micros(1_769_731_200_000_000);
        let mut report = ErasureReport::new(TenantId::default_tenant(), "usr_1", at);
        let mut gone = ErasureLine::new("memories".parse().unwrap(), Disposal::Delete, 0);
        gone.rows = 12;
        let kept = Disposal::Keep {
            reason: "会計帳簿 7 年".to_owned(),
        };
        report.lines = vec![gone, ErasureLine::new("invoices".parse().unwrap(), kept, 3)];
        let text = erasure_report(&report);
        assert!(
            text.get(Lang::Ja).contains("完了日時: 未完了"),
            "{}",
            text.get(Lang::Ja)
        );
        report.completed_at = Some(at + std::time::Duration::from_secs(90));
        assert!(report.is_done());
        let text = erasure_report(&report);
        for part in [
            "受付日時: 2026-01-30 09:00:00",
            "完了日時: 2026-01-30 09:01:30",
            "public.memories: 12 件 削除",
            "3 件 保持（理由: 会計帳簿 7 年）",
            "30 日",
        ] {
            assert!(
                text.get(Lang::Ja).contains(part),
                "{part} in {}",
                text.get(Lang::Ja)
            );
        }
        assert!(text.get(Lang::En).contains("public.memories: 12 row(s) deleted"));
    }
}
