//! The last ACK was lost, and TIME_WAIT did its work.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;

finding! {
    /// The last ACK of a close was lost or late, and TIME_WAIT repeated it.
    ///
    /// ## What it means
    ///
    /// The last segment of a close is an ACK that nobody acknowledges. If it is lost, the other end
    /// is still in LAST_ACK and repeats its FIN. This is what TIME_WAIT is for: the end that closed
    /// first is still there to acknowledge the FIN once more, and its two segment lifetimes start
    /// again.
    ///
    /// ## How it is inferred
    ///
    /// A FIN was repeated although an ACK of it had passed, while the other end was in
    /// TIME_WAIT.
    ///
    /// ## When it is wrong
    ///
    /// A FIN that the network duplicates looks the same, if its time and IP identification differ.
    ///
    /// ## What to do
    ///
    /// Nothing. If it happens often, segments are lost behind the observer.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6 and 3.10.7.4
    pub LOST_LAST_ACK = {
        name: "lost-last-ack",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::TimeWaitRestarted)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.3 > .  2:2(0) ack 2
             0.6 < F. 1:1(0) ack 2
             0.7 > .  2:2(0) ack 2"
        ),
        // The first FIN's ACK was lost, not the last.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.5 > F. 1:1(0) ack 1
             0.6 < .  1:1(0) ack 2"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let restarted = history.fact(FactKind::TimeWaitRestarted, role);
        let repeated = history.fact(FactKind::FinRepeatedAfterAck, role.peer());
        let (Some(restarted), Some(repeated)) = (restarted, repeated) else { continue };
        let message = words!(
            context,
            "{} repeated its FIN, as the last ACK had not come: {} acknowledged it again from \
             TIME_WAIT",
            who(history, role.peer()),
            who(history, role),
        );
        let finding = context.about(history, role, repeated.first, message).frame(restarted.last);
        out.push(finding.with("repeats", u64::from(restarted.count)));
    }
}
