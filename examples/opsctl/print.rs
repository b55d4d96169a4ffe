use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ops_core::emergency::{Contact, Plan, Violation};
use ops_core::model::{
    GateResult, Lang, LastDrill, Opening, PlanKind, PlannedStep, Prior, RunId, StepReport, StepResult, Text,
};
use ops_core::pipeline::Report;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::cli::Language;

/// Writes for people (aligned, coloured on a terminal only) or one JSON document for programs.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    /// Set by the command line, else by the configuration once it is read.
    lang: OnceLock<Lang>,
    colour: bool,
    /// The run that this process has in hand, for when it is interrupted.
    in_hand: Arc<Mutex<Option<RunId>>>,
}

/// A longer value is cut in the output for people; JSON has the whole.
const LONGEST_VALUE: usize = 100;

impl Printer {
    pub(crate) fn new(json: bool, lang: Option<Language>) -> Self {
        let lang = lang.map_or_else(OnceLock::new, |lang| OnceLock::from(Lang::from(lang)));
        Self {
            json,
            lang,
            colour: !json && std::io::stdout().is_terminal(),
            in_hand: Arc::default(),
        }
    }

    /// Where the run is kept that this process has in hand.
    pub(crate) fn in_hand(&self) -> Arc<Mutex<Option<RunId>>> {
        Arc::clone(&self.in_hand)
    }

    /// Takes the configuration's language unless the command line has named one.
    pub(crate) fn prefer(&self, lang: Lang) {
        let _ = self.lang.set(lang);
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn lang(&self) -> Lang {
        self.lang.get().copied().unwrap_or_default()
    }

    pub(crate) fn pick(&self, ja: &str, en: &str) -> String {
        match self.lang() {
            Lang::Ja => ja.to_owned(),
            _ => en.to_owned(),
        }
    }

    pub(crate) fn text<'a>(&self, text: &'a Text) -> &'a str {
        text.get(self.lang())
    }

    /// A line for people; silent in JSON mode. A reader that has gone away is no reason to stop working.
    pub(crate) fn line(&self, line: &str) {
        if !self.json {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    pub(crate) fn heading(&self, line: &str) {
        let line = if self.colour {
            format!("\x1b[1m{line}\x1b[0m")
        } else {
            line.to_owned()
        };
        self.line(&line);
    }

    pub(crate) fn error(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    pub(crate) fn document(&self, document: &Value) {
        let text = serde_json::to_string_pretty(document).unwrap_or_else(|_| "{}".to_owned());
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    pub(crate) fn plan<S>(&self, plan: &Plan<S>) {
        self.steps(plan.kind(), plan.procedure().name(), plan.steps(), plan.opening());
        for wait in plan.waits() {
            self.line(&self.warn(&format!("  {}", self.text(&wait))));
        }
        let promised = plan.promised().as_secs();
        let persons = plan.policy().persons;
        self.line(&self.pick(
            &format!(
                "  目標 {promised} 秒以内 · 必要な承認 {persons} 人 · ダイジェスト {}",
                plan.digest()
            ),
            &format!(
                "  promised within {promised} s · approvals needed {persons} · digest {}",
                plan.digest()
            ),
        ));
    }

    /// What the last drill of the procedure showed, beside what the plan promises.
    pub(crate) fn last_drill<S>(&self, plan: &Plan<S>, last: Option<&LastDrill>) {
        let promised = plan.promised().as_secs();
        let Some(last) = last else {
            self.line(&self.pick(
                &format!("  目標 {promised} 秒 · 訓練の記録なし (opsctl drill)"),
                &format!("  promised {promised} s, never drilled (opsctl drill)"),
            ));
            return;
        };
        let (took, at, world) = (seconds(last.took), last.at.to_jst(), &last.world);
        let slowest = last.slowest.as_ref().map_or_else(String::new, |(target, took)| {
            self.pick(
                &format!("、最も遅い対象 {target} {}", seconds(*took)),
                &format!(", slowest {target} {}", seconds(*took)),
            )
        });
        let line = self.pick(
            &format!("  目標 {promised} 秒 · 前回の訓練 {took}{slowest}（{world}、{at}）"),
            &format!("  promised {promised} s, last drill {took}{slowest} ({world}, {at})"),
        );
        match last.verdict.passed() {
            true => self.line(&line),
            false => self.line(&self.warn(&format!("{line} ✘ {}", last.verdict.name()))),
        }
    }

    /// What is done, to what, and how that was found.
    pub(crate) fn steps(&self, kind: &PlanKind, procedure: &str, steps: &[PlannedStep], opening: &Opening) {
        let what = match kind {
            PlanKind::Stop => self.pick("停止計画", "stop plan"),
            PlanKind::Forget { of, .. } => self.pick(
                &format!("停止前の状態の破棄  {of}"),
                &format!("to give up what {of} holds"),
            ),
            _ => self.pick("復旧計画", "restore plan"),
        };
        self.heading(&format!("{what}  {procedure}"));
        let mut gates = opening.gates.iter().peekable();
        for step in steps {
            while let Some(gate) = gates.next_if(|gate| gate.before <= step.stage) {
                self.line(&format!("  ⏸ {}", self.text(&gate.action)));
            }
            self.line(&format!(
                "  {}. [{}] {}",
                step.step + 1,
                step.stage,
                self.text(&step.action)
            ));
            self.line(&format!("       {}", self.prior(step)));
            for difference in &step.drift {
                self.line(&self.warn(&format!("       {}", self.difference(difference))));
            }
        }
        gates.for_each(|gate| self.line(&format!("  ⏸ {}", self.text(&gate.action))));
        if !opening.jitter.is_zero() {
            let window = opening.jitter.as_secs_f64();
            self.line(&self.pick(
                &format!("  各段階の再開は {window} 秒の間に分散する"),
                &format!("  the steps of a stage begin spread over {window} s"),
            ));
        }
        if let Some(reason) = &opening.ungated {
            self.line(&self.warn(&self.pick(
                &format!("  ⚠ 段階の確認なしで一度に開く: {reason}"),
                &format!("  ⚠ opens at once, without gates: {reason}"),
            )));
        }
        if let PlanKind::Forget { reason, .. } = kind {
            self.line(&self.pick(&format!("  理由: {reason}"), &format!("  reason: {reason}")));
        }
        if matches!(kind, PlanKind::Stop) {
            self.caveats(steps.iter().map(|step| (step.step, step.caveats.as_slice())));
        }
    }

    pub(crate) fn broken_rules(&self, rules: &[Violation]) {
        for rule in rules {
            self.line(&self.warn(&self.pick(&format!("  ⚠ 規則違反 {rule}"), &format!("  ⚠ breaks {rule}"))));
        }
    }

    /// Each limitation once, with the steps it is about.
    fn caveats<'a>(&self, steps: impl Iterator<Item = (u32, &'a [Text])>) {
        let mut seen: Vec<(&Text, Vec<String>)> = Vec::new();
        for (step, caveat) in
            steps.flat_map(|(step, caveats)| caveats.iter().map(move |caveat| (step, caveat)))
        {
            match seen.iter_mut().find(|(known, _)| *known == caveat) {
                Some((_, of)) => of.push((step + 1).to_string()),
                None => seen.push((caveat, vec![(step + 1).to_string()])),
            }
        }
        if !seen.is_empty() {
            self.line(&self.pick("  止まらないもの・注意", "  what this does not stop"));
        }
        for (caveat, of) in seen {
            self.line(&format!("    ※ {} [{}]", self.text(caveat), of.join(",")));
        }
    }

    fn prior(&self, step: &PlannedStep) -> String {
        match &step.prior {
            Prior::Observed { snapshot } => {
                let fields: Vec<_> = snapshot
                    .fields()
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let label = if step.found.is_some() {
                    self.pick("戻す値", "to write back")
                } else {
                    self.pick("現在", "now")
                };
                format!("{label}: {}", cut(&fields.join(" ")))
            }
            prior => self.text(&ops_core::messages::prior_line(prior)).to_owned(),
        }
    }

    fn difference(&self, difference: &ops_core::model::Difference) -> String {
        let show = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| "-".to_owned(), |value| cut(&value.to_string()))
        };
        let (expected, found) = (show(&difference.expected), show(&difference.found));
        self.pick(
            &format!("変更あり {}: 停止時 {expected} → 現在 {found}", difference.path),
            &format!("changed {}: expected {expected}, found {found}", difference.path),
        )
    }

    pub(crate) fn drift(&self, steps: &[PlannedStep]) {
        for step in steps {
            self.error(&format!("  {}", step.target));
            step.drift
                .iter()
                .for_each(|difference| self.error(&format!("    {}", self.difference(difference))));
        }
    }

    pub(crate) fn report(&self, report: &Report, contacts: &[Contact]) {
        let outcome = &report.outcome;
        for step in &outcome.steps {
            self.step(step);
        }
        for gate in &outcome.gates {
            let passed = gate.result == GateResult::Passed;
            let mark = if passed { "✔" } else { "✘" };
            let line = ops_core::messages::gate_line(gate);
            let line = format!("  {mark} ⏸ {}  {}", self.text(&line), seconds(gate.waited));
            self.line(&if passed { line } else { self.warn(&line) });
        }
        if let Some(aborted) = &outcome.aborted {
            let line = ops_core::messages::aborted(aborted);
            self.line(&self.warn(&format!("  {}", self.text(&line))));
        }
        if let Some(reason) = &outcome.ungated {
            self.line(&self.warn(&self.pick(
                &format!("  ⚠ 段階の確認なしで開いた: {reason}"),
                &format!("  ⚠ opened without gates: {reason}"),
            )));
        }
        if matches!(outcome.kind, PlanKind::Stop) {
            self.caveats(
                outcome
                    .steps
                    .iter()
                    .map(|step| (step.step, step.caveats.as_slice())),
            );
        }
        let took = seconds(outcome.took);
        let (promised, late) = (
            outcome.promised(),
            outcome.took.saturating_sub(outcome.promised()),
        );
        let within = match (outcome.within_target, late.is_zero()) {
            (true, _) => self.pick(
                &format!(
                    "目標 {} 内、余裕 {}",
                    seconds(promised),
                    seconds(promised.saturating_sub(outcome.took))
                ),
                &format!(
                    "within target {}, {} to spare",
                    seconds(promised),
                    seconds(promised.saturating_sub(outcome.took))
                ),
            ),
            (false, false) => self.pick(
                &format!("目標 {} を {} 超過", seconds(promised), seconds(late)),
                &format!("target {} missed by {}", seconds(promised), seconds(late)),
            ),
            (false, true) => self.pick("目標外の対象あり", "target missed"),
        };
        self.line(&self.pick(
            &format!("  所要 {took}（{within}） 実行ID {}", outcome.run),
            &format!("  took {took} ({within}), run {}", outcome.run),
        ));
        for notice in &report.notices {
            let phone = contacts
                .iter()
                .find(|contact| contact.audience() == notice.audience)
                .and_then(Contact::phone);
            let phone = phone
                .map(|phone| format!(" ☎ {}", phone.expose_secret()))
                .unwrap_or_default();
            let audience = &notice.audience;
            match (&notice.error, &notice.receipt) {
                (None, None) => self.line(&self.pick(
                    &format!("  連絡 {audience} へ送りました{phone}"),
                    &format!("  told {audience}{phone}"),
                )),
                // This tool's own notifier is an outbox.
                (None, Some(receipt)) if receipt.contains("outbox") => self.line(&self.warn(&self.pick(
                    &format!("  連絡 {audience}: 送信箱に保存しただけで、まだ誰にも届いていません。直接連絡してください{phone}"),
                    &format!("  notice for {audience}: kept in the outbox, nobody has been told yet; call them{phone}"),
                ))),
                (None, Some(receipt)) => self.line(&self.pick(
                    &format!("  連絡 {audience} へ送りました ({receipt}){phone}"),
                    &format!("  told {audience} ({receipt}){phone}"),
                )),
                (Some(error), _) => self.line(&self.warn(&self.pick(
                    &format!("  連絡 {audience} へ送れませんでした: {error}{phone}"),
                    &format!("  could not tell {audience}: {error}{phone}"),
                ))),
            }
        }
        if !outcome.journalled {
            self.line(&self.warn(&self.pick(
                "  ジャーナルに書けない項目がありました",
                "  the journal did not take every entry",
            )));
        }
        for step in outcome.steps.iter().filter(|step| !step.journalled) {
            self.line(&self.warn(&self.pick(
                &format!(
                    "  {}: 停止前の状態はどこにも記録されていません。手作業で復旧してください: {}",
                    step.target,
                    json!(step.prior)
                ),
                &format!(
                    "  {}: the prior state is recorded nowhere; restore by hand: {}",
                    step.target,
                    json!(step.prior)
                ),
            )));
        }
        for line in &report.unrecorded {
            self.line(&self.warn(&self.pick(&format!("  監査記録 {line}"), &format!("  audit {line}"))));
        }
    }

    fn step(&self, step: &StepReport) {
        let good = matches!(step.result, StepResult::Done | StepResult::AlreadyDone) && step.verdict.holds();
        let mark = if good { "✔" } else { "✘" };
        let line = ops_core::messages::step_line(&step.action, &step.result, &step.verdict);
        let line = format!("  {mark} {}  {}", self.text(&line), seconds(step.elapsed));
        self.line(&if good { line } else { self.warn(&line) });
    }

    pub(crate) fn warn(&self, line: &str) -> String {
        if self.colour {
            format!("\x1b[33m{line}\x1b[0m")
        } else {
            line.to_owned()
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A plan as JSON.
pub(crate) fn plan_document<S>(plan: &Plan<S>) -> Value {
    json!({
        "procedure": plan.procedure().name(),
        "plan": plan.kind(),
        "plan_digest": plan.digest(),
        "approvals_needed": plan.policy().persons,
        "promised_ms": millis(plan.promised()),
        "gates": plan.opening().gates.iter().map(|gate| json!({
            "gate": gate.gate,
            "before_stage": gate.before,
            "action": gate.action.get(Lang::En),
            "checks": gate.checks,
            "hold_ms": millis(gate.hold),
            "every_ms": millis(gate.every),
            "patience_ms": millis(gate.patience),
        })).collect::<Vec<_>>(),
        "jitter_ms": millis(plan.opening().jitter),
        "ungated": plan.opening().ungated,
        "waits": plan.waits().iter().map(|wait| wait.get(Lang::En)).collect::<Vec<_>>(),
        "steps": plan.steps().iter().map(|step| json!({
            "step": step.step,
            "stage": step.stage,
            "share": step.share,
            "target": step.target,
            "action": step.action.get(Lang::En),
            "effect": step.effect,
            "prior": step.prior,
            "drift": step.drift,
            "caveats": step.caveats.iter().map(|caveat| caveat.get(Lang::En)).collect::<Vec<_>>(),
            "promised_ms": millis(step.promised),
        })).collect::<Vec<_>>(),
    })
}

/// The last drill as JSON.
pub(crate) fn last_drill_document(last: Option<&LastDrill>) -> Value {
    let Some(last) = last else {
        return Value::Null;
    };
    let slowest = last.slowest.as_ref();
    json!({
        "run": last.run,
        "at": last.at,
        "world": last.world,
        "verdict": last.verdict,
        "took_ms": millis(last.took),
        "slowest": slowest.map(|(target, took)| json!({"target": target, "took_ms": millis(*took)})),
    })
}

/// The steps of a report as JSON.
pub(crate) fn steps_document(report: &Report) -> Value {
    let step = |step: &StepReport| {
        json!({
            "step": step.step,
            "stage": step.stage,
            "share": step.share,
            "target": step.target,
            "action": step.action.get(Lang::En),
            "result": step.result.name(),
            "verdict": step.verdict.name(),
            "reason": step.result.reason().or(step.verdict.reason()),
            "elapsed_ms": millis(step.elapsed),
            "promised_ms": millis(step.promised),
            "within_target": step.within_target,
            "journalled": step.journalled,
            "prior": step.prior,
            "caveats": step.caveats.iter().map(|caveat| caveat.get(Lang::En)).collect::<Vec<_>>(),
        })
    };
    report.outcome.steps.iter().map(step).collect()
}

/// A report as JSON.
pub(crate) fn report_document(report: &Report, exit_code: u8) -> Value {
    let outcome = &report.outcome;
    json!({
        "run": outcome.run,
        "procedure": outcome.procedure,
        "plan": outcome.kind,
        "plan_digest": outcome.digest,
        "status": outcome.status,
        "steps": steps_document(report),
        "gates": outcome.gates.iter().map(|gate| json!({
            "gate": gate.gate,
            "action": gate.action.get(Lang::En),
            "result": gate.result.name(),
            "reason": match &gate.result {
                GateResult::Failed { reason } => Some(reason),
                _ => None,
            },
            "waited_ms": millis(gate.waited),
        })).collect::<Vec<_>>(),
        "ungated": outcome.ungated,
        "aborted": outcome.aborted,
        "started_at": outcome.started_at,
        "took_ms": millis(outcome.took),
        "promised_ms": millis(outcome.promised()),
        "within_target": outcome.within_target,
        "journalled": outcome.journalled,
        "approval": outcome.approval,
        "review_due": outcome.review_due,
        "audited": outcome.audited,
        "unrecorded": report.unrecorded,
        "notices": report.notices,
        "exit_code": exit_code,
    })
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
