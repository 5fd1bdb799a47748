//! The whole way of the data, on one page: packets are decoded to segments, segments find their
//! four-tuple and their life, and every life has its record.
//!
//! The way has two halves, which one thread can go or two: [`Intake`] makes segments of packets,
//! [`Tracker`] leaves out copies, and finds the connections of the others. Segments go from one to
//! the other in batches, because what they need can be fetched from memory ahead of them. Several
//! trackers can go side by side, each with a share of the four-tuples, and are put together in the
//! end.

mod batch;
mod forget;
mod intake;
mod lives;
mod together;
mod totals;

use intake::Glimpse;
pub use intake::{Intake, Keyed};
pub(crate) use lives::Goes;
use together::Begun;
pub(crate) use together::{Load, close_together};
pub use totals::Totals;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::capture::Packet;
use crate::decode::Decoded;
use crate::decode::segment::{Flags, Segment};
use crate::decode::skip::Skip;
use crate::decode::tuple::{End, FourTuple};
use crate::findings::Thresholds;
use crate::flow::duplicates::{Duplicates, is_marked};
use crate::flow::stream::Numbering;
use crate::flow::table::{Hasher, Places, TUPLES_MAX};
use crate::history::History;
use crate::history::archive::{Archive, Followed, Shelf};
use crate::infer::brief::Brief;
use crate::infer::{Connection, Params};
use crate::limits::{BATCH_SEGMENTS, SEEN_TUPLES_MAX};
use crate::time::Timestamp;

/// What is told of every segment and of every finished connection.
pub trait Sink {
    /// A segment was taken into connection `id`, which is `stream` to Wireshark.
    fn segment(&mut self, id: u64, stream: u32, tuple: &FourTuple, from: End, segment: &Segment) {
        let _ = (id, stream, tuple, from, segment);
    }

    /// A connection's record, at the end.
    fn finished(&mut self, history: History) {
        let _ = history;
    }
}

/// Takes nothing.
impl Sink for () {}

/// Keeps the records.
impl Sink for Vec<History> {
    fn finished(&mut self, history: History) {
        self.push(history);
    }
}

/// The pipeline from packets to histories, in one thread.
#[derive(Debug)]
pub struct Pipeline<S> {
    intake: Intake,
    batch: Vec<Keyed>,
    tracker: Tracker<S>,
}

impl<S: Sink> Pipeline<S> {
    /// A pipeline into `sink`.
    pub fn new(params: Params, connections_max: usize, sink: S) -> Self {
        let tracker = Tracker::new(params, connections_max, sink);
        Pipeline { intake: tracker.intake(), batch: Vec::with_capacity(BATCH_SEGMENTS), tracker }
    }

    /// The same with every connection followed segment by segment: slower, and with the same
    /// result.
    pub fn following_all(mut self) -> Self {
        self.tracker.follows_all = true;
        self
    }

    /// The same, with tunnels opened.
    pub fn decoding_tunnels(mut self) -> Self {
        self.tracker = self.tracker.decoding_tunnels();
        self.intake = self.tracker.intake();
        self
    }

    /// Takes the next packet of the capture.
    #[inline]
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let Pipeline { intake, batch, tracker } = self;
        intake.packet(packet, |keyed| push(keyed, batch, tracker));
    }

    /// Takes the next segment.
    pub fn decoded(&mut self, decoded: &Decoded) {
        push(self.intake.segment(*decoded), &mut self.batch, &mut self.tracker);
    }

    /// Hands on what is still waiting for a batch to be full, as a live source must do when it has
    /// nothing more for the moment.
    pub fn flush(&mut self) {
        self.tracker.batch(&self.batch);
        self.batch.clear();
    }

    /// What everything is told to.
    pub fn sink(&mut self) -> &mut S {
        &mut self.tracker.sink
    }

    /// The capture goes on until `now`, without a packet.
    pub fn silence(&mut self, now: Timestamp) {
        self.intake.silence(now);
    }

    /// The capture is over: closes every record, and returns the sink, the records and the totals.
    pub fn close(mut self) -> (S, Archive, Totals) {
        self.flush();
        self.tracker.close(self.intake)
    }

    /// The same, with every history told to the sink.
    pub fn finish(self) -> (S, Totals) {
        let (mut sink, archive, totals) = self.close();
        for history in archive.iter() {
            sink.finished(history);
        }
        (sink, totals)
    }
}

/// Has a segment wait for its batch to be full.
#[inline]
fn push<S: Sink>(keyed: Keyed, batch: &mut Vec<Keyed>, tracker: &mut Tracker<S>) {
    batch.push(keyed);
    if batch.len() >= BATCH_SEGMENTS {
        tracker.batch(batch);
        batch.clear();
    }
}

/// The second half of the way: from segments to connections.
#[derive(Debug)]
pub struct Tracker<S> {
    params: Params,
    connections_max: usize,
    follows_all: bool,
    hasher: Hasher,
    duplicates: Duplicates,
    /// Segments that were copies.
    copies: u64,
    places: Places,
    shelf: Shelf,
    /// Wireshark's numbering by four-tuple alone, where there may be tunnels: it does not count
    /// them.
    across_tunnels: Option<HashMap<FourTuple, Numbering>>,
    /// The same of four-tuples of which nothing but glimpses came yet.
    only_seen: HashMap<FourTuple, Numbering, RandomState>,
    /// How many of those were followed then.
    seen_and_followed: usize,
    next_stream: u32,
    thresholds: Thresholds,
    forgotten_for_room: u64,
    /// How many segments must have been left out before room is looked for once more.
    seek_room_at: u64,
    beyond_connections_max: u64,
    beyond_seen_tuples_max: u64,
    /// When connections and streams began, if others follow other four-tuples of the capture.
    begun: Option<Begun>,
    sink: S,
}

impl<S: Sink> Tracker<S> {
    /// A tracker that tells `sink` of every segment.
    pub fn new(params: Params, connections_max: usize, sink: S) -> Self {
        Tracker {
            params,
            connections_max: connections_max.min(TUPLES_MAX),
            follows_all: false,
            hasher: Hasher::default(),
            duplicates: Duplicates::default(),
            copies: 0,
            places: Places::default(),
            shelf: Shelf::of(params),
            across_tunnels: None,
            only_seen: HashMap::default(),
            seen_and_followed: 0,
            next_stream: 0,
            thresholds: Thresholds::default(),
            forgotten_for_room: 0,
            seek_room_at: 0,
            beyond_connections_max: 0,
            beyond_seen_tuples_max: 0,
            begun: None,
            sink,
        }
    }

    /// The same, with tunnels opened. What is in one is followed segment by segment, since it may
    /// share its number with what is in another.
    pub fn decoding_tunnels(mut self) -> Self {
        self.across_tunnels = Some(HashMap::new());
        self.follows_all = true;
        self
    }

    /// The same, which has these thresholds say what matters where there is no room for all.
    pub fn keeping_what_matters(mut self, thresholds: &Thresholds) -> Self {
        self.thresholds = thresholds.clone();
        self
    }

    /// The first half of the way, which hashes as this half does.
    pub fn intake(&self) -> Intake {
        Intake::new(self.hasher.clone(), self.across_tunnels.is_some())
    }

    /// What everything is told to.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    #[inline(always)]
    fn take(&mut self, keyed: &Keyed, likely: u32) {
        if keyed.glimpse.is_none()
            && self.duplicates.is_copy(&keyed.decoded, keyed.fingerprint)
            && !self.answers_anew(keyed)
        {
            self.copies += 1;
            return;
        }
        let Decoded { tuple, sender, segment } = &keyed.decoded;
        // Of a four-tuple's records, only the newest is one that takes segments: if it is this one,
        // nothing need be looked for.
        if keyed.glimpse.is_none() && self.shelf.take(likely, tuple, *sender, segment) {
            let (id, stream) = (self.shelf.number(likely), self.shelf.stream(likely));
            return self.sink.segment(id, stream, tuple, *sender, segment);
        }
        self.place(keyed, likely);
        if let Some(begun) = &mut self.begun {
            begun.catch_up(segment.frame, self.shelf.begun(), self.next_stream);
        }
    }

    /// Whether what looks like a copy is the answer to another segment: a host without a socket
    /// answers each with the same RST, and nothing marks one of them.
    #[cold]
    fn answers_anew(&self, keyed: &Keyed) -> bool {
        let Decoded { tuple, sender, segment } = &keyed.decoded;
        let shelf = &self.shelf;
        segment.has(Flags::RST)
            && !is_marked(segment)
            && self
                .places
                .find(keyed.hash, |place| shelf.is_of(place, tuple))
                .is_some_and(|place| shelf.has_spoken_last(place, sender.peer()))
    }

    /// Finds the connection of a segment, and what it is to that. The likely one is known not to
    /// take it in brief.
    #[inline(never)]
    fn place(&mut self, keyed: &Keyed, likely: u32) {
        let Decoded { tuple, sender, segment } = &keyed.decoded;
        let shelf = &self.shelf;
        let found = self.places.find(keyed.hash, |place| shelf.is_of(place, tuple));
        if let Some(glimpse) = keyed.glimpse {
            return self.seen(found, glimpse, keyed);
        }
        let Some(place) = found else { return self.begin(keyed) };
        if place != likely {
            self.places.came(keyed.hash, place);
        }
        if place != likely && self.shelf.take(place, tuple, *sender, segment) {
            let stream = self.shelf.stream(place);
            self.sink.segment(self.shelf.number(place), stream, tuple, *sender, segment);
            return;
        }
        self.follow(place, keyed);
    }

    /// A segment like this one is quoted by an ICMP error, or its header is broken.
    #[cold]
    fn seen(&mut self, found: Option<u32>, glimpse: Glimpse, keyed: &Keyed) {
        let Decoded { tuple, sender, segment } = &keyed.decoded;
        let mut followed = found.and_then(|place| self.shelf.take_out(place));
        let own = followed.as_mut().map(|followed| &mut followed.numbering);
        if glimpse.is_numbered {
            let (tuple, begun) = match &mut self.across_tunnels {
                Some(all) => (tuple.in_tunnel(0), all.get_mut(&tuple.in_tunnel(0))),
                None => (*tuple, own),
            };
            match begun.or_else(|| room_for(tuple, &mut self.only_seen)) {
                Some(numbering) => numbering.seen(*sender, segment, &mut self.next_stream),
                None => self.beyond_seen_tuples_max += 1,
            }
        }
        if let Some(mut followed) = followed {
            if let Some(error) = glimpse.error {
                let at = segment.at();
                followed.connection.note_icmp_error(error, *sender, at);
            }
            self.shelf.follow(followed);
        }
    }

    /// Wireshark's number for the next segment of a four-tuple.
    fn number(&mut self, numbering: &mut Numbering, decoded: &Decoded) -> u32 {
        let Decoded { tuple, sender, segment } = decoded;
        let numbering = match &mut self.across_tunnels {
            Some(all) => all.entry(tuple.in_tunnel(0)).or_insert(*numbering),
            None => numbering,
        };
        numbering.stream_of(*sender, segment, &mut self.next_stream)
    }

    /// The numbering of a four-tuple at its first segment, of which there may have been glimpses.
    #[inline]
    fn seen_before(&mut self, tuple: &FourTuple) -> Numbering {
        if self.only_seen.is_empty() {
            return Numbering::default();
        }
        let across = self.across_tunnels.is_some();
        let tuple = if across { tuple.in_tunnel(0) } else { *tuple };
        let before = self.only_seen.remove(&tuple);
        self.seen_and_followed += usize::from(before.is_some());
        before.unwrap_or_default()
    }

    /// The first segment of a four-tuple.
    fn begin(&mut self, keyed: &Keyed) {
        let Keyed { hash, decoded, .. } = keyed;
        let Decoded { tuple, sender, segment } = decoded;
        if !self.has_room(segment.ts) {
            self.beyond_connections_max += 1;
            return;
        }
        let mut numbering = self.seen_before(tuple);
        let stream = self.number(&mut numbering, decoded);
        let place = self.shelf.add(tuple, stream, None);
        let (shelf, hasher) = (&self.shelf, &self.hasher);
        self.places.add(*hash, place, || shelf.newest(hasher));
        match Brief::begin(*sender, segment).filter(|_| !self.follows_all) {
            Some(brief) => self.shelf.keep_brief(place, brief),
            None => {
                let mut connection = Connection::default();
                connection.on_segment(*sender, segment, &self.params);
                let followed = Followed { place, numbering, connection, held: None };
                self.shelf.follow(Box::new(followed));
            }
        }
        self.sink.segment(self.shelf.number(place), stream, tuple, *sender, segment);
    }

    /// A segment of a connection that is none of the ordinary, or not any more.
    fn follow(&mut self, place: u32, keyed: &Keyed) {
        let Keyed { hash, decoded, .. } = keyed;
        let Decoded { tuple, sender, segment } = decoded;
        let Some(mut followed) = self.shelf.take_out(place) else { return };
        let stream = self.number(&mut followed.numbering, decoded);
        let mut stage = lives::Stage {
            params: &self.params,
            shelf: &mut self.shelf,
            sink: &mut self.sink,
            tuple,
        };
        stage.segment(&mut followed, *sender, segment, stream);
        let now = followed.place;
        if now == place {
            return self.shelf.follow(followed);
        }
        self.places.replace(*hash, place, now);
        match Brief::begin(*sender, segment).filter(|_| self.is_fresh(&followed, keyed)) {
            Some(brief) => self.shelf.keep_brief(now, brief.succeeding()),
            None => self.shelf.follow(followed),
        }
        self.bound_lives(segment.ts);
    }

    /// Whether nothing but this segment is known of the connection and its four-tuple.
    fn is_fresh(&self, followed: &Followed, keyed: &Keyed) -> bool {
        let Decoded { sender, segment, .. } = &keyed.decoded;
        let (mut fresh, mut stream) = (Numbering::default(), self.shelf.stream(followed.place));
        fresh.stream_of(*sender, segment, &mut stream);
        followed.held.is_none()
            && followed.connection.frames() == 1
            && followed.numbering == fresh
            && !self.follows_all
    }

    /// The capture is over: closes every record, and returns the sink, the records and the totals.
    pub fn close(mut self, intake: Intake) -> (S, Archive, Totals) {
        let mut totals = intake.into_totals();
        let until = totals.last_ts.unwrap_or_default();
        for place in self.shelf.held() {
            self.end_held(place, until);
        }
        self.add_to(&mut totals);
        self.shelf.close(until);
        (self.sink, Archive::of(self.shelf), totals)
    }

    /// Ends the wait of a SYN for its answer.
    fn end_held(&mut self, place: u32, until: Timestamp) {
        let (Some(tuple), Some(mut followed)) =
            (self.shelf.tuple(place), self.shelf.take_out(place))
        else {
            return;
        };
        let mut stage = lives::Stage {
            params: &self.params,
            shelf: &mut self.shelf,
            sink: &mut self.sink,
            tuple: &tuple,
        };
        stage.end_held(&mut followed, until);
        self.shelf.follow(followed);
    }

    /// Adds what it followed to what was read.
    fn add_to(&self, totals: &mut Totals) {
        totals.connections += self.shelf.begun();
        totals.streams = totals.streams.wrapping_add(self.next_stream);
        totals.beyond_connections_max += self.beyond_connections_max;
        totals.forgotten_for_room += self.forgotten_for_room;
        totals.beyond_seen_tuples_max += self.beyond_seen_tuples_max;
        self.skip_copies(totals);
    }

    /// Has those of the segments that were copies be packets that were not used. The segments are
    /// those of the intake that this tracker's came from.
    pub(crate) fn skip_copies(&self, totals: &mut Totals) {
        totals.segments = totals.segments.saturating_sub(self.copies);
        totals.skipped.add_all(Skip::Duplicate, self.copies);
    }
}

/// The numbering of a four-tuple of which there are glimpses only, as far as there is room.
fn room_for(
    tuple: FourTuple,
    seen: &mut HashMap<FourTuple, Numbering, RandomState>,
) -> Option<&mut Numbering> {
    match seen.len() < SEEN_TUPLES_MAX {
        true => Some(seen.entry(tuple).or_default()),
        false => seen.get_mut(&tuple),
    }
}
