use super::{at, fresh, ok};
use crate::model::{Notice, Severity, Text};
use crate::ports::Notifier;

/// The contract of [`Notifier`], as far as the port alone can show it: it sends two notices to `audience`, one of them twice.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn notifier(port: &dyn Notifier, audience: &str) {
    let notice = |subject: Text| {
        let body = Text::new(
            "改行\nと \"引用\" と <b>記号</b>",
            "line\nbreak, \"quotes\" and <b>signs</b>",
        );
        Notice::new(fresh("notice"), audience, Severity::P4, at(0), subject, body)
    };
    let first = notice(Text::new("適合性試験", "conformance suite"));
    ok("send", port.send(&first).await);
    ok("send with the same key", port.send(&first).await);
    let second = notice(Text::new("適合性試験 2", "conformance suite 2"));
    ok("send of another notice", port.send(&second).await);
}
