//! Services with a fault each, or none, recorded in the kernel lab: the first line of the report
//! names the side that is to blame and what it did, and nothing else in it blames anybody.

use std::collections::BTreeSet;
use std::path::Path;

use finwait::findings::Severity;
use finwait::report::paper::Paper;
use finwait::report::table;
use finwait::run::{Analysis, Options, read};

/// A recording: its name, what the first line says, and every finding above a note.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

/// What a leak is made of.
const LEAK: &[&str] = &["close-wait-leak", "long-close-wait", "fin-wait-2-stuck"];
const FINE: &[&str] = &[];

/// Told from wherever the capture was taken.
const FROM_ANYWHERE: &[Case] = &[
    ("leaks", &["Server 10.9.0.2:6800 never closed 12 of the 14", "CLOSE_WAIT"], LEAK),
    (
        "leaks-on-errors",
        &["Server 10.9.0.2:8443 never closed", "10 of 64 to 128 s", "growing by 8.9 per minute"],
        LEAK,
    ),
    ("client-leaks", &["Client 10.9.0.1 of 10.9.0.2:80 never closed 8 of the 8"], LEAK),
    ("client-leaves-bodies", &["Client 10.9.0.1 of 10.9.0.2:8000", "a response body"], LEAK),
    ("proxy-front-leaks", &["Server 10.9.0.2:8080 never closed 6", "its front leg"], LEAK),
    ("proxy-back-leaks", &["Client 10.9.0.2 of 10.9.0.1:9000 never", "its back leg"], LEAK),
    (
        "idles-out-a-pool",
        &["Client 10.9.0.1 of 10.9.0.2:3000", "server closes after 5", "Node.js", "pool"],
        LEAK,
    ),
    ("never-accepts", &["Server 10.9.0.2:6379 never closed 6", "still calls accept()"], LEAK),
    ("shares-its-descriptors", &["Server 10.9.0.2:5000 never closed 5", "child process"], LEAK),
    (
        "closes-late",
        &["Server 10.9.0.2:8888", "closed only 65 s later", "the same on 5 more connections"],
        &["long-close-wait", "fin-wait-2-stuck"],
    ),
    ("closes-slowly", &["Nothing is wrong: 6 connections, 6 closed by the client first"], FINE),
    ("streams-into-half-close", &["Nothing is wrong: 4 connections"], FINE),
    ("is-checked", &["Nothing is wrong", "12 that only checked whether anybody listens"], FINE),
    (
        "is-killed",
        &["Server 10.9.0.2:6801 sent a RST", "died, with data unread", "the same on 5 more"],
        &["unread-data-reset"],
    ),
    (
        "accept-queue-full",
        &["Server 10.9.0.2:9200 repeated its SYN+ACK", "accept queue is full", "call accept()"],
        &["accept-queue-overflow", "half-open-handshake"],
    ),
    ("defers-accept", &["Nothing is wrong: 4 connections, 4 closed by the client first"], FINE),
    (
        "reboots",
        &["Server 10.9.0.2:2049 had forgotten its open connection", "its host restarted"],
        &["peer-rebooted"],
    ),
    (
        "leaves-uploads-unread",
        &["Server 10.9.0.2:8085 sent a RST", "with data unread", "the same on 3 more"],
        &["unread-data-reset"],
    ),
    ("aborts", &["Server 10.9.0.2:8086 closed", "RST instead of a FIN"], &["abortive-close"]),
    (
        "stops-reading",
        &["Server 10.9.0.2:9092 kept its window closed", "did not read"],
        &["zero-window-stall"],
    ),
    (
        "is-down",
        &["Server 10.9.0.2:11211 refused", "no program listens", "the same on 5 more"],
        &["connection-refused"],
    ),
    ("makes-time-waits", &["Nothing is wrong: 40 connections"], FINE),
    ("keeps-alive", &["Nothing is wrong: 3 connections"], FINE),
    (
        "keepalive-race",
        &["Server 10.9.0.2:8084 closed", "after 5.", "s idle", "a request crossed the FIN"],
        &["keepalive-race"],
    ),
    (
        "is-scanned",
        &["Client 10.9.0.1 tried 30 ports of 1 host", "1 was open", "a port scan"],
        &["port-scan", "connection-refused"],
    ),
];

/// Told from the middle of the path only: elsewhere the lost packets are not seen.
const FROM_THE_MIDDLE: &[Case] = &[
    (
        "behind-pulled-cable",
        &["Client 10.9.0.1", "server 10.9.0.2:5432 answered nothing", "the same on 2 more"],
        &["dead-peer"],
    ),
    (
        "behind-forgetful-nat",
        &[
            "after 65.2 s idle, repeated data to server 10.9.0.2:1883",
            "something on the path forgot",
            "NAT",
        ],
        &["silent-drop"],
    ),
    (
        "behind-rejecting-firewall",
        &[
            "after 65.2 s idle, sent a segment to server 10.9.0.2:1521",
            "its TTL differs",
            "the same on 2 more",
        ],
        &["silent-drop"],
    ),
    (
        "is-flooded",
        &["Server 10.9.0.2:8088 got", "60 of 60 attempts", "a SYN flood"],
        &["syn-flood", "half-open-handshake"],
    ),
    (
        "sends-cookies",
        &["Server 10.9.0.2:8090 got", "31 of 31 attempts", "a SYN flood"],
        &["syn-flood", "half-open-handshake"],
    ),
];

/// The same, from one of its ends.
const FROM_ONE_END: &[(&str, Case)] = &[
    ("client", ("behind-pulled-cable", &["server 10.9.0.2:5432 answered nothing"], &["dead-peer"])),
    ("server", ("behind-pulled-cable", &["Nothing is wrong", "3 not closed yet"], FINE)),
    ("client", ("behind-forgetful-nat", &["something on the path forgot"], &["silent-drop"])),
    ("server", ("behind-forgetful-nat", &["Nothing is wrong", "3 not closed yet"], FINE)),
    ("client", ("behind-rejecting-firewall", &["its TTL differs"], &["silent-drop"])),
    ("server", ("behind-rejecting-firewall", &["Nothing is wrong", "3 not closed yet"], FINE)),
    ("client", ("is-flooded", &["got no answer from server 10.9.0.2:8088"], &["syn-unanswered"])),
    (
        "server",
        (
            "is-flooded",
            &["60 of 60 attempts", "a SYN flood"],
            &["syn-flood", "half-open-handshake"],
        ),
    ),
    (
        "client",
        ("sends-cookies", &["got no answer from server 10.9.0.2:8090"], &["syn-unanswered"]),
    ),
    (
        "server",
        ("sends-cookies", &["31 of 31", "a SYN flood"], &["syn-flood", "half-open-handshake"]),
    ),
];

fn analysis(name: &str, point: &str) -> Analysis {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/services");
    let path = root.join(name).join(format!("{point}.pcap"));
    read(&[path], &Options::default(), &mut ()).expect("a capture")
}

/// What is wrong with the report on one capture.
fn judge(case: &Case, point: &str) -> Vec<String> {
    let (name, says, names) = *case;
    let analysis = analysis(name, point);
    let mut report = Vec::new();
    let paper = Paper { columns: 100, is_terminal: false };
    table::report(&analysis, &[], &paper, &mut report).expect("a report");
    let report = String::from_utf8(report).expect("text");
    let first = report.lines().next().unwrap_or_default();
    let missing = says.iter().filter(|says| !first.contains(**says));
    let mut wrong: Vec<String> =
        missing.map(|says| format!("{name} {point}: not `{says}` but {first}")).collect();
    let single = analysis.findings.worst.values().flatten();
    let blamed: BTreeSet<&str> = single
        .chain(&analysis.findings.grouped)
        .filter(|finding| finding.severity > Severity::Note)
        .map(|finding| finding.name)
        .collect();
    if blamed != names.iter().copied().collect() {
        wrong.push(format!("{name} {point}: found {blamed:?}, expected {names:?}"));
    }
    wrong
}

#[test]
fn the_first_line_names_who_is_to_blame_and_nothing_else_blames() {
    let anywhere = ["client", "middle", "server"]
        .into_iter()
        .flat_map(|point| FROM_ANYWHERE.iter().flat_map(move |case| judge(case, point)));
    let middle = FROM_THE_MIDDLE.iter().flat_map(|case| judge(case, "middle"));
    let ends = FROM_ONE_END.iter().flat_map(|(point, case)| judge(case, point));
    let wrong: Vec<String> = anywhere.chain(middle).chain(ends).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_keeps_no_handshakes_is_suspected_of_cookies_and_what_does_is_not() {
    for (name, is_suspected) in [("sends-cookies", true), ("is-flooded", false)] {
        let found = analysis(name, "server").findings.by_name;
        assert_eq!(found.contains_key("syn-cookies"), is_suspected, "{name}: {found:?}");
    }
}

#[test]
fn every_recorded_service_is_judged() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/services");
    let recorded: BTreeSet<String> = std::fs::read_dir(root)
        .expect("recordings")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let judged = FROM_ANYWHERE.iter().chain(FROM_THE_MIDDLE).map(|(name, ..)| (*name).to_owned());
    assert_eq!(recorded, judged.collect());
}
