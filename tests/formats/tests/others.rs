//! Formats that others defined, before their schemas and readers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use finwait_formats::{LEAKING, recording, recordings, written};
use serde_json::Value;

/// One of each kind of capture: with findings, without, and many at once.
fn captures() -> Vec<Vec<PathBuf>> {
    let clean = recording("kernel/four-segment-close/server.pcap");
    vec![vec![recording(LEAKING)], vec![clean], recordings()]
}

/// SARIF's schema as the crate serde-sarif brings it.
fn sarif_schema() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    let features = ["--features", "finwait-formats/sarif-schema"];
    let output = cargo.args(features).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let sarif = packages.iter().find(|it| it["name"] == "serde-sarif").unwrap();
    let manifest = PathBuf::from(sarif["manifest_path"].as_str().unwrap());
    let text = std::fs::read_to_string(manifest.with_file_name("src").join("schema.json"));
    let mut schema: Value = serde_json::from_str(&text.unwrap()).unwrap();
    // A bracket too many makes this pattern no regular expression.
    for definition in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][definition]["properties"]["language"];
        language.as_object_mut().unwrap().remove("pattern").unwrap();
    }
    schema
}

#[test]
fn sarif_is_what_its_schema_says() {
    let schema = sarif_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for captures in captures() {
        for command in ["report", "check"] {
            let text = written(&[command, "--format", "sarif"], &captures);
            let log: Value = serde_json::from_str(&text).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&log).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:#?}");
            for result in log["runs"][0]["results"].as_array().unwrap() {
                let index = result["ruleIndex"].as_u64().unwrap() as usize;
                let rule = &log["runs"][0]["tool"]["driver"]["rules"][index];
                assert_eq!(rule["id"], result["ruleId"]);
            }
        }
    }
    let broken = serde_json::json!({"version": "2.1.0", "runs": [{"results": []}]});
    assert!(!validator.is_valid(&broken));
}

/// What GitHub asks for beyond the schema (its page on SARIF support).
#[test]
fn sarif_is_what_github_takes() {
    let text = written(&["report", "--format", "sarif"], &recordings());
    let log: Value = serde_json::from_str(&text).unwrap();
    let run = &log["runs"][0];
    for rule in run["tool"]["driver"]["rules"].as_array().unwrap() {
        for member in ["shortDescription", "fullDescription", "help"] {
            let text = rule[member]["text"].as_str().unwrap();
            assert!(!text.is_empty(), "{rule}");
            assert!(member == "help" || text.chars().count() <= 1024, "{rule}");
        }
    }
    let results = run["results"].as_array().unwrap();
    let mut prints = BTreeSet::new();
    for result in results {
        let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
        assert!(prints.insert(print), "two alerts would be one: {result}");
        let region = &result["locations"][0]["physicalLocation"]["region"];
        for member in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(region[member].as_u64().unwrap() >= 1);
        }
    }
    assert!(results.len() > 20);
}

#[test]
fn junit_is_read_by_a_reader_of_test_reports() {
    for captures in captures() {
        for fail_on in ["error", "warning", "note"] {
            let args = ["check", "--format", "junit", "--fail-on", fail_on];
            let text = written(&args, &captures);
            let report = quick_junit::Report::deserialize_from_str(&text).unwrap();
            assert_eq!(report.name.as_ref().map(|name| name.as_str()), Some("finwait"));
            let suites = &report.test_suites;
            let sum = |count: fn(&quick_junit::TestSuite) -> usize| -> usize {
                suites.iter().map(count).sum()
            };
            assert_eq!(report.tests, sum(|suite| suite.test_cases.len()));
            assert_eq!(report.failures, sum(|suite| suite.failures));
            let mut names = BTreeSet::new();
            for suite in suites {
                let failing = suite.test_cases.iter().filter(|case| {
                    matches!(
                        &case.status,
                        quick_junit::TestCaseStatus::NonSuccess {
                            kind: quick_junit::NonSuccessKind::Failure,
                            ..
                        }
                    )
                });
                assert_eq!(suite.failures, failing.count());
                for case in &suite.test_cases {
                    let class = case.classname.as_ref().unwrap().as_str();
                    assert_eq!(class, suite.name.as_str());
                    assert!(names.insert((class, case.name.as_str())), "GitLab drops the second");
                }
            }
        }
    }
}

/// The members that GitLab's page on code quality reports asks for.
#[test]
fn gitlab_finds_what_it_asks_for() {
    let schema = serde_json::json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "additionalProperties": false,
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "minLength": 1},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "pattern": "^[^./]"},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}}
                        }
                    }
                }
            }
        }
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    for captures in captures() {
        let args = ["report", "--format", "gitlab", "--anchor", "src/server.rs"];
        let report: Value = serde_json::from_str(&written(&args, &captures)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let entries = report.as_array().unwrap();
        let prints: BTreeSet<_> = entries.iter().map(|it| it["fingerprint"].as_str()).collect();
        assert_eq!(prints.len(), entries.len(), "GitLab shows the first of a fingerprint");
    }
}

/// As the runner's own library takes a line apart (actions/toolkit, command.ts, backwards).
#[test]
fn workflow_commands_are_taken_apart_as_they_were_meant() {
    let args = ["report", "--format", "github"];
    let text = written(&args, &[recording(LEAKING)]);
    let (head, message) = text.lines().next().unwrap()[2..].split_once("::").unwrap();
    let (command, properties) = head.split_once(' ').unwrap();
    let plain = |text: &str| {
        let text = text.replace("%3A", ":").replace("%2C", ",");
        text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    };
    assert_eq!(command, "error");
    let properties: Vec<_> = properties.split(',').map(|it| it.split_once('=').unwrap()).collect();
    let title = plain(properties[0].1);
    assert_eq!((properties.len(), properties[0].0), (1, "title"));
    assert_eq!(title, "close-wait-leak at server 10.9.0.2:6800");
    assert!(plain(message).starts_with("server 10.9.0.2:6800"));
}

#[test]
fn markdown_is_two_tables_lists_and_nothing_unmeant() {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let text = written(&["check", "--format", "markdown"], &[recording(LEAKING)]);
    let events: Vec<Event> = Parser::new_ext(&text, Options::ENABLE_TABLES).collect();
    let count = |is: fn(&Tag) -> bool| {
        events.iter().filter(|it| matches!(it, Event::Start(tag) if is(tag))).count()
    };
    assert_eq!(count(|tag| matches!(tag, Tag::Table(_))), 2);
    assert_eq!(count(|tag| matches!(tag, Tag::Heading { .. })), 1);
    assert_eq!(count(|tag| matches!(tag, Tag::Emphasis | Tag::Link { .. } | Tag::Image { .. })), 0);
    for event in &events {
        if let Event::Html(html) | Event::InlineHtml(html) = event {
            let html = html.trim();
            assert!(html.starts_with("<details><summary>") || html == "</details>", "{html}");
        }
    }
    let read: String = events
        .iter()
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect();
    assert!(read.contains("CLOSE_WAIT") && read.contains(">= 68.3 s"), "{read}");
}
