//! LAST_ACK for long: nobody acknowledges the second FIN.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{number, repeated_in_close, wait_in, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;

finding! {
    /// The end that closed second repeats its FIN, and the last ACK does not come.
    ///
    /// ## What it means
    ///
    /// In LAST_ACK an end has sent its own FIN after the peer's and waits for one ACK. Usually it
    /// takes one round trip. If the ACK is lost, the FIN is repeated, and the peer, which is in
    /// TIME_WAIT for exactly this reason, acknowledges it again. Here nobody does: the peer's host
    /// is gone, or a firewall has forgotten the connection, as many do soon after they have seen
    /// two FINs.
    ///
    /// ## How it is inferred
    ///
    /// LAST_ACK lasted at least `wait_s`, the FIN, or data before it that is not acknowledged
    /// either, was repeated at least `repeats_min` times, and no ACK of it arrived: either none
    /// passed, or the repeats show that those that passed were lost. If nothing is repeated, the
    /// FIN was acknowledged, even if the capture does not hold the ACK.
    ///
    /// ## When it is wrong
    ///
    /// The capture may end before the repeat that succeeds.
    ///
    /// ## What to do
    ///
    /// The kernel gives up by itself after some repeats (`tcp_orphan_retries`). If there are many,
    /// look for a firewall or NAT that drops the ACKs, and check its timeout for closing
    /// connections.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6 and 3.10.8
    pub LAST_ACK_STUCK = {
        name: "last-ack-stuck",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            repeats_min: 2.0 "repeats" "Repeats of the FIN, or of data before it, in vain.",
            wait_s: 1.0 "seconds" "Time in LAST_ACK that is reported.",
        },
        scope: PerConnection(check),
        looks_for: [Signs::UNANSWERED, Signs::state(State::LastAck)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.3 < F. 1:1(0) ack 2
             0.6 < F. 1:1(0) ack 2
             1.2 < F. 1:1(0) ack 2
             2.4 < F. 1:1(0) ack 2
             4.8 < F. 1:1(0) ack 2
             6.0 end"
        ),
        // The last ACK was lost once.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.3 > .  2:2(0) ack 2
             0.6 < F. 1:1(0) ack 2
             0.7 > .  2:2(0) ack 2
             30. end"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(wait) = wait_in(history, role, State::LastAck) else { continue };
        let side = history.side(role);
        let repeats = u64::from(side.unanswered_at_end);
        let unseen = history.side(role.peer()).tally.segments == 0;
        let over = !matches!(wait.ended_by, None | Some(Event::GaveUp | Event::Superseded));
        let enough = repeats >= context.count("repeats_min").max(1);
        if over || wait.length < context.span("wait_s") || !enough || unseen {
            continue;
        }
        let message = words!(
            context,
            "{} repeated {} {} in {} and got no ACK from {}{}: the last ACK is missing",
            who(history, role),
            repeated_in_close(side),
            number(repeats, "time"),
            // What comes after the last repeat is the wait of a timer.
            side.last.ts.since(wait.since.ts),
            history.addr(role.peer()),
            if wait.goes_on() { format!(" in {}", wait.words()) } else { String::new() },
        );
        let finding = context
            .about(history, role, wait.since, message)
            .lasting(wait.length)
            .going_on(wait.goes_on());
        out.push(finding.with("repeats", repeats));
    }
}
