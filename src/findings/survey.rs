//! A capture's connections counted once, for the overview: states at the end, who closed first,
//! what the capture cannot tell, and the findings by service.

use core::cmp::Reverse;
use core::fmt;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;

use crate::addr::HostPort;
use crate::findings::kept::{Join, Kept, Name, joined, keep_most};
use crate::findings::suspects::Keys;
use crate::findings::{Finding, Severity};
use crate::grouped::lasting;
use crate::history::{ClosedFirst, Handshake, History, Role};
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::limits::{NEWEST_SERVICES, SERVICES_MAX};
use crate::time::Span;

/// What the overview tells.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Endpoints by their state at the end: clients, then servers.
    states: [[u64; State::ALL.len()]; 2],
    /// Connections that the client, the server, and both closed first.
    closed_first: [u64; 3],
    /// Connections that never opened.
    pub never_opened: u64,
    /// Connections of which nothing was captured before a RST.
    pub only_reset: u64,
    /// Connections that are not closed on both sides.
    pub open: u64,
    /// Those of them that one side has closed.
    pub half_closed: u64,
    /// Connections that an end closed, and which did so first cannot be told.
    pub closed_unclear: u64,
    /// Those of them that opened, and that nobody has closed.
    pub unclosed: u64,
    /// Ends that are in CLOSE_WAIT when the capture ends, by role and service, once all are
    /// counted.
    pub waiting: BTreeMap<(Role, HostPort), Waits>,
    waiting_so_far: Kept<(Role, HostPort), Waits>,
    /// Connections with more than one thing that the capture does not tell.
    pub limits: Limits,
    /// Servers, by address and port: enough of them to know how many there are.
    services: HashSet<HostPort, RandomState>,
    /// There are more services than were told apart.
    pub has_more_services: bool,
    /// Those of them that were counted last, by a hash: nearly all are counted again and again.
    newest_services: Vec<Option<HostPort>>,
    /// Findings by severity, name and place, once all are counted: the gravest first, kind by kind,
    /// the most frequent kind first, and of each the largest group.
    pub groups: Vec<Group>,
    by_place: Kept<(Name, HostPort), Group>,
    /// Those at no place, and at places for which there is no room.
    elsewhere: Groups,
    /// Places, and services, that are told apart.
    max: usize,
}

/// Findings of each name.
type Groups = BTreeMap<&'static str, Group>;

/// Ends that wait in CLOSE_WAIT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// For how long at most.
    pub longest: Span,
    /// How many of them sent data meanwhile: a half-close that is used is no neglect.
    pub talking: u64,
}

impl Default for Survey {
    fn default() -> Survey {
        Survey::with_max(SERVICES_MAX)
    }
}

/// What the capture does not tell, in numbers of connections.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// They began before the capture.
    pub mid_stream: u64,
    /// One end's segments are missing altogether.
    pub one_way: u64,
    /// Bytes that were acknowledged are not in the capture.
    pub gaps: u64,
    /// An end is in a state that goes on when the capture ends.
    pub ongoing: u64,
}

/// Findings of one name at one place.
#[derive(Clone, Debug)]
pub struct Group {
    /// The worst severity among them.
    pub severity: Severity,
    /// Their name.
    pub name: &'static str,
    /// The service, or the host, if they are about one.
    pub place: Option<HostPort>,
    /// The side that they are all about.
    pub side: Side,
    /// How many.
    pub count: u64,
    /// How many connections they say are stuck: a leak is one finding, however large.
    pub stuck: u64,
    /// The longest.
    pub longest: Lasted,
    /// A connection that has it, of those that are known the one with the longest.
    pub example: Option<u64>,
    /// How long it has it.
    pub example_lasted: Lasted,
}

/// The side of its place that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// None, or both.
    None,
    /// The server.
    Server,
    /// The clients of the server that is the place.
    Clients,
    /// The client that is the place.
    Client,
}

impl Side {
    fn of(finding: &Finding, place: Option<HostPort>) -> Side {
        match finding.role {
            _ if place.is_none() => Side::None,
            None => Side::None,
            Some(Role::Server) => Side::Server,
            Some(Role::Client) if finding.host == place => Side::Client,
            Some(Role::Client) => Side::Clients,
        }
    }

    /// What stands before the place: nothing, `server `, `clients of ` or `client `.
    pub const fn words(self) -> &'static str {
        match self {
            Side::None => "",
            Side::Server => "server ",
            Side::Clients => "clients of ",
            Side::Client => "client ",
        }
    }
}

impl Survey {
    /// With so many places that are told apart.
    fn with_max(max: usize) -> Survey {
        Survey {
            states: Default::default(),
            closed_first: Default::default(),
            never_opened: 0,
            only_reset: 0,
            open: 0,
            half_closed: 0,
            closed_unclear: 0,
            unclosed: 0,
            waiting: BTreeMap::new(),
            waiting_so_far: Kept::new(max),
            limits: Limits::default(),
            services: HashSet::default(),
            has_more_services: false,
            newest_services: vec![None; NEWEST_SERVICES],
            groups: Vec::new(),
            by_place: Kept::new(max),
            elsewhere: BTreeMap::new(),
            max,
        }
    }

    /// Counts a connection and the findings about it by itself.
    pub fn take(&mut self, history: &History, keys: &Keys, own: &[Finding]) {
        for (states, side) in self.states.iter_mut().zip(&history.sides) {
            if let Some(count) = states.get_mut(side.last_state as usize) {
                *count += 1;
            }
        }
        let (first, is_unclear) = (history.closed_first(), history.closed_by_either_first());
        self.closed_unclear += u64::from(is_unclear);
        if let Some(count) = first.and_then(|who| self.closed_first.get_mut(who as usize)) {
            *count += 1;
        }
        let has_opened = history.close().is_some();
        let is_only_reset = !has_opened && history.is_only_reset();
        self.only_reset += u64::from(is_only_reset);
        self.never_opened += u64::from(!has_opened && !is_only_reset);
        let is_open = history.is_open();
        self.open += u64::from(is_open);
        let has_closed = first.is_some() || is_unclear;
        self.half_closed += u64::from(is_open && has_closed);
        self.unclosed += u64::from(is_open && !has_closed && has_opened);
        let server = keys.addr(Role::Server);
        self.serves(server, keys.party(Role::Server));
        self.limits.take(history, is_open);
        if history.sides.iter().any(|side| side.last_state == State::CloseWait) {
            self.wait(history, server);
        }
        own.iter().for_each(|finding| self.count(finding, Some(server)));
    }

    /// Counts the ends that wait in CLOSE_WAIT.
    fn wait(&mut self, history: &History, server: HostPort) {
        for role in Role::BOTH {
            if history.last_state(role) == State::CloseWait
                && let Some(stay) = history.stay_in(role, State::CloseWait)
            {
                let waits = self.waiting_so_far.entry((role, server), |_, _| {}).or_default();
                let talks = history.fact(FactKind::HalfCloseData, role).is_some();
                let talking = u64::from(talks);
                waits.join(&Waits { count: 1, longest: stay.dwell, talking });
            }
        }
    }

    /// Adds what another one counted of other connections.
    pub fn join(&mut self, other: Survey) {
        self.states.join(&other.states);
        self.closed_first.join(&other.closed_first);
        self.never_opened += other.never_opened;
        self.only_reset += other.only_reset;
        self.open += other.open;
        self.half_closed += other.half_closed;
        self.closed_unclear += other.closed_unclear;
        self.unclosed += other.unclosed;
        self.waiting_so_far.join(other.waiting_so_far, |_, _| {});
        self.limits.join(&other.limits);
        other.services.into_iter().for_each(|service| self.add(service));
        self.has_more_services |= other.has_more_services;
        let Survey { by_place, elsewhere, .. } = self;
        by_place.join(other.by_place, |_, group| put(elsewhere, &group));
        other.elsewhere.values().for_each(|group| put(elsewhere, group));
    }

    /// Counts the findings about services and the capture: all others are counted.
    pub fn finish(&mut self, grouped: &[Finding]) {
        grouped.iter().for_each(|finding| self.count(finding, finding.host));
        self.waiting = self.waiting_so_far.drain(|_, _| {}).into_iter().collect();
        let Survey { by_place, elsewhere, .. } = self;
        let kept = by_place.drain(|_, group| put(elsewhere, &group));
        let elsewhere = core::mem::take(elsewhere).into_values();
        self.groups = kept.into_iter().map(|(_, group)| group).chain(elsewhere).collect();
        let mut of_name: BTreeMap<&str, u64> = BTreeMap::new();
        for group in &self.groups {
            *of_name.entry(group.name).or_default() += group.count;
        }
        self.groups.sort_by_cached_key(|it| {
            let all = of_name.get(it.name).copied().unwrap_or_default();
            let size = (it.count, it.stuck, it.longest);
            (Reverse((it.severity, all)), it.name, Reverse(size), it.place)
        });
    }

    /// Counts a finding at its place. Beyond the bound of places, at no place.
    fn count(&mut self, finding: &Finding, place: Option<HostPort>) {
        let one = Group::of(finding, place);
        let Survey { by_place, elsewhere, .. } = self;
        let Some(place) = place else { return put(elsewhere, &one) };
        match by_place.entry((Name(finding.name), place), |_, group| put(elsewhere, &group)) {
            Entry::Occupied(mut group) => group.get_mut().join(&one),
            Entry::Vacant(room) => _ = room.insert(one),
        }
    }

    /// A service that there is, with a hash of it.
    fn serves(&mut self, service: HostPort, hash: u64) {
        let newest = self.newest_services.get_mut(hash as usize % NEWEST_SERVICES);
        if let Some(newest) = newest.filter(|newest| **newest != Some(service)) {
            *newest = Some(service);
            self.add(service);
        }
    }

    fn add(&mut self, service: HostPort) {
        if self.services.len() < self.max {
            self.services.insert(service);
        } else if !self.has_more_services {
            self.has_more_services = !self.services.contains(&service);
        }
    }

    /// How many clients, or servers, were in a state at the end.
    pub fn in_state(&self, role: Role, state: State) -> u64 {
        let [clients, servers] = &self.states;
        let counts = if role == Role::Client { clients } else { servers };
        counts.get(state as usize).copied().unwrap_or_default()
    }

    /// How many services there are, as far as they were told apart.
    pub fn services(&self) -> u64 {
        self.services.len() as u64
    }

    /// How many connections closed with that end first.
    pub fn first(&self, who: ClosedFirst) -> u64 {
        self.closed_first.get(who as usize).copied().unwrap_or_default()
    }
}

/// Adds a group to those at no place.
fn put(elsewhere: &mut Groups, group: &Group) {
    let nothing = || Group { place: None, side: Side::None, count: 0, stuck: 0, ..group.clone() };
    elsewhere.entry(group.name).or_insert_with(nothing).join(group);
}

impl Group {
    /// That of one finding.
    fn of(finding: &Finding, place: Option<HostPort>) -> Group {
        Group {
            severity: finding.severity,
            name: finding.name,
            place,
            side: Side::of(finding, place),
            count: 1,
            stuck: finding.stuck(),
            longest: Lasted::of(finding),
            example: finding.connection,
            example_lasted: Lasted::of(finding),
        }
    }
}

impl Join for Group {
    fn join(&mut self, other: &Group) {
        self.severity = self.severity.max(other.severity);
        if self.side != other.side {
            self.side = Side::None;
        }
        self.count += other.count;
        self.stuck += other.stuck;
        self.longest = self.longest.max(other.longest);
        // The longest, and of those as long the first.
        let rank = |it: &Group| it.example.map(|id| (it.example_lasted, Reverse(id)));
        if rank(other) > rank(self) {
            (self.example, self.example_lasted) = (other.example, other.example_lasted);
        }
    }
}

joined!(Waits { count, longest: keep_most, talking });

joined!(Limits { mid_stream, one_way, gaps, ongoing });

impl Limits {
    fn take(&mut self, history: &History, is_open: bool) {
        let [client, server] = &history.sides;
        let is_silent = client.tally.segments == 0 || server.tally.segments == 0;
        let is_mid_stream = history.handshake() == Handshake::NotCaptured;
        self.mid_stream += u64::from(is_mid_stream);
        // A SYN without an answer is one way by nature.
        self.one_way += u64::from(is_silent && history.handshake() != Handshake::Unanswered);
        self.gaps += u64::from(client.tally.missing > 0 || server.tally.missing > 0);
        self.ongoing += u64::from(is_open);
    }
}

/// How long something lasted, and whether it still did at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lasted {
    span: Option<Span>,
    is_ongoing: bool,
}

impl Lasted {
    /// How long a finding lasted; at least so long if it goes on.
    pub fn of(finding: &Finding) -> Lasted {
        Lasted { span: finding.duration, is_ongoing: finding.ongoing == Some(true) }
    }
}

impl fmt::Display for Lasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.span.map_or(Ok(()), |span| f.write_str(&lasting(span, self.is_ongoing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    /// Of more services than have room, those that come first in order are told apart; all findings
    /// are counted, wherever they are.
    #[test]
    fn who_counts_what_does_not_show_where_there_is_no_room() {
        let waits = connections(
            "0.0 > S  0:0(0)
             0.1 < S. 0:0(0) ack 1
             0.2 > .  1:1(0) ack 1
             9.0 > F. 1:1(0) ack 1
             9.1 < .  1:1(0) ack 2
             500 end",
        );
        let refused = connections("0.0 > S 0:0(0)\n0.1 < R. 0:0(0) ack 1\n500 end");
        let histories: Vec<_> = (0..90_u64)
            .map(|id| {
                let mut history = if id % 3 > 0 { waits[0].clone() } else { refused[0].clone() };
                let host = [10, 0, 0, (id * 7 % 30) as u8];
                history.tuple = history.tuple.with_addrs(|_| host.into());
                history.id = id;
                history
            })
            .collect();
        let told = |parts: usize| {
            let mut all: Vec<_> = (0..parts).map(|_| Survey::with_max(4)).collect();
            for (at, history) in histories.iter().enumerate() {
                let own = check(history, &Thresholds::default());
                all[at * 5 % 7 % parts].take(history, &Keys::of(history), &own);
            }
            let mut survey = all.pop().unwrap();
            all.into_iter().for_each(|other| survey.join(other));
            survey.finish(&[]);
            let services = (survey.services(), survey.has_more_services);
            (format!("{:?}", survey.waiting), services, format!("{:#?}", survey.groups), survey)
        };
        let (waiting, services, groups, survey) = told(1);
        for parts in 2..6 {
            let other = told(parts);
            assert_eq!((&other.0, other.1, &other.2), (&waiting, services, &groups), "{parts}");
        }
        assert_eq!((survey.waiting.len(), services), (4, (4, true)));
        let of = |name| survey.groups.iter().filter(move |group| group.name == name);
        assert_eq!(of("connection-refused").map(|group| group.count).sum::<u64>(), 30);
        assert_eq!(of("long-close-wait").map(|group| group.count).sum::<u64>(), 60);
        let hosts: Vec<_> = of("connection-refused").filter_map(|group| group.place).collect();
        assert_eq!(hosts.len(), 4, "its name is the first: {hosts:?}");
        let elsewhere = of("long-close-wait").find(|group| group.place.is_none()).unwrap();
        assert_eq!((elsewhere.count, elsewhere.example), (60, Some(1)));
    }

    /// A leak is one finding at its service, however many connections are stuck.
    #[test]
    fn the_largest_stand_in_front() {
        let refused = connections("0.0 > S 0:0(0)\n0.1 < R. 0:0(0) ack 1\n500 end");
        let one = check(&refused[0], &Thresholds::default()).remove(0);
        let at = |port: u16, name, stuck: u64, seconds| Finding {
            name,
            host: Some(HostPort::new([10, 9, 0, 2].into(), port)),
            ..one.clone().lasting(Span::from_secs(seconds)).with("stuck", stuck)
        };
        let few = [at(1, "b", 3, 9), at(2, "b", 16, 1), at(3, "b", 16, 2), at(4, "b", 16, 2)];
        let many = [at(9, "a", 0, 1), at(8, "c", 0, 1), at(7, "c", 0, 0), at(8, "c", 0, 1)];
        let mut survey = Survey::with_max(100);
        survey.finish(&[few, many, [5, 6, 7, 8].map(|port| at(port, "c", 0, 0))].concat());
        let port = |group: &Group| group.place.map(|place| place.port());
        let order: Vec<_> = survey.groups.iter().map(|it| (it.name, port(it).unwrap())).collect();
        let c = [("c", 8), ("c", 7), ("c", 5), ("c", 6)];
        let b = [("b", 3), ("b", 4), ("b", 2), ("b", 1)];
        assert_eq!(order, [&c[..], &b[..], &[("a", 9)]].concat());
    }
}
