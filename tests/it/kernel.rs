//! The inference held against a real kernel: every recording in `testdata/kernel`, seen from the
//! client, from the middle of the path and from the server, against the kernel's own transitions.
//!
//! `cargo test --test it kernel -- --nocapture` prints the score of each recording.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use finwait::decode::tuple::End;

use crate::frames::Frames;
use crate::recording::{Fault, Recording};
use crate::score::{Miss, POINTS, Score, Trial, false_testimonies, score};

/// A class of recordings, by what the path does to their packets.
fn class(recording: &Recording) -> &'static str {
    match (recording.impairment.as_str(), recording.name.starts_with("random")) {
        ("none", _) => "path in order",
        (_, true) => "random",
        _ => "path impaired",
    }
}

/// The scores of recordings.
#[derive(Default)]
struct Scores {
    /// How many there are of each class, and the sum of their scores.
    classes: BTreeMap<&'static str, (usize, Score)>,
    /// Of each recording, the sum over the points.
    recordings: Vec<(String, Score)>,
    misses: Vec<String>,
}

/// Scores every recording at every point, and prints each.
fn score_all(root: &Path) -> Scores {
    let Scores { mut classes, mut recordings, mut misses } = Scores::default();
    for recording in Recording::all(root) {
        let (count, total) = classes.entry(class(&recording)).or_default();
        *count += 1;
        let mut own = Score::default();
        for point in POINTS {
            let score = score(&recording, point, Fault::None);
            println!("{:44} {point:6} {score}", recording.name);
            let name = |miss: &Miss| format!("{} {point}: {}", recording.name, miss.text);
            misses.extend(score.misses.iter().map(name));
            print_frames(&recording, point, &score.misses);
            total.add(&score);
            own.add(&score);
        }
        recordings.push((recording.name, own));
    }
    misses.iter().for_each(|miss| println!("{miss}"));
    Scores { classes, recordings, misses }
}

/// Prints each connection of which something was missed, frame by frame.
fn print_frames(recording: &Recording, point: &str, misses: &[Miss]) {
    let numbers: BTreeSet<u64> = misses.iter().map(|miss| miss.conn).collect();
    let mut frames = None;
    for conn in recording.conns().filter(|conn| numbers.contains(&conn.number)) {
        let frames = frames.get_or_insert_with(|| Frames::new(recording, point));
        for miss in misses.iter().filter(|miss| miss.conn == conn.number) {
            println!("{} {point}: {}", recording.name, miss.text);
        }
        println!("{}", frames.of(conn));
    }
}

#[test]
fn histories_equal_the_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let Scores { classes, recordings, misses } = score_all(&root);
    // What is missed of crowds is told in docs/misses.md.
    let amiss: Vec<_> = misses.iter().filter(|miss| !miss.starts_with("random-")).collect();
    assert!(amiss.is_empty(), "{amiss:#?}");
    for (class, (_, score)) in &classes {
        let wanted = match *class {
            "path in order" => [100.0, 100.0, 99.9, 100.0],
            _ => IMPAIRED,
        };
        assert!(is_good_enough(score, wanted), "{class}: {score}");
    }
    let page = page(&classes, &recordings);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/score.md");
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/score.md is stale: FINWAIT_BLESS=1 writes it anew");
}

/// What is asked of recordings over a bad path: finals, sequences, time, confirmations, in percent.
const IMPAIRED: [f64; 4] = [99.5, 99.0, 99.5, 99.9];

fn is_good_enough(score: &Score, wanted: [f64; 4]) -> bool {
    let shares = score.shares();
    score.confident_wrong == 0 && shares.iter().zip(wanted).all(|(share, least)| *share >= least)
}

/// Recordings that are not committed: those that a run of the lab has just made.
#[test]
fn fresh_recordings_score_as_well() {
    let Some(root) = std::env::var_os("FINWAIT_RECORDINGS") else { return };
    let Scores { classes, .. } = score_all(Path::new(&root));
    assert!(!classes.is_empty(), "no recordings in {root:?}");
    for (class, (_, score)) in &classes {
        println!("{class:14} {score}");
        // A fresh path is as busy as its machine, and of a few endpoints two are a large share.
        let two = 200.0 / f64::from(score.endpoints.max(1));
        assert!(is_good_enough(score, IMPAIRED.map(|least| least - two)), "{class}: {score}");
    }
}

/// A judge who forgives what cannot be known must still convict: each transition left out of the
/// testimony, and each given a false state, is a miss.
#[test]
fn the_judge_convicts_false_testimony() {
    trials().iter().filter(|it| it.acquitted).for_each(|it| println!("{}", it.name));
    // A timer's moment, an abandoned connect() and the like can be told either way.
    for (replaced, most) in [(false, 0.035), (true, 0.01)] {
        let (tried, acquitted) = acquittals(replaced);
        let share = acquitted as f64 / tried as f64;
        assert!(tried > 5_000 && share < most, "{acquitted} of {tried}, replaced: {replaced}");
    }
}

/// False testimonies of one kind: how many were tried, and how many the judge let pass.
fn acquittals(replaced: bool) -> (usize, usize) {
    let tried = trials().iter().filter(|it| it.replaced == replaced);
    (tried.clone().count(), tried.filter(|it| it.acquitted).count())
}

/// The false testimonies of all recordings, from all points.
fn trials() -> &'static [Trial] {
    static TRIALS: OnceLock<Vec<Trial>> = OnceLock::new();
    TRIALS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
        let mut trials = Vec::new();
        for recording in Recording::all(&root) {
            for point in POINTS {
                let named = |trial: Trial| {
                    let name = format!("{} {point}: {}", recording.name, trial.name);
                    Trial { name, ..trial }
                };
                trials.extend(false_testimonies(&recording, point).into_iter().map(named));
            }
        }
        trials
    })
}

/// The score as a page: a table, and the rules by which it is made.
fn page(
    classes: &BTreeMap<&'static str, (usize, Score)>,
    recordings: &[(String, Score)],
) -> String {
    let mut page = PAGE.to_owned();
    for (class, (count, score)) in classes {
        page += &row(&format!("{class} | {count}"), score);
    }
    let told = |replaced| {
        let (tried, acquitted) = acquittals(replaced);
        format!("{acquitted} of {tried} ({:.2} %)", acquitted as f64 * 100.0 / tried as f64)
    };
    page += &RULES.replace("LEFT_OUT", &told(false)).replace("REPLACED", &told(true));
    page += BY_RECORDING;
    page.extend(recordings.iter().map(|(name, score)| row(&format!("`{name}`"), score)));
    page
}

fn row(name: &str, score: &Score) -> String {
    let [finals, sequences, time, confirmed] = score.shares();
    let strict = score.strict();
    let both = |right: f64, strict: f64| format!("{right:.2} % ({strict:.2} %)");
    format!(
        "| {name} | {} | {} | {} | {} | {confirmed:.2} % | {} |\n",
        score.endpoints,
        both(finals, strict[0]),
        both(sequences, strict[1]),
        both(time, strict[2]),
        score.confident_wrong,
    )
}

const BY_RECORDING: &str = "
## By recording

Sums over the three points; [testdata](../testdata/README.md) says what each is of.

| recording | endpoints | finals | sequences | time | confirmed | confident wrong |
|---|---|---|---|---|---|---|
";

const PAGE: &str = "\
# How right it is

Every recording of `testdata/kernel` (a real Linux kernel, with its own account of its state
changes) is read three times: as captured at the client, in the middle of the path, and at the
server. What finwait says is compared with what the kernel says. The table is made by

```sh
FINWAIT_BLESS=1 cargo test --test it kernel
```

and a test keeps it up to date. The columns, over all endpoints of all connections:

- **finals**: the state that the endpoint is in when the recording ends.
- **sequences**: the whole sequence of its states, in order.
- **time**: the share of its life in which the state given is the state it was in, allowing the time
  that a segment takes between the observer and the endpoint.
- **confirmed**: confirmed transitions whose true moment lies between `ts` and `confirmed_ts`.
- **confident wrong**: states given as observed, or as inferred and confirmed, that never were; for
  an end whose kernel had no socket, any state.

The first number forgives what no observer can know, by the rules below; the one in brackets forgives
only the time that a segment takes on its way.

| recordings | | endpoints | finals | sequences | time | confirmed | confident wrong |
|---|---|---|---|---|---|---|---|
";

const RULES: &str = "
## What no observer can know

An observer can tell two histories of an endpoint apart only by the segments that pass. So beside
the true history there may be others, its twins, that would have let the same segments pass, and a
twin's state is as good an answer as the true one. The lab captures at both ends as well, so it is
known which segments passed and which arrived, and the twins are computed by the same rules for every
recording. A twin begins where

1. **an act shows late**: a close() whose FIN waits behind unsent data or was lost before the
   observer, a timer, an application that died. The twin acts when the first segment that shows it
   passes, or never.
2. **a segment is lost behind the observer**, is still on its way, or is overtaken there by another.
   The twin got it, and in the order in which the segments passed.
3. **an answer is lost before the observer**. The twin never got what it answers.
4. **a host chooses silently**: whether a request accepts the ACK that completes it after it has
   ignored one (a full accept queue, TCP_DEFER_ACCEPT), and whether TIME_WAIT heeds a RST
   (tcp_rfc1337).

A twin moves along the engine's own table, and ends when the endpoint next sends a segment that
passes. Two things hold by definition: a SYN that begins another life on a four-tuple ends the old
one when it passes, and a timer ends anywhere within the eighth of its length by which the kernel's
timer wheel may be late.

Four smaller things belong to these rules. An endpoint from which nothing passed is not counted, and
before anything from one passes, UNKNOWN is as good an answer. A stay may be left out if it belongs
to a twin as well, except for the time that a segment takes, or for its half if it is shorter. Data
behind a FIN that has passed counts as if it filled a hole before that FIN.

Confirmed transitions and confident claims are forgiven none of this. A confirmation is allowed
2 ms, for clocks that differ; a confident claim is allowed that, and the longest time that a segment
of the recording took from one end to the other, because the observer stands on that way.

A judge who forgives must still convict. A test leaves out each transition of each history in turn,
and then replaces it by the state for which it is easily mistaken. If left out, LEFT_OUT
go unnoticed; if replaced, REPLACED.
Those are what could be either: a silent timer's moment, a connect() given up, a state that
lasts no longer than its segment's way.

[misses.md](misses.md) has what is missed on hundreds of connections at once over a bad path, each
with its frames.
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
                let false_claims =
                    score.misses.iter().filter(|miss| miss.text.contains("CONFIDENT"));
                let named =
                    |miss: &Miss| format!("{fault:?} {} {point}: {}", recording.name, miss.text);
                wrong.extend(false_claims.map(named));
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
