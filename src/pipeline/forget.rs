//! Forgetting connections, so that a capture without an end takes memory only for what is open, and
//! one with too many connections for the room that there is keeps those that matter.
//!
//! Where there is no room for another connection, half of those that are known may go: first what
//! is over and was harmless and what never opened, as in a flood or a scan, then what is over and
//! worth a warning; of each the oldest first, so that of what is left as many had come to something
//! as before. What is open stays. Lives that others followed on their four-tuples have a bound of
//! their own.

use core::mem::take;

use crate::findings::{Severity, Sketcher};
use crate::flow::table::Places;
use crate::history::archive::{Archive, Foundry, Room, Shelf};
use crate::history::{Handshake, History};
use crate::pipeline::{Sink, Tracker};
use crate::time::{Span, Timestamp};

/// After such a silence nothing is likely to come to a connection that is over.
const QUIET: Span = Span::from_secs(10);

/// What a connection is worth, where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// It is over and nothing is wrong with it, or it never opened; quiet for a while.
    Quiet,
    /// The same, a moment ago.
    Harmless,
    /// It is over, and a warning or an error was found.
    Warned,
    /// It is open.
    Open,
}

impl Worth {
    /// What may go, in that order.
    const MAY_GO: [Worth; 3] = [Worth::Quiet, Worth::Harmless, Worth::Warned];
}

impl<S: Sink> Tracker<S> {
    /// How many connections are known.
    pub fn connections(&self) -> usize {
        self.shelf.reach() as usize
    }

    /// The records, and what everything is told to.
    pub(crate) fn shelf_and_sink(&mut self) -> (&Shelf, &mut S) {
        (&self.shelf, &mut self.sink)
    }

    /// Hands out the records, told as of `now`; until they are back, nothing may be taken.
    pub fn lend_archive(&mut self, now: Timestamp) -> Archive {
        self.shelf.close(now);
        Archive::of(take(&mut self.shelf))
    }

    /// Takes the records back.
    pub fn take_back(&mut self, archive: Archive) {
        self.shelf = archive.into_one();
    }

    /// Lets go of the connections that `is_over` chooses and of all that had their four-tuples
    /// before others; what is left keeps its numbers.
    pub fn forget(&mut self, is_over: impl Fn(&History) -> bool) {
        let (mut foundry, mut room) = (Foundry::default(), Room::default());
        let mut is_kept = |place: u32| {
            self.shelf.is_newest(place)
                && self
                    .shelf
                    .read(place, &mut foundry, &mut room)
                    .is_some_and(|history| !is_over(history))
        };
        let kept: Vec<bool> = (0..self.shelf.reach() as u32).map(&mut is_kept).collect();
        self.retain(&kept);
    }

    /// Whether there is room for another four-tuple at `now`, or can be made.
    pub(super) fn has_room(&mut self, now: Timestamp) -> bool {
        if self.places.len() < self.connections_max {
            return true;
        }
        if self.beyond_connections_max < self.seek_room_at {
            return false;
        }
        self.forget_least(now, |_, _| true);
        // Where little can go, that is looked for once in twice as many segments as there are
        // connections, which takes no longer than reading them.
        if self.places.len() > self.connections_max / 8 * 7 {
            let pause = 2 * self.connections_max as u64;
            self.seek_room_at = self.beyond_connections_max.saturating_add(pause);
        }
        self.places.len() < self.connections_max
    }

    /// Sees to it that lives which others followed are no more than there may be connections.
    pub(super) fn bound_lives(&mut self, now: Timestamp) {
        if self.connections() - self.places.len() > self.connections_max {
            self.forget_least(now, |shelf, place| !shelf.is_newest(place));
        }
    }

    /// Lets go of half of the connections that `may_go` chooses, those that matter least, as far
    /// as they do not matter.
    fn forget_least(&mut self, now: Timestamp, may_go: impl Fn(&Shelf, u32) -> bool) {
        self.shelf.close(now);
        let mut sketcher = Sketcher::new(&self.thresholds);
        let (mut foundry, mut room, mut due) = (Foundry::default(), Room::default(), 0);
        let worth = |place: u32| match may_go(&self.shelf, place) {
            true => {
                due += 1;
                let history = self.shelf.read(place, &mut foundry, &mut room);
                let is_newest = self.shelf.is_newest(place);
                history.map_or(Worth::Quiet, |it| worth(it, is_newest, &mut sketcher, now))
            }
            false => Worth::Open,
        };
        let worths: Vec<Worth> = (0..self.shelf.reach() as u32).map(worth).collect();
        due /= 2;
        let mut kept = vec![true; worths.len()];
        for worth in Worth::MAY_GO {
            let same = worths.iter().zip(&mut kept).filter(|(it, _)| **it == worth);
            for (_, is_kept) in same.take(due) {
                *is_kept = false;
                due -= 1;
                self.forgotten_for_room += 1;
            }
        }
        self.retain(&kept);
    }

    /// Lets go of the connections at the places that are not kept.
    fn retain(&mut self, kept: &[bool]) {
        self.shelf.retain(|place| kept.get(place as usize) == Some(&true));
        let newest = self.shelf.newest(&self.hasher);
        self.places = Places::of(self.shelf.reach() as usize, newest);
        if let Some(all) = &mut self.across_tunnels {
            let old = take(all);
            for place in (0..self.shelf.reach() as u32).filter(|it| self.shelf.is_newest(*it)) {
                let Some(tuple) = self.shelf.tuple(place) else { continue };
                let bare = tuple.in_tunnel(0);
                all.extend(old.get(&bare).map(|numbering| (bare, *numbering)));
            }
        }
    }
}

fn worth(history: &History, is_newest: bool, sketcher: &mut Sketcher<'_>, now: Timestamp) -> Worth {
    let harmless = if now.since(history.last.ts) >= QUIET { Worth::Quiet } else { Worth::Harmless };
    if !is_opened(history) {
        return harmless;
    }
    if is_newest && history.is_open() {
        return Worth::Open;
    }
    let mut found = Vec::new();
    sketcher.sketch(history, &mut found);
    let is_harmless = found.iter().all(|finding| finding.severity == Severity::Note);
    if is_harmless { harmless } else { Worth::Warned }
}

/// Whether its handshake came to anything.
fn is_opened(history: &History) -> bool {
    !matches!(history.handshake(), Handshake::Unanswered | Handshake::Refused | Handshake::HalfOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Merge;
    use crate::decode::Decoded;
    use crate::decode::segment::{Flags, Segment};
    use crate::decode::tuple::{FourTuple, widen_v4};
    use crate::history::Close;
    use crate::infer::Params;
    use crate::pipeline::{Pipeline, Totals};
    use crate::seq::SeqNum;

    /// The histories of a recording, without who had their four-tuples before, and how many were
    /// forgotten when so many segments had been taken, and once more when twice as many had.
    fn histories(name: &str, forget_at: usize) -> (Vec<History>, u64) {
        let path = format!("{}/testdata/{name}/server.pcap", env!("CARGO_MANIFEST_DIR"));
        let mut merge = Merge::open(&[path]).unwrap();
        let mut tracker = Tracker::new(Params::default(), 1_000, ());
        let mut intake = tracker.intake();
        let mut count = 0;
        while let Some(packet) = merge.next_packet().unwrap() {
            intake.packet(&packet, |keyed| {
                count += 1;
                tracker.batch(&[keyed]);
                if count == forget_at || count == 2 * forget_at {
                    let archive = tracker.lend_archive(keyed.ts());
                    tracker.take_back(archive);
                    tracker.forget(|history| !history.is_open());
                }
            });
        }
        let (_, archive, _) = tracker.close(intake);
        for history in archive.iter() {
            assert_eq!(archive.get(history.id).as_ref(), Some(&history), "found by its number");
        }
        let alone = |mut history: History| {
            history.predecessor = None;
            history
        };
        (archive.iter().map(alone).collect(), archive.forgotten())
    }

    #[test]
    fn what_is_kept_goes_on_as_if_nothing_had_been_forgotten() {
        let mut all_forgotten = 0;
        for name in ["services/leaks", "services/is-checked", "kernel/demo", "kernel/rough-path"] {
            let (whole, _) = histories(name, usize::MAX / 2);
            for forget_at in (1..200).step_by(7) {
                let (kept, forgotten) = histories(name, forget_at);
                all_forgotten += forgotten;
                assert_eq!(kept.len() as u64 + forgotten, whole.len() as u64, "{name}");
                for history in &kept {
                    assert!(whole.contains(history), "{name} at {forget_at}: {history:#?}");
                }
            }
        }
        assert!(all_forgotten > 100, "{all_forgotten}");
    }

    /// Segments of connections to one server, an hour of them.
    struct Traffic {
        pipeline: Pipeline<()>,
        millis: u64,
    }

    impl Traffic {
        fn new(connections_max: usize) -> Traffic {
            let pipeline = Pipeline::new(Params::default(), connections_max, ());
            Traffic { pipeline, millis: 0 }
        }

        /// What client `number` and the server say, ten milliseconds apart: who, flags, and the
        /// numbers after their first.
        fn passes(&mut self, number: u32, isn: u32, said: &[(bool, Flags, u32, u32)]) {
            let client = (widen_v4(number.to_be_bytes()), 40_000);
            for (by_client, flags, seq, ack) in said {
                self.millis += 10;
                let server = (widen_v4([10, 0, 0, 1]), 80);
                let (from, to) = if *by_client { (client, server) } else { (server, client) };
                let (tuple, sender) = FourTuple::new(4, from, to);
                let segment = Segment {
                    ts: Timestamp::default().after(Span::from_millis(self.millis)),
                    frame: self.millis,
                    seq: SeqNum(isn).add(*seq),
                    ack: SeqNum(isn).add(*ack),
                    flags: *flags,
                    window: 500,
                    ..Segment::default()
                };
                self.pipeline.decoded(&Decoded { tuple, sender, segment });
            }
        }

        fn histories(self) -> (Vec<History>, Totals) {
            let (_, archive, totals) = self.pipeline.close();
            (archive.iter().collect(), totals)
        }
    }

    const ACK: Flags = Flags::ACK;
    const OPENS: [(bool, Flags, u32, u32); 3] =
        [(true, Flags::SYN, 0, 0), (false, SYN_ACK, 0, 1), (true, ACK, 1, 1)];
    const SYN_ACK: Flags = Flags::from_bits(0x12);
    const FIN: Flags = Flags::from_bits(0x11);
    /// The client closes, and the server does too, or does not.
    const HALF_CLOSES: [(bool, Flags, u32, u32); 2] = [(true, FIN, 1, 1), (false, ACK, 1, 2)];
    const CLOSES: [(bool, Flags, u32, u32); 3] =
        [(true, FIN, 1, 1), (false, FIN, 1, 2), (true, ACK, 2, 2)];

    #[test]
    fn a_flood_pushes_out_no_leak() {
        let mut traffic = Traffic::new(400);
        for number in 0..20_000 {
            traffic.passes(number, 7, &OPENS[..1]);
            // Half of it is answered.
            if number % 2 == 0 {
                traffic.passes(number, 7, &OPENS[1..2]);
            }
            match number % 200 {
                0 => traffic.passes(1 << 24 | number, 7, &[&OPENS[..], &HALF_CLOSES].concat()),
                100 => traffic.passes(1 << 24 | number, 7, &[&OPENS[..], &CLOSES].concat()),
                _ => {}
            }
        }
        let (histories, totals) = traffic.histories();
        let count = |close| histories.iter().filter(|it| it.close() == close).count();
        assert_eq!(count(Some(Close::HalfClosed)), 100, "all that leak");
        let unopened = histories.iter().filter(|it| !is_opened(it)).count();
        assert!(unopened > 100, "and enough of the flood to see that there is one");
        assert!(histories.len() <= 400);
        assert_eq!((totals.connections, totals.beyond_connections_max), (20_200, 0));
        assert_eq!(totals.forgotten_for_room, 20_200 - histories.len() as u64);
        let ids: Vec<u64> = histories.iter().map(|history| history.id).collect();
        assert!(ids.is_sorted() && ids.last() == Some(&20_199), "numbers stay");
    }

    #[test]
    fn what_is_left_came_to_something_as_often_as_before() {
        let mut traffic = Traffic::new(200);
        for number in 0..10_000 {
            match number % 20 {
                0 => traffic.passes(number, 7, &OPENS[..1]),
                _ => traffic.passes(number, 7, &[&OPENS[..], &CLOSES].concat()),
            }
        }
        let (histories, _) = traffic.histories();
        let unopened = histories.iter().filter(|it| !is_opened(it)).count();
        assert!(unopened * 10 < histories.len(), "{unopened} of {}", histories.len());
    }

    #[test]
    fn where_all_are_open_whoever_comes_later_is_left_out_and_counted() {
        let mut traffic = Traffic::new(50);
        for number in 0..500 {
            traffic.passes(number, 7, &OPENS);
        }
        assert_eq!(traffic.pipeline.tracker.places.len(), 50);
        // Once they are closed, there is room again.
        for number in 0..500 {
            traffic.passes(number, 7, &CLOSES);
        }
        for number in 1_000..1_100 {
            traffic.passes(number, 7, &OPENS);
        }
        let (histories, totals) = traffic.histories();
        assert!(totals.beyond_connections_max >= 450 * 3, "{}", totals.beyond_connections_max);
        assert!(histories.iter().any(|history| history.is_open()), "of those that came last");
        assert!(histories.len() <= 50 && totals.forgotten_for_room >= 25);
    }

    #[test]
    fn a_four_tuple_used_again_and_again_takes_no_more_room() {
        let mut traffic = Traffic::new(100);
        for life in 0..5_000 {
            traffic.passes(1, 1 + life * 100_000, &[&OPENS[..], &CLOSES].concat());
        }
        let (histories, totals) = traffic.histories();
        assert!((50..=102).contains(&histories.len()), "{}", histories.len());
        assert_eq!(totals.connections, 5_000);
        assert_eq!(totals.forgotten_for_room + histories.len() as u64, 5_000);
        let last = histories.last().unwrap();
        assert_eq!(last.predecessor.map(|it| it.id), Some(4_998));
    }
}
