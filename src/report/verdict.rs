//! The verdict: who closed first and who never did, on which service, how many, for how long, and
//! what to look at, in one sentence; or that nothing is wrong.

use std::collections::HashSet;

use crate::addr::HostPort;
use crate::decode::skip::Skip;
use crate::findings::closing::long_close_wait::LONG_CLOSE_WAIT;
use crate::findings::survey::{Survey, Waits};
use crate::findings::{Finding, Severity};
use crate::history::{ClosedFirst, Role};
use crate::report::paint::Tone;
use crate::report::text::{Grouped, clean, plural};
use crate::run::Analysis;
use crate::time::Span;

/// What a finding about one side of a service explains of its connections: those are counted, and
/// not told beside it.
const EXPLAINS: &[(&str, &[&str])] = &[
    ("close-wait-leak", &["long-close-wait", "fin-wait-2-stuck", "orphan-reset"]),
    ("accept-queue-overflow", &["half-open-handshake", "syn-unanswered"]),
    ("syn-flood", &["half-open-handshake", "syn-unanswered"]),
    ("port-scan", &["connection-refused", "half-open-handshake", "syn-unanswered"]),
];

/// The name under which single connections have what a finding says of their service.
pub fn of_connections(name: &'static str) -> &'static str {
    let explained = EXPLAINS.iter().find(|(cause, _)| *cause == name);
    explained.and_then(|(_, names)| names.first()).copied().unwrap_or(name)
}

/// The findings to speak of: each name once, the gravest first, those about a service before those
/// about one connection.
pub fn worst_findings(analysis: &Analysis) -> Vec<&Finding> {
    let mut worst: Vec<&Finding> = Vec::new();
    let grouped = &analysis.findings.grouped;
    let causes: HashSet<(&str, Role, HostPort)> = grouped
        .iter()
        .filter_map(|it| Some((it.name, it.role?, it.host?)))
        .filter(|(name, ..)| EXPLAINS.iter().any(|(cause, _)| cause == name))
        .collect();
    let is_told = |finding: &&Finding| !is_explained(analysis, &causes, finding);
    let single = analysis.findings.worst.values().filter_map(|list| list.iter().find(is_told));
    for finding in grouped.iter().chain(single) {
        if !worst.iter().any(|known| known.name == finding.name) {
            worst.push(finding);
        }
    }
    let rank = |it: &&Finding| {
        let is_about_service = it.connection.is_none() && it.role.is_some();
        let many = analysis.findings.by_name.get(it.name).copied().unwrap_or_default();
        core::cmp::Reverse((it.severity, is_about_service, many, it.duration))
    };
    worst.sort_by_key(rank);
    worst
}

/// Whether a finding about a connection follows from one about a side of its service.
fn is_explained(
    analysis: &Analysis,
    causes: &HashSet<(&str, Role, HostPort)>,
    finding: &Finding,
) -> bool {
    let mut names = EXPLAINS.iter().filter(|(_, what)| what.contains(&finding.name)).peekable();
    if names.peek().is_none() {
        return false;
    }
    let Some(history) = finding.connection.and_then(|id| analysis.archive.get(id)) else {
        return false;
    };
    // Whoever waits for its peer's FIN waits for one that is late.
    if finding.name == "fin-wait-2-stuck" || finding.name == "orphan-reset" {
        let own = analysis.findings_of(&history);
        if own.iter().any(|other| other.name == "long-close-wait") {
            return true;
        }
    }
    names.any(|(cause, _)| {
        Role::BOTH.into_iter().any(|role| {
            let addr = history.addr(role);
            let host = HostPort::new(addr.ip(), 0);
            [addr, host].into_iter().any(|place| causes.contains(&(*cause, role, place)))
        })
    })
}

/// The verdict in one sentence, and its tone.
pub fn verdict(analysis: &Analysis, survey: &Survey) -> (String, Tone) {
    let worst = worst_findings(analysis);
    let totals = &analysis.totals;
    let partly = match totals.beyond_connections_max {
        _ if !analysis.is_complete() => "as far as the capture could be read, ",
        0 => "",
        _ => "as far as --max-connections had room, ",
    };
    let grave: Vec<&&Finding> =
        worst.iter().filter(|it| it.severity >= Severity::Warning).collect();
    let (sentence, tone) = match grave.split_first() {
        _ if totals.segments == 0 => {
            let packets = plural(totals.packets, "packet");
            let but = match passed_over(analysis) {
                Some(what) => format!(", but {what}"),
                None => String::new(),
            };
            (
                format!("{partly}there is no TCP segment in this capture of {packets}{but}."),
                Tone::Warning,
            )
        }
        None => {
            let waiting = waiting(analysis, survey);
            let tone = if waiting.is_some() { Tone::Warning } else { Tone::Good };
            let so_far = waiting.map_or(String::new(), |waiting| format!("; {waiting}"));
            let told = in_order(analysis, survey);
            match totals.only() {
                None => (format!("{partly}nothing is wrong: {told}{so_far}."), tone),
                Some(only) => (
                    format!("{partly}the capture holds {}; {told}{so_far}.", only.words()),
                    Tone::Warning,
                ),
            }
        }
        Some((first, rest)) => {
            let more = more(analysis, survey, first, rest.len() as u64);
            let tone = Tone::of_severity(first.severity);
            (format!("{partly}{}{more}.", first.message), tone)
        }
    };
    (capitalised(&clean(&sentence)), tone)
}

/// What was passed over, though segments may be in it, and what to do about it.
pub fn passed_over(analysis: &Analysis) -> Option<String> {
    let all = [
        (Skip::InTunnel, "segment", "in tunnels, which --decode-tunnels opens"),
        (Skip::UnsupportedLinkType, "packet", "of a link type that is not read"),
        (Skip::Encrypted, "frame", "that Wi-Fi encrypted: decrypt them first, with airdecap-ng"),
        (
            Skip::QuietLine,
            "line",
            "of tcpdump -q, which tell neither flags nor sequence numbers: print without -q",
        ),
    ];
    let parts: Vec<String> = all
        .into_iter()
        .map(|(why, what, told)| (analysis.totals.skipped.get(why), what, told))
        .filter(|(count, ..)| *count > 0)
        .map(|(count, what, told)| format!("{} {told}", plural(count, what)))
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What the verdict does not tell: how often the same was found, and what else.
fn more(analysis: &Analysis, survey: &Survey, told: &Finding, others: u64) -> String {
    let all = analysis.findings.by_name.get(told.name).copied().unwrap_or_default();
    let server = told.connection.and_then(|id| analysis.archive.get(id));
    let server = server.map(|history| history.addr(Role::Server));
    let here = survey.groups.iter().find(|it| it.name == told.name && it.place == server);
    let here = here.map_or(1, |group| group.count).min(all);
    let alike = here.saturating_sub(1);
    let elsewhere = all.saturating_sub(here);
    let place = match server {
        Some(server) => {
            format!("{} of {}", plural(alike, "more connection"), analysis.names.socket(server))
        }
        None => plural(alike, "more place"),
    };
    let parts = [
        (alike > 0).then(|| format!("the same on {place}")),
        (elsewhere > 0).then(|| match server {
            Some(_) => format!("the same on {} elsewhere", plural(elsewhere, "connection")),
            None => format!("the same at {}", plural(elsewhere, "other place")),
        }),
        (others > 0).then(|| format!("{} below", plural(others, "other finding"))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join("; ")),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Ends that wait in CLOSE_WAIT, none of them long enough for a verdict: said, because a capture
/// of a leak may be too short to show it.
fn waiting(analysis: &Analysis, survey: &Survey) -> Option<String> {
    let all: u64 = survey.waiting.values().map(|waits| waits.count).sum();
    let ((role, server), waits) =
        survey.waiting.iter().max_by_key(|(_, waits)| (waits.count, waits.longest))?;
    let Waits { count, longest, talking } = *waits;
    let server = analysis.names.socket(*server);
    let who = match role {
        Role::Server => format!("server {server}"),
        Role::Client => format!("the clients of {server}"),
    };
    let more = match all - count {
        0 => String::new(),
        rest => format!(", and others had {} more", Grouped(rest)),
    };
    let hold = analysis.thresholds.value(&LONG_CLOSE_WAIT, "hold_s").map(Span::from_secs_f64);
    let why = match () {
        () if hold.is_some_and(|hold| longest < hold) => {
            "; the capture ends too soon to judge that (see --close-wait)"
        }
        () if talking == count => "; it sent data meanwhile, and a half-close in use is no leak",
        // Whatever it is, as a FIN of which it is not clear whether it came.
        () => "",
    };
    Some(format!(
        "but {who} had not yet closed {} that the peer had closed, for up to {longest}{more}{why}",
        plural(count, "connection"),
    ))
}

/// What happened where nothing is wrong. Each connection is told once, and again if it only asked.
fn in_order(analysis: &Analysis, survey: &Survey) -> String {
    let told = |parts: &[(u64, &str)]| -> Vec<String> {
        let there = parts.iter().filter(|(count, _)| *count > 0);
        there.map(|(count, how)| format!("{} {how}", Grouped(*count))).collect()
    };
    let mut closed = told(&[
        (survey.first(ClosedFirst::Client), "closed by the client first"),
        (survey.first(ClosedFirst::Server), "closed by the server first"),
        (survey.first(ClosedFirst::Both), "closed by both at once"),
        (survey.closed_unclear, "closed, by which end first the capture does not show"),
    ]);
    if let Some(last) = closed.last_mut().filter(|_| survey.half_closed > 0) {
        *last += &format!(" ({} of them not on both sides yet)", Grouped(survey.half_closed));
    }
    let checks = analysis.findings.by_name.get("health-check").copied().unwrap_or_default();
    let others = told(&[
        (survey.never_opened, "never opened"),
        (survey.only_reset, "ended by a RST, with nothing of their opening captured"),
        (survey.unclosed, "not closed yet"),
        (checks, "that only checked whether anybody listens"),
        (analysis.archive.forgotten(), "forgotten, over or never opened"),
    ]);
    let all = plural(analysis.totals.connections, "connection");
    [vec![all], closed, others].concat().join(", ")
}
