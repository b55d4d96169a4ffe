use ops_core::emergency::Contact;
use ops_core::model::{GateResult, Lang, PlanKind, StepReport, StepResult};
use ops_core::pipeline::Report;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Printer, millis, seconds};

impl Printer {
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
