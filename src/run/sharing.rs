//! From the capture to the archive, where it can be read twice: one thread makes segments of
//! packets, and all follow them. Each share of the four-tuples has a tracker of its own, with which
//! one thread is busy at a time; so whoever has time finds something to do, whether it is reading
//! that takes long or following. In the end what the trackers know is numbered as if one had
//! followed all.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use crate::capture::Merge;
use crate::decode::lot::LOTS;
use crate::flow::table::TUPLES_MAX;
use crate::limits::{
    BATCH_SEGMENTS, HANDED_SEGMENTS, ROOMS_IN_TURN, SEEN_TUPLES_MAX, WAITING_BATCHES,
};
use crate::pipeline::{Keyed, Load, Tracker, close_together};
use crate::run::reading::{Batch, Filler, PROGRESS_BATCHES, Read};
use crate::run::{Options, Watcher};

/// Reads the capture to its end in several threads; `None`, with nothing read, if one thread must
/// follow it all: it cannot be read twice, or something in it reaches a bound that holds for all
/// four-tuples, or depends on which of two segments in one packet comes first, or it says something
/// of its packets, which is for their connections.
pub(super) fn read<W: Watcher>(
    merge: &mut Merge,
    options: &Options,
    watcher: &mut W,
) -> Option<Read> {
    let threads = options.threads.min(LOTS.into());
    if threads <= 1 {
        return None;
    }
    let mut own = merge.again()?;
    let first = options.tracker(()).among_others();
    let mut filler = Filler::new(first.intake(), false);
    let shares = Shares::of(threads, first, options);
    thread::scope(|scope| {
        for thread in 1..threads {
            let (shares, first) = (&shares, thread * shares.all.len() / threads);
            // What a thread that cannot be had would have done, others do.
            let _ = thread::Builder::new().spawn_scoped(scope, move || {
                let _leaving = Leaving(shares);
                shares.follow(first);
            });
        }
        shares.feed(&mut own, &mut filler, watcher);
    });
    if shares.bounds.is_reached.load(Ordering::Relaxed) {
        return None;
    }
    filler.last_until(&own, options);
    let (archive, totals) = close_together(shares.into_trackers(), filler.intake);
    *merge = own;
    Some(Read { archive, totals, errors: filler.errors })
}

/// All four-tuples, shared out.
struct Shares {
    all: Vec<Mutex<Share>>,
    waiting: Mutex<Waiting>,
    /// Something waits, or nothing more will.
    came: Condvar,
    /// Something does not wait any more.
    went: Condvar,
    bounds: Bounds,
}

/// Some of the four-tuples.
struct Share {
    tracker: Tracker<()>,
    /// How much of what has a bound is counted of it.
    told: Load,
}

/// A thread that comes to its end. Where that is the one that reads, or one that panicked, nothing
/// more will come, and nobody must wait for it.
struct Leaving<'a>(&'a Shares);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.bounds.is_reached.store(true, Ordering::Relaxed);
        }
        self.0.lock().is_over = true;
        self.0.came.notify_all();
        self.0.went.notify_all();
    }
}

/// Segments that wait for somebody to follow them.
#[derive(Default)]
struct Waiting {
    /// Of each share, in their order.
    batches: Vec<VecDeque<Vec<Keyed>>>,
    count: usize,
    /// Room for more, that which has lain idle for longest in front.
    empty: VecDeque<Vec<Keyed>>,
    /// Threads that found nothing to do.
    idle: usize,
    /// Too much waits, and whoever reads cannot help.
    is_stuck: bool,
    is_over: bool,
}

/// Room for one batch.
fn room() -> Vec<Keyed> {
    Vec::with_capacity(BATCH_SEGMENTS)
}

impl Shares {
    /// For so many threads; all of them take segments that were made for the first.
    fn of(threads: usize, first: Tracker<()>, options: &Options) -> Shares {
        // One more, so that whoever is free finds one that nobody is busy with.
        let count = (threads + 1).min(LOTS.into());
        let others = (1..count).map(|_| options.tracker(()).among_others().hashing_as(&first));
        let mut trackers: Vec<_> = others.collect();
        trackers.insert(0, first);
        let share = |tracker| Mutex::new(Share { tracker, told: Load::default() });
        let batches = (0..count).map(|_| VecDeque::new()).collect();
        let empty = (0..ROOMS_IN_TURN).map(|_| room()).collect();
        let connections_max = options.connections_max.min(TUPLES_MAX);
        Shares {
            all: trackers.into_iter().map(share).collect(),
            waiting: Mutex::new(Waiting { batches, empty, ..Waiting::default() }),
            came: Condvar::new(),
            went: Condvar::new(),
            bounds: Bounds { connections_max, ..Bounds::default() },
        }
    }

    fn into_trackers(self) -> Vec<Tracker<()>> {
        let shares = self.all.into_iter().map(Mutex::into_inner);
        shares.map(|share| share.unwrap_or_else(PoisonError::into_inner).tracker).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads to the end, or until it is known that one thread must follow it all; and helps to
    /// follow where much waits.
    fn feed<W: Watcher>(&self, merge: &mut Merge, filler: &mut Filler, watcher: &mut W) {
        let leaving = Leaving(self);
        let (mut batch, mut batches, size) = (Batch::new(HANDED_SEGMENTS), 0_u64, merge.size());
        let mut before = Growth::default();
        let mut filled: Vec<Vec<Keyed>> = self.all.iter().map(|_| Vec::new()).collect();
        let mut is_left = true;
        while is_left && !self.bounds.is_reached.load(Ordering::Relaxed) {
            is_left = filler.fill(merge, &mut batch, |_, keyed| {
                let share = usize::from(keyed.lot()) * filled.len() / usize::from(LOTS);
                let Some(filled) = filled.get_mut(share) else { return };
                filled.push(keyed);
                if filled.len() >= BATCH_SEGMENTS {
                    self.hand_on(share, filled);
                }
            });
            if filler.intake.has_met_several() || merge.is_telling() {
                self.bounds.is_reached.store(true, Ordering::Relaxed);
            }
            self.help();
            batches += 1;
            if batches.is_multiple_of(PROGRESS_BATCHES) {
                watcher.progress(batch.position, size);
                let now = Growth { tuples: self.bounds.tuples(), position: batch.position };
                if now.will_reach(self.bounds.connections_max, before, size.unwrap_or_default()) {
                    self.bounds.is_reached.store(true, Ordering::Relaxed);
                }
                before = now;
            }
        }
        filled.iter_mut().enumerate().for_each(|(share, filled)| self.hand_on(share, filled));
        drop(leaving);
        self.follow(0);
        watcher.progress(merge.position(), size);
    }

    /// Has a batch wait for somebody to follow it, and leaves room for another one.
    fn hand_on(&self, share: usize, batch: &mut Vec<Keyed>) {
        let mut waiting = self.lock();
        let empty = waiting.empty.pop_front().unwrap_or_else(room);
        if let Some(batches) = waiting.batches.get_mut(share) {
            batches.push_back(core::mem::replace(batch, empty));
            waiting.count += 1;
        }
        if waiting.idle > 0 {
            self.came.notify_one();
        }
    }

    /// Follows what waits as long as that is much.
    fn help(&self) {
        let mut waiting = self.lock();
        while waiting.count >= WAITING_BATCHES {
            waiting = match self.take(&mut waiting, 0) {
                Some((share, batch)) => {
                    drop(waiting);
                    self.follow_batch(share, batch)
                }
                None => {
                    waiting.is_stuck = true;
                    let mut waiting =
                        self.went.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                    waiting.is_stuck = false;
                    waiting
                }
            };
        }
    }

    /// Follows what waits, of that share rather than of others, until nothing more comes.
    fn follow(&self, first: usize) {
        let mut waiting = self.lock();
        loop {
            waiting = match self.take(&mut waiting, first) {
                Some((share, batch)) => {
                    drop(waiting);
                    self.follow_batch(share, batch)
                }
                // What waits now is of shares that others are busy with, who will look again.
                None if waiting.is_over => return,
                None => {
                    waiting.idle += 1;
                    let mut waiting =
                        self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                    waiting.idle -= 1;
                    waiting
                }
            };
        }
    }

    /// The next batch of a share that nobody is busy with.
    fn take(
        &self,
        waiting: &mut Waiting,
        first: usize,
    ) -> Option<(MutexGuard<'_, Share>, Vec<Keyed>)> {
        for at in (first..self.all.len()).chain(0..first) {
            let Some(batches) = waiting.batches.get_mut(at).filter(|it| !it.is_empty()) else {
                continue;
            };
            let share = match self.all.get(at)?.try_lock() {
                Ok(share) => share,
                // Somebody panicked, and the others must come to an end.
                Err(TryLockError::Poisoned(share)) => share.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            waiting.count -= 1;
            return Some((share, batches.pop_front()?));
        }
        None
    }

    fn follow_batch(
        &self,
        mut share: MutexGuard<'_, Share>,
        mut batch: Vec<Keyed>,
    ) -> MutexGuard<'_, Waiting> {
        let Share { tracker, told } = &mut *share;
        tracker.batch(&batch);
        self.bounds.take(tracker.load(), told);
        drop(share);
        batch.clear();
        let mut waiting = self.lock();
        waiting.empty.push_back(batch);
        // To wake somebody up takes long, even where nobody sleeps.
        if waiting.is_stuck {
            self.went.notify_one();
        }
        if waiting.idle > 0 && waiting.count > 0 {
            self.came.notify_one();
        }
        waiting
    }
}

/// How many four-tuples there are where so much of the capture is read.
#[derive(Clone, Copy, Default)]
struct Growth {
    tuples: usize,
    position: u64,
}

impl Growth {
    /// Whether there will be more than that in a capture of that size, if it goes on as since
    /// `before`: the sooner one thread begins to follow it all, the less was in vain. Half of them
    /// must be there: captures begin with many that were open.
    fn will_reach(self, most: usize, before: Growth, size: u64) -> bool {
        let (more, left) = (self.tuples - before.tuples, size.saturating_sub(self.position));
        let room = most.saturating_sub(self.tuples) as u128;
        let passed = u128::from(self.position - before.position);
        self.tuples > most / 2 && more as u128 * u128::from(left) > room * passed
    }
}

/// What all shares hold together of that for which there is a bound.
#[derive(Default)]
struct Bounds {
    connections_max: usize,
    tuples: AtomicUsize,
    lives: AtomicUsize,
    only_seen: AtomicUsize,
    is_reached: AtomicBool,
}

impl Bounds {
    /// How many four-tuples there are.
    fn tuples(&self) -> usize {
        self.tuples.load(Ordering::Relaxed)
    }

    /// A share holds so much now, and has told of so much.
    fn take(&self, load: Load, told: &mut Load) {
        let reaches = |all: &AtomicUsize, now: usize, before: usize, most: usize| {
            // Nothing of it ever becomes less, so it does not matter how far each share has come.
            let more = now - before;
            all.fetch_add(more, Ordering::Relaxed) + more > most
        };
        let is_reached = [
            reaches(&self.tuples, load.tuples, told.tuples, self.connections_max),
            reaches(&self.lives, load.lives, told.lives, self.connections_max),
            reaches(&self.only_seen, load.only_seen, told.only_seen, SEEN_TUPLES_MAX),
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
    use crate::capture::Source;

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
    fn a_bound_that_will_be_reached_is_known_before() {
        let at = |tuples, position| Growth { tuples, position };
        let will_reach = |now: Growth, before| now.will_reach(1_000, before, 100);
        assert!(will_reach(at(600, 20), at(540, 10)), "as many come as before");
        assert!(!will_reach(at(600, 20), at(596, 10)), "few come any more");
        assert!(!will_reach(at(500, 20), at(0, 0)), "many came at first");
        assert!(!will_reach(at(600, 90), at(550, 80)), "it is nearly over");
    }

    /// A watcher that panics when it is told how far reading has come.
    struct Panics;

    impl Watcher for Panics {
        const LOOKS_AT_SEGMENTS: bool = false;

        fn progress(&mut self, _: u64, _: Option<u64>) {
            panic!("no more of this");
        }
    }

    /// A pcap file of so many times the same packet.
    fn same_packets(count: usize) -> Vec<u8> {
        let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101];
        let packet = [0x4500_0028_u32, 0, 0x4006_0000, 0x0a00_0001, 0x0a00_0002];
        let segment = [0x0400_0050_u32, 1, 1, 0x5010_0100, 0];
        let record = [1_u32, 0, 40, 40].map(u32::to_le_bytes);
        let data = [packet, segment].concat().into_iter().flat_map(u32::to_be_bytes);
        let record: Vec<u8> = record.into_iter().flatten().chain(data).collect();
        [header.map(u32::to_le_bytes).concat(), record.repeat(count)].concat()
    }

    #[test]
    fn nobody_waits_for_one_who_reads_and_panics() {
        let path = std::env::temp_dir().join(format!("finwait-panics-{}", std::process::id()));
        // So many that it is told while it is read how far that has come.
        let count = HANDED_SEGMENTS * PROGRESS_BATCHES as usize + 1;
        std::fs::write(&path, same_packets(count)).unwrap();
        let mut merge = Merge::open(&[&path]).unwrap();
        let (over, is_over) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let read = || super::read(&mut merge, &options(1_000), &mut Panics).is_some();
            over.send(std::panic::catch_unwind(core::panic::AssertUnwindSafe(read)).is_err())
        });
        let has_panicked = is_over.recv_timeout(std::time::Duration::from_secs(60));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(has_panicked, Ok(true));
    }

    #[test]
    fn nobody_waits_for_one_who_follows_and_panics() {
        let shares = Shares::of(2, options(9).tracker(()).among_others(), &options(9));
        let is_over = thread::scope(|scope| {
            let waits = scope.spawn(|| shares.follow(1));
            let panics = scope.spawn(|| {
                let _leaving = Leaving(&shares);
                panic!("in the middle of a batch");
            });
            panics.join().is_err() && waits.join().is_ok()
        });
        assert!(is_over && shares.bounds.is_reached.into_inner());
    }

    #[test]
    fn whoever_reads_is_woken_when_what_it_waits_for_is_followed() {
        let shares = Shares::of(2, options(9).tracker(()).among_others(), &options(9));
        let busy = shares.all[0].lock().unwrap();
        (0..WAITING_BATCHES).for_each(|_| shares.hand_on(0, &mut Vec::new()));
        let (over, is_over) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                shares.help();
                over.send(()).unwrap();
            });
            let waits = (0..60_000).any(|_| {
                thread::sleep(std::time::Duration::from_millis(1));
                shares.lock().is_stuck
            });
            // Another one is done with its batch.
            drop(shares.follow_batch(busy, Vec::new()));
            let is_woken = is_over.recv_timeout(std::time::Duration::from_secs(60));
            // Or this would wait for it.
            shares.went.notify_all();
            assert_eq!((waits, is_woken), (true, Ok(())));
        });
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
