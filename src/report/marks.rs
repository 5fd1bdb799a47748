//! What a drawing of a connection says of its ends' states: entered, confirmed, refuted.

use crate::history::{History, Role};
use crate::infer::state::{Basis, State};
use crate::infer::trail::Transition;
use crate::time::Timestamp;

/// What is to be said of a state.
#[derive(Clone, Copy)]
pub(super) enum Mark<'a> {
    Entered(&'a Transition),
    Confirmed(State),
    Refuted(State),
}

impl Mark<'_> {
    /// The state, and what stands before and behind it.
    pub fn parts(&self) -> (&'static str, State, &'static str) {
        match self {
            Mark::Entered(transition) => ("", transition.to, letter(transition)),
            Mark::Confirmed(state) => ("✓", *state, ""),
            Mark::Refuted(state) => ("✗", *state, ""),
        }
    }
}

/// The letter behind a state: how it is known.
const fn letter(transition: &Transition) -> &'static str {
    match transition.basis {
        Basis::Observed => "",
        Basis::Inferred if transition.confirmed.frame > 0 => "+",
        Basis::Inferred => "~",
        Basis::Timer => "@",
        Basis::Assumed => "?",
    }
}

/// The client's marks in one row, then the server's.
pub(super) type Marks<'a> = [Vec<Mark<'a>>; 2];

/// What a frame says about the states of both ends.
pub(super) fn of_frame(history: &History, frame: u64) -> Marks<'_> {
    Role::BOTH.map(|role| {
        let end = history.end(role);
        let refuted = history.refuted.iter().filter(|it| it.end == end && it.by.frame == frame);
        let confirmed = history.transitions_of(role).filter(|it| it.confirmed.frame == frame);
        let entered = history.transitions_of(role).filter(|it| it.at.frame == frame);
        refuted
            .map(|it| Mark::Refuted(it.state))
            .chain(confirmed.map(|it| Mark::Confirmed(it.to)))
            .chain(entered.map(Mark::Entered))
            .collect()
    })
}

/// That of a change that stands in a row of its own.
pub(super) fn of_change<'a>(history: &History, change: &'a Transition) -> Marks<'a> {
    let role = history.role(change.end);
    Role::BOTH.map(|own| if own == role { vec![Mark::Entered(change)] } else { vec![] })
}

/// Puts a row in behind the last one that is no later.
pub(super) fn put_in<T>(rows: &mut Vec<T>, row: T, at: impl Fn(&T) -> Timestamp) {
    let place = rows.iter().rposition(|other| at(other) <= at(&row));
    rows.insert(place.map_or(0, |place| place + 1), row);
}
