//! What is found in a capture that still grows: told when it becomes true, and when it is over.
//!
//! Findings are told as issues, so that a service that refuses a thousand clients is one line and
//! not a thousand. Nothing is said twice as long as it goes on.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::capture::text::Clock;
use crate::findings::{Finding, Severity};
use crate::history::Role;
use crate::infer::state::State;
use crate::report::ci::issues::{Issue, Key, issues_among, issues_of};
use crate::report::paint::Tone;
use crate::report::paper::Paper;
use crate::report::text::{clean, day, plural, time_of_day, wrap};
use crate::run::Analysis;
use crate::time::{Span, Timestamp};

/// How long something that happens in a moment is on after it happened last.
const MOMENTARY: Span = Span::from_secs(60);

/// The issues that are on.
#[derive(Debug, Default)]
pub struct Standing {
    known: BTreeMap<Key, Since>,
    /// What was on, or was over when it was found, and when that was told.
    past: BTreeMap<Key, Timestamp>,
}

/// An issue that is on.
#[derive(Debug)]
struct Since {
    /// When what was told of it began; none of what happens in a moment.
    began: Option<Timestamp>,
    /// When it happened last, as far as is known.
    last: Option<Timestamp>,
    severity: Severity,
    /// The most findings that it had at a time.
    most: u64,
}

/// What changed.
#[derive(Debug)]
pub enum Change {
    /// It is on from now on.
    Began(Box<Issue>),
    /// It is not any more.
    Ended {
        /// What.
        key: Key,
        /// How grave it was.
        severity: Severity,
        /// Why.
        why: Over,
        /// The most findings that it had at a time.
        most: u64,
    },
}

/// Why something is not on any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It went on for so long, and ended.
    After(Span),
    /// It is of the kind that happens in a moment, and did not happen again.
    NothingNew,
    /// What came since shows it in another light, or it is forgotten.
    NotFound,
}

impl Standing {
    /// What changed until `now`: what is over, then what is new, the gravest first.
    pub fn update(&mut self, analysis: &Analysis, now: Timestamp) -> Vec<Change> {
        let over = RefCell::new(Vec::new());
        let on = issues_among(analysis, |finding| {
            if is_just_over(finding, now) {
                over.borrow_mut().push(finding.clone());
            }
            is_on(finding, now)
        });
        let on = on.issues;
        let mut before = core::mem::take(&mut self.known);
        let mut began = Vec::new();
        for issue in on {
            let known = before.remove(&issue.key);
            let Finding { ongoing, ts, .. } = issue.worst;
            let is_new = known.is_none();
            let since = known.unwrap_or(Since {
                began: ongoing.map(|_| ts),
                last: None,
                severity: issue.severity(),
                most: 0,
            });
            let most = since.most.max(issue.count());
            let severity = since.severity.max(issue.severity());
            let last = since.last.max(issue.last);
            self.known.insert(issue.key, Since { most, severity, last, ..since });
            if is_new {
                began.push(Change::Began(Box::new(issue)));
            }
        }
        self.past.retain(|_, told| now.since(*told) < MOMENTARY);
        self.past.extend(before.keys().map(|key| (*key, now)));
        for issue in issues_of(analysis, &over.into_inner()) {
            // What happens again and again, each time within a minute, is told once.
            let is_past = self.past.insert(issue.key, now).is_some();
            if !is_past && !self.known.contains_key(&issue.key) {
                began.push(Change::Began(Box::new(issue)));
            }
        }
        let ended = before.into_iter().map(|(key, since)| Change::Ended {
            key,
            severity: since.severity,
            why: since.over(now),
            most: since.most,
        });
        ended.chain(began).collect()
    }

    /// How many issues of that severity are on.
    fn count(&self, severity: Severity) -> u64 {
        self.known.values().filter(|since| since.severity == severity).count() as u64
    }

    /// One line on how things are: connections by state, and what is on.
    pub fn summary(&self, analysis: &Analysis) -> String {
        let survey = &analysis.survey;
        let states = |role: Role| {
            let open = State::ALL.into_iter().filter(|it| it.is_listed() && !it.is_over());
            let counts = open.map(|state| (survey.in_state(role, state), state));
            let counts: Vec<String> = counts
                .filter(|(count, _)| *count > 0)
                .map(|(count, state)| format!("{count} {state}"))
                .collect();
            if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
        };
        let on: Vec<String> = Severity::ALL
            .into_iter()
            .rev()
            .map(|severity| (self.count(severity), severity))
            .filter(|(count, _)| *count > 0)
            .map(|(count, severity)| plural(count, severity.name()))
            .collect();
        format!(
            "{}, {} open (clients {}; servers {}); {}",
            plural(analysis.totals.connections, "connection"),
            survey.open,
            states(Role::Client),
            states(Role::Server),
            if on.is_empty() {
                "no current findings".to_owned()
            } else {
                format!("current: {}", on.join(", "))
            },
        )
    }
}

/// Whether what was found goes on at that moment. What is about the capture as a whole does.
fn is_on(finding: &Finding, now: Timestamp) -> bool {
    match finding.ongoing {
        Some(goes_on) => goes_on,
        None => finding.last().is_none_or(|last| now.since(last) < MOMENTARY),
    }
}

/// Whether what was found went on for a time that ended shortly before: perhaps before anybody
/// looked.
fn is_just_over(finding: &Finding, now: Timestamp) -> bool {
    let is_recent = finding.last().is_some_and(|last| now.since(last) < MOMENTARY);
    finding.ongoing == Some(false) && is_recent
}

impl Since {
    /// Why it is not on any more at that moment.
    fn over(&self, now: Timestamp) -> Over {
        match (self.began, self.last) {
            (Some(began), _) => Over::After(now.since(began)),
            (None, Some(last)) if now.since(last) >= MOMENTARY => Over::NothingNew,
            (None, _) => Over::NotFound,
        }
    }
}

impl Change {
    /// How grave it is, or was.
    pub fn severity(&self) -> Severity {
        match self {
            Change::Began(issue) => issue.severity(),
            Change::Ended { severity, .. } => *severity,
        }
    }

    /// The line in words: which issue, and what of it.
    fn words(&self) -> (Tone, &'static str, String) {
        match self {
            Change::Began(issue) => {
                let severity = issue.severity();
                let words = format!("{}: {}", issue.key.name, issue.message());
                (Tone::of_severity(severity), severity.name(), words)
            }
            Change::Ended { key, why, most, severity } => {
                let most = match most {
                    1 => String::new(),
                    most => format!(", at most {most} findings"),
                };
                let why = match why {
                    Over::After(lasted) => format!("after {lasted}"),
                    Over::NothingNew => format!("nothing new for {MOMENTARY}"),
                    Over::NotFound => "no longer found".to_owned(),
                };
                (Tone::Good, "over", format!("{key} ({severity}), {why}{most}"))
            }
        }
    }

    /// Its line.
    pub fn line(&self, now: Timestamp) -> Line {
        let (tone, what, words) = self.words();
        Line { now, tone, what, words }
    }
}

/// One line of what is told while a capture grows.
#[derive(Clone, Debug)]
pub struct Line {
    now: Timestamp,
    tone: Tone,
    what: &'static str,
    /// What it says.
    pub words: String,
}

impl Line {
    /// A line on how things are.
    pub fn of_summary(now: Timestamp, words: String) -> Line {
        Line { now, tone: Tone::Faint, what: "so far", words }
    }

    /// The day it is of.
    pub fn day(&self, clock: Clock) -> String {
        day(self.now, clock)
    }

    /// Writes the day that the lines below it are of.
    pub fn write_day(day: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", Tone::Faint.paint(day))
    }

    /// Writes it: on a terminal, what is too long goes on below its beginning.
    pub fn write(&self, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
        let head = format!(
            "{}  {}  ",
            time_of_day(self.now),
            self.tone.paint(&format!("{:7}", self.what))
        );
        let words = clean(&self.words);
        if !paper.is_terminal {
            return writeln!(out, "{head}{words}");
        }
        let columns = usize::from(paper.columns).saturating_sub(INDENT);
        for (at, line) in wrap(&words, columns).iter().enumerate() {
            match at {
                0 => writeln!(out, "{head}{line}")?,
                _ => writeln!(out, "{:INDENT$}{line}", "")?,
            }
        }
        Ok(())
    }
}

/// Columns of the time and of the word behind it.
const INDENT: usize = 8 + 2 + 7 + 2;
