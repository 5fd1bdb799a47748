//! RST instead of FIN.

use crate::findings::closing::unread_data_reset::{notes, reset_over_data};
use crate::findings::living::dead_peer::died_probing;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{had_socket, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
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
    /// A RST that its sender's own socket made passed, with no FIN of that end before it, on a
    /// connection that had carried data and had nothing unanswered for long. After the peer's
    /// FIN it is close-wait-reset, over data of the peer unread-data-reset. The message says
    /// whether everything that had passed was acknowledged, or data was still on its way.
    ///
    /// ## When it is wrong
    ///
    /// A firewall may send the RST in the name of either end. A health check that connects and
    /// resets without any data is no fault and is left out; one that asks something and resets once
    /// it has the answer, as HAProxy's checks do, loses nothing but looks like any other client.
    /// What made the kernel send the RST, `SO_LINGER` or unread data, does not show in the
    /// segments, unless the peer sent no data.
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
        let lost = match notes(history, FactKind::ResetAllAcked, role, reset) {
            true => "what passed was acknowledged, and what was still to come is lost",
            false => "data still on its way is lost",
        };
        let cause = match history.side(role.peer()).tally.bytes {
            0 => "",
            _ => ", or a close() that left received data unread",
        };
        let message = words!(
            context,
            "{} closed its connection to {} with a RST instead of a FIN: {lost}; look in its \
             program for SO_LINGER with a timeout of zero{cause}",
            who(history, role),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, reset.at, message);
        out.push(finding.with("from", reset.from.name()).with("bytes", bytes));
    }
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    fn told(rest: &str) -> Vec<(&'static str, String)> {
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        let found = check(history, &Thresholds::default());
        found.into_iter().map(|it| (it.name, it.message)).collect()
    }

    /// A server that aborts may have had more to say; what it had said has come.
    #[test]
    fn loss_is_told_where_something_was_on_its_way() {
        let said = |rest: &str, word: &str| {
            let told =
                told(&format!("0.1 > P. 1:101(100) ack 1\n0.2 < P. 1:101(100) ack 101\n{rest}"));
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].0, "abortive-close");
            assert!(told[0].1.contains(word), "{}", told[0].1);
        };
        said("0.3 < R. 101:101(0) ack 101", "data still on its way is lost");
        said("0.3 > . 101:101(0) ack 101\n9 < R. 101:101(0) ack 101", "what passed was acknowl");
        said("0.3 > R. 101:101(0) ack 1", "data still on its way is lost");
        // The answer is still to come.
        let asked = "0.3 > P. 101:201(100) ack 101\n0.4 < . 101:101(0) ack 201\n";
        said(&format!("{asked}9 > R. 201:201(0) ack 101"), "what passed was acknowledged");
    }

    #[test]
    fn unread_data_is_no_cause_where_none_was_received() {
        let cause = |rest: &str| told(rest)[0].1.contains("unread");
        assert!(!cause(
            "0.1 > P. 1:101(100) ack 1\n0.2 < . 1:1(0) ack 101\n9 > R. 101:101(0) ack 1"
        ));
        assert!(cause(
            "0.1 > P. 1:101(100) ack 1\n0.2 < P. 1:101(100) ack 101\n0.3 < R. 101:101(0) ack 101"
        ));
    }
}
