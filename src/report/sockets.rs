//! The sockets that the hosts of a capture had: each connection is one on each of its two hosts, in
//! the state in which that end was.
//!
//! A socket is there from the first transition into a state that a host lists until the end is
//! CLOSED. What listens, and a SYN that nobody answered, is no socket of a connection.

use std::io::{self, Write};

use serde::Serialize;

use crate::addr::{Addr, HostPort};
use crate::history::{History, Role, Stay};
use crate::infer::state::{Basis, State};
use crate::infer::trail::Transition;
use crate::report::json::{self, Shape};
use crate::report::model::Host;
use crate::run::Analysis;
use crate::time::{Span, Timestamp};

/// One socket at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Socket {
    /// Its own end.
    pub local: HostPort,
    /// The other end.
    pub remote: HostPort,
    /// Its own role.
    pub role: Role,
    /// Its state.
    pub state: State,
    /// What brought it into that state.
    pub entered: Transition,
    /// The connection.
    pub id: u64,
    /// Wireshark's `tcp.stream` of its first segment.
    pub stream: u32,
}

/// The sockets that were there at one moment.
#[derive(Clone, Debug)]
pub struct SocketTable {
    /// When.
    pub at: Timestamp,
    /// The sockets by host, port and peer.
    pub sockets: Vec<Socket>,
}

impl SocketTable {
    /// The sockets of these hosts, or of all if none is named.
    pub fn new(analysis: &Analysis, at: Timestamp, hosts: &[Addr]) -> SocketTable {
        let mut sockets = Vec::new();
        for history in analysis.archive.iter() {
            if history.first.ts > at {
                continue;
            }
            for role in wanted(&history, hosts) {
                let is_at = |stay: &Stay| {
                    stay.entered.at.ts <= at && stay.left.is_none_or(|left| at < left)
                };
                let stay = stays(&history, role).find(is_at);
                sockets.extend(stay.map(|stay| Socket::new(&history, role, &stay)));
            }
        }
        sockets.sort_by_key(|socket| (socket.local, socket.remote, socket.id));
        SocketTable { at, sockets }
    }

    /// Writes it for programs: a line for each socket, or one object.
    pub fn as_json(&self, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
        let lines = self.sockets.iter().map(|socket| SocketLine::new(socket, self.at));
        json::items("sockets", lines, shape, out)
    }
}

/// The roles of a connection whose host is wanted.
pub fn wanted(history: &History, hosts: &[Addr]) -> impl Iterator<Item = Role> {
    Role::BOTH
        .into_iter()
        .filter(|role| hosts.is_empty() || hosts.contains(&history.addr(*role).ip()))
}

/// The stays of an end in states that a host lists.
pub fn stays(history: &History, role: Role) -> impl Iterator<Item = Stay> {
    history.stays(role).filter(|stay| !matches!(stay.state, State::Closed | State::Listen))
}

impl Socket {
    fn new(history: &History, role: Role, stay: &Stay) -> Socket {
        Socket {
            local: history.addr(role),
            remote: history.addr(role.peer()),
            role,
            state: stay.state,
            entered: stay.entered,
            id: history.id,
            stream: history.stream,
        }
    }
}

/// One socket for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "socket")]
struct SocketLine {
    ts: Timestamp,
    local: Host,
    remote: Host,
    endpoint: Role,
    state: State,
    since_ts: Timestamp,
    for_s: Span,
    frame: Option<u64>,
    basis: Basis,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_ts: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_frame: Option<u64>,
    connection: u64,
    stream: u32,
}

impl SocketLine {
    fn new(socket: &Socket, at: Timestamp) -> SocketLine {
        let entered = &socket.entered;
        let confirmed = entered.confirmation();
        SocketLine {
            ts: at,
            local: socket.local.into(),
            remote: socket.remote.into(),
            endpoint: socket.role,
            state: socket.state,
            since_ts: entered.at.ts,
            for_s: at.since(entered.at.ts),
            frame: (entered.at.frame > 0).then_some(entered.at.frame),
            basis: entered.basis,
            confirmed_ts: confirmed.map(|confirmed| confirmed.ts),
            confirmed_frame: confirmed.map(|confirmed| confirmed.frame),
            connection: socket.id,
            stream: socket.stream,
        }
    }
}
