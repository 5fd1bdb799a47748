//! Where finwait and its peers differ: the page that lists it, made from the tables of the corpus
//! tests and from recordings at hand, which are asked again where tshark is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use finwait::capture::Merge;
use finwait::history::{ClosedFirst, Handshake, History, Role};
use finwait::infer::Params;
use finwait::infer::state::State;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;

use crate::corpus::{COMPLETENESS, STREAMS, ZEEK, table};

/// A recording of which Wireshark gives a wrong account.
struct Case {
    /// Below `testdata`.
    capture: &'static str,
    /// What happened, by the kernels' own account.
    truth: &'static str,
    /// The question to tshark, behind `tshark -2 -r CAPTURE`.
    ask: &'static [&'static str],
    /// Its answer: the lines, with spaces between.
    answer: &'static str,
    /// What it means.
    meaning: &'static str,
    /// What finwait says.
    ours: &'static str,
    /// That it does.
    holds: fn(&[History]) -> bool,
}

const COMPLETE: &[&str] = &["-T", "fields", "-e", "tcp.completeness", "-Y", "frame.number==8"];
const FIRST_CLOSERS: &[&str] =
    &["-T", "fields", "-e", "tcp.srcport", "-Y", "tcp.connection.fin_active"];
const STREAM: &[&str] = &["-T", "fields", "-e", "tcp.stream", "-Y", "tcp.flags.syn==1"];
const RETRANSMITTED: &[&str] =
    &["-T", "fields", "-e", "frame.number", "-Y", "tcp.analysis.retransmission"];

const CASES: &[Case] = &[
    Case {
        capture: "kernel/fin-wait-2-held/middle.pcap",
        truth: "the server never closes: it stays in CLOSE_WAIT, and leaks",
        ask: COMPLETE,
        answer: "31",
        meaning: "`Complete, WITH_DATA`, the same as a clean close: one FIN is enough for it",
        ours: "`half-closed`, FIN_WAIT_2 and CLOSE_WAIT",
        holds: |all| final_states(all) == [State::FinWait2, State::CloseWait],
    },
    Case {
        capture: "observer/capture-misses-first-fin/middle.pcap",
        truth: "the client closes first; the capture misses its FIN, but holds the ACK of it",
        ask: FIRST_CLOSERS,
        answer: "7000",
        meaning: "the server's FIN `initiates the connection closing`",
        ours: "the client closed first, known from the ACK that covers its FIN",
        holds: |all| all[0].closed_first() == Some(ClosedFirst::Client),
    },
    Case {
        capture: "kernel/simultaneous-close/middle.pcap",
        truth: "both close at once, and the FINs cross",
        ask: FIRST_CLOSERS,
        answer: "CLIENT",
        meaning: "one FIN initiates, and the other `undergoes` the closing",
        ours: "`simultaneous`: both closed first",
        holds: |all| all[0].closed_first() == Some(ClosedFirst::Both),
    },
    Case {
        capture: "kernel/reset-outside-window/middle.pcap",
        truth: "a forged RST outside the window is ignored, and the connection goes on",
        ask: &["-T", "fields", "-e", "tcp.completeness", "-Y", "frame.number==9"],
        answer: "47",
        meaning: "`Complete, WITH_DATA`: any RST completes",
        ours: "ESTABLISHED on both sides, and `ignored-reset`",
        holds: |all| final_states(all) == [State::Established; 2],
    },
    Case {
        capture: "kernel/syn-in-window/middle.pcap",
        truth: "a forged SYN is challenged, and the connection goes on",
        ask: STREAM,
        answer: "0 0 1",
        meaning: "the living connection is split into two streams",
        ours: "one connection, ESTABLISHED on both sides",
        holds: |all| all.len() == 1 && final_states(all) == [State::Established; 2],
    },
    Case {
        capture: "kernel/split-handshake-ack-first/middle.pcap",
        truth: "the server answers the SYN with an ACK, and then with a SYN of its own",
        ask: STREAM,
        answer: "0 1 1",
        meaning: "one handshake is two streams",
        ours: "one connection, opened from both sides",
        holds: |all| all.len() == 1 && all[0].handshake() == Handshake::Simultaneous,
    },
    Case {
        capture: "observer/capture-exchanges-opening/middle.pcap",
        truth: "a normal connection; the capture has the SYN+ACK before the SYN",
        ask: COMPLETE,
        answer: "30",
        meaning: "`Incomplete`: it ignores a SYN that is not the first packet",
        ours: "handshake `complete`",
        holds: |all| all[0].handshake() == Handshake::Complete,
    },
    Case {
        capture: "observer/capture-twice/middle.pcap",
        truth: "a normal connection; the capture holds every packet twice",
        ask: RETRANSMITTED,
        answer: "2 4 8 10 14 18",
        meaning: "retransmissions, where nothing was sent again",
        ours: "no retransmission; copies of packets are counted as such",
        holds: |all| Role::BOTH.iter().all(|role| all[0].side(*role).tally.retransmitted == 0),
    },
];

fn final_states(all: &[History]) -> [State; 2] {
    Role::BOTH.map(|role| all[0].last_state(role))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn histories(path: PathBuf) -> Vec<History> {
    let mut source = Merge::open(&[path]).expect("a capture");
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    while let Some(packet) = source.next_packet().expect("whole") {
        pipeline.packet(&packet);
    }
    pipeline.finish().0
}

#[test]
fn finwait_says_what_the_page_says() {
    for case in CASES {
        let histories = histories(root().join("testdata").join(case.capture));
        assert!((case.holds)(&histories), "{}: {histories:#?}", case.capture);
    }
}

#[test]
fn tshark_says_what_the_page_says() {
    for case in CASES {
        let path = root().join("testdata").join(case.capture);
        let mut command = Command::new("tshark");
        command.args(["-2", "-n", "-r"]).arg(&path).args(case.ask);
        let Ok(said) = command.output() else { return };
        let said = String::from_utf8_lossy(&said.stdout);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let client = histories(path)[0].addr(Role::Client).port();
        let answer = case.answer.replace("CLIENT", &client.to_string());
        assert_eq!(said, answer, "{}", case.capture);
    }
}

#[test]
fn every_difference_says_who_is_right() {
    for row in [table(COMPLETENESS), table(ZEEK)].concat() {
        assert_eq!(row.len(), 6, "{row:?}");
        assert!(["finwait", "tshark", "Zeek", "neither"].contains(&row[4]), "{row:?}");
        assert!(row[5].contains("frame"), "no frame is named: {row:?}");
    }
    assert!(table(STREAMS).iter().all(|row| row.len() == 2 && row[1].contains("frame")));
}

/// Captures by what makes them differ, in order of how many there are.
fn stream_reasons() -> Vec<(String, Vec<&'static str>)> {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in table(STREAMS) {
        // A tunnel is told with the headers that it consists of.
        let reason = row[1].split(": eth").next().unwrap_or(row[1]);
        reasons.entry(reason.to_owned()).or_default().push(row[0]);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, captures)| std::cmp::Reverse(captures.len()));
    reasons
}

fn page() -> String {
    let mut page = PAGE.to_owned();
    for case in CASES {
        let ask: Vec<_> = case
            .ask
            .iter()
            .map(|word| if word.contains("==") { format!("'{word}'") } else { (*word).to_owned() })
            .collect();
        page += &format!(
            "- **{}** ({}).\n  tshark: {}: {}. finwait: {}.\n\n  ```sh\n  \
             tshark -2 -n -r testdata/{} {}\n  finwait list testdata/{}\n  ```\n\n",
            case.truth,
            case.capture,
            case.answer,
            case.meaning,
            case.ours,
            case.capture,
            ask.join(" "),
            case.capture
        );
    }
    page += STREAMS_PART;
    for (reason, captures) in stream_reasons() {
        page += &format!("- {reason}: {}.\n", captures.join(", "));
    }
    for (part, rows) in [(COMPLETENESS_PART, COMPLETENESS), (ZEEK_PART, ZEEK)] {
        page += part;
        let header = rows.lines().next().unwrap_or_default().split('\t').collect::<Vec<_>>();
        page += &format!("| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
        for row in table(rows) {
            page += &format!("| {} |\n", row.join(" | "));
        }
    }
    page
}

#[test]
fn the_page_of_peers_is_up_to_date() {
    let path = root().join("docs/peers.md");
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, page()).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page(), "docs/peers.md is stale: FINWAIT_BLESS=1 writes it anew");
}

const PAGE: &str = "\
# finwait and its peers

finwait gives each connection Wireshark's `tcp.stream` and Zeek's `conn_state`, and what it decodes
and keeps implies Wireshark's `tcp.completeness`. The first and the last are compared with what
tshark 4.0.17 says about 763 captures from the test suites of Zeek, Suricata, Wireshark's users and
others, and the second with what Zeek says about 94 of them. Those captures are not part of the
repository; if `FINWAIT_CORPUS` names their directory, this compares them, and fails for any
difference that is not listed here:

```sh
cargo test --test it corpus -- --nocapture
```

This page is made from the tables of that test by `FINWAIT_BLESS=1 cargo test --test it peers`.

## Where Wireshark is wrong: see for yourself

Each of these was recorded by the lab, together with the kernels' own account.

";

const STREAMS_PART: &str = "\
## tcp.stream

In these captures, the streams differ from tshark's.

";

const COMPLETENESS_PART: &str = "
## tcp.completeness

In a stream of a single packet, tshark counts a SYN and nothing else; that rule is applied to ours.
Captures whose streams differ are left out. What remains:

";

const ZEEK_PART: &str = "
## conn_state

Zeek has more than one line for some streams, because its timers split the connection or because
several of its published results are for the same capture; if those differ, the stream is left out.
What remains:

";
