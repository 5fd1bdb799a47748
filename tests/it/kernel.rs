//! The inference held against a real kernel: every recording in `testdata/kernel`, seen from the
//! client, from the middle of the path and from the server, against the kernel's own transitions.
//!
//! `cargo test --test it kernel -- --nocapture` prints the score of each recording.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use finwait::decode::tuple::End;

use crate::recording::{Fault, Recording};
use crate::score::{Score, score};

/// How a recording of the same scenario is named that exchanges its parts, or goes over IPv6.
const VARIANTS: [&str; 2] = ["-mirrored", "-ipv6"];

/// Recordings in which some moment is missed, and what lies behind it.
const MISSED: &[(&str, &str)] = &[
    ("accept-queue-overflow", "ends right after an ACK that is either dropped again or taken"),
    ("both-fins-repeated", "a FIN that was lost before the observer shows when it is repeated"),
    ("client-gives-up", "connect() was abandoned without a segment"),
    ("close-behind-zero-window", "close() waits behind data that the window holds back"),
    ("closing-behind-zero-window", "close() waits behind data that the window holds back"),
    ("deferred-accept", "the server keeps the ACK's news to itself until data comes"),
    ("demo", "the kernel's timer lets TIME_WAIT last up to two seconds longer than 60 s"),
    ("duplicated-fin", "the RST that would end TIME_WAIT is lost behind the observer"),
    ("fin-ahead-of-hole", "the data before the FIN is lost behind the observer"),
    ("fin-lost", "a FIN that was lost before the observer shows when it is repeated"),
    (
        "handshake-completed-by-data",
        "the ACK is lost behind the observer, and data mends it in silence",
    ),
    ("last-ack-stuck", "every ACK is lost before the observer at the server"),
    (
        "many-half-open",
        "the SYN+ACK is lost behind the observer, and the end comes before a repeat",
    ),
    (
        "port-reuse-after-time-wait",
        "the kernel's timer lets TIME_WAIT last over a second longer than 60 s",
    ),
    (
        "port-reuse-after-time-wait-without-timestamps",
        "the kernel's timer lets TIME_WAIT last over a second longer than 60 s",
    ),
    ("random-10", "close() waits behind unsent data, and a RST comes before any FIN"),
    ("reset-at-window-edge", "a forged RST is believed when what it killed answers with RST"),
    ("second-fin-lost", "a lost FIN and a lost ACK look the same: the earlier moment is given"),
    ("simultaneous-open-one-syn-lost", "a SYN that was lost before the observer"),
    (
        "stale-syn-to-time-wait",
        "a copy of a SYN ends the old life when it passes, not when it arrives",
    ),
    ("syn-rcvd-held", "the kernel's last timeout comes some 70 ms later than computed"),
    ("syn-unanswered", "the kernel's last timeout comes some milliseconds later than computed"),
    ("syn-with-other-isn", "the server's SYN+ACK is lost before the observer at the client"),
    ("time-wait-assassination-refused", "a host with tcp_rfc1337 ignores the RST in silence"),
    (
        "time-wait-to-its-end",
        "the kernel's timer lets TIME_WAIT last over a second longer than 60 s",
    ),
];

const POINTS: [&str; 3] = ["client", "middle", "server"];

/// A class of recordings, by what the path does to their packets.
fn class(recording: &Recording) -> &'static str {
    match (recording.impairment.as_str(), recording.name.starts_with("random")) {
        (_, true) => "random",
        ("none", _) => "path in order",
        _ => "path impaired",
    }
}

/// Scores every recording at every point; prints each, and returns the classes with their misses.
fn score_all(root: &Path) -> (BTreeMap<&'static str, (usize, Score)>, Vec<String>) {
    let mut classes: BTreeMap<_, (usize, Score)> = BTreeMap::new();
    let mut misses = Vec::new();
    for recording in Recording::all(root) {
        let (count, total) = classes.entry(class(&recording)).or_default();
        *count += 1;
        for point in POINTS {
            let score = score(&recording, point, Fault::None);
            println!("{:44} {point:6} {score}", recording.name);
            misses.extend(score.misses.iter().map(|m| format!("{} {point}: {m}", recording.name)));
            total.add(&score);
        }
    }
    misses.iter().for_each(|miss| println!("{miss}"));
    (classes, misses)
}

#[test]
fn histories_equal_the_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let (classes, misses) = score_all(&root);
    let plain = |name: &str| {
        let end = VARIANTS.iter().filter_map(|variant| name.find(variant)).min();
        name[..end.unwrap_or(name.len())].to_owned()
    };
    let missed: BTreeSet<String> =
        misses.iter().filter_map(|m| m.split(' ').next()).map(plain).collect();
    let named: BTreeSet<String> = MISSED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(missed, named, "the recordings with misses");
    for (_, score) in classes.values() {
        assert_eq!(score.confident_wrong, 0, "a state claimed for certain that never was");
        assert_eq!(score.confirmed, score.confirmed_right, "a confirmation misses the truth");
    }
    let page = page(&classes);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/score.md");
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/score.md is stale: FINWAIT_BLESS=1 writes it anew");
}

/// Recordings that are not committed: those that a run of the lab has just made.
#[test]
fn fresh_recordings_score_as_well() {
    let Some(root) = std::env::var_os("FINWAIT_RECORDINGS") else { return };
    let (classes, _) = score_all(Path::new(&root));
    assert!(!classes.is_empty(), "no recordings in {root:?}");
    for (class, (_, score)) in &classes {
        println!("{class:14} {score}");
        let [finals, sequences, time, confirmed] = score.shares();
        // A close that waits behind unsent data shows nowhere, and a few random ones do.
        let enough = finals >= 99.5 && sequences >= 97.0 && time >= 99.5 && confirmed >= 99.9;
        assert!(enough && score.confident_wrong == 0, "{class}: {score}");
    }
}

/// The score as a page: a table, the rules by which it is made, and where it misses.
fn page(classes: &BTreeMap<&'static str, (usize, Score)>) -> String {
    let mut page = PAGE.to_owned();
    for (class, (count, score)) in classes {
        let [finals, sequences, time, confirmed] = score.shares();
        let wrong = score.confident_wrong;
        page += &format!(
            "| {class} | {count} | {} | {finals:.2} % | {sequences:.2} % | {time:.2} % \
             | {confirmed:.2} % | {wrong} |\n",
            score.endpoints
        );
    }
    page += "\n## Where it misses\n\nIn these scenarios, and nowhere else:\n\n";
    for (name, why) in MISSED {
        page += &format!("- `{name}`: {why}.\n");
    }
    page
}

const PAGE: &str = "\
# How right it is

Every recording of `testdata/kernel` (a real Linux kernel, with its own account of its state
changes) is read three times: as captured at the client, in the middle of the path, and at the
server. What finwait says is held against what the kernel says. The table is made by

```sh
FINWAIT_BLESS=1 cargo test --test it kernel
```

and a test keeps it true. The columns, over all endpoints of all connections:

- **finals**: the state that the endpoint is in when the recording ends.
- **sequences**: the whole sequence of its states, in order.
- **time**: the share of its life in which the state given is the state it was in, allowing the time
  that a segment takes between the observer and the endpoint.
- **confirmed**: confirmed transitions whose true moment lies between `ts` and `confirmed_ts`.
- **confident wrong**: states given as observed, or as inferred and confirmed, that never were.

One rule keeps the score honest about what cannot be known: a transition that no captured segment of
the connection accompanies, such as an orphan that the kernel reaps or an application that gives up,
is not held against the witness until the endpoint's next transition that a segment does accompany.

| recordings | | endpoints | finals | sequences | time | confirmed | confident wrong |
|---|---|---|---|---|---|---|---|
";

/// Recordings of data after a FIN: where a capture misses that FIN, the data says that there was
/// none, and nobody can know better.
const BROKEN: &str = "data-after-fin";

/// Whatever is wrong with a capture, it makes finwait say less, and never something false.
#[test]
fn faulty_captures_prove_nothing_false() {
    let faults = [
        Fault::Late(1),
        Fault::Late(2),
        Fault::Late(3),
        Fault::Late(6),
        Fault::Late(9),
        Fault::Early(1),
        Fault::Early(3),
        Fault::Lossy(3),
        Fault::Lossy(5),
        Fault::Lossy(7),
        Fault::OneWay(End::A),
        Fault::OneWay(End::B),
        Fault::Twice,
        Fault::Cut,
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let mut recordings = Recording::all(&root);
    recordings.retain(|recording| !recording.name.starts_with(BROKEN));
    let mut wrong = Vec::new();
    for fault in faults {
        let mut total = Score::default();
        for recording in recordings.iter().filter(|recording| recording.has_single_lives()) {
            for point in POINTS {
                let score = score(recording, point, fault);
                let false_claims = score.misses.iter().filter(|miss| miss.contains("CONFIDENT"));
                let named = |miss: &String| format!("{fault:?} {} {point}: {miss}", recording.name);
                wrong.extend(false_claims.map(named));
                for miss in &score.misses {
                    println!("MISS {fault:?} {} {point}: {miss}", recording.name);
                }
                total.add(&score);
            }
        }
        println!("{:16} {total}", format!("{fault:?}"));
        // A capture can miss a packet without any trace of it, and the next then looks the first.
        let missed = f64::from(total.confirmed - total.confirmed_right);
        let share = missed / f64::from(total.confirmed.max(1));
        assert!(share < 0.006, "{fault:?}: {share} of the confirmations miss the truth");
    }
    assert!(wrong.is_empty(), "{} false claims: {wrong:#?}", wrong.len());
}
