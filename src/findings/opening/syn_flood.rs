//! Many handshakes that nobody completes: a SYN flood, or its shape.

use crate::findings::kept::joined;
use crate::findings::rule::finding;
use crate::findings::rush::{Peak, Rush};
use crate::findings::service::{Party, Servers};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::{Firsts, Hosts};
use crate::findings::waits::{is_left_half_open, number};
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Value};
use crate::grouped::Grouped;
use crate::history::{Handshake, History, Role};
use crate::limits::SERVICES_MAX;

finding! {
    /// A service gets dozens of SYNs that lead to no connection: a SYN flood.
    ///
    /// ## What it means
    ///
    /// Each SYN takes a place in the listener's queue until its handshake is complete. An attacker
    /// who sends SYNs from forged addresses and never answers fills the queue, and real clients are
    /// turned away. With SYN cookies the server keeps no such places and survives; see syn-cookies
    /// for whether it seems to use them.
    ///
    /// ## How it is inferred
    ///
    /// At least `half_open_min` connections to one service stayed without the third segment of
    /// their handshake, and arrived at a rate of `per_second_min` or more in the densest part of
    /// the capture, where they are at least `share_min` percent of all attempts. SYNs that the
    /// server did not answer count if it answered others that nobody completed either, or if they
    /// came from as many hosts: a server under a flood answers until its queue is full, while one
    /// that no longer answers at all is gone.
    ///
    /// ## When it is wrong
    ///
    /// A path on which the SYN+ACKs, or the ACKs behind the observer, are lost makes every
    /// client look like an attacker: then the SYNs come from the service's usual clients. A scan
    /// with SYNs sends a RST for each open port, and does not count. In a capture that was filtered
    /// for SYNs, all handshakes look so.
    ///
    /// ## What to do
    ///
    /// Switch on `net.ipv4.tcp_syncookies`; `nstat -az TcpExtSyncookiesSent` shows them at work.
    /// Look at the addresses: a single host can be blocked, but forged addresses can only be
    /// filtered upstream. If they are your own clients, find where the SYN+ACK is lost.
    ///
    /// ## References
    ///
    /// RFC 4987; RFC 9293 section 3.10.7.4
    pub SYN_FLOOD = {
        name: "syn-flood",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            half_open_min: 20.0 "connections" "Handshakes of one service that nobody completed.",
            share_min: 50.0 "percent" "Their share of the attempts on that service meanwhile.",
            per_second_min: 1.0 "connections per second" "How fast they came.",
        },
        scope: Grouped(|| Box::new(Floods(Servers::with_max(SERVICES_MAX)))),
        raises: "clients 30 0.05
                 0.01 > S  0:0(0)
                 0.02 < S. 0:0(0) ack 1
                 1.02 < S. 0:0(0) ack 1
                 9.00 end",
        // One client that cannot be reached.
        near_miss: "0.0 > S  0:0(0)
                    0.1 < S. 0:0(0) ack 1
                    1.1 < S. 0:0(0) ack 1
                    3.1 < S. 0:0(0) ack 1
                    9.0 end",
    }
}

/// What is counted for one service.
#[derive(Debug, Default)]
struct Target {
    attempts: u64,
    half_open: u64,
    unanswered: u64,
    repeated: u64,
    rush: Rush,
    hosts: Hosts,
    first: Firsts,
}

joined!(Target { attempts, half_open, unanswered, repeated, rush, hosts, first });

struct Floods(Servers<Target>);

impl Grouping for Floods {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        Some(Suspects::new(least(context), |suspects, keys| {
            suspects.holds_party(keys, Role::Server)
        }))
    }

    fn suspect(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        match self.0.are_many() {
            false if is_attempt(history) => {
                self.0.at_first(keys, |target| target.add(history, keys));
            }
            true if came_to_nothing(history) => suspects.count(keys.party(Role::Server)),
            _ => {}
        }
    }

    fn settle(&mut self, suspects: &mut Suspects) {
        self.0.settle(suspects, Target::bad);
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &Suspects) {
        if is_attempt(history) && suspects.holds_party(keys, Role::Server) {
            self.0.again(Party::of(keys, Role::Server)).add(history, keys);
        }
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, _: &Context) -> bool {
        came_to_nothing(history)
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        let least = least(context);
        let share = context.value("share_min") / 100.0;
        for (party, target) in self.0.drain() {
            // Where one host gets no answer at all, it is a client whose server has gone.
            let heard = target.half_open > 0 || target.hosts.reach(least);
            let peak = target.rush.peak(least, share, context.value("per_second_min"));
            if let Some(peak) = peak.filter(|_| heard) {
                out.push(target.finding(&party, &peak, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

/// Attempts that came to nothing that make a flood.
fn least(context: &Context) -> u64 {
    context.count("half_open_min").max(1)
}

/// Whether a client was seen to ask for the connection.
fn is_attempt(history: &History) -> bool {
    history.handshake() != Handshake::NotCaptured
}

/// Whether a client asked for a connection and none came of it.
fn came_to_nothing(history: &History) -> bool {
    history.handshake() == Handshake::Unanswered || is_left_half_open(history)
}

impl Target {
    /// How many came to nothing.
    fn bad(&self) -> u64 {
        self.half_open + self.unanswered
    }

    /// Counts an attempt.
    fn add(&mut self, history: &History, keys: &Keys) {
        self.attempts += 1;
        let is_bad = came_to_nothing(history);
        self.rush.add(history.first.ts, is_bad);
        if !is_bad {
            return;
        }
        if history.handshake() == Handshake::HalfOpen {
            self.half_open += 1;
            self.repeated += u64::from(history.side(Role::Server).tally.syns > 1);
        } else {
            self.unanswered += 1;
        }
        self.hosts.add(keys.addr(Role::Client).ip());
        self.first.add(history.first, history.id);
    }

    fn finding(&self, party: &Party, peak: &Peak, context: &Context) -> Finding {
        let count = self.bad();
        let message = format!(
            "{} got up to {:.0} SYNs per second from {} that led to no connection, {} of {}: a SYN \
             flood, or a path that loses its answers",
            party.words(),
            peak.per_second,
            self.hosts.words(),
            Grouped(count),
            number(self.attempts, "attempt"),
        );
        let (first, last) = peak.span;
        let finding = self.first.finding(count, party, context, message);
        Finding { ts: first, ..finding }
            .lasting(last.since(first))
            .with("half_open", self.half_open)
            .with("unanswered", self.unanswered)
            .with("attempts", self.attempts)
            .with("hosts", self.hosts.count())
            .with("repeated", self.repeated)
            .with("per_second", Value::Number(peak.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::findings;

    /// A server that answered nobody in vain, and one host that gets no answer: it has gone.
    #[test]
    fn one_host_s_unanswered_syns_are_a_flood_only_if_others_stay_half_open() {
        let mut trace = String::new();
        for client in 0..3 {
            trace += &format!(
                "0.{client}0 {client}> S  0:0(0)
                 0.{client}1 {client}< S. 0:0(0) ack 1
                 0.{client}2 {client}> .  1:1(0) ack 1\n"
            );
        }
        for client in 3..63 {
            trace += &format!("1.{client:02} {client}> S 0:0(0)\n");
        }
        let half_open = "1.70 63> S 0:0(0)\n1.71 63< S. 0:0(0) ack 1\n";
        let is_told = |rest: &str| {
            let found = findings(&format!("{trace}{rest}30 end"));
            found.iter().any(|it| it.name == SYN_FLOOD.name)
        };
        assert!(!is_told(""));
        assert!(is_told(half_open));
    }
}
