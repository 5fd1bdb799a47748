//! RST out of CLOSE_WAIT: the second to close did it with an abort.

use crate::findings::living::dead_peer::died_probing;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{had_socket, wait_in, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;

finding! {
    /// An end whose peer had closed sent RST instead of its own FIN.
    ///
    /// ## What it means
    ///
    /// The peer's FIN had come, and instead of closing in turn this end aborted: from CLOSE_WAIT to
    /// CLOSED, without LAST_ACK. What it had not yet sent is lost, and the peer's next call fails
    /// with `ECONNRESET`. This happens when a program closes, or dies, while received data is
    /// unread, or when it sets `SO_LINGER` with a timeout of zero.
    ///
    /// ## How it is inferred
    ///
    /// A RST from its own socket passed from an end in CLOSE_WAIT that had sent no FIN.
    ///
    /// ## When it is wrong
    ///
    /// Clients that know the answer is complete close this way to spare the server a TIME_WAIT;
    /// then nothing is lost. A firewall may send the RST in that end's name.
    ///
    /// ## What to do
    ///
    /// If answers get lost, let the program read to the end of the stream before it closes.
    /// After a long CLOSE_WAIT, see long-close-wait: a process that ends, or a cleaner that
    /// aborts what it finds, looks like this.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6.1 and 3.10.5
    pub CLOSE_WAIT_RESET = {
        name: "close-wait-reset",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::state(State::CloseWait), Signs::event(Event::SentRst)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.5 < R. 1:1(0) ack 2"
        ),
        // It closes in turn, and the RST comes from the other end.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.5 > R  2:2(0)"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(wait) = wait_in(history, role, State::CloseWait) else { continue };
        let reset = history.by_event(role, &[Event::SentRst]);
        let Some(reset) = reset.filter(|reset| reset.from == State::CloseWait) else { continue };
        if !had_socket(history, role) || died_probing(history, role) {
            continue;
        }
        let message = words!(
            context,
            "{} answered the FIN of {} with a RST after {} in CLOSE_WAIT, instead of its own FIN{}",
            who(history, role),
            history.addr(role.peer()),
            wait.stay.dwell,
            wait.doubt(history),
        );
        let finding = context.about(history, role, reset.at, message).lasting(wait.stay.dwell);
        out.push(finding.frame(wait.since));
    }
}
