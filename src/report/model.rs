//! The shape of the machine formats, schema 1: one type for each kind of line.
//!
//! A name here is a promise to scripts. Members may be added; none is renamed or dropped. The types
//! borrow from what they show and live for one line only, so that a report over half a million
//! connections needs the memory of one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::addr::{Addr, HostPort};
use crate::capture::Compression;
use crate::capture::text::Services;
use crate::findings::{Counts, Finding, Value};
use crate::flow::kinds::Only;
use crate::history::{Close, ClosedFirst, History, Role, Side};
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::{Basis, State};
use crate::infer::trail::{Refuted, Transition};
use crate::notes::Comment;
use crate::owner::Owner;
use crate::report::hosts::{HostSays, TableEntry};
use crate::run::Analysis;
use crate::sockets::Join;
use crate::time::{Span, Timestamp};

/// The version of the machine formats.
pub const SCHEMA: u32 = 1;

/// What was read.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "capture")]
pub struct CaptureLine<'a> {
    schema: u32,
    tool: &'static str,
    version: &'static str,
    files: Vec<FileEntry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    socket_tables: Vec<TableEntry<'a>>,
}

/// One file of the capture.
#[derive(Debug, Serialize)]
struct FileEntry<'a> {
    path: &'a str,
    format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<&'static str>,
    link_types: Vec<String>,
    /// What the times of a text mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    /// Services that a text has by name, with the ports that stand for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<&'a Services>,
    /// Connections of a text whose sequence numbers count from a start before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen_starts: Option<u64>,
}

impl<'a> CaptureLine<'a> {
    /// The first line of a report.
    pub fn new(analysis: &'a Analysis) -> Self {
        let files = analysis.files.iter().map(|file| FileEntry {
            path: &file.file,
            format: file.format.to_string(),
            compression: file.compression.map(Compression::name),
            link_types: file.link_types.iter().map(ToString::to_string).collect(),
            clock: file.text.as_ref().map(|text| text.clock.name()),
            services: file.text.as_ref().map(|text| &text.services),
            unseen_starts: file.text.as_ref().map(|text| text.unseen_starts),
        });
        let tables = analysis.sockets.iter().flat_map(Join::taken);
        CaptureLine {
            schema: SCHEMA,
            tool: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            files: files.collect(),
            socket_tables: tables.map(TableEntry::new).collect(),
        }
    }
}

/// An address and a port.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    addr: Addr,
    port: u16,
    /// The port as a text printed it, where it has no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

impl From<HostPort> for Host {
    fn from(socket: HostPort) -> Self {
        let service = socket.ip().service();
        Host { addr: socket.ip(), port: socket.port(), service }
    }
}

/// One thing for each role.
#[derive(Debug, Serialize)]
struct Both<T> {
    client: T,
    server: T,
}

impl<T> Both<T> {
    fn of(value: impl Fn(Role) -> T) -> Self {
        Both { client: value(Role::Client), server: value(Role::Server) }
    }
}

/// One connection.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "connection")]
pub struct ConnectionLine<'a> {
    id: u64,
    stream: u32,
    client: Host,
    server: Host,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<String>,
    roles_from: &'static str,
    first_ts: Timestamp,
    last_ts: Timestamp,
    duration_s: Span,
    first_frame: u64,
    last_frame: u64,
    frames: u64,
    handshake: &'static str,
    close: Option<&'static str>,
    closed_first: Option<&'static str>,
    zeek_conn_state: &'static str,
    #[serde(rename = "final")]
    last_states: Both<State>,
    dwell_s: Both<Dwell>,
    client_sent: Sent,
    server_sent: Sent,
    history: Vec<Entry>,
    refuted: Vec<RefutedEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icmp_errors: Vec<IcmpEntry>,
    findings: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    on_host: Option<Both<Option<HostSays<'a>>>>,
    /// Who holds the ends by the capture's own notes, where it has any of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    noted_owners: Option<Both<&'a [Owner]>>,
    #[serde(skip_serializing_if = "<[Comment]>::is_empty")]
    comments: &'a [Comment],
}

impl<'a> ConnectionLine<'a> {
    /// The line of one connection of a run, with the names of its findings.
    pub fn new(history: &History, analysis: &'a Analysis, findings: &'a [&'static str]) -> Self {
        let tunnel = analysis.tunnel_of(history);
        let join = analysis.sockets.as_ref();
        ConnectionLine {
            id: history.id,
            stream: history.stream,
            client: history.addr(Role::Client).into(),
            server: history.addr(Role::Server).into(),
            tunnel: tunnel.map(ToString::to_string),
            roles_from: history.roles_from.name(),
            first_ts: history.first.ts,
            last_ts: history.last.ts,
            duration_s: history.duration(),
            first_frame: history.first.frame,
            last_frame: history.last.frame,
            frames: history.frames,
            handshake: history.handshake().name(),
            close: history.close().map(Close::name),
            closed_first: history.closed_first().map(ClosedFirst::name),
            zeek_conn_state: history.zeek.name(),
            last_states: Both::of(|role| history.last_state(role)),
            dwell_s: Both::of(|role| Dwell::new(history, role)),
            client_sent: Sent::new(history.side(Role::Client)),
            server_sent: Sent::new(history.side(Role::Server)),
            history: history.transitions.iter().map(|t| Entry::new(history, t)).collect(),
            refuted: history.refuted.iter().map(|r| RefutedEntry::new(history, r)).collect(),
            icmp_errors: IcmpEntry::all(history),
            findings,
            on_host: join.map(|join| {
                let view = |role| join.view(history.id, role);
                Both::of(|role| view(role).map(|view| HostSays::new(&view)))
            }),
            noted_owners: noted(history.id, analysis),
            comments: analysis.notes.comments(history.id),
        }
    }
}

fn noted(id: u64, analysis: &Analysis) -> Option<Both<&[Owner]>> {
    let owners = |role| analysis.notes.owners(id, role);
    Role::BOTH.iter().any(|role| !owners(*role).is_empty()).then(|| Both::of(owners))
}

/// What one endpoint sent.
#[derive(Debug, Serialize)]
struct Sent {
    segments: u64,
    bytes: u64,
    retransmitted_segments: u64,
}

impl Sent {
    fn new(side: &Side) -> Self {
        let tally = &side.tally;
        Sent {
            segments: tally.segments,
            bytes: tally.bytes,
            retransmitted_segments: tally.retransmitted,
        }
    }
}

/// How long one endpoint was in each state, over all its stays, in the order of a connection's
/// life. Where there is no connection, or nothing is known, there is nothing to measure.
#[derive(Debug)]
pub struct Dwell(Vec<(State, Span)>);

impl Dwell {
    /// The sums of one role's stays.
    pub fn new(history: &History, role: Role) -> Self {
        let mut sums: Vec<(State, Span)> = Vec::new();
        for stay in history.stays(role) {
            if matches!(stay.state, State::Closed | State::Listen | State::Unknown) {
                continue;
            }
            match sums.iter_mut().find(|(state, _)| *state == stay.state) {
                Some((_, sum)) => *sum = sum.plus(stay.dwell),
                None => sums.push((stay.state, stay.dwell)),
            }
        }
        Dwell(sums)
    }

    /// State by state.
    pub fn iter(&self) -> impl Iterator<Item = (State, Span)> + '_ {
        self.0.iter().copied()
    }
}

impl Serialize for Dwell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// One transition.
#[derive(Debug, Serialize)]
struct Entry {
    endpoint: Role,
    from: State,
    state: State,
    ts: Timestamp,
    frame: Option<u64>,
    cause: &'static str,
    basis: Basis,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_ts: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_frame: Option<u64>,
}

impl Entry {
    fn new(history: &History, transition: &Transition) -> Self {
        let Transition { end, from, to, event, basis, at, .. } = *transition;
        let confirmed = transition.confirmation();
        Entry {
            endpoint: history.role(end),
            from,
            state: to,
            ts: at.ts,
            frame: (at.frame > 0).then_some(at.frame),
            cause: event.cause(),
            basis,
            confirmed_ts: confirmed.map(|moment| moment.ts),
            confirmed_frame: confirmed.map(|moment| moment.frame),
        }
    }
}

/// One transition that a later segment refuted.
#[derive(Debug, Serialize)]
struct RefutedEntry {
    endpoint: Role,
    state: State,
    ts: Timestamp,
    frame: Option<u64>,
    refuted_by_frame: u64,
}

impl RefutedEntry {
    fn new(history: &History, refuted: &Refuted) -> Self {
        RefutedEntry {
            endpoint: history.role(refuted.end),
            state: refuted.state,
            ts: refuted.at.ts,
            frame: (refuted.at.frame > 0).then_some(refuted.at.frame),
            refuted_by_frame: refuted.by.frame,
        }
    }
}

/// ICMP errors of one kind that told one endpoint about its segments.
#[derive(Debug, Serialize)]
struct IcmpEntry {
    endpoint: Role,
    error: &'static str,
    ts: Timestamp,
    frame: u64,
    count: u32,
}

impl IcmpEntry {
    fn all(history: &History) -> Vec<Self> {
        let entry = |fact: &Fact| match fact.kind {
            FactKind::Icmp(error) => Some(IcmpEntry {
                endpoint: history.role(fact.end),
                error: error.name(),
                ts: fact.first.ts,
                frame: fact.first.frame,
                count: fact.count,
            }),
            _ => None,
        };
        history.facts.iter().filter_map(entry).collect()
    }
}

/// One finding.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "finding")]
pub struct FindingLine<'a> {
    name: &'static str,
    severity: &'static str,
    message: &'a str,
    connection: Option<u64>,
    endpoint: Option<Role>,
    host: Option<Host>,
    ts: Timestamp,
    duration_s: Option<Span>,
    ongoing: Option<bool>,
    frames: &'a [u64],
    evidence: BTreeMap<Cow<'static, str>, Evidence<'a>>,
}

impl<'a> FindingLine<'a> {
    /// The line of one finding.
    pub fn new(finding: &'a Finding) -> Self {
        FindingLine {
            name: finding.name,
            severity: finding.severity.name(),
            message: &finding.message,
            connection: finding.connection,
            endpoint: finding.role,
            host: finding.host.map(Host::from),
            ts: finding.ts,
            duration_s: finding.duration,
            ongoing: finding.ongoing,
            frames: &finding.frames,
            evidence: finding.evidence.iter().flat_map(evidence).collect(),
        }
    }
}

/// A member of the evidence.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Evidence<'a> {
    Value(&'a Value),
    IsAtLeast(bool),
}

/// A value, and that it was not counted further if it was not.
fn evidence<'a>(
    (key, value): &'a (&'static str, Value),
) -> impl Iterator<Item = (Cow<'static, str>, Evidence<'a>)> {
    let is_at_least = matches!(value, Value::AtLeast(_));
    let more = is_at_least.then(|| (format!("{key}_at_least").into(), Evidence::IsAtLeast(true)));
    [(Cow::Borrowed(*key), Evidence::Value(value))].into_iter().chain(more)
}

/// The last line of a report.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary")]
pub struct SummaryLine {
    packets: u64,
    /// Packets that stand in several files and were taken once.
    #[serde(skip_serializing_if = "is_zero")]
    packets_repeated: u64,
    tcp_segments: u64,
    connections: u64,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
    /// The last packet's time, where the capture is known to have gone on after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_packet_ts: Option<Timestamp>,
    /// By what that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_from: Option<&'static str>,
    /// The only kind of segments that the capture holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<&'static str>,
    skipped: BTreeMap<&'static str, u64>,
    capture_dropped: u64,
    limits_hit: BTreeMap<&'static str, u64>,
    findings: Counts,
    complete: bool,
}

impl SummaryLine {
    /// The sums of a run.
    pub fn new(analysis: &Analysis) -> Self {
        let totals = &analysis.totals;
        SummaryLine {
            packets: totals.packets,
            packets_repeated: analysis.repeated,
            tcp_segments: totals.segments,
            connections: totals.connections,
            first_ts: totals.first_ts,
            last_ts: totals.last_ts,
            last_packet_ts: totals.last_packet_ts,
            end_from: totals.last_packet_ts.map(|_| analysis.ended.name()),
            only: totals.only().map(Only::name),
            skipped: totals.skipped.iter().collect(),
            capture_dropped: analysis.capture_dropped(),
            limits_hit: analysis.limits_hit(),
            findings: analysis.findings.findings,
            complete: analysis.is_complete(),
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::rule;
    use crate::testkit::findings;

    #[test]
    fn a_count_that_reached_its_bound_is_marked() {
        let last_ack = rule("last-ack-stuck").expect("a rule");
        let found = findings(last_ack.raises).into_iter().next().expect("a finding");
        let found = found.with("peers", Value::AtLeast(64)).with("total", 80);
        let line = serde_json::to_value(FindingLine::new(&found)).expect("JSON");
        let member = |key: &str| line["evidence"].get(key).cloned();
        assert_eq!(member("peers"), Some(64.into()));
        assert_eq!(member("peers_at_least"), Some(true.into()));
        assert_eq!((member("total"), member("total_at_least")), (Some(80.into()), None));
    }
}
