//! A client that tries many ports and says nothing to any.

use core::any::Any;
use std::collections::BTreeSet;

use crate::addr::Addr;
use crate::findings::kept::Join;
use crate::findings::rule::finding;
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::{Firsts, Stretch};
use crate::findings::waits::{had_socket, number};
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{Handshake, History, Role, Signs};

finding! {
    /// One host tried many ports or hosts and said nothing to any: a port scan.
    ///
    /// ## What it means
    ///
    /// A scanner asks who listens. It sends a SYN (or a FIN, or nothing that makes sense) to
    /// port after port, learns from SYN+ACK, RST or silence, and goes on. The refused
    /// connections and half-open handshakes in the same capture are its traces, not faults of
    /// your services.
    ///
    /// ## How it is inferred
    ///
    /// A client tried at least `targets_min` different addresses and ports, exchanged no payload
    /// with at least nine in ten of them, and at least half of them refused, did not answer, or
    /// never became a connection.
    ///
    /// ## When it is wrong
    ///
    /// A monitor that watches many services looks the same while most of them are down. A peer
    /// to peer program that tries old addresses does, too.
    ///
    /// ## What to do
    ///
    /// If the scanner is yours, leave its address out. If not, see what it found open: `finwait
    /// list --host` with its address.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.1
    pub PORT_SCAN = {
        name: "port-scan",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            targets_min: 15.0 "targets" "Different addresses and ports that one host tried.",
        },
        scope: Grouped(new),
        looks_for: [Signs::NO_DATA],
        raises: "0.01 > S 0:0(0) dport 1
                 0.02 < R. 0:0(0) ack 1 dport 1
                 0.03 > S 0:0(0) dport 2
                 0.03 > S 0:0(0) dport 3
                 0.03 > S 0:0(0) dport 4
                 0.03 > S 0:0(0) dport 5
                 0.03 > S 0:0(0) dport 6
                 0.03 > S 0:0(0) dport 7
                 0.03 > S 0:0(0) dport 8
                 0.03 > S 0:0(0) dport 9
                 0.04 > S 0:0(0) dport 10
                 0.04 > S 0:0(0) dport 11
                 0.04 > S 0:0(0) dport 12
                 0.04 > S 0:0(0) dport 13
                 0.04 > S 0:0(0) dport 14
                 0.04 > S 0:0(0) dport 15
                 0.05 < S. 0:0(0) ack 1 dport 15
                 0.06 > R  1:1(0) dport 15
                 5.00 end",
        // A client that tries one service that is down, again and again.
        near_miss: "0.1 1> S  0:0(0)
                    0.2 1< R. 0:0(0) ack 1
                    0.3 2> S  0:0(0)
                    0.4 2< R. 0:0(0) ack 1
                    0.5 3> S  0:0(0)
                    0.6 3< R. 0:0(0) ack 1",
    }
}

/// What is counted of one client at one service.
#[derive(Debug, Default)]
struct Tried {
    spoke: bool,
    /// Somebody listens there.
    answered: bool,
    /// A connection came of it.
    opened: bool,
    stretch: Stretch,
    first: Firsts,
}

/// What is counted of one client.
#[derive(Debug, Default)]
struct Scanner {
    targets: u64,
    silent: u64,
    open: u64,
    shut: u64,
    hosts: BTreeSet<Addr>,
    stretch: Stretch,
    first: Firsts,
}

impl Join for Tried {
    fn join(&mut self, other: &Tried) {
        let Tried { spoke, answered, opened, stretch, first } = other;
        self.spoke |= spoke;
        self.answered |= answered;
        self.opened |= opened;
        self.stretch.join(stretch);
        self.first.join(first);
    }
}

#[derive(Default)]
struct Scans(Parties<Tried>);

fn new() -> Box<dyn Grouping> {
    Box::new(Scans::default())
}

impl Grouping for Scans {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        let silent = (targets_min(context) * 9).div_ceil(10);
        Some(Suspects::new(silent, |suspects, keys| {
            suspects.holds(keys.host(Role::Client, Role::Client))
        }))
    }

    fn suspect(&mut self, _: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        suspects.count(keys.host(Role::Client, Role::Client));
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, _: &Suspects) {
        let tried = self.0.entry(Party::of(keys, Role::Client));
        tried.spoke |= history.sides.iter().any(|side| side.tally.bytes > 0);
        let is_half = history.handshake() == Handshake::HalfOpen;
        tried.answered |= had_socket(history, Role::Server);
        tried.opened |= had_socket(history, Role::Server) && !is_half;
        tried.stretch.add(history.first.ts);
        tried.stretch.add(history.last.ts);
        tried.first.add(history.first, history.id);
        tried.first.goes_on(history.last.ts);
    }

    fn join(&mut self, other: Box<dyn Any>) {
        if let Ok(other) = other.downcast::<Self>() {
            self.0.join(other.0);
        }
    }

    fn counts(&self, _: &History, _: Role, _: &Finding, _: &Context) -> bool {
        true
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        let tried = self.0.drain();
        // A client's parties stand together: they are in order of its address.
        for client in tried.chunk_by(|(one, _), (other, _)| one.host == other.host) {
            let mut scanner = Scanner::default();
            client.iter().for_each(|(party, tried)| scanner.add(party, tried));
            let least = targets_min(context);
            let is_scan = scanner.targets >= least
                && scanner.silent * 10 >= scanner.targets * 9
                && scanner.shut * 2 >= scanner.targets;
            if let (true, Some((party, _))) = (is_scan, client.first()) {
                out.push(scanner.finding(party, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

/// Targets that make a scan.
fn targets_min(context: &Context) -> u64 {
    context.count("targets_min").clamp(1, u64::from(u32::MAX))
}

impl Scanner {
    fn add(&mut self, party: &Party, tried: &Tried) {
        self.targets += 1;
        self.silent += u64::from(!tried.spoke);
        self.open += u64::from(tried.answered);
        self.shut += u64::from(!tried.opened);
        self.hosts.insert(party.service.ip());
        self.stretch.join(&tried.stretch);
        self.first.join(&tried.first);
    }

    fn finding(&self, party: &Party, context: &Context) -> Finding {
        let (first, last) = self.stretch.ends().unwrap_or_default();
        let length = last.since(first);
        let message = format!(
            "client {} tried {} of {} in {length} and said nothing to {} of them; {}: a port \
             scan",
            party.host,
            number(self.targets, "port"),
            number(self.hosts.len() as u64, "host"),
            self.silent,
            match self.open {
                1 => "1 was open".to_owned(),
                open => format!("{open} were open"),
            },
        );
        let finding = self.first.finding(self.targets, party, context, message);
        // It is about the client, and all that it tried.
        Finding { service: None, ..finding }
            .lasting(length)
            .with("targets", self.targets)
            .with("hosts", self.hosts.len() as u64)
            .with("silent", self.silent)
            .with("open", self.open)
    }
}
