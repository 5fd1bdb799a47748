//! The catalogue: every rule is documented, registered, and raised by its own trace.

use std::collections::BTreeSet;
use std::path::Path;

use crate::findings::{ALL, Finding, Severity};
use crate::testkit::{Trace, findings};

/// The severities that are promised.
const PROMISED: &[(Severity, &[&str])] = &[
    (Severity::Error, &["accept-queue-overflow", "dead-peer", "close-wait-leak", "data-after-fin"]),
    (
        Severity::Warning,
        &[
            "connection-refused",
            "syn-unanswered",
            "half-open-handshake",
            "zero-window-stall",
            "ignored-reset",
            "long-close-wait",
            "fin-wait-2-stuck",
            "last-ack-stuck",
            "fin-unanswered",
            "abortive-close",
            "reset-after-fin",
            "time-wait-assassination",
            "capture-gap",
            "one-way-capture",
            "cut-headers",
        ],
    ),
    (
        Severity::Note,
        &[
            "simultaneous-open",
            "stale-syn",
            "syn-challenged",
            "fin-ack-skips-fin-wait-2",
            "simultaneous-close",
            "half-close-data",
            "lost-last-ack",
            "orphan-reset",
            "time-wait-reuse",
            "mid-stream-start",
            "duplicate-packets",
        ],
    ),
];

fn names(found: &[Finding]) -> BTreeSet<&'static str> {
    found.iter().map(|finding| finding.name).collect()
}

#[test]
fn every_rule_is_raised_by_its_trace_and_not_by_its_near_miss() {
    let mut wrong = Vec::new();
    for rule in ALL {
        let found = findings(rule.raises);
        if !names(&found).contains(rule.name) {
            let histories = crate::testkit::connections(rule.raises);
            wrong.push(format!("{} is not raised: {found:#?} {histories:#?}", rule.name));
        }
        let found = findings(rule.near_miss);
        if names(&found).contains(rule.name) {
            wrong.push(format!("{} is raised by its near miss: {found:#?}", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn severities_are_as_promised() {
    for rule in ALL {
        let promised = PROMISED.iter().find(|(_, names)| names.contains(&rule.name));
        assert_eq!(promised.map(|(severity, _)| *severity), Some(rule.severity), "{}", rule.name);
    }
}

#[test]
fn names_are_kebab_case_and_unique() {
    let names: BTreeSet<_> = ALL.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), ALL.len());
    for name in names {
        let kebab =
            name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
        assert!(kebab && !name.starts_with('-') && !name.ends_with('-'), "{name}");
    }
}

#[test]
fn every_explanation_has_its_sections_in_order() {
    const SECTIONS: [&str; 5] = [
        "## What it means",
        "## How it is inferred",
        "## When it is wrong",
        "## What to do",
        "## References",
    ];
    for rule in ALL {
        let text = rule.text();
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(headings, SECTIONS, "{}", rule.name);
        assert!(rule.title().ends_with('.'), "{}: {}", rule.name, rule.title());
        assert!(text.lines().all(|line| line.len() <= 100), "{}", rule.name);
    }
}

#[test]
fn folders_and_list_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/findings");
    let mut files = BTreeSet::new();
    for folder in ["opening", "living", "closing", "ports", "capture"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".rs").unwrap().replace('_', "-");
            if name != "mod" {
                files.insert(name);
            }
        }
    }
    let listed: BTreeSet<_> = ALL.iter().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(files, listed);
}

/// What a trace's `!` lines expect, and nothing graver than a note besides.
#[track_caller]
fn check(text: &str) -> Vec<Finding> {
    let expected: BTreeSet<_> = Trace::parse(text).findings.into_iter().collect();
    let found = findings(text);
    let names: BTreeSet<_> = found.iter().map(|finding| finding.name.to_owned()).collect();
    assert_eq!(names, expected, "{found:#?}");
    found
}

#[test]
fn an_ordinary_connection_gives_nothing_but_notes() {
    check(
        "0.000 > S  0:0(0)
         0.010 < S. 0:0(0) ack 1
         0.020 > .  1:1(0) ack 1
         0.030 > P. 1:101(100) ack 1
         0.040 < P. 1:901(900) ack 101
         0.050 > .  101:101(0) ack 901
         300.0 end",
    );
}
