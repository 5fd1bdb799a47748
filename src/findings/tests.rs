//! The catalogue: every rule is documented, registered, and raised by its own trace.

mod parts;

use core::ops::Range;
use std::collections::BTreeSet;
use std::path::Path;

use crate::addr::Addr;
use crate::findings::rule::opened;
use crate::findings::{
    ALL, CaptureFacts, Collector, Finding, Scope, Severity, Thresholds, Value, rule,
};
use crate::history::{History, Role};
use crate::testkit::{Trace, connections, findings, summary};
use crate::time::Span;

/// The severities that are promised.
const PROMISED: &[(Severity, &[&str])] = &[
    (
        Severity::Error,
        &[
            "accept-queue-overflow",
            "syn-flood",
            "dead-peer",
            "silent-drop",
            "peer-rebooted",
            "close-wait-leak",
            "data-after-fin",
        ],
    ),
    (
        Severity::Warning,
        &[
            "connection-refused",
            "syn-unanswered",
            "half-open-handshake",
            "port-scan",
            "zero-window-stall",
            "retransmission-storm",
            "unacknowledged-data",
            "ignored-reset",
            "long-close-wait",
            "fin-wait-2-stuck",
            "last-ack-stuck",
            "fin-unanswered",
            "abortive-close",
            "close-wait-reset",
            "unread-data-reset",
            "reset-after-fin",
            "keepalive-race",
            "time-wait-refused",
            "time-wait-assassination",
            "port-exhaustion",
            "capture-gap",
            "capture-drops",
            "clock-step",
            "one-way-capture",
            "cut-headers",
        ],
    ),
    (
        Severity::Note,
        &[
            "deferred-accept",
            "simultaneous-open",
            "split-handshake",
            "syn-cookies",
            "fast-open",
            "options-mismatch",
            "stale-syn",
            "syn-challenged",
            "keepalive",
            "idle-connection",
            "fin-ack-skips-fin-wait-2",
            "simultaneous-close",
            "half-close-data",
            "health-check",
            "idle-timeout",
            "lost-last-ack",
            "orphan-reset",
            "time-wait-reuse",
            "time-wait-census",
            "mid-stream-start",
            "duplicate-packets",
            "checksum-offload",
        ],
    ),
];

fn names(found: &[Finding]) -> BTreeSet<&'static str> {
    found.iter().map(|finding| finding.name).collect()
}

/// A history in short, for a test that fails.
fn told(history: &History) -> String {
    let transitions = history.transitions.iter().map(|it| {
        let role = history.role(it.end).name();
        format!("{role} {} -> {}: {} (frame {})", it.from, it.to, it.event.cause(), it.at.frame)
    });
    let facts = history
        .facts
        .iter()
        .map(|it| format!("{} {:?} x{}", history.role(it.end).name(), it.kind, it.count));
    let lines: Vec<_> = transitions.chain(facts).collect();
    format!("{}\n{:?}", lines.join("\n"), history.sides)
}

#[test]
fn every_rule_is_raised_by_its_trace_and_not_by_its_near_miss() {
    let mut wrong = Vec::new();
    for rule in ALL {
        let found = findings(rule.raises);
        if !names(&found).contains(rule.name) {
            let told: Vec<_> = connections(rule.raises).iter().map(told).collect();
            wrong.push(format!("{} is not raised by\n{}", rule.name, told.join("\n")));
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

/// Holds the names that a trace raises against its `!` lines.
#[track_caller]
fn check(text: &str) -> Vec<Finding> {
    let expected: BTreeSet<_> = Trace::parse(text).findings.into_iter().collect();
    let found = findings(text);
    let names: BTreeSet<_> = found.iter().map(|finding| finding.name.to_owned()).collect();
    assert_eq!(names, expected, "{found:#?}");
    found
}

/// `count` connections that each do the same, a second apart, up to `end` seconds.
fn many(count: usize, one: &str, end: u32) -> String {
    in_order(lives(0..count, one), end)
}

/// What each of these clients does, each a second after the one before.
fn lives(clients: Range<usize>, one: &str) -> Vec<(f64, String)> {
    let mut lines = Vec::new();
    for client in clients {
        for line in one.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (time, rest) = line.split_once(' ').unwrap();
            let time = time.parse::<f64>().unwrap() + client as f64;
            lines.push((time, format!("{time:.3} {client}{}", rest.trim_start())));
        }
    }
    lines
}

fn in_order(mut lines: Vec<(f64, String)>, end: u32) -> String {
    lines.sort_by(|left, right| left.0.total_cmp(&right.0));
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    format!("{}\n{end} end\n", lines.join("\n"))
}

const STUCK: &str = "
    0.00 > S  0:0(0)
    0.01 < S. 0:0(0) ack 1
    0.02 > .  1:1(0) ack 1
    0.03 > F. 1:1(0) ack 1
    0.04 < .  1:1(0) ack 2";

#[test]
fn an_idle_open_connection_is_named_and_blamed_for_nothing() {
    check(opened!(
        "0.030 > P. 1:101(100) ack 1
         0.040 < P. 1:901(900) ack 101
         0.050 > .  101:101(0) ack 901
         7200. end
         ! idle-connection"
    ));
}

#[test]
fn an_ordinary_close_and_its_time_wait_are_no_finding() {
    check(opened!(
        "0.030 > P. 1:101(100) ack 1
         0.040 < P. 1:901(900) ack 101
         0.050 > F. 101:101(0) ack 901
         0.060 < .  901:901(0) ack 102
         0.070 < F. 901:901(0) ack 102
         0.080 > .  102:102(0) ack 902
         40.00 end"
    ));
}

#[test]
fn health_checks_are_named_and_nobody_is_blamed() {
    check(opened!("0.02 > R. 1:1(0) ack 1\n! health-check"));
    let found = findings(&many(
        10,
        "0.00 > S  0:0(0)
         0.01 < S. 0:0(0) ack 1
         0.02 > .  1:1(0) ack 1
         0.03 > F. 1:1(0) ack 1
         0.04 < .  1:1(0) ack 2
         0.05 < F. 1:1(0) ack 2
         0.06 > .  2:2(0) ack 2",
        200,
    ));
    assert_eq!(names(&found), BTreeSet::from(["health-check"]));
    assert!(found.iter().all(|finding| finding.severity == Severity::Note));
}

#[test]
fn short_close_waits_are_no_leak() {
    check(&many(20, STUCK, 50));
}

#[test]
fn half_closes_in_use_are_no_leak() {
    let found = findings(&many(
        5,
        "0.00 > S  0:0(0)
         0.01 < S. 0:0(0) ack 1
         0.02 > .  1:1(0) ack 1
         0.03 > F. 1:1(0) ack 1
         0.04 < .  1:1(0) ack 2
         50.0 < P. 1:1001(1000) ack 2
         50.1 > .  2:2(0) ack 1001
         100. < P. 1001:2001(1000) ack 2
         100.1 > .  2:2(0) ack 2001",
        140,
    ));
    assert_eq!(names(&found), BTreeSet::from(["half-close-data"]));
}

#[test]
fn close_waits_that_end_late_are_long_but_no_leak() {
    let text = many(5, &format!("{STUCK}\n 90.0 < F. 1:1(0) ack 2\n 90.1 > . 2:2(0) ack 2"), 120);
    assert_eq!(names(&findings(&text)), BTreeSet::from(["fin-wait-2-stuck", "long-close-wait"]));
}

#[test]
fn a_leak_names_the_service_and_counts() {
    let text = many(60, STUCK, 100);
    let found = findings(&text);
    let leak = found.iter().find(|it| it.name == "close-wait-leak").unwrap();
    assert_eq!((leak.role, leak.connection), (Some(Role::Server), None));
    assert_eq!(leak.host.unwrap().to_string(), "10.9.0.2:6800");
    assert_eq!(leak.value("stuck"), Some(&Value::Integer(40)));
    assert_eq!(leak.value("total"), Some(&Value::Integer(60)));
    assert_eq!(leak.value("closed"), Some(&Value::Integer(0)));
    assert!(leak.message.contains("the oldest for >= 100 s"), "{}", leak.message);
    let said = "server 10.9.0.2:6800 never closed 40 of the 60 connections that its clients \
                (10.9.0.1) had closed first";
    assert!(leak.message.starts_with(said), "{}", leak.message);
    assert_eq!(leak.value("trend"), Some(&Value::Text("growing".into())));
    assert_eq!(leak.value("per_minute").map(Value::to_string).as_deref(), Some("36.0"));
    assert!(leak.message.contains("1024 descriptors are used up in"), "{}", leak.message);
    assert_eq!(leak.frames.len(), crate::limits::FINDING_FRAMES_MAX);
}

#[test]
fn health_checks_are_not_among_what_a_leak_is_counted_of() {
    const CHECK: &str = "
        0.50 > S  0:0(0)
        0.51 < S. 0:0(0) ack 1
        0.52 > .  1:1(0) ack 1
        0.53 > F. 1:1(0) ack 1
        0.54 < F. 1:1(0) ack 2
        0.55 > .  2:2(0) ack 2";
    let found = findings(&in_order([lives(0..4, STUCK), lives(4..34, CHECK)].concat(), 100));
    let leak = found.iter().find(|it| it.name == "close-wait-leak").expect("a leak");
    assert_eq!(found.iter().filter(|it| it.name == "health-check").count(), 30);
    assert!(leak.message.contains("never closed 4 of the 4 connections"), "{}", leak.message);
    let counts = ["total", "closed"].map(|name| leak.value(name));
    assert_eq!(counts, [Some(&Value::Integer(4)), Some(&Value::Integer(0))]);
}

#[test]
fn a_leak_names_whose_connections_are_stuck_beside_all_that_left_first() {
    const CLOSED: &str = "
        0.00 > S  0:0(0)
        0.01 < S. 0:0(0) ack 1
        0.02 > P. 1:11(10) ack 1
        0.03 > F. 11:11(0) ack 1
        0.04 < F. 1:1(0) ack 12
        0.05 > .  12:12(0) ack 2";
    let text = in_order([lives(0..4, STUCK), lives(4..10, CLOSED)].concat(), 100);
    let mut histories = connections(&text);
    let is_other =
        |it: &&mut History| !it.is_open() && it.addr(Role::Client).port().is_multiple_of(2);
    for history in histories.iter_mut().filter(is_other) {
        let (server, other) = (history.addr(Role::Server).ip(), Addr::from([10, 9, 0, 3]));
        history.tuple = history.tuple.with_addrs(|it| if it == server { it } else { other });
    }
    let facts = CaptureFacts::default();
    let found = Collector::collect(Thresholds::default(), histories.iter(), &facts).grouped;
    let leak = found.iter().find(|it| it.name == "close-wait-leak").expect("a leak");
    let said = "server 10.9.0.2:6800 never closed 4 of the 10 connections that its clients \
                (2 hosts) had closed first, all 4 with 10.9.0.1: they are in CLOSE_WAIT";
    assert!(leak.message.starts_with(said), "{}", leak.message);
}

#[test]
fn a_leak_tells_those_in_close_wait_from_those_that_a_reset_ended() {
    let reset = format!("{STUCK}\n 90.0 > R. 2:2(0) ack 1");
    let leak = |open: Range<usize>, end: u32| {
        let found = findings(&in_order([lives(0..4, &reset), lives(open, STUCK)].concat(), end));
        found.into_iter().find(|it| it.name == "close-wait-leak").expect("a leak")
    };
    let some = leak(4..60, 100);
    let said = "never closed 40 of the 60 connections that its clients (10.9.0.1) had closed \
                first: 36 are in CLOSE_WAIT, the oldest for >= 96 s, and 4 were, one for 90 s, \
                until a RST or a new connection from the client ended each; 36.0 more come per \
                minute (if the program keeps the descriptors of all, 1024 are used up in";
    assert!(some.message.contains(said), "{}", some.message);
    let counts = ["stuck", "open"].map(|name| some.value(name));
    assert_eq!(counts, [Some(&Value::Integer(40)), Some(&Value::Integer(36))]);
    let all = leak(4..4, 100);
    let said = "they were in CLOSE_WAIT, one for 90 s, until a RST or a new connection from the \
                client ended each; it never sent";
    assert!(all.message.contains(said), "{}", all.message);
    assert_eq!(all.value("trend"), Some(&Value::Text("ended".into())));
}

#[test]
fn descriptors_that_are_used_up_already_are_said_to_be() {
    let mut thresholds = Thresholds::default();
    thresholds.set_fd_limit(10);
    let histories = connections(&many(40, STUCK, 90));
    let facts = CaptureFacts::default();
    let found = Collector::collect(thresholds, histories.iter(), &facts).grouped;
    let leak = found.iter().find(|it| it.name == "close-wait-leak").expect("a leak");
    assert!(leak.message.contains("(10 descriptors are used up);"), "{}", leak.message);
    assert_eq!(leak.value("limit_in_s"), Some(&Value::Seconds(Span::ZERO)));
}

#[test]
fn a_client_leaks_on_its_own_side() {
    let one = "
        0.00 > S  0:0(0)
        0.01 < S. 0:0(0) ack 1
        0.02 > .  1:1(0) ack 1
        0.03 < F. 1:1(0) ack 1
        0.04 > .  1:1(0) ack 2";
    let found = findings(&many(4, one, 100));
    let leak = found.iter().find(|it| it.name == "close-wait-leak").unwrap();
    assert_eq!(leak.role, Some(Role::Client));
    assert!(leak.message.starts_with("client 10.9.0.1 of 10.9.0.2:6800"), "{}", leak.message);
    assert!(leak.message.contains("that the server had closed first"), "{}", leak.message);
}

#[test]
fn a_leak_that_came_at_once_is_a_burst() {
    let found = findings(&many(4, STUCK, 400));
    let leak = found.iter().find(|it| it.name == "close-wait-leak").unwrap();
    assert_eq!(leak.value("trend"), Some(&Value::Text("burst".into())));
    assert_eq!(leak.value("limit_in_s"), None);
}

#[test]
fn a_flood_is_one_wherever_in_the_capture_it_is() {
    let syn = |at: f64, client: usize| {
        format!("{at:.3} {client}> S 0:0(0)\n{:.3} {client}< S. 0:0(0) ack 1\n", at + 0.001)
    };
    let flood: String = (0..30).map(|client| syn(1000.0 + client as f64 * 0.05, client)).collect();
    let alone = findings(&format!("{}{flood}{}9000 end", syn(1.0, 40), syn(8000.0, 41)));
    let flood = alone.iter().find(|it| it.name == "syn-flood").expect("found");
    assert!(flood.message.contains("up to 21 SYNs per second"), "{}", flood.message);
    assert_eq!(flood.duration, Some(Span::from_millis(1_450)));
}

#[test]
fn a_leak_to_which_nothing_comes_is_steady_and_runs_out_of_nothing() {
    let trend = |end: u32| {
        let found = findings(&many(40, STUCK, end));
        let leak = found.into_iter().find(|it| it.name == "close-wait-leak").expect("a leak");
        (leak.value("trend").cloned(), leak.value("limit_in_s").is_some(), leak.message)
    };
    let (name, runs_out, message) = trend(90);
    assert_eq!((name, runs_out), (Some("growing".into()), true), "{message}");
    let (name, runs_out, message) = trend(150);
    assert_eq!((name, runs_out), (Some("steady".into()), false), "{message}");
    assert!(message.contains("steady: they came within 39 s, none in the 111 s"), "{message}");
    assert_eq!(trend(300).0, Some("burst".into()));
}

#[test]
fn a_pool_that_holds_idled_out_connections_learns_the_servers_timeout() {
    let one = "
        0.00 > S  0:0(0)
        0.01 < S. 0:0(0) ack 1
        0.02 > P. 1:101(100) ack 1
        0.03 < P. 1:901(900) ack 101
        0.04 > .  101:101(0) ack 901
        75.04 < F. 901:901(0) ack 101
        75.05 > .  101:101(0) ack 902";
    let found = findings(&many(3, one, 200));
    let leak = found.iter().find(|it| it.name == "close-wait-leak").unwrap();
    assert!(leak.message.contains("nginx's keepalive_timeout (75 s)"), "{}", leak.message);
}

#[test]
fn the_threshold_decides_and_allow_switches_off() {
    let text = many(5, STUCK, 20);
    let mut thresholds = Thresholds::default();
    thresholds.set_close_wait(Span::from_secs(5));
    let found = summary(&text, thresholds.clone());
    assert_eq!(found.by_name.get("close-wait-leak"), Some(&1));
    assert_eq!(found.by_name.get("long-close-wait"), Some(&5));
    assert_eq!((found.findings.error, found.findings.warning), (1, 5));
    thresholds.allow("close-wait-leak").unwrap();
    assert_eq!(summary(&text, thresholds).findings.error, 0);
}

#[test]
fn a_repeated_fin_that_nobody_answers_blames_no_application() {
    check(
        "0.00 > S  0:0(0)
         0.01 < S. 0:0(0) ack 1
         0.02 > .  1:1(0) ack 1
         0.03 > F. 1:1(0) ack 1
         0.40 > F. 1:1(0) ack 1
         1.00 > F. 1:1(0) ack 1
         2.20 > F. 1:1(0) ack 1
         90.0 end
         ! fin-unanswered",
    );
}

#[test]
fn one_heard_direction_blames_nobody() {
    check(
        "0.0 > S  0:0(0)
         0.1 > .  1:1(0) ack 1
         0.2 > P. 1:101(100) ack 1
         0.3 > F. 101:101(0) ack 501
         0.6 > F. 101:101(0) ack 501
         1.2 > F. 101:101(0) ack 501
         200. end
         ! one-way-capture",
    );
}

#[test]
fn a_scan_with_fins_finds_no_sockets() {
    check(
        "0.0 > F  1:1(0)
         0.1 < R. 0:0(0) ack 2
         ! mid-stream-start",
    );
}

#[test]
fn a_syn_that_was_given_up_stays_unanswered() {
    let found = findings("0.0 > S 0:0(0)\n50.0 end");
    let names: Vec<_> = found.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["syn-unanswered"]);
    // By then it would have been repeated.
    assert_eq!(found[0].duration, Some(Span::from_secs(1)));
}

/// Closed by the client in three segments.
const CLOSED: &str = "
    0.00 > S  0:0(0)
    0.01 < S. 0:0(0) ack 1
    0.02 > .  1:1(0) ack 1
    0.03 > P. 1:101(100) ack 1
    0.04 < P. 1:101(100) ack 101
    0.05 > F. 101:101(0) ack 101
    0.06 < F. 101:101(0) ack 102
    0.07 > .  102:102(0) ack 102";

#[test]
fn a_crowd_of_time_waits_is_counted_and_nobody_is_blamed() {
    let found = findings(&many(100, CLOSED, 200));
    let census = found.iter().find(|it| it.name == "time-wait-census").unwrap();
    assert_eq!(census.severity, Severity::Note);
    assert_eq!((census.role, census.host.unwrap().port()), (Some(Role::Client), 0));
    // One a second, each for a minute.
    let Some(Value::Integer(peak)) = census.value("peak") else { panic!("{census:?}") };
    assert!((60..=64).contains(peak), "{peak}");
    assert_eq!(census.value("total"), Some(&Value::Integer(100)));
    assert!(!names(&findings(&many(10, CLOSED, 200))).contains("time-wait-census"));
}

#[test]
fn ports_that_run_out_are_told_before() {
    let text = many(50, CLOSED, 60);
    let found = |settings: &[&str]| {
        let mut thresholds = Thresholds::default();
        settings.iter().for_each(|setting| thresholds.set(setting).unwrap());
        let summary = summary(&text, thresholds);
        summary.grouped.into_iter().find(|it| it.name == "port-exhaustion")
    };
    assert_eq!(found(&[]), None);
    let full = found(&["port-exhaustion.ports=60"]).unwrap();
    assert_eq!(full.value("in_use"), Some(&Value::Integer(50)));
    assert_eq!(full.value("left_s"), None);
    let soon = ["port-exhaustion.ports=70", "port-exhaustion.connections_min=20"];
    let soon = found(&soon).unwrap();
    let Some(Value::Seconds(left)) = soon.value("left_s") else { panic!("{soon:?}") };
    assert!((15.0..25.0).contains(&left.as_secs_f64()), "{}", soon.message);
}

#[test]
fn a_proxy_that_holds_a_half_closed_connection_for_an_hour_is_named() {
    let found = findings(opened!(
        "1.0    > F. 1:1(0) ack 1
         1.1    < .  1:1(0) ack 2
         3601.1 < F. 1:1(0) ack 2
         3601.2 > .  2:2(0) ack 2"
    ));
    let stuck = found.iter().find(|it| it.name == "fin-wait-2-stuck").unwrap();
    assert!(stuck.message.contains("consistent with Envoy's tcp_proxy"), "{}", stuck.message);
}

#[test]
fn what_icmp_said_of_unanswered_segments_is_told() {
    use crate::decode::icmp::IcmpError;
    use crate::infer::fact::{Fact, FactKind};
    let mut history = connections("0.0 > S 0:0(0)\n1.0 > S 0:0(0)\n50.0 end").remove(0);
    let (kind, end) = (FactKind::Icmp(IcmpError::Unreachable), history.client);
    let (first, last) = (history.first, history.last);
    history.facts.push(Fact { kind, end, first, last, count: 1 });
    let found = crate::findings::check(&history, &Thresholds::default());
    let said = "to 2 SYNs, again after 1 s, in 3.06 s, and it gave up; \
                ICMP said host or network unreachable in frame 1";
    assert!(found[0].message.ends_with(said), "{}", found[0].message);
}

/// Clients that come and leave one by one, and a server that closes at these moments, or never.
fn closing_at(closes: &[&str]) -> Vec<Finding> {
    let lives = closes.iter().enumerate().map(|(at, close)| {
        format!(
            "{at}.000 {at}> S  0:0(0)
             {at}.010 {at}< S. 0:0(0) ack 1
             {at}.020 {at}> .  1:1(0) ack 1
             {at}.030 {at}> F. 1:1(0) ack 1
             {at}.040 {at}< .  1:1(0) ack 2\n"
        ) + &match *close {
            "" => String::new(),
            close => format!("{close} {at}< F. 1:1(0) ack 2\n{close}1 {at}> R 2:2(0)\n"),
        }
    });
    let mut lines: Vec<String> =
        lives.flat_map(|life| life.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let time = |line: &String| -> f64 { line.split_whitespace().next().unwrap().parse().unwrap() };
    lines.sort_by(|a, b| time(a).total_cmp(&time(b)));
    findings(&(lines.join("\n") + "\n300 end"))
}

#[test]
fn a_program_that_ends_lets_go_of_its_leak_at_once() {
    let found = closing_at(&["70.000", "70.010", "70.020"]);
    let leak = found.iter().find(|it| it.name == "close-wait-leak").expect("a leak that was");
    assert!(leak.message.contains("left in CLOSE_WAIT 3 of the 3 connections"), "{}", leak.message);
    assert!(leak.message.contains("its program ended or was restarted"), "{}", leak.message);
    assert_eq!((leak.severity, leak.ongoing), (Severity::Warning, Some(false)));
    // One that was closed before does not hide it; one that is still open does.
    let found = closing_at(&["130.00", "130.01", "75.0", "130.02"]);
    let leak = found.iter().find(|it| it.name == "close-wait-leak").expect("a leak that was");
    assert!(leak.message.contains("left in CLOSE_WAIT 4 of the 4 connections"), "{}", leak.message);
    assert!(leak.message.contains("and closed 3 of them within 20 ms"), "{}", leak.message);
    let found = closing_at(&["130.00", "130.01", "", "130.02"]);
    assert!(!names(&found).contains("close-wait-leak"), "{found:#?}");
    // One by one, as they came: somebody closes, and late.
    let found = closing_at(&["70.000", "71.000", "72.000"]);
    assert!(names(&found).contains("long-close-wait"));
    assert!(!names(&found).contains("close-wait-leak"));
}

#[test]
fn a_host_that_talks_to_itself_is_no_proxy() {
    let mut histories = connections(&many(5, STUCK, 200));
    for history in &mut histories {
        let own = history.addr(Role::Server).ip();
        history.tuple = history.tuple.with_addrs(|_| own);
    }
    let facts = CaptureFacts::default();
    let found = Collector::collect(Thresholds::default(), histories.iter(), &facts).grouped;
    let leak = found.iter().find(|it| it.name == "close-wait-leak").expect("a leak");
    assert!(!leak.message.contains("proxy"), "{}", leak.message);
}

#[test]
fn what_is_only_assumed_is_called_so() {
    let late = "0.0 > P. 1:101(100) ack 1
                0.1 < .  1:1(0) ack 101
                0.2 > F. 101:101(0) ack 1
                0.3 < .  1:1(0) ack 102
                90. end";
    let lost = "0.00 > S  0:0(0)
                0.01 < S. 0:0(0) ack 1
                0.02 > .  1:1(0) ack 1
                0.10 > P. 1:8(7) ack 1
                0.11 < .  1:1(0) ack 8
                0.12 > .  8:8(0) ack 2
                90.0 end";
    let why =
        ["the capture began when the connection was open", "what was captured leaves it open"];
    for (trace, why) in [late, lost].into_iter().zip(why) {
        let found = findings(trace);
        let long = found.iter().find(|it| it.name == "long-close-wait").unwrap();
        assert!(long.message.ends_with(&format!(" (assumed: {why})")), "{}", long.message);
    }
}

#[test]
fn the_order_of_the_connections_does_not_show() {
    let text = many(30, STUCK, 200) + &many(3, "0.5 > S 0:0(0)", 200);
    let histories = connections(&text);
    let (thresholds, facts) = (Thresholds::default(), CaptureFacts::default());
    let forth = Collector::collect(thresholds.clone(), histories.iter(), &facts);
    assert_eq!(forth, Collector::collect(thresholds, histories.iter().rev(), &facts));
}

/// The numbers of the connections that the only finding of that name counts.
fn counted(name: &str, text: &str) -> Vec<u64> {
    let histories = connections(text);
    let mut thresholds = Thresholds::default();
    Trace::parse(text).settings.iter().for_each(|it| thresholds.set(it).unwrap());
    let summary = summary(text, Thresholds::default());
    let rule = rule(name).unwrap();
    let counts = |history: &&History| {
        let found = summary.about(rule, history).filter(|it| rule.counts(history, it, &thresholds));
        found.count() == 1
    };
    histories.iter().filter(counts).map(|history| history.id).collect()
}

#[test]
fn what_is_about_many_connections_counts_some_in_its_own_trace() {
    for rule in ALL.iter().filter(|rule| matches!(rule.scope, Scope::Grouped(_))) {
        assert!(!counted(rule.name, rule.raises).is_empty(), "{}", rule.name);
    }
}

#[test]
fn only_those_count_that_did_what_is_found_of_many() {
    const IDLE: &str = "0.000 > S  0:0(0)
        0.010 < S. 0:0(0) ack 1
        0.020 > .  1:1(0) ack 1
        0.030 > P. 1:9(8) ack 1
        0.040 < .  1:1(0) ack 9
        5.040 < F. 1:1(0) ack 9
        5.050 > F. 9:9(0) ack 2
        5.060 < .  2:2(0) ack 10";
    const SOON: &str = "0.500 9> S  0:0(0)
        0.510 9< S. 0:0(0) ack 1
        0.520 9> .  1:1(0) ack 1
        0.530 9< F. 1:1(0) ack 1
        0.540 9> F. 1:1(0) ack 2
        0.550 9< .  2:2(0) ack 2\n";
    assert_eq!(counted("idle-timeout", &(SOON.to_owned() + &many(4, IDLE, 20))).len(), 4);
    const LEFT: &str = "0.000 > S  0:0(0)\n0.001 < S. 0:0(0) ack 1";
    assert_eq!(counted("syn-cookies", &(SOON.to_owned() + &many(4, LEFT, 20))).len(), 4);
    assert_eq!(counted("close-wait-leak", &(SOON.to_owned() + &many(4, STUCK, 200))).len(), 4);
}

#[test]
fn one_close_after_a_known_long_silence_is_enough() {
    let closes = |by: char, at: f64| {
        let text = format!(
            "0.03 > P. 1:101(100) ack 1
             0.04 < P. 1:901(900) ack 101
             0.05 > .  101:101(0) ack 901
             {at} {by} F. {}",
            if by == '<' { "901:901(0) ack 101" } else { "101:101(0) ack 901" }
        );
        let found = findings(&(opened!("").to_owned() + &text));
        found.into_iter().find(|it| it.name == "idle-timeout").map(|it| it.message)
    };
    let told = closes('<', 350.05).expect("a load balancer's");
    let words = "closed a connection after 5.83 min idle, consistent with the idle timeout of an";
    assert!(told.contains(words) && !told.contains(" of the "), "{told}");
    assert_eq!(closes('>', 350.05), None, "they are timeouts of servers");
    assert_eq!(closes('<', 5.05), None, "it may be chance");
    assert_eq!(closes('<', 200.05), None, "nobody's");
}

#[test]
fn a_fin_that_never_arrives_is_not_the_programs_fault() {
    let lost = |at: f64| {
        let times = [0.0, 0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4, 51.0].map(|it| at + it);
        let fins = times.map(|it| format!("{it:.1} < F. 1:1(0) ack 2\n")).concat();
        let text = format!("1.0 > F. 1:1(0) ack 1\n1.1 < . 1:1(0) ack 2\n{fins}400.0 end");
        findings(&(opened!("").to_owned() + &text))
    };
    let about = |found: &[Finding], name| found.iter().find(|it| it.name == name).cloned();
    let found = lost(20.0);
    assert_eq!(about(&found, "fin-wait-2-stuck"), None);
    let told = about(&found, "last-ack-stuck").expect("the peer's FIN is lost").message;
    assert!(told.contains("repeated its FIN 8 times in 51 s and got no ACK"), "{told}");
    let waits = about(&lost(120.0), "fin-wait-2-stuck").expect("its program did let it wait");
    assert_eq!((waits.duration, waits.ongoing), (Some(Span::from_millis(118_900)), Some(false)));
}

#[test]
fn keepalives_of_the_kernels_default_are_named() {
    let probe = |at: u32| format!("{at}.0 > . 0:0(0) ack 1\n{at}.1 < . 1:1(0) ack 1\n");
    let opened = opened!("0.5 > . 1:1(0) ack 1\n").to_owned();
    let found = findings(&(opened + &probe(7_200) + &probe(14_410) + &probe(21_620)));
    let keepalive = found.iter().find(|it| it.name == "keepalive").expect("a note");
    let words = "one every 2 h, consistent with Linux's tcp_keepalive_time";
    assert!(keepalive.message.contains(words), "{}", keepalive.message);
}

#[test]
fn evidence_serialises_plainly() {
    let values =
        [Value::Integer(3), Value::Number(1.5), Span::from_millis(1500).into(), "a".into()];
    assert_eq!(serde_json::to_string(&values).unwrap(), r#"[3,1.5,1.5,"a"]"#);
    let spans = Value::Spans(vec![Span::from_secs(1), Span::from_millis(2500)]);
    assert_eq!(serde_json::to_string(&spans).unwrap(), "[1.0,2.5]");
    assert_eq!(spans.to_string(), "1 s, 2.5 s");
}
