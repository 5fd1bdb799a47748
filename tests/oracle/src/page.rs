//! The score as a page for the docs: the table, the rules of what can be known, and where finwait
//! misses.

use std::collections::BTreeSet;

use crate::cases::all;
use crate::score::{Score, score};
use crate::show::show;
use crate::strategy::Kind;

/// Where the rules stand.
const FACTS: &str = include_str!("facts.rs");

/// The page, with the score of each kind.
pub fn page(totals: &[(Kind, Score)]) -> String {
    let mut page = HEAD.to_owned();
    for (kind, total) in totals {
        let [finals, sequences, time, confirmed] = total.shares();
        page += &format!(
            "| {} | {} | {finals:.2} % | {sequences:.2} % | {time:.2} % | {confirmed:.2} % | {} \
             | {:.2} % |\n",
            kind.name(),
            total.connections,
            total.confident_wrong,
            total.open_share(),
        );
    }
    page += "\n## What can be known\n\n";
    let rules = FACTS.lines().map_while(|line| line.strip_prefix("//!")).skip(2);
    for line in rules {
        page += line.strip_prefix(' ').unwrap_or(line);
        page.push('\n');
    }
    page + LONGER + &misses()
}

/// What takes minutes is not run by the test.
const LONGER: &str = "
## A longer run

20 seeds with 20,000 connections of each kind, run by hand on 2026-11-28; the worst seed of each
column, the last is of all together:

```sh
for seed in $(seq 20); do
  FINWAIT_ORACLE_SEED=$seed FINWAIT_ORACLE_COUNT=20000 \\
    cargo test --release --package finwait-oracle --test random -- --nocapture
done
```

| connections | | finals | sequences | time | confirmed | confident wrong |
|---|---|---|---|---|---|---|
| unimpaired | 400000 | 100.00 % | 100.00 % | 100.00 % | 100.00 % | 0 |
| impaired | 399581 | 99.96 % | 99.72 % | 99.96 % | 99.98 % | 0 |
| abusive | 398627 | 99.76 % | 99.19 % | 99.85 % | 99.92 % | 0 |
";

/// The named cases that finwait still gets wrong.
fn misses() -> String {
    let mut text = MISSES.to_owned();
    for case in all().iter().filter(|case| !case.known.is_empty()) {
        let (score, run, testimony) = score(&case.scenario);
        let told: BTreeSet<_> = score.misses.iter().map(|miss| miss.kind.as_str()).collect();
        let told: Vec<_> = told.into_iter().collect();
        text += &format!(
            "### {}\n\n{}. Missed: {}.\n\n```text\n{}```\n",
            case.name,
            capitalized(case.why),
            told.join("; "),
            show(&run, &testimony)
        );
    }
    text
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

const HEAD: &str = "\
# How right it is about a second stack

Two smoltcp sockets talk over a simulated link, each by a random script, and say at every step which
state they are in. What finwait says of the packets that pass one place of the link is held against
that. The table is made by

```sh
FINWAIT_BLESS=1 cargo test --package finwait-oracle
```

and a test keeps it true. The network delivers everything to the unimpaired connections; from the
impaired ones it loses, delays, doubles and reorders packets and breaks down for seconds; the
abusive ones get worse of the same, with breakdowns that last, packets that nothing tells apart and
captures that end early: more than a network does that is only bad, and held to the same goals. The
columns are those of [the kernel's score](score.md), but that a confident claim is wrong here only if
its endpoint can never have been in that state; *open* is the share of time in which nobody who sees
the packets can know the state, by the rules below.

| connections | | finals | sequences | time | confirmed | confident wrong | open |
|---|---|---|---|---|---|---|---|
";

const MISSES: &str = "
## Where it misses

The run prints every kind of miss with its count, and cuts one down to what matters on demand. Those
that stand for more than a few connections follow, cut down: `>` comes from A, `<` from B, in the
order in which they passed; behind `#` when, and when they arrived, in seconds. `is` has the sockets'
own states, `said` those of finwait, with event and basis.

";
