//! A new connection on a four-tuple that was in TIME_WAIT.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::state::State;

finding! {
    /// A connection took a four-tuple whose previous one was still in TIME_WAIT.
    ///
    /// ## What it means
    ///
    /// Whoever closes first keeps the four-tuple in TIME_WAIT for twice the maximum segment
    /// lifetime, to repeat the last ACK if need be and to let old segments die. A new SYN may end
    /// that wait early if it cannot be an old one: its sequence number or its timestamp is newer.
    /// This is legal, and a sign that a client goes through its ports fast.
    ///
    /// ## How it is inferred
    ///
    /// The previous connection on the same four-tuple had an end in TIME_WAIT when this SYN came,
    /// and the SYN was accepted.
    ///
    /// ## When it is wrong
    ///
    /// TIME_WAIT ends silently. On a host whose TIME_WAIT is shorter than the assumed one
    /// (`--msl`), it was already over.
    ///
    /// ## What to do
    ///
    /// Nothing, as long as connections open. If some are refused or delayed, let the client keep
    /// its connections open or use more ports or addresses. TIME_WAIT itself is no leak.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.6.1; RFC 6191; RFC 1122 section 4.2.2.13
    pub TIME_WAIT_REUSE = {
        name: "time-wait-reuse",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::PREDECESSOR],
        raises: opened!(
            "0.10 < F. 1:1(0) ack 1
             0.11 > F. 1:1(0) ack 2
             0.12 < .  2:2(0) ack 2
             2.00 > S  90000:90000(0)
             2.01 < S. 70000:70000(0) ack 90001
             2.02 > .  90001:90001(0) ack 70001"
        ),
        // TIME_WAIT is over.
        near_miss: opened!(
            "0.10 < F. 1:1(0) ack 1
             0.11 > F. 1:1(0) ack 2
             0.12 < .  2:2(0) ack 2
             65.0 > S  90000:90000(0)
             65.1 < S. 70000:70000(0) ack 90001
             65.2 > .  90001:90001(0) ack 70001"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let Some(before) = history.predecessor else { return };
    if matches!(history.handshake(), Handshake::Unanswered | Handshake::Refused) {
        return;
    }
    let mut states = Role::BOTH.into_iter().zip(before.states);
    let Some((role, _)) = states.find(|(_, state)| *state == State::TimeWait) else { return };
    let message = words!(
        context,
        "{} and {} reuse ports on which {} was still in TIME_WAIT from connection {}",
        who(history, Role::Client),
        who(history, Role::Server),
        history.addr(role),
        before.id,
    );
    let finding = context.about(history, role, history.first, message);
    out.push(finding.with("predecessor", before.id));
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    #[test]
    fn a_syn_that_is_refused_takes_no_ports() {
        let refused = opened!(
            "0.10 < F. 1:1(0) ack 1
             0.11 > F. 1:1(0) ack 2
             0.12 < .  2:2(0) ack 2
             2.00 > S  90000:90000(0)
             2.01 < R. 0:0(0) ack 90001
             3.00 end"
        );
        let all = connections(refused);
        let found = check(&all[1], &Thresholds::default());
        let names: Vec<_> = found.iter().map(|it| it.name).collect();
        assert_eq!(names, ["connection-refused"]);
    }
}
