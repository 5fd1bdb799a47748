//! What finwait still gets wrong of a real kernel's connections, kept as recordings, and the page
//! that explains each by its frames.
//!
//! They come from crowds (`tests/lab/record.py --random`), cut out by `tests/lab/excerpt.py`. One
//! that is right at last fails here, and is to be moved to `testdata/kernel`.

use std::fmt::Write;
use std::path::Path;

use crate::frames::Frames;
use crate::recording::{Fault, Recording};
use crate::score::{POINTS, score};

/// Why some recordings are missed.
struct Kind {
    title: &'static str,
    why: &'static str,
    /// Folders of `testdata/misses`.
    recordings: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        title: "A socket is gone at the moment at which the ACK of its FIN comes",
        why: "\
The ACK of the FIN turns FIN_WAIT_1 into FIN_WAIT_2, and data right behind it, to which nobody listens
any more, ends that. The RST bears the number of the segment that it answers, and that number is from
before the FIN. A host in FIN_WAIT_1 would send the same, so the RST is taken to say that the ACK had
not come. The state that is left out lasted a tenth of a millisecond.",
        recordings: &[
            "reset-at-the-ack-of-fin",
            "reset-at-the-ack-of-fin-again",
            "reset-for-an-older-ack",
        ],
    },
    Kind {
        title: "The ACK in a segment that waits behind a hole",
        why: "\
A FIN arrives ahead of data that was lost. Linux takes the ACK that it bears at once, and is in
FIN_WAIT_2; RFC 9293 section 3.10.7.4 would have it wait with the segment. Nothing that the endpoint
sends tells the two apart before the hole is filled, and then both are in TIME_WAIT.",
        recordings: &["ack-in-a-fin-ahead-of-a-hole"],
    },
    Kind {
        title: "A RST that may have come before the data, or after it",
        why: "\
The sender's RSTs pass ahead of segments that it sent before them. A RST is believed where its number
is the next that the receiver waits for, and that number is what cannot be seen. Nor does
it show whether the receiver had closed for good: what is left of a closed socket in FIN_WAIT_2
believes any RST in its window, and a half-closed socket challenges it, where the challenge passes.",
        recordings: &[
            "reset-beside-a-lost-answer",
            "resets-ahead-of-a-fin",
            "resets-beside-a-fin",
            "reset-ahead-of-a-hole",
            "reset-ahead-in-a-half-close",
        ],
    },
    Kind {
        title: "Lost behind the observer, and the answer lost before it",
        why: "\
What passes is taken to arrive until its sender repeats it. Where the answer that would have told is
lost as well, or still on its way, the repeat leaves open which of the two copies brought what.",
        recordings: &[
            "fin-lost-before-the-observer",
            "fin-lost-behind-its-answer",
            "ack-of-fin-in-a-repeat",
            "repeated-fin-ahead-of-an-ack",
        ],
    },
    Kind {
        title: "What a better observer would know",
        why: "\
An ACK of a FIN that passes behind the last missing piece before the other FIN comes after that FIN.
Which piece was the last is told by the selective acknowledgements, of which finwait keeps one.",
        recordings: &["ack-between-the-pieces", "ack-behind-the-last-piece"],
    },
];

const HEAD: &str = "\
# Where it is not right

On the written scenarios, nothing is missed by the rules of [score.md](score.md). Crowds are
different: 300 connections at once, each end doing at random what programs do (send,
half-close, close, abort, sleep, die), over a path with one or more of delay, reordering, loss and
repeats. In eleven such crowds, recorded and judged by hand on 2026-11-28 with the commands below,
each endpoint counted once for each of the three points, rounded down,

| endpoints | finals | sequences | time | confirmed | confident wrong |
|---|---|---|---|---|---|
| 19264 | 99.98 % | 99.85 % | 99.99 % | 99.99 % | 0 |

```sh
for seed in 1 2 3 4 5 6 7 8 11 12 13; do
  tests/lab/record.py --random $seed --connections 300 --out /tmp/crowds
done
FINWAIT_RECORDINGS=/tmp/crowds cargo test --test it kernel::fresh -- --nocapture
```

A crowd never runs twice alike, so the figures move in their last digit, and more on a machine that
is too busy to keep the path's times. What was missed is listed below, each miss with its frames: `>`
is sent by the client, `<` by the server, in the order in which they passed the observer; behind `#`
are the times at which the segment was sent, passed and arrived, in seconds. `is` has the kernel's own
states, `said` those of finwait, with event and basis.
";

#[test]
fn each_miss_is_explained() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = Recording::all(&base.join("testdata/misses"));
    let explained: usize = KINDS.iter().map(|kind| kind.recordings.len()).sum();
    assert_eq!(explained, all.len(), "a recording without an explanation, or the reverse");
    let mut page = HEAD.to_owned();
    for kind in KINDS {
        let _ = write!(page, "\n## {}\n\n{}\n", kind.title, kind.why);
        for name in kind.recordings {
            let recording = all.iter().find(|it| it.name == *name).expect("the recording");
            page += &told(recording);
        }
    }
    let path = base.join("docs/misses.md");
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/misses.md is stale: FINWAIT_BLESS=1 writes it anew");
}

/// The misses of a recording at each point, and its frames at the first.
fn told(recording: &Recording) -> String {
    let mut text = format!("\n### {}\n\n", recording.name);
    let mut frames = None;
    for point in POINTS {
        let score = score(recording, point, Fault::None);
        assert_eq!(score.confident_wrong, 0, "{} {point}: {:#?}", recording.name, score.misses);
        for miss in &score.misses {
            let told = miss.text.split_once(' ').map_or("", |(_, rest)| rest);
            let told = told.split_once(' ').map_or("", |(_, rest)| rest);
            let _ = writeln!(text, "- seen at the {point}: {told}");
        }
        if frames.is_none() && !score.misses.is_empty() {
            let conn = recording.conns().next().expect("a connection");
            frames = Some((point, Frames::new(recording, point).of(conn)));
        }
    }
    let (point, frames) =
        frames.unwrap_or_else(|| panic!("{} is right: move it to testdata/kernel", recording.name));
    let _ = write!(text, "\nFrames at the {point}:\n\n```text\n{frames}```\n");
    text
}
