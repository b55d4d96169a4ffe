use ops_core::masking::{BuiltinMasker, Detector};
use ops_core::ports::PiiMasker;
#[test]
fn dbg() {
    let d = Detector::new();
    for t in [
        r#"{"message":"first line\nsecond 090-1234-5678\n\ntanaka@example.com\tthird"}"#,
        r#"{"message":"second 090-1234-5678\n\ntanaka"}"#,
        r#"{"message":"second 090-1234-5678"}"#,
        r#"{"message":"line\nsecond 090-1234-5678 x"}"#,
        r#"{"message":"a 090-1234-5678\n\nb"}"#,
        r#"[API_KEY]\u0040090-****-5678"お客くん東京都***12さん*さん"#,
        "order=0312345678",
        "order=\"x0312345678\"",
        "request_id=\"0312345678\" a",
    ] {
        let f = d.detect(t);
        eprintln!(
            "{t}\n   {:?}\n   {}",
            f.iter().map(|s| (s.kind, &t[s.start..s.end])).collect::<Vec<_>>(),
            BuiltinMasker::new().mask(t)
        );
    }
}
