//! The report's part on hosts' own socket tables: how each compares with the capture, who holds
//! what has piled up in CLOSE_WAIT, and where both sides tell different things.

use std::io::{self, Write};

use crate::capture::text::Clock;
use crate::history::Role;
use crate::report::paint::Tone;
use crate::report::paper::{Paper, heading, plain_table, put_table};
use crate::report::text::{Grouped, clean, moment, wrap};
use crate::run::Analysis;
use crate::sockets::{Join, Outcome, SLACK, Taken};

/// Services of which it is told who holds their sockets.
const SERVICES_MAX: usize = 5;

/// Sockets about which the capture and a host differ that are named.
const DIFFERING_MAX: usize = 5;

/// Writes it.
pub fn section(
    join: &Join,
    analysis: &Analysis,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    heading("What the hosts' own tables say", out)?;
    tables(join, analysis.clock(), paper, out)?;
    let mut held: Vec<_> = join.all_held().collect();
    held.sort_by_key(|(_, held)| core::cmp::Reverse(held.sockets));
    let more = held.len().saturating_sub(SERVICES_MAX);
    for (place, held) in held.into_iter().take(SERVICES_MAX) {
        let role = place.role.name();
        let (service, host) =
            (analysis.names.socket(place.service), analysis.names.host(place.host));
        let said = held.to_string();
        let said = if said.is_empty() { "by whom is not told".to_string() } else { said };
        let count = Grouped(held.sockets);
        let text = match place.role {
            Role::Server => {
                format!("{role} {service}: {count} in CLOSE_WAIT, {said}")
            }
            Role::Client => {
                format!("{role} {host} of {service}: {count} in CLOSE_WAIT, {said}")
            }
        };
        point(&text, paper, out)?;
    }
    if more > 0 {
        point(&format!("and {more} more with sockets in CLOSE_WAIT"), paper, out)?;
    }
    differing(join, paper, out)
}

fn tables(join: &Join, clock: Clock, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let mut table = plain_table(paper.columns);
    let head = ["table", "tool", "sockets", "agree", "disagree", "host lacks", "capture lacks"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for taken in join.taken() {
        let count = |outcome| Grouped(taken.counts.get(&outcome).copied().unwrap_or_default());
        let tools: Vec<&str> = taken.snapshot.dialects.iter().map(|it| it.name()).collect();
        table.add_row([
            Tone::Plain.cell(clean(taken.snapshot.name())),
            Tone::Plain.cell(tools.join(", ")),
            Tone::Plain.cell(Grouped(taken.snapshot.rows.len() as u64)),
            Tone::Plain.cell(count(Outcome::Agrees)),
            Tone::Plain.cell(count(Outcome::Disagrees)),
            Tone::Plain.cell(count(Outcome::HostLacks)),
            Tone::Plain.cell(count(Outcome::CaptureLacks)),
        ]);
    }
    put_table(&table, out)?;
    join.taken().iter().try_for_each(|taken| point(&when(taken, clock), paper, out))
}

/// When a table was taken, and with what it is compared.
fn when(taken: &Taken, clock: Clock) -> String {
    let file = clean(taken.snapshot.name());
    let at = moment(taken.at, clock);
    let (before, after) = (taken.compared_at.since(taken.at), taken.at.since(taken.compared_at));
    match () {
        () if before > SLACK => format!(
            "{file} is of {at}, {before} before the capture's start, and is compared with that"
        ),
        () if after > SLACK => format!(
            "{file} is of {at}, {after} after the capture's end, and is compared with that: what \
             differs may have changed since"
        ),
        () => format!("{file} is of {at}"),
    }
}

fn differing(join: &Join, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let differing = join.differing();
    for (id, role) in differing.iter().take(DIFFERING_MAX) {
        let Some(view) = join.view(*id, *role) else { continue };
        let host = match view.row.and_then(|row| row.state) {
            Some(state) => format!("in {state}"),
            None => "not at all".to_string(),
        };
        let role = role.name();
        let text = format!(
            "id {id}: the capture has the {role}'s socket in {}, its host {host}",
            view.state
        );
        point(&text, paper, out)?;
    }
    match differing.len().saturating_sub(DIFFERING_MAX) {
        0 => Ok(()),
        more => point(&format!("and {more} more that differ"), paper, out),
    }
}

fn point(text: &str, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let room = usize::from(paper.columns).saturating_sub(3);
    for (at, line) in wrap(&clean(text), room).iter().enumerate() {
        writeln!(out, " {} {line}", if at == 0 { "-" } else { " " })?;
    }
    Ok(())
}
