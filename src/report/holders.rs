//! The report's part on hosts' own socket tables: how each compares with the capture, who holds
//! what has piled up in CLOSE_WAIT, and where both sides tell different things.

use std::io::{self, Write};

use crate::capture::text::Clock;
use crate::history::Role;
use crate::report::paint::Tone;
use crate::report::paper::{Paper, heading, plain_table, put_table};
use crate::report::text::{Grouped, clean, moment, plural, wrap};
use crate::run::Analysis;
use crate::sockets::{Join, Outcome, SLACK, Snapshot, Taken};

/// Services of which it is told who holds their sockets.
const SERVICES_MAX: usize = 5;

/// Sockets about which the capture and a host differ that are named.
const DIFFERING_MAX: usize = 5;

/// The columns of the comparison.
pub const HEAD: [&str; 7] =
    ["table", "tool", "sockets", "agree", "disagree", "host lacks", "capture lacks"];

/// The title of the part.
pub const TITLE: &str = "What the hosts' own tables say";

/// Writes it.
pub fn section(
    join: &Join,
    analysis: &Analysis,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    heading(TITLE, out)?;
    let mut table = plain_table(paper.columns);
    table.set_header(HEAD.map(|name| Tone::Faint.cell(name)));
    for row in rows(join) {
        table.add_row(row.map(|cell| Tone::Plain.cell(cell)));
    }
    put_table(&table, out)?;
    points(join, analysis).iter().try_for_each(|text| point(text, paper, out))
}

/// How each table compares with the capture, in the columns of [`HEAD`].
pub fn rows(join: &Join) -> impl Iterator<Item = [String; HEAD.len()]> {
    join.taken().iter().map(|taken| {
        let count =
            |outcome| Grouped(taken.counts.get(&outcome).copied().unwrap_or_default()).to_string();
        let tools: Vec<&str> = taken.snapshot.dialects.iter().map(|it| it.name()).collect();
        [
            clean(taken.snapshot.name()).into_owned(),
            tools.join(", "),
            Grouped(taken.snapshot.rows.len() as u64).to_string(),
            count(Outcome::Agrees),
            count(Outcome::Disagrees),
            count(Outcome::HostLacks),
            count(Outcome::CaptureLacks),
        ]
    })
}

/// What is told beside the numbers: when each table was taken, who holds what has piled up, and
/// where both sides differ.
pub fn points(join: &Join, analysis: &Analysis) -> Vec<String> {
    let clock = analysis.clock();
    let mut points: Vec<String> = join.taken().iter().map(|taken| when(taken, clock)).collect();
    points.extend(held(join, analysis));
    points.extend(differing(join));
    points.iter().map(|text| clean(text).into_owned()).collect()
}

/// Who holds what has piled up in CLOSE_WAIT.
fn held(join: &Join, analysis: &Analysis) -> Vec<String> {
    let mut held: Vec<_> = join.all_held().collect();
    held.sort_by_key(|(_, held)| core::cmp::Reverse(held.sockets));
    let more = held.len().saturating_sub(SERVICES_MAX);
    let told = held.into_iter().take(SERVICES_MAX).map(|(place, held)| {
        let role = place.role.name();
        let (service, host) =
            (analysis.names.socket(place.service), analysis.names.host(place.host));
        let said = held.to_string();
        let said = if said.is_empty() { "the holder is not shown".to_string() } else { said };
        let count = Grouped(held.sockets);
        match place.role {
            Role::Server => {
                format!("{role} {service}: {count} in CLOSE_WAIT, {said}")
            }
            Role::Client => {
                format!("{role} {host} of {service}: {count} in CLOSE_WAIT, {said}")
            }
        }
    });
    let more = (more > 0).then(|| format!("and {more} more with sockets in CLOSE_WAIT"));
    told.chain(more).collect()
}

/// What is to be said of a table that was not read whole.
pub fn unread(snapshot: &Snapshot) -> Option<String> {
    let count = snapshot.unread_lines;
    let named: Vec<String> = snapshot
        .unread
        .iter()
        .map(|unread| format!("line {} {}", unread.line, unread.why))
        .collect();
    let lines = plural(count, "line");
    let more = if count > named.len() as u64 { ", and others" } else { "" };
    (count > 0)
        .then(|| format!("{}: {lines} cannot be read: {}{more}", snapshot.file, named.join(", ")))
}

/// When a table was taken, and with what it is compared.
fn when(taken: &Taken, clock: Clock) -> String {
    let file = clean(taken.snapshot.name());
    let at = moment(taken.at, clock);
    let (before, after) = (taken.compared_at.since(taken.at), taken.at.since(taken.compared_at));
    match () {
        () if before > SLACK => format!(
            "{file} was taken at {at}, {before} before the capture's start, and is compared with \
             that start"
        ),
        () if after > SLACK => format!(
            "{file} was taken at {at}, {after} after the capture's end, and is compared with that \
             end: what differs may have changed since"
        ),
        () => format!("{file} was taken at {at}"),
    }
}

/// Sockets about which the capture and a host differ.
fn differing(join: &Join) -> Vec<String> {
    let differing = join.differing();
    let told = differing.iter().take(DIFFERING_MAX).filter_map(|(id, role)| {
        let view = join.view(*id, *role)?;
        let host = match view.row.and_then(|row| row.state) {
            Some(state) => format!("in {state}"),
            None => "not at all".to_string(),
        };
        let role = role.name();
        let state = view.state;
        Some(format!("id {id}: the capture has the {role}'s socket in {state}, its host {host}"))
    });
    let more = differing.len().saturating_sub(DIFFERING_MAX);
    let more = (more > 0).then(|| format!("and {more} more that differ"));
    told.chain(more).collect()
}

fn point(text: &str, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let room = usize::from(paper.columns).saturating_sub(3);
    for (at, line) in wrap(text, room).iter().enumerate() {
        writeln!(out, " {} {line}", if at == 0 { "-" } else { " " })?;
    }
    Ok(())
}
