//! What a finding or a state means: for people as text, for programs as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::findings::{self, Rule, Threshold};
use crate::infer::state::State;
use crate::infer::table::Row;
use crate::report::json;
use crate::report::paint::Tone;
use crate::report::paper::{Paper, heading};
use crate::report::states::{LESSONS, Lesson, lesson};
use crate::report::text::wrap;

/// What can be explained.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// A state.
    State(&'static Lesson),
    /// A finding.
    Finding(&'static Rule),
}

impl Subject {
    /// The subject of that name. States may be written `close-wait`.
    pub fn named(name: &str) -> Option<Subject> {
        let finding = findings::rule(&name.to_ascii_lowercase()).map(Subject::Finding);
        finding.or_else(|| State::from_name(name).map(|state| Subject::State(lesson(state))))
    }

    /// Everything: the states, then the findings.
    pub fn all() -> impl Iterator<Item = Subject> {
        let states = LESSONS.iter().map(Subject::State);
        states.chain(findings::ALL.iter().map(|rule| Subject::Finding(rule)))
    }
}

/// Writes the explanation of one subject.
pub fn explain(subject: Subject, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    match subject {
        Subject::State(lesson) => state(lesson, paper, out),
        Subject::Finding(rule) => finding(rule, paper, out),
    }
}

/// Writes one line for each subject.
pub fn list(paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let room = if paper.is_terminal { usize::from(paper.columns) } else { PAGER_COLUMNS };
    writeln!(out, "{}", Tone::Strong.paint("States"))?;
    for lesson in &LESSONS {
        let name = format!("{:<12}", lesson.state);
        writeln!(out, " {} {}", Tone::of_state(lesson.state).paint(&name), lesson.gloss)?;
    }
    heading("Findings", out)?;
    let widest = findings::ALL.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    for rule in findings::ALL {
        let severity = format!("{:<8}", rule.severity.name());
        let severity = Tone::of_severity(rule.severity).paint(&severity);
        for (at, line) in wrap(rule.title(), room.saturating_sub(widest + 12)).iter().enumerate() {
            match at {
                0 => writeln!(out, " {severity} {:<widest$}  {line}", rule.name)?,
                _ => writeln!(out, " {:8} {:<widest$}  {line}", "", "")?,
            }
        }
    }
    writeln!(out, "\nfinwait explain NAME says more.")
}

/// Paragraphs narrower than this are easier to read.
const TEXT_COLUMNS: usize = 92;

/// What is written for a program goes on to a pager, on a terminal of which nothing is known.
const PAGER_COLUMNS: usize = 80;

fn columns(paper: &Paper) -> usize {
    let most = if paper.is_terminal { TEXT_COLUMNS } else { PAGER_COLUMNS };
    usize::from(paper.columns).min(most)
}

fn paragraph(text: &str, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    wrap(text, columns(paper).saturating_sub(2))
        .iter()
        .try_for_each(|line| writeln!(out, "  {line}"))
}

fn state(lesson: &Lesson, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let name = Tone::of_state(lesson.state).paint(lesson.state.name());
    writeln!(out, "{name}: {}", lesson.gloss)?;
    let parts = [
        ("What it means", lesson.means),
        ("How long it lasts", lesson.lasts),
        ("Who has to act", lesson.acts),
        ("How it is inferred, and when that is wrong", lesson.seen),
    ];
    for (title, text) in parts {
        heading(title, out)?;
        paragraph(text, paper, out)?;
    }
    ways("Ways in", lesson.ways_in(), |row| row.from, paper, out)?;
    ways("Ways out", lesson.ways_out(), |row| row.to, paper, out)?;
    heading("References", out)?;
    writeln!(out, "  {}", lesson.cite)
}

fn ways(
    title: &str,
    rows: impl Iterator<Item = &'static Row>,
    other: impl Fn(&Row) -> State,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rows: Vec<&Row> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    heading(title, out)?;
    for row in rows {
        let name = format!("{:<11}", other(row));
        let name = Tone::of_state(other(row)).paint(&name);
        let text = format!("{} ({})", row.on.cause(), row.why);
        for (at, line) in wrap(&text, columns(paper).saturating_sub(15)).iter().enumerate() {
            match at {
                0 => writeln!(out, "  {name}  {line}")?,
                _ => writeln!(out, "{:15}{line}", "")?,
            }
        }
    }
    Ok(())
}

fn finding(rule: &Rule, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let severity = Tone::of_severity(rule.severity).paint(rule.severity.name());
    writeln!(out, "{} ({severity}, since {})", Tone::Strong.paint(rule.name), rule.since)?;
    let text = rule.text();
    let mut is_below_text = false;
    for block in text.split("\n\n") {
        let title = block.trim().strip_prefix("## ");
        if is_below_text && title.is_none() {
            writeln!(out)?;
        }
        is_below_text = title.is_none();
        match title {
            Some(title) => heading(title, out)?,
            None if is_verbatim(block) => {
                block.trim_matches('\n').lines().try_for_each(|line| writeln!(out, "  {line}"))?;
            }
            None if is_list(block) => list_of(block, paper, out)?,
            None => paragraph(block, paper, out)?,
        }
    }
    if !rule.thresholds.is_empty() {
        heading("Thresholds", out)?;
        for threshold in rule.thresholds {
            let Threshold { name, default, unit, doc, .. } = threshold;
            let text = format!("--set {}.{name}={default} ({unit}): {doc}", rule.name);
            paragraph(&text, paper, out)?;
        }
    }
    let [raises, near_miss] = rule.examples();
    for (title, trace) in [("Example", raises), ("Near miss, which does not raise it", near_miss)] {
        heading(title, out)?;
        trace.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}

/// Indented examples keep their lines.
fn is_verbatim(block: &str) -> bool {
    let mut lines = block.trim_matches('\n').lines();
    lines.all(|line| line.starts_with("    "))
}

fn is_list(block: &str) -> bool {
    block.trim_start().starts_with("- ")
}

/// Writes a list, each entry as a paragraph of its own behind its dash.
fn list_of(block: &str, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    for entry in format!("\n{}", block.trim()).split("\n- ").skip(1) {
        for (at, line) in wrap(entry, columns(paper).saturating_sub(4)).iter().enumerate() {
            writeln!(out, "  {} {line}", if at == 0 { "-" } else { " " })?;
        }
    }
    Ok(())
}

/// An explanation for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Entry {
    State {
        name: &'static str,
        gloss: &'static str,
        means: &'static str,
        lasts: &'static str,
        acts: &'static str,
        seen: &'static str,
        reference: String,
    },
    Finding {
        name: &'static str,
        severity: &'static str,
        since: &'static str,
        title: &'static str,
        text: String,
        thresholds: Vec<ThresholdEntry>,
        example: String,
        near_miss: String,
    },
}

#[derive(Debug, Serialize)]
struct ThresholdEntry {
    name: &'static str,
    default: f64,
    unit: &'static str,
    doc: &'static str,
}

impl From<Subject> for Entry {
    fn from(subject: Subject) -> Entry {
        match subject {
            Subject::State(lesson) => Entry::State {
                name: lesson.state.name(),
                gloss: lesson.gloss,
                means: lesson.means,
                lasts: lesson.lasts,
                acts: lesson.acts,
                seen: lesson.seen,
                reference: lesson.cite.to_string(),
            },
            Subject::Finding(rule) => {
                let [example, near_miss] = rule.examples();
                Entry::Finding {
                    name: rule.name,
                    severity: rule.severity.name(),
                    since: rule.since,
                    title: rule.title(),
                    text: rule.text(),
                    thresholds: rule.thresholds.iter().map(ThresholdEntry::from).collect(),
                    example,
                    near_miss,
                }
            }
        }
    }
}

impl From<&Threshold> for ThresholdEntry {
    fn from(threshold: &Threshold) -> ThresholdEntry {
        let Threshold { name, default, unit, doc, .. } = *threshold;
        ThresholdEntry { name, default, unit, doc }
    }
}

/// Writes one subject as an object, or all as an array.
pub fn as_json(subject: Option<Subject>, out: &mut dyn Write) -> io::Result<()> {
    match subject {
        Some(subject) => json::line(out, &Entry::from(subject)),
        None => json::line(out, &Subject::all().map(Entry::from).collect::<Vec<_>>()),
    }
}
