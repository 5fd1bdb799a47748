//! Segments that were captured before the network card had finished them.

use crate::addr::{Addr, HostPort};
use crate::findings::kept::{Kept, joined};
use crate::findings::rule::finding;
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::Firsts;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::limits::PEERS_MAX;

finding! {
    /// A host's segments have no valid checksum yet: the capture ran on that host.
    ///
    /// ## What it means
    ///
    /// Kernels leave the checksum to the network card, and the cutting of large segments as well. A
    /// capture on the sending host sees the segments before that: with wrong checksums, and
    /// sometimes larger than any packet can be. This is no fault, and tells where the capture ran:
    /// what this host sent was seen before it reached the network, and may have been lost there.
    ///
    /// ## How it is inferred
    ///
    /// The checksum of every SYN and SYN+ACK that a host sent is wrong. Other checksums are not
    /// computed.
    ///
    /// ## When it is wrong
    ///
    /// A program that edits captures, to mask addresses for example, without correcting the
    /// checksums leaves the same; then those of both ends are wrong.
    ///
    /// ## What to do
    ///
    /// Nothing. In Wireshark, switch checksum validation off. If the checksums are wrong on the
    /// wire too, which a capture at the peer shows, the card or its driver is broken.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.1; ethtool(8), tx-checksumming
    pub CHECKSUM_OFFLOAD = {
        name: "checksum-offload",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: Grouped(|| Box::new(Hosts { sums: Kept::new(PEERS_MAX), beyond: 0 })),
        looks_for: [Signs::fact(FactKind::WrongChecksum)],
        raises: "0.00 > S  0:0(0) sum 0
                 0.01 < S. 0:0(0) ack 1
                 0.02 > .  1:1(0) ack 1",
        // One broken packet among good ones.
        near_miss: "clients 3 1
                    0.00 > S  0:0(0)
                    0.01 < S. 0:0(0) ack 1
                    0.02 > .  1:1(0) ack 1",
    }
}

/// What is counted of one host's connections.
#[derive(Debug, Default)]
struct Sums {
    connections: u64,
    wrong: u64,
    first: Firsts,
}

joined!(Sums { connections, wrong, first });

struct Hosts {
    sums: Kept<Addr, Sums>,
    /// Wrong ones of hosts for which there was no room.
    beyond: u64,
}

impl Grouping for Hosts {
    fn suspects(&self, _: &Context) -> Option<Suspects> {
        let concern = |suspects: &Suspects, keys: &Keys| {
            Role::BOTH.iter().any(|role| suspects.holds(keys.host(*role, Role::Client)))
        };
        Some(Suspects::new(1, concern))
    }

    fn suspect(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        for role in Role::BOTH {
            if history.fact(FactKind::WrongChecksum, role).is_some() {
                suspects.count(keys.host(role, Role::Client));
            }
        }
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &Suspects) {
        let Hosts { sums, beyond } = self;
        let is_suspect = |role: &Role| suspects.holds(keys.host(*role, Role::Client));
        let has_opened = |role: &Role| history.side(*role).tally.syns > 0;
        for role in Role::BOTH.into_iter().filter(is_suspect).filter(has_opened) {
            let host = history.addr(role).ip();
            let sums = sums.entry(host, |_, sums| *beyond += sums.wrong).or_default();
            sums.connections += 1;
            if let Some(fact) = history.fact(FactKind::WrongChecksum, role) {
                sums.wrong += 1;
                sums.first.add(fact.first, history.id);
            }
        }
    }

    fn join(&mut self, other: Self) {
        let Hosts { sums, beyond } = other;
        self.beyond += beyond;
        self.sums.join(sums, |_, sums| self.beyond += sums.wrong);
    }

    fn counts(&self, history: &History, role: Role, _: &Finding, _: &Context) -> bool {
        history.fact(FactKind::WrongChecksum, role).is_some()
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        let hosts = self.sums.drain(|_, sums| self.beyond += sums.wrong).into_iter();
        for (host, sums) in hosts.filter(|(_, sums)| sums.wrong == sums.connections) {
            let message = format!(
                "the SYNs of {host} have no valid checksum: they were captured on that host, \
                 before its network card filled it in",
            );
            let mut finding = sums.first.of_capture(context, message);
            finding.host = Some(HostPort::new(host, 0));
            out.push(finding.with("connections", sums.connections));
        }
    }

    fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Collector, Thresholds};
    use crate::testkit::connections;

    #[test]
    fn hosts_for_which_there_is_no_room_are_counted() {
        let one = connections("0.0 > S 0:0(0) sum 0\n0.1 < S. 0:0(0) ack 1").remove(0);
        let (client, most) = (one.addr(Role::Client).ip(), PEERS_MAX as u32);
        let of = |host: u32| {
            let own = Addr::from(host.to_be_bytes());
            let moved = |addr| if addr == client { own } else { addr };
            let mut history = one.clone();
            history.tuple = one.tuple.with_addrs(moved);
            history
        };
        // The last host twice.
        let all: Vec<_> =
            (0..most + 2).chain([most + 1]).map(|host| of(0x0a00_0000 + host)).collect();
        let facts = CaptureFacts::default();
        let summary = Collector::collect(Thresholds::default(), all.iter(), &facts);
        assert_eq!(summary.by_name.get("checksum-offload"), Some(&most.into()));
        assert_eq!(summary.groups_beyond, 3);
    }
}
