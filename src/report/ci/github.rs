//! GitHub workflow commands: lines that a runner turns into annotations.

use std::io::{self, Write};

use crate::findings::Severity;
use crate::report::ci::gate::{Judged, Judgement};
use crate::report::ci::obstacles;
use crate::report::text::{clean, plural};
use crate::run::Analysis;

/// Annotations of one kind that a step may have; GitHub drops the rest without a word.
const ANNOTATIONS_MAX: usize = 10;

/// Writes the worst issues as annotations, then how many there was no room for. Notes are none:
/// an annotation is to be acted on.
pub fn write(analysis: &Analysis, judgement: &Judgement, out: &mut dyn Write) -> io::Result<()> {
    let mut beyond = 0;
    for level in [Level::Error, Level::Warning] {
        let of_level = || judgement.issues.iter().filter(|it| Level::of(it) == Some(level));
        for judged in of_level().take(ANNOTATIONS_MAX) {
            let place = judged.issue.key.at();
            let title = format!("{} at {}", judged.issue.key.name, analysis.names.text(&place));
            command(level.command(), Some(&title), &judged.issue.message(), out)?;
        }
        beyond += of_level().count().saturating_sub(ANNOTATIONS_MAX);
    }
    if beyond > 0 {
        let more = format!("{}: see the report", plural(beyond as u64, "more finding"));
        command("notice", Some("finwait"), &more, out)?;
    }
    for obstacle in obstacles(analysis) {
        command("error", Some("finwait"), &obstacle, out)?;
    }
    for cut in &analysis.cuts {
        command("warning", Some("capture cut short"), &cut.to_string(), out)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
}

impl Level {
    /// What fails is an error; what is known or tolerated is at most a warning.
    fn of(judged: &Judged) -> Option<Level> {
        let new = judged.issue.count().saturating_sub(judged.known);
        match judged.issue.severity() {
            _ if judged.fails() => Some(Level::Error),
            Severity::Error | Severity::Warning if new > 0 => Some(Level::Warning),
            _ => None,
        }
    }

    const fn command(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

fn command(name: &str, title: Option<&str>, message: &str, out: &mut dyn Write) -> io::Result<()> {
    let title = title.map_or(String::new(), |title| format!(" title={}", property(title)));
    writeln!(out, "::{name}{title}::{}", data(message))
}

/// Text as a command's message takes it.
fn data(text: &str) -> String {
    clean(text).replace('%', "%25")
}

/// Text as a command's property takes it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
