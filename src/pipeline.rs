//! The whole way of the data, on one page: packets are decoded to segments, segments find their
//! four-tuple and their life, lives become histories, histories go to whoever wants them.

use crate::decode::icmp::IcmpError;
use crate::decode::opener::{Found, Opener};
use crate::decode::segment::{Flags, Segment};
use crate::decode::skip::{Skip, SkipCounts};
use crate::decode::tunnel::Tunnels;
use crate::decode::tuple::{End, FourTuple};
use crate::decode::{self, Decoded};
use crate::flow::duplicates::Duplicates;
use crate::flow::stream::Numbering;
use crate::flow::table::Table;
use crate::history::{History, Predecessor};
use crate::infer::state::State;
use crate::infer::trail::Moment;
use crate::infer::{Admission, Answer, Connection, Held, Params};
use crate::time::{Span, Timestamp};

/// Takes what comes out at the end.
pub trait Sink {
    /// A segment was taken into connection `id`, which is `stream` to Wireshark.
    fn segment(&mut self, id: u64, stream: u32, tuple: &FourTuple, from: End, segment: &Segment) {
        let _ = (id, stream, tuple, from, segment);
    }

    /// A connection's record is closed.
    fn finished(&mut self, history: History);
}

/// What was read, in numbers.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Packets of the input.
    pub packets: u64,
    /// TCP segments that were used.
    pub segments: u64,
    /// Connections.
    pub connections: u64,
    /// Wireshark's streams.
    pub streams: u32,
    /// The first packet's time.
    pub first_ts: Option<Timestamp>,
    /// The latest packet's time.
    pub last_ts: Option<Timestamp>,
    /// Packets whose clock ran backwards against the one before.
    pub backwards: u64,
    /// By how much it ran backwards at most, against the newest packet before.
    pub backwards_most: Span,
    /// Packets that were not used, by reason.
    pub skipped: SkipCounts,
    /// Segments whose four-tuple found no room.
    pub beyond_connections_max: u64,
    /// Fragmented packets that had to go before they were whole.
    pub fragments_forced_out: u64,
    /// The tunnels that were opened.
    pub tunnels: Tunnels,
}

/// The pipeline from packets to histories.
#[derive(Debug)]
pub struct Pipeline<S> {
    params: Params,
    connections_max: usize,
    table: Table<Flow>,
    duplicates: Duplicates,
    opener: Opener,
    /// Wireshark's numbering by four-tuple alone, where there may be tunnels: it does not count
    /// them.
    across_tunnels: Option<Table<Numbering>>,
    next_stream: u32,
    next_id: u64,
    totals: Totals,
    /// What everything is told to.
    pub sink: S,
}

/// One four-tuple.
#[derive(Debug, Default)]
struct Flow {
    numbering: Numbering,
    life: Option<Box<Life>>,
    held: Option<Box<Held>>,
}

/// One connection on it.
#[derive(Debug)]
struct Life {
    id: u64,
    stream: u32,
    connection: Connection,
    predecessor: Option<Before>,
}

/// The connection that had the four-tuple before.
#[derive(Clone, Copy, Debug)]
struct Before {
    id: u64,
    states: [State; 2],
}

impl<S: Sink> Pipeline<S> {
    /// A pipeline into `sink`.
    pub fn new(params: Params, connections_max: usize, sink: S) -> Self {
        Pipeline {
            params,
            connections_max,
            table: Table::default(),
            duplicates: Duplicates::default(),
            opener: Opener::default(),
            across_tunnels: None,
            next_stream: 0,
            next_id: 0,
            totals: Totals::default(),
            sink,
        }
    }

    /// The same, with tunnels opened.
    pub fn decoding_tunnels(mut self) -> Self {
        self.opener = Opener::new(true);
        self.across_tunnels = Some(Table::default());
        self
    }

    /// Takes the next packet of the capture.
    pub fn packet(&mut self, link: u16, data: &[u8], orig_len: u32, ts: Timestamp, frame: u64) {
        let totals = &mut self.totals;
        totals.packets += 1;
        totals.first_ts.get_or_insert(ts);
        match totals.last_ts {
            Some(last) if last > ts => {
                totals.backwards += 1;
                totals.backwards_most = totals.backwards_most.max(last.since(ts));
            }
            _ => totals.last_ts = Some(ts),
        }
        match decode::decode(link, data, orig_len, ts, frame) {
            Ok(decoded) => self.decoded(&decoded),
            Err(skip) => match self.opener.open(skip, link, data, orig_len, ts, frame) {
                Ok(Found::Segment(decoded)) => self.decoded(&decoded),
                Ok(Found::Error(error, quoted)) => {
                    totals.skipped.add(Skip::IcmpError);
                    self.icmp_error(error, &quoted);
                }
                Err(skip) => totals.skipped.add(skip),
            },
        }
    }

    /// Takes an ICMP error about a segment like the one it quotes.
    fn icmp_error(&mut self, error: IcmpError, quoted: &Decoded) {
        let Decoded { tuple, sender, segment } = quoted;
        let life = self.table.get_mut(tuple).and_then(|flow| flow.life.as_mut());
        if let Some(life) = life {
            let at = Moment { ts: segment.ts, frame: segment.frame };
            life.connection.note_icmp_error(error, *sender, at);
        }
    }

    /// Takes the next segment.
    pub fn decoded(&mut self, decoded: &Decoded) {
        if self.duplicates.is_copy(decoded) {
            self.totals.skipped.add(Skip::Duplicate);
            return;
        }
        self.totals.segments += 1;
        let Decoded { tuple, sender, segment } = decoded;
        if self.table.len() >= self.connections_max && !self.table.contains(tuple) {
            self.totals.beyond_connections_max += 1;
            return;
        }
        let flow = self.table.entry(tuple, Flow::default);
        let numbering = match &mut self.across_tunnels {
            Some(table) => table.entry(&tuple.in_tunnel(0), Numbering::default),
            None => &mut flow.numbering,
        };
        let stream = numbering.stream_of(*sender, segment, &mut self.next_stream);
        let mut stage =
            Stage { params: &self.params, next_id: &mut self.next_id, sink: &mut self.sink, tuple };
        stage.segment(flow, *sender, segment, stream);
    }

    /// The capture goes on until `now`, without a packet.
    pub fn silence(&mut self, now: Timestamp) {
        self.totals.last_ts = self.totals.last_ts.max(Some(now));
    }

    /// The capture is over: closes every record, and returns the sink and the totals.
    pub fn finish(mut self) -> (S, Totals) {
        let end = self.totals.last_ts.unwrap_or_default();
        for (tuple, mut flow) in self.table.drain() {
            let mut stage = Stage {
                params: &self.params,
                next_id: &mut self.next_id,
                sink: &mut self.sink,
                tuple: &tuple,
            };
            if let Some(held) = flow.held.take() {
                stage.end_held(&mut flow, &held);
            }
            if let Some(life) = flow.life {
                stage.finish(*life, end);
            }
        }
        self.totals.connections = self.next_id;
        self.totals.streams = self.next_stream;
        self.totals.fragments_forced_out = self.opener.fragments_forced_out();
        self.totals.tunnels = self.opener.into_tunnels();
        (self.sink, self.totals)
    }
}

/// Whether a held SYN is the one that this life began with.
fn is_own_syn(life: &Option<Box<Life>>, held: &Held) -> bool {
    life.as_ref().is_some_and(|life| life.connection.knows_syn(held))
}

/// Whether this life goes on with the segment in spite of the held SYN.
fn goes_on(life: &Option<Box<Life>>, held: &Held, from: End, segment: &Segment) -> bool {
    life.as_ref().is_some_and(|life| life.connection.goes_on(held, from, segment))
}

/// The part of the pipeline that one segment's flow passes.
struct Stage<'a, S> {
    params: &'a Params,
    next_id: &'a mut u64,
    sink: &'a mut S,
    tuple: &'a FourTuple,
}

impl<S: Sink> Stage<'_, S> {
    /// Finds the life that the segment belongs to.
    fn segment(&mut self, flow: &mut Flow, from: End, segment: &Segment, stream: u32) {
        if let Some(held) = &mut flow.held {
            match held.answered_by(from, segment) {
                // A copy of this life's own SYN found no socket: nobody asks again.
                Answer::Begins if segment.has(Flags::RST) && is_own_syn(&flow.life, held) => {
                    self.drop_held(flow);
                    return self.stray(flow, from, segment);
                }
                Answer::Begins if goes_on(&flow.life, held, from, segment) => self.drop_held(flow),
                Answer::Begins => {
                    if let Some(held) = flow.held.take() {
                        self.begin_held(flow, &held, segment);
                    }
                }
                Answer::Repeated => return held.repeat(segment),
                Answer::Challenged => {
                    if let Some(life) = &mut flow.life {
                        life.connection.note_challenged_syn(from, segment);
                    }
                }
                Answer::Stale => self.drop_held(flow),
                Answer::Nothing => {}
            }
        }
        let admission = match &mut flow.life {
            None => Admission::Begins,
            Some(life) => {
                life.connection.on_silence(segment.ts, self.params);
                life.connection.admit(from, segment)
            }
        };
        match admission {
            Admission::Belongs => self.belongs(flow, from, segment),
            Admission::Begins => {
                self.begin(flow, segment, stream, Connection::default());
                self.belongs(flow, from, segment);
            }
            Admission::Held => {
                let held = Box::new(Held::new(from, segment, stream));
                // Two SYNs with different numbers, and nobody answered the first.
                self.drop_held(flow);
                flow.held = Some(held);
            }
        }
    }

    /// The held SYN, if there is one, came to nothing.
    fn drop_held(&mut self, flow: &mut Flow) {
        if let (Some(held), Some(life)) = (flow.held.take(), &mut flow.life) {
            self.stale(life, &held);
        }
    }

    fn stale(&mut self, life: &mut Life, held: &Held) {
        life.connection.take_stale_syn(held);
        for syn in &held.syns {
            self.sink.segment(life.id, life.stream, self.tuple, held.from, syn);
        }
    }

    /// What answers a stale SYN says nothing of the connection either.
    fn stray(&mut self, flow: &mut Flow, from: End, segment: &Segment) {
        if let Some(life) = &mut flow.life {
            life.connection.take_stray(from, segment);
            self.sink.segment(life.id, life.stream, self.tuple, from, segment);
        }
    }

    fn belongs(&mut self, flow: &mut Flow, from: End, segment: &Segment) {
        if let Some(life) = &mut flow.life {
            life.connection.on_segment(from, segment, self.params);
            self.sink.segment(life.id, life.stream, self.tuple, from, segment);
        }
    }

    /// A new life begins with this segment; the one before is over.
    fn begin(&mut self, flow: &mut Flow, first: &Segment, stream: u32, connection: Connection) {
        self.replace(flow, first, stream, connection, |old, at| old.supersede(at, at));
    }

    /// Ends the old life as `supersede` has it, and begins another.
    fn replace(
        &mut self,
        flow: &mut Flow,
        first: &Segment,
        stream: u32,
        connection: Connection,
        supersede: impl FnOnce(&mut Connection, Moment),
    ) {
        let predecessor = flow.life.take().map(|mut old| {
            // A held SYN's answer comes late: what the time before it did comes first.
            old.connection.on_silence(first.ts, self.params);
            let states = End::BOTH.map(|end| old.connection.end(end).state);
            let id = old.id;
            supersede(&mut old.connection, Moment { ts: first.ts, frame: first.frame });
            self.finish(*old, first.ts);
            Before { id, states }
        });
        let id = *self.next_id;
        *self.next_id += 1;
        flow.life = Some(Box::new(Life { id, stream, connection, predecessor }));
    }

    /// A held SYN turns out to be a new life's first segment.
    fn begin_held(&mut self, flow: &mut Flow, held: &Held, answer: &Segment) {
        if let Some(first) = held.syns.first() {
            let old = is_own_syn(&flow.life, held);
            let connection =
                if old { Connection::of_doubtful_syn() } else { Connection::default() };
            let by = Moment { ts: answer.ts, frame: answer.frame };
            self.replace(flow, first, held.stream, connection, |old, at| old.supersede(at, by));
        }
        self.replay(flow, held);
    }

    fn replay(&mut self, flow: &mut Flow, held: &Held) {
        for syn in &held.syns {
            self.belongs(flow, held.from, syn);
        }
    }

    /// Nobody answered a held SYN. With a number of its own it is an attempt all the same.
    fn end_held(&mut self, flow: &mut Flow, held: &Held) {
        match &mut flow.life {
            Some(life) if life.connection.knows_syn(held) => self.stale(life, held),
            _ => {
                if let Some(first) = held.syns.first() {
                    let opener = held.from;
                    let new = Connection::of_doubtful_syn();
                    self.replace(flow, first, held.stream, new, |old, at| {
                        old.supersede_end(opener, at, at);
                    });
                }
                self.replay(flow, held);
            }
        }
    }

    fn finish(&mut self, mut life: Life, until: Timestamp) {
        life.connection.on_silence(until, self.params);
        let Life { id, stream, connection, predecessor } = life;
        let predecessor = predecessor.map(|Before { id, states }| Predecessor { id, states });
        self.sink.finished(History::new(id, stream, *self.tuple, &connection, until, predecessor));
    }
}
