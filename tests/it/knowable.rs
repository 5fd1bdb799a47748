//! What no observer can know of an endpoint, by rules that hold for every scenario.
//!
//! An observer tells two histories of an endpoint apart only by the segments that pass him. So
//! beside the true history there may be others, twins of it, that would have let the same segments
//! pass. A twin begins where
//!
//! 1. **an act shows late**: an application's close() whose FIN waits behind unsent data or was
//!    lost before the observer, a timer, an application that died. The twin acts when the first
//!    segment that shows the act passes, or never;
//! 2. **a segment is lost behind the observer**, still on its way, or overtaken there: the twin
//!    got it, and got it first;
//! 3. **an answer is lost before the observer**: the twin never got what it answers;
//! 4. **a host chooses in silence**: whether a request takes the ACK that completes it (a full
//!    accept queue, TCP_DEFER_ACCEPT) after it has passed over one, and whether TIME_WAIT heeds a
//!    RST (tcp_rfc1337).
//!
//! Two things are so by definition: a SYN that begins another life on the four-tuple ends the old
//! one when it passes, and a timer's moment is known to within the kernel's timer wheel.
//!
//! A twin moves along the same table as the engine, and ends when the endpoint next shows itself.
//! While it lives, its state is as good an answer as the true one.

use finwait::decode::segment::{Flags, Segment};
use finwait::infer::event::Event;
use finwait::infer::state::State;
use finwait::infer::table::lookup;
use finwait::seq::SeqNum;
use finwait::time::{Span, Timestamp};

use crate::passage::{Coming, Passage};

/// How far a kernel's event and the segment at its own interface may be apart.
const TOGETHER: Span = Span::from_millis(2);
/// Linux's TIME_WAIT, and the part of a timer's length by which its wheel may turn late
/// (kernel/time/timer.c).
const TIME_WAIT: Span = Span::from_secs(60);
const WHEEL: u64 = 8;

/// One transition of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub from: State,
    pub to: State,
    pub at: Timestamp,
}

/// A state that is as good an answer as the true one, for a while.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub state: State,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Only because a segment takes its time between endpoint and observer.
    pub on_way: bool,
}

/// An endpoint that would have let the same segments pass.
#[derive(Clone, Copy, Debug)]
struct Twin {
    state: State,
    since: Timestamp,
    /// When the endpoint next shows itself.
    until: Timestamp,
    /// It has not closed yet, and does when its FIN passes.
    closes_late: bool,
    on_way: bool,
}

/// What happens to endpoint and twins, in order of time.
#[derive(Clone, Copy, Debug)]
enum Step {
    Truth(usize),
    Coming(usize),
    /// The first FIN passes the observer.
    FinShows,
}

/// One endpoint: what it did, its segments, and the end of the recording.
pub struct Observed<'a> {
    pub truths: &'a [Truth],
    pub passage: &'a Passage,
    pub end: Timestamp,
    /// The longest ordinary way between observer and endpoint.
    pub transit: Span,
}

impl Observed<'_> {
    /// All states that are as good as the true one.
    pub fn allowances(&self) -> Vec<Allowance> {
        let mut steps: Vec<(Timestamp, Step)> = Vec::new();
        steps.extend(self.truths.iter().enumerate().map(|(at, it)| (it.at, Step::Truth(at))));
        let coming = self.passage.coming.iter().enumerate();
        steps.extend(coming.filter_map(|(at, it)| it.passed.map(|ts| (ts, Step::Coming(at)))));
        steps.extend(self.fin_shows().map(|ts| (ts, Step::FinShows)));
        steps.sort_by_key(|(ts, _)| *ts);
        let mut twins = Twins::default();
        for (now, step) in steps {
            twins.retire(now);
            match step {
                Step::Truth(at) => self.on_truth(at, &mut twins),
                Step::Coming(at) => self.on_coming(at, now, &mut twins),
                Step::FinShows => twins.replace(now, |twin| {
                    let closes = twin.closes_late.then(|| next(twin.state, Event::SentFin));
                    closes.flatten().map(|state| Twin { state, closes_late: false, ..twin })
                }),
            }
        }
        twins.retire(self.end.after(Span::from_secs(3600)));
        let mut told = twins.told;
        self.allow_wheel(&mut told);
        let ended = self.passage.superseded;
        let closed =
            |from| Allowance { state: State::Closed, from, until: self.forever(), on_way: false };
        told.extend(ended.map(closed));
        told
    }

    /// The endpoint moves: its twins get what it gets, and others begin.
    fn on_truth(&self, at: usize, twins: &mut Twins) {
        let truth = self.truths[at];
        let event = event_between(truth.from, truth.to);
        // A FIN+ACK is for a twin whatever of the two moves it.
        let heard: &[Event] = match event {
            Event::RecvFinAckingFin => &[event, Event::RecvFin, Event::RecvAckOfFin],
            _ => &[event],
        };
        for twin in twins.alive.clone().into_iter().filter(|_| is_heard(event)) {
            let moved = heard.iter().find_map(|event| next(twin.state, *event));
            let Some(state) = moved else { continue };
            // Who only closes late gets all that comes; who was lost to the observer may not.
            if twin.closes_late {
                twins.end(truth.at, |it| it.closes_late && it.state == twin.state);
            }
            twins.begin(Twin { state, since: truth.at, ..twin });
        }
        if let Some(hidden) = self.hidden(at) {
            let stays = Twin { state: truth.from, since: truth.at, ..hidden };
            twins.begin(stays);
            if at == 0 {
                twins.begin(Twin { state: State::Unknown, ..stays });
            }
        }
        twins.end(truth.at, |twin| twin.state == truth.to);
    }

    /// Until when nobody can know of a transition, if it hides: as a twin that has not made it.
    fn hidden(&self, at: usize) -> Option<Twin> {
        let truth = self.truths[at];
        let near = |ts: Timestamp| are_together(ts, truth.at);
        let shown = self.next_shown(truth.at);
        let sent = |flag| {
            let mut all = self.passage.sent.iter();
            let found = all.find(move |sent| sent.segment.has(flag) && near(sent.at));
            found.and_then(|sent| sent.passed)
        };
        let event = event_between(truth.from, truth.to);
        let own = match event {
            Event::SentFin => sent(Flags::FIN),
            Event::SentSyn => sent(Flags::SYN),
            Event::SentRst => sent(Flags::RST).or_else(|| sent(Flags::SYN)),
            _ => None,
        };
        let stays = Twin {
            state: truth.from,
            since: truth.at,
            until: shown,
            closes_late: false,
            on_way: false,
        };
        if let Some(passed) = own {
            return Some(Twin { until: passed, on_way: true, ..stays });
        }
        match event {
            Event::SentFin => Some(Twin { until: self.forever(), closes_late: true, ..stays }),
            Event::SentSyn => Some(stays),
            _ => {
                let caused = |coming: &&Coming| {
                    coming.arrived.is_some_and(near) && self.brings(&truth, &coming.segment)
                };
                let cause = self.passage.coming.iter().filter(caused).any(|it| it.passed.is_some());
                let mute = self.is_mute(truth.at, shown);
                let chose = truth.from == State::SynRcvd && self.passed_over_an_ack(truth.at);
                (!cause || mute || chose).then_some(stays)
            }
        }
    }

    /// Whether something that it sent from then until it next showed itself was lost on the way to
    /// the observer.
    fn is_mute(&self, from: Timestamp, shown: Timestamp) -> bool {
        let mut sent = self.passage.sent.iter();
        sent.any(|sent| sent.passed.is_none() && sent.at.after(TOGETHER) >= from && sent.at < shown)
    }

    /// Whether a request had taken no notice of the ACK that completes it.
    fn passed_over_an_ack(&self, before: Timestamp) -> bool {
        let acks = |coming: &Coming| {
            self.event(State::SynRcvd, &coming.segment) == Some(Event::RecvAckOfSyn)
                && coming.arrived.is_some_and(|ts| ts.after(TOGETHER) < before)
        };
        self.passage.coming.iter().any(acks)
    }

    /// A segment passes on its way to the endpoint. Lost, on its way for long, or passed over in
    /// silence, a twin got it.
    fn on_coming(&self, at: usize, now: Timestamp, twins: &mut Twins) {
        let coming = &self.passage.coming[at];
        let until = match coming.arrived {
            None => self.next_shown(now.after(self.transit)),
            Some(arrived) if arrived.since(now) > TOGETHER || self.is_overtaken(coming) => {
                arrived.after(TOGETHER)
            }
            Some(arrived) if self.is_passed_over(coming, arrived) => self.next_shown(arrived),
            Some(arrived) if self.has_hole(coming, arrived) => self.next_shown(arrived),
            Some(_) => return,
        };
        let others: Vec<State> = twins.alive.iter().map(|twin| twin.state).collect();
        for state in self.state_at(now).into_iter().chain(others) {
            let mut state = state;
            // One segment may do several things: complete the handshake and close.
            while let Some(moved) =
                self.event(state, &coming.segment).and_then(|event| next(state, event))
            {
                let on_way = coming.arrived.is_some_and(|arrived| until == arrived.after(TOGETHER))
                    && !self.is_overtaken(coming);
                let closes_late = false;
                twins.begin(Twin { state: moved, since: now, until, closes_late, on_way });
                state = moved;
            }
        }
    }

    /// Whether a segment that passed later arrived before it: the twin got them as they passed.
    fn is_overtaken(&self, coming: &Coming) -> bool {
        let overtakes = |it: &Coming| it.passed > coming.passed && it.arrived < coming.arrived;
        let arrived = self.passage.coming.iter().filter(|it| it.arrived.is_some());
        arrived.filter(|it| it.passed.is_some()).any(overtakes)
    }

    /// Whether the endpoint's host had the choice, and did not take the segment.
    fn is_passed_over(&self, coming: &Coming, arrived: Timestamp) -> bool {
        let state = self.state_at(arrived);
        let moves = |truth: &Truth| Some(truth.from) == state && are_together(truth.at, arrived);
        let segment = &coming.segment;
        let is_next = || self.peer_fin().is_some_and(|fin| segment.seq == fin.add(1));
        let chooses = match state {
            Some(state @ State::SynRcvd) => self.event(state, segment) == Some(Event::RecvAckOfSyn),
            Some(State::TimeWait) => segment.has(Flags::RST) && is_next(),
            _ => false,
        };
        chooses && !self.truths.iter().any(moves)
    }

    /// Whether the segment arrived ahead of one that passed and was lost.
    fn has_hole(&self, coming: &Coming, arrived: Timestamp) -> bool {
        let lost = |it: &Coming| {
            it.arrived.is_none()
                && it.passed.is_some_and(|ts| ts <= arrived && self.next_shown(ts) >= arrived)
                && it.segment.seq.before(coming.segment.seq)
        };
        coming.segment.seq_len() > 0 && self.passage.coming.iter().any(lost)
    }

    /// Whether the segment is what moved the endpoint.
    fn brings(&self, truth: &Truth, segment: &Segment) -> bool {
        let reopens = segment.has(Flags::SYN) && truth.to == State::Closed;
        let event = self.event(truth.from, segment);
        let to = event.and_then(|event| next(truth.from, event));
        let ends = truth.to == State::Closed && segment.has(Flags::RST);
        to == Some(truth.to) || reopens || ends || truth.from == State::Listen
    }

    /// What a segment is to the endpoint in a state, by RFC 9293.
    fn event(&self, state: State, segment: &Segment) -> Option<Event> {
        let covers = |number: Option<SeqNum>| {
            let ack = segment.acked();
            number.zip(ack).is_some_and(|(number, ack)| ack.at_or_after(number.add(1)))
        };
        let syn = segment.has(Flags::SYN);
        if segment.has(Flags::RST) {
            return match state {
                State::SynSent => Some(Event::RecvRefusal),
                _ => Some(Event::RecvRst),
            };
        }
        // Data may be the piece that was missing before a FIN.
        let fin =
            segment.has(Flags::FIN) || (segment.payload > 0 && self.fin_has_passed(segment.ts));
        let acked = covers(self.own_fin());
        match state {
            State::SynSent if syn && covers(self.own_syn()) => Some(Event::RecvSynAck),
            State::SynSent if syn => Some(Event::RecvSyn),
            State::SynRcvd if covers(self.own_syn()) => Some(Event::RecvAckOfSyn),
            State::TimeWait if syn => Some(Event::Superseded),
            _ if syn => None,
            State::FinWait1 if fin && acked => Some(Event::RecvFinAckingFin),
            State::FinWait1 | State::Closing | State::LastAck if acked => Some(Event::RecvAckOfFin),
            State::Established | State::FinWait1 | State::FinWait2 if fin => Some(Event::RecvFin),
            _ => None,
        }
    }

    fn own_syn(&self) -> Option<SeqNum> {
        let mut sent = self.passage.sent.iter();
        sent.find(|sent| sent.segment.has(Flags::SYN)).map(|sent| sent.segment.seq)
    }

    fn own_fin(&self) -> Option<SeqNum> {
        let mut sent = self.passage.sent.iter();
        sent.find(|sent| sent.segment.has(Flags::FIN)).map(|sent| sent.segment.seq_end().sub(1))
    }

    fn peer_fin(&self) -> Option<SeqNum> {
        let mut coming = self.passage.coming.iter();
        coming.find(|it| it.segment.has(Flags::FIN)).map(|it| it.segment.seq_end().sub(1))
    }

    fn fin_has_passed(&self, before: Timestamp) -> bool {
        let mut coming = self.passage.coming.iter();
        coming.any(|it| it.segment.has(Flags::FIN) && it.passed.is_some_and(|ts| ts <= before))
    }

    /// When a FIN of the endpoint, or what can only follow one, first passes.
    fn fin_shows(&self) -> Option<Timestamp> {
        let fin = self.own_fin()?;
        let shows = |segment: &Segment| segment.has(Flags::FIN) || segment.seq.after(fin);
        let mut sent = self.passage.sent.iter();
        sent.find(|sent| sent.passed.is_some() && shows(&sent.segment)).map(|sent| sent.at)
    }

    fn next_shown(&self, ts: Timestamp) -> Timestamp {
        self.passage.next_shown(ts).unwrap_or_else(|| self.forever())
    }

    fn forever(&self) -> Timestamp {
        self.end.after(Span::from_secs(1))
    }

    fn state_at(&self, ts: Timestamp) -> Option<State> {
        self.truths.iter().take_while(|truth| truth.at <= ts).last().map(|truth| truth.to)
    }

    /// A timer's moment is known to within its wheel only.
    fn allow_wheel(&self, told: &mut Vec<Allowance>) {
        let wheel = |from, until| Allowance { state: State::Closed, from, until, on_way: false };
        for (at, truth) in self.truths.iter().enumerate() {
            let left = self.truths.get(at + 1).map_or(self.end, |next| next.at);
            if truth.to == State::TimeWait {
                let from = truth.at.after(TIME_WAIT);
                let late = Span::from_nanos(TIME_WAIT.as_nanos() / WHEEL);
                let until = left.min(from.after(late));
                told.extend((from < until).then(|| wheel(from, until)));
            }
            let silent = self.truths.get(at + 1).filter(|next| next.to == State::Closed);
            if silent.is_some() && self.hidden(at + 1).is_some_and(|twin| !twin.on_way) {
                let eighth = Span::from_nanos(left.since(truth.at).as_nanos() / WHEEL);
                let from = Timestamp::from_nanos(left.as_nanos() - eighth.as_nanos() as i64);
                told.push(wheel(from, left));
            }
        }
    }
}

/// The twins that live, and what those that lived allow.
#[derive(Debug, Default)]
struct Twins {
    alive: Vec<Twin>,
    told: Vec<Allowance>,
}

impl Twins {
    fn begin(&mut self, twin: Twin) {
        let kind = |it: &Twin| (it.state, it.closes_late, it.on_way);
        let same = |it: &&mut Twin| kind(it) == kind(&twin);
        match self.alive.iter_mut().find(same) {
            Some(known) => known.until = known.until.max(twin.until),
            None => self.alive.push(twin),
        }
    }

    fn tell(&mut self, twin: &Twin, until: Timestamp) {
        let Twin { state, since: from, on_way, .. } = *twin;
        self.told.push(Allowance { state, from, until, on_way });
    }

    /// Ends those whose endpoint has shown itself.
    fn retire(&mut self, now: Timestamp) {
        let (over, alive): (Vec<_>, Vec<_>) = self.alive.iter().partition(|it| it.until <= now);
        over.iter().for_each(|twin| self.tell(twin, twin.until));
        self.alive = alive;
    }

    fn end(&mut self, now: Timestamp, is_over: impl Fn(&Twin) -> bool) {
        let (over, alive): (Vec<_>, Vec<_>) = self.alive.iter().partition(|it| is_over(it));
        over.iter().for_each(|twin| self.tell(twin, now));
        self.alive = alive;
    }

    fn replace(&mut self, now: Timestamp, moved: impl Fn(Twin) -> Option<Twin>) {
        for at in 0..self.alive.len() {
            let twin = self.alive[at];
            if let Some(after) = moved(twin) {
                self.tell(&twin, now);
                self.alive[at] = Twin { since: now, ..after };
            }
        }
    }
}

fn are_together(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= TOGETHER
}

fn next(state: State, event: Event) -> Option<State> {
    lookup(state, event).map(|row| row.to)
}

/// Whether a segment from the peer is behind it.
fn is_heard(event: Event) -> bool {
    !matches!(event, Event::SentFin | Event::SentSyn | Event::SentRst)
}

/// What moves a kernel's endpoint from one state to another.
fn event_between(from: State, to: State) -> Event {
    match (from, to) {
        (_, State::SynSent) => Event::SentSyn,
        (_, State::FinWait1 | State::LastAck) => Event::SentFin,
        (State::Listen, _) | (State::SynSent, State::SynRcvd) => Event::RecvSyn,
        (State::SynSent, State::Established) => Event::RecvSynAck,
        (_, State::Established) => Event::RecvAckOfSyn,
        (_, State::CloseWait | State::Closing) => Event::RecvFin,
        (State::FinWait2, State::TimeWait) => Event::RecvFin,
        (State::FinWait1, State::TimeWait) => Event::RecvFinAckingFin,
        (_, State::FinWait2 | State::TimeWait) | (State::LastAck, State::Closed) => {
            Event::RecvAckOfFin
        }
        _ => Event::SentRst,
    }
}
