//! A FIN that nobody acknowledges: FIN_WAIT_1 for long.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{number, repeated_in_close, wait_in, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;
use crate::infer::trail::Refuted;

finding! {
    /// The end that closed first repeats its FIN, and nothing acknowledges it.
    ///
    /// ## What it means
    ///
    /// FIN_WAIT_1 lasts until the peer's kernel acknowledges the FIN, which needs no program and
    /// takes a round trip, or some tens of milliseconds if ACKs are delayed. Here the FIN goes out
    /// again and again: the peer's host is gone, or the path lost the connection. The peer may
    /// still be ESTABLISHED and never learn of the close; this is how connections come to exist on
    /// one side only.
    ///
    /// ## How it is inferred
    ///
    /// The FIN, or data before it that is not acknowledged either, was repeated at least
    /// `repeats_min` times within at least `wait_s` of FIN_WAIT_1 or CLOSING, and no answer passed.
    /// If nothing is repeated, the FIN was acknowledged, even if the capture does not hold the ACK.
    ///
    /// ## When it is wrong
    ///
    /// If the answers take another path than the captured one, they are not missing. The capture
    /// may end in the middle of a short outage.
    ///
    /// ## What to do
    ///
    /// Capture at the peer. If the FIN does not arrive there, look for a firewall or NAT whose idle
    /// timeout is shorter than the connection's idle time, and let the program send keepalives more
    /// often than that.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.6 and 3.8.3
    pub FIN_UNANSWERED = {
        name: "fin-unanswered",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            repeats_min: 2.0 "repeats" "Repeats of the FIN, or of data before it, unanswered.",
            wait_s: 2.0 "seconds" "Time without an answer.",
        },
        scope: PerConnection(check),
        looks_for: [Signs::UNANSWERED],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.4 > F. 1:1(0) ack 1
             1.0 > F. 1:1(0) ack 1
             2.2 > F. 1:1(0) ack 1
             4.6 > F. 1:1(0) ack 1
             5.0 end"
        ),
        // Answered at the second repeat.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.4 > F. 1:1(0) ack 1
             1.0 > F. 1:1(0) ack 1
             1.1 < F. 1:1(0) ack 2
             1.2 > .  2:2(0) ack 2
             9.0 end"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let wait = wait_in(history, role, State::FinWait1)
            .filter(|wait| wait.stay.left.is_none() || wait.ended_by.is_some_and(is_end))
            .or_else(|| wait_in(history, role, State::Closing));
        let Some(wait) = wait else { continue };
        let repeats = u64::from(history.side(role).unanswered_at_end);
        let unseen = history.side(role.peer()).tally.segments == 0;
        let enough = repeats >= context.count("repeats_min").max(1);
        if wait.length < context.span("wait_s") || !enough || unseen {
            continue;
        }
        // It believed an ACK until it sent the FIN again.
        let is_refuted = |it: &Refuted| {
            it.end == history.end(role) && [State::FinWait2, State::TimeWait].contains(&it.state)
        };
        let lacks = match history.refuted.iter().any(is_refuted) {
            true => words!(
                context,
                "though {} acknowledged it: the ACKs did not arrive, or were not taken",
                who(history, role.peer())
            ),
            false => words!(context, "and {} did not acknowledge it", who(history, role.peer())),
        };
        let message = words!(
            context,
            "{} repeated {} {} in {}, {lacks}",
            who(history, role),
            repeated_in_close(history.side(role)),
            number(repeats, "time"),
            wait.words(),
        );
        let finding = context
            .about(history, role, wait.since, message)
            .lasting(wait.length)
            .going_on(wait.goes_on());
        out.push(finding.frame(history.last).with("repeats", repeats));
    }
}

/// Ends of the wait that are no answer.
fn is_end(event: Event) -> bool {
    matches!(event, Event::GaveUp | Event::Superseded | Event::SentRst)
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    fn told(rest: &str) -> String {
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        let found = check(history, &Thresholds::default());
        let stuck = ["fin-unanswered", "last-ack-stuck"];
        found.into_iter().find(|it| stuck.contains(&it.name)).expect("it is told").message
    }

    #[test]
    fn acks_that_pass_and_do_not_arrive_are_told_as_such() {
        let rest = "0.15 > F. 1:1(0) ack 1
             0.16 < .  1:1(0) ack 2
             0.36 > F. 1:1(0) ack 1
             0.37 < .  1:1(0) ack 2
             0.76 > F. 1:1(0) ack 1
             0.77 < .  1:1(0) ack 2
             1.60 > F. 1:1(0) ack 1
             1.61 < .  1:1(0) ack 2
             3.20 > F. 1:1(0) ack 1
             9.0 end";
        let told = told(rest);
        assert!(told.contains("the ACKs did not arrive, or were not taken"), "{told}");
    }

    /// After a loss it is mostly the data before the FIN that is sent again.
    #[test]
    fn what_is_repeated_is_told_as_it_is() {
        let data = |end: &str| {
            let times = ["1.3", "1.9", "3.1", "5.5"];
            let data = |at| format!("{at} {end} . 1:1449(1448) ack 2");
            times.map(data).join("\n") + "\n12 end"
        };
        let first = "1.00 > . 1:1449(1448) ack 1\n1.01 > FP. 1449:2000(551) ack 1\n";
        let own = told(&format!("{first}{}", data(">").replace("ack 2", "ack 1")));
        assert!(own.contains("repeated the data before its FIN 4 times"), "{own}");
        let fins = told(
            "1.0 > F. 1:1(0) ack 1
             1.3 > F. 1:1(0) ack 1
             1.9 > F. 1:1(0) ack 1
             9.0 end",
        );
        assert!(fins.contains("repeated its FIN 2 times"), "{fins}");
        let both = format!("{first}1.2 > FP. 1449:2000(551) ack 1\n{}", data(">"));
        let both = told(&both.replace("ack 2", "ack 1"));
        assert!(both.contains("repeated data or its FIN 5 times"), "{both}");
        let second = "0.5 > F. 1:1(0) ack 1\n0.6 < . 1:1(0) ack 2\n\
                      1.00 < . 1:1449(1448) ack 2\n1.01 < FP. 1449:2000(551) ack 2\n";
        let last = told(&format!("{second}{}", data("<")));
        assert!(last.contains("repeated the data before its FIN 4 times"), "{last}");
    }
}
