//! The inference held against a real kernel: every recording in `testdata/kernel`, seen from the
//! client, from the middle of the path and from the server, against the kernel's own transitions.
//!
//! `cargo test --test it kernel -- --nocapture` prints the score of each recording.

use std::collections::BTreeSet;
use std::path::Path;

use finwait::decode::tuple::End;

use crate::recording::{Fault, Recording, Score};

/// How a recording of the same scenario is named that exchanges its parts, or goes over IPv6.
const VARIANTS: [&str; 2] = ["-mirrored", "-ipv6"];

/// Recordings in which some moment of the truth cannot be told from segments, and why.
const UNKNOWABLE: &[(&str, &str)] = &[
    ("accept-queue-overflow", "ends right after an ACK that is either dropped again or taken"),
    ("both-fins-repeated", "a FIN that was lost before the observer shows when it is repeated"),
    ("client-gives-up", "connect() was abandoned without a segment"),
    ("close-behind-zero-window", "close() waits behind data that the window holds back"),
    ("deferred-accept", "the server keeps the ACK's news to itself until data comes"),
    ("demo", "an orphan's FIN_WAIT_2 is reaped in silence"),
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
    ("reset-at-window-edge", "a forged RST is believed when what it killed answers with RST"),
    ("second-fin-lost", "a lost FIN and a lost ACK look the same: the earlier moment is given"),
    ("simultaneous-open-one-syn-lost", "a SYN that was lost before the observer"),
    (
        "stale-syn-to-time-wait",
        "a copy of a SYN ends the old life when it passes, not when it arrives",
    ),
    ("syn-rcvd-held", "the kernel's last timeout comes some milliseconds later than computed"),
    ("syn-unanswered", "the kernel's last timeout comes some milliseconds later than computed"),
    ("syn-with-other-isn", "the server's SYN+ACK is lost before the observer at the client"),
    ("time-wait-assassination-refused", "a host with tcp_rfc1337 ignores the RST in silence"),
    ("time-wait-to-its-end", "the kernel's timer lets TIME_WAIT last 0.36 s longer than 60 s"),
];

const POINTS: [&str; 3] = ["client", "middle", "server"];

#[test]
fn histories_equal_the_kernels() {
    let root = match std::env::var_os("FINWAIT_RECORDINGS") {
        Some(root) => root.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel"),
    };
    let mut total = Score::default();
    let mut misses = Vec::new();
    for recording in Recording::all(&root) {
        for point in POINTS {
            let score = recording.score(point);
            println!("{:44} {point:6} {score}", recording.name);
            misses.extend(score.misses.iter().map(|m| format!("{} {point}: {m}", recording.name)));
            total.add(&score);
        }
    }
    println!("{:51} {total}", "total");
    for miss in &misses {
        println!("{miss}");
    }
    assert!(total.endpoints > 0, "no recordings");
    if std::env::var_os("FINWAIT_RECORDINGS").is_some() {
        return;
    }
    assert_eq!(total.confident_wrong, 0, "a state claimed for certain that never was");
    assert_eq!(total.confirmed, total.confirmed_right, "a confirmation that misses the truth");
    let plain = |name: &str| {
        let end = VARIANTS.iter().filter_map(|variant| name.find(variant)).min();
        name[..end.unwrap_or(name.len())].to_owned()
    };
    let missed: BTreeSet<String> =
        misses.iter().filter_map(|m| m.split(' ').next()).map(plain).collect();
    let unknowable: BTreeSet<String> =
        UNKNOWABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(missed, unknowable, "the recordings whose truth no capture shows");
}

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
    let recordings = Recording::all(&root);
    let mut wrong = Vec::new();
    for fault in faults {
        let mut total = Score::default();
        for recording in recordings.iter().filter(|recording| recording.has_single_lives()) {
            for point in POINTS {
                let score = recording.faulty_score(point, fault);
                let false_claims = score.misses.iter().filter(|miss| miss.contains("CONFIDENT"));
                let named = |miss: &String| format!("{fault:?} {} {point}: {miss}", recording.name);
                wrong.extend(false_claims.map(named));
                total.add(&score);
            }
        }
        println!("{:16} {total}", format!("{fault:?}"));
        // A capture can miss a packet without any trace of it, and the next then looks the first.
        let missed = f64::from(total.confirmed - total.confirmed_right);
        let share = missed / f64::from(total.confirmed.max(1));
        assert!(share < 0.003, "{fault:?}: {share} of the confirmations miss the truth");
    }
    assert!(wrong.is_empty(), "{} false claims: {wrong:#?}", wrong.len());
}
