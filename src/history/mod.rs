//! The finished record of one connection: what findings judge and reports print.
//!
//! A [`History`] is made once, when a connection's life is over or the capture ends. It speaks of
//! client and server where the engine speaks of two ends, and it answers the questions that
//! everybody asks: how long in which state, how it opened, how it closed, who closed first.

pub mod archive;
mod classify;
mod mold;
mod pack;
pub mod signs;

use core::mem::take;

use serde::Serialize;

use crate::addr::{EPHEMERAL_PORT_MIN, HostPort};
use crate::decode::tuple::{End, FourTuple};
use crate::infer::brief::LoneSyn;
use crate::infer::endpoint::{Endpoint, Gaps};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::State;
use crate::infer::tally::Tally;
use crate::infer::trail::{Moment, Refuted, Transition};
use crate::infer::zeek::ConnState;
use crate::infer::{Connection, RolesFrom};
use crate::limits::TRANSITIONS_MAX;
use crate::time::{Span, Timestamp};

pub use classify::{Close, ClosedFirst, Handshake};
pub use signs::Signs;

use classify::Words;

/// Client or server: who opened, or seems to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The end that opened actively.
    Client,
    /// The other end.
    Server,
}

impl Role {
    /// Client, then server.
    pub const BOTH: [Role; 2] = [Role::Client, Role::Server];

    /// The other role.
    pub const fn peer(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }

    /// `client` or `server`.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
        }
    }
}

/// What is kept of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// The state at the end of the capture, or of the connection's life.
    pub last_state: State,
    /// What it sent, counted.
    pub tally: Tally,
    /// Its initial sequence number, or else the first number seen of it: relative numbers count
    /// from here.
    pub base_seq: Option<u32>,
    /// Its window scale shift, if its SYN announced one.
    pub window_scale: Option<u8>,
    /// Its maximum segment size, if its SYN announced one.
    pub mss: Option<u16>,
    /// Its SYN permitted SACK (RFC 2018).
    pub sack_permitted: bool,
    /// Its SYN carried timestamps (RFC 7323).
    pub timestamps: bool,
    /// It has acknowledged the peer's SYN.
    pub acked_syn: bool,
    /// It opened with a SYN whose data the peer accepted (RFC 7413).
    pub fast_open: bool,
    /// Its last segment; frame 0 if it sent none.
    pub last: Moment,
    /// Its window was closed when the record ended, since then.
    pub window_closed: Option<Timestamp>,
    /// Repeats that were still unanswered when the record ended.
    pub unanswered_at_end: u16,
    /// The segments in which these repeat data, SYN, SYN+ACK or FIN.
    pub unanswered_segments: u32,
    /// When what they repeat was first sent, or the first probe; the epoch if there are none.
    pub unanswered_since: Timestamp,
    /// The times between its SYN, or SYN+ACK, and the repeats.
    pub syn_gaps: Gaps,
}

/// What the four-tuple was before this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// The earlier connection.
    pub id: u64,
    /// The states of this one's client's and server's ends when it began.
    pub states: [State; 2],
}

impl Predecessor {
    /// With the states of end A and end B told as the client's and the server's.
    fn seen_from(self, client: End) -> Predecessor {
        Predecessor { states: client.own_first(self.states), ..self }
    }
}

/// One connection, finished.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Its number, from 0, in the order in which connections were recognised.
    pub id: u64,
    /// Wireshark's `tcp.stream` of its first segment.
    pub stream: u32,
    /// Its four-tuple.
    pub tuple: FourTuple,
    /// Which end is the client.
    pub client: End,
    /// How that is known.
    pub roles_from: RolesFrom,
    /// Its first segment.
    pub first: Moment,
    /// Its last segment.
    pub last: Moment,
    /// When the record ended: the capture's end, or the next life on the four-tuple.
    pub until: Timestamp,
    /// Segments of both ends, copies of one packet not counted.
    pub frames: u64,
    /// Client's, then server's.
    pub sides: [Side; 2],
    /// The transitions of both endpoints in time order.
    pub transitions: Vec<Transition>,
    /// Transitions that later segments refuted.
    pub refuted: Vec<Refuted>,
    /// Transitions and refutations for which there was no room.
    pub dropped: u32,
    /// What else happened.
    pub facts: Vec<Fact>,
    /// The connection that had the four-tuple before.
    pub predecessor: Option<Predecessor>,
    /// What Zeek calls it.
    pub zeek: ConnState,
    /// What is asked again and again, found once.
    digest: Digest,
}

/// Which connection a record is of, and where it ends.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// As [`History::id`].
    pub id: u64,
    /// As [`History::stream`].
    pub stream: u32,
    /// Its four-tuple.
    pub tuple: FourTuple,
    /// The capture's end, or the next life on the four-tuple.
    pub until: Timestamp,
}

/// What follows from the rest of a history, and is asked of it for every finding.
#[derive(Clone, Debug, Default)]
struct Digest {
    words: Words,
    signs: Signs,
    /// The states and events of client and server.
    went: [Signs; 2],
    /// For client and server and each state, the place of the last transition into it, plus one;
    /// zero if there is none.
    entries: [[u8; State::ALL.len()]; 2],
}

/// Histories that are equal otherwise are equal.
impl PartialEq for Digest {
    fn eq(&self, _: &Digest) -> bool {
        true
    }
}

const _: () = assert!(TRANSITIONS_MAX < u8::MAX as usize, "places of transitions fit");

/// One endpoint's stay in one state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stay {
    /// Which state.
    pub state: State,
    /// The transition into it.
    pub entered: Transition,
    /// When it ended; `None` while it lasts.
    pub left: Option<Timestamp>,
    /// How long it lasted, up to the record's end where it still does.
    pub dwell: Span,
}

impl History {
    /// Closes the record of a connection.
    pub fn new(
        identity: Identity,
        connection: &Connection,
        predecessor: Option<Predecessor>,
    ) -> History {
        let mut history = History::empty(identity.tuple);
        history.fill(identity, connection, predecessor);
        history
    }

    /// A record of nothing, to be filled.
    pub fn empty(tuple: FourTuple) -> History {
        History {
            id: 0,
            stream: 0,
            tuple,
            client: End::A,
            roles_from: RolesFrom::FirstPacket,
            first: Moment::default(),
            last: Moment::default(),
            until: Timestamp::default(),
            frames: 0,
            sides: [Side::default(); 2],
            transitions: Vec::new(),
            refuted: Vec::new(),
            dropped: 0,
            facts: Vec::new(),
            predecessor: None,
            zeek: ConnState::Oth,
            digest: Digest::default(),
        }
    }

    /// As [`History::new`], in the room of another record.
    pub fn fill(
        &mut self,
        identity: Identity,
        connection: &Connection,
        predecessor: Option<Predecessor>,
    ) {
        let Identity { id, stream, tuple, until } = identity;
        let (client, roles_from) = connection.client();
        let (client, roles_from) = roles(&tuple, (client.unwrap_or(End::A), roles_from));
        let (first, last) = connection.span();
        let is_over = |it: &&Transition| it.to == State::Closed;
        let over = connection.trail().transitions().iter().find(is_over).map(|it| it.at.ts);
        let side = |end| Side::new(connection.end(end), over.map_or(until, |over| over.min(until)));
        (self.id, self.stream, self.tuple) = (id, stream, tuple);
        (self.client, self.roles_from) = (client, roles_from);
        (self.first, self.last, self.until) = (first, last, until.max(last.ts));
        self.frames = connection.frames();
        self.sides = [side(client), side(client.peer())];
        connection.trail().transitions().clone_into(&mut self.transitions);
        connection.trail().refuted().clone_into(&mut self.refuted);
        self.dropped = connection.trail().dropped();
        self.facts.clear();
        self.facts.extend(connection.facts().iter());
        self.predecessor = predecessor.map(|before| before.seen_from(client));
        self.zeek = connection.zeek(client);
        self.digest();
    }

    /// Becomes equal to another record, in its own room.
    fn copy(&mut self, other: &History) {
        let (mut transitions, mut refuted) = (take(&mut self.transitions), take(&mut self.refuted));
        let mut facts = take(&mut self.facts);
        transitions.clone_from(&other.transitions);
        refuted.clone_from(&other.refuted);
        facts.clone_from(&other.facts);
        let digest = other.digest.clone();
        *self = History { transitions, refuted, facts, digest, ..*other };
    }

    /// The record of a SYN to which nothing came becomes that of another one of the same kind.
    fn pass_to(&mut self, identity: Identity, syn: &LoneSyn) {
        let Identity { id, stream, tuple, until } = identity;
        (self.id, self.stream, self.tuple) = (id, stream, tuple);
        let [client, _] = &mut self.sides;
        client.base_seq = Some(syn.seq.0);
        (self.first, self.last) = (syn.at, syn.at);
        if let Some(again) = &syn.again {
            (self.last, self.frames) = (again.last, again.count.into());
            (client.tally, client.syn_gaps) = (again.tally(), again.gaps);
            client.unanswered_at_end = again.repeats.count;
            client.unanswered_segments = again.count - 1;
            client.unanswered_since = again.repeats.since;
        }
        (client.last, self.until) = (self.last, until.max(self.last.ts));
        // It went by its SYN, and then, if at all, by giving up.
        for transition in &mut self.transitions {
            transition.at = match syn.gave_up {
                Some(ts) if transition.event == Event::GaveUp => Moment::silent(ts),
                _ => syn.at,
            };
        }
    }

    /// Finds what follows from the rest.
    fn digest(&mut self) {
        let (mut entries, mut went) = ([[0; State::ALL.len()]; 2], [Signs::default(); 2]);
        for (place, transition) in (1..).zip(&self.transitions) {
            let role = usize::from(transition.end != self.client);
            let (Some(entries), Some(went)) = (entries.get_mut(role), went.get_mut(role)) else {
                continue;
            };
            if let Some(entry) = entries.get_mut(transition.to as usize) {
                *entry = place;
            }
            *went = went.or(Signs::transition(transition.to, transition.event));
        }
        self.digest = Digest { entries, went, ..Digest::default() };
        self.digest.words = self.words();
        self.digest.signs = Signs::of(self);
    }

    /// Whether the other one is equal, and what was found from it is, too.
    fn is_wholly(&self, other: &History) -> bool {
        let found = |it: &History| {
            let Digest { words, signs, went, entries } = it.digest.clone();
            (words, signs, went, entries)
        };
        self == other && found(self) == found(other)
    }

    /// What there is in it.
    pub fn signs(&self) -> Signs {
        self.digest.signs
    }

    /// The states that a role was in, and the events that moved it.
    fn went(&self, role: Role) -> Signs {
        let [client, server] = self.digest.went;
        if role == Role::Client { client } else { server }
    }

    /// The role of an end.
    pub fn role(&self, end: End) -> Role {
        if end == self.client { Role::Client } else { Role::Server }
    }

    /// The end in a role.
    pub fn end(&self, role: Role) -> End {
        match role {
            Role::Client => self.client,
            Role::Server => self.client.peer(),
        }
    }

    /// Address and port of a role.
    pub fn addr(&self, role: Role) -> HostPort {
        self.tuple.endpoint(self.end(role))
    }

    /// What is kept of a role.
    pub fn side(&self, role: Role) -> &Side {
        let [client, server] = &self.sides;
        match role {
            Role::Client => client,
            Role::Server => server,
        }
    }

    /// The state of a role when the record ended.
    pub fn last_state(&self, role: Role) -> State {
        self.side(role).last_state
    }

    /// From the first segment to the last.
    pub fn duration(&self) -> Span {
        self.last.ts.since(self.first.ts)
    }

    /// The transitions of one role.
    pub fn transitions_of(&self, role: Role) -> impl DoubleEndedIterator<Item = &Transition> {
        let end = self.end(role);
        self.transitions.iter().filter(move |transition| transition.end == end)
    }

    /// The stays of one role, in order; the time before its first transition is none.
    pub fn stays(&self, role: Role) -> impl Iterator<Item = Stay> {
        let mut transitions = self.transitions_of(role).copied().peekable();
        let until = self.until;
        core::iter::from_fn(move || {
            let entered = transitions.next()?;
            let left = transitions.peek().map(|next| next.at.ts);
            let dwell = left.unwrap_or(until).since(entered.at.ts);
            Some(Stay { state: entered.to, entered, left, dwell })
        })
    }

    /// The stay of a role in a state, the last one if there were several.
    pub fn stay_in(&self, role: Role, state: State) -> Option<Stay> {
        let (entered, next) = self.entry(role, state)?;
        let left = next.map(|next| next.at.ts);
        let dwell = left.unwrap_or(self.until).since(entered.at.ts);
        Some(Stay { state, entered: *entered, left, dwell })
    }

    /// Whether a role was in a state.
    pub fn was_in(&self, role: Role, state: State) -> bool {
        self.entry(role, state).is_some()
    }

    /// What ended that stay.
    pub fn left_by(&self, role: Role, state: State) -> Option<Event> {
        self.entry(role, state)?.1.map(|next| next.event)
    }

    /// Whether that stay lasted so long.
    pub fn stayed_in(&self, role: Role, state: State, least: Span) -> bool {
        self.entry(role, state).is_some_and(|(entered, next)| {
            let left = next.map_or(self.until, |next| next.at.ts);
            left.since(entered.at.ts) >= least
        })
    }

    /// The last transition of a role into a state, and the one after it.
    #[inline]
    fn entry(&self, role: Role, state: State) -> Option<(&Transition, Option<&Transition>)> {
        let [client, server] = &self.digest.entries;
        let entries = if role == Role::Client { client } else { server };
        let entry = usize::from(*entries.get(state as usize)?).checked_sub(1)?;
        let (entered, after) = self.transitions.get(entry..)?.split_first()?;
        Some((entered, after.iter().find(|next| next.end == entered.end)))
    }

    /// The state of a role at a moment; `UNKNOWN` before its first transition.
    pub fn state_at(&self, role: Role, ts: Timestamp) -> State {
        let newest =
            self.transitions_of(role).take_while(|transition| transition.at.ts <= ts).last();
        newest.map_or(State::Unknown, |transition| transition.to)
    }

    /// The transition of a role by one of the events, the first if there are several.
    pub fn by_event(&self, role: Role, events: &[Event]) -> Option<&Transition> {
        self.transitions_of(role).find(|transition| events.contains(&transition.event))
    }

    /// The fact of that kind about that role.
    pub fn fact(&self, kind: FactKind, role: Role) -> Option<&Fact> {
        let end = self.end(role);
        self.facts.iter().find(|fact| fact.kind == kind && fact.end == end)
    }

    /// Whether the connection is still open on a side: its end is neither closed nor only waiting
    /// out TIME_WAIT.
    pub fn is_open(&self) -> bool {
        self.sides.iter().any(|side| {
            let state = side.last_state;
            !matches!(state, State::Closed | State::TimeWait | State::Listen | State::Unknown)
        })
    }
}

impl Side {
    /// Of an end of a connection that was there until then.
    fn new(endpoint: &Endpoint, until: Timestamp) -> Side {
        let mut tally = endpoint.tally;
        if let Some(since) = endpoint.window_closed {
            tally.stalled(since, until);
        }
        Side {
            last_state: endpoint.state,
            tally,
            base_seq: endpoint.isn.or(endpoint.first_seq).map(|number| number.0),
            window_scale: endpoint.window_scale,
            mss: endpoint.mss,
            sack_permitted: endpoint.sack_permitted,
            timestamps: endpoint.timestamps,
            acked_syn: endpoint.acked_syn,
            fast_open: endpoint.fast_open_accepted,
            last: endpoint.last,
            window_closed: endpoint.window_closed,
            unanswered_at_end: endpoint.repeats.count,
            unanswered_segments: endpoint.repeats.segments,
            unanswered_since: endpoint.repeats.since,
            syn_gaps: endpoint.opening.gaps,
        }
    }
}

/// Which end is the client: by the handshake, else by a port that looks like a service's, else by
/// the first packet; told of what the engine says.
fn roles(tuple: &FourTuple, (client, roles_from): (End, RolesFrom)) -> (End, RolesFrom) {
    if !matches!(roles_from, RolesFrom::FirstPacket | RolesFrom::Port) {
        return (client, roles_from);
    }
    let [a, b] = End::BOTH.map(|end| tuple.endpoint(end).port());
    match (a.min(b) < EPHEMERAL_PORT_MIN, a.cmp(&b)) {
        (true, core::cmp::Ordering::Less) => (End::B, RolesFrom::Port),
        (true, core::cmp::Ordering::Greater) => (End::A, RolesFrom::Port),
        _ => (client, RolesFrom::FirstPacket),
    }
}
