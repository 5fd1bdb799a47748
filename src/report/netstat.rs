//! A socket table for people, in the shape that netstat or ss gives it. Behind stands what only a
//! witness on the wire can add: for how long it has been so, how that is known, and the connection.

use std::io::{self, Write};

use crate::capture::text::Clock;
use crate::infer::state::State;
use crate::report::paint::Tone;
use crate::report::paper::put_cell;
use crate::report::sockets::{Socket, SocketTable};
use crate::report::text::{moment, width};
use crate::time::Timestamp;

/// Whose columns and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// netstat's. States are named as BSD's netstat names them, which are the RFC's names.
    Netstat,
    /// Those of ss from iproute2.
    Ss,
}

/// A column's title, and whether it holds numbers.
type Column = (&'static str, bool);

const NETSTAT: [Column; 9] = [
    ("Proto", false),
    ("Recv-Q", true),
    ("Send-Q", true),
    ("Local Address", false),
    ("Foreign Address", false),
    ("State", false),
    ("For", true),
    ("Known", false),
    ("Id", true),
];

const SS: [Column; 8] = [
    ("State", false),
    ("Recv-Q", true),
    ("Send-Q", true),
    ("Local Address:Port", false),
    ("Peer Address:Port", false),
    ("For", true),
    ("Known", false),
    ("Id", true),
];

/// What stands where the wire does not tell: how much an application has not read, or not yet sent.
const NOT_KNOWN: &str = "-";

/// Writes the table.
pub fn table(table: &SocketTable, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let columns: &[Column] = match style {
        Style::Netstat => &NETSTAT,
        Style::Ss => &SS,
    };
    let mut widths: Vec<usize> = columns.iter().map(|(title, _)| width(title)).collect();
    for socket in &table.sockets {
        for (widest, (cell, _)) in widths.iter_mut().zip(cells(socket, table.at, style)) {
            *widest = width(&cell).max(*widest);
        }
    }
    let mut row = |cells: Vec<(String, Tone)>| -> io::Result<()> {
        for (at, (((_, is_number), columns), (cell, tone))) in
            columns.iter().zip(&widths).zip(cells).enumerate()
        {
            if at > 0 {
                out.write_all(b" ")?;
            }
            put_cell(&cell, tone, *columns, *is_number, out)?;
        }
        writeln!(out)
    };
    row(columns.iter().map(|(title, _)| (title.to_string(), Tone::Faint)).collect())?;
    table.sockets.iter().try_for_each(|socket| row(cells(socket, table.at, style)))
}

/// What netstat writes first, with the moment that the table is of.
pub fn title(at: Timestamp, clock: Clock, out: &mut dyn Write) -> io::Result<()> {
    let at = moment(at, clock);
    let title = format!("Active Internet connections (w/o servers) at {at}");
    writeln!(out, "{}", Tone::Strong.paint(&title))
}

/// The cells of one row.
fn cells(socket: &Socket, at: Timestamp, style: Style) -> Vec<(String, Tone)> {
    let plain = |text: &str| (text.to_string(), Tone::Plain);
    let local = plain(&socket.local.to_string());
    let remote = plain(&socket.remote.to_string());
    let tone = Tone::of_state(socket.state);
    let queues = [plain(NOT_KNOWN), plain(NOT_KNOWN)];
    let known = [
        plain(&at.since(socket.entered.at.ts).to_string()),
        (known(socket, at).to_string(), Tone::Faint),
        plain(&socket.id.to_string()),
    ];
    let shape: Vec<(String, Tone)> = match style {
        Style::Netstat => {
            let proto = if socket.local.ip().is_ipv6() { "tcp6" } else { "tcp" };
            let state = (socket.state.to_string(), tone);
            [plain(proto)].into_iter().chain(queues).chain([local, remote, state]).collect()
        }
        Style::Ss => {
            let state = (ss_name(socket.state).to_string(), tone);
            [state].into_iter().chain(queues).chain([local, remote]).collect()
        }
    };
    shape.into_iter().chain(known).collect()
}

/// How the state is known, by what had been seen at that moment.
fn known(socket: &Socket, at: Timestamp) -> &'static str {
    let is_confirmed = socket.entered.confirmation().is_some_and(|confirmed| confirmed.ts <= at);
    if is_confirmed { "confirmed" } else { socket.entered.basis.name() }
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
