//! A SYN on a four-tuple in use, of which nothing came.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::RolesFrom;
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;

finding! {
    /// A SYN came on a connection that already existed, and nothing came of it.
    ///
    /// ## What it means
    ///
    /// A SYN that the network delayed can arrive long after its connection has opened, or closed.
    /// This is why the handshake has a third segment: if two were enough, the server would open a
    /// connection that nobody wants. As it is, the client refuses the server's answer to the old
    /// SYN, or the server, being in the middle of a connection, does not accept the SYN at all.
    ///
    /// ## How it is inferred
    ///
    /// A SYN with another sequence number passed on a four-tuple in use, or the same SYN after its
    /// connection was over. No SYN+ACK accepted it and no RST refused it, and its sender went on
    /// with the old connection, if with any.
    ///
    /// Or a SYN came again after its connection was over, the server answered it, and the client
    /// met that answer with a RST, or with the ACK of the earlier connection, for which it was
    /// still in TIME_WAIT: it had not just sent that SYN.
    ///
    /// ## When it is wrong
    ///
    /// A client that tries its old port again and then gives up looks the same.
    ///
    /// ## What to do
    ///
    /// Nothing, if there is one. If there are many, something on the path repeats packets, or
    /// somebody forges them.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.5 (figure 8) and 3.10.7.4
    pub STALE_SYN = {
        name: "stale-syn",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::StaleSyn).or(Signs::event(Event::RecvRst))],
        raises: opened!(
            "1.0  > S  90000:90000(0)
             1.01 < .  1:1(0) ack 1
             1.2  > P. 1:101(100) ack 1
             1.3  < .  1:1(0) ack 101"
        ),
        // The SYN was meant: the client had lost its state, and gets a new connection.
        near_miss: opened!(
            "9.0   > S  90000:90000(0)
             9.01  < .  1:1(0) ack 1
             9.02  > R  1:1(0)
             10.0  > S  90000:90000(0)
             10.01 < S. 70000:70000(0) ack 90001
             10.02 > .  90001:90001(0) ack 70001"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if is_refused_by_its_sender(history) {
        let message = words!(
            context,
            "{} answered an old SYN of {}, which refused the answer",
            who(history, Role::Server),
            who(history, Role::Client),
        );
        let finding = context.about(history, Role::Client, history.first, message);
        out.push(finding.frame(history.last).with("syns", 1_u64));
        return;
    }
    // A client that was refused and tries again with the same number is not late.
    let refused = history.handshake() == Handshake::Refused;
    for role in Role::BOTH.into_iter().filter(|_| !refused) {
        let Some(fact) = history.fact(FactKind::StaleSyn, role) else { continue };
        let is_over = |role| history.state_at(role, fact.first.ts) == State::Closed;
        let when = match Role::BOTH.into_iter().all(is_over) {
            true => "when their connection was over",
            false => "while their connection was in use",
        };
        let message = words!(
            context,
            "{} sent a SYN to {} {when}, and nothing came of it: an old segment, or a port reused \
             too early",
            who(history, role),
            history.addr(role.peer()),
        );
        let finding = context.about(history, role, fact.first, message).frame(fact.last);
        out.push(finding.with("syns", u64::from(fact.count)));
    }
}

/// A life that began with a SYN of an earlier one, and that its own sender refused.
fn is_refused_by_its_sender(history: &History) -> bool {
    history.roles_from == RolesFrom::Syn
        && history.by_event(Role::Client, &[Event::SentSyn, Event::FoundOpen]).is_none()
        && (history.by_event(Role::Server, &[Event::RecvRst]).is_some()
            || history.fact(FactKind::StaleSyn, Role::Client).is_some())
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    #[test]
    fn a_connection_that_was_reset_was_not_in_use() {
        let rest = "0.10 > P. 1:101(100) ack 1
             0.11 < R. 1:1(0) ack 101
             0.20 > S  0:0(0)
             1.00 end";
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        let found = check(history, &Thresholds::default());
        let stale = found.iter().find(|it| it.name == "stale-syn").expect("it is told");
        assert!(stale.message.contains("when their connection was over"), "{}", stale.message);
    }
}
