//! The same packet in two files that overlap.
//!
//! A packet stands in two files if both have it with the same time, to the nanosecond, and the same
//! bytes. A file that has it twice itself means it twice; another file that overlaps with it has it
//! twice too. Only packets whose time occurs in several files are looked at, so that files which do
//! not overlap cost nothing.

use core::hash::BuildHasher;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Packet;
use crate::limits::REPEATS_MAX;
use crate::time::Timestamp;

/// The packets of one moment, over several files.
#[derive(Default)]
pub(super) struct Repeats {
    moment: Timestamp,
    hasher: RandomState,
    /// How often each file had each packet.
    counts: HashMap<(u64, usize), u32, RandomState>,
    /// The greatest of these for each packet: how often it was handed out.
    handed_out: HashMap<u64, u32, RandomState>,
    /// Packets that another file had too.
    pub(super) found: u64,
    /// Packets that found no room here.
    pub(super) beyond: u64,
}

impl Repeats {
    /// Whether another file has handed out the packet already. `next` is the time of the packet
    /// that will come next from any other file.
    #[inline]
    pub(super) fn is_repeat(
        &mut self,
        source: usize,
        packet: &Packet<'_>,
        next: Option<Timestamp>,
    ) -> bool {
        let alone = next != Some(packet.ts);
        if alone && (self.handed_out.is_empty() || self.moment != packet.ts) {
            return false;
        }
        self.look_up(source, packet)
    }

    #[cold]
    fn look_up(&mut self, source: usize, packet: &Packet<'_>) -> bool {
        if self.moment != packet.ts {
            self.moment = packet.ts;
            self.counts.clear();
            self.handed_out.clear();
        }
        let hash = self.hasher.hash_one((packet.link, packet.orig_len, packet.raw));
        if self.counts.len() >= REPEATS_MAX && !self.counts.contains_key(&(hash, source)) {
            self.beyond += 1;
            return false;
        }
        let count = self.counts.entry((hash, source)).or_default();
        *count = count.saturating_add(1);
        let handed_out = self.handed_out.entry(hash).or_default();
        let is_repeat = *count <= *handed_out;
        *handed_out = (*handed_out).max(*count);
        self.found += u64::from(is_repeat);
        is_repeat
    }
}
