//! Data in the SYN: TCP Fast Open, used or refused.

use crate::findings::rule::{finding, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::fact::FactKind;

finding! {
    /// A client sent data with its SYN: TCP Fast Open.
    ///
    /// ## What it means
    ///
    /// A client that has spoken to a server before may send its request with the SYN and save a
    /// round trip. If the server accepts the data, its SYN+ACK acknowledges it too. If not, the
    /// SYN+ACK acknowledges the SYN alone, and the client sends the data again.
    ///
    /// ## How it is inferred
    ///
    /// A SYN carried payload; the SYN+ACK's acknowledgement number tells whether it was accepted.
    ///
    /// ## When it is wrong
    ///
    /// Some scanners and attack tools put payload into a SYN without any cookie.
    ///
    /// ## What to do
    ///
    /// If it is refused every time, either the server has not switched it on
    /// (`net.ipv4.tcp_fastopen`) or a middlebox removes the option or the data: each such
    /// connection sends its first data twice.
    ///
    /// ## References
    ///
    /// RFC 7413 sections 3 and 4.2
    pub FAST_OPEN = {
        name: "fast-open",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::FastOpen)],
        raises: "0.00 > S  0:100(100) <mss 1460,fo>
                 0.01 < S. 0:0(0) ack 101
                 0.02 > .  101:101(0) ack 1",
        // It asks for a cookie and sends no data yet.
        near_miss: "0.00 > S  0:0(0) <mss 1460,fo>
                    0.01 < S. 0:0(0) ack 1
                    0.02 > .  1:1(0) ack 1",
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(fact) = history.fact(FactKind::FastOpen, role) else { continue };
        let outcome = match history.handshake() {
            Handshake::FastOpen => "accepted",
            Handshake::Unanswered => "unanswered",
            _ => "refused",
        };
        let message = words!(
            context,
            "{} sent data with its SYN to {} (Fast Open): {outcome}",
            who(history, role),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, fact.first, message);
        out.push(finding.with("outcome", outcome));
    }
}
