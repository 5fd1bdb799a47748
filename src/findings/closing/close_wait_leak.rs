//! Connections that pile up in CLOSE_WAIT on one service: the classic leak.

use core::cmp::Reverse;
use std::collections::BTreeSet;

use crate::findings::rule::{finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::waits::{Wait, close_wait, lasting};
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Value};
use crate::history::{History, Role};
use crate::infer::event::Event;
use crate::infer::state::Basis;
use crate::infer::trail::Moment;
use crate::limits::FINDING_FRAMES_MAX;
use crate::time::{Span, Timestamp};

finding! {
    /// Connections pile up in CLOSE_WAIT: a program does not close what its peers have closed.
    ///
    /// ## What it means
    ///
    /// Each peer sent its FIN, the kernel acknowledged it, and the program that holds the socket
    /// never called `close()`. Each such socket keeps a descriptor and its memory until the
    /// process ends, for no timer ends CLOSE_WAIT. When the descriptors run out, `accept()`
    /// fails and the service stands still. The passive side's program is to blame: not the peer
    /// that closed, not the network, and no kernel setting helps.
    ///
    /// ## How it is inferred
    ///
    /// Connections are counted for each service and side: for servers by their address and port,
    /// for clients by their host and the service that they use. `stuck` are those whose
    /// CLOSE_WAIT lasted `hold_s` in silence and was not ended by the program itself; `closed`
    /// those on which this side did send its FIN or RST; `total` all. From `stuck_min` on it is
    /// a leak: one alone is a long-close-wait. `per_minute` is `stuck` over the time since the
    /// first of them.
    ///
    /// ## When it is wrong
    ///
    /// A burst of long polls whose clients went away looks the same for a while: watch whether
    /// the number falls again. Long half-closes in which data flows do not count. FINs that the
    /// capture dropped look like none; see capture-gap.
    ///
    /// ## What to do
    ///
    /// Find the process with `ss -tanp state close-wait`, and the code path that reads the end
    /// of the stream (a read of 0 bytes) and does not close: often an error path, an idle
    /// connection in a pool, an HTTP response body that nobody closed, or a descriptor that a
    /// child process inherited. Restarting the process frees the sockets and hides the bug.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.3.2 and 3.6
    pub CLOSE_WAIT_LEAK = {
        name: "close-wait-leak",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            hold_s: 60.0 "seconds" "Silence in CLOSE_WAIT from which on a connection is stuck.",
            stuck_min: 3.0 "connections" "Stuck connections of one service that make a leak.",
        },
        scope: Grouped(new),
        raises: "0.000 > S  0:0(0)
                 0.010 < S. 0:0(0) ack 1
                 0.020 > .  1:1(0) ack 1
                 0.030 > F. 1:1(0) ack 1
                 0.040 < .  1:1(0) ack 2
                 1.000 1> S  0:0(0)
                 1.010 1< S. 0:0(0) ack 1
                 1.020 1> .  1:1(0) ack 1
                 1.030 1> F. 1:1(0) ack 1
                 1.040 1< .  1:1(0) ack 2
                 2.000 2> S  0:0(0)
                 2.010 2< S. 0:0(0) ack 1
                 2.020 2> .  1:1(0) ack 1
                 2.030 2> F. 1:1(0) ack 1
                 2.040 2< .  1:1(0) ack 2
                 70.00 end",
        // One connection is no leak, however long.
        near_miss: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             900. end"
        ),
    }
}

/// What is counted for one side of a service.
#[derive(Debug, Default)]
struct Passive {
    total: u64,
    closed: u64,
    stuck: u64,
    confirmed: u64,
    assumed: u64,
    /// Some were stuck when the record ended.
    ongoing: bool,
    /// When the first got stuck.
    first: Option<Timestamp>,
    longest: Span,
    /// The longest waits, with connection and frame.
    worst: BTreeSet<(Reverse<Span>, u64, u64)>,
}

#[derive(Default)]
struct Leaks(Parties<Passive>);

fn new() -> Box<dyn Grouping> {
    Box::new(Leaks::default())
}

impl Grouping for Leaks {
    fn take(&mut self, history: &History, context: &Context) {
        for role in Role::BOTH {
            let party = self.0.entry(Party::of(history, role));
            party.total += 1;
            party.closed += u64::from(has_closed(history, role));
            let stuck = close_wait(history, role)
                .filter(|wait| wait.length >= context.span("hold_s"))
                .filter(|wait| !wait.was_closed() && wait.ended_by != Some(Event::GaveUp));
            if let Some(wait) = stuck {
                party.add(history.id, &wait);
            }
        }
    }

    fn finish(&mut self, capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, passive) in self.0.drain() {
            if passive.stuck >= context.count("stuck_min").max(1) {
                out.push(passive.finding(&party, capture, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Passive {
    fn add(&mut self, id: u64, wait: &Wait) {
        let entered = wait.stay.entered;
        self.stuck += 1;
        self.confirmed += u64::from(!entered.is_open());
        self.assumed += u64::from(entered.basis == Basis::Assumed);
        self.ongoing |= wait.ended_by.is_none();
        self.first = Some(self.first.map_or(entered.at.ts, |first| first.min(entered.at.ts)));
        self.longest = self.longest.max(wait.stay.dwell);
        self.worst.insert((Reverse(wait.stay.dwell), id, entered.at.frame));
        if self.worst.len() > FINDING_FRAMES_MAX {
            self.worst.pop_last();
        }
    }

    fn finding(&self, party: &Party, capture: &CaptureFacts, context: &Context) -> Finding {
        let first = self.first.unwrap_or_default();
        let minutes = capture.last_ts.unwrap_or(first).since(first).as_secs_f64() / 60.0;
        let program = match party.role {
            Role::Server => format!("the server program at {}", party.service),
            Role::Client => format!("the program on {}", party.host),
        };
        let mut message = format!(
            "{} holds {} of {} connections in CLOSE_WAIT, the oldest for {}: the peers closed, \
             and {program} did not call close()",
            party.words(),
            self.stuck,
            self.total,
            lasting(self.longest, self.ongoing),
        );
        if self.assumed > 0 {
            message += &format!(
                " ({} of them were open before the capture began, and are assumed not to have \
                 closed by then)",
                self.assumed
            );
        }
        let mut finding = context.of_capture(Moment::silent(first), message).lasting(self.longest);
        finding.role = Some(party.role);
        finding.host = Some(party.addr());
        finding.frames = self.worst.iter().map(|(_, _, frame)| *frame).collect();
        finding
            .with("stuck", self.stuck)
            .with("closed", self.closed)
            .with("total", self.total)
            .with("confirmed", self.confirmed)
            .with("oldest_s", self.longest)
            .with("per_minute", Value::Number(self.stuck as f64 / minutes.max(1.0 / 60.0)))
            .with("service", party.service.to_string().as_str())
    }
}

/// Whether the side closed by itself, first or second.
fn has_closed(history: &History, role: Role) -> bool {
    const CLOSES: [Event; 3] = [Event::SentFin, Event::SentUnseenFin, Event::SentRst];
    history.by_event(role, &CLOSES).is_some()
}
