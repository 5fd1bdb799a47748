//! Holds finwait's histories of a recording against the kernel's truth.

use std::fmt;

use finwait::decode::Decoded;
use finwait::decode::segment::Flags;
use finwait::history::{History, Role};
use finwait::infer::state::{Basis, State};
use finwait::infer::trail::Transition;
use finwait::time::{Span, Timestamp};

use crate::knowable::{Allowance, Observed, Truth};
use crate::recording::{Conn, Fault, Recording, TOLERANCE};

const ENDS: [&str; 2] = ["client", "server"];

/// Where the lab captures.
pub const POINTS: [&str; 3] = ["client", "middle", "server"];

/// What came out. `strict` counts are of what is literally so, the others of what is right by the
/// rules of [`crate::knowable`].
#[derive(Clone, Debug, Default)]
pub struct Score {
    pub endpoints: u32,
    pub finals_right: u32,
    pub finals_strict: u32,
    pub sequences_right: u32,
    pub sequences_strict: u32,
    pub time: u128,
    pub time_wrong: u128,
    pub time_wrong_strict: u128,
    pub confirmed: u32,
    pub confirmed_right: u32,
    pub confident_wrong: u32,
    pub misses: Vec<Miss>,
}

/// Something that is not as the kernel has it.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The number of the connection.
    pub conn: u64,
    pub text: String,
}

/// Holds the histories of one point's capture, with a fault, against the truth.
pub fn score(recording: &Recording, point: &str, fault: Fault) -> Score {
    let histories = recording.faulty_histories(point, fault);
    let seen = recording.segments(point, fault);
    // What cannot be told apart in the observer's capture is not to be in the endpoints' either.
    let own_fault = if let Fault::Cut = fault { fault } else { Fault::None };
    let own = ENDS.map(|end| recording.segments(end, own_fault));
    let mut score = Score::default();
    for conn in recording.conns() {
        let history = recording.history_of(conn, &histories);
        for role in [0, 1] {
            if conn.truths[role].is_empty() {
                let from_it =
                    |it: &&Decoded| it.tuple.endpoint(it.sender).port() == conn.ports[role];
                let mut sent = own[role].iter().filter(from_it);
                // A hand-made end has no kernel to ask, and sends more than a host without a socket.
                if sent.all(|sent| sent.segment.has(Flags::RST)) {
                    score_absent(conn, role, history, &mut score);
                }
            } else {
                score_endpoint(recording, conn, role, history, (&seen, &own[role]), &mut score);
            }
        }
    }
    score
}

/// An end whose kernel never had a socket for the connection was in no state but CLOSED and LISTEN.
fn score_absent(conn: &Conn, role: usize, history: Option<&History>, score: &mut Score) {
    for claim in history.into_iter().flat_map(|history| testimony(conn, role, history).0) {
        if is_confident(&claim) && !matches!(claim.to, State::Closed | State::Listen) {
            score.confident_wrong += 1;
            let (end, frame) = (ENDS[role], claim.at.frame);
            let text = format!(
                "conn {} {end}: CONFIDENT {} at frame {frame}, truly no socket",
                conn.number, claim.to
            );
            score.miss(conn.number, text);
        }
    }
}

/// What a history says of an end: its transitions and its last state. Roles go by port: who is
/// client to the lab may not be to a capture that began late.
fn testimony(conn: &Conn, role: usize, history: &History) -> (Vec<Transition>, State) {
    let is_it = |it: &Role| history.addr(*it).port() == conn.ports[role];
    let role = Role::BOTH.into_iter().find(is_it).expect("a history is found by its ports");
    (history.transitions_of(role).copied().collect(), history.last_state(role))
}

/// Whether a claim is firm: seen, or inferred and confirmed.
fn is_confident(claim: &Transition) -> bool {
    let confirmed = claim.confirmed.frame > 0;
    claim.basis == Basis::Observed || (claim.basis == Basis::Inferred && confirmed)
}

/// A testimony made false on purpose.
pub struct Trial {
    /// Left out, or put in another's place.
    pub replaced: bool,
    pub name: String,
    /// The judge noticed nothing.
    pub acquitted: bool,
}

/// The testimonies of a recording, each with one change: a transition left out, or a state in its
/// place that it is easily mistaken for.
pub fn false_testimonies(recording: &Recording, point: &str) -> Vec<Trial> {
    let histories = recording.histories(point);
    let seen = recording.segments(point, Fault::None);
    let own = ENDS.map(|end| recording.segments(end, Fault::None));
    let mut trials = Vec::new();
    for conn in recording.conns() {
        let Some(history) = recording.history_of(conn, &histories) else { continue };
        for role in [0, 1].into_iter().filter(|role| !conn.truths[*role].is_empty()) {
            let case = Case::new(recording, conn, role, &seen, &own[role]);
            let (claims, last) = testimony(conn, role, history);
            for at in 0..claims.len() {
                let mut without = claims.clone();
                let left_out = without.remove(at).to;
                let mut other = claims.clone();
                other[at].to = mistaken_for(left_out);
                for (replaced, claims) in [(false, without), (true, other)] {
                    let last = claims.last().map_or(last, |claim| claim.to);
                    let mut score = Score::default();
                    case.judge(&claims).score(last, &mut score);
                    let how = if replaced { "falsifies" } else { "leaves out" };
                    let name = format!("{} {how} {left_out}", case.who);
                    trials.push(Trial { replaced, name, acquitted: score.misses.is_empty() });
                }
            }
        }
    }
    trials
}

/// The state that an observer who is not careful would give instead.
fn mistaken_for(state: State) -> State {
    match state {
        State::FinWait1 => State::CloseWait,
        State::FinWait2 => State::Closing,
        State::Closing | State::TimeWait => State::FinWait2,
        State::CloseWait => State::FinWait1,
        State::LastAck | State::Closed => State::TimeWait,
        State::Established => State::SynRcvd,
        State::SynSent | State::SynRcvd => State::Established,
        State::Listen | State::Unknown => State::Closed,
    }
}

fn score_endpoint(
    recording: &Recording,
    conn: &Conn,
    role: usize,
    history: Option<&History>,
    (seen, own): (&[Decoded], &[Decoded]),
    score: &mut Score,
) {
    let case = Case::new(recording, conn, role, seen, own);
    match history.map(|history| testimony(conn, role, history)) {
        Some((claims, last)) => case.judge(&claims).score(last, score),
        // Nothing of the connection passed this observer, or what did says nothing of this end.
        None if case.is_silent => {}
        None => {
            score.endpoints += 1;
            score.miss(conn.number, format!("{}: no history", case.who));
        }
    }
}

/// What an endpoint's testimony is held against.
struct Case<'a> {
    truths: &'a [Truth],
    allowed: Vec<Allowance>,
    end: Timestamp,
    slack: Span,
    /// Nothing that it sent passed the observer.
    is_silent: bool,
    conn: u64,
    who: String,
}

impl<'a> Case<'a> {
    fn new(
        recording: &Recording,
        conn: &'a Conn,
        role: usize,
        seen: &[Decoded],
        own: &[Decoded],
    ) -> Case<'a> {
        let truths = &conn.truths[role];
        let passage = recording.passage(conn, role, seen, own);
        let (end, transit) = (recording.end(), recording.transit());
        Case {
            truths,
            allowed: Observed { truths, passage: &passage, end, transit }.allowances(),
            end,
            slack: recording.tolerance(),
            is_silent: passage.sent.iter().all(|sent| sent.passed.is_none()),
            conn: conn.number,
            who: format!("conn {} {}", conn.number, ENDS[role]),
        }
    }

    fn judge<'b>(&'b self, claims: &'b [Transition]) -> Judge<'b> {
        let Case { truths, allowed, end, slack, conn, who, .. } = self;
        Judge { truths, claims, allowed, end: *end, slack: *slack, conn: *conn, who }
    }
}

/// One endpoint's claims before their judge.
struct Judge<'a> {
    truths: &'a [Truth],
    claims: &'a [Transition],
    allowed: &'a [Allowance],
    end: Timestamp,
    /// How far a claim's moment and the true one may be apart.
    slack: Span,
    conn: u64,
    who: &'a str,
}

impl Judge<'_> {
    fn score(&self, last: State, score: &mut Score) {
        score.endpoints += 1;
        self.score_final(last, score);
        self.score_sequence(score);
        self.score_time(score);
        self.claims.iter().for_each(|claim| self.score_claim(claim, score));
    }

    fn score_final(&self, last: State, score: &mut Score) {
        let truth = self.truths.last().map_or(State::Unknown, |truth| truth.to);
        let allowed =
            |it: &Allowance| it.state == last && it.from <= self.end && it.until >= self.end;
        score.finals_strict += u32::from(last == truth);
        if last == truth || self.allowed.iter().any(allowed) {
            score.finals_right += 1;
        } else {
            score.miss(self.conn, format!("{}: ends {last}, truly {truth}", self.who));
        }
    }

    fn score_sequence(&self, score: &mut Score) {
        let strict = agree(
            &self.steps(|_| false),
            &self.claims.iter().map(|claim| (claim.to, false)).collect::<Vec<_>>(),
        );
        score.sequences_strict += u32::from(strict);
        let wanted = self.steps(|at| self.is_unknowable(at));
        let claimed = self.claims.iter().enumerate();
        let claimed: Vec<_> = claimed.map(|(at, claim)| (claim.to, self.is_allowed(at))).collect();
        if strict || agree(&wanted, &claimed) {
            score.sequences_right += 1;
        } else {
            let names = |steps: &[(State, bool)]| {
                steps.iter().map(|(state, _)| state.name()).collect::<Vec<_>>().join(" ")
            };
            let (said, is) = (names(&claimed), names(&wanted));
            score.miss(self.conn, format!("{}: said {said} | is {is}", self.who));
        }
    }

    fn steps(&self, optional: impl Fn(usize) -> bool) -> Vec<(State, bool)> {
        let truths = self.truths.iter().enumerate();
        truths.map(|(at, truth)| (truth.to, optional(at))).collect()
    }

    /// When the stay that a transition begins is over.
    fn left(&self, at: usize) -> Timestamp {
        self.truths.get(at + 1).map_or(self.end, |next| next.at)
    }

    /// Whether through all of a true stay another state was as good an answer.
    fn is_unknowable(&self, at: usize) -> bool {
        let (from, until) = (self.truths[at].at, self.left(at));
        let half = Span::from_nanos(until.since(from).as_nanos() / 2);
        let other = |it: &Allowance| it.state != self.truths[at].to && !it.on_way;
        self.uncovered(from, until, other) <= self.slack.min(half)
    }

    /// Whether a claimed state was at some time as good an answer as the true one.
    fn is_allowed(&self, at: usize) -> bool {
        let claim = &self.claims[at];
        let until = self.claims.get(at + 1).map_or(self.end, |next| next.at.ts).after(self.slack);
        self.allowed.iter().any(|it| {
            it.state == claim.to && it.from <= until && it.until.after(self.slack) >= claim.at.ts
        })
    }

    /// How much of a time no allowance of such a state covers.
    fn uncovered(
        &self,
        from: Timestamp,
        until: Timestamp,
        of: impl Fn(&Allowance) -> bool,
    ) -> Span {
        let mut spans: Vec<_> = self.allowed.iter().filter(|it| of(it)).collect();
        spans.sort_by_key(|it| it.from);
        let (mut now, mut open) = (from, Span::ZERO);
        for span in spans {
            if span.from > now {
                open = open.plus(span.from.min(until).since(now));
            }
            now = now.max(span.until.min(until));
        }
        open.plus(until.since(now))
    }

    /// The share of the endpoint's life in which the claimed state is right, claims being allowed
    /// to lag or lead by the slack.
    fn score_time(&self, score: &mut Score) {
        for (at, truth) in self.truths.iter().enumerate() {
            let until = self.left(at);
            let mut now = truth.at;
            while now < until {
                let state = self.claimed_at(now);
                let later = self.claims.iter().map(|claim| claim.at.ts).find(|ts| *ts > now);
                let next = later.map_or(until, |ts| ts.min(until));
                let began = now.since(self.truths[0].at);
                let span = next.since(now);
                let wrong = self.uncovered(now, next, |it| it.state == state);
                now = next;
                if state == truth.to {
                    continue;
                }
                if span > self.slack {
                    score.time_wrong_strict += u128::from(span.as_nanos());
                }
                if wrong > self.slack {
                    score.time_wrong += u128::from(wrong.as_nanos());
                    let truth = truth.to;
                    let miss =
                        format!("{}: {state} for {wrong} from +{began}, truly {truth}", self.who);
                    score.miss(self.conn, miss);
                }
            }
        }
        let life = self.truths.first().map_or(Span::ZERO, |first| self.end.since(first.at));
        score.time += u128::from(life.as_nanos());
    }

    fn claimed_at(&self, now: Timestamp) -> State {
        let newest = self.claims.iter().take_while(|claim| claim.at.ts <= now).last();
        newest.map_or(State::Unknown, |claim| claim.to)
    }

    fn score_claim(&self, claim: &Transition, score: &mut Score) {
        let confirmed = claim.confirmed.frame > 0;
        if claim.basis == Basis::Inferred && confirmed {
            score.confirmed += 1;
            let right = self.truths.iter().any(|truth| {
                truth.to == claim.to
                    && truth.at.after(TOLERANCE) >= claim.at.ts
                    && claim.confirmed.ts.after(TOLERANCE) >= truth.at
            });
            if right {
                score.confirmed_right += 1;
            } else {
                let text = format!(
                    "{}: {} at frame {} confirmed by {} does not hold the truth",
                    self.who, claim.to, claim.at.frame, claim.confirmed.frame
                );
                score.miss(self.conn, text);
            }
        }
        // It must have been in that state then, or else have passed through it.
        let was = self.truths.iter().enumerate().any(|(at, truth)| {
            let until = claim.confirmed.ts.max(claim.at.ts);
            truth.to == claim.to
                && truth.at <= until.after(self.slack)
                && claim.at.ts <= self.left(at).after(self.slack)
        });
        if is_confident(claim) && !was {
            score.confident_wrong += 1;
            let frame = claim.at.frame;
            score.miss(self.conn, format!("{}: CONFIDENT {} at frame {frame}", self.who, claim.to));
        }
    }
}

/// Whether two sequences of states are the same, but for those that either may leave out.
fn agree(truths: &[(State, bool)], claims: &[(State, bool)]) -> bool {
    match (truths.split_first(), claims.split_first()) {
        (None, None) => true,
        (None, Some((claim, claims))) => claim.1 && agree(&[], claims),
        (Some((truth, truths)), None) => truth.1 && agree(truths, &[]),
        (Some((truth, later)), Some((claim, rest))) => {
            (truth.0 == claim.0 && agree(later, rest))
                || (truth.1 && agree(later, claims))
                || (claim.1 && agree(truths, rest))
        }
    }
}

impl Score {
    fn miss(&mut self, conn: u64, text: String) {
        self.misses.push(Miss { conn, text });
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Score) {
        self.endpoints += other.endpoints;
        self.finals_right += other.finals_right;
        self.finals_strict += other.finals_strict;
        self.sequences_right += other.sequences_right;
        self.sequences_strict += other.sequences_strict;
        self.time += other.time;
        self.time_wrong += other.time_wrong;
        self.time_wrong_strict += other.time_wrong_strict;
        self.confirmed += other.confirmed;
        self.confirmed_right += other.confirmed_right;
        self.confident_wrong += other.confident_wrong;
    }

    /// Finals, sequences, time and confirmations that are right, in percent.
    pub fn shares(&self) -> [f64; 4] {
        let [finals, sequences, time] =
            shares_of(self, self.finals_right, self.sequences_right, self.time_wrong);
        let confirmed = percent(self.confirmed_right.into(), self.confirmed.into());
        [finals, sequences, time, confirmed]
    }

    /// Finals, sequences and time that are literally so, in percent.
    pub fn strict(&self) -> [f64; 3] {
        shares_of(self, self.finals_strict, self.sequences_strict, self.time_wrong_strict)
    }
}

fn shares_of(score: &Score, finals: u32, sequences: u32, wrong: u128) -> [f64; 3] {
    let ends = u128::from(score.endpoints);
    let right = score.time.saturating_sub(wrong);
    [percent(finals.into(), ends), percent(sequences.into(), ends), percent(right, score.time)]
}

fn percent(part: u128, whole: u128) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [finals, sequences, time, confirmed] = self.shares();
        write!(
            f,
            "ends {:6}  finals {finals:6.2} %  sequences {sequences:6.2} %  time {time:6.2} %  \
             confirmed {confirmed:6.2} %  confident wrong {}",
            self.endpoints, self.confident_wrong,
        )
    }
}
