//! A SYN to which nothing came, sent once or again and again: a flood is millions of them, and all
//! are alike but for moments, a number and the two ends.

use super::transcript::{Reader, plain_syn};
use super::{Brief, FOUND, Phase};
use crate::infer::endpoint::{Gaps, Repeats};
use crate::infer::silence::syn_given_up;
use crate::infer::tally::Tally;
use crate::infer::trail::Moment;
use crate::seq::SeqNum;
use crate::time::Timestamp;

/// What two lone SYNs share if they make the same history otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    marks: u8,
    options: (u8, [u8; 2]),
    is_repeated: bool,
    has_given_up: bool,
}

/// A SYN to which nothing came.
#[derive(Clone, Copy, Debug)]
pub struct LoneSyn {
    /// What it shares with others.
    pub kind: Kind,
    /// When it passed first.
    pub at: Moment,
    /// Its number.
    pub seq: SeqNum,
    /// What came of it since, if it was sent again.
    pub again: Option<Again>,
    /// When its sender gave up, if it has.
    pub gave_up: Option<Timestamp>,
}

/// How a SYN was sent again.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    /// When it passed last.
    pub last: Moment,
    /// How often it passed.
    pub count: u32,
    /// What waits for an answer.
    pub repeats: Repeats,
    /// The times between one and the next.
    pub gaps: Gaps,
}

impl Brief {
    /// The connection as a SYN to which nothing came up to `end`, if it is one and nothing about it
    /// is special.
    #[inline]
    pub fn lone_syn(&self, end: Timestamp) -> Option<LoneSyn> {
        if self.phase != Phase::Opening || self.is(FOUND) {
            return None;
        }
        let (options, seq, lines) = plain_syn(self.written())?;
        let at = Moment { ts: self.clock().first, frame: self.frame() };
        let again = match lines.is_at_end() {
            true => None,
            false => Some(self.again(lines, at)?),
        };
        let gave_up = match &again {
            None => syn_given_up(at.ts, &Repeats::default(), end),
            Some(again) => syn_given_up(at.ts, &again.repeats, end),
        };
        // In which unit it counts time does not matter.
        let marks = self.marks & !super::IN_MICROS;
        let (is_repeated, has_given_up) = (again.is_some(), gave_up.is_some());
        let kind = Kind { marks, options, is_repeated, has_given_up };
        Some(LoneSyn { kind, at, seq, again, gave_up })
    }

    /// What stands behind a SYN, if it is that SYN again and again.
    #[inline(never)]
    fn again(&self, mut lines: Reader<'_>, first: Moment) -> Option<Again> {
        let (clock, mut before) = (self.clock(), (0, 0));
        let (repeats, gaps) = (Repeats::default(), Gaps::default());
        let mut again = Again { last: first, count: 1, repeats, gaps };
        while !lines.is_at_end() {
            before = lines.syn_again(before)?;
            let at = Moment { ts: clock.time(before.0), frame: first.frame + u64::from(before.1) };
            let gap = at.ts.since(again.last.ts);
            // Whoever goes on had not given up.
            if syn_given_up(first.ts, &again.repeats, at.ts).is_some() {
                return None;
            }
            again.gaps.push(gap);
            again.repeats.add(first.ts, at.ts);
            (again.last, again.count) = (at, again.count + 1);
        }
        Some(again)
    }
}

impl Again {
    /// What its sender sent, counted.
    pub fn tally(&self) -> Tally {
        Tally {
            segments: self.count.into(),
            syns: self.count,
            retransmitted: u64::from(self.count) - 1,
            ..Tally::default()
        }
    }
}
