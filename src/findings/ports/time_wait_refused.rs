//! A SYN that a TIME_WAIT turned away.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{number, who};
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::{Basis, State};

finding! {
    /// A new connection failed because its ports were still in TIME_WAIT.
    ///
    /// ## What it means
    ///
    /// A SYN came for a four-tuple on which the other end was still in TIME_WAIT, and was not
    /// taken for a new connection: its sequence number was not ahead of the old one's, nor its
    /// timestamp newer. The end in TIME_WAIT answers with an ACK, or not at all, and the client
    /// tries again until TIME_WAIT is over.
    ///
    /// ## How it is inferred
    ///
    /// An end in TIME_WAIT answered a SYN and its repeat with an ACK; or for `wait_s` nothing
    /// answered the SYN of a connection whose four-tuple was in TIME_WAIT on the other end, and
    /// neither its number nor its timestamp was ahead. If a SYN that is ahead gets no answer,
    /// TIME_WAIT is not the reason: see syn-unanswered.
    ///
    /// ## When it is wrong
    ///
    /// Several stale copies of an old SYN are answered in the same way, but nobody is waiting for
    /// them.
    ///
    /// ## What to do
    ///
    /// Let the client choose another port: do not bind one by hand, and see port-exhaustion. If
    /// several hosts share an address (NAT), their clocks differ and so do their timestamps: let
    /// the NAT choose new ports. Better still, keep connections open and reuse them.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.6.1; RFC 6191; RFC 7323 appendix B
    pub TIME_WAIT_REFUSED = {
        name: "time-wait-refused",
        severity: Warning,
        since: "0.1.0",
        thresholds: { wait_s: 1.0 "seconds" "Time without an answer to the SYN." },
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::ChallengedSyn).or(Signs::PREDECESSOR)],
        raises: opened!(
            "0.10 < F. 1:1(0) ack 1
             0.11 > F. 1:1(0) ack 2
             0.12 < .  2:2(0) ack 2
             2.00 > S  -90000:-90000(0)
             2.01 < .  2:2(0) ack 2
             3.00 > S  -90000:-90000(0)
             3.01 < .  2:2(0) ack 2"
        ),
        // The SYN is ahead of the old connection and accepted.
        near_miss: opened!(
            "0.10 < F. 1:1(0) ack 1
             0.11 > F. 1:1(0) ack 2
             0.12 < .  2:2(0) ack 2
             2.00 > S  90000:90000(0)
             2.01 < S. 70000:70000(0) ack 90001
             2.02 > .  90001:90001(0) ack 70001"
        ),
    }
}

/// The challenge ACKs that a role sent to SYNs from its TIME_WAIT.
pub(in crate::findings) fn refusal(history: &History, role: Role) -> Option<&Fact> {
    let challenged = history.fact(FactKind::ChallengedSyn, role)?;
    let state = history.state_at(role, challenged.first.ts);
    // A stale copy of a SYN comes once, and nobody waits for its answer.
    (state == State::TimeWait && challenged.count > 1).then_some(challenged)
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(fact) = refusal(history, role) else { continue };
        let message = words!(
            context,
            "{} was in TIME_WAIT and answered {} of {} on the same ports with an ACK: they lead to \
             no new connection until TIME_WAIT is over; let the client use another port",
            who(history, role),
            number(u64::from(fact.count), "SYN"),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, fact.first, message).frame(fact.last);
        out.push(finding.with("syns", u64::from(fact.count)));
    }
    let Some(before) = history.predecessor else { return };
    let [_, server] = before.states;
    let asked = history.by_event(Role::Client, &[Event::SentSyn]);
    // A SYN that is surely a new one is ahead of all before, and ends TIME_WAIT.
    let is_behind = asked.is_some_and(|syn| syn.basis != Basis::Observed);
    let has_waited = history.until.since(history.first.ts) >= context.span("wait_s");
    let is_unanswered = history.handshake() == Handshake::Unanswered && has_waited;
    if server == State::TimeWait && is_unanswered && is_behind {
        let message = words!(
            context,
            "{} got no answer to its SYN from {}, which was still in TIME_WAIT from connection {} \
             on the same ports",
            who(history, Role::Client),
            who(history, Role::Server),
            before.id,
        );
        let finding = context.about(history, Role::Server, history.first, message);
        out.push(finding.with("syns", u64::from(history.side(Role::Client).tally.syns)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    #[test]
    fn a_syn_is_refused_by_silence_only_if_it_is_behind_and_time_has_passed() {
        let is_told = |syn: &str, end: &str| {
            let rest = format!(
                "0.10 < F. 1:1(0) ack 1\n0.11 > F. 1:1(0) ack 2\n0.12 < . 2:2(0) ack 2\n\
                 2.00 > S {syn}:{syn}(0)\n{end} end"
            );
            let all = connections(&format!("{}{rest}", opened!("")));
            assert_eq!(all.len(), 2, "{rest}");
            let found = check(&all[1], &Thresholds::default());
            found.iter().any(|it| it.name == TIME_WAIT_REFUSED.name)
        };
        assert!(is_told("-90000", "8"));
        assert!(!is_told("-90000", "2.001"));
        assert!(!is_told("90000", "8"));
    }
}
