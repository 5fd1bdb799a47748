//! One connection for people: its ladder, every transition with its reason, the time in each state,
//! what was found, and how to find it in other tools.

use std::io::{self, Write};

use crate::capture::text::Clock;
use crate::decode::tuple::End;
use crate::findings::{Finding, holders};
use crate::history::{History, Role};
use crate::infer::state::{Basis, State};
use crate::infer::table;
use crate::infer::trail::Transition;
use crate::notes::Comment;
use crate::report::ladder;
use crate::report::paint::Tone;
use crate::report::paper::{Paper, heading, plain_table, put_table};
use crate::report::reel::Reel;
use crate::report::states::lesson;
use crate::report::text::{Bytes, Grouped, Since, clean, lasting, moment, plural, width, wrap};
use crate::run::Analysis;
use crate::sockets::{Outcome, View};
use crate::time::Span;

/// Writes the page of one connection.
pub fn page(
    history: &History,
    reel: &Reel,
    findings: &[Finding],
    analysis: &Analysis,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = paper.columns;
    let width = usize::from(columns);
    head(history, analysis, paper, out)?;
    let frames: Vec<u64> = findings.iter().flat_map(|finding| finding.frames.clone()).collect();
    let steps = reel.folded(history, &frames);
    writeln!(out)?;
    ladder::draw(history, &steps, width, out)?;
    comments(analysis.notes.comments(history.id), width, out)?;
    heading("Transitions", out)?;
    transitions(history, paper, out)?;
    refuted(history, width, out)?;
    heading("Time in each state", out)?;
    dwell(history, columns, out)?;
    heading("Findings", out)?;
    found(findings, width, out)?;
    heading("Elsewhere", out)?;
    elsewhere(history, out)
}

fn head(
    history: &History,
    analysis: &Analysis,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let join = analysis.sockets.as_ref();
    let (id, stream) = (history.id, history.stream);
    let title = format!("Connection {id} (tcp.stream {stream}): {}", verdict(history));
    paper.sentence(&title, Tone::Strong, out)?;
    let width = usize::from(paper.columns);
    for role in Role::BOTH {
        let side = history.side(role);
        let tally = &side.tally;
        let mut parts = vec![plural(tally.segments, "segment"), Bytes(tally.bytes).to_string()];
        if tally.retransmitted > 0 {
            parts.push(format!("{} repeated", tally.retransmitted));
        }
        parts.extend(side.mss.map(|mss| format!("mss {mss}")));
        parts.extend(side.window_scale.map(|shift| format!("wscale {shift}")));
        let known = match role {
            Role::Client => format!(" (by {})", history.roles_from.name()),
            Role::Server => String::new(),
        };
        let addr = analysis.names.socket(history.addr(role));
        let line = format!("{} {}{known}: sent {}", role.name(), addr, parts.join(", "));
        for (at, line) in wrap(&line, width.saturating_sub(2)).iter().enumerate() {
            writeln!(out, "{}{line}", if at == 0 { "" } else { "  " })?;
        }
        let noted = analysis.notes.owners(history.id, role);
        if !noted.is_empty() {
            let line = format!("{}, as the capture notes", holders::by(noted));
            wrap(&clean(&line), width.saturating_sub(2))
                .iter()
                .try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        if let Some(view) = join.and_then(|join| join.view(history.id, role)) {
            let line = clean(&on_host(&view, analysis.clock())).into_owned();
            wrap(&line, width.saturating_sub(2))
                .iter()
                .try_for_each(|line| writeln!(out, "  {line}"))?;
        }
    }
    let frames = format!("frames {} to {}", history.first.frame, history.last.frame);
    let clock = analysis.clock();
    let began = match clock {
        Clock::None => format!("{}, {frames}", moment(history.first.ts, clock)),
        _ => format!(
            "began {}, lasted {}, {frames}",
            moment(history.first.ts, clock),
            history.duration()
        ),
    };
    for line in wrap(&began, width) {
        writeln!(out, "{line}")?;
    }
    match analysis.tunnel_of(history) {
        Some(tunnel) => writeln!(out, "in a tunnel: {tunnel}"),
        None => Ok(()),
    }
}

/// What the capture's packets are commented with, by frame.
fn comments(comments: &[Comment], width: usize, out: &mut dyn Write) -> io::Result<()> {
    if comments.is_empty() {
        return Ok(());
    }
    heading("Comments", out)?;
    for comment in comments {
        let frames: Vec<String> = comment.frames.iter().map(ToString::to_string).collect();
        let more = match comment.count - comment.frames.len() as u64 {
            0 => String::new(),
            more => format!(" and {} more", Grouped(more)),
        };
        let word = if comment.count == 1 { "frame" } else { "frames" };
        let text = comment.text.lines().collect::<Vec<_>>().join("; ");
        let line = format!("{word} {}{more}: {}", frames.join(", "), clean(&text));
        for (at, line) in wrap(&line, width.saturating_sub(3)).iter().enumerate() {
            writeln!(out, " {}{line}", if at == 0 { "" } else { "  " })?;
        }
    }
    Ok(())
}

/// What a host's own table says of one end.
fn on_host(view: &View, clock: Clock) -> String {
    let file = view.taken.snapshot.name();
    let at = moment(view.taken.compared_at, clock);
    let state = view.row.and_then(|row| row.state).map_or("a socket", State::name);
    let said = match view.outcome {
        Outcome::Agrees => format!("{state}, which agrees"),
        Outcome::Disagrees => format!("{state}, where the capture has {}", view.state),
        Outcome::HostLacks | Outcome::CaptureLacks => {
            format!("no such socket, where the capture has {}", view.state)
        }
    };
    let words = view.words();
    let words = if words.is_empty() { words } else { format!("; {words}") };
    format!("its host, by {file} at {at}: {said}{words}")
}

/// How it opened, how it closed, and where the ends stand.
fn verdict(history: &History) -> String {
    let mut parts = vec![format!("handshake {}", history.handshake().name())];
    parts.extend(history.close().map(|close| format!("close {}", close.name())));
    parts.extend(history.closed_first().map(|first| match first.role() {
        Some(role) => format!("the {} closed first", role.name()),
        None => "both closed at once".to_string(),
    }));
    if history.closed_by_either_first() {
        parts.push("which end closed first the capture does not show".to_string());
    }
    parts.join(", ")
}

fn transitions(history: &History, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let is_wide = usize::from(paper.columns) >= ladder::WIDE;
    let mut table = plain_table(paper.columns);
    let head = ["end", "from → to", "time", "frame", "cause", "known how", "why"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    let latest = history.transitions.last().map_or(history.last.ts, |last| last.at.ts);
    let digits = width(&Since(latest.since(history.first.ts)).to_string());
    for transition in &history.transitions {
        let row = table::lookup(transition.from, transition.event);
        let why = row.map_or(String::new(), |row| format!("{} ({})", row.why, row.cite));
        let frame = match transition.at.frame {
            0 => "-".to_string(),
            frame => frame.to_string(),
        };
        let role = history.role(transition.end).name();
        let change = format!("{} → {}", transition.from, transition.to);
        let time = Since(transition.at.ts.since(history.first.ts)).to_string();
        let cause = transition.event.cause();
        let tone = Tone::of_state(transition.to);
        if is_wide {
            let cells = [role, &change, &time, &frame, cause, &known(transition), &why];
            let tones = [Tone::Plain, tone, Tone::Plain, Tone::Plain, Tone::Plain, Tone::Plain];
            let tones = tones.into_iter().chain([Tone::Faint]);
            table.add_row(cells.iter().zip(tones).map(|(text, tone)| tone.cell(text)));
            continue;
        }
        let line = format!("{change:<CHANGE$} {time:>digits$}  frame {frame}");
        let line = line.trim_end_matches("frame -");
        let room = usize::from(paper.columns).saturating_sub(7);
        // A short cause stands in the first line, a long one begins the reason.
        let is_short = width(line) + 2 + width(cause) <= room;
        let (beside, begins) = if is_short { (cause, "") } else { ("", cause) };
        let rest = line.strip_prefix(&change).unwrap_or_default();
        writeln!(out, "{}", format!("{role} {}{rest}  {beside}", tone.paint(&change)).trim_end())?;
        let known = known(transition);
        let reason: Vec<&str> =
            [begins, &known, &why].into_iter().filter(|part| !part.is_empty()).collect();
        for line in wrap(&reason.join("; "), room) {
            writeln!(out, "       {}", Tone::Faint.paint(&line))?;
        }
    }
    if is_wide {
        put_table(&table, out)?;
    }
    if history.dropped > 0 {
        writeln!(out, "{} more, for which there was no room", history.dropped)?;
    }
    Ok(())
}

/// Columns of the longest change: `ESTABLISHED → CLOSE_WAIT`.
const CHANGE: usize = 24;

/// How a transition is known, and what confirmed it.
fn known(transition: &Transition) -> String {
    let Transition { basis, at, confirmed, .. } = transition;
    match (basis, confirmed.frame) {
        (_, 0) if transition.is_open() && *basis == Basis::Inferred => {
            "inferred, not confirmed".into()
        }
        (_, 0) => basis.name().to_string(),
        (_, frame) => {
            format!("{basis}, confirmed by frame {frame} after {}", confirmed.ts.since(at.ts))
        }
    }
}

fn refuted(history: &History, width: usize, out: &mut dyn Write) -> io::Result<()> {
    for refuted in &history.refuted {
        let text = format!(
            "The {} was taken to be in {} from frame {} on; frame {} refutes it.",
            history.role(refuted.end).name(),
            refuted.state,
            refuted.at.frame,
            refuted.by.frame
        );
        for line in wrap(&text, width) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// The sum of an endpoint's stays in a state, and whether it is still in it.
fn stayed(history: &History, role: Role, state: State) -> Option<String> {
    let stays = || history.stays(role).filter(|stay| stay.state == state);
    let last = stays().last()?;
    let sum = stays().fold(Span::ZERO, |sum, stay| sum.plus(stay.dwell));
    Some(lasting(sum, last.left.is_none()))
}

fn dwell(history: &History, columns: u16, out: &mut dyn Write) -> io::Result<()> {
    let mut table = plain_table(columns);
    let head = ["state", "client", "server", "meaning"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    let mut is_bound = false;
    for state in State::ALL {
        if matches!(state, State::Closed | State::Listen | State::Unknown) {
            continue;
        }
        let stays = Role::BOTH.map(|role| stayed(history, role, state));
        if stays.iter().all(Option::is_none) {
            continue;
        }
        is_bound |= stays.iter().flatten().any(|stay| stay.starts_with('>'));
        let [client, server] = stays.map(Option::unwrap_or_default);
        let tone = Tone::of_state(state);
        let gloss = Tone::Faint.cell(lesson(state).gloss);
        table.add_row([tone.cell(state), tone.cell(client), tone.cell(server), gloss]);
    }
    put_table(&table, out)?;
    if is_bound {
        writeln!(out, "{}", Tone::Faint.paint(">= : still so when the record ends"))?;
    }
    Ok(())
}

fn found(findings: &[Finding], width: usize, out: &mut dyn Write) -> io::Result<()> {
    if findings.is_empty() {
        return writeln!(out, "none");
    }
    for finding in findings {
        let severity = Tone::of_severity(finding.severity).paint(finding.severity.name());
        writeln!(out, "{severity} {}", Tone::Strong.paint(finding.name))?;
        for line in wrap(&finding.message, width.saturating_sub(2)) {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  {}", Tone::Faint.paint(&format!("finwait explain {}", finding.name)))?;
    }
    Ok(())
}

fn elsewhere(history: &History, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Wireshark  tcp.stream == {}", history.stream)?;
    let [a, b] = End::BOTH.map(|end| history.tuple.endpoint(end));
    let host = |end: crate::addr::HostPort| format!("host {} and port {}", end.ip(), end.port());
    writeln!(out, "tcpdump    tcp and {} and {}", host(a), host(b))
}
