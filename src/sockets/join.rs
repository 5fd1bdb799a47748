//! The join of a capture's connections with hosts' own socket tables.
//!
//! Each end of a connection and each row of a table is put to one of four outcomes: they agree, the
//! host lacks the socket, the capture lacks it, or they disagree about its state. Neither corrects
//! the other. What the capture says is taken at the moment of the table, give or take a second.
//!
//! That a host lacks a socket is said only where its table would have shown it: one with a header,
//! of a tool that lists every socket, with others on the same port or to the same peer.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::held::{Held, Place as HeldBy};
use super::{Name, Port, Row, Snapshot};
use crate::addr::{Addr, HostPort};
use crate::history::archive::Archive;
use crate::history::{History, Role};
use crate::infer::state::State;
use crate::owner::Owner;
use crate::time::{Span, Timestamp};

/// How far a table's moment and the capture's clock may differ. A file's time is that of its last
/// byte, and lsof takes a while.
pub const SLACK: Span = Span::from_secs(1);

/// What the capture and a host say of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The same.
    Agrees,
    /// The capture has it open, and the host's table does not list it.
    HostLacks,
    /// The host's table lists it, and the capture has no such connection at that moment.
    CaptureLacks,
    /// Different states.
    Disagrees,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 4] =
        [Outcome::Agrees, Outcome::HostLacks, Outcome::CaptureLacks, Outcome::Disagrees];

    /// In a word, for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Agrees => "agrees",
            Outcome::HostLacks => "host-lacks",
            Outcome::CaptureLacks => "capture-lacks",
            Outcome::Disagrees => "disagrees",
        }
    }
}

/// A table and its moment.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The table.
    pub snapshot: Snapshot,
    /// When it was taken.
    pub at: Timestamp,
    /// The moment of the capture that it is compared with: that, or the capture's nearest.
    pub compared_at: Timestamp,
    /// How many sockets came to each outcome.
    pub counts: BTreeMap<Outcome, u64>,
    reach: Reach,
}

/// Of which sockets a table would show that they are there.
#[derive(Clone, Debug, Default)]
struct Reach {
    is_whole: bool,
    shows_time_wait: bool,
    hosts: HashSet<Addr>,
    ports: HashSet<u16>,
    peers: HashSet<HostPort>,
    /// Connections that wait to be accepted, by the port of the socket that listens.
    waiting: HashMap<u16, u64>,
}

/// Which row of which table.
type At = (usize, usize);

/// What a host says of one end of a connection.
#[derive(Clone, Copy, Debug)]
struct Match {
    outcome: Outcome,
    /// What the capture says at that moment.
    state: State,
    table: usize,
    /// The row of the table, if it has one.
    row: Option<usize>,
    names_holders: bool,
    held_by: HeldBy,
}

/// The same, with what it speaks of.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// How both compare.
    pub outcome: Outcome,
    /// What the capture says of that moment.
    pub state: State,
    /// The host's row, if it has one.
    pub row: Option<&'a Row>,
    /// The table.
    pub taken: &'a Taken,
}

impl View<'_> {
    /// Who holds the socket, and what its queue says of the program; empty where the host does not
    /// tell.
    pub fn words(&self) -> String {
        self.row.map_or(String::new(), |row| row.words(self.taken.waiting(row)))
    }
}

impl Taken {
    /// Whether it tells of that moment of the capture.
    pub fn is_of(&self, ts: Timestamp) -> bool {
        self.compared_at.since(ts).max(ts.since(self.compared_at)) <= SLACK
    }

    /// Connections that wait to be accepted on the port of a row.
    fn waiting(&self, row: &Row) -> u64 {
        match row.local.port {
            Port::Number(port) => self.reach.waiting.get(&port).copied().unwrap_or_default(),
            _ => 0,
        }
    }
}

/// All tables, joined with all connections.
#[derive(Debug, Default)]
pub struct Join {
    taken: Vec<Taken>,
    ends: HashMap<(u64, Role), Match>,
    /// What the capture lacks.
    lacking: Vec<At>,
    held: BTreeMap<HeldBy, Held>,
}

impl Join {
    /// Joins tables, each with its moment, with the connections of a capture that goes from `first`
    /// to `last`.
    pub fn new(
        snapshots: Vec<(Snapshot, Timestamp)>,
        archive: &Archive,
        first: Timestamp,
        last: Timestamp,
    ) -> Join {
        let taken: Vec<Taken> = snapshots
            .into_iter()
            .map(|(snapshot, at)| Taken {
                reach: Reach::new(&snapshot),
                snapshot,
                at,
                compared_at: at.clamp(first, last),
                counts: BTreeMap::new(),
            })
            .collect();
        let mut matcher = Matcher::new(&taken);
        for history in archive.iter() {
            matcher.take(&history);
        }
        let Matcher { best, ends, .. } = matcher;
        let mut join = Join { taken, ends, ..Join::default() };
        join.outcomes(&best);
        for found in join.ends.values() {
            let Some(taken) = join.taken.get_mut(found.table) else { continue };
            match found.row.and_then(|row| taken.snapshot.rows.get(row)) {
                None => *taken.counts.entry(Outcome::HostLacks).or_default() += 1,
                Some(row) => {
                    let waiting = taken.waiting(row);
                    join.held.entry(found.held_by).or_default().add(row, waiting);
                }
            }
        }
        join.held.retain(|_, held| held.sockets > 0);
        join
    }

    /// Each row's outcome, from the connection that fits it best.
    fn outcomes(&mut self, best: &HashMap<At, Best>) {
        for (table, taken) in self.taken.iter_mut().enumerate() {
            for (number, row) in taken.snapshot.rows.iter().enumerate() {
                if row.remote.port == Port::Any {
                    continue;
                }
                let found = best.get(&(table, number)).filter(|it| it.rank > Rank::Later);
                let Some(found) = found.filter(|it| !it.is_ambiguous) else {
                    *taken.counts.entry(Outcome::CaptureLacks).or_default() += 1;
                    self.lacking.push((table, number));
                    continue;
                };
                let outcome = if found.agrees { Outcome::Agrees } else { Outcome::Disagrees };
                *taken.counts.entry(outcome).or_default() += 1;
                let new = Match {
                    outcome,
                    state: found.state,
                    table,
                    row: Some(number),
                    names_holders: !row.holders.named().is_empty(),
                    held_by: found.held_by,
                };
                // Of several tables the first counts that names holders.
                let known = self.ends.entry((found.id, found.role)).or_insert(new);
                if new.names_holders && !known.names_holders {
                    *known = new;
                }
            }
        }
    }

    /// The tables.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// What a host says of a role's end of that connection; none where no table speaks of it.
    pub fn view(&self, id: u64, role: Role) -> Option<View<'_>> {
        let found = self.ends.get(&(id, role))?;
        let taken = self.taken.get(found.table)?;
        let row = found.row.and_then(|row| taken.snapshot.rows.get(row));
        Some(View { outcome: found.outcome, state: found.state, row, taken })
    }

    /// Who holds a role's end of that connection.
    pub fn owners(&self, id: u64, role: Role) -> &[Owner] {
        self.view(id, role).and_then(|view| view.row).map_or(&[], |row| row.holders.named())
    }

    /// The rows that the capture has no connection for.
    pub fn lacking(&self) -> impl Iterator<Item = (&Taken, &Row)> {
        self.lacking.iter().filter_map(|(table, row)| {
            let taken = self.taken.get(*table)?;
            Some((taken, taken.snapshot.rows.get(*row)?))
        })
    }

    /// The ends about which a host and the capture differ, by connection.
    pub fn differing(&self) -> Vec<(u64, Role)> {
        let differ = self.ends.iter().filter(|(_, found)| found.outcome != Outcome::Agrees);
        let mut differing: Vec<(u64, Role)> = differ.map(|(end, _)| *end).collect();
        differing.sort_unstable();
        differing
    }

    /// Who holds the sockets in CLOSE_WAIT of that side of a service.
    pub fn held(&self, role: Role, host: Addr, service: HostPort) -> Option<&Held> {
        self.held.get(&HeldBy { role, host, service })
    }

    /// The same of all services.
    pub fn all_held(&self) -> impl Iterator<Item = (&HeldBy, &Held)> {
        self.held.iter()
    }
}

impl Reach {
    fn new(snapshot: &Snapshot) -> Reach {
        let mut reach = Reach::default();
        let mut states = HashSet::new();
        for row in &snapshot.rows {
            states.extend(row.state);
            if let Name::Addr(addr) = row.local.host {
                reach.hosts.insert(addr.into());
            }
            if let Port::Number(port) = row.local.port {
                reach.ports.insert(port);
            }
            reach.peers.extend(row.remote.socket());
            if let (Some(State::Listen), Port::Number(port)) = (row.state, &row.local.port) {
                *reach.waiting.entry(*port).or_default() += row.recv_q.unwrap_or_default();
            }
        }
        reach.shows_time_wait =
            states.contains(&State::Listen) || states.contains(&State::TimeWait);
        let lists_all = snapshot.dialects.iter().all(|dialect| dialect.lists_unheld());
        // Sockets all in one state are what somebody was looking for.
        reach.is_whole = snapshot.has_header
            && lists_all
            && snapshot.left_out == 0
            && (states.len() > 1 || states.contains(&State::Listen));
        reach
    }

    /// Whether the socket would be in the table, were it there.
    fn has(&self, local: HostPort, remote: HostPort, state: State) -> bool {
        self.is_whole
            && self.hosts.contains(&local.ip())
            && (self.ports.contains(&local.port()) || self.peers.contains(&remote))
            && (state != State::TimeWait || self.shows_time_wait)
    }
}

/// How well a connection fits a row, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It begins after the row was printed.
    Later,
    /// It is over by then.
    Before,
    /// It is there.
    Then,
}

/// The connection that fits a row best.
#[derive(Clone, Copy, Debug)]
struct Best {
    rank: Rank,
    id: u64,
    role: Role,
    ends: (HostPort, HostPort),
    state: State,
    agrees: bool,
    held_by: HeldBy,
    /// Only the ports are known of the row, and another connection has them too.
    is_ambiguous: bool,
}

/// The search for the connections that rows are of.
struct Matcher<'a> {
    taken: &'a [Taken],
    by_ends: HashMap<(HostPort, HostPort), Vec<At>>,
    by_ports: HashMap<(u16, u16), Vec<At>>,
    best: HashMap<At, Best>,
    ends: HashMap<(u64, Role), Match>,
}

impl<'a> Matcher<'a> {
    fn new(taken: &'a [Taken]) -> Matcher<'a> {
        let mut by_ends: HashMap<_, Vec<At>> = HashMap::new();
        let mut by_ports: HashMap<_, Vec<At>> = HashMap::new();
        for (table, taken) in taken.iter().enumerate() {
            for (number, row) in taken.snapshot.rows.iter().enumerate() {
                let at = (table, number);
                match (row.local.socket(), row.remote.socket(), &row.local.port, &row.remote.port) {
                    (Some(local), Some(remote), _, _) => {
                        by_ends.entry((local, remote)).or_default().push(at);
                    }
                    (_, _, Port::Number(local), Port::Number(remote)) => {
                        by_ports.entry((*local, *remote)).or_default().push(at);
                    }
                    _ => {}
                }
            }
        }
        Matcher { taken, by_ends, by_ports, best: HashMap::new(), ends: HashMap::new() }
    }

    fn take(&mut self, history: &History) {
        for role in Role::BOTH {
            let (local, remote) = (history.addr(role), history.addr(role.peer()));
            let by_ends = self.by_ends.get(&(local, remote)).cloned().unwrap_or_default();
            let by_ports = self.by_ports.get(&(local.port(), remote.port()));
            let named = by_ports.into_iter().flatten().copied();
            let named: Vec<At> = named.filter(|at| self.may_be(*at, local, remote)).collect();
            if by_ends.is_empty() && named.is_empty() {
                self.lack(history, role, local, remote);
            }
            for at in by_ends.into_iter().chain(named) {
                self.fit(at, history, role);
            }
        }
    }

    /// Whether a row in which names stand for addresses may be of that end, whose ports it has.
    fn may_be(&self, (table, row): At, local: HostPort, remote: HostPort) -> bool {
        let row = self.taken.get(table).and_then(|taken| taken.snapshot.rows.get(row));
        row.is_some_and(|row| {
            let ends = [(&row.local, local.ip()), (&row.remote, remote.ip())];
            ends.into_iter().all(|(place, end)| match &place.host {
                Name::Any => true,
                Name::Addr(addr) => Addr::from(*addr) == end,
                // A capture that is a text may have names as well.
                Name::Text(name) => end.is_numeric() || name.eq_ignore_ascii_case(&end.to_string()),
            })
        })
    }

    fn fit(&mut self, at: At, history: &History, role: Role) {
        let Some(taken) = self.taken.get(at.0) else { return };
        let Some(row) = taken.snapshot.rows.get(at.1) else { return };
        let window = Window::around(taken.compared_at);
        let states = window.states(history, role);
        let rank = if !states.is_empty() {
            Rank::Then
        } else if history.first.ts <= window.to {
            Rank::Before
        } else {
            Rank::Later
        };
        let agrees = match row.state {
            Some(state) => states.contains(&state),
            None => !states.is_empty(),
        };
        let new = Best {
            rank,
            id: history.id,
            role,
            ends: (history.addr(role), history.addr(role.peer())),
            state: socket_state(history, role, taken.compared_at),
            agrees,
            held_by: held_by(history, role),
            is_ambiguous: false,
        };
        match self.best.get_mut(&at) {
            None => {
                self.best.insert(at, new);
            }
            Some(known) if known.rank > new.rank => {}
            // Only the ports are known of the row, and two connections have them.
            Some(known) if known.rank == new.rank && known.ends != new.ends => {
                known.is_ambiguous = true;
            }
            Some(known) if known.agrees && !new.agrees => {}
            Some(known) => {
                let is_ambiguous = known.is_ambiguous && known.rank == new.rank;
                *known = Best { is_ambiguous, ..new };
            }
        }
    }

    /// No table lists this end: whether one would have, were its socket there.
    fn lack(&mut self, history: &History, role: Role, local: HostPort, remote: HostPort) {
        for (table, taken) in self.taken.iter().enumerate() {
            let window = Window::around(taken.compared_at);
            let state = socket_state(history, role, taken.compared_at);
            if window.is_full(history, role) && taken.reach.has(local, remote, state) {
                let found = Match {
                    outcome: Outcome::HostLacks,
                    state,
                    table,
                    row: None,
                    names_holders: false,
                    held_by: held_by(history, role),
                };
                self.ends.insert((history.id, role), found);
                return;
            }
        }
    }
}

fn held_by(history: &History, role: Role) -> HeldBy {
    HeldBy { role, host: history.addr(role).ip(), service: history.addr(Role::Server) }
}

/// A moment, give or take.
struct Window {
    from: Timestamp,
    to: Timestamp,
}

impl Window {
    fn around(at: Timestamp) -> Window {
        Window { from: at.before(SLACK), to: at.after(SLACK) }
    }

    /// The states in which a role's end had a socket.
    fn states(&self, history: &History, role: Role) -> Vec<State> {
        let stays = history.stays(role).filter(|stay| stay.state.is_listed());
        stays
            .filter(|stay| stay.entered.at.ts <= self.to)
            .filter(|stay| stay.left.is_none_or(|left| left > self.from))
            .map(|stay| stay.state)
            .collect()
    }

    /// Whether there was a socket all the time.
    fn is_full(&self, history: &History, role: Role) -> bool {
        let first = history.stays(role).find(|stay| stay.state.is_listed());
        let is_gone = |ts| !socket_state(history, role, ts).is_listed();
        first.is_some_and(|first| first.entered.at.ts <= self.from)
            && !is_gone(self.from)
            && !is_gone(self.to)
    }
}

/// The state of a role's socket at a moment: CLOSED where it had none.
fn socket_state(history: &History, role: Role, ts: Timestamp) -> State {
    match history.state_at(role, ts) {
        State::Unknown | State::Listen => State::Closed,
        state => state,
    }
}
