//! A socket table for people, in the shape that netstat or ss gives it. Behind stands what only a
//! witness on the wire can add: for how long it has been so, how that is known, and the connection.
//!
//! Where hosts' own tables are at hand, they fill in who holds each socket and, at their own
//! moment, the queues and how both compare.

use std::io::{self, Write};

use crate::capture::text::Clock;
use crate::infer::state::State;
use crate::owner::Owner;
use crate::report::columns::{Column, Layout, widths};
use crate::report::paint::Tone;
use crate::report::paper::Paper;
use crate::report::sockets::{Socket, SocketTable};
use crate::report::text::{NO_MOMENT, clean, moment};
use crate::sockets::{Outcome, Place, Row, Taken, View};
use crate::time::Timestamp;

/// Whose columns and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// netstat's. States are named as BSD's netstat names them, which are the RFC's names.
    Netstat,
    /// Those of ss from iproute2.
    Ss,
}

/// Those of the tool. Nobody misses queues that nobody knows.
fn columns_of(style: Style, knows_queues: bool) -> Vec<Column> {
    let rank = if knows_queues { 4 } else { Column::NEVER_MISSED };
    let queues = [Column::numbers("Recv-Q", rank), Column::numbers("Send-Q", rank)];
    let state = Column::words("State", 0);
    let ends = |local, remote| [Column::words(local, 0), Column::words(remote, 0).or_beneath()];
    match style {
        Style::Netstat => [Column::words("Proto", 5)]
            .into_iter()
            .chain(queues)
            .chain(ends("Local Address", "Foreign Address"))
            .chain([state])
            .collect(),
        Style::Ss => [state]
            .into_iter()
            .chain(queues)
            .chain(ends("Local Address:Port", "Peer Address:Port"))
            .collect(),
    }
}

/// What the capture adds.
const WITNESSED: [Column; 3] =
    [Column::numbers("For", 2), Column::words("Known", 3), Column::numbers("Id", 0)];

/// What the host's own table says of the state.
const HOST: Column = Column::words("Host", 1);

/// Columns kept for who holds a socket, on a terminal.
const HOLDERS: usize = 24;

/// What stands where neither the wire nor a host tells.
const NOT_KNOWN: &str = "-";

/// Writes the table.
pub fn table(
    table: &SocketTable,
    style: Style,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut columns = columns_of(style, table.join.is_some());
    columns.extend(WITNESSED);
    columns.extend(table.join.map(|_| HOST));
    let tells_holders = table.join.is_some() || table.notes.has_owners();
    let rows = || {
        let seen = table.sockets.iter().map(|socket| of_capture(socket, table, style));
        seen.chain(table.lacking().map(|(taken, row)| of_host(taken, row, table, style)))
    };
    let cells = |row: &Cells| row.cells.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
    let widths = widths(&columns, rows().map(|row| cells(&row)));
    let (holders, last) = match (tells_holders, style) {
        (false, _) => ("", 0),
        (true, Style::Netstat) => ("PID/Program name", HOLDERS),
        (true, Style::Ss) => ("Process", HOLDERS),
    };
    let layout = Layout::new(&columns, &widths, last, paper);
    layout.head(holders, out)?;
    rows().try_for_each(|row| layout.row(row.cells, (row.holders, Tone::Plain), out))?;
    layout.foot(out)
}

/// What netstat writes first, with the moment that the table is of, if there is any.
pub fn title(
    at: Option<Timestamp>,
    clock: Clock,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let at = at.map_or(format!(": {NO_MOMENT}"), |at| format!(" at {}", moment(at, clock)));
    let title = format!("Active Internet connections (w/o servers){at}");
    paper.sentence(&title, Tone::Strong, out)
}

/// A row.
struct Cells {
    cells: Vec<(String, Tone)>,
    /// Who holds the socket; empty where nobody tells that.
    holders: String,
}

/// A row in the shape of a tool.
struct Shape {
    is_ipv6: bool,
    queues: [Option<u64>; 2],
    local: String,
    remote: String,
    state: Option<State>,
}

impl Shape {
    fn cells(self, style: Style) -> Vec<(String, Tone)> {
        let plain = |text: String| (text, Tone::Plain);
        let name = |state: State| match style {
            Style::Netstat => state.name(),
            Style::Ss => ss_name(state),
        };
        let tone = self.state.map_or(Tone::Plain, Tone::of_state);
        let state = (self.state.map_or(NOT_KNOWN, name).to_string(), tone);
        let queues = self.queues.map(|queue| plain(shown(queue)));
        let ends = [plain(self.local), plain(self.remote)];
        match style {
            Style::Netstat => {
                let proto = plain(if self.is_ipv6 { "tcp6" } else { "tcp" }.to_string());
                [proto].into_iter().chain(queues).chain(ends).chain([state]).collect()
            }
            Style::Ss => [state].into_iter().chain(queues).chain(ends).collect(),
        }
    }
}

fn shown(queue: Option<u64>) -> String {
    queue.map_or(NOT_KNOWN.to_string(), |bytes| bytes.to_string())
}

/// The cells of a socket that the capture knows.
fn of_capture(socket: &Socket, table: &SocketTable, style: Style) -> Cells {
    let view = table.view(socket);
    let row = view.as_ref().and_then(|view| view.row.filter(|_| view.taken.is_of(table.at)));
    let shape = Shape {
        is_ipv6: socket.local.ip().is_ipv6(),
        queues: row.map_or([None, None], |row| [row.recv_q, row.send_q]),
        local: table.names.socket(socket.local),
        remote: table.names.socket(socket.remote),
        state: Some(socket.state),
    };
    let mut cells = shape.cells(style);
    cells.extend([
        (table.at.since(socket.entered.at.ts).to_string(), Tone::Plain),
        (known(socket, table.at).to_string(), Tone::Faint),
        (socket.id.to_string(), Tone::Plain),
    ]);
    if table.join.is_some() {
        cells.push(compared(view.as_ref(), table.at, style));
    }
    let noted = table.notes;
    let holders = match table.join.is_some() || noted.has_owners() {
        false => String::new(),
        true => {
            let by_host = view.as_ref().and_then(|view| view.row).map(|row| row.holders.named());
            let by_host = by_host.filter(|owners| !owners.is_empty());
            process(by_host.unwrap_or_else(|| noted.owners(socket.id, socket.role)), style)
        }
    };
    Cells { cells, holders }
}

/// The cells of a socket that only its host knows.
fn of_host(taken: &Taken, row: &Row, table: &SocketTable, style: Style) -> Cells {
    let named = |place: &Place| match place.socket() {
        Some(socket) => table.names.socket(socket),
        None => clean(&place.to_string()).into_owned(),
    };
    let is_ipv6 = row.local.socket().is_some_and(|socket| socket.ip().is_ipv6());
    let is_now = taken.is_of(table.at);
    let shape = Shape {
        is_ipv6,
        queues: if is_now { [row.recv_q, row.send_q] } else { [None, None] },
        local: named(&row.local),
        remote: named(&row.remote),
        state: row.state,
    };
    let mut cells = shape.cells(style);
    cells.extend([NOT_KNOWN; 3].map(|text| (text.to_string(), Tone::Plain)));
    cells.push(("only there".to_string(), Tone::Warning));
    Cells { cells, holders: process(row.holders.named(), style) }
}

/// How the state is known, by what had been seen at that moment.
fn known(socket: &Socket, at: Timestamp) -> &'static str {
    let is_confirmed = socket.entered.confirmation().is_some_and(|confirmed| confirmed.ts <= at);
    if is_confirmed { "confirmed" } else { socket.entered.basis.name() }
}

/// What its host says of the state, if its table is of that moment.
fn compared(view: Option<&View>, at: Timestamp, style: Style) -> (String, Tone) {
    let Some(view) = view.filter(|view| view.taken.is_of(at)) else {
        return (NOT_KNOWN.to_string(), Tone::Plain);
    };
    match (view.outcome, view.row.and_then(|row| row.state)) {
        (Outcome::Agrees, _) => ("agrees".to_string(), Tone::Good),
        (Outcome::Disagrees, Some(state)) => {
            let name = if style == Style::Ss { ss_name(state) } else { state.name() };
            (format!("says {name}"), Tone::Warning)
        }
        (Outcome::Disagrees, None) => ("disagrees".to_string(), Tone::Warning),
        (Outcome::HostLacks | Outcome::CaptureLacks, _) => ("lacks it".to_string(), Tone::Warning),
    }
}

/// The holders as the tool writes them.
fn process(owners: &[Owner], style: Style) -> String {
    if owners.is_empty() {
        return if style == Style::Netstat { NOT_KNOWN.to_string() } else { String::new() };
    }
    let number = |number: Option<u32>| number.map_or("-".to_string(), |it| it.to_string());
    let one = |owner: &Owner| {
        let program = clean(owner.program.as_deref().unwrap_or(NOT_KNOWN)).into_owned();
        match style {
            Style::Netstat => format!("{}/{program}", number(owner.pid)),
            Style::Ss => {
                format!("(\"{program}\",pid={},fd={})", number(owner.pid), number(owner.fd))
            }
        }
    };
    let all: Vec<String> = owners.iter().map(one).collect();
    match style {
        Style::Netstat => all.join(","),
        Style::Ss => format!("users:({})", all.join(",")),
    }
}

/// A state as ss names it.
const fn ss_name(state: State) -> &'static str {
    match state {
        State::Unknown => "UNKNOWN",
        State::Closed => "UNCONN",
        State::Listen => "LISTEN",
        State::SynSent => "SYN-SENT",
        State::SynRcvd => "SYN-RECV",
        State::Established => "ESTAB",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::Closing => "CLOSING",
        State::TimeWait => "TIME-WAIT",
        State::CloseWait => "CLOSE-WAIT",
        State::LastAck => "LAST-ACK",
    }
}
