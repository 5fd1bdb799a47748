//! The report as one HTML file, to be attached, mailed and kept: no script, no font, no picture
//! from elsewhere, readable on a telephone, in the dark and on paper.
//!
//! The template language escapes whatever is put in; what a terminal would obey is taken out of
//! the finished page. Every list is bounded, so that the page stays one that a browser opens.

mod chart;
mod lifelines;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::findings::survey::Survey;
use crate::findings::{self, Rule, Severity};
use crate::history::Role;
use crate::infer::state::State;
use crate::report::census::{Census, moments};
use crate::report::ci::gate::Judgement;
use crate::report::ci::rows::{Row, rows};
use crate::report::holders;
use crate::report::overview::input_facts;
use crate::report::states::lesson;
use crate::report::table::worst_connections;
use crate::report::text::{Grouped, clean};
use crate::report::verdict::{verdict, worst_findings};
use crate::run::Analysis;
use crate::sockets::Join;

/// Rows of the table of findings.
const ROWS_MAX: usize = 200;

/// Connections that are drawn.
const DRAWN_MAX: usize = 12;

/// Moments of the chart.
const MOMENTS: usize = 60;

const STYLE: &str = include_str!("style.css");

/// Nothing is fetched and nothing runs, even if something slipped through.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Writes the page. `says` is the gate's word, for a job.
pub fn write(
    analysis: &Analysis,
    judgement: &Judgement,
    says: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = page(analysis, judgement, says).into_string();
    for (at, line) in page.lines().enumerate() {
        if at > 0 {
            out.write_all(b"\n")?;
        }
        out.write_all(clean(line).as_bytes())?;
    }
    out.write_all(b"\n")
}

fn page(analysis: &Analysis, judgement: &Judgement, says: Option<&str>) -> Markup {
    let survey = &analysis.survey;
    let (verdict, _) = verdict(analysis, survey);
    let gravest = judgement.issues.iter().map(|it| it.issue.severity()).max();
    let mood = match gravest {
        _ if judgement.fails() => "error",
        Some(Severity::Error) => "error",
        Some(Severity::Warning) => "warning",
        _ => "good",
    };
    let has_connections = analysis.totals.connections > 0;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "finwait: " (verdict) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header class=(mood) {
                    h1 { (verdict) }
                    @if let Some(says) = says { p { (says) } }
                }
                main {
                    (input(analysis, survey))
                    @if has_connections {
                        (found(analysis, judgement))
                        @if let Some(join) = &analysis.sockets { (sockets(join, analysis)) }
                        (states(survey))
                        (over_time(analysis))
                        (connections(analysis))
                        (explanations(judgement))
                    }
                }
                footer {
                    p {
                        "finwait " (env!("CARGO_PKG_VERSION")) ". Times are UTC. >= marks a time "
                        "that still went on when the record ended."
                    }
                }
            }
        }
    }
}

fn input(analysis: &Analysis, survey: &Survey) -> Markup {
    html! {
        section {
            h2 { "Input" }
            dl {
                @for (label, text) in input_facts(analysis, survey) {
                    dt { (label) }
                    dd { (text) }
                }
            }
        }
    }
}

fn found(analysis: &Analysis, judgement: &Judgement) -> Markup {
    let (rows, beyond) = rows(judgement, ROWS_MAX);
    html! {
        section {
            h2 { "Findings" }
            @if judgement.issues.is_empty() {
                p { "None." }
            } @else {
                div class="wide" {
                    table class="findings" {
                        thead {
                            tr {
                                @for title in ["severity", "finding", "where"] {
                                    th scope="col" { (title) }
                                }
                                @for title in ["count", "longest"] {
                                    th scope="col" class="number" { (title) }
                                }
                            }
                        }
                        tbody {
                            @for row in &rows { (finding(analysis, row)) }
                        }
                    }
                }
                @if let Some(beyond) = beyond { p { "And " (beyond) "." } }
            }
        }
    }
}

fn finding(analysis: &Analysis, row: &Row) -> Markup {
    html! {
        tr class="issue" {
            td { span class={ "chip " (row.severity) } { (row.severity) } }
            td { a href={ "#" (row.name) } { (row.name) } }
            td { (analysis.names.text(&row.place)) }
            td class="number" {
                (Grouped(row.count))
                @if row.known > 0 { " (" (Grouped(row.known)) " known)" }
            }
            td class="number" { (row.longest) }
        }
        @if let Some(judged) = row.first {
            tr class="says" {
                td {}
                td colspan="4" { (judged.issue.message()) }
            }
        }
    }
}

/// What hosts' own socket tables say.
fn sockets(join: &Join, analysis: &Analysis) -> Markup {
    // Names stand on the left, numbers on the right.
    let class = |at: usize| (at > 1).then_some("number");
    html! {
        section {
            h2 { (holders::TITLE) }
            div class="wide" {
                table {
                    thead {
                        tr {
                            @for (at, name) in holders::HEAD.iter().enumerate() {
                                th scope="col" class=[class(at)] { (name) }
                            }
                        }
                    }
                    tbody {
                        @for row in holders::rows(join) {
                            tr {
                                @for (at, cell) in row.iter().enumerate() {
                                    td class=[class(at)] { (cell) }
                                }
                            }
                        }
                    }
                }
            }
            ul {
                @for point in holders::points(join, analysis) { li { (point) } }
                @for taken in join.taken() {
                    @if let Some(unread) = holders::unread(&taken.snapshot) {
                        li { span class="chip warning" { "warning" } " " (unread) }
                    }
                }
            }
        }
    }
}

fn states(survey: &Survey) -> Markup {
    html! {
        section {
            h2 { "States at the end" }
            div class="wide" {
                table {
                    thead {
                        tr {
                            th scope="col" { "state" }
                            th scope="col" class="number" { "clients" }
                            th scope="col" class="number" { "servers" }
                            th scope="col" { "meaning" }
                        }
                    }
                    tbody {
                        @for state in State::ALL.into_iter().rev() {
                            @let counts = Role::BOTH.map(|role| survey.in_state(role, state));
                            @if counts != [0, 0] {
                                tr {
                                    td { (chip(state)) }
                                    @for count in counts {
                                        td class="number" {
                                            @if count > 0 { (Grouped(count)) }
                                        }
                                    }
                                    td { (lesson(state).gloss) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A state's name in its colour.
fn chip(state: State) -> Markup {
    html! { span class={ "state " (state) } { (state) } }
}

fn over_time(analysis: &Analysis) -> Markup {
    let (Some(first), Some(last)) = (analysis.totals.first_ts, analysis.totals.last_ts) else {
        return html! {};
    };
    let census = Census::new(analysis, moments(first, last, MOMENTS), &[]);
    html! {
        section {
            h2 { "Sockets by state, over time" }
            (chart::draw(&census, last.since(first)))
        }
    }
}

fn connections(analysis: &Analysis) -> Markup {
    let worst = worst_findings(analysis);
    let shown = worst_connections(analysis, &worst, DRAWN_MAX);
    html! {
        @if !shown.is_empty() {
            section {
                h2 { "Connections to look at" }
                p class="faint" { (lifelines::LEGEND) }
                @for (finding, history) in &shown {
                    (lifelines::draw(analysis, history, finding))
                }
            }
        }
    }
}

/// What the findings of this report mean, so that whoever gets it needs nothing else.
fn explanations(judgement: &Judgement) -> Markup {
    let is_found = |rule: &&&Rule| judgement.issues.iter().any(|it| it.issue.key.name == rule.name);
    html! {
        section {
            h2 { "What the findings mean" }
            @for rule in findings::ALL.iter().filter(is_found) {
                details id=(rule.name) {
                    summary { (rule.name) ": " (rule.title()) }
                    @for block in rule.text().split("\n\n").skip(1) { (paragraph(block)) }
                }
            }
        }
    }
}

/// A block of an explanation: a heading, a list, an example or a paragraph.
fn paragraph(block: &str) -> Markup {
    let block = block.trim_matches('\n');
    html! {
        @if let Some(title) = block.trim().strip_prefix("## ") {
            h3 { (title) }
        } @else if block.starts_with("    ") || block.starts_with("- ") {
            pre { (block) }
        } @else {
            p { @for (at, part) in block.split('`').enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (part) }
            } }
        }
    }
}
