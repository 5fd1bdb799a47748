//! The trail of one connection: the transitions of both endpoints so far, which later segments
//! confirm or refute.
//!
//! What was believed is also what may have to be undone, so the record is the engine's only memory
//! of it: a refuted transition leaves the trail and goes to the list of refutations.

use crate::decode::tuple::End;
use crate::infer::event::Event;
use crate::infer::state::{Basis, State};
use crate::limits::{REFUTATIONS_MAX, TRANSITIONS_MAX};
use crate::time::{Span, Timestamp};

pub use crate::time::Moment;

/// One endpoint went from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose.
    pub end: End,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// What moved it.
    pub event: Event,
    /// How it is known.
    pub basis: Basis,
    /// When, and the frame that shows it.
    pub at: Moment,
    /// The endpoint's first later segment that could only follow it; frame 0 for none.
    pub confirmed: Moment,
}

impl Transition {
    /// Whether a later segment may still refute it.
    pub const fn is_open(&self) -> bool {
        matches!(self.basis, Basis::Inferred | Basis::Assumed) && self.confirmed.frame == 0
    }

    /// What confirmed it, where it is inferred.
    pub fn confirmation(&self) -> Option<Moment> {
        (self.basis == Basis::Inferred && self.confirmed.frame > 0).then_some(self.confirmed)
    }
}

/// A transition that a later segment showed never to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuted {
    /// Whose.
    pub end: End,
    /// The state that it was not in.
    pub state: State,
    /// When that was believed to begin.
    pub at: Moment,
    /// When a segment showed that, and its frame.
    pub by: Moment,
    /// Only the peer's repeat speaks against it, which a lost answer explains as well.
    pub doubted: bool,
}

/// The transitions of both endpoints, in time order, and the refuted ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    transitions: Vec<Transition>,
    refuted: Vec<Refuted>,
    /// Transitions and refutations that found no room.
    dropped: u32,
}

impl Trail {
    /// The same room, empty.
    pub(super) fn cleared(mut self) -> Trail {
        self.transitions.clear();
        self.refuted.clear();
        Trail { dropped: 0, ..self }
    }

    /// The transitions in time order.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// The refuted ones, in the order of their refutation.
    pub fn refuted(&self) -> &[Refuted] {
        &self.refuted
    }

    /// How many transitions and refutations found no room.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// The newest transition of one endpoint.
    pub fn last(&self, end: End) -> Option<&Transition> {
        self.transitions.iter().rev().find(|transition| transition.end == end)
    }

    /// The endpoint's newest transition into a state.
    pub fn newest_to(&self, end: End, state: State) -> Option<&Transition> {
        self.transitions.iter().rev().find(|t| t.end == end && t.to == state)
    }

    /// Adds a transition, at its place in time behind what stands at the same time. If the same
    /// was refuted before, what refuted it spoke against something else, unless it is only assumed
    /// now.
    pub fn push(&mut self, transition: Transition) {
        let Transition { end, to, at, basis, .. } = transition;
        if basis != Basis::Assumed {
            self.refuted.retain(|it| (it.end, it.state, it.at) != (end, to, at));
        }
        if self.transitions.len() >= TRANSITIONS_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let later =
            self.transitions.iter().rev().take_while(|t| t.at.ts > transition.at.ts).count();
        self.transitions.insert(self.transitions.len() - later, transition);
    }

    /// Confirms the endpoint's newest transition, if it is open and by one of the events.
    pub fn confirm_last(&mut self, end: End, events: &[Event], by: Moment) {
        let newest = self.transitions.iter_mut().rev().find(|transition| transition.end == end);
        if let Some(last) = newest.filter(|last| last.is_open() && events.contains(&last.event)) {
            last.confirmed = by;
        }
    }

    /// Takes the endpoint's newest transition out, to be added anew.
    pub fn retract_last(&mut self, end: End) {
        if let Some(at) = self.transitions.iter().rposition(|transition| transition.end == end) {
            self.transitions.remove(at);
        }
    }

    /// Confirms the endpoint's open transitions by one of the events, if they began so long before.
    pub fn confirm(&mut self, end: End, events: &[Event], by: Moment, before: Span) {
        for transition in self.transitions.iter_mut().rev() {
            if transition.end == end
                && transition.is_open()
                && events.contains(&transition.event)
                && by.ts.since(transition.at.ts) >= before
            {
                transition.confirmed = by;
            }
        }
    }

    /// Takes the endpoint's newest transition back if it is open and by one of the events, and
    /// returns it.
    pub fn withdraw(&mut self, end: End, events: &[Event], by: Moment) -> Option<Transition> {
        self.last(end).filter(|last| last.is_open())?;
        self.overturn(end, events, by)
    }

    /// As [`Self::withdraw`], on the word of the other end only: it may be given back.
    pub fn doubt(&mut self, end: End, events: &[Event], by: Moment) -> Option<Transition> {
        let withdrawn = self.withdraw(end, events, by)?;
        if let Some(newest) = self.refuted.last_mut().filter(|refuted| refuted.by.frame == by.frame)
        {
            newest.doubted = true;
        }
        Some(withdrawn)
    }

    /// As [`Self::withdraw`], also where a segment seemed to confirm it.
    pub fn overturn(&mut self, end: End, events: &[Event], by: Moment) -> Option<Transition> {
        let at = self.transitions.iter().rposition(|transition| transition.end == end)?;
        let wrong = self.transitions.get(at).filter(|t| events.contains(&t.event))?;
        let (state, began) = (wrong.to, wrong.at);
        if self.refuted.len() < REFUTATIONS_MAX {
            self.refuted.push(Refuted { end, state, at: began, by, doubted: false });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
        Some(self.transitions.remove(at))
    }

    /// What was doubted of the endpoint turns out to have been so: it is no refutation any more.
    pub fn undoubt(&mut self, end: End, state: State) -> Option<Refuted> {
        let same = |refuted: &Refuted| (refuted.end, refuted.state) == (end, state);
        let at = self.refuted.iter().rposition(|it| same(it) && it.doubted)?;
        Some(self.refuted.remove(at))
    }

    /// The endpoint's newest transition is by one of the events and took the place of a refuted
    /// one, not before `since`, that may have been right after all: gives it back its moment. What
    /// is refuted then is the later moment. `surely`: not even what seemed wrong beyond doubt was.
    /// Returns whether there was one.
    pub fn restore(
        &mut self,
        end: End,
        events: &[Event],
        by: Moment,
        (since, surely): (Timestamp, bool),
    ) -> bool {
        let mut own = self.transitions.iter_mut().rev().filter(|t| t.end == end);
        let Some(current) = own.next().filter(|current| events.contains(&current.event)) else {
            return false;
        };
        let same = |refuted: &Refuted| {
            refuted.end == end
                && refuted.state == current.to
                && refuted.at.ts >= since
                && (refuted.doubted || surely)
        };
        let Some(first) = self.refuted.iter().copied().find(same) else { return false };
        let before = own.next().map(|before| before.at);
        let later = Refuted { at: current.at, by, doubted: false, ..first };
        current.at = before.filter(|before| before.ts > first.at.ts).unwrap_or(first.at);
        self.refuted.retain(|refuted| !same(refuted));
        self.refuted.push(later);
        self.transitions.sort_by_key(|transition| transition.at.ts);
        true
    }

    /// Such of what was doubted of the endpoint is wrong beyond doubt.
    pub fn disprove(&mut self, end: End, such: impl Fn(&Refuted) -> bool) {
        for refuted in self.refuted.iter_mut().filter(|it| it.end == end && such(it)) {
            refuted.doubted = false;
        }
    }

    /// Whether something of the endpoint was taken back that may have been right after all.
    pub fn has_doubted(&self, end: End) -> bool {
        self.refuted.iter().any(|refuted| refuted.end == end && refuted.doubted)
    }

    /// The endpoint's newest transition to that state is no more than assumed.
    pub fn assume(&mut self, end: End, state: State) {
        let newest = self.transitions.iter_mut().rev().find(|t| t.end == end && t.to == state);
        if let Some(newest) = newest {
            (newest.basis, newest.confirmed) = (Basis::Assumed, Moment::NONE);
        }
    }

    /// Firms up what was assumed because a FIN might have gone unseen, once no such doubt is left.
    /// Who sent a RST, whether it was believed, and who gave up, is doubted for other reasons.
    pub fn settle(&mut self) {
        for transition in &mut self.transitions {
            let has_other_doubts = matches!(
                transition.event,
                Event::FoundOpen
                    | Event::SentSyn
                    | Event::SentRst
                    | Event::SentRstWithoutSocket
                    | Event::RecvRst
                    | Event::GaveUp
            );
            if transition.basis == Basis::Assumed && !has_other_doubts {
                transition.basis = transition.event.basis();
            }
        }
    }
}
