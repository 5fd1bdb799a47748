//! The reference of findings, as a page that is made of what the program says of each.

use std::fmt::Write;
use std::path::Path;

use finwait::findings::timeouts::{Ends, TIMEOUTS};
use finwait::findings::{ALL, Rule};

const HEAD: &str = "\
# Findings

Made of what `finwait explain` says, by `FINWAIT_BLESS=1 cargo test --test it reference`.

A finding is known by its name. An error is a fault; a warning is a likely one, or a loss in what
the capture can tell; a note is worth knowing and blames nobody. `--allow NAME` leaves findings of a
name out, and `--set NAME.THRESHOLD=VALUE` changes a threshold; so do `allow` and `[thresholds]` in
`finwait.toml`. Each finding has an example that raises it and a near miss that does not, written as
tcpdump does: `>` comes from the client, `<` from the server. The tests run both.

| finding | severity | |
|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for rule in ALL {
        let title = rule.title();
        writeln!(page, "| [{0}](#{0}) | {1} | {title} |", rule.name, rule.severity).unwrap();
    }
    ALL.iter().for_each(|rule| entry(rule, &mut page));
    timeouts(&mut page);
    page
}

fn entry(rule: &Rule, page: &mut String) {
    writeln!(page, "\n## {}\n\n{}, since {}.\n", rule.name, rule.severity, rule.since).unwrap();
    for line in rule.text().lines() {
        let line = if line.starts_with("## ") { format!("#{line}") } else { line.to_owned() };
        writeln!(page, "{line}").unwrap();
    }
    if !rule.thresholds.is_empty() {
        page.push_str("\n### Thresholds\n\n| | default | |\n|---|---|---|\n");
        for it in rule.thresholds {
            writeln!(page, "| `{}` | {} {} | {} |", it.name, it.default, it.unit, it.doc).unwrap();
        }
    }
    let [raises, near_miss] = rule.examples();
    writeln!(page, "\n### Example\n\n```text\n{raises}\n```").unwrap();
    writeln!(page, "\nNear miss, which does not raise it:\n\n```text\n{near_miss}\n```").unwrap();
}

fn timeouts(page: &mut String) {
    page.push_str(
        "\n## Timeouts\n\nA wait within two percent of one of these is called consistent with it, \
         which is no proof.\n\n| seconds | what it ends | whose |\n|---|---|---|\n",
    );
    for it in TIMEOUTS {
        let ends = match it.ends {
            Ends::Idle => "an idle connection, by a close",
            Ends::Memory => "a device's memory of an idle connection, silently",
            Ends::HalfClose => "a half-closed connection",
            Ends::Repeats => "repeats without an answer",
            Ends::Silence => "an idle time, by a keepalive",
        };
        writeln!(page, "| {} | {ends} | {} |", it.seconds, it.whose).unwrap();
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/findings.md is stale: FINWAIT_BLESS=1 writes it anew");
}
