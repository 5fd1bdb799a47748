//! Findings as people think of them: one name, at one service, on one side.

use core::cmp::Reverse;
use core::fmt;
use std::collections::{BTreeSet, HashMap};

use crate::addr::{Addr, EPHEMERAL_PORT_MIN, HostPort};
use crate::findings::{Counts, Finding, Severity};
use crate::history::{History, Role};
use crate::infer::RolesFrom;
use crate::limits::SERVICES_MAX;
use crate::report::verdict::worst_findings;
use crate::run::Analysis;
use crate::time::Timestamp;

/// What findings are counted by. No ephemeral port and no time is in it, so that it means the same
/// in the next capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The finding's name.
    pub name: &'static str,
    /// Where it is.
    pub place: Place,
    /// The side that it is about.
    pub side: Option<Role>,
}

/// Where findings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In no place in particular.
    Capture,
    /// At a service: the server's address and port.
    Service(HostPort),
    /// At a server, and nothing shows which port is the service's.
    Server(Addr),
    /// At a client, whatever its ports.
    Client(Addr),
}

/// Findings of one name at one service on one side.
#[derive(Clone, Debug)]
pub struct Issue {
    /// What they are counted by.
    pub key: Key,
    /// How many, by severity.
    pub counts: Counts,
    /// The gravest and longest of them.
    pub worst: Finding,
    /// When one of them happened last; none if they are of the capture as a whole.
    pub last: Option<Timestamp>,
    /// How many connections they say are stuck: a leak is one finding, however large.
    pub stuck: u64,
}

impl Issue {
    /// The gravest severity.
    pub const fn severity(&self) -> Severity {
        self.worst.severity
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.counts.at_least(Severity::Note)
    }

    /// The worst one's message, and how many are like it.
    pub fn message(&self) -> String {
        match self.count() {
            1 => self.worst.message.clone(),
            count => format!("{} ({count} such findings)", self.worst.message),
        }
    }
}

impl fmt::Display for Key {
    /// `close-wait-leak: server 10.9.0.2:6800`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.at())
    }
}

impl Place {
    /// The same place at another host.
    pub fn with_host(self, other: impl Fn(Addr) -> Addr) -> Place {
        match self {
            Place::Capture => Place::Capture,
            Place::Service(it) => Place::Service(HostPort::new(other(it.ip()), it.port())),
            Place::Server(host) => Place::Server(other(host)),
            Place::Client(host) => Place::Client(other(host)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Capture => f.write_str("capture"),
            Place::Service(service) => write!(f, "{service}"),
            Place::Server(host) => write!(f, "{host}"),
            Place::Client(host) => write!(f, "client {host}"),
        }
    }
}

impl Key {
    /// Where it is and on which side, in words: `server 10.9.0.2:6800`, `clients of
    /// 10.9.0.2:6800`, `client 10.9.0.1`, `the capture`.
    pub fn at(&self) -> String {
        let side = match self.side {
            Some(Role::Server) => "server ",
            Some(Role::Client) => "clients of ",
            None => "",
        };
        match self.place {
            Place::Capture => "the capture".to_string(),
            Place::Client(_) => self.place.to_string(),
            place => format!("{side}{place}"),
        }
    }
}

/// All findings of a run, grouped.
#[derive(Clone, Debug, Default)]
pub struct Issues {
    /// The gravest first, kind by kind: first what the verdict tells, then the most frequent.
    pub issues: Vec<Issue>,
    /// Where something could have been found.
    pub services: BTreeSet<Place>,
}

/// Groups the findings of a run.
pub fn issues(analysis: &Analysis) -> Issues {
    issues_among(analysis, |_| true)
}

/// Groups those findings of a run that are wanted.
pub fn issues_among(analysis: &Analysis, is_wanted: impl Fn(&Finding) -> bool) -> Issues {
    let mut issues = HashMap::new();
    let mut services = BTreeSet::new();
    for finding in analysis.findings.grouped.iter().filter(|it| is_wanted(it)) {
        take(&mut issues, key_of(finding, analysis), finding);
    }
    for history in analysis.archive.iter() {
        let place = service(&history);
        if services.len() < SERVICES_MAX {
            services.insert(place);
        }
        for finding in analysis.findings_of(&history).iter().filter(|it| is_wanted(it)) {
            take(&mut issues, Key { name: finding.name, place, side: finding.role }, finding);
        }
    }
    let told = worst_findings(analysis).first().map(|told| key_of(told, analysis));
    Issues { issues: in_order(issues, told), services }
}

/// Groups these findings of a run.
pub fn issues_of(analysis: &Analysis, findings: &[Finding]) -> Vec<Issue> {
    let mut issues = HashMap::new();
    for finding in findings {
        take(&mut issues, key_of(finding, analysis), finding);
    }
    in_order(issues, None)
}

/// The gravest first, and of those as grave the kind that the verdict tells, and then that of which
/// there are most; of one kind the largest first, but for what the verdict tells.
fn in_order(issues: HashMap<Key, Issue>, told: Option<Key>) -> Vec<Issue> {
    let mut issues: Vec<Issue> = issues.into_values().collect();
    let mut of_kind: HashMap<&str, u64> = HashMap::new();
    for issue in &issues {
        *of_kind.entry(issue.key.name).or_default() += issue.count();
    }
    issues.sort_by_key(|issue| {
        let is_told = told.is_some_and(|told| told.name == issue.key.name);
        let all = of_kind.get(issue.key.name).copied().unwrap_or_default();
        let kind = Reverse((issue.severity(), is_told, all));
        let size = (told == Some(issue.key), issue.count(), issue.stuck, issue.worst.duration);
        (kind, issue.key.name, Reverse(size), issue.key)
    });
    issues
}

/// What a finding is counted by.
fn key_of(finding: &Finding, analysis: &Analysis) -> Key {
    Key { name: finding.name, place: place_of(finding, analysis), side: finding.role }
}

/// The service of a connection: a handshake shows which port that is, or the port's number.
fn service(history: &History) -> Place {
    let server = history.addr(Role::Server);
    let is_shown = matches!(history.roles_from, RolesFrom::Syn | RolesFrom::SynAck);
    if is_shown || server.port() < EPHEMERAL_PORT_MIN {
        Place::Service(server)
    } else {
        Place::Server(server.ip())
    }
}

/// The place of a finding.
fn place_of(finding: &Finding, analysis: &Analysis) -> Place {
    let history = finding.connection.and_then(|id| analysis.archive.get(id));
    match (finding.host, history, finding.role) {
        (None, ..) => Place::Capture,
        (Some(_), Some(history), _) => service(&history),
        (Some(host), None, Some(Role::Client)) => Place::Client(host.ip()),
        (Some(host), None, _) if host.port() == 0 => Place::Server(host.ip()),
        (Some(host), None, _) => Place::Service(host),
    }
}

/// Counts a finding. Beyond the bound of services, at none.
fn take(issues: &mut HashMap<Key, Issue>, key: Key, finding: &Finding) {
    let is_room = issues.len() < SERVICES_MAX || issues.contains_key(&key);
    let key = if is_room { key } else { Key { place: Place::Capture, ..key } };
    let issue = issues.entry(key).or_insert_with(|| Issue {
        key,
        counts: Counts::default(),
        worst: finding.clone(),
        last: None,
        stuck: 0,
    });
    issue.stuck = issue.stuck.saturating_add(finding.stuck());
    issue.counts.add(finding.severity);
    issue.last = issue.last.max(finding.last());
    let rank = |finding: &Finding| (finding.severity, finding.duration);
    if rank(finding) > rank(&issue.worst) {
        issue.worst = finding.clone();
    }
}
