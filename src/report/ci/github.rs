//! GitHub workflow commands: lines that a runner turns into annotations.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::findings::Severity;
use crate::report::ci::gate::{Judged, Judgement, more};
use crate::report::ci::rows::first_of_kinds;
use crate::report::text::clean;
use crate::run::Analysis;

/// Annotations of one kind that a step may have; GitHub drops the rest without a word.
const ANNOTATIONS_MAX: usize = 10;

/// Of these, those about the input: the rest are for what was found in it.
const OF_INPUT_MAX: usize = 3;

/// Writes what is wrong with the input and the worst issues as annotations, then how many there was
/// no room for, and of which kinds there is none. Notes are none: an annotation is to be acted on.
pub fn write(analysis: &Analysis, judgement: &Judgement, out: &mut dyn Write) -> io::Result<()> {
    let (mut beyond, mut unseen, mut of_input_beyond) = (Vec::new(), BTreeSet::new(), 0);
    for level in [Level::Error, Level::Warning] {
        let of_input = of_input(analysis, judgement, level);
        for (title, text) in of_input.iter().take(OF_INPUT_MAX) {
            command(level.command(), Some(title), text, out)?;
        }
        of_input_beyond += of_input.len().saturating_sub(OF_INPUT_MAX);
        let room = ANNOTATIONS_MAX - of_input.len().min(OF_INPUT_MAX);
        let kinds = first_of_kinds(judgement, |it| Level::of(it) == Some(level), room);
        for judged in kinds.iter().flat_map(|kind| &kind.shown) {
            let place = judged.issue.key.at();
            let title = format!("{} at {}", judged.issue.key.name, analysis.names.text(&place));
            command(level.command(), Some(&title), &judged.issue.message(), out)?;
        }
        let hidden = kinds.iter().filter(|kind| !kind.has_room);
        unseen.extend(hidden.map(|kind| kind.name));
        beyond.extend(kinds.into_iter().flat_map(|kind| kind.rest));
    }
    if of_input_beyond > 0 {
        let more = format!("{of_input_beyond} more about the input: see the report");
        command("notice", Some("finwait"), &more, out)?;
    }
    if let Some(more) = more(beyond.into_iter(), |it| it.issue.count()) {
        let kinds: Vec<&str> = unseen.into_iter().collect();
        let of = if kinds.is_empty() { "" } else { ", among them all of " };
        let text = format!("{more}{of}{}: see the report", kinds.join(", "));
        command("notice", Some("finwait"), &text, out)?;
    }
    Ok(())
}

/// What is wrong with the captures and the baseline themselves: title and text.
fn of_input<'a>(
    analysis: &Analysis,
    judgement: &'a Judgement,
    level: Level,
) -> Vec<(&'static str, Cow<'a, str>)> {
    let texts = |title, texts: &'a [String]| {
        texts.iter().map(move |text| (title, Cow::Borrowed(text.as_str())))
    };
    match level {
        Level::Error => {
            let stale = judgement.stale.iter();
            let stale = stale.map(|stale| ("finwait baseline", analysis.names.text(stale)));
            stale.chain(texts("finwait", &judgement.obstacles)).collect()
        }
        Level::Warning => texts("capture cut short", &judgement.cuts).collect(),
    }
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
