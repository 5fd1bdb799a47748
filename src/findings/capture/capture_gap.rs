//! Bytes that were acknowledged and never captured.

use crate::findings::kept::Join;
use crate::findings::rule::{finding, opened};
use crate::findings::suspects::Keys;
use crate::findings::trend::Firsts;
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};

finding! {
    /// Bytes were acknowledged that the capture does not hold: packets are missing from it.
    ///
    /// ## What it means
    ///
    /// The receiver has the bytes, so the network did not lose them: the capture did. The capturing
    /// host was too slow, a mirror port overflowed, or a filter let only some packets through. A
    /// FIN or RST may be among what is missing, so states after a gap are less certain, and a
    /// connection may look open that was closed.
    ///
    /// A filter for SYN, FIN and RST alone cannot show CLOSE_WAIT once data has passed: the bytes
    /// before a FIN are missing, and so is the ACK that says whether it was taken.
    ///
    /// ## How it is inferred
    ///
    /// An ACK covers sequence numbers beyond the last that its peer was seen to send. Connections
    /// with one direction never seen are left to one-way-capture.
    ///
    /// ## When it is wrong
    ///
    /// An ACK made up by a broken stack or an attacker may cover what was never sent. A single
    /// missing number may be a FIN rather than a byte.
    ///
    /// ## What to do
    ///
    /// Check what tcpdump said about "packets dropped by kernel"; give it a larger buffer (`-B`), a
    /// smaller snap length or a narrower filter, or write to a faster disk. If the filter dropped
    /// them on purpose, the results hold, but the doubt remains.
    ///
    /// ## References
    ///
    /// Paxson, "Automated Packet Trace Analysis of TCP Implementations", 1997; RFC 9293 section
    /// 3.4
    pub CAPTURE_GAP = {
        name: "capture-gap",
        severity: Warning,
        since: "0.1.0",
        thresholds: { bytes_min: 1.0 "bytes" "Missing bytes that are reported." },
        scope: Grouped(|| Box::new(Gaps::default())),
        looks_for: [Signs::fact(FactKind::Gap)],
        raises: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 < .  1:1(0) ack 1101
             0.3 > P. 1101:1201(100) ack 1"
        ),
        // Lost on the way, repeated and acknowledged: the network's loss.
        near_miss: opened!(
            "0.1 > P. 101:201(100) ack 1
             0.2 < .  1:1(0) ack 1
             0.3 > P. 1:101(100) ack 1
             0.4 < .  1:1(0) ack 201"
        ),
    }
}

#[derive(Default)]
struct Gaps {
    connections: u64,
    bytes: u64,
    /// The first moments, with connection.
    first: Firsts,
}

impl Grouping for Gaps {
    fn take(&mut self, history: &History, _: &Keys, _: &Context) {
        let gaps = Role::BOTH.into_iter().filter_map(|role| Some((role, gap(history, role)?)));
        let mut gaps = gaps.peekable();
        if gaps.peek().is_some() {
            self.connections += 1;
        }
        for (role, fact) in gaps {
            self.bytes += history.side(role).tally.missing;
            self.first.add(fact.first, history.id);
            self.first.goes_on(fact.last.ts);
        }
    }

    fn join(&mut self, other: Self) {
        let Gaps { connections, bytes, first } = other;
        self.connections += connections;
        self.bytes += bytes;
        self.first.join(&first);
    }

    fn counts(&self, history: &History, role: Role, _: &Finding, _: &Context) -> bool {
        gap(history, role).is_some()
    }

    fn finish(&mut self, capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        if self.bytes < context.count("bytes_min").max(1) {
            return;
        }
        let message = format!(
            "{} in {} of {} were acknowledged but never captured: packets are missing from the \
             capture, perhaps a FIN among them",
            number(self.bytes, "byte"),
            self.connections,
            number(capture.connections, "connection"),
        );
        let mut finding = self.first.of_capture(context, message);
        finding.connection = self.first.only(self.connections);
        out.push(finding.with("connections", self.connections).with("missing_bytes", self.bytes));
    }
}

/// What is missing of what a role sent.
fn gap(history: &History, role: Role) -> Option<&Fact> {
    let tally = &history.side(role).tally;
    let is_gap = tally.missing > 0 && tally.segments > 0 && !is_probe(history, role);
    history.fact(FactKind::Gap, role).filter(|_| is_gap)
}

/// A connection that is first seen with a keepalive seems to miss one byte before the next.
fn is_probe(history: &History, role: Role) -> bool {
    history.handshake() == Handshake::NotCaptured
        && history.side(role).tally.missing == 1
        && history.by_event(role, &[Event::SentUnseenFin]).is_none()
}
