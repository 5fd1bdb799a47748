//! Counts how often finwait is right, and names what it misses.

use finwait::infer::state::{Basis, State};

use crate::Micros;
use crate::facts::Facts;
use crate::judge::States;
use crate::scenario::Scenario;
use crate::witness::{Claim, Testimony, watch};
use crate::world::{Run, play};

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Connections.
    pub connections: u64,
    /// Endpoints that took part.
    pub endpoints: u64,
    /// Final states that are right.
    pub finals: u64,
    /// State sequences that are right.
    pub sequences: u64,
    /// Microseconds of all endpoints' lives.
    pub time: u64,
    /// Those in which the claimed state is right.
    pub time_right: u64,
    /// Those in which nobody can know the state, beyond a packet's way.
    pub time_open: u64,
    /// Transitions with a confirmation.
    pub confirmed: u64,
    /// Those whose truth lies between the claim and the confirmation.
    pub confirmed_right: u64,
    /// States claimed without reserve that never were.
    pub confident_wrong: u64,
    /// What was missed, each in one line that begins with its kind.
    pub misses: Vec<Miss>,
}

/// One thing that was missed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Miss {
    /// Its kind, the same for misses of one reason.
    pub kind: String,
    /// What exactly.
    pub what: String,
}

/// Plays a scenario and scores it.
pub fn score(scenario: &Scenario) -> (Score, Run, Testimony) {
    let run = play(scenario);
    let testimony = watch(&run);
    (hold_against(&testimony, &run), run, testimony)
}

/// Scores what was said of a run. A run of which nothing passed the observer counts for nothing.
pub fn hold_against(testimony: &Testimony, run: &Run) -> Score {
    let mut score = Score::default();
    if testimony.frames.is_empty() {
        return score;
    }
    score.connections = 1;
    for index in [0, 1] {
        let claims = &testimony.claims[index];
        match Facts::of(run, index) {
            Some(facts) => score.endpoint(&facts, claims, run, index),
            None => score.bystander(claims, index),
        }
    }
    score
}

impl Score {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Score) {
        self.connections += other.connections;
        self.endpoints += other.endpoints;
        self.finals += other.finals;
        self.sequences += other.sequences;
        self.time += other.time;
        self.time_right += other.time_right;
        self.time_open += other.time_open;
        self.confirmed += other.confirmed;
        self.confirmed_right += other.confirmed_right;
        self.confident_wrong += other.confident_wrong;
    }

    /// The five shares in percent: finals, sequences, time, confirmed, confident wrong (a count).
    pub fn shares(&self) -> [f64; 4] {
        let share = |part: u64, whole: u64| match whole {
            0 => 100.0,
            whole => part as f64 * 100.0 / whole as f64,
        };
        [
            share(self.finals, self.endpoints),
            share(self.sequences, self.endpoints),
            share(self.time_right, self.time),
            share(self.confirmed_right, self.confirmed),
        ]
    }

    /// The share of time, in percent, in which nobody can know the state.
    pub fn open_share(&self) -> f64 {
        self.time_open as f64 * 100.0 / self.time.max(1) as f64
    }

    fn miss(&mut self, kind: String, what: String) {
        self.misses.push(Miss { kind, what });
    }

    /// An end without a socket: nothing may be claimed of it for certain but that it is closed.
    fn bystander(&mut self, claims: &[Claim], index: usize) {
        for claim in claims.iter().filter(|claim| claim.is_confident()) {
            if claim.transition.to != State::Closed {
                self.confident_wrong += 1;
                let to = claim.transition.to;
                self.miss(format!("confident {to} of nobody"), format!("{}: {to}", name(index)));
            }
        }
    }

    fn endpoint(&mut self, facts: &Facts, claims: &[Claim], run: &Run, index: usize) {
        self.endpoints += 1;
        let last = claims.last().map_or(State::Unknown, |claim| claim.transition.to);
        let allowed = facts.states_at(run.until);
        match allowed.has(last) {
            true => self.finals += 1,
            false => self.miss(format!("final {last}, truly {allowed}"), name(index).to_owned()),
        }
        let misses = self.misses.len();
        let stays = self.time(facts, claims, run, index);
        match is_right_order(facts, claims, &stays) {
            true => self.sequences += 1,
            false if self.misses.len() == misses => {
                let said: Vec<_> = claims.iter().map(|claim| claim.transition.to.name()).collect();
                self.miss("sequence".to_owned(), format!("{}: {}", name(index), said.join(" ")));
            }
            false => {}
        }
        for claim in claims {
            self.claim(facts, claim, &stays, index);
        }
    }

    /// Walks through the endpoint's life, and returns the possible states of each slice of it.
    fn time(
        &mut self,
        facts: &Facts,
        claims: &[Claim],
        run: &Run,
        index: usize,
    ) -> Vec<(Micros, States)> {
        let begin = facts.opened.truth.unwrap_or(0);
        let mut edges = facts.edges();
        edges.extend(claims.iter().map(|claim| claim.at));
        edges.push(begin);
        edges.retain(|at| (begin..run.until).contains(at));
        edges.sort();
        edges.dedup();
        let mut stays = Vec::new();
        for (at, edge) in edges.iter().enumerate() {
            let span = edges.get(at + 1).unwrap_or(&run.until) - edge;
            let newest = claims.iter().rfind(|claim| claim.at <= *edge);
            let claimed = newest.map_or(State::Unknown, |claim| claim.transition.to);
            let allowed = facts.states_at(*edge);
            stays.push((*edge, allowed));
            self.time += span;
            if allowed.only().is_none() && span > run.round_trip {
                self.time_open += span;
            }
            if allowed.has(claimed) {
                self.time_right += span;
            } else {
                let because = newest.map_or("nothing", |claim| claim.transition.event.cause());
                let kind = format!("{claimed} ({because}), truly {allowed}");
                let what = format!("{}: from {edge} for {span} µs", name(index));
                self.miss(kind, what);
            }
        }
        stays
    }

    fn claim(&mut self, facts: &Facts, claim: &Claim, stays: &[(Micros, States)], index: usize) {
        let transition = claim.transition;
        let (to, cause) = (transition.to, transition.event.cause());
        let is_inferred = transition.basis == Basis::Inferred;
        if let Some(right) = facts.holds(claim).filter(|_| is_inferred) {
            self.confirmed += 1;
            self.confirmed_right += u64::from(right);
            if !right {
                let what = format!("{}: {} to {:?}", name(index), claim.at, claim.confirmed);
                self.miss(format!("confirmation of {to} ({cause}) misses the truth"), what);
            }
        }
        let ever = stays.iter().fold(facts.own_word(), |all, (_, states)| all.or(*states));
        if claim.is_confident() && !ever.has(to) {
            self.confident_wrong += 1;
            self.miss(
                format!("confident {to} ({cause})"),
                format!("{}: {}", name(index), claim.at),
            );
        }
    }
}

/// Whether the claims name every state that can be known, in order, and no other.
fn is_right_order(facts: &Facts, claims: &[Claim], stays: &[(Micros, States)]) -> bool {
    let mut sure: Vec<State> = stays.iter().filter_map(|(_, states)| states.only()).collect();
    sure.dedup();
    let mut said = claims.iter().map(|claim| claim.transition.to);
    let in_order = sure.iter().all(|state| said.any(|claimed| claimed == *state));
    // A state that was left at the same moment was possible just before.
    let around = |at: Micros| facts.states_at(at).or(facts.states_at(at.saturating_sub(1)));
    let is_possible = |claim: &Claim| around(claim.at).has(claim.transition.to);
    in_order && claims.iter().all(is_possible)
}

/// How an end is called.
pub fn name(index: usize) -> &'static str {
    ["A", "B"][index]
}
