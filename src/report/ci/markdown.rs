//! Markdown for a pull request's comment or a job's summary: the verdict, what was found and where,
//! and the rest folded away. What comes from a capture or a path cannot be taken for markup.

use std::io::{self, Write};

use crate::findings::survey::{Lasted, Survey};
use crate::findings::{Finding, Severity};
use crate::history::{History, Role};
use crate::limits::MARKDOWN_BYTES_MAX;
use crate::report::ci::gate::{Judged, Judgement};
use crate::report::ci::rows::{first_of_kinds, rows};
use crate::report::holders;
use crate::report::kinds::example;
use crate::report::overview::input_facts;
use crate::report::table::{WORST_MAX, worst_connections};
use crate::report::text::{Grouped, clean, fit_letters};
use crate::report::verdict::{verdict, worst_findings};
use crate::run::{Analysis, Names};
use crate::sockets::Join;

/// Rows of the table of findings.
const ROWS_MAX: usize = 30;

/// Messages that are written out.
const MESSAGES_MAX: usize = 10;

/// Letters of one text: a path can have thousands.
const LETTERS_MAX: usize = 600;

/// Writes the report. `says` is the gate's word, for a job.
pub fn write(
    analysis: &Analysis,
    judgement: &Judgement,
    says: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let survey = &analysis.survey;
    let worst = worst_findings(analysis);
    let (verdict, _) = verdict(analysis, survey);
    let sections = [
        format!("### finwait: {}\n", text(&verdict)),
        says.map_or(String::new(), |says| format!("\n**{}**\n", text(says))),
        obstacles(judgement),
        findings(judgement, &analysis.names),
        messages(judgement),
        analysis.sockets.as_ref().map_or(String::new(), |join| sockets(join, analysis)),
        connections(&worst_connections(analysis, &worst, WORST_MAX), &analysis.names),
        input(analysis, survey),
    ];
    let mut page = String::new();
    let mut is_cut = false;
    for section in sections {
        let is_room = page.len() + section.len() <= MARKDOWN_BYTES_MAX - CUT.len();
        is_cut |= !is_room;
        if is_room {
            page += &section;
        }
    }
    if is_cut {
        page += CUT;
    }
    out.write_all(page.as_bytes())
}

/// What stands for sections without room.
const CUT: &str = "\nThere was not room for everything: see `finwait report`.\n";

/// What kept the capture from being judged in full.
fn obstacles(judgement: &Judgement) -> String {
    let all = &judgement.obstacles;
    let items = all.iter().take(MESSAGES_MAX).map(|obstacle| format!("- ❌ {}\n", text(obstacle)));
    let more = match all.len().saturating_sub(MESSAGES_MAX) {
        0 => String::new(),
        more => format!("- and {} more\n", Grouped(more as u64)),
    };
    let list = items.collect::<String>() + &more;
    if list.is_empty() { list } else { format!("\n{list}") }
}

fn findings(judgement: &Judgement, names: &Names) -> String {
    if judgement.issues.is_empty() {
        return String::new();
    }
    let mut table = "\n| severity | finding | where | count | longest | example |\n\
                     |---|---|---|---:|---:|---|\n"
        .to_string();
    let (rows, beyond) = rows(judgement, ROWS_MAX);
    for row in rows {
        let icon = match (row.fails, row.severity) {
            (true, _) => "❌ ",
            (false, Severity::Note) => "",
            (false, _) => "⚠️ ",
        };
        let known = match row.known {
            0 => String::new(),
            known => format!(" ({} known)", Grouped(known)),
        };
        let connection = row.first.and_then(|judged| judged.issue.worst.connection);
        let example = example(connection, row.stuck);
        table += &format!(
            "| {icon}{} | `{}` | {} | {}{known} | {} | {example} |\n",
            row.severity,
            row.name,
            text(&names.text(&row.place)),
            Grouped(row.count),
            text(&row.longest.to_string()),
        );
    }
    if let Some(beyond) = beyond {
        table += &format!("\nand {}\n", text(&beyond));
    }
    table
}

fn messages(judgement: &Judgement) -> String {
    let is_grave = |judged: &Judged| judged.fails() || judged.issue.severity() > Severity::Note;
    let items: Vec<String> = first_of_kinds(judgement, is_grave, MESSAGES_MAX)
        .iter()
        .flat_map(|kind| &kind.shown)
        .map(|judged| format!("- `{}`: {}\n", judged.issue.key.name, text(&judged.issue.message())))
        .collect();
    folded("What they say", &items.concat())
}

/// What hosts' own socket tables say.
fn sockets(join: &Join, analysis: &Analysis) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rows: String = holders::rows(join).map(|row| line(&row.map(|cell| text(&cell)))).collect();
    let unread = join.taken().iter().filter_map(|taken| holders::unread(&taken.snapshot));
    let points = holders::points(join, analysis).into_iter().map(|point| ("", point));
    let points = points.chain(unread.map(|unread| ("⚠️ ", unread)));
    let points: String = points.map(|(icon, said)| format!("- {icon}{}\n", text(&said))).collect();
    let head = line(&holders::HEAD.map(str::to_string));
    folded(holders::TITLE, &format!("{head}|---|---|---:|---:|---:|---:|---:|\n{rows}\n{points}"))
}

fn connections(worst: &[(&Finding, History)], names: &Names) -> String {
    let rows: Vec<String> = worst
        .iter()
        .map(|(finding, history)| {
            let [client, server] = Role::BOTH.map(|role| {
                format!("{} {}", names.socket(history.addr(role)), history.last_state(role))
            });
            format!(
                "| {} | {} | {} | {} | `{}` |\n",
                history.id,
                text(&client),
                text(&server),
                text(&Lasted::of(finding).to_string()),
                finding.name
            )
        })
        .collect();
    let head = "| id | client | server | for | finding |\n|---:|---|---|---:|---|\n";
    let table = if rows.is_empty() { String::new() } else { head.to_string() + &rows.concat() };
    folded("Connections to look at", &table)
}

fn input(analysis: &Analysis, survey: &Survey) -> String {
    let facts: Vec<String> = input_facts(analysis, survey)
        .iter()
        .map(|(label, fact)| match *label {
            "" => format!("- {}\n", text(fact)),
            label => format!("- {label}: {}\n", text(fact)),
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    folded("Input", &format!("{}- finwait {version}\n", facts.concat()))
}

/// A section that opens when it is asked to.
fn folded(title: &str, body: &str) -> String {
    match body {
        "" => String::new(),
        _ => format!("\n<details><summary>{title}</summary>\n\n{body}\n</details>\n"),
    }
}

/// Text that is no markup, of bounded length.
fn text(text: &str) -> String {
    const MARKUP: &str = "\\`*{}[]<|#~&@$";
    let text = clean(text);
    let text = fit_letters(&text, LETTERS_MAX);
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        // Within a word, as in CLOSE_WAIT, it is no markup.
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let is_inside = is_word(before) && letters.peek().is_some_and(|next| is_word(*next));
        if MARKUP.contains(letter) || (letter == '_' && !is_inside) {
            escaped.push('\\');
        }
        escaped.push(letter);
        before = letter;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(text("a|b `c` <d> [e](f)"), "a\\|b \\`c\\` \\<d> \\[e\\](f)");
        assert_eq!(text("_a_ b_c"), "\\_a\\_ b_c");
        let plain = "10.9.0.2:6800 is in CLOSE_WAIT for >= 5 s";
        assert_eq!(text(plain), plain);
        assert!(text(&"x".repeat(5_000)).chars().count() <= LETTERS_MAX);
    }
}
