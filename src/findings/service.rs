//! Connections by service: the server's address and port, and for clients the host that uses it.
//!
//! A leak belongs to a program, and a program is known on the wire by the service that it offers
//! or uses, not by the port that it happened to be given.

use core::hash::Hash;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::addr::{Addr, HostPort};
use crate::findings::kept::{Join, Kept};
use crate::findings::suspects::{Keys, Suspects};
use crate::history::Role;
use crate::limits::{FIRST_LOOK_SERVERS_MAX, SERVICES_MAX};

/// One program's end of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Party {
    /// The host.
    pub host: Addr,
    /// The service that it offers or uses.
    pub service: HostPort,
    /// Which of the two.
    pub role: Role,
}

impl Party {
    /// The party that plays a role in a connection.
    pub fn of(keys: &Keys, role: Role) -> Party {
        Party { host: keys.addr(role).ip(), service: keys.addr(Role::Server), role }
    }

    /// The address for a finding: a client's ports differ, so it has none.
    pub fn addr(&self) -> HostPort {
        match self.role {
            Role::Server => self.service,
            Role::Client => HostPort::new(self.host, 0),
        }
    }

    /// `server 10.9.0.2:6800`, or `client 10.9.0.1 of 10.9.0.2:6800`.
    pub fn words(&self) -> String {
        match self.role {
            Role::Server => format!("server {}", self.service),
            Role::Client => format!("client {} of {}", self.host, self.service),
        }
    }
}

/// A party of those connections that are in one tunnel, by its number: behind another tunnel the
/// same addresses are other hosts'.
pub(super) type InTunnel = (Party, u32);

/// Something counted for each party, or each in a tunnel, bounded: beyond the bound, those that
/// come first in order are kept.
#[derive(Debug)]
pub(super) struct Parties<T, K = Party> {
    /// With each, how often it was asked for.
    counts: Kept<K, (u64, T)>,
    beyond: u64,
}

impl<T> Default for Parties<T> {
    fn default() -> Self {
        Parties::with_max(SERVICES_MAX)
    }
}

impl<T, K: Copy + Ord + Hash> Parties<T, K> {
    /// For at most that many.
    pub fn with_max(max: usize) -> Self {
        Parties { counts: Kept::new(max), beyond: 0 }
    }

    /// The counts of a party, to which something is added.
    pub fn entry(&mut self, party: K) -> &mut T
    where
        T: Default,
    {
        let entry = self.counts.entry(party, |_, (asked, _)| self.beyond += asked);
        let (asked, counts) = entry.or_default();
        *asked += 1;
        counts
    }

    /// Adds the counts of others.
    pub fn join(&mut self, other: Parties<T, K>)
    where
        T: Join,
    {
        self.beyond += other.beyond;
        self.counts.join(other.counts, |_, (asked, _)| self.beyond += asked);
    }

    /// All that were kept, in order.
    pub fn drain(&mut self) -> Vec<(K, T)> {
        let all = self.counts.drain(|_, (asked, _)| self.beyond += asked);
        all.into_iter().map(|(party, (_, counts))| (party, counts)).collect()
    }

    /// How often something was to be counted for a party that is not kept, once all are drained.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

/// Something counted for each server: at the first look as long as servers are few, which spares
/// the second; else for those that are suspect, at the second. Which of the two it was, what is
/// counted does not show.
#[derive(Debug)]
pub(super) struct Servers<T> {
    few: HashMap<Party, T, RandomState>,
    suspects: Parties<T>,
}

impl<T: Default + Join> Servers<T> {
    /// With that many at the second look, at most.
    pub fn with_max(max: usize) -> Self {
        Servers { few: HashMap::default(), suspects: Parties::with_max(max) }
    }

    /// Whether they are more than are counted at the first look.
    pub fn are_many(&self) -> bool {
        self.few.len() > FIRST_LOOK_SERVERS_MAX
    }

    /// The counts of a connection's server, at the first look at them: they are not many.
    pub fn at_first(&mut self, keys: &Keys, count: impl FnOnce(&mut T)) {
        count(self.few.entry(Party::of(keys, Role::Server)).or_default());
    }

    /// All were looked at. Where servers are many, what was counted of them was in vain: each is
    /// suspect of so many as `weight` says.
    pub fn settle(&mut self, suspects: &mut Suspects, weight: impl Fn(&T) -> u64) {
        suspects.but_servers = !self.are_many();
        if self.are_many() {
            for (party, counts) in self.few.drain() {
                let keys = Keys::new(party.service, party.service);
                let times = weight(&counts).min(u8::MAX.into());
                (0..times).for_each(|_| suspects.count(keys.party(Role::Server)));
            }
        }
    }

    /// The counts of a party, at the second look.
    pub fn again(&mut self, party: Party) -> &mut T {
        self.suspects.entry(party)
    }

    /// Adds the counts of others.
    pub fn join(&mut self, other: Servers<T>) {
        let Servers { few, suspects } = other;
        for (party, counts) in few {
            self.few.entry(party).or_default().join(&counts);
        }
        self.suspects.join(suspects);
    }

    /// All that were kept.
    pub fn drain(&mut self) -> impl Iterator<Item = (Party, T)> {
        self.suspects.drain().into_iter().chain(self.few.drain())
    }

    /// How often something was to be counted for a party that is not kept, once all are drained.
    pub fn beyond(&self) -> u64 {
        self.suspects.beyond()
    }
}

impl Suspects {
    /// Whether the second look counts a role's side of its service.
    pub(super) fn holds_party(&self, keys: &Keys, role: Role) -> bool {
        let is_counted = self.but_servers && role == Role::Server;
        !is_counted && self.holds(keys.party(role))
    }
}

impl<T: Join> Join for (u64, T) {
    fn join(&mut self, other: &Self) {
        self.0 += other.0;
        self.1.join(&other.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_the_first_in_order_keep_whole_counts() {
        let party = |port| Party {
            host: Addr::from([10, 0, 0, 1]),
            service: HostPort::from(([10, 0, 0, 2], port)),
            role: Role::Server,
        };
        let mut parties = Parties::<u64>::with_max(4);
        for port in (0..40).chain((0..40).rev()) {
            *parties.entry(party(port)) += 1;
        }
        let kept: Vec<_> =
            parties.drain().into_iter().map(|(it, count)| (it.service.port(), count)).collect();
        assert_eq!(kept, [(0, 2), (1, 2), (2, 2), (3, 2)]);
        assert_eq!(parties.beyond(), 72, "whoever was asked for in vain, each time");
    }
}
