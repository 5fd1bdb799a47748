//! A listener that waits for data before it accepts: slow clients see their SYN+ACK repeated.

use crate::findings::kept::{joined, keep_most};
use crate::findings::rule::{finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::Keys;
use crate::findings::trend::Firsts;
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::time::Span;

finding! {
    /// A server ignored the end of handshakes until data came: TCP_DEFER_ACCEPT, most likely.
    ///
    /// ## What it means
    ///
    /// With `TCP_DEFER_ACCEPT` (nginx and Apache set it) a listening program is woken by the first
    /// data, not by the handshake. The kernel ignores the bare ACK and stays in SYN_RCVD; shortly
    /// before its timeout it sends the SYN+ACK once more, and accepts the ACK of that one. This is
    /// no fault, and must not be mistaken for a full accept queue.
    ///
    /// ## How it is inferred
    ///
    /// The server repeated its SYN+ACK exactly once after an ACK, and the client had sent no data.
    /// Either the repeat came `late_s` or more after the first SYN+ACK, whereas an ordinary repeat
    /// comes after one second; or `connections_min` connections of the service show it, whatever
    /// the time.
    ///
    /// ## When it is wrong
    ///
    /// An ACK lost behind the observer also draws a repeat, though after one second. A few of those
    /// at once look like this.
    ///
    /// ## What to do
    ///
    /// Nothing, unless clients wait for the server to speak first: then the option must not be set.
    ///
    /// ## References
    ///
    /// tcp(7), TCP_DEFER_ACCEPT; RFC 9293 section 3.10.7.4
    pub DEFERRED_ACCEPT = {
        name: "deferred-accept",
        severity: Note,
        since: "0.1.0",
        thresholds: {
            late_s: 2.5 "seconds" "Time to a repeat that a lost ACK does not explain.",
            connections_min: 3.0 "connections" "Connections with an earlier repeat that suffice.",
        },
        scope: Grouped(|| Box::new(Deferrals::default())),
        looks_for: [Signs::fact(FactKind::SynAckRepeatedAfterAck)],
        raises: opened!(
            "7.010 < S. 0:0(0) ack 1
             7.011 > .  1:1(0) ack 1
             9.000 > P. 1:101(100) ack 1
             9.010 < .  1:1(0) ack 101"
        ),
        // The ACK was lost, once.
        near_miss: opened!(
            "1.010 < S. 0:0(0) ack 1
             1.011 > .  1:1(0) ack 1
             9.000 > P. 1:101(100) ack 1
             9.010 < .  1:1(0) ack 101"
        ),
    }
}

/// How long after the SYN the only repeat of the SYN+ACK came, on a connection whose client had
/// acknowledged the first and was silent.
pub(super) fn deferral(history: &History) -> Option<Span> {
    let repeated = history.fact(FactKind::SynAckRepeatedAfterAck, Role::Server)?;
    let ignored = history.fact(FactKind::SynAckRepeatedAfterData, Role::Server);
    let asked = history.by_event(Role::Server, &[Event::RecvSyn])?;
    let is_patient = repeated.count == 1 && ignored.is_none();
    is_patient.then(|| repeated.first.ts.since(asked.at.ts))
}

/// What is counted for one service.
#[derive(Debug, Default)]
struct Listener {
    late: u64,
    early: u64,
    longest: Span,
    first: Firsts,
}

joined!(Listener { late, early, longest: keep_most, first });

#[derive(Default)]
struct Deferrals(Parties<Listener>);

impl Grouping for Deferrals {
    fn take(&mut self, history: &History, keys: &Keys, context: &Context) {
        let Some(waited) = deferral(history) else { return };
        let listener = self.0.entry(Party::of(keys, Role::Server));
        match waited >= context.span("late_s") {
            true => listener.late += 1,
            false => listener.early += 1,
        }
        listener.longest = listener.longest.max(waited);
        listener.first.add(history.first, history.id);
        listener.first.goes_on(history.first.ts.after(waited));
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, _: &Context) -> bool {
        deferral(history).is_some()
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, listener) in self.0.drain() {
            let count = listener.late + listener.early;
            if listener.late == 0 && count < context.count("connections_min") {
                continue;
            }
            let message = format!(
                "{} ignored the bare ACK on {} and repeated its SYN+ACK once, after up to {}: \
                 consistent with TCP_DEFER_ACCEPT, which is no fault",
                party.words(),
                number(count, "connection"),
                listener.longest,
            );
            let finding = listener.first.finding(count, &party, context, message);
            out.push(finding.with("connections", count).with("longest_s", listener.longest));
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}
