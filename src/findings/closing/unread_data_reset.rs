//! RST in place of an answer: the program closed, or died, with received data unread.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{had_socket, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::infer::trail::Transition;

finding! {
    /// An end closed with RST while data of its peer was unanswered, and likely unread.
    ///
    /// ## What it means
    ///
    /// A kernel that closes a socket in which received data still waits sends a RST instead of a
    /// FIN, so that the peer learns that its data was not read. The peer's next call fails with
    /// `ECONNRESET`, even if an answer was on its way. It happens when a program dies, or refuses a
    /// request without reading it to its end.
    ///
    /// ## How it is inferred
    ///
    /// A RST made by its sender's own socket passed, with no FIN before it, and the newest data on
    /// the connection was the peer's. It is not reported for a client that had sent data itself: a
    /// client that has its answer may abort. Or the window of the RST's sender was smaller by 4 KiB
    /// or more than in its SYN: received data took up the room.
    ///
    /// ## When it is wrong
    ///
    /// The data may have been read, and the RST intended (`SO_LINGER` with a timeout of zero): the
    /// segments are the same. A firewall may send the RST in the name of either end.
    ///
    /// ## What to do
    ///
    /// If many come at one moment, a process died: look for a crash or an out-of-memory kill at
    /// that time. Otherwise let the program read what is left before it closes, or call
    /// `shutdown(SHUT_WR)` and read until the peer's FIN.
    ///
    /// ## References
    ///
    /// RFC 1122 section 4.2.2.13; RFC 2525 section 2.17; RFC 9293 section 3.6.1
    pub UNREAD_DATA_RESET = {
        name: "unread-data-reset",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [
            Signs::fact(FactKind::ResetOverData).or(Signs::fact(FactKind::ResetWithUnread)),
        ],
        raises: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 < .  1:1(0) ack 101
             0.3 < R. 1:1(0) ack 101"
        ),
        // The answer came before.
        near_miss: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 < P. 1:101(100) ack 101
             0.3 < R. 101:101(0) ack 101"
        ),
    }
}

/// The RST by which a role closed over data of its peer, and whether that had no answer.
pub(super) fn reset_over_data(history: &History, role: Role) -> Option<(&Transition, bool)> {
    let reset = history.by_event(role, &[Event::SentRst])?;
    let noted = |kind| notes(history, kind, role, reset);
    let spoke = history.side(role).tally.bytes > 0;
    let is_likely = noted(FactKind::ResetOverData) && (role == Role::Server || !spoke);
    let is_certain = noted(FactKind::ResetWithUnread);
    let is_open = reset.from == State::Established && had_socket(history, role);
    let unread = is_open && history.fin_of(role).is_none() && (is_likely || is_certain);
    unread.then_some((reset, is_likely))
}

/// Whether a fact of that kind was noted of the RST that a role sent.
pub(super) fn notes(history: &History, kind: FactKind, role: Role, reset: &Transition) -> bool {
    let fact = history.fact(kind, role);
    fact.is_some_and(|it| (it.first.frame..=it.last.frame).contains(&reset.at.frame))
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some((reset, is_unanswered)) = reset_over_data(history, role) else { continue };
        let (how, or) = match is_unanswered {
            true => {
                ("without answering its last data", ", or set SO_LINGER with a timeout of zero")
            }
            false => ("with a receive window that had shrunk", ""),
        };
        let message = words!(
            context,
            "{} sent a RST to {} {how}: its program closed, or died, with data unread{or}",
            who(history, role),
            history.addr(role.peer()),
        );
        let bytes = history.side(role.peer()).tally.bytes;
        let finding = context.about(history, role, reset.at, message);
        out.push(finding.with("bytes_received", bytes));
    }
}

#[cfg(test)]
mod tests {
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    #[test]
    fn what_shows_that_data_was_unread_is_told() {
        let told = |answer: &str| {
            let before = "0.000 > S  0:0(0) win 64240 <mss 1460,wscale 7>
                 0.010 < S. 0:0(0) ack 1 win 65160 <mss 1460,wscale 7>
                 0.011 > .  1:1(0) ack 1
                 0.012 > P. 1:20001(20000) ack 1
                 0.020 < .  1:1(0) ack 20001 win 353\n";
            let history = &connections(&format!("{before}{answer}"))[0];
            let found = check(history, &Thresholds::default());
            let unread = found.into_iter().find(|it| it.name == "unread-data-reset");
            unread.expect("it is told").message
        };
        let silent = told("0.5 < R. 1:1(0) ack 20001 win 353");
        assert!(silent.contains("without answering"), "{silent}");
        let answered = told(
            "0.030 < P. 1:301(300) ack 20001 win 353
             0.031 > .  20001:20001(0) ack 301
             0.5   < R. 301:301(0) ack 20001 win 353",
        );
        assert!(answered.contains("a receive window that had shrunk"), "{answered}");
    }
}
