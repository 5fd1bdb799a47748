//! A RST ended TIME_WAIT early.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::infer::state::State;

finding! {
    /// A RST ended a TIME_WAIT before its time.
    ///
    /// ## What it means
    ///
    /// TIME_WAIT guards the four-tuple against segments of the old connection. One of those, a
    /// repeated FIN or a late ACK, draws an ACK; the other end, which is already closed, answers
    /// that with a RST; and the RST ends TIME_WAIT. From then on, an old segment could get into a
    /// new connection on the same ports.
    ///
    /// ## How it is inferred
    ///
    /// An acceptable RST passed on its way to an end in TIME_WAIT.
    ///
    /// ## When it is wrong
    ///
    /// A host that follows RFC 1337 ignores the RST and waits on (Linux with `tcp_rfc1337=1`);
    /// the capture cannot tell. Some stacks close with FIN and RST together, and nothing is at
    /// risk.
    ///
    /// ## What to do
    ///
    /// It is harmless unless the same ports are reused within minutes. If they are, set
    /// `tcp_rfc1337=1`.
    ///
    /// ## References
    ///
    /// RFC 1337; RFC 9293 section 3.10.7.4
    pub TIME_WAIT_ASSASSINATION = {
        name: "time-wait-assassination",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::Assassinated)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.3 > .  2:2(0) ack 2
             5.0 < .  2:2(0) ack 2
             5.1 > .  2:2(0) ack 2
             5.2 < R  2:2(0)"
        ),
        // A RST before TIME_WAIT.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.3 < R. 1:1(0) ack 2"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(fact) = history.fact(FactKind::Assassinated, role) else { continue };
        let waited = history.stay_in(role, State::TimeWait);
        let since = waited.map_or(fact.first.ts, |stay| stay.entered.at.ts);
        let waited = fact.first.ts.since(since);
        let message = words!(
            context,
            "a RST from {} ended the TIME_WAIT of {} after {waited}, unless that host follows RFC \
             1337",
            who(history, role.peer()),
            who(history, role),
        );
        out.push(context.about(history, role, fact.first, message).lasting(waited));
    }
}
