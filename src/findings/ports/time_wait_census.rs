//! How many sockets wait in TIME_WAIT, and where.

use crate::addr::HostPort;
use crate::findings::kept::{joined, keep_most};
use crate::findings::rule::finding;
use crate::findings::service::{Party, Servers};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::{Crowd, Firsts, Hosts};
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Signs, Stay};
use crate::infer::state::State;
use crate::limits::CROWDS_MAX;
use crate::time::Span;

finding! {
    /// One side of a service had many sockets in TIME_WAIT at once: normal for the first closer.
    ///
    /// ## What it means
    ///
    /// Whoever closes first keeps the four-tuple for two segment lifetimes, so that late segments
    /// of the old connection cannot disturb a new one, and the last ACK can be repeated. TIME_WAIT
    /// belongs to no process, holds no descriptor and ends by itself. Many of them are the trace of
    /// many short connections, not a leak.
    ///
    /// ## How it is inferred
    ///
    /// For each service and side, the largest number of TIME_WAITs at once, if at least
    /// `crowd_min`. A TIME_WAIT that a new connection on the same four-tuple ended is not counted
    /// together with that connection's own.
    ///
    /// ## When it is wrong
    ///
    /// Linux keeps at most `net.ipv4.tcp_max_tw_buckets` and silently drops the others at once.
    ///
    /// ## What to do
    ///
    /// Nothing. On a client with thousands per service, see port-exhaustion.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.3.2 and 3.6.1; RFC 1337
    pub TIME_WAIT_CENSUS = {
        name: "time-wait-census",
        severity: Note,
        since: "0.1.0",
        thresholds: { crowd_min: 20.0 "sockets" "TIME_WAITs at once that are reported." },
        scope: Grouped(|| Box::new(Census(Servers::with_max(CROWDS_MAX)))),
        looks_for: [Signs::state(State::TimeWait)],
        raises: "clients 30 0.5
                 0.00 > S  0:0(0)
                 0.01 < S. 0:0(0) ack 1
                 0.02 > .  1:1(0) ack 1
                 0.03 > F. 1:1(0) ack 1
                 0.04 < F. 1:1(0) ack 2
                 0.05 > .  2:2(0) ack 2",
        // As many, but one is over before the next begins.
        near_miss: "clients 30 70
                    0.00 > S  0:0(0)
                    0.01 < S. 0:0(0) ack 1
                    0.02 > .  1:1(0) ack 1
                    0.03 > F. 1:1(0) ack 1
                    0.04 < F. 1:1(0) ack 2
                    0.05 > .  2:2(0) ack 2",
    }
}

/// What is counted of one side of a service.
#[derive(Debug, Default)]
struct Waiting {
    total: u64,
    crowd: Crowd,
    longest: Span,
    peers: Hosts,
    first: Firsts,
}

joined!(Waiting { total, crowd, longest: keep_most, peers, first });

/// Most TIME_WAITs are at few servers, or at very many clients.
struct Census(Servers<Waiting>);

impl Waiting {
    fn add(&mut self, history: &History, peer: HostPort, stay: &Stay) {
        self.total += 1;
        self.crowd.add(stay.entered.at.ts, stay.left, history.predecessor.is_some());
        self.longest = self.longest.max(stay.dwell);
        self.peers.add(peer.ip());
        self.first.add(stay.entered.at, history.id);
    }
}

impl Grouping for Census {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        Some(Suspects::new(context.count("crowd_min"), |suspects, keys| {
            Role::BOTH.iter().any(|role| suspects.holds_party(keys, *role))
        }))
    }

    fn suspect(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        if history.was_in(Role::Client, State::TimeWait) {
            suspects.count(keys.party(Role::Client));
        }
        let Some(stay) = history.stay_in(Role::Server, State::TimeWait) else { return };
        if self.0.are_many() {
            suspects.count(keys.party(Role::Server));
        } else {
            self.0.at_first(keys, |it| it.add(history, keys.addr(Role::Client), &stay));
        }
    }

    fn settle(&mut self, suspects: &mut Suspects) {
        self.0.settle(suspects, |it| it.total);
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &Suspects) {
        for role in Role::BOTH.into_iter().filter(|role| suspects.holds_party(keys, *role)) {
            if let Some(stay) = history.stay_in(role, State::TimeWait) {
                let waiting = self.0.again(Party::of(keys, role));
                waiting.add(history, keys.addr(role.peer()), &stay);
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, role: Role, _: &Finding, _: &Context) -> bool {
        history.was_in(role, State::TimeWait)
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, waiting) in self.0.drain() {
            let (peak, at) = waiting.crowd.peak();
            if peak < context.count("crowd_min").max(1) {
                continue;
            }
            let message = format!(
                "{} closed {} first and had {peak} of them in TIME_WAIT at once: normal, and they \
                 end by themselves",
                party.words(),
                number(waiting.total, "connection"),
            );
            let finding = waiting.first.finding(waiting.total, &party, context, message);
            out.push(
                finding
                    .lasting(waiting.longest)
                    .with("peak", peak)
                    .with("peak_ts", at.to_string().as_str())
                    .with("total", waiting.total)
                    .with("peers", waiting.peers.count()),
            );
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}
