//! Connections one a row, for as many as there are: the archive is walked twice, once for the
//! widths of the columns and once to print.

use std::io::{self, Write};

use crate::findings::Severity;
use crate::history::{History, Role};
use crate::infer::state::State;
use crate::report::columns::{Column, Layout, widths};
use crate::report::paint::Tone;
use crate::report::paper::Paper;
use crate::report::text::{Since, clean};
use crate::run::Analysis;

/// Which connections are wanted: of each kind of condition one must hold, if there is any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A state at the end, of that role or of either.
    pub states: Vec<(Option<Role>, State)>,
    /// An address of either end, as reports show it.
    pub hosts: Vec<crate::addr::Addr>,
    /// A port of either end.
    pub ports: Vec<u16>,
    /// A finding's name.
    pub findings: Vec<String>,
    /// Only those that are not closed on both sides.
    pub open: bool,
}

impl Filter {
    /// Whether the connection is wanted.
    pub fn admits(&self, analysis: &Analysis, history: &History) -> bool {
        fn any<T>(wanted: &[T], holds: impl Fn(&T) -> bool) -> bool {
            wanted.is_empty() || wanted.iter().any(holds)
        }
        let ends = Role::BOTH.map(|role| history.addr(role));
        any(&self.states, |(role, state)| {
            let mut roles = Role::BOTH.into_iter().filter(|it| role.is_none_or(|role| role == *it));
            roles.any(|role| history.last_state(role) == *state)
        }) && any(&self.hosts, |host| ends.iter().any(|end| end.ip() == *host))
            && any(&self.ports, |port| ends.iter().any(|end| end.port() == *port))
            && (!self.open || history.is_open())
            && any(&self.findings, |name| analysis.concerns(name, history))
    }
}

/// The columns before the findings.
const COLUMNS: [Column; 11] = [
    Column::numbers("id", 0),
    Column::numbers("stream", 5),
    Column::words("client", 0),
    Column::words("server", 0).or_beneath(),
    Column::numbers("start", 3),
    Column::numbers("duration", 2),
    Column::words("handshake", 4),
    Column::words("close", 1),
    Column::words("client is", 0),
    Column::words("server is", 0).or_beneath(),
    Column::words("held by", 1),
];

/// Columns kept for the names of findings on a terminal.
const FINDINGS: usize = 16;

/// Writes the list, and returns how many rows it has.
pub fn table(
    analysis: &Analysis,
    filter: &Filter,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<u64> {
    let wanted = || analysis.archive.iter().filter(|history| filter.admits(analysis, history));
    // The last column is there if somebody tells who holds sockets.
    let without = usize::from(!analysis.tells_owners());
    let columns = COLUMNS.split_at(COLUMNS.len() - without).0;
    let widths = widths(columns, wanted().map(|history| cells(analysis, &history)));
    let layout = Layout::new(columns, &widths, FINDINGS, paper);
    let mut rows = 0;
    for history in wanted() {
        if rows == 0 {
            layout.head("findings", out)?;
        }
        let states = Role::BOTH.map(|role| Tone::of_state(history.last_state(role)));
        let tones = [Tone::Plain; COLUMNS.len() - 3].into_iter().chain(states).chain([Tone::Plain]);
        let (names, severity) = names(analysis, &history);
        let tone = severity.map_or(Tone::Plain, Tone::of_severity);
        let cells = cells(analysis, &history).into_iter().zip(tones);
        layout.row(cells.collect(), (names, tone), out)?;
        rows += 1;
    }
    if rows > 0 {
        layout.foot(out)?;
    }
    Ok(rows)
}

/// The cells of one connection.
fn cells(analysis: &Analysis, history: &History) -> [String; COLUMNS.len()] {
    let start = analysis.totals.first_ts.unwrap_or(history.first.ts);
    [
        history.id.to_string(),
        history.stream.to_string(),
        analysis.names.socket(history.addr(Role::Client)),
        match analysis.tunnel_of(history) {
            Some(tunnel) => {
                format!("{} in {tunnel}", analysis.names.socket(history.addr(Role::Server)))
            }
            None => analysis.names.socket(history.addr(Role::Server)),
        },
        Since(history.first.ts.since(start)).to_string(),
        history.duration().to_string(),
        history.handshake().name().to_string(),
        history.close().map_or("-", |close| close.name()).to_string(),
        history.last_state(Role::Client).to_string(),
        history.last_state(Role::Server).to_string(),
        held_by(analysis, history),
    ]
}

/// Who holds the ends, the server's first: `leaky/4711`.
fn held_by(analysis: &Analysis, history: &History) -> String {
    if !analysis.tells_owners() {
        return String::new();
    }
    let owners = [Role::Server, Role::Client].map(|role| analysis.owners(history.id, role));
    let mut names: Vec<String> = owners
        .into_iter()
        .flatten()
        .map(|owner| match (&owner.program, owner.pid) {
            (Some(program), Some(pid)) => format!("{}/{pid}", clean(program)),
            (Some(program), None) => clean(program).into_owned(),
            (None, pid) => pid.unwrap_or_default().to_string(),
        })
        .collect();
    names.dedup();
    if names.is_empty() { "-".to_string() } else { names.join(",") }
}

/// The names of its findings, and the gravest severity.
fn names(analysis: &Analysis, history: &History) -> (String, Option<Severity>) {
    let own = analysis.findings_of(history);
    let mut findings: Vec<_> = own.iter().chain(analysis.findings_naming(history.id)).collect();
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity));
    let mut names: Vec<&str> = findings.iter().map(|finding| finding.name).collect();
    names.dedup();
    let names = if names.is_empty() { "-".to_string() } else { names.join(",") };
    (names, findings.first().map(|finding| finding.severity))
}
