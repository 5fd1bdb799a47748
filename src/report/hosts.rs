//! What hosts' own socket tables say, for programs: members of the machine formats that are there
//! when tables were given.

use serde::Serialize;

use crate::infer::state::State;
use crate::owner::Owner;
use crate::sockets::{Dialect, Outcome, Row, Taken, View};
use crate::time::Timestamp;

/// One table.
#[derive(Debug, Serialize)]
pub struct TableEntry<'a> {
    path: &'a str,
    tools: Vec<&'static str>,
    /// When it was taken.
    ts: Timestamp,
    /// The moment of the capture that it is compared with.
    compared_ts: Timestamp,
    sockets: u64,
    agrees: u64,
    host_lacks: u64,
    capture_lacks: u64,
    disagrees: u64,
    unread_lines: u64,
}

impl<'a> TableEntry<'a> {
    /// The entry of a table.
    pub fn new(taken: &'a Taken) -> TableEntry<'a> {
        let count = |outcome| taken.counts.get(&outcome).copied().unwrap_or_default();
        let snapshot = &taken.snapshot;
        TableEntry {
            path: &snapshot.file,
            tools: snapshot.dialects.iter().copied().map(Dialect::name).collect(),
            ts: taken.at,
            compared_ts: taken.compared_at,
            sockets: snapshot.rows.len() as u64,
            agrees: count(Outcome::Agrees),
            host_lacks: count(Outcome::HostLacks),
            capture_lacks: count(Outcome::CaptureLacks),
            disagrees: count(Outcome::Disagrees),
            unread_lines: snapshot.unread_lines,
        }
    }
}

/// What a host says of one end of a connection.
#[derive(Debug, Serialize)]
pub struct HostSays<'a> {
    table: &'a str,
    outcome: &'static str,
    /// The state that the capture has at the moment of the table.
    capture_state: State,
    #[serde(flatten)]
    row: Option<RowEntry<'a>>,
}

impl<'a> HostSays<'a> {
    /// What a view shows.
    pub fn new(view: &View<'a>) -> HostSays<'a> {
        HostSays {
            table: &view.taken.snapshot.file,
            outcome: view.outcome.name(),
            capture_state: view.state,
            row: view.row.map(RowEntry::new),
        }
    }
}

/// A row of a host's table.
#[derive(Debug, Serialize)]
struct RowEntry<'a> {
    line: u32,
    state: Option<State>,
    recv_q: Option<u64>,
    send_q: Option<u64>,
    owners: &'a [Owner],
}

impl<'a> RowEntry<'a> {
    fn new(row: &'a Row) -> RowEntry<'a> {
        RowEntry {
            line: row.line,
            state: row.state,
            recv_q: row.recv_q,
            send_q: row.send_q,
            owners: row.holders.named(),
        }
    }
}

/// A socket that only a host's table has.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "host-socket")]
pub struct HostSocketLine<'a> {
    ts: Timestamp,
    table: &'a str,
    outcome: &'static str,
    local: String,
    remote: String,
    #[serde(flatten)]
    row: RowEntry<'a>,
}

impl<'a> HostSocketLine<'a> {
    /// The line of one that the capture lacks.
    pub fn new(taken: &'a Taken, row: &'a Row) -> HostSocketLine<'a> {
        HostSocketLine {
            ts: taken.compared_at,
            table: &taken.snapshot.file,
            outcome: Outcome::CaptureLacks.name(),
            local: row.local.to_string(),
            remote: row.remote.to_string(),
            row: RowEntry::new(row),
        }
    }
}
