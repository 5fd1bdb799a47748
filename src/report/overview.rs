//! The report's first part: what was read, what it cannot tell, and where all endpoints stand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::iter;

use crate::capture::text::Clock;
use crate::findings::survey::Survey;
use crate::history::Role;
use crate::infer::state::State;
use crate::pipeline::Totals;
use crate::report::paint::Tone;
use crate::report::paper::{Paper, plain_table, put_table};
use crate::report::states::lesson;
use crate::report::text::{Grouped, clean, moment, plural, wrap};
use crate::report::verdict;
use crate::run::Analysis;
use crate::run::ending::Ended;

/// Writes `label   text`, the text wrapped beside the label.
fn labelled(label: &str, text: &str, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    for (at, line) in wrap(text, usize::from(paper.columns).saturating_sub(11)).iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        writeln!(out, " {}{:2$}{line}", Tone::Faint.paint(label), "", 10 - label.len())?;
    }
    Ok(())
}

/// Writes what was read, and what it cannot tell.
pub fn input(
    analysis: &Analysis,
    survey: &Survey,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    input_facts(analysis, survey)
        .iter()
        .try_for_each(|(label, text)| labelled(label, text, paper, out))
}

/// What was read, and what it cannot tell, each with a label; one that goes on has none.
pub fn input_facts(analysis: &Analysis, survey: &Survey) -> Vec<(&'static str, String)> {
    const FILES_MAX: usize = 4;
    const NAMED_MAX: usize = 4;
    let mut facts = Vec::new();
    for file in analysis.files.iter().take(FILES_MAX) {
        let compression = file.compression.map(|it| it.to_string());
        let links = file.link_types.iter().map(ToString::to_string);
        let named: Vec<_> = file.interfaces.iter().take(NAMED_MAX).map(|it| clean(it)).collect();
        let more = file.interfaces.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let on = (!named.is_empty()).then(|| format!("on {}{more}", named.join(", ")));
        let several = (file.appended > 0).then(|| format!("{} in one file", file.appended + 1));
        let kind = iter::once(file.format.to_string()).chain(several).chain(compression);
        let kind: Vec<String> = kind.chain(links).chain(on).collect();
        let name = if &*file.file == "-" { "standard input".into() } else { clean(&file.file) };
        let text = format!("{name} ({})", kind.join(", "));
        facts.push(("file", text));
        facts.extend(written("filter", &file.filters));
        facts.extend(written("comment", &file.comments));
    }
    if let Some(more) = analysis.files.len().checked_sub(FILES_MAX).filter(|more| *more > 0) {
        facts.push(("", format!("and {more} more")));
    }
    facts.extend(services(analysis).map(|services| ("ports", services)));
    let totals = &analysis.totals;
    let clock = analysis.clock();
    let mut packets = plural(totals.packets, "packet");
    if let (Some(first), Some(last)) = (totals.first_ts, totals.last_ts) {
        packets += &match clock {
            Clock::None => format!(", {}", moment(first, clock)),
            _ => format!(" in {} from {}", last.since(first), moment(first, clock)),
        };
    }
    packets += &silence(analysis);
    if analysis.repeated > 0 {
        packets += &format!("; {} in several files, kept once", Grouped(analysis.repeated));
    }
    facts.push(("packets", packets));
    let skipped: Vec<String> =
        totals.skipped.iter().map(|(name, count)| format!("{name} {}", Grouped(count))).collect();
    let not_used = match skipped.is_empty() {
        true => String::new(),
        false => format!("; not used: {}", skipped.join(", ")),
    };
    let tcp = format!(
        "{} in {} to {}{}{not_used}",
        plural(totals.segments, "segment"),
        plural(totals.connections, "connection"),
        if survey.has_more_services { "at least " } else { "" },
        plural(survey.services(), "service"),
    );
    facts.push(("tcp", tcp));
    facts.push(("limits", limits(analysis, survey)));
    facts.extend(analysis.cuts.iter().map(|cut| ("cut", clean(&cut.to_string()).into())));
    facts.extend(analysis.errors.iter().map(|error| ("damaged", clean(&error.to_string()).into())));
    facts
}

/// Until when the capture went on without a packet, and by what that is known.
fn silence(analysis: &Analysis) -> String {
    let Totals { last_ts: Some(end), last_packet_ts: Some(last), .. } = analysis.totals else {
        return String::new();
    };
    let how = match analysis.ended {
        Ended::Packet => return String::new(),
        Ended::Given => "given",
        Ended::File => "as the file says",
        Ended::Watched => "watched",
    };
    let (until, silent) = (moment(end, analysis.clock()), end.since(last));
    format!(" until {until} ({how}; {silent} after the last packet)")
}

/// What somebody wrote into the file, the first few of it.
fn written(label: &'static str, texts: &BTreeSet<String>) -> Vec<(&'static str, String)> {
    const SHOWN_MAX: usize = 4;
    let lines = |text: &String| clean(&text.lines().collect::<Vec<_>>().join("; ")).into_owned();
    let mut facts: Vec<_> = texts.iter().take(SHOWN_MAX).map(|text| (label, lines(text))).collect();
    if let Some(more @ 1..) = texts.len().checked_sub(SHOWN_MAX) {
        facts.push(("", format!("and {more} more")));
    }
    facts
}

/// The ports that stand for services which a text has by name.
fn services(analysis: &Analysis) -> Option<String> {
    let texts = analysis.files.iter().filter_map(|file| file.text.as_ref());
    let all: BTreeMap<_, _> = texts.flat_map(|text| &text.services).collect();
    let all: Vec<String> = all.iter().map(|(name, port)| format!("{name} is {port}")).collect();
    if all.is_empty() { None } else { Some(all.join(", ")) }
}

/// What the capture cannot tell.
fn limits(analysis: &Analysis, survey: &Survey) -> String {
    let limits = &survey.limits;
    let counted = [
        (limits.mid_stream, "began before the capture"),
        (limits.one_way, "in one direction only"),
        (limits.gaps, "with bytes missing from the capture"),
        (limits.ongoing, "still open at its end, so times are lower bounds (>=)"),
        (analysis.archive.forgotten(), "over or never opened, since forgotten and not judged here"),
    ];
    let only = analysis.totals.only().map(|only| only.words().to_string());
    let counted = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", Grouped(*count)));
    let mut parts: Vec<String> = only.into_iter().chain(counted).collect();
    let texts = || analysis.files.iter().filter_map(|file| file.text.as_ref());
    let of_text = [
        (
            texts().map(|text| text.unseen_starts).sum::<u64>(),
            "with sequence numbers that count from a start before the text",
        ),
        (
            texts().map(|text| text.guessed_numbers).sum(),
            "data segments whose sequence number was not printed",
        ),
    ];
    let of_text = of_text.iter().filter(|(count, _)| *count > 0);
    parts.extend(of_text.map(|(count, what)| format!("{} {what}", Grouped(*count))));
    parts.extend(verdict::passed_over(analysis));
    if analysis.capture_dropped() > 0 {
        parts.push(format!(
            "{} dropped while capturing",
            plural(analysis.capture_dropped(), "packet")
        ));
    }
    parts.extend(
        analysis.limits_hit().iter().map(|(name, n)| format!("limit {name} hit {n} times")),
    );
    parts.push(
        "no capture shows when a kernel silently drops a socket, or tells close() from shutdown()"
            .into(),
    );
    parts.join("; ")
}

/// How many endpoints are in which state at the end.
pub fn states(survey: &Survey, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let mut table = plain_table(paper.columns);
    table.set_header(["state", "clients", "servers", "meaning"].map(|name| Tone::Faint.cell(name)));
    for state in State::ALL.into_iter().rev() {
        let counts = Role::BOTH.map(|role| survey.in_state(role, state));
        if counts == [0, 0] {
            continue;
        }
        let [client, server] = counts.map(|count| match count {
            0 => String::new(),
            count => Grouped(count).to_string(),
        });
        let tone = Tone::of_state(state);
        let gloss = Tone::Faint.cell(lesson(state).gloss);
        table.add_row([tone.cell(state), tone.cell(client), tone.cell(server), gloss]);
    }
    put_table(&table, out)
}
