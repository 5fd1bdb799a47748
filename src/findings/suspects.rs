//! Rules that count for each of very many groups, and report few, look twice.
//!
//! A capture can hold a million hosts with a connection each, and a count kept for every one of
//! them would take more room than the connections. So the first look counts roughly, in a table in
//! which groups may share a cell: a cell is never less than what any of its groups counts. Whoever
//! stays below what a finding takes needs no second look; the second look, at the connections of
//! the others only, counts exactly. So no finding depends on who shares a cell, as long as those
//! that are looked at twice are no more than their rule has room for.
//! A rule need not count a group at all of which the first look tells enough to know that no
//! finding can come of it.
//! Up to [`SUSPECT_FEW_MAX`] that count are kept in a list, and no table is made for them.

use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::addr::HostPort;
use crate::history::{History, Role};
use crate::limits::{
    SUSPECT_CELLS_MAX, SUSPECT_CELLS_MIN, SUSPECT_CELLS_PER_CONNECTION, SUSPECT_FEW_MAX,
};

/// Both ends of one connection, and what the groups that they are in hash to.
#[derive(Clone, Debug)]
pub struct Keys {
    client: HostPort,
    server: HostPort,
    /// The client's and the server's party: its host and the service that it uses or offers.
    party: [u64; 2],
    /// The client's and the server's host.
    host: [u64; 2],
}

impl Keys {
    /// Those of a connection between these two.
    pub fn new(client: HostPort, server: HostPort) -> Keys {
        // Of numbers and no addresses, as far as can be: that is quicker.
        let host = [client, server].map(|end| hash(end.ip()));
        let service = hash((host[1], server.port()));
        Keys { client, server, party: [hash((host[0], service)), service], host }
    }

    /// Those of a history's connection.
    pub fn of(history: &History) -> Keys {
        Keys::new(history.addr(Role::Client), history.addr(Role::Server))
    }

    /// Address and port of a role.
    #[inline]
    pub fn addr(&self, role: Role) -> HostPort {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }

    /// The party in a role.
    pub fn party(&self, role: Role) -> u64 {
        let [client, server] = self.party;
        if role == Role::Client { client } else { server }
    }

    /// The host in a role, as one that may play `part`.
    pub fn host(&self, role: Role, part: Role) -> u64 {
        let [client, server] = self.host;
        let host = if role == Role::Client { client } else { server };
        if part == Role::Client { host } else { !host }
    }
}

/// The same in each run, so that two runs reach the same limits; whoever makes groups share a cell
/// on purpose makes a second look longer.
#[inline]
fn hash(what: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(what)
}

/// Cells of which a word says which count enough.
const CELLS_PER_WORD: usize = u64::BITS as usize;

/// Groups that may make a finding of one rule.
#[derive(Debug)]
pub struct Suspects {
    /// Those counted that are in no cell yet: of a small capture all, which needs no large table;
    /// of a large one those that are filled in next, together.
    few: Vec<u64>,
    /// A power of two, or none yet.
    cells: Vec<u8>,
    /// How many there will be.
    size: usize,
    /// Once all are counted, a bit for each cell that counts enough: these stay in a core's cache.
    enough: Vec<u64>,
    least: u8,
    /// Whether there is one.
    any: bool,
    /// Servers were counted exactly at the first look, and are nobody's suspects.
    pub(super) but_servers: bool,
    concern: fn(&Suspects, &Keys) -> bool,
}

impl Suspects {
    /// Groups are suspect that count `least`. `concern` says whether a connection of these groups
    /// is one to look at again.
    pub fn new(least: u64, concern: fn(&Suspects, &Keys) -> bool) -> Suspects {
        // A cell counts no further, so whoever must count further is suspect there.
        let least = u8::try_from(least.max(1)).unwrap_or(u8::MAX);
        Suspects {
            few: Vec::new(),
            cells: Vec::new(),
            size: SUSPECT_CELLS_MIN as usize,
            enough: Vec::new(),
            least,
            any: false,
            but_servers: false,
            concern,
        }
    }

    /// The same among so many connections. Only those for as many can be joined: who shares a cell
    /// does not depend on how the connections are shared out.
    pub fn among(self, connections: u64) -> Suspects {
        let cells =
            connections.saturating_mul(SUSPECT_CELLS_PER_CONNECTION) / u64::from(self.least);
        let cells = cells.clamp(SUSPECT_CELLS_MIN, SUSPECT_CELLS_MAX);
        Suspects { size: cells.next_power_of_two() as usize, ..self }
    }

    /// One more of a group.
    #[inline]
    pub fn count(&mut self, group: u64) {
        self.few.push(group);
        if self.few.len() >= SUSPECT_FEW_MAX {
            self.fill();
        }
    }

    /// Adds those that another one of the same rule counted, among as many connections.
    pub fn join(&mut self, mut other: Suspects) {
        debug_assert_eq!(self.size, other.size, "whoever shares a cell here does so there");
        if self.cells.is_empty() {
            core::mem::swap(self, &mut other);
        }
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell = cell.saturating_add(*more);
        }
        let most = self.cells.iter().copied().fold(0, u8::max);
        self.any |= most >= self.least;
        other.few.iter().for_each(|group| self.count(*group));
    }

    /// All are counted; from now on it is known who is suspect.
    pub fn settle(&mut self) {
        if self.cells.is_empty() {
            self.any = self.few.iter().any(|group| self.holds(*group));
            return;
        }
        self.fill();
        if !self.any {
            return;
        }
        let bits = |cells: &[u8]| {
            // Nearly all count less.
            if cells.iter().copied().fold(0, u8::max) < self.least {
                return 0;
            }
            let bits = cells.iter().rev().map(|cell| u64::from(*cell >= self.least));
            bits.fold(0, |all, bit| all << 1 | bit)
        };
        self.enough = self.cells.chunks(CELLS_PER_WORD).map(bits).collect();
    }

    /// Fills in those that wait: one after the other, so that memory is waited for only once.
    fn fill(&mut self) {
        if self.cells.is_empty() {
            self.cells = vec![0; self.size];
        }
        let last = self.cells.len() - 1;
        for group in self.few.drain(..) {
            if let Some(cell) = self.cells.get_mut(group as usize & last) {
                *cell = cell.saturating_add(1);
                self.any |= *cell >= self.least;
            }
        }
    }

    /// Whether a group may count enough, once all are counted.
    pub fn holds(&self, group: u64) -> bool {
        if self.cells.is_empty() {
            let same = self.few.iter().filter(|it| **it == group);
            return same.count() >= usize::from(self.least);
        }
        let cell = group as usize & (self.cells.len() - 1);
        let word = self.enough.get(cell / CELLS_PER_WORD);
        word.is_some_and(|word| word >> (cell % CELLS_PER_WORD) & 1 > 0)
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.any
    }

    /// Whether a connection of these groups is one to look at again.
    pub fn concern(&self, keys: &Keys) -> bool {
        (self.concern)(self, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_counts_enough_is_suspect() {
        let mut suspects =
            Suspects::new(300, |suspects, keys| suspects.holds(keys.party(Role::Client)));
        let client = |last| Keys::new(([10, 0, 0, last], 1).into(), ([10, 0, 1, 1], 80).into());
        (0..299).for_each(|_| suspects.count(client(1).party(Role::Client)));
        suspects.count(client(2).party(Role::Client));
        suspects.settle();
        assert!(suspects.any() && suspects.concern(&client(1)) && !suspects.concern(&client(2)));
    }

    #[test]
    fn a_table_grows_with_the_connections_and_is_smaller_where_more_must_be_counted() {
        let size = |least, connections| Suspects::new(least, |_, _| true).among(connections).size;
        let [min, max] = [SUSPECT_CELLS_MIN, SUSPECT_CELLS_MAX].map(|it| it as usize);
        let most = SUSPECT_CELLS_MIN / SUSPECT_CELLS_PER_CONNECTION;
        assert_eq!([0, 1, most].map(|connections| size(1, connections)), [min; 3]);
        assert_eq!(
            [size(1, most + 1), size(2, 2 * most + 1), size(2, most + 1)],
            [2 * min, 2 * min, min]
        );
        assert_eq!([1, 255, u64::MAX].map(|least| size(least, u64::MAX)), [max; 3]);
    }

    #[test]
    fn few_share_a_cell_with_whoever_counts_enough() {
        for least in [1, 3, 20, 255] {
            let mut suspects = Suspects::new(least, |_, _| true).among(50_000);
            (0..20_u64).for_each(|n| (0..least).for_each(|_| suspects.count(hash(n))));
            let others = || (20..50_000_u64).map(hash);
            others().filter(|_| least > 1).for_each(|group| suspects.count(group));
            suspects.settle();
            assert!((0..20_u64).all(|n| suspects.holds(hash(n))));
            let strangers = others().filter(|group| suspects.holds(*group)).count();
            assert!(strangers < 500, "{strangers} where {least} must be counted");
        }
    }

    #[test]
    fn a_host_is_another_one_in_another_part() {
        let keys = Keys::new(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 1], 80).into());
        let parts = |role| [Role::Client, Role::Server].map(|part| keys.host(role, part));
        assert_eq!(parts(Role::Client), parts(Role::Server));
        assert_ne!(parts(Role::Client)[0], parts(Role::Client)[1]);
    }
}
