//! A listener whose accept queue is full: it repeats SYN+ACKs that were acknowledged.

use core::any::Any;

use crate::findings::kept::Join;
use crate::findings::opening::deferred_accept::deferral;
use crate::findings::rule::{finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::Keys;
use crate::findings::trend::Firsts;
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Signs};
use crate::infer::fact::{Fact, FactKind};

finding! {
    /// A server ignores the end of handshakes: its accept queue is full.
    ///
    /// ## What it means
    ///
    /// The kernel completes handshakes on behalf of a listening program and keeps the finished
    /// ones in a queue until the program calls `accept()`. When that queue is full, Linux drops
    /// the client's last ACK and repeats the SYN+ACK. The client is ESTABLISHED and sends data
    /// into the void; the server is still in SYN_RCVD. The service looks up, and hangs.
    ///
    /// ## How it is inferred
    ///
    /// The server repeated its SYN+ACK although an ACK of it had passed: at least `repeats_min`
    /// times on one connection, or after data of the client on `connections_min` connections of
    /// one service. A single repeat to a client that has sent nothing is a lost ACK, or see
    /// deferred-accept.
    ///
    /// ## When it is wrong
    ///
    /// On a path that loses ACKs behind the observer, the same is seen.
    ///
    /// ## What to do
    ///
    /// `ss -ltn` shows the queue of the listener (Recv-Q) and its bound (Send-Q); `nstat -az
    /// TcpExtListenOverflows` counts. Find out why the program does not accept: threads that are
    /// all busy, descriptors that ran out (see close-wait-leak). Then raise the backlog of
    /// `listen()` and `net.core.somaxconn`.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.4; listen(2), tcp(7)
    pub ACCEPT_QUEUE_OVERFLOW = {
        name: "accept-queue-overflow",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            repeats_min: 2.0 "SYN+ACKs" "Repeats after the ACK, on one connection, that tell.",
            connections_min: 3.0 "connections" "Connections with a repeat each that tell together.",
        },
        scope: Grouped(new),
        looks_for: [Signs::fact(FactKind::SynAckRepeatedAfterAck)],
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
    first: Firsts,
}

impl Join for Listener {
    fn join(&mut self, other: &Listener) {
        let Listener { connections, repeats, most, ignored, first } = other;
        self.connections += connections;
        self.repeats += repeats;
        self.most = self.most.max(*most);
        self.ignored += ignored;
        self.first.join(first);
    }
}

#[derive(Default)]
struct Overflows(Parties<Listener>);

fn new() -> Box<dyn Grouping> {
    Box::new(Overflows::default())
}

/// That the server ignored the ACK.
fn overflow(history: &History) -> Option<&Fact> {
    // A client that says nothing and one repeat: TCP_DEFER_ACCEPT, or an ACK that was lost.
    let is_deferred = deferral(history).is_some();
    history.fact(FactKind::SynAckRepeatedAfterAck, Role::Server).filter(|_| !is_deferred)
}

impl Grouping for Overflows {
    fn take(&mut self, history: &History, keys: &Keys, _: &Context) {
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

    fn join(&mut self, other: Box<dyn Any>) {
        if let Ok(other) = other.downcast::<Self>() {
            self.0.join(other.0);
        }
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, _: &Context) -> bool {
        overflow(history).is_some()
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, listener) in self.0.drain() {
            let deep = listener.most >= context.count("repeats_min");
            let wide = listener.connections >= context.count("connections_min");
            if deep || wide {
                out.push(listener.finding(&party, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Listener {
    fn finding(&self, party: &Party, context: &Context) -> Finding {
        let where_ = match self.connections {
            1 => number(self.most, "time"),
            count => format!("on {count} connections, up to {} on one", number(self.most, "time")),
        };
        let or_lost = match self.ignored {
            0 => ", or the ACKs are lost behind the observer",
            _ => ", for it ignores the clients' data as well",
        };
        let message = format!(
            "{} repeated its SYN+ACK after the ACK {where_}: its accept queue is full{or_lost}; \
             look why the program does not call accept() in time, at busy threads or used-up \
             descriptors",
            party.words(),
        );
        let finding = self.first.finding(self.connections, party, context, message);
        finding.with("connections", self.connections).with("repeats", self.repeats)
    }
}
