//! The report for people: the verdict first, then what was read, what was found and where, the
//! connections to look at, and how to see the rest. A screen or two, whatever the capture's size.

use core::cmp::Reverse;
use std::ffi::OsString;
use std::io::{self, Write};

use comfy_table::{Cell, Table};

use crate::addr::HostPort;
use crate::findings::survey::{Group, Lasted};
use crate::findings::{Finding, Severity};
use crate::history::{History, Role};
use crate::report::ci::gate::{Judged, Judgement};
use crate::report::kinds::{Kind, Room, beyond, example, kinds, others};
use crate::report::overview::{input, states};
use crate::report::paint::Tone;
use crate::report::paper::{Paper, fits, heading, keep_whole, plain_table, put_table};
use crate::report::text::{Grouped, plural, wrap};
use crate::report::verdict::{of_connections, verdict, worst_findings};
use crate::report::{holders, next};
use crate::run::{Analysis, Names};

/// Rows of findings.
const FINDINGS_MAX: usize = 20;

/// Rows of one finding, at as many places.
const PLACES_MAX: usize = 3;

/// Rows of what a baseline holds.
const KNOWN_MAX: usize = 12;

/// Messages of findings that are written out.
const MESSAGES_MAX: usize = 3;

/// Connections that are shown.
pub const WORST_MAX: usize = 5;

/// Writes the report. `options` are those of the command line that change what is found, word by
/// word: whoever goes on needs them, too.
pub fn report(
    analysis: &Analysis,
    options: &[OsString],
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let survey = &analysis.survey;
    let worst = worst_findings(analysis);
    let (verdict, tone) = verdict(analysis, survey);
    paper.sentence(&verdict, tone, out)?;
    heading("Input", out)?;
    input(analysis, survey, paper, out)?;
    if analysis.totals.connections == 0 {
        return Ok(());
    }
    heading("States at the end", out)?;
    states(survey, paper, out)?;
    if let Some(join) = &analysis.sockets {
        holders::section(join, analysis, paper, out)?;
    }
    heading("Findings", out)?;
    findings(analysis, worst.first().copied(), paper, out)?;
    messages(&worst, paper, out)?;
    connections(analysis, &worst, paper, out)?;
    heading("Go on with", out)?;
    next::commands(analysis, &worst, options, paper, out)
}

/// Writes what was found and where: first what the verdict tells, then the gravest.
fn findings(
    analysis: &Analysis,
    told: Option<&Finding>,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let groups = in_order(analysis, told);
    if groups.is_empty() {
        return writeln!(out, " none");
    }
    let room = Room { rows: FINDINGS_MAX, each: PLACES_MAX, has_sums: true };
    let kinds = kinds(groups, |group| group.name, room);
    let rows: Vec<Row> = kinds.iter().flat_map(rows).collect();
    let mut wide = plain_table(paper.columns);
    let head = ["severity", "finding", "where", "count", "longest", "example"];
    wide.set_header(head.map(|name| Tone::Faint.cell(name)));
    for row in &rows {
        let (group, tone) = (&row.group, Tone::of_severity(row.group.severity));
        wide.add_row([
            tone.cell(group.severity),
            tone.cell(group.name),
            Tone::Plain.cell(row.place(&analysis.names)),
            Tone::Plain.cell(Grouped(group.count)),
            Tone::Plain.cell(group.longest),
            Tone::Plain.cell(example(group.example, group.stuck)),
        ]);
    }
    keep_whole(&mut wide, &[0, 1, 2, 3, 4, 5]);
    let narrow = || narrow_findings(&rows, &analysis.names, paper);
    put_table(&if fits(&wide, paper.columns) { wide } else { narrow() }, out)?;
    let Some(beyond) = beyond(&kinds, |group| group.count) else { return Ok(()) };
    let room = usize::from(paper.columns).saturating_sub(1);
    wrap(&format!("and {beyond}"), room).iter().try_for_each(|line| writeln!(out, " {line}"))
}

/// The groups of findings; of those that are as grave, first what the verdict tells, where it
/// tells it.
fn in_order<'a>(analysis: &'a Analysis, told: Option<&Finding>) -> Vec<&'a Group> {
    let mut groups: Vec<&Group> = analysis.survey.groups.iter().collect();
    let Some(told) = told else { return groups };
    let history = told.connection.and_then(|id| analysis.archive.get(id));
    let places = [told.host, history.map(|it| it.addr(Role::Server))];
    groups.sort_by_key(|group| {
        let is_told = group.name == told.name;
        Reverse((group.severity, is_told, is_told && places.contains(&group.place)))
    });
    groups
}

/// The same findings, each with its place beneath it: an address is to be copied.
fn narrow_findings(rows: &[Row], names: &Names, paper: &Paper) -> Table {
    let mut table = plain_table(paper.columns);
    let head = ["severity", "finding\nwhere", "count", "longest\nexample"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for row in rows {
        let (group, tone) = (&row.group, Tone::of_severity(row.group.severity));
        table.add_row([
            tone.cell(group.severity),
            tone.cell(format!("{}\n{}", group.name, row.place(names))),
            Tone::Plain.cell(Grouped(group.count)),
            Tone::Plain.cell(format!("{}\n{}", group.longest, example(group.example, group.stuck))),
        ]);
    }
    // What is left has room for any finding and any address, but not for any name of a host.
    keep_whole(&mut table, &[0, 2, 3]);
    table
}

/// A row of findings.
struct Row {
    group: Group,
    /// What stands for the places of several, if it sums them up.
    others: Option<String>,
}

impl Row {
    /// Where it is, with the side that it is about: the place alone would blame the wrong end.
    fn place(&self, names: &Names) -> String {
        match (&self.others, self.group.place) {
            (Some(others), _) => others.clone(),
            (None, None) => "the capture".to_string(),
            (None, Some(socket)) => format!("{}{}", self.group.side.words(), place(names, socket)),
        }
    }
}

/// The rows of a kind of finding.
fn rows(kind: &Kind<'_, Group>) -> Vec<Row> {
    let one = |group: &&Group| Row { group: (*group).clone(), others: None };
    let mut rows: Vec<Row> = kind.shown.iter().map(one).collect();
    if let Some(first) = kind.rest.first().filter(|_| kind.has_room) {
        let rest = || kind.rest.iter();
        let count = rest().map(|group| group.count).sum();
        let stuck = rest().map(|group| group.stuck).sum();
        let longest = rest().map(|group| group.longest).max().unwrap_or_default();
        let severity = rest().map(|group| group.severity).max().unwrap_or(first.severity);
        // Where others stand above, they have the connection to look at.
        let example = first.example.filter(|_| kind.shown.is_empty());
        let sum = Group { severity, count, stuck, longest, example, ..(*first).clone() };
        rows.push(Row { group: sum, others: Some(others(kind.shown.len(), kind.rest.len())) });
    }
    rows
}

/// Writes what a baseline holds of the findings, if it holds any.
pub fn known(
    judgement: &Judgement,
    names: &Names,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let known: Vec<&Judged> = judgement.issues.iter().filter(|it| it.known > 0).collect();
    if known.is_empty() {
        return Ok(());
    }
    let kinds = kinds(known, |judged| judged.issue.key.name, Room::rows(KNOWN_MAX));
    let shown = || kinds.iter().flat_map(|kind| &kind.shown);
    let beyond: usize = kinds.iter().map(|kind| kind.rest.len()).sum();
    heading("Known by the baseline", out)?;
    let table = |head: &[&str]| {
        let mut table = plain_table(paper.columns);
        table.set_header(head.iter().map(|name| Tone::Faint.cell(name)));
        for judged in shown() {
            let issue = &judged.issue;
            let (tone, name) = (Tone::of_severity(issue.severity()), issue.key.name);
            let place = issue.key.at();
            let place = names.text(&place);
            let mut cells = match head.len() {
                4 => vec![tone.cell(name), Tone::Plain.cell(place)],
                _ => vec![tone.cell(format!("{name}\n{place}"))],
            };
            cells.extend([issue.count(), judged.known].map(|it| Tone::Plain.cell(Grouped(it))));
            table.add_row(cells);
        }
        table
    };
    let mut wide = table(&["finding", "where", "count", "known"]);
    keep_whole(&mut wide, &[0, 1, 2, 3]);
    let narrow = || table(&["finding\nwhere", "count", "known"]);
    put_table(&if fits(&wide, paper.columns) { wide } else { narrow() }, out)?;
    match beyond {
        0 => Ok(()),
        beyond => writeln!(out, " and {}", plural(beyond as u64, "other row")),
    }
}

/// An address and port; a client meant for all its ports has none.
fn place(names: &Names, socket: HostPort) -> String {
    if socket.port() == 0 { names.host(socket.ip()) } else { names.socket(socket) }
}

/// What the gravest findings but the first, which is the verdict, say.
fn messages(worst: &[&Finding], paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let grave = worst.iter().filter(|finding| finding.severity >= Severity::Warning);
    for finding in grave.skip(1).take(MESSAGES_MAX) {
        let text = format!("{}: {}", finding.name, finding.message);
        for (at, line) in
            wrap(&text, usize::from(paper.columns).saturating_sub(3)).iter().enumerate()
        {
            writeln!(out, " {} {line}", if at == 0 { "-" } else { " " })?;
        }
    }
    Ok(())
}

/// At most that many of the worst connections, each with the finding that it is there for.
pub fn worst_connections<'a>(
    analysis: &'a Analysis,
    worst: &[&'a Finding],
    max: usize,
) -> Vec<(&'a Finding, History)> {
    let mut shown: Vec<(&Finding, History)> = Vec::new();
    let grave = worst.iter().filter(|it| it.severity >= Severity::Warning);
    let lists: Vec<Vec<&Finding>> = grave.map(|told| examples(analysis, told)).collect();
    // One of each kind, then a second of each.
    for place in 0..max {
        for finding in lists.iter().filter_map(|list| list.get(place)) {
            let id = finding.connection.filter(|id| shown.iter().all(|(_, known)| known.id != *id));
            if let Some(history) = id.and_then(|id| analysis.archive.get(id)) {
                shown.push((finding, history));
            }
        }
    }
    shown.truncate(max);
    shown
}

/// The worst connections with what a finding says; of one about a service, first those there.
fn examples<'a>(analysis: &'a Analysis, told: &Finding) -> Vec<&'a Finding> {
    let kept = analysis.findings.worst.get(of_connections(told.name));
    let mut list: Vec<&Finding> = kept.into_iter().flatten().collect();
    if told.connection.is_none()
        && let Some(place) = told.service.or(told.host)
    {
        let server = |it: &&Finding| {
            let history = analysis.archive.get(it.connection?)?;
            Some(history.addr(Role::Server))
        };
        list.sort_by_cached_key(|it| server(it) != Some(place));
    }
    list
}

/// Writes the worst connections, if any is bad.
fn connections(
    analysis: &Analysis,
    worst: &[&Finding],
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = worst_connections(analysis, worst, WORST_MAX);
    if shown.is_empty() {
        return Ok(());
    }
    heading("Connections to look at", out)?;
    let table = Shape::ALL
        .into_iter()
        .filter(|shape| usize::from(paper.columns) >= shape.columns_min())
        .map(|shape| shape.table(&shown, analysis, paper))
        .find(|table| fits(table, paper.columns));
    // Only long names of hosts have no room in the last shape either.
    let table = table.unwrap_or_else(|| Shape::Tall.table(&shown, analysis, paper));
    put_table(&table, out)
}

/// How the connections to look at are laid out: the first shape that has room is taken, for what
/// is to be copied is not broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Each endpoint and its state have columns of their own.
    Wide,
    /// The client's stand above the server's.
    Narrow,
    /// So do they, and the finding stands below.
    Tall,
}

impl Shape {
    const ALL: [Shape; 3] = [Shape::Wide, Shape::Narrow, Shape::Tall];

    /// What it needs to be easy to read, whatever it holds.
    const fn columns_min(self) -> usize {
        if matches!(self, Shape::Wide) { 120 } else { 0 }
    }

    const fn head(self) -> &'static [&'static str] {
        match self {
            Shape::Wide => &["id", "client", "server", "client is", "server is", "for", "finding"],
            Shape::Narrow => &["id", "client, server", "state", "for", "finding"],
            Shape::Tall => &["id", "client, server, finding", "state", "for"],
        }
    }

    fn table(self, shown: &[(&Finding, History)], analysis: &Analysis, paper: &Paper) -> Table {
        let mut table = plain_table(paper.columns);
        table.set_header(self.head().iter().map(|name| Tone::Faint.cell(name)));
        for (finding, history) in shown {
            table.add_row(self.row(finding, history, &analysis.names));
        }
        let all: Vec<usize> = (0..self.head().len()).collect();
        if fits(&table, paper.columns) {
            keep_whole(&mut table, &all);
        } else {
            keep_whole(&mut table, &[0, 2, 3]);
        }
        table
    }

    fn row(self, finding: &Finding, history: &History, names: &Names) -> Vec<Cell> {
        let states = Role::BOTH.map(|role| history.last_state(role));
        let addrs = Role::BOTH.map(|role| names.socket(history.addr(role)));
        let [client, server] = states;
        let both = Tone::of_state(history.last_state(finding.role.unwrap_or(Role::Server)))
            .cell(format!("{client}\n{server}"));
        let id = Tone::Plain.cell(history.id);
        let lasted = Tone::Plain.cell(Lasted::of(finding));
        let tone = Tone::of_severity(finding.severity);
        let name = tone.cell(finding.name);
        match self {
            Shape::Wide => {
                let [client, server] = addrs.map(|addr| Tone::Plain.cell(addr));
                let [client_is, server_is] = states.map(|it| Tone::of_state(it).cell(it));
                vec![id, client, server, client_is, server_is, lasted, name]
            }
            Shape::Narrow => vec![id, Tone::Plain.cell(addrs.join("\n")), both, lasted, name],
            Shape::Tall => {
                let ends = tone.cell(format!("{}\n{}", addrs.join("\n"), finding.name));
                vec![id, ends, both, lasted]
            }
        }
    }
}
