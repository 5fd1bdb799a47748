//! A capture that still grows: what has come of it so far, judged whenever somebody asks.
//!
//! One thread waits for packets and makes segments of them; the caller's takes those segments at
//! its own pace and has them judged in between. Nothing here reads a clock but the capture's.

use std::collections::VecDeque;
use std::mem::take;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::noting::{self, Noting};
use super::{Analysis, Options, Parts, ending};
use crate::capture::{Error, Merge, Note};
use crate::limits::{FED_SEGMENTS_MAX, FORGET_FROM};
use crate::pipeline::{Intake, Keyed, Totals, Tracker};
use crate::time::{Span, Timestamp};

/// How long a connection that is over still counts: long enough for a scan, a flood or a leak to
/// be seen as one thing.
const REMEMBERED: Span = Span::from_secs(300);

/// A capture that still grows.
pub struct Live {
    shared: Arc<Shared>,
    tracker: Tracker<Noting>,
    options: Options,
    /// What has come; taken up to `taken`.
    come: Vec<Keyed>,
    taken: usize,
    /// Segments that were taken since the beginning.
    segments: u64,
    /// What was known of the packets when the newest of those passed, or shortly before.
    known: Known,
    /// From so many connections on, some are to be forgotten.
    forget_from: usize,
}

/// What both threads see.
struct Shared {
    feed: Mutex<Feed>,
    came: Condvar,
    went: Condvar,
}

/// What has come and is not fetched yet.
struct Feed {
    intake: Intake,
    segments: Vec<Keyed>,
    /// What the capture says of packets, those with and without a segment among these.
    notes: Vec<Note>,
    errors: Vec<Error>,
    parts: Arc<Parts>,
    /// What was known at moments on the way, so that judging sees nothing of what comes later.
    marks: VecDeque<Known>,
    /// Bytes that are read, of how many, if that is known.
    position: (u64, Option<u64>),
    is_over: bool,
}

/// What is known of a capture's packets, those without a segment among them.
#[derive(Clone, Debug, Default)]
struct Known {
    /// How many segments were in them.
    segments: u64,
    totals: Totals,
    parts: Arc<Parts>,
}

impl Feed {
    fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.notes.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Begins to read these captures as one. `-` is standard input.
    ///
    /// An error is returned only where a file cannot be read at all.
    pub fn open<P: AsRef<Path>>(paths: &[P], options: Options) -> Result<Live, Error> {
        let mut merge = Merge::open(paths)?;
        if merge.may_note() {
            merge = merge.keeping_details();
        }
        let tracker = options.tracker(Noting::default());
        let feed = Feed {
            intake: tracker.intake(),
            segments: Vec::new(),
            notes: Vec::new(),
            errors: Vec::new(),
            parts: Arc::new(Parts::of(&merge)),
            marks: VecDeque::new(),
            position: (0, merge.size()),
            is_over: false,
        };
        let (came, went) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { feed: Mutex::new(feed), came, went });
        let own = Arc::clone(&shared);
        thread::spawn(move || read(merge, &own));
        Ok(Live {
            shared,
            tracker,
            options,
            come: Vec::new(),
            taken: 0,
            segments: 0,
            known: Known::default(),
            forget_from: FORGET_FROM,
        })
    }

    /// Waits for segments, so long at most, unless there are some. Whether the capture goes on.
    pub fn wait(&mut self, patience: Duration) -> bool {
        if self.next_ts().is_some() {
            return true;
        }
        self.come.clear();
        self.taken = 0;
        let Shared { came, went, .. } = &*self.shared;
        let feed = self.shared.lock();
        let is_quiet = |feed: &mut Feed| feed.is_empty() && !feed.is_over;
        let (mut feed, _) = came
            .wait_timeout_while(feed, patience, is_quiet)
            .unwrap_or_else(PoisonError::into_inner);
        core::mem::swap(&mut self.come, &mut feed.segments);
        self.tracker.sink().expect(&mut feed.notes);
        went.notify_one();
        !self.come.is_empty() || !feed.is_over
    }

    /// The time of the next segment that has come and is not taken.
    pub fn next_ts(&self) -> Option<Timestamp> {
        self.come.get(self.taken).map(Keyed::ts)
    }

    /// Takes the next segment that has come, and the others up to the first that passed at `until`
    /// or later. The newest one's time.
    pub fn take_before(&mut self, until: Timestamp) -> Timestamp {
        let come = self.come.get(self.taken..).unwrap_or_default();
        let count = come.iter().skip(1).take_while(|keyed| keyed.ts() < until).count() + 1;
        let few = come.get(..count).unwrap_or_default();
        self.tracker.batch(few);
        self.taken += few.len();
        self.segments += few.len() as u64;
        let newest = few.iter().map(Keyed::ts).max().unwrap_or_default();
        self.learn();
        newest
    }

    /// Segments that were taken.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Connections that are known, each of which is looked at to judge.
    pub fn connections(&self) -> usize {
        self.tracker.connections()
    }

    /// Bytes that are read, of how many, if that is known.
    pub fn position(&self) -> (u64, Option<u64>) {
        self.shared.lock().position
    }

    /// The latest time of the packets that have come, those without a segment among them.
    pub fn last_ts(&self) -> Option<Timestamp> {
        self.shared.lock().intake.totals().last_ts
    }

    /// What is known of the packets at the segments that were taken: not what the other thread,
    /// which is ahead by chance, has read since.
    fn learn(&mut self) {
        let is_all_taken = self.next_ts().is_none();
        let mut feed = self.shared.lock();
        while let Some(mark) = feed.marks.front()
            && mark.segments <= self.segments
        {
            // More is known where all had been taken, and judged, since then.
            let mark = feed.marks.pop_front();
            let news = mark.filter(|it| it.totals.packets >= self.known.totals.packets);
            self.known = news.unwrap_or_else(|| take(&mut self.known));
        }
        if is_all_taken && feed.is_empty() {
            let totals = feed.intake.totals().clone();
            self.known = Known { segments: self.segments, totals, parts: Arc::clone(&feed.parts) };
        }
    }

    /// Judges what was taken as if the capture ended at `now`. Of a capture that goes on, that
    /// must never be earlier than the last time.
    pub fn judge<R>(&mut self, now: Timestamp, look: impl FnOnce(&Analysis) -> R) -> R {
        self.learn();
        let (parts, mut totals) = (Parts::clone(&self.known.parts), self.known.totals.clone());
        let archive = self.tracker.lend_archive(now);
        self.tracker.skip_copies(&mut totals);
        totals.connections = archive.begun();
        totals.last_ts = Some(now);
        let notes = take(&mut self.tracker.sink().notes);
        let analysis = Analysis::judged(archive, totals, parts, Vec::new(), &self.options);
        let analysis = analysis.noted(notes);
        let seen = look(&analysis);
        self.tracker.take_back(analysis.archive);
        self.tracker.sink().notes = analysis.notes;
        seen
    }

    /// Lets go of connections that have long been over, where there are so many that it is worth
    /// the work, or no room for others.
    pub fn forget(&mut self, now: Timestamp) {
        let count = self.tracker.connections();
        if count < self.forget_from.min(self.options.connections_max) {
            return;
        }
        let is_crowded = count >= self.options.connections_max / 2;
        self.tracker.forget(|history| {
            let is_long_ago = now.since(history.last.ts) >= REMEMBERED;
            !history.is_open() && (is_crowded || is_long_ago)
        });
        let (shelf, noting) = self.tracker.shelf_and_sink();
        noting.notes.forget(|id| shelf.has(id));
        // Each time there must be twice as many, or the work would never end.
        self.forget_from = FORGET_FROM.max(2 * self.tracker.connections());
    }

    /// The capture is over, or nobody waits for more: everything that is still known, as of `now`
    /// at least.
    pub fn finish(self, now: Timestamp) -> Analysis {
        let mut feed = self.shared.lock();
        let mut intake = core::mem::replace(&mut feed.intake, self.tracker.intake());
        let (parts, errors) = (Parts::clone(&feed.parts), take(&mut feed.errors));
        drop(feed);
        intake.silence(now);
        let (noting, archive, totals) = self.tracker.close(intake);
        Analysis::judged(archive, totals, parts, errors, &self.options).noted(noting.notes)
    }
}

/// Makes segments of packets until there are none, in a thread of its own.
fn read(mut merge: Merge, shared: &Shared) {
    let is_noting = merge.keeps_details();
    let (mut notes, mut copies) = (Vec::new(), Copies { said: merge.said(), room: COPIED_FREELY });
    let mut marker = Marker::default();
    loop {
        // This waits for the capture, so nothing is locked.
        let next = match is_noting {
            true => noting::next(&mut merge, &mut notes),
            false => merge.next_packet(),
        };
        let mut feed = shared.lock();
        feed.notes.append(&mut notes);
        match next {
            Ok(Some(packet)) => {
                marker.pass(packet.ts, &mut feed);
                let Feed { intake, segments, .. } = &mut *feed;
                let push = |keyed| {
                    marker.segments += 1;
                    segments.push(keyed);
                };
                intake.packet(&packet, push);
                copies.keep(&merge, &mut feed.parts);
                feed.position.0 = merge.position();
            }
            Ok(None) => {
                let parts = Parts::of(&merge);
                let end = ending::of(parts.files.iter(), feed.intake.totals().last_ts);
                end.into_iter().for_each(|end| feed.intake.silence(end));
                feed.parts = Arc::new(parts);
                feed.is_over = true;
            }
            Err(error) => feed.errors.push(error),
        }
        shared.came.notify_one();
        if feed.is_over {
            return;
        }
        let is_full =
            |feed: &mut Feed| feed.segments.len().max(feed.notes.len()) >= FED_SEGMENTS_MAX;
        drop(shared.went.wait_while(feed, is_full));
    }
}

/// How often it is kept what is known of the packets, by their own clock.
const MARKED: Span = Span::from_millis(250);

/// Keeps what is known of the packets now and then, at moments that depend on them alone.
#[derive(Default)]
struct Marker {
    /// Segments that were sent.
    segments: u64,
    /// After how many it was kept last, and from when on it is again.
    last: Option<(u64, Timestamp)>,
}

impl Marker {
    /// A packet of that time comes next.
    fn pass(&mut self, ts: Timestamp, feed: &mut Feed) {
        let Marker { segments, last } = *self;
        // One is enough between two segments: there may be ever so many other packets.
        let is_early = |due: Timestamp| ts < due && due <= ts.after(MARKED);
        // A clock that jumped, and was set back, must not stop this.
        if last.is_some_and(|(after, due)| after == segments || is_early(due)) {
            return;
        }
        self.last = Some((segments, ts.after(MARKED)));
        let (totals, parts) = (feed.intake.totals().clone(), Arc::clone(&feed.parts));
        feed.marks.push_back(Known { segments, totals, parts });
    }
}

/// Copies what captures say of themselves whenever they say more, so that it is there when nobody
/// waits for their end; but not so often that a capture of nothing else would take for ever.
struct Copies {
    /// What was copied last.
    said: (usize, u64),
    /// How many entries may be copied now.
    room: usize,
}

/// Entries that may be copied before anything came, and with each packet.
const COPIED_FREELY: usize = 1 << 20;
const COPIED_PER_PACKET: usize = 64;

impl Copies {
    fn keep(&mut self, merge: &Merge, parts: &mut Arc<Parts>) {
        self.room = self.room.saturating_add(COPIED_PER_PACKET);
        let said = merge.said();
        if said == self.said {
            return;
        }
        let entries: usize = merge.sources().iter().map(|source| source.info().entries()).sum();
        if let Some(room) = self.room.checked_sub(entries) {
            *self = Copies { said, room };
            *parts = Arc::new(Parts::of(merge));
        }
    }
}
