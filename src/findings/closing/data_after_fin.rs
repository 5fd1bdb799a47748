//! New data behind one's own FIN: no TCP does that.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{number, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;

finding! {
    /// An end sent data with sequence numbers beyond its own FIN.
    ///
    /// ## What it means
    ///
    /// A FIN is the last thing in its direction; nothing may follow it. Data beyond it breaks the
    /// protocol, and the receiver drops it. Either the sender's stack is broken, or somebody else
    /// sends in its name: a middlebox that answers for it, or two hosts with one address.
    ///
    /// ## How it is inferred
    ///
    /// A segment whose payload ends beyond the number of the FIN that the same end had sent.
    ///
    /// ## When it is wrong
    ///
    /// A new connection on the same ports, whose SYN the capture missed, looks like this at first.
    ///
    /// ## What to do
    ///
    /// Compare the TTL and MAC address of the FIN with those of the data: if they differ, there are
    /// two senders. If not, the stack, or the device that offloads TCP for it, needs an update.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6 and 3.10.2
    pub DATA_AFTER_FIN = {
        name: "data-after-fin",
        severity: Error,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::DataAfterFin)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.3 > P. 2:102(100) ack 1"
        ),
        // Data repeated together with the FIN.
        near_miss: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 > F. 101:101(0) ack 1
             0.5 > FP. 1:101(100) ack 1
             0.6 < .  1:1(0) ack 102"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(fact) = history.fact(FactKind::DataAfterFin, role) else { continue };
        let segments = u64::from(fact.count);
        let message = words!(
            context,
            "{} sent {} with data beyond its own FIN: its stack is broken, or another host sends \
             in its name",
            who(history, role),
            number(segments, "segment"),
        );
        let finding = context.about(history, role, fact.first, message).frame(fact.last);
        out.push(finding.with("segments", segments));
    }
}
