//! The report for people: the verdict first, then what was read, what was found and where, the
//! connections to look at, and how to see the rest. A screen or two, whatever the capture's size.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};

use comfy_table::{Cell, Table};

use crate::addr::HostPort;
use crate::findings::survey::{Group, Lasted, Survey};
use crate::findings::{Finding, Severity};
use crate::history::{History, Role};
use crate::report::ci::gate::{Judged, Judgement};
use crate::report::holders;
use crate::report::overview::{input, states};
use crate::report::paint::Tone;
use crate::report::paper::{Paper, fits, heading, keep_whole, plain_table, put_table};
use crate::report::text::{Grouped, clean, plural, wrap};
use crate::report::verdict::{of_connections, verdict, worst_findings};
use crate::run::{Analysis, Names};

/// Rows of findings.
const FINDINGS_MAX: usize = 12;

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
    findings(survey, &analysis.names, paper, out)?;
    messages(&worst, paper, out)?;
    connections(analysis, &worst, paper, out)?;
    heading("Go on with", out)?;
    next(analysis, options, paper, out)
}

fn findings(survey: &Survey, names: &Names, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    if survey.groups.is_empty() {
        return writeln!(out, " none");
    }
    let (rows, beyond) = finding_rows(survey, names);
    let mut table = plain_table(paper.columns);
    let head = ["severity", "finding", "where", "count", "longest", "example"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for (group, place) in &rows {
        let tone = Tone::of_severity(group.severity);
        table.add_row([
            tone.cell(group.severity),
            tone.cell(group.name),
            Tone::Plain.cell(place),
            Tone::Plain.cell(Grouped(group.count)),
            Tone::Plain.cell(group.longest),
            Tone::Plain.cell(example(group)),
        ]);
    }
    match fits(&table, paper.columns) {
        true => keep_whole(&mut table, &[0, 1, 2, 3, 4, 5]),
        false => table = narrow_findings(&rows, paper),
    }
    put_table(&table, out)?;
    if beyond > 0 {
        writeln!(out, " and {}", plural(beyond, "other finding"))?;
    }
    Ok(())
}

/// The same findings, each with its place beneath it: an address is to be copied.
fn narrow_findings(rows: &[(Group, String)], paper: &Paper) -> Table {
    let mut table = plain_table(paper.columns);
    let head = ["severity", "finding\nwhere", "count", "longest\nexample"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for (group, place) in rows {
        let tone = Tone::of_severity(group.severity);
        table.add_row([
            tone.cell(group.severity),
            tone.cell(format!("{}\n{place}", group.name)),
            Tone::Plain.cell(Grouped(group.count)),
            Tone::Plain.cell(format!("{}\n{}", group.longest, example(group))),
        ]);
    }
    // What is left has room for any finding and any address, but not for any name of a host.
    keep_whole(&mut table, &[0, 2, 3]);
    table
}

/// The rows of the findings, each with its place, and how many findings are beyond them.
fn finding_rows(survey: &Survey, names: &Names) -> (Vec<(Group, String)>, u64) {
    let mut rows = Vec::new();
    let mut beyond = 0;
    let last = survey.groups.iter().map(|group| group.name).collect::<BTreeSet<_>>().len();
    let mut seen: Vec<&str> = Vec::new();
    for group in &survey.groups {
        if seen.contains(&group.name) {
            continue;
        }
        seen.push(group.name);
        let same: Vec<&Group> = survey.groups.iter().filter(|it| it.name == group.name).collect();
        // The line that counts one more takes as much room as that one.
        let is_only_one_left = beyond == 0 && seen.len() == last;
        if rows.len() >= FINDINGS_MAX && !is_only_one_left {
            beyond += 1;
            continue;
        }
        let shown = if same.len() > PLACES_MAX { PLACES_MAX - 1 } else { PLACES_MAX };
        for group in same.iter().take(shown) {
            let place = group.place.map_or("the capture".to_string(), |it| place(names, it));
            rows.push(((*group).clone(), place));
        }
        if let Some(rest) = same.get(shown..).filter(|rest| !rest.is_empty()) {
            let count = rest.iter().map(|group| group.count).sum();
            let longest = rest.iter().map(|group| group.longest).max().unwrap_or_default();
            let sum = Group { count, longest, example: None, ..(*group).clone() };
            rows.push((sum, format!("{} others", Grouped(rest.len() as u64))));
        }
    }
    (rows, beyond)
}

fn example(group: &Group) -> String {
    group.example.map_or(String::new(), |id| format!("id {id}"))
}

/// Writes what a baseline holds of the findings, if it holds any.
pub fn known(
    judgement: &Judgement,
    names: &Names,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let known: Vec<&Judged> = judgement.issues.iter().filter(|it| it.known > 0).collect();
    let (shown, beyond) = known.split_at(known.len().min(KNOWN_MAX));
    if shown.is_empty() {
        return Ok(());
    }
    heading("Known by the baseline", out)?;
    let table = |head: &[&str]| {
        let mut table = plain_table(paper.columns);
        table.set_header(head.iter().map(|name| Tone::Faint.cell(name)));
        for judged in shown {
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
    match beyond.len() as u64 {
        0 => Ok(()),
        beyond => writeln!(out, " and {}", plural(beyond, "other row")),
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
    let names = grave.map(|it| of_connections(it.name));
    let lists: Vec<&Vec<Finding>> =
        names.filter_map(|name| analysis.findings.worst.get(name)).collect();
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
        match fits(&table, paper.columns) {
            true => keep_whole(&mut table, &all),
            false => keep_whole(&mut table, &[0, 2, 3]),
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

/// The commands that show more.
fn next(
    analysis: &Analysis,
    options: &[OsString],
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let groups = &analysis.survey.groups;
    let files: Vec<String> = analysis.files.iter().map(|file| file_word(&file.file)).collect();
    let files = if files.len() > 4 { vec!["FILE...".to_string()] } else { files };
    let options = options.iter().map(|word| quoted(&word.to_string_lossy()));
    let rest = options.chain(files).collect::<Vec<_>>().join(" ");
    let worst = groups.first();
    let example = groups.iter().find_map(|group| group.example).unwrap_or_default();
    let list = match worst {
        Some(group) => format!("finwait list --finding {} {rest}", group.name),
        None => format!("finwait list {rest}"),
    };
    let explain =
        worst.map_or("finwait explain".into(), |it| format!("finwait explain {}", it.name));
    let lines = [
        (list, "its connections"),
        (format!("finwait show {example} {rest}"), "one of them, segment by segment"),
        (explain, "what it means, when it is wrong, what to do"),
    ];
    let widest = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    for (line, says) in lines {
        match widest + says.len() + 3 <= usize::from(paper.columns) {
            true => writeln!(out, " {line:widest$}  {}", Tone::Faint.paint(says))?,
            false => writeln!(out, " {line}")?,
        }
    }
    Ok(())
}

/// A capture as a shell and the command take it.
fn file_word(path: &str) -> String {
    match path.starts_with('-') && path != "-" {
        true => quoted(&format!("./{path}")),
        false => quoted(path),
    }
}

/// A word as a shell takes it; one that no text can hold, as a path may be, is `FILE`.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./,:@%+=".contains(letter);
    let is_unprintable = clean(word).contains(char::REPLACEMENT_CHARACTER);
    match !word.is_empty() && word.chars().all(is_plain) {
        _ if is_unprintable => "FILE".to_owned(),
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
