//! GitLab's code quality report: a list of issues at places in files.

use std::io::{self, Write};

use serde::Serialize;

use crate::findings::Severity;
use crate::report::ci::gate::{Judged, Judgement};
use crate::report::ci::place::{RESULTS_MAX, file, fingerprint};
use crate::report::ci::rows::first_of_kinds;
use crate::report::text::clean;
use crate::run::Analysis;

#[derive(Serialize)]
struct Entry<'a> {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: &'a str,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

/// Writes what a baseline does not hold.
pub fn write(
    analysis: &Analysis,
    judgement: &Judgement,
    anchor: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let path = file(analysis, anchor);
    let new = first_of_kinds(judgement, |judged| !judged.is_known(), RESULTS_MAX);
    let shown = new.iter().flat_map(|kind| &kind.shown);
    let entries: Vec<Entry> = shown.map(|judged| entry(judged, &path)).collect();
    serde_json::to_writer_pretty(&mut *out, &entries)?;
    out.write_all(b"\n")
}

fn entry<'a>(judged: &Judged, path: &'a str) -> Entry<'a> {
    let issue = &judged.issue;
    Entry {
        description: clean(&issue.message()).into_owned(),
        check_name: issue.key.name,
        fingerprint: fingerprint(&issue.key),
        severity: match issue.severity() {
            Severity::Note => "info",
            Severity::Warning => "minor",
            Severity::Error => "critical",
        },
        location: Location { path, lines: Lines { begin: 1 } },
    }
}
