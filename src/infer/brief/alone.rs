//! A SYN to which nothing came: a flood is millions of them, and all are alike but for a moment, a
//! number and the two ends.

use super::transcript::lone_syn;
use super::{Brief, LONE, Phase};
use crate::infer::silence::SYN_KEPT;
use crate::infer::trail::Moment;
use crate::seq::SeqNum;
use crate::time::Timestamp;

/// What two lone SYNs share if they make the same history otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    marks: u8,
    options: (u8, [u8; 2]),
    has_given_up: bool,
}

/// A SYN to which nothing came.
#[derive(Clone, Copy, Debug)]
pub struct LoneSyn {
    /// What it shares with others.
    pub kind: Kind,
    /// When it passed.
    pub at: Moment,
    /// Its number.
    pub seq: SeqNum,
}

impl Brief {
    /// The connection as a SYN to which nothing came up to `end`, if it is one and nothing about it
    /// is special.
    #[inline]
    pub fn lone_syn(&self, end: Timestamp) -> Option<LoneSyn> {
        if !self.is(LONE) || self.phase != Phase::Opening {
            return None;
        }
        let (options, seq) = lone_syn(self.written())?;
        let at = Moment { ts: self.clock().first, frame: self.frame() };
        let has_given_up = end.since(at.ts) > SYN_KEPT;
        // In which unit it counts time does not matter without a second segment.
        let kind = Kind { marks: self.marks & !super::IN_MICROS, options, has_given_up };
        Some(LoneSyn { kind, at, seq })
    }
}
