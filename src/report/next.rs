//! What a report goes on with: the commands that show more of what the verdict speaks of.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::addr::HostPort;
use crate::findings::{self, Finding};
use crate::history::History;
use crate::report::paint::Tone;
use crate::report::paper::Paper;
use crate::report::text::{clean, width};
use crate::report::verdict::of_connections;
use crate::run::Analysis;

/// Files that are named; more are `FILE...`.
const FILES_MAX: usize = 4;

/// What stands for a file that cannot be named.
const FILE: &str = "FILE";

/// Writes the commands. `worst` are the findings to speak of, the verdict's first, and `options`
/// those of the command line that change what is found.
pub fn commands(
    analysis: &Analysis,
    worst: &[&Finding],
    options: &[OsString],
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rest = rest(analysis, options);
    let told = worst.first();
    let example = told.and_then(|finding| example(analysis, finding));
    let (list, its) = match (told, example) {
        (Some(told), Some(_)) => {
            (format!("finwait list --finding {} {rest}", told.name), "its connections")
        }
        // One about the capture has no connections of its own.
        _ => (format!("finwait list {rest}"), "the connections"),
    };
    let example = example.or_else(|| analysis.archive.iter().next().map(|it| it.id));
    let explain =
        told.map_or("finwait explain".into(), |it| format!("finwait explain {}", it.name));
    let lines = [
        (list, its),
        (format!("finwait show {} {rest}", example.unwrap_or_default()), "one of them, in full"),
        (explain, "what it means, what to do"),
    ];
    let widest = lines.iter().map(|(line, _)| width(line)).max().unwrap_or_default();
    let longest = lines.iter().map(|(_, says)| width(says)).max().unwrap_or_default();
    // Beside all of them or none: one by itself would seem to be about the others, too.
    let has_room = widest + longest + 3 <= usize::from(paper.columns);
    for (line, says) in lines {
        match has_room {
            true => writeln!(out, " {line:widest$}  {}", Tone::Faint.paint(says))?,
            false => writeln!(out, " {line}")?,
        }
    }
    Ok(())
}

/// A connection that a finding is about, if it is about any.
fn example(analysis: &Analysis, finding: &Finding) -> Option<u64> {
    if finding.connection.is_some() {
        return finding.connection;
    }
    let rule = findings::rule(finding.name)?;
    let counts = |history: &History| rule.counts(history, finding, &analysis.thresholds);
    // The worst of those that have it by themselves is known without a search.
    let place: Option<HostPort> = finding.service.or(finding.host);
    let groups = analysis.survey.groups.iter();
    let mut own = groups.filter(|it| it.name == of_connections(finding.name) && it.place == place);
    let known = own.find_map(|group| group.example).and_then(|id| analysis.archive.get(id));
    known.filter(&counts).or_else(|| analysis.archive.iter().find(&counts)).map(|it| it.id)
}

/// What stands behind each command: the options, and the files as far as they can be named.
fn rest(analysis: &Analysis, options: &[OsString]) -> String {
    let is_masked = analysis.mask.is_some();
    let mut words: Vec<String> = Vec::new();
    for word in options {
        let word = match words.last().map(String::as_str) {
            // Its path may tell as much as the captures'.
            Some("--config" | "--names" | "--sockets") if is_masked => FILE.to_owned(),
            Some("--sockets") if word == "-" => FILE.to_owned(),
            _ => quoted(&word.to_string_lossy()),
        };
        words.push(word);
    }
    let files = &analysis.files;
    match files.len() {
        // The names in a masked report are no files'.
        1 if is_masked => words.push(FILE.to_owned()),
        _ if is_masked || files.len() > FILES_MAX => words.push(format!("{FILE}...")),
        _ => words.extend(files.iter().map(|file| file_word(&file.file))),
    }
    words.join(" ")
}

/// A capture as a shell and the command take it. What came from standard input is gone.
fn file_word(path: &str) -> String {
    match path {
        "-" => FILE.to_owned(),
        path if path.starts_with('-') => quoted(&format!("./{path}")),
        path => quoted(path),
    }
}

/// A word as a shell takes it; one that no text can hold, as a path may be, is `FILE`.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./,:@%+=".contains(letter);
    let is_unprintable = clean(word).contains(char::REPLACEMENT_CHARACTER);
    match !word.is_empty() && word.chars().all(is_plain) {
        _ if is_unprintable => FILE.to_owned(),
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
