//! A listener whose accept queue is full: it repeats SYN+ACKs that were acknowledged, or resets.

use crate::findings::kept::{joined, keep_most};
use crate::findings::opening::deferred_accept::deferral;
use crate::findings::rule::{finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::Keys;
use crate::findings::trend::Firsts;
use crate::findings::waits::{has_spoken, number};
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::{Basis, State};
use crate::infer::trail::{Refuted, Transition};

finding! {
    /// A server ignores the end of handshakes: its accept queue is full.
    ///
    /// ## What it means
    ///
    /// The kernel completes handshakes on behalf of a listening program and keeps the finished ones
    /// in a queue until the program calls `accept()`. When that queue is full, Linux drops the
    /// client's last ACK and repeats the SYN+ACK. The client is ESTABLISHED and sends data into the
    /// void, while the server is still in SYN_RCVD. The service seems to be up, but hangs. With
    /// `net.ipv4.tcp_abort_on_overflow` set to 1 it answers that ACK with a RST instead, as other
    /// systems do.
    ///
    /// ## How it is inferred
    ///
    /// The server repeated its SYN+ACK although an ACK of it had passed: at least `repeats_min`
    /// times on one connection, or after data from the client on `connections_min` connections of
    /// one service. A single repeat to a client that has sent nothing is a lost ACK, or see
    /// deferred-accept. Or a RST without ACK answered the handshake's own ACK within a round trip,
    /// on at least `resets_min` connections, and the server had sent nothing but its SYN+ACK: that
    /// is how a host answers that has no room for the connection.
    ///
    /// ## When it is wrong
    ///
    /// A path that loses ACKs behind the observer looks the same. The RST does not say why there
    /// was no room: a program that closed its listener at that very moment resets in the same way,
    /// and so does a firewall or load balancer that answers SYNs for a server that it then cannot
    /// reach, or will not let the client reach.
    ///
    /// ## What to do
    ///
    /// `ss -ltn` shows the listener's queue (Recv-Q) and its limit (Send-Q);
    /// `nstat -az TcpExtListenOverflows` counts overflows. Find out why the program does not
    /// accept: all threads may be busy, or descriptors may have run out (see close-wait-leak). Then
    /// raise the backlog of `listen()` and `net.core.somaxconn`.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.4; listen(2), tcp(7)
    pub ACCEPT_QUEUE_OVERFLOW = {
        name: "accept-queue-overflow",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            repeats_min: 2.0 "SYN+ACKs" "Repeats after the ACK that suffice on one connection.",
            connections_min: 3.0 "connections" "Connections with a repeat each that suffice \
                                                together.",
            resets_min: 1.0 "connections" "Connections on which a RST answered the ACK.",
        },
        scope: Grouped(|| Box::new(Overflows::default())),
        looks_for: [Signs::fact(FactKind::SynAckRepeatedAfterAck)
            .or(Signs::event(Event::SentRstWithoutSocket))],
        raises: opened!(
            "1.01 < S. 0:0(0) ack 1
             1.02 > .  1:1(0) ack 1
             3.01 < S. 0:0(0) ack 1
             3.02 > .  1:1(0) ack 1
             7.01 < S. 0:0(0) ack 1
             7.02 > .  1:1(0) ack 1"
        ),
        // The ACK was lost once.
        near_miss: opened!(
            "1.01 < S. 0:0(0) ack 1
             1.02 > .  1:1(0) ack 1
             1.03 > P. 1:101(100) ack 1
             1.04 < .  1:1(0) ack 101"
        ),
    }
}

/// What is counted for one service.
#[derive(Debug, Default)]
struct Listener {
    connections: u64,
    repeats: u64,
    most: u64,
    /// Connections on which data of the client was ignored, too.
    ignored: u64,
    /// Connections on which a RST answered the ACK; the others are counted above.
    resets: u64,
    first: Firsts,
}

joined!(Listener { connections, repeats, most: keep_most, ignored, resets, first });

#[derive(Default)]
struct Overflows(Parties<Listener>);

/// That the server ignored the ACK.
fn overflow(history: &History) -> Option<&Fact> {
    // A client that says nothing and one repeat: TCP_DEFER_ACCEPT, or an ACK that was lost.
    let is_deferred = deferral(history).is_some();
    history.fact(FactKind::SynAckRepeatedAfterAck, Role::Server).filter(|_| !is_deferred)
}

/// The RST by which the server answered the handshake's own ACK, as it seems.
pub(in crate::findings) fn refusal(history: &History) -> Option<&Transition> {
    let reset = history.by_event(Role::Server, &[Event::SentRstWithoutSocket])?;
    let opened = history.stay_in(Role::Server, State::Established).map(|stay| stay.entered);
    let may_have_opened = opened
        .is_some_and(|it| (it.event, it.basis) == (Event::RecvAckOfSyn, Basis::Assumed))
        && reset.from == State::Established;
    let is_disproof = |it: &Refuted| {
        let place = (history.role(it.end), it.state, it.by.frame);
        place == (Role::Server, State::Established, reset.at.frame)
    };
    let never_opened = reset.from == State::SynRcvd && history.refuted.iter().any(is_disproof);
    let is_silent = !has_spoken(history, Role::Server);
    (is_silent && (may_have_opened || never_opened)).then_some(reset)
}

impl Grouping for Overflows {
    fn take(&mut self, history: &History, keys: &Keys, _: &Context) {
        if let Some(reset) = refusal(history) {
            let listener = self.0.entry(Party::of(keys, Role::Server));
            listener.resets += 1;
            listener.first.add(reset.at, history.id);
            return;
        }
        let Some(fact) = overflow(history) else { return };
        let listener = self.0.entry(Party::of(keys, Role::Server));
        listener.connections += 1;
        listener.repeats += u64::from(fact.count);
        listener.most = listener.most.max(u64::from(fact.count));
        listener.ignored +=
            u64::from(history.fact(FactKind::SynAckRepeatedAfterData, Role::Server).is_some());
        listener.first.add(fact.first, history.id);
        listener.first.goes_on(fact.last.ts);
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, _: &Context) -> bool {
        refusal(history).is_some() || overflow(history).is_some()
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, listener) in self.0.drain() {
            let deep = listener.most >= context.count("repeats_min");
            let wide = listener.connections >= context.count("connections_min");
            let repeats = deep || wide;
            if repeats || listener.resets >= context.count("resets_min").max(1) {
                out.push(listener.finding(&party, repeats, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Listener {
    fn finding(&self, party: &Party, repeats: bool, context: &Context) -> Finding {
        let how = if repeats { self.repeated() } else { self.reset() };
        let message = format!(
            "{} {how}; find out why the program does not call accept() in time: busy threads, or \
             descriptors used up",
            party.words(),
        );
        let connections = self.connections + self.resets;
        let finding = self.first.finding(connections, party, context, message);
        let finding = finding.with("connections", connections).with("repeats", self.repeats);
        finding.with("resets", self.resets)
    }

    fn repeated(&self) -> String {
        let where_ = match self.connections {
            1 => number(self.most, "time"),
            count => {
                let (on, most) = (number(count, "connection"), number(self.most, "time"));
                format!("on {on}, up to {most} on one")
            }
        };
        let or_lost = match self.ignored {
            0 => ", or the ACKs are lost behind the observer",
            _ => ", as it ignores the clients' data as well",
        };
        format!("repeated its SYN+ACK after the ACK {where_}: its accept queue is full{or_lost}")
    }

    fn reset(&self) -> String {
        format!(
            "answered the ACK of its SYN+ACK with a RST on {}: it had no room for the connection \
             it had offered, which is consistent with a full accept queue (tcp_abort_on_overflow), \
             a listener that was just closed, or a firewall or load balancer in front",
            number(self.resets, "connection"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::findings;

    /// The message about what follows a handshake, if there is one.
    fn told(rest: &str) -> Option<String> {
        let found = findings(&format!("{}{rest}", opened!("")));
        found.into_iter().find(|it| it.name == ACCEPT_QUEUE_OVERFLOW.name).map(|it| it.message)
    }

    #[test]
    fn a_rst_to_the_ack_of_the_handshake_leaves_open_why() {
        let message = told("0.018 < R 1:1(0)").expect("it is told");
        for cause in ["consistent with a full accept queue", "listener", "firewall"] {
            assert!(message.contains(cause), "{message}");
        }
        // Its data may have asked for the RST; the server has shown nothing of an open connection.
        assert!(told("0.012 > P. 1:101(100) ack 1\n0.018 < R 1:1(0)").is_some());
    }

    #[test]
    fn other_resets_are_no_overflow() {
        // A program's own abort; a RST that answers nothing; one to what an open server was sent.
        assert_eq!(told("0.018 < R. 1:1(0) ack 1"), None);
        assert_eq!(told("5.0 < R 1:1(0)"), None);
        assert_eq!(
            told("0.012 < . 1:1(0) ack 1\n0.013 > P. 1:11(10) ack 1\n0.018 < R 1:1(0)"),
            None
        );
    }
}
