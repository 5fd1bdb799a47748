//! The ladder: segments as arrows between two lifelines, each endpoint's state beside its own.
//!
//! A state stands in the row of the segment that changes it, with a mark for how it is known.
//! Frames are Wireshark's; times count from the connection's first segment; sequence numbers from
//! each end's own first one, written as tcpdump did: `F. 1:101(100) ack 1`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::decode::icmp::IcmpError;
use crate::decode::segment::Segment;
use crate::decode::tuple::End;
use crate::history::{History, Role};
use crate::infer::fact::{Fact, FactKind};
use crate::infer::trail::{Moment, Transition};
use crate::report::label::labels;
use crate::report::marks::{Mark, Marks, of_change, of_frame, put_in};
use crate::report::paint::Tone;
use crate::report::reel::{Run, Step};
use crate::report::text::{Bytes, Since, fit, plural, width, wrap};
use crate::time::Span;

/// Columns of a state with its marks.
const STATE: usize = 13;

/// Columns of the space between the lifelines, at most.
const LANE_MAX: usize = 60;

/// From this width on there is room for times between rows and for the causes.
pub const WIDE: usize = 120;

/// Draws the ladder of one connection.
pub fn draw(
    history: &History,
    steps: &[Step],
    columns: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rows = rows(history, steps);
    let sheet = Sheet::new(history, &rows, columns);
    sheet.head(out)?;
    let mut before = history.first;
    for row in &rows {
        sheet.row(row, before, out)?;
        before = row.at();
    }
    sheet.legend(&rows, out)
}

/// One row, and what it says about the two ends: the client's marks, then the server's.
struct Row<'a> {
    what: What<'a>,
    marks: Marks<'a>,
}

/// What a row shows.
enum What<'a> {
    Segment(Role, &'a Segment),
    Run(&'a Run),
    /// A change that no segment of this connection shows.
    Silent(&'a Transition),
    /// An ICMP error, and the end that it told.
    Icmp(IcmpError, Role, &'a Fact),
}

impl Row<'_> {
    fn at(&self) -> Moment {
        match self.what {
            What::Segment(_, segment) => segment.at(),
            What::Run(run) => run.last,
            What::Silent(transition) => transition.at,
            What::Icmp(_, _, fact) => fact.first,
        }
    }

    fn marks(&self, role: Role) -> &[Mark<'_>] {
        let [client, server] = &self.marks;
        match role {
            Role::Client => client,
            Role::Server => server,
        }
    }
}

/// The steps as rows, with the changes that no segment shows put in by their time.
fn rows<'a>(history: &'a History, steps: &'a [Step]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::with_capacity(steps.len());
    for step in steps {
        rows.push(match step {
            Step::Run(run) => Row { what: What::Run(run), marks: Marks::default() },
            Step::Segment(from, segment) => Row {
                what: What::Segment(history.role(*from), segment),
                marks: of_frame(history, segment.frame),
            },
        });
    }
    let shown: BTreeSet<u64> = rows.iter().map(|row| row.at().frame).collect();
    for transition in &history.transitions {
        if transition.at.frame > 0 && shown.contains(&transition.at.frame) {
            continue;
        }
        let row = Row { what: What::Silent(transition), marks: of_change(history, transition) };
        put_in(&mut rows, row, |row| row.at().ts);
    }
    for fact in &history.facts {
        let FactKind::Icmp(error) = fact.kind else { continue };
        let what = What::Icmp(error, history.role(fact.end), fact);
        put_in(&mut rows, Row { what, marks: Marks::default() }, |row| row.at().ts);
    }
    rows
}

impl Mark<'_> {
    fn text(&self) -> String {
        let (before, state, after) = self.parts();
        format!("{before}{state}{after}")
    }

    fn tone(&self) -> Tone {
        match self {
            Mark::Entered(transition) => Tone::of_state(transition.to),
            Mark::Confirmed(_) => Tone::Faint,
            Mark::Refuted(_) => Tone::Error,
        }
    }
}

/// The paper: where each column stands.
struct Sheet<'a> {
    history: &'a History,
    frame: usize,
    time: usize,
    lane: usize,
    is_wide: bool,
    /// Columns for the causes at the right, if there is room.
    notes: usize,
}

impl<'a> Sheet<'a> {
    fn new(history: &'a History, rows: &[Row], columns: usize) -> Sheet<'a> {
        let last = rows.iter().map(Row::at).fold(history.last, |last, at| Moment {
            ts: last.ts.max(at.ts),
            frame: last.frame.max(at.frame),
        });
        let frame = last.frame.to_string().len().max(5);
        let time = width(&Since(last.ts.since(history.first.ts)).to_string()).max(8);
        let is_wide = columns >= WIDE;
        let delta = if is_wide { time + 2 } else { 0 };
        let taken = frame + 1 + time + delta + 1 + STATE + 2 + 2 + STATE;
        let rest = columns.saturating_sub(taken);
        let lane = rest.clamp(20, LANE_MAX);
        let notes = if is_wide { rest.saturating_sub(lane + 1) } else { 0 };
        Sheet { history, frame, time, lane, is_wide, notes }
    }

    /// The heads of the columns.
    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let (frame, time, lane) = (self.frame, self.time, self.lane);
        write!(out, "{:>frame$} {:>time$}", "frame", "time")?;
        if self.is_wide {
            write!(out, "  {:>time$}", "after")?;
        }
        let names = format!("{:<1$}server", "client", lane.saturating_sub(4));
        writeln!(out, " {:>STATE$} {names}", "")
    }

    fn row(&self, row: &Row, before: Moment, out: &mut dyn Write) -> io::Result<()> {
        let lanes = self.lanes(row);
        let [client, server] = Role::BOTH.map(|role| row.marks(role));
        let notes = self.notes_of(row);
        let lines = lanes.len().max(client.len()).max(server.len()).max(notes.len());
        for line in 0..lines {
            match line {
                0 => self.place(row, before, out)?,
                _ => {
                    let delta = if self.is_wide { self.time + 2 } else { 0 };
                    write!(out, "{:1$}", "", self.frame + 1 + self.time + delta)?;
                }
            }
            let blank = " ".repeat(self.lane);
            let lane = lanes.get(line).unwrap_or(&blank);
            let left = client.get(line).map_or(String::new(), |mark| {
                let text = mark.text();
                " ".repeat(STATE.saturating_sub(width(&text))) + &mark.tone().paint(&text)
            });
            let left = if left.is_empty() { " ".repeat(STATE) } else { left };
            write!(out, " {left} │{lane}│")?;
            let mut right = 0;
            if let Some(mark) = server.get(line) {
                let text = mark.text();
                right = width(&text);
                write!(out, " {}", mark.tone().paint(&text))?;
            }
            if let Some(note) = notes.get(line) {
                let gap = (STATE + 1).saturating_sub(if right > 0 { right + 1 } else { 0 });
                write!(out, "{:gap$} {}", "", Tone::Faint.paint(note))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Frame and time of a row.
    fn place(&self, row: &Row, before: Moment, out: &mut dyn Write) -> io::Result<()> {
        let (frame, time) = (self.frame, self.time);
        let at = match row.what {
            What::Run(run) => run.first,
            _ => row.at(),
        };
        match (&row.what, at.frame) {
            (What::Run(_), _) | (_, 0) => write!(out, "{:>frame$}", "")?,
            (_, number) => write!(out, "{number:>frame$}")?,
        }
        write!(out, " {:>time$}", Since(at.ts.since(self.history.first.ts)))?;
        if self.is_wide {
            write!(out, "  {:>time$}", Since(at.ts.since(before.ts)))?;
        }
        Ok(())
    }

    /// What stands between the lifelines: one line, or two for a run on a narrow sheet.
    fn lanes(&self, row: &Row) -> Vec<String> {
        match row.what {
            What::Segment(from, segment) => vec![self.arrow(from, segment)],
            What::Run(run) => self.run(run),
            What::Silent(transition) => {
                let cause = transition.event.cause();
                vec![self.centred(&format!("· {cause} ·"))]
            }
            What::Icmp(error, told, fact) => {
                let times = match fact.count {
                    1 => String::new(),
                    count => format!(", {count} times"),
                };
                let told = told.name();
                vec![self.centred(&format!("· ICMP to {told}: {}{times} ·", error.name()))]
            }
        }
    }

    fn arrow(&self, from: Role, segment: &Segment) -> String {
        let room = self.lane.saturating_sub(5);
        let labels = labels(self.history, from, segment);
        let fitting = labels.iter().find(|label| width(label) <= room).or(labels.last());
        let label = fitting.map_or("".into(), |label| fit(label, room));
        let dashes = "─".repeat(self.lane.saturating_sub(4 + width(&label)));
        match from {
            Role::Client => format!("─ {label} {dashes}▶"),
            Role::Server => format!("◀{dashes} {label} ─"),
        }
    }

    fn run(&self, run: &Run) -> Vec<String> {
        let [a, b] = run.bytes;
        let (to_server, to_client) = match self.history.client {
            End::A => (a, b),
            End::B => (b, a),
        };
        let mut bytes: Vec<String> = Vec::new();
        if to_server > 0 {
            bytes.push(format!("{} →", Bytes(to_server)));
        }
        if to_client > 0 {
            bytes.push(format!("← {}", Bytes(to_client)));
        }
        let span = run.last.ts.since(run.first.ts);
        let segments = plural(run.count(), "segment");
        let mut parts = vec![segments, span.to_string()];
        if run.pause >= PAUSE && run.pause.times(2) > span {
            parts.push(format!("{} of it silent", run.pause));
        }
        let (all, data) = (parts.join(", "), bytes.join(" "));
        match width(&all) + width(&data) + 6 <= self.lane {
            true if data.is_empty() => vec![self.centred(&format!("… {all} …"))],
            true => vec![self.centred(&format!("… {all}, {data} …"))],
            false => [all, data]
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| self.centred(&format!("… {text} …")))
                .collect(),
        }
    }

    fn centred(&self, text: &str) -> String {
        let text = fit(text, self.lane);
        let left = (self.lane - width(&text)) / 2;
        let right = self.lane - width(&text) - left;
        format!("{:left$}{text}{:right$}", "", "")
    }

    /// The causes of the changes in this row, if there is room for them.
    fn notes_of(&self, row: &Row) -> Vec<String> {
        if self.notes < 20 {
            return Vec::new();
        }
        let mut notes = Vec::new();
        for role in Role::BOTH {
            for mark in row.marks(role) {
                if let Mark::Entered(transition) = mark {
                    let note = format!("{}: {}", role.name(), transition.event.cause());
                    notes.push(fit(&note, self.notes).into_owned());
                }
            }
        }
        notes
    }

    /// What the marks mean, those that were used.
    fn legend(&self, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        let used = |letter: &str| {
            let marks = rows.iter().flat_map(|row| row.marks.iter().flatten());
            marks.map(Mark::text).any(|text| text.starts_with(letter) || text.ends_with(letter))
        };
        const ALL: [(&str, &str); 6] = [
            ("+", "inferred, confirmed later"),
            ("~", "inferred, not confirmed"),
            ("@", "by a timer"),
            ("?", "assumed"),
            ("✓", "confirmed here"),
            ("✗", "refuted here: it was never in that state"),
        ];
        let parts = ALL.iter().filter(|(letter, _)| used(letter));
        let parts: Vec<String> = parts.map(|(letter, says)| format!("{letter} {says}")).collect();
        let text = format!("no mark: shown by what the endpoint itself sent; {}", parts.join("; "));
        for line in wrap(&text, self.columns()) {
            writeln!(out, "{}", Tone::Faint.paint(&line))?;
        }
        Ok(())
    }

    fn columns(&self) -> usize {
        let delta = if self.is_wide { self.time + 2 } else { 0 };
        self.frame + self.time + delta + self.lane + 2 * STATE + self.notes + 6
    }
}

/// A silence within a run that is worth a word.
const PAUSE: Span = Span::from_secs(1);
