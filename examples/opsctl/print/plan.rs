use ops_core::emergency::{Plan, Violation};
use ops_core::model::{Difference, Lang, LastDrill, Opening, PlanKind, PlannedStep, Prior, Text};
use serde_json::{Value, json};

use super::{Printer, millis, seconds};

impl Printer {
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
    pub(super) fn caveats<'a>(&self, steps: impl Iterator<Item = (u32, &'a [Text])>) {
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
                if fields.is_empty() {
                    return self
                        .pick("書き戻す値はありません", "nothing is written back")
                        .to_owned();
                }
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

    fn difference(&self, difference: &Difference) -> String {
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

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A longer value is cut in the output for people; JSON has the whole.
const LONGEST_VALUE: usize = 100;
