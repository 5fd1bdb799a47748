//! A SYN on a live connection, answered with a challenge ACK.

use crate::findings::ports::time_wait_refused::refusal;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;

finding! {
    /// A SYN came on a live connection and was answered with an ACK.
    ///
    /// ## What it means
    ///
    /// An end in the middle of a connection must not let a SYN end it, because the SYN may be old
    /// or forged. It answers with an ACK of what it knows: the challenge. A peer that really lost
    /// its state, by a reboot for example, answers the challenge with a RST, sends its SYN again
    /// and gets its new connection; a peer that did not lose it just goes on.
    ///
    /// ## How it is inferred
    ///
    /// A SYN passed on a four-tuple in use, and the next segment from the other end is an ACK that
    /// does not acknowledge it.
    ///
    /// ## When it is wrong
    ///
    /// An ACK that happens to cross the SYN looks like its answer.
    ///
    /// ## What to do
    ///
    /// If a new connection follows at once, the client's host restarted, or reused the port before
    /// the server had closed. If the server's old socket was in CLOSE_WAIT at the time, see
    /// long-close-wait: that socket kept the port from being used.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.5.1 and 3.10.7.4; RFC 5961 section 4.2
    pub SYN_CHALLENGED = {
        name: "syn-challenged",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::ChallengedSyn)],
        raises: opened!(
            "9.0   > S  90000:90000(0)
             9.01  < .  1:1(0) ack 1
             9.02  > R  1:1(0)
             10.0  > S  90000:90000(0)
             10.01 < S. 70000:70000(0) ack 90001
             10.02 > .  90001:90001(0) ack 70001"
        ),
        // A keepalive is answered with the same ACK, and is no SYN.
        near_miss: opened!(
            "9.0   > .  0:0(0) ack 1
             9.01  < .  1:1(0) ack 1"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(fact) = history.fact(FactKind::ChallengedSyn, role) else { continue };
        if refusal(history, role).is_some() {
            continue;
        }
        let message = words!(
            context,
            "{} answered a SYN of {} with a challenge ACK: for it, their connection was still open",
            who(history, role),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, fact.first, message).frame(fact.last);
        out.push(finding.with("challenges", u64::from(fact.count)));
    }
}
