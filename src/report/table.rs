//! The report for people: the verdict first, then what was read, what was found and where, the
//! connections to look at, and how to see the rest. A screen or two, whatever the capture's size.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::addr::HostPort;
use crate::findings::survey::{Group, Lasted, Survey};
use crate::findings::{Finding, Severity};
use crate::history::{History, Role};
use crate::report::ci::gate::Judgement;
use crate::report::holders;
use crate::report::overview::{input, states};
use crate::report::paint::Tone;
use crate::report::paper::{Paper, heading, keep_whole, plain_table, put_table};
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

/// Writes the report.
pub fn report(analysis: &Analysis, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
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
    next(analysis, survey, paper, out)
}

fn findings(survey: &Survey, names: &Names, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    if survey.groups.is_empty() {
        return writeln!(out, " none");
    }
    let mut table = plain_table(paper.columns);
    let head = ["severity", "finding", "where", "count", "longest", "example"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    let mut rows = 0;
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
        if rows >= FINDINGS_MAX && !is_only_one_left {
            beyond += 1;
            continue;
        }
        let shown = if same.len() > PLACES_MAX { PLACES_MAX - 1 } else { PLACES_MAX };
        for group in same.iter().take(shown) {
            let place = group.place.map_or("the capture".to_string(), |it| place(names, it));
            finding_row(&mut table, group, place);
            rows += 1;
        }
        if let Some(rest) = same.get(shown..).filter(|rest| !rest.is_empty()) {
            let count = rest.iter().map(|group| group.count).sum();
            let longest = rest.iter().map(|group| group.longest).max().unwrap_or_default();
            let sum = Group { count, longest, example: None, ..(*group).clone() };
            finding_row(&mut table, &sum, format!("{} others", Grouped(rest.len() as u64)));
            rows += 1;
        }
    }
    // A long address is broken rather than all that stands beside it.
    let blanks = 2 * head.len();
    let width: usize = table.column_max_content_widths().into_iter().map(usize::from).sum();
    keep_whole(&mut table, &[0, 1, 3, 4, 5]);
    if width + blanks <= usize::from(paper.columns) {
        keep_whole(&mut table, &[2]);
    }
    put_table(&table, out)?;
    if beyond > 0 {
        writeln!(out, " and {}", plural(beyond, "other finding"))?;
    }
    Ok(())
}

/// Writes what a baseline holds of the findings, if it holds any.
pub fn known(
    judgement: &Judgement,
    names: &Names,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut known = judgement.issues.iter().filter(|judged| judged.known > 0).peekable();
    if known.peek().is_none() {
        return Ok(());
    }
    heading("Known by the baseline", out)?;
    let mut table = plain_table(paper.columns);
    let head = ["finding", "where", "count", "known"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for judged in known.by_ref().take(KNOWN_MAX) {
        let issue = &judged.issue;
        table.add_row([
            Tone::of_severity(issue.severity()).cell(issue.key.name),
            Tone::Plain.cell(names.text(&issue.key.at())),
            Tone::Plain.cell(Grouped(issue.count())),
            Tone::Plain.cell(Grouped(judged.known)),
        ]);
    }
    keep_whole(&mut table, &[0, 2, 3]);
    put_table(&table, out)?;
    match known.count() as u64 {
        0 => Ok(()),
        beyond => writeln!(out, " and {}", plural(beyond, "other row")),
    }
}

/// An address and port; a client meant for all its ports has none.
fn place(names: &Names, socket: HostPort) -> String {
    if socket.port() == 0 { names.host(socket.ip()) } else { names.socket(socket) }
}

fn finding_row(table: &mut comfy_table::Table, group: &Group, place: String) {
    let tone = Tone::of_severity(group.severity);
    let example = group.example.map_or(String::new(), |id| format!("id {id}"));
    table.add_row([
        tone.cell(group.severity),
        tone.cell(group.name),
        Tone::Plain.cell(place),
        Tone::Plain.cell(Grouped(group.count)),
        Tone::Plain.cell(group.longest),
        Tone::Plain.cell(example),
    ]);
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
    let mut table = plain_table(paper.columns);
    let is_wide = usize::from(paper.columns) >= WIDE;
    let head: &[&str] = match is_wide {
        true => &["id", "client", "server", "client is", "server is", "for", "finding"],
        false => &["id", "client, server", "state", "for", "finding"],
    };
    table.set_header(head.iter().map(|name| Tone::Faint.cell(name)));
    for (finding, history) in &shown {
        let [client, server] = Role::BOTH.map(|role| history.last_state(role));
        let addrs = Role::BOTH.map(|role| analysis.names.socket(history.addr(role)));
        let role = finding.role.unwrap_or(Role::Server);
        let middle = match is_wide {
            true => {
                let states = [client, server].map(|state| Tone::of_state(state).cell(state));
                addrs.into_iter().map(|addr| Tone::Plain.cell(addr)).chain(states).collect()
            }
            false => vec![
                Tone::Plain.cell(addrs.join("\n")),
                Tone::of_state(history.last_state(role)).cell(format!("{client}\n{server}")),
            ],
        };
        let ends = [
            Tone::Plain.cell(Lasted::of(finding)),
            Tone::of_severity(finding.severity).cell(finding.name),
        ];
        table.add_row([Tone::Plain.cell(history.id)].into_iter().chain(middle).chain(ends));
    }
    keep_whole(&mut table, &[0, 1, 2, 3]);
    put_table(&table, out)
}

/// From this width on an endpoint has a column of its own.
const WIDE: usize = 120;

/// The commands that show more.
fn next(
    analysis: &Analysis,
    survey: &Survey,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let files: Vec<String> = analysis.files.iter().map(|file| quoted(&file.file)).collect();
    let files = if files.len() > 4 { "FILE...".to_string() } else { files.join(" ") };
    let worst = survey.groups.first();
    let example = survey.groups.iter().find_map(|group| group.example).unwrap_or_default();
    let list = match worst {
        Some(group) => format!("finwait list --finding {} {files}", group.name),
        None => format!("finwait list {files}"),
    };
    let explain =
        worst.map_or("finwait explain".into(), |it| format!("finwait explain {}", it.name));
    let lines = [
        (list, "its connections"),
        (format!("finwait show {example} {files}"), "one of them, segment by segment"),
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

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let path = clean(path);
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./,:@%+=".contains(letter);
    match !path.is_empty() && path.chars().all(is_plain) {
        true => path.into_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}
