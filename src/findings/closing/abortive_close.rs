//! RST instead of FIN.

use crate::findings::closing::unread_data_reset::reset_over_data;
use crate::findings::living::dead_peer::died_probing;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{had_socket, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;

finding! {
    /// An end closed an open connection with RST instead of FIN.
    ///
    /// ## What it means
    ///
    /// A RST discards whatever was not yet delivered, in both directions, and no TIME_WAIT follows
    /// it. The peer's next read fails with `ECONNRESET`. Programs do this by setting `SO_LINGER`
    /// with a timeout of zero; kernels do it when a program closes, or dies, while received data is
    /// still unread.
    ///
    /// ## How it is inferred
    ///
    /// A RST made by its sender's own socket passed, with no FIN from that end before it, on a
    /// connection that had carried data and had nothing unanswered for long. After the peer's FIN
    /// it is close-wait-reset; over unanswered data of the peer it is unread-data-reset.
    ///
    /// ## When it is wrong
    ///
    /// A firewall may send the RST in the name of either end. A health check that connects and
    /// resets without any data is no fault, and is left out.
    ///
    /// ## What to do
    ///
    /// If the sender meant it, nothing. If not, let the program read to the end before it closes,
    /// or call `shutdown(SHUT_WR)` and then read; and look for `SO_LINGER`. A process that crashed
    /// shows as many such connections at one moment.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6.1 and 3.10.5; RFC 1122 section 4.2.2.13
    pub ABORTIVE_CLOSE = {
        name: "abortive-close",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::event(Event::SentRst)],
        raises: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 < P. 1:101(100) ack 101
             0.3 < R. 101:101(0) ack 101"
        ),
        // A health check: connect, nothing said, reset.
        near_miss: opened!("0.1 > R. 1:1(0) ack 1"),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    /// So many unanswered repeats make the RST the end of a dead connection.
    const DEAD: u16 = 3;
    let bytes: u64 = history.sides.iter().map(|side| side.tally.bytes).sum();
    for role in Role::BOTH {
        let Some(reset) = history.by_event(role, &[Event::SentRst]) else { continue };
        let open = reset.from == State::Established;
        let dead = history.side(role).unanswered_at_end >= DEAD;
        if !open
            || dead
            || bytes == 0
            || !had_socket(history, role)
            || reset_over_data(history, role).is_some()
            || history.fin_of(role).is_some()
            || died_probing(history, role)
        {
            continue;
        }
        let message = words!(
            context,
            "{} closed its connection to {} with a RST instead of a FIN: data still on its way is \
             lost; look in its program for SO_LINGER with a timeout of zero",
            who(history, role),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, reset.at, message);
        out.push(finding.with("from", reset.from.name()).with("bytes", bytes));
    }
}
