//! SARIF 2.1.0, as far as code hosts read it.
//!
//! A result is an issue: a finding at a service and on a side, not one for each connection. It
//! stands at the first line of the capture, or of a file that the user names: there is no line of
//! code that a capture could point to.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::findings::{self, Rule, Severity};
use crate::report::ci::gate::{Judged, Judgement, more};
use crate::report::ci::place::{RESULTS_MAX, file, fingerprint, uri};
use crate::report::ci::rows::first_of_kinds;
use crate::report::text::{clean, fit_letters};
use crate::run::Analysis;

/// Letters of a rule's full description that GitHub takes.
const DESCRIPTION_MAX: usize = 1_024;

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    results: Vec<SarifResult>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    short_description: Text,
    full_description: Text,
    help: Help,
    default_configuration: Configuration,
    properties: Tags,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text { text: clean(&text).into_owned() }
    }
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Configuration {
    level: Severity,
}

#[derive(Serialize)]
struct Tags {
    tags: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: Severity,
    message: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: Severity,
    message: Text,
    locations: [Location; 1],
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
    properties: Properties,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    justification: &'static str,
}

#[derive(Serialize)]
struct Properties {
    place: String,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    frames: Vec<u64>,
}

/// Writes the log.
pub fn write(
    analysis: &Analysis,
    judgement: &Judgement,
    anchor: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let uri = uri(&file(analysis, anchor));
    let kinds = first_of_kinds(judgement, |_| true, RESULTS_MAX);
    let shown = kinds.iter().flat_map(|kind| &kind.shown);
    let beyond = more(kinds.iter().flat_map(|kind| &kind.rest).copied(), |it| it.issue.count());
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool { driver: driver() },
            invocations: [invocation(analysis, judgement, beyond)],
            results: shown.map(|judged| result(judged, &uri)).collect(),
        }],
    };
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

fn driver() -> Driver {
    Driver {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        semantic_version: env!("CARGO_PKG_VERSION"),
        rules: findings::ALL.iter().map(|rule| descriptor(rule)).collect(),
    }
}

fn descriptor(rule: &Rule) -> Descriptor {
    let text = rule.text();
    // Behind the title stands the first part, which says what it means.
    let means = text.split("\n\n").nth(2).unwrap_or_default().replace('\n', " ");
    let full = format!("{} {means}", rule.title());
    Descriptor {
        id: rule.name,
        short_description: rule.title().to_string().into(),
        full_description: fit_letters(full.trim(), DESCRIPTION_MAX).into_owned().into(),
        help: Help { text: text.clone(), markdown: text },
        default_configuration: Configuration { level: rule.severity },
        properties: Tags { tags: ["tcp"] },
    }
}

/// What to say of the run itself, and of results for which there was no room.
fn invocation(analysis: &Analysis, judgement: &Judgement, beyond: Option<String>) -> Invocation {
    let notification = |level, text: String| Notification { level, message: text.into() };
    let stale = judgement.stale.iter().map(|stale| analysis.names.text(stale).into_owned());
    let grave = judgement.obstacles.iter().cloned().chain(stale);
    let cuts = judgement.cuts.iter().cloned();
    let mut notifications: Vec<Notification> = grave
        .map(|text| (Severity::Error, text))
        .chain(cuts.map(|cut| (Severity::Warning, cut)))
        .map(|(level, text)| notification(level, text))
        .collect();
    if let Some(more) = beyond {
        let text = format!("{more}, for which a report has no room");
        notifications.push(notification(Severity::Note, text));
    }
    let execution_successful = judgement.obstacles.is_empty();
    Invocation { execution_successful, tool_execution_notifications: notifications }
}

fn result(judged: &Judged, uri: &str) -> SarifResult {
    let issue = &judged.issue;
    let frames: Vec<String> = issue.worst.frames.iter().map(u64::to_string).collect();
    let message = match frames.len() {
        0 => issue.message(),
        1 => format!("{} [frame {}]", issue.message(), frames.concat()),
        _ => format!("{} [frames {}]", issue.message(), frames.join(", ")),
    };
    let suppression = Suppression { kind: "external", justification: "in the baseline" };
    let index = findings::ALL.iter().position(|rule| rule.name == issue.key.name);
    SarifResult {
        rule_id: issue.key.name,
        rule_index: index.unwrap_or_default(),
        level: issue.severity(),
        message: message.into(),
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation { uri: uri.to_owned() },
                region: Region { start_line: 1, start_column: 1, end_line: 1, end_column: 2 },
            },
        }],
        partial_fingerprints: BTreeMap::from([(
            "primaryLocationLineHash",
            format!("{}:1", fingerprint(&issue.key)),
        )]),
        suppressions: if judged.is_known() { vec![suppression] } else { Vec::new() },
        properties: Properties {
            place: issue.key.at(),
            count: issue.count(),
            connection: issue.worst.connection,
            frames: issue.worst.frames.clone(),
        },
    }
}
