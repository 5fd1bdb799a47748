//! SYN_RCVD held: the client never sent the third segment.

use crate::findings::rule::{finding, words};
use crate::findings::waits::{schedule, wait_in, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;
use crate::time::Span;

finding! {
    /// A server answered a SYN, and the third segment of the handshake never came.
    ///
    /// ## What it means
    ///
    /// A connection opens with three segments, so that each end knows that the other heard it. The
    /// server is in SYN_RCVD between the second and the third, usually for one round trip, too
    /// short to be noticed. Here it stayed there, repeating its SYN+ACK. Each such half-open
    /// connection takes a place in the listener's SYN queue; a SYN flood is many of them.
    ///
    /// ## How it is inferred
    ///
    /// A SYN+ACK passed, and for at least `wait_s` the server got no further: it repeated the
    /// SYN+ACK, or the client neither acknowledged nor refused it. If an ACK did pass, the message
    /// says so; see accept-queue-overflow.
    ///
    /// ## When it is wrong
    ///
    /// With SYN cookies the server keeps no state and waits for nothing (see syn-cookies). If only
    /// the server's direction was captured and the client never sent anything again, its ACK went
    /// unseen.
    ///
    /// ## What to do
    ///
    /// If it is one client, check whether the SYN+ACK reaches it (a firewall, or a different route
    /// back). If it is many clients that never answer, their addresses are forged: switch on
    /// `tcp_syncookies`.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.5 and 3.10.7.4; RFC 4987
    pub HALF_OPEN_HANDSHAKE = {
        name: "half-open-handshake",
        severity: Warning,
        since: "0.1.0",
        thresholds: { wait_s: 3.0 "seconds" "Time in SYN_RCVD that is reported." },
        scope: PerConnection(check),
        looks_for: [Signs::state(State::SynRcvd), Signs::SERVER_NOT_OPEN],
        raises: "0.0 > S  0:0(0)
                 0.1 < S. 0:0(0) ack 1
                 1.1 < S. 0:0(0) ack 1
                 3.1 < S. 0:0(0) ack 1
                 6.0 end",
        // A scanner that resets at once leaves nothing open.
        near_miss: "0.0 > S  0:0(0)
                    0.1 < S. 0:0(0) ack 1
                    0.2 > R  1:1(0)
                    60. end",
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    /// A server repeats its SYN+ACK after one to three seconds; one that does not repeat it for
    /// so long shows it too.
    const ALONE: Span = Span::from_secs(10);
    let opened = history.transitions_of(Role::Server).any(|it| it.to == State::Established);
    let acked = history.side(Role::Client).acked_syn;
    let Some(wait) = wait_in(history, Role::Server, State::SynRcvd) else { return };
    let answers = u64::from(history.side(Role::Server).tally.syns);
    let alone = !context.lacks_acks() && wait.length >= ALONE;
    let held = wait.length >= context.span("wait_s") && (answers > 1 || alone);
    let gave_up = matches!(wait.ended_by, None | Some(Event::GaveUp | Event::Superseded));
    if opened || !gave_up || !held {
        return;
    }
    let lacks = match acked {
        true => "did not take the ACK of its SYN+ACK",
        false => "got no ACK of its SYN+ACK",
    };
    let gaps = &history.side(Role::Server).syn_gaps;
    let message = words!(
        context,
        "{} answered the SYN of {}{} and {lacks} in {}: for it, the connection is half open",
        who(history, Role::Server),
        who(history, Role::Client),
        schedule(gaps),
        wait.words(),
    );
    let finding = context.about(history, Role::Server, wait.since, message);
    let finding =
        finding.lasting(wait.length).going_on(wait.goes_on()).frame(wait.stay.entered.confirmed);
    out.push(finding.with("syn_acks", answers).with("gaps_s", gaps));
}
