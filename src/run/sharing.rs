//! From the capture to the archive, where it can be read at any place: each thread goes through all
//! of it, and follows its share of the four-tuples. Nothing goes from one to another but how much
//! each has of that for which there is a bound.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::capture::{Ending, Merge, Source};
use crate::decode::lot::LOTS;
use crate::flow::share::Share;
use crate::flow::table::TUPLES_MAX;
use crate::limits::{BATCH_SEGMENTS, SEEN_TUPLES_MAX};
use crate::pipeline::{Load, Sink, Tracker, close_together};
use crate::run::reading::{Batch, Filler, PROGRESS_BATCHES, Read};
use crate::run::{Options, Watcher};
use crate::time::Timestamp;

/// Whoever looks at no segments.
struct Nobody;

impl Sink for Nobody {}

/// One thread's part of the work.
struct Part {
    merge: Merge,
    filler: Filler,
    tracker: Tracker<Nobody>,
}

/// Reads the capture to its end in several threads; `None`, with nothing read, if one thread must
/// follow it all: it cannot be read so, or changes meanwhile, or something in it reaches a bound
/// that holds for all four-tuples, or depends on which of two segments in one packet comes first,
/// or it says something of its packets, which is for their connections.
pub(super) fn read<W: Watcher>(
    merge: &mut Merge,
    options: &Options,
    watcher: &mut W,
) -> Option<Read> {
    let threads = options.threads.min(LOTS.into());
    if threads <= 1 {
        return None;
    }
    let mut parts = Vec::new();
    for index in 0..threads {
        let tracker = options.tracker(Nobody).among_others();
        let intake = tracker.intake().for_share(Share::of(index, threads));
        let merge = merge.beside(index == 0)?;
        parts.push(Part { merge, filler: Filler::new(intake, false), tracker });
    }
    let connections_max = options.connections_max.min(TUPLES_MAX);
    let bounds = Bounds { connections_max, ..Bounds::default() };
    let size = merge.size();
    thread::scope(|scope| {
        let mut parts = parts.iter_mut();
        let own = parts.next();
        for part in parts {
            let read = || part.read(&bounds, |_| {});
            if thread::Builder::new().spawn_scoped(scope, read).is_err() {
                bounds.is_reached.store(true, Ordering::Relaxed);
            }
        }
        if let Some(own) = own {
            own.read(&bounds, |position| watcher.progress(position, size));
        }
    });
    if bounds.is_reached.into_inner() {
        return None;
    }
    let (read, own) = together(parts, options)?;
    *merge = own;
    Some(read)
}

/// What all parts have read, and the capture as one of them left it; `None` if they did not meet
/// the same, because it changed meanwhile.
fn together(parts: Vec<Part>, options: &Options) -> Option<(Read, Merge)> {
    let is_same = |two: &[Part]| matches!(two, [one, other] if one.met() == other.met());
    if !parts.windows(2).all(is_same) {
        return None;
    }
    let (mut read, mut first) = (Vec::new(), None);
    for Part { merge, mut filler, tracker } in parts {
        filler.last_until(options);
        read.push((tracker, filler.intake));
        first.get_or_insert((merge, filler.errors));
    }
    let (archive, totals) = close_together(read);
    let (merge, errors) = first?;
    Some((Read { archive, totals, errors }, merge))
}

impl Part {
    /// What each met of the capture, if it was the same all the time.
    fn met(&self) -> (u64, Option<Timestamp>, u64, Option<&Ending>, usize) {
        let totals = self.filler.intake.totals();
        let ending = self.merge.sources().first().and_then(Source::ending);
        let (position, errors) = (self.merge.position(), self.filler.errors.len());
        (totals.packets, totals.last_ts, position, ending, errors)
    }

    /// Reads to the end, or until it is known that one thread must follow it all.
    fn read(&mut self, bounds: &Bounds, mut progress: impl FnMut(u64)) {
        let Part { merge, filler, tracker } = self;
        let (mut batch, mut batches, mut told) =
            (Batch::new(BATCH_SEGMENTS), 0_u64, Load::default());
        while !bounds.is_reached.load(Ordering::Relaxed) && filler.fill(merge, &mut batch) {
            tracker.batch(&batch.segments);
            let must_be_one = filler.intake.has_met_several() || merge.is_telling();
            bounds.take(tracker.load(), &mut told, must_be_one);
            batches += 1;
            if batches.is_multiple_of(PROGRESS_BATCHES) {
                progress(batch.position);
            }
        }
        progress(merge.position());
    }
}

/// What all threads hold together of that for which there is a bound.
#[derive(Default)]
struct Bounds {
    connections_max: usize,
    tuples: AtomicUsize,
    lives: AtomicUsize,
    only_seen: AtomicUsize,
    is_reached: AtomicBool,
}

impl Bounds {
    /// A thread holds so much now, and has told of so much; or it has met what one thread must
    /// follow.
    fn take(&self, load: Load, told: &mut Load, must_be_one: bool) {
        let reaches = |all: &AtomicUsize, now: usize, before: usize, most: usize| {
            // Nothing of it ever becomes less, so it does not matter how far each thread has come.
            let more = now - before;
            all.fetch_add(more, Ordering::Relaxed) + more > most
        };
        let is_reached = [
            reaches(&self.tuples, load.tuples, told.tuples, self.connections_max),
            reaches(&self.lives, load.lives, told.lives, self.connections_max),
            reaches(&self.only_seen, load.only_seen, told.only_seen, SEEN_TUPLES_MAX),
            must_be_one,
        ];
        *told = load;
        if is_reached.contains(&true) {
            self.is_reached.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Merge {
        let root = env!("CARGO_MANIFEST_DIR");
        Merge::open(&[format!("{root}/testdata/kernel/demo/server.pcap")]).unwrap()
    }

    fn options(connections_max: usize) -> Options {
        Options { threads: 3, connections_max, ..Options::default() }
    }

    #[test]
    fn a_file_is_read_in_shares_unless_a_bound_for_all_is_reached() {
        let mut merge = recording();
        let read = super::read(&mut merge, &options(1_000), &mut ()).unwrap();
        assert!(read.archive.len() > 3 && merge.sources()[0].ending().is_some());
        let mut merge = recording();
        assert!(super::read(&mut merge, &options(3), &mut ()).is_none());
        assert!(merge.next_packet().unwrap().is_some_and(|packet| packet.frame == 1));
    }

    #[test]
    fn threads_that_met_a_file_of_another_length_are_not_put_together() {
        let bytes = std::fs::read(recording().sources()[0].info().file.as_ref()).unwrap();
        let part = |length: usize, index: usize| {
            let bytes = std::io::Cursor::new(bytes[..length].to_vec());
            let source = Source::from_reader("a file", Box::new(bytes)).unwrap();
            let tracker = options(1_000).tracker(Nobody).among_others();
            let intake = tracker.intake().for_share(Share::of(index, 2));
            let merge = Merge::new(vec![source]);
            let mut part = Part { merge, filler: Filler::new(intake, false), tracker };
            let bounds = Bounds { connections_max: 1_000, ..Bounds::default() };
            part.read(&bounds, |_| {});
            part
        };
        let of_lengths = |one, other| together(vec![part(one, 0), part(other, 1)], &options(1_000));
        assert!(of_lengths(bytes.len(), bytes.len()).is_some());
        for shorter in [1, 100, 2_000] {
            assert!(of_lengths(bytes.len(), bytes.len() - shorter).is_none());
        }
    }

    #[test]
    fn what_cannot_be_read_at_any_place_is_not() {
        let bytes = std::fs::read(recording().sources()[0].info().file.as_ref()).unwrap();
        let piped = Source::from_reader("a pipe", Box::new(std::io::Cursor::new(bytes))).unwrap();
        assert!(super::read(&mut Merge::new(vec![piped]), &options(1_000), &mut ()).is_none());
        let mut begun = recording();
        begun.next_packet().unwrap();
        assert!(super::read(&mut begun, &options(1_000), &mut ()).is_none());
    }
}
