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
use crate::notes::Notes;
use crate::owner::Owner;
use crate::report::hosts::{HostSays, HostSocketLine};
use crate::report::json::{self, Shape};
use crate::report::model::Host;
use crate::run::{Analysis, Names};
use crate::sockets::{Join, Name, Row, Taken, View};
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
#[derive(Debug)]
pub struct SocketTable<'a> {
    /// When.
    pub at: Timestamp,
    /// The sockets by host, port and peer.
    pub sockets: Vec<Socket>,
    /// What hosts' own tables say.
    pub join: Option<&'a Join>,
    /// What the capture itself says of them.
    pub notes: &'a Notes,
    /// What hosts are called, where people read.
    pub names: &'a Names,
    hosts: &'a [Addr],
}

impl<'a> SocketTable<'a> {
    /// The sockets of these hosts, or of all if none is named.
    pub fn new(analysis: &'a Analysis, at: Timestamp, hosts: &'a [Addr]) -> SocketTable<'a> {
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
        SocketTable {
            at,
            sockets,
            join: analysis.sockets.as_ref(),
            notes: &analysis.notes,
            names: &analysis.names,
            hosts,
        }
    }

    /// What a host's own table says of a socket.
    pub fn view(&self, socket: &Socket) -> Option<View<'a>> {
        self.join.and_then(|join| join.view(socket.id, socket.role))
    }

    /// The sockets of these hosts that only their own tables have.
    pub fn lacking(&self) -> impl Iterator<Item = (&'a Taken, &'a Row)> {
        let is_wanted = |row: &Row| match (&row.local.host, self.hosts) {
            (_, []) => true,
            (Name::Addr(addr), hosts) => hosts.contains(&Addr::from(*addr)),
            _ => false,
        };
        self.join.into_iter().flat_map(Join::lacking).filter(move |(_, row)| is_wanted(row))
    }

    /// Writes it for programs: a line for each socket, then for those that only a host's own table
    /// has; or one object.
    pub fn as_json(&self, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
        let lines = self.sockets.iter().map(|socket| {
            let on_host = self.view(socket).map(|view| HostSays::new(&view));
            let noted = self.notes.owners(socket.id, socket.role);
            SocketLine { noted_owners: noted, ..SocketLine::new(socket, self.at, on_host) }
        });
        let lacking = self.lacking().map(|(taken, row)| HostSocketLine::new(taken, row));
        match shape {
            Shape::Lines => {
                json::items(lines, shape, out)?;
                json::items(lacking, shape, out)
            }
            Shape::Object => {
                out.write_all(b"{\"sockets\":[")?;
                json::items(lines, shape, out)?;
                if self.join.is_some() {
                    out.write_all(b"],\n\"host_sockets\":[")?;
                    json::items(lacking, shape, out)?;
                }
                out.write_all(b"]}\n")
            }
        }
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
    history.stays(role).filter(|stay| stay.state.is_listed())
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
struct SocketLine<'a> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    on_host: Option<HostSays<'a>>,
    #[serde(skip_serializing_if = "<[Owner]>::is_empty")]
    noted_owners: &'a [Owner],
}

impl<'a> SocketLine<'a> {
    fn new(socket: &Socket, at: Timestamp, on_host: Option<HostSays<'a>>) -> SocketLine<'a> {
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
            on_host,
            noted_owners: &[],
        }
    }
}
