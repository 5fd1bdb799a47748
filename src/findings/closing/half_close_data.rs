//! Data after the peer's FIN: the half-close in use.

use crate::findings::closing::reset_after_fin::late_reset;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{number, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;

finding! {
    /// One end went on sending after the other had closed: a half-close in use.
    ///
    /// ## What it means
    ///
    /// Each direction of a connection closes by itself. A FIN says "I have no more data", not "I
    /// want none". A program that calls `shutdown(SHUT_WR)` after its request and reads the
    /// answer uses this; the other side answers from CLOSE_WAIT. That CLOSE_WAIT is no leak.
    ///
    /// ## How it is inferred
    ///
    /// New data passed from an end that had received the peer's FIN.
    ///
    /// ## When it is wrong
    ///
    /// Data that was already on its way when the FIN passed the observer is told apart by the time
    /// that an answer usually takes; close to that time the guess may be wrong.
    ///
    /// ## What to do
    ///
    /// Nothing. But proxies, NATs and load balancers often forget half-closed connections after a
    /// minute: an answer that takes longer may get lost there.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6 and 3.9.1.4; RFC 1122 section 4.2.2.13
    pub HALF_CLOSE_DATA = {
        name: "half-close-data",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::HalfCloseData)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             5.0 < P. 1:1001(1000) ack 2
             5.1 > .  2:2(0) ack 1001
             9.0 < F. 1001:1001(0) ack 2
             9.1 > .  2:2(0) ack 1002"
        ),
        // Data, then both close.
        near_miss: opened!(
            "0.1 < P. 1:1001(1000) ack 1
             0.2 > F. 1:1(0) ack 1001
             0.3 < F. 1001:1001(0) ack 2
             0.4 > .  2:2(0) ack 1002"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(fact) = history.fact(FactKind::HalfCloseData, role) else { continue };
        let bytes = history.side(role).tally.after_peer_fin;
        // What was taken for the peer's FIN turned out to be none, or nobody was there to read.
        if bytes == 0 || late_reset(history, role.peer()).is_some() {
            continue;
        }
        let length = fact.last.ts.since(fact.first.ts);
        let message = words!(
            context,
            "{} sent {} after {} had closed its direction: a half-close in use",
            who(history, role),
            number(bytes, "byte"),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, fact.first, message).frame(fact.last);
        out.push(finding.lasting(length).with("bytes", bytes));
    }
}
