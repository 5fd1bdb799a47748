//! A capture's connections counted once, for the overview: states at the end, who closed first,
//! what the capture cannot tell, and the findings by service.

use core::cmp::Reverse;
use core::fmt;
use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::addr::HostPort;
use crate::findings::{Finding, Severity};
use crate::history::{ClosedFirst, Handshake, History, Role};
use crate::infer::state::State;
use crate::limits::SERVICES_MAX;
use crate::time::Span;

/// What the overview tells.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Endpoints by their state at the end: clients, then servers.
    states: [[u64; State::ALL.len()]; 2],
    /// Connections that the client, the server, and both closed first.
    closed_first: [u64; 3],
    /// Connections that never opened.
    pub never_opened: u64,
    /// Connections that are not closed on both sides.
    pub open: u64,
    /// Ends that are in CLOSE_WAIT when the capture ends, by role and service: how many, and for
    /// how long at most.
    pub waiting: BTreeMap<(Role, HostPort), (u64, Span)>,
    /// Connections with more than one thing that the capture does not tell.
    pub limits: Limits,
    /// Servers, by address and port.
    services: HashSet<HostPort, RandomState>,
    /// Findings by severity, name and place, once all are counted.
    pub groups: Vec<Group>,
    by_place: HashMap<(&'static str, Option<HostPort>), Group, RandomState>,
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
    /// How many.
    pub count: u64,
    /// The longest.
    pub longest: Lasted,
    /// A connection that has it, the one with the longest.
    pub example: Option<u64>,
}

impl Survey {
    /// Counts a connection and the findings about it by itself.
    pub fn take(&mut self, history: &History, own: &[Finding]) {
        let [clients, servers] = &mut self.states;
        for (states, role) in [(clients, Role::Client), (servers, Role::Server)] {
            if let Some(count) = states.get_mut(history.last_state(role) as usize) {
                *count += 1;
            }
        }
        if let Some(who) = history.closed_first()
            && let Some(count) = self.closed_first.get_mut(who as usize)
        {
            *count += 1;
        }
        self.never_opened += u64::from(history.close().is_none());
        self.open += u64::from(history.is_open());
        let server = history.addr(Role::Server);
        if self.services.len() < SERVICES_MAX {
            self.services.insert(server);
        }
        self.limits.take(history);
        for role in Role::BOTH {
            if history.last_state(role) == State::CloseWait
                && let Some(stay) = history.stay_in(role, State::CloseWait)
            {
                self.waits((role, server), stay.dwell);
            }
        }
        own.iter().for_each(|finding| self.count(finding, Some(server)));
    }

    /// Counts the findings about services and the capture: all others are counted.
    pub fn finish(&mut self, grouped: &[Finding]) {
        grouped.iter().for_each(|finding| self.count(finding, finding.host));
        self.groups = core::mem::take(&mut self.by_place).into_values().collect();
        let rank = |it: &Group| (Reverse((it.severity, it.count)), it.name, it.place);
        self.groups.sort_by_key(rank);
    }

    /// Counts a finding at its place. Beyond the bound of places, at no place.
    fn count(&mut self, finding: &Finding, place: Option<HostPort>) {
        let has_room = self.by_place.len() < SERVICES_MAX;
        let is_known = || self.by_place.contains_key(&(finding.name, place));
        let place = place.filter(|_| has_room || is_known());
        let group = self.by_place.entry((finding.name, place)).or_insert(Group {
            severity: finding.severity,
            name: finding.name,
            place,
            count: 0,
            longest: Lasted::default(),
            example: None,
        });
        group.count += 1;
        group.severity = group.severity.max(finding.severity);
        let lasted = Lasted::of(finding);
        if group.example.is_none() || lasted > group.longest {
            group.example = finding.connection.or(group.example);
        }
        group.longest = group.longest.max(lasted);
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

    fn waits(&mut self, place: (Role, HostPort), dwell: Span) {
        if self.waiting.len() < SERVICES_MAX || self.waiting.contains_key(&place) {
            let (count, longest) = self.waiting.entry(place).or_default();
            *count += 1;
            *longest = dwell.max(*longest);
        }
    }

    /// How many connections closed with that end first.
    pub fn first(&self, who: ClosedFirst) -> u64 {
        self.closed_first.get(who as usize).copied().unwrap_or_default()
    }
}

impl Limits {
    fn take(&mut self, history: &History) {
        let sides = Role::BOTH.map(|role| &history.side(role).tally);
        let is_silent = sides.iter().any(|tally| tally.segments == 0);
        let is_mid_stream = history.handshake() == Handshake::NotCaptured;
        self.mid_stream += u64::from(is_mid_stream);
        // A SYN without an answer is one way by nature.
        self.one_way += u64::from(is_silent && history.handshake() != Handshake::Unanswered);
        self.gaps += u64::from(sides.iter().any(|tally| tally.missing > 0));
        self.ongoing += u64::from(history.is_open());
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
        let bound = if self.is_ongoing { ">= " } else { "" };
        self.span.map_or(Ok(()), |span| write!(f, "{bound}{span}"))
    }
}
