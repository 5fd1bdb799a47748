//! JUnit XML: a suite for each service, a test case for each finding that it could have, so that
//! what passes shows too, and what was mended is seen to be.
//!
//! The format has no standard; this is the part that all readers share. GitLab drops test cases of
//! one class and name, so a finding has one test case at a service, whichever side it is about.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::findings::{self, Rule, Scope, Severity};
use crate::report::ci::gate::{Gate, Judged, Judgement};
use crate::report::ci::issues::Place;
use crate::report::markup::escape;
use crate::run::Analysis;

/// Suites of services where nothing fails: a scan has thousands, and they say nothing.
const PASSING_SUITES_MAX: usize = 100;

/// Writes the report.
pub fn write(
    analysis: &Analysis,
    judgement: &Judgement,
    gate: &Gate,
    out: &mut dyn Write,
) -> io::Result<()> {
    let suites = suites(analysis, judgement, gate);
    let [tests, failures, skipped] = sums(suites.values().flatten());
    let errors = judgement.obstacles.len();
    let stale = judgement.stale.as_ref().map(|stale| analysis.names.text(stale));
    let of_baseline = usize::from(stale.is_some());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"finwait\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" \
         skipped=\"{skipped}\">",
        tests + errors + of_baseline,
        failures + of_baseline
    )?;
    for (name, cases) in &suites {
        suite(name, cases, out)?;
    }
    if errors > 0 {
        reading(&judgement.obstacles, out)?;
    }
    if let Some(stale) = stale {
        baseline(&stale, out)?;
    }
    writeln!(out, "</testsuites>")
}

/// What one test case says.
struct Case<'a> {
    rule: &'static str,
    issues: Vec<&'a Judged>,
}

impl Case<'_> {
    fn fails(&self) -> bool {
        self.issues.iter().any(|judged| judged.fails())
    }

    /// All that there is to say is known, or tolerated.
    fn is_skipped(&self) -> bool {
        !self.fails() && self.issues.iter().any(|judged| judged.known > 0)
    }

    fn messages(&self) -> String {
        let messages: Vec<String> =
            self.issues.iter().map(|judged| judged.issue.message()).collect();
        messages.join("\n")
    }
}

/// Test cases by suite: for each service all findings that could fail, and those that there are.
fn suites<'a>(
    analysis: &Analysis,
    judgement: &'a Judgement,
    gate: &Gate,
) -> BTreeMap<String, Vec<Case<'a>>> {
    let mut places: BTreeMap<Place, Vec<&Judged>> = BTreeMap::from([(Place::Capture, Vec::new())]);
    for judged in &judgement.issues {
        places.entry(judged.issue.key.place).or_default().push(judged);
    }
    let passing = judgement.services.iter().filter(|place| !places.contains_key(place));
    let passing: Vec<Place> = passing.copied().take(PASSING_SUITES_MAX).collect();
    places.extend(passing.into_iter().map(|place| (place, Vec::new())));
    let suites = places.into_iter().map(|(place, issues)| {
        let rules = findings::ALL.iter().filter(|rule| analysis.thresholds.is_on(rule.name));
        let cases = rules.filter_map(|rule| {
            let issues: Vec<&Judged> =
                issues.iter().copied().filter(|it| it.issue.key.name == rule.name).collect();
            let is_wanted = !issues.is_empty() || is_expected(rule, place, gate.fail_on);
            is_wanted.then_some(Case { rule: rule.name, issues })
        });
        (place.to_string(), cases.collect::<Vec<_>>())
    });
    suites.filter(|(_, cases)| !cases.is_empty()).collect()
}

/// Whether a finding could fail the job at a place.
fn is_expected(rule: &Rule, place: Place, fail_on: Severity) -> bool {
    let is_of_capture = matches!(rule.scope, Scope::Capture(_));
    rule.severity >= fail_on && is_of_capture == (place == Place::Capture)
}

/// Test cases, failures, and what is skipped.
fn sums<'a, 'b: 'a>(cases: impl Iterator<Item = &'a Case<'b>>) -> [usize; 3] {
    cases.fold([0; 3], |[tests, failures, skipped], case| {
        [tests + 1, failures + usize::from(case.fails()), skipped + usize::from(case.is_skipped())]
    })
}

fn suite(name: &str, cases: &[Case], out: &mut dyn Write) -> io::Result<()> {
    let [tests, failures, skipped] = sums(cases.iter());
    let name = escape(name);
    writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skipped}\">"
    )?;
    for case in cases {
        let rule = case.rule;
        write!(out, "    <testcase classname=\"{name}\" name=\"{rule}\"")?;
        let messages = case.messages();
        let text = escape_lines(&messages);
        let first = text.lines().next().unwrap_or_default();
        match () {
            () if case.fails() => {
                let failing = case.issues.iter().find(|judged| judged.fails());
                let severity = failing.map_or("", |it| it.issue.severity().name());
                writeln!(out, ">")?;
                writeln!(
                    out,
                    "      <failure type=\"{severity}\" message=\"{first}\">{text}</failure>"
                )?;
                writeln!(out, "    </testcase>")?;
            }
            () if case.is_skipped() => {
                writeln!(out, "><skipped message=\"in the baseline: {first}\"/></testcase>")?;
            }
            () if !text.is_empty() => {
                writeln!(out, "><system-out>{text}</system-out></testcase>")?;
            }
            () => writeln!(out, "/>")?,
        }
    }
    writeln!(out, "  </testsuite>")
}

fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// What could not be read.
fn reading(obstacles: &[String], out: &mut dyn Write) -> io::Result<()> {
    let errors = obstacles.len();
    writeln!(
        out,
        "  <testsuite name=\"reading\" tests=\"{errors}\" failures=\"0\" errors=\"{errors}\" \
         skipped=\"0\">"
    )?;
    for (at, obstacle) in obstacles.iter().enumerate() {
        let number = at + 1;
        let text = escape(obstacle);
        writeln!(
            out,
            "    <testcase classname=\"reading\" name=\"obstacle {number}\">\
             <error type=\"reading\" message=\"{text}\"/></testcase>"
        )?;
    }
    writeln!(out, "  </testsuite>")
}

/// What the baseline holds and is not there.
fn baseline(stale: &str, out: &mut dyn Write) -> io::Result<()> {
    let text = escape(stale);
    writeln!(
        out,
        "  <testsuite name=\"baseline\" tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\">"
    )?;
    writeln!(
        out,
        "    <testcase classname=\"baseline\" name=\"stale\">\
         <failure type=\"stale\" message=\"{text}\"/></testcase>"
    )?;
    writeln!(out, "  </testsuite>")
}
