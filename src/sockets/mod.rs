//! A host's own socket table, as its tools print it: text in one of six dialects to rows.
//!
//! The dialect is recognised by content, line by line, so that a file may hold the output of
//! several commands. Any bytes may come: a line that cannot be read is counted and named, never
//! guessed at. What a dialect cannot tell is [`Dialect`]'s to say, because the absence of a row
//! means something only where all are listed.

mod held;
mod join;
mod line;
mod lsof;
mod netstat;
mod place;
mod procfs;
mod ss;
mod state;
mod windows;

use core::fmt;
use core::net::IpAddr;
use std::collections::HashMap;

use crate::infer::state::State;
use crate::limits::{
    SNAPSHOT_HOLDERS_MAX, SNAPSHOT_LINE_BYTES_MAX, SNAPSHOT_ROWS_MAX, SNAPSHOT_UNREAD_NAMED_MAX,
};
use crate::owner::Owner;

pub use held::{Descriptors, Held, Place as HeldBy};
pub use join::{Join, Outcome, SLACK, Taken, View};
pub use line::text_of;
pub use place::{Name, Place, Port};

use line::{Line, Reading};

/// Which tool printed a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// ss of iproute2.
    Ss,
    /// netstat of net-tools, on Linux.
    LinuxNetstat,
    /// netstat of a BSD or of macOS.
    BsdNetstat,
    /// netstat of Windows.
    WindowsNetstat,
    /// lsof, on any system.
    Lsof,
    /// `/proc/net/tcp` or `/proc/net/tcp6`.
    ProcNet,
}

impl Dialect {
    /// Every dialect, in the order in which a line is tried.
    const ALL: [Dialect; 6] = [
        Dialect::ProcNet,
        Dialect::Ss,
        Dialect::LinuxNetstat,
        Dialect::BsdNetstat,
        Dialect::WindowsNetstat,
        Dialect::Lsof,
    ];

    /// What it is called in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Ss => "ss",
            Dialect::LinuxNetstat => "netstat (Linux)",
            Dialect::BsdNetstat => "netstat (BSD, macOS)",
            Dialect::WindowsNetstat => "netstat (Windows)",
            Dialect::Lsof => "lsof",
            Dialect::ProcNet => "/proc/net/tcp",
        }
    }

    /// Whether it lists sockets that no process holds: those in TIME_WAIT, closed ones that the
    /// kernel finishes, and those that nobody has accepted yet. lsof lists descriptors.
    pub const fn lists_unheld(self) -> bool {
        !matches!(self, Dialect::Lsof)
    }

    /// Whether Recv-Q counts a FIN as a byte, as Linux does.
    const fn counts_fin(self) -> bool {
        matches!(self, Dialect::Ss | Dialect::LinuxNetstat | Dialect::ProcNet)
    }

    fn is_header(self, line: &str) -> bool {
        match self {
            Dialect::Ss => ss::is_header(line),
            Dialect::LinuxNetstat => netstat::is_linux_header(line),
            Dialect::BsdNetstat => netstat::is_bsd_header(line),
            Dialect::WindowsNetstat => windows::is_header(line),
            Dialect::Lsof => lsof::is_header(line),
            Dialect::ProcNet => procfs::is_header(line),
        }
    }

    fn read(self, line: &Line) -> Reading {
        match self {
            Dialect::Ss => ss::read(line),
            Dialect::LinuxNetstat => netstat::read_linux(line),
            Dialect::BsdNetstat => netstat::read_bsd(line),
            Dialect::WindowsNetstat => windows::read(line),
            Dialect::Lsof => lsof::read(line),
            Dialect::ProcNet => procfs::read(line),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who holds a socket, as far as the table tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Holders {
    /// The table was not asked, or cannot tell.
    #[default]
    NotTold,
    /// The table names holders, and none for this socket: nobody holds it, or whoever took the
    /// snapshot was not allowed to see who.
    NotShown,
    /// The kernel says that no file belongs to it.
    Nobody,
    /// These; more than one if a descriptor is shared.
    These(Vec<Owner>),
}

impl Holders {
    /// The holders that are named.
    pub fn named(&self) -> &[Owner] {
        match self {
            Holders::These(owners) => owners,
            _ => &[],
        }
    }

    /// Keeps no more than there is room for; returns how many are left out.
    fn bound(&mut self) -> u64 {
        let Holders::These(owners) = self else { return 0 };
        let left_out = owners.len().saturating_sub(SNAPSHOT_HOLDERS_MAX);
        owners.truncate(SNAPSHOT_HOLDERS_MAX);
        left_out as u64
    }
}

/// One TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line that shows it, from 1.
    pub line: u32,
    /// The tool that printed it.
    pub dialect: Dialect,
    /// Its own end.
    pub local: Place,
    /// The other end; no particular one for a socket that listens.
    pub remote: Place,
    /// Its state, where a column has it.
    pub state: Option<State>,
    /// Bytes that the application has not read (a FIN counts as one); of a listening socket the
    /// connections that nobody has accepted.
    pub recv_q: Option<u64>,
    /// Bytes that the peer has not acknowledged; of a listening socket the most that may wait.
    pub send_q: Option<u64>,
    /// Who holds it.
    pub holders: Holders,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its number, from 1.
    pub line: u32,
    /// Why.
    pub why: &'static str,
}

/// A host's socket table.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The file that it comes from.
    pub file: String,
    /// The tools that printed it.
    pub dialects: Vec<Dialect>,
    /// Its TCP sockets.
    pub rows: Vec<Row>,
    /// Whether a header stands above rows. Without one they may be a selection.
    pub has_header: bool,
    /// The first lines that could not be read.
    pub unread: Vec<Unread>,
    /// How many could not be read.
    pub unread_lines: u64,
    /// Rows and holders for which there was no room.
    pub left_out: u64,
}

impl Snapshot {
    /// Reads a table from the bytes of a file. Whatever the bytes, something comes of it; a file
    /// that is no socket table has no dialect.
    pub fn parse(file: &str, bytes: &[u8]) -> Snapshot {
        let mut parser = Parser {
            snapshot: Snapshot { file: file.to_string(), ..Snapshot::default() },
            places: HashMap::new(),
            dialect: None,
            header: String::new(),
        };
        for (at, text) in text_of(bytes).lines().enumerate() {
            let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
            match text.len() > SNAPSHOT_LINE_BYTES_MAX {
                true => parser.unread(line, "is longer than any socket's"),
                false => parser.line(text, line),
            }
        }
        parser.finish()
    }

    /// The file's name without its folder.
    pub fn name(&self) -> &str {
        self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file)
    }

    /// Puts other addresses in place of these, numbers in place of hosts' names, and a label in
    /// place of the file's name.
    pub fn mask(&mut self, label: String, mut stand_in: impl FnMut(IpAddr) -> IpAddr) {
        self.file = label;
        let mut names: HashMap<Box<str>, usize> = HashMap::new();
        for place in self.rows.iter_mut().flat_map(|row| [&mut row.local, &mut row.remote]) {
            match &mut place.host {
                Name::Any => {}
                Name::Addr(addr) => *addr = stand_in(*addr),
                Name::Text(name) => {
                    let next = names.len() + 1;
                    let number = names.entry(core::mem::take(name)).or_insert(next);
                    *name = format!("name-{number}").into();
                }
            }
        }
    }

    /// All holders of sockets, in order.
    pub fn owners_mut(&mut self) -> impl Iterator<Item = &mut Owner> {
        self.rows.iter_mut().flat_map(|row| match &mut row.holders {
            Holders::These(owners) => owners.as_mut_slice(),
            _ => &mut [],
        })
    }

    /// Whether it is a socket table at all.
    pub fn is_one(&self) -> bool {
        !self.dialects.is_empty()
    }
}

/// A table while it is read.
struct Parser {
    snapshot: Snapshot,
    /// The row of each pair of ends: lsof has a line for each holder.
    places: HashMap<(Place, Place), usize>,
    dialect: Option<Dialect>,
    header: String,
}

impl Parser {
    fn line(&mut self, text: &str, number: u32) {
        if let Some(dialect) = Dialect::ALL.into_iter().find(|dialect| dialect.is_header(text)) {
            self.header = text.to_string();
            self.snapshot.has_header = true;
            return self.speaks(dialect);
        }
        let line = Line { text, header: &self.header };
        let (dialect, reading) = match self.dialect {
            Some(dialect) => (dialect, dialect.read(&line)),
            None => {
                let readings = Dialect::ALL.map(|dialect| (dialect, dialect.read(&line)));
                let row = readings.into_iter().find(|(_, it)| matches!(it, Reading::Row(_)));
                // Before the first line that says whose table it is, anything may stand.
                let Some(row) = row else { return };
                row
            }
        };
        match reading {
            Reading::Row(mut row) => {
                row.line = number;
                row.dialect = dialect;
                self.speaks(dialect);
                self.row(*row);
            }
            Reading::Program(program) => self.program(&program),
            Reading::Holders(holders) => self.holders(holders),
            Reading::Other => {}
            Reading::Unreadable(why) => self.unread(number, why),
        }
    }

    fn speaks(&mut self, dialect: Dialect) {
        self.dialect = Some(dialect);
        if !self.snapshot.dialects.contains(&dialect) {
            self.snapshot.dialects.push(dialect);
        }
    }

    fn row(&mut self, mut row: Row) {
        self.snapshot.left_out += row.holders.bound();
        let key = (row.local.clone(), row.remote.clone());
        if let Some(known) = self.places.get(&key).and_then(|at| self.snapshot.rows.get_mut(*at)) {
            self.snapshot.left_out += known.merge(row);
            return;
        }
        if self.snapshot.rows.len() >= SNAPSHOT_ROWS_MAX {
            self.snapshot.left_out += 1;
            return;
        }
        self.places.insert(key, self.snapshot.rows.len());
        self.snapshot.rows.push(row);
    }

    /// A line of its own names the holders of the row before.
    fn holders(&mut self, mut holders: Holders) {
        self.snapshot.left_out += holders.bound();
        if let Some(row) = self.snapshot.rows.last_mut()
            && row.holders.named().is_empty()
        {
            row.holders = holders;
        }
    }

    /// A line of its own names the program of the row before.
    fn program(&mut self, program: &str) {
        if let Some(Holders::These(owners)) =
            self.snapshot.rows.last_mut().map(|it| &mut it.holders)
            && let Some(owner) = owners.last_mut()
        {
            owner.program.get_or_insert_with(|| program.into());
        }
    }

    /// Where a table names holders, it shows none for the others.
    fn finish(mut self) -> Snapshot {
        let rows = &mut self.snapshot.rows;
        if rows.iter().any(|row| !row.holders.named().is_empty()) {
            for row in rows.iter_mut().filter(|row| row.holders == Holders::NotTold) {
                row.holders = Holders::NotShown;
            }
        }
        self.snapshot
    }

    fn unread(&mut self, line: u32, why: &'static str) {
        self.snapshot.unread_lines += 1;
        if self.snapshot.unread.len() < SNAPSHOT_UNREAD_NAMED_MAX {
            self.snapshot.unread.push(Unread { line, why });
        }
    }
}

impl Row {
    /// Takes what another line tells of the same socket; returns for how many holders there was no
    /// room.
    fn merge(&mut self, other: Row) -> u64 {
        self.state = self.state.or(other.state);
        if self.recv_q.is_none() {
            (self.recv_q, self.dialect) = (other.recv_q, other.dialect);
        }
        self.send_q = self.send_q.or(other.send_q);
        let mut left_out = 0;
        match (&mut self.holders, other.holders) {
            (Holders::These(known), Holders::These(others)) => {
                for owner in others {
                    match known.len() < SNAPSHOT_HOLDERS_MAX {
                        _ if known.contains(&owner) => {}
                        true => known.push(owner),
                        false => left_out += 1,
                    }
                }
            }
            (Holders::These(_), _) | (_, Holders::NotTold) => {}
            (mine, theirs) => *mine = theirs,
        }
        left_out
    }
}
