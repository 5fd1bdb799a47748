//! FIN, then RST to the data that still came.

use crate::findings::closing::keepalive_race::raced;
use crate::findings::living::dead_peer::died_probing;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{FINS, RESETS, number, rst_of, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role};
use crate::infer::state::State;
use crate::infer::trail::Transition;
use crate::time::Span;

finding! {
    /// An end closed both directions at once: it sent a FIN, and a RST to the data that still came.
    ///
    /// ## What it means
    ///
    /// After `close()` nobody is left to read. The FIN says only that no more will be sent, so the
    /// peer may go on sending; the first data that then arrives is answered with a RST and is lost.
    /// To the peer it looks like a broken connection, although the other program simply closed. If
    /// a server closed an idle connection and met the next request, it is keepalive-race.
    ///
    /// ## How it is inferred
    ///
    /// An end in FIN_WAIT_1 or FIN_WAIT_2 sent a RST within `orphan_s` of its FIN, and the peer had
    /// not closed before it, or had sent data after that FIN. The part of that data that was
    /// acknowledged may have been read: how much of it is lost does not show.
    ///
    /// ## When it is wrong
    ///
    /// The few bytes that are lost may be no more than TLS's close_notify (some 30 bytes), which
    /// nobody misses. Some stacks send a RST after their FIN to get rid of TIME_WAIT, and nothing
    /// is lost.
    ///
    /// ## What to do
    ///
    /// If answers get lost, let the program call `shutdown(SHUT_WR)`, read until the peer's FIN,
    /// and only then call `close()`.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.6.1; RFC 1122 section 4.2.2.13; RFC 9112 section 9.6
    pub RESET_AFTER_FIN = {
        name: "reset-after-fin",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            orphan_s: 30.0 "seconds" "Time after the FIN after which the socket was gone.",
        },
        scope: PerConnection(check),
        looks_for: [FINS, RESETS],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.5 < P. 1:51(50) ack 2
             0.6 > R  2:2(0)"
        ),
        // Both closed before the RST.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.3 > .  2:2(0) ack 2
             0.4 < R  2:2(0)"
        ),
    }
}

/// The RST of an end that was waiting for the peer's FIN, and how long after its own FIN.
pub(super) fn late_reset(history: &History, role: Role) -> Option<(&Transition, Span)> {
    let reset = rst_of(history, role)?;
    let fin = history.fin_of(role)?;
    let waiting = matches!(reset.from, State::FinWait1 | State::FinWait2);
    waiting.then(|| (reset, reset.at.ts.since(fin.at.ts)))
}

/// Whether that RST may answer the FIN of the peer, which had sent no data after the role's own.
pub(super) fn answers_fin(history: &History, role: Role, reset: &Transition) -> bool {
    let peer = role.peer();
    let fin_came = history.fin_of(peer).is_some_and(|fin| fin.at.frame < reset.at.frame);
    fin_came && history.side(peer).tally.after_peer_fin == 0
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some((reset, waited)) = late_reset(history, role) else { continue };
        let peer = role.peer();
        let bytes = history.side(peer).tally.after_peer_fin;
        let is_race = role == Role::Server && raced(history).is_some();
        let is_other = answers_fin(history, role, reset) || is_race || died_probing(history, role);
        if waited >= context.span("orphan_s") || is_other {
            continue;
        }
        let lost = match bytes {
            0 => words!(context, "whatever the peer still had to send is lost"),
            bytes => words!(
                context,
                "the peer sent {} after that, the last of which may be lost",
                number(bytes, "byte")
            ),
        };
        let message = words!(
            context,
            "{} closed its connection to {} and sent a RST {waited} after its FIN: {lost}",
            who(history, role),
            history.addr(peer),
        );
        let finding = context.about(history, role, reset.at, message).lasting(waited);
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

    /// A FIN that came behind the RST is not what it answers.
    #[test]
    fn an_abort_before_the_peer_s_fin_is_no_answer_to_it() {
        let before = "0.100 > P. 1:101(100) ack 1
             0.110 < P. 1:101(100) ack 101
             0.111 > F. 101:101(0) ack 101
             0.121 < .  101:101(0) ack 102\n";
        let abort = format!("{before}0.500 > R. 102:102(0) ack 101\n0.504 < F. 101:101(0) ack 102");
        let names = |rest: &str| told(rest).iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(names(&abort), ["reset-after-fin"]);
        let answer = format!("{before}0.500 < F. 101:101(0) ack 102\n0.504 > R 102:102(0)");
        assert_eq!(names(&answer), ["orphan-reset"]);
    }

    /// It answers the data, which came first.
    #[test]
    fn data_before_the_peer_s_fin_is_what_a_rst_answers() {
        let told = told(
            "0.110 < P. 1:1001(1000) ack 1
             0.111 < F. 1001:1001(0) ack 1
             0.112 > .  1:1(0) ack 1002
             0.113 > P. 1:32(31) ack 1002
             0.114 > F. 32:32(0) ack 1002
             0.123 < R  1002:1002(0)",
        );
        assert_eq!(told[0].0, "reset-after-fin");
        assert_eq!(told.len(), 1);
    }

    /// Of what the peer sent, only the last is lost for certain.
    #[test]
    fn data_that_was_acknowledged_is_not_said_to_be_thrown_away() {
        let told = told(
            "0.110 > F. 1:1(0) ack 1
             0.120 < .  1:1(0) ack 2
             0.200 < P. 1:1001(1000) ack 2
             0.210 > .  2:2(0) ack 1001
             30.00 < P. 1001:2001(1000) ack 2
             30.01 > R  2:2(0)",
        );
        assert_eq!(told[0].0, "reset-after-fin");
        assert!(
            told[0].1.contains("sent 2,000 bytes after that, the last of which may be lost"),
            "{}",
            told[0].1
        );
    }
}
