//! A listener whose accept queue is full: it repeats SYN+ACKs that were acknowledged.

use crate::findings::rule::{finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role};
use crate::infer::fact::FactKind;
use crate::infer::trail::Moment;
use crate::limits::FINDING_FRAMES_MAX;

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
    /// times on one connection, or on `connections_min` connections of one service. A single
    /// repeat on a single connection is a lost ACK.
    ///
    /// ## When it is wrong
    ///
    /// On a path that loses ACKs behind the observer, the same is seen. A listener with
    /// `TCP_DEFER_ACCEPT` keeps the connection in SYN_RCVD until data comes, on purpose, but
    /// Linux repeats the SYN+ACK for it once at most.
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
    /// First repeats, with connection.
    first: Vec<(Moment, u64)>,
}

#[derive(Default)]
struct Overflows(Parties<Listener>);

fn new() -> Box<dyn Grouping> {
    Box::new(Overflows::default())
}

impl Grouping for Overflows {
    fn take(&mut self, history: &History, _context: &Context) {
        let Some(fact) = history.fact(FactKind::SynAckRepeatedAfterAck, Role::Server) else {
            return;
        };
        let listener = self.0.entry(Party::of(history, Role::Server));
        listener.connections += 1;
        listener.repeats += u64::from(fact.count);
        listener.most = listener.most.max(u64::from(fact.count));
        listener.first.push((fact.first, history.id));
        listener.first.sort_by_key(|(at, id)| (at.ts, *id));
        listener.first.truncate(FINDING_FRAMES_MAX);
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
        let message = format!(
            "{} repeated its SYN+ACK after the ACK on {}, up to {} on one: its accept queue is \
             full, the program does not call accept() in time",
            party.words(),
            number(self.connections, "connection"),
            number(self.most, "time"),
        );
        let first = self.first.first().copied();
        let (at, id) = first.unwrap_or_default();
        let mut finding = context.of_capture(at, message);
        finding.connection = Some(id).filter(|_| self.connections == 1);
        finding.role = Some(party.role);
        finding.host = Some(party.addr());
        finding.frames = self.first.iter().map(|(at, _)| at.frame).collect();
        finding.with("connections", self.connections).with("repeats", self.repeats)
    }
}
