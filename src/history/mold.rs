//! Histories of one shape: one of them is made by the engine, and the others are cast like it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::decode::tuple::End;
use crate::history::{History, Identity, Side};
use crate::infer::brief::{Key, Shape};
use crate::infer::tally::Tally;
use crate::infer::trail::{Moment, Refuted};
use crate::limits::MOLDS_MAX;
use crate::seq::SeqNum;

/// A history, and which of its shape's points each of its moments is.
#[derive(Debug)]
pub(super) struct Mold {
    history: History,
    /// Those of the transitions and of what confirmed them, of the facts' beginnings and ends, and
    /// of the last segments of client and server; then of the whole.
    transitions: Vec<[u8; 2]>,
    facts: Vec<[u8; 2]>,
    /// When what was refuted began, and when that showed.
    refuted: Vec<[u8; 2]>,
    sides: [u8; 2],
    last: u8,
}

/// The molds of all shapes so far. What found no room is made by the engine each time.
#[derive(Debug, Default)]
pub(super) struct Molds(HashMap<Key, Option<Box<Mold>>, RandomState>);

impl Molds {
    /// Casts a history of that shape, if there is a mold for it.
    pub fn cast(&self, shape: &Shape, identity: Identity, history: &mut History) -> bool {
        match self.0.get(&shape.key) {
            Some(Some(mold)) => {
                mold.cast(shape, identity, history);
                true
            }
            _ => false,
        }
    }

    /// Learns from the history that the engine has made of that shape.
    pub fn learn(&mut self, shape: &Shape, history: &History) {
        if self.0.len() < MOLDS_MAX && !self.0.contains_key(&shape.key) {
            self.0.insert(shape.key, Mold::of(shape, history).map(Box::new));
        }
    }
}

impl Mold {
    /// The mold from which that history of the shape could have been cast, if there is one.
    fn of(shape: &Shape, history: &History) -> Option<Mold> {
        let place = |moment: &Moment| {
            let at = shape.points.iter().position(|point| point == moment)?;
            u8::try_from(at).ok()
        };
        let transitions = history.transitions.iter();
        let [client, server] = &history.sides;
        let mold = Mold {
            history: history.clone(),
            transitions: transitions
                .map(|it| Some([place(&it.at)?, place(&it.confirmed)?]))
                .collect::<Option<_>>()?,
            facts: history
                .facts
                .iter()
                .map(|it| Some([place(&it.first)?, place(&it.last)?]))
                .collect::<Option<_>>()?,
            refuted: history
                .refuted
                .iter()
                .map(|it| Some([place(&it.at)?, place(&it.by)?]))
                .collect::<Option<_>>()?,
            sides: [place(&client.last)?, place(&server.last)?],
            last: place(&history.last)?,
        };
        // Where segments pass after a refutation, the engine compares more than a shape holds. But
        // behind a FIN that is sent again, which raises a doubt, there are only more of that; and
        // what else raises one passes behind a RST, where a shape has nothing but RSTs.
        let is_reset = history.sides.iter().any(|side| side.tally.resets > 0);
        let is_late = |it: &Refuted| is_reset && it.by == history.last;
        let is_plain = history.refuted.iter().all(|it| it.doubted || is_late(it))
            && history.dropped == 0
            && history.predecessor.is_none()
            && history.sides.iter().all(Side::is_plain);
        let mut again = History::empty(history.tuple);
        let History { id, stream, tuple, until, .. } = *history;
        mold.cast(shape, Identity { id, stream, tuple, until }, &mut again);
        (is_plain && again == *history).then_some(mold)
    }

    fn cast(&self, shape: &Shape, identity: Identity, history: &mut History) {
        let Identity { id, stream, tuple, until } = identity;
        let from = &self.history;
        let point = |at: u8| shape.points.get(usize::from(at)).copied().unwrap_or_default();
        (history.id, history.stream, history.tuple) = (id, stream, tuple);
        (history.client, history.roles_from) = (from.client, from.roles_from);
        (history.first, history.last) = (point(1), point(self.last));
        history.until = until.max(history.last.ts);
        history.frames = shape.sent.iter().map(|sent| sent.segments).sum();
        history.sides = from.sides;
        for (role, side) in history.sides.iter_mut().enumerate() {
            let is_a = (role == 0) == (from.client == End::A);
            let [a, b] = &shape.sent;
            let sent = if is_a { a } else { b };
            side.base_seq = sent.isn.map(|SeqNum(isn)| isn);
            (side.tally.segments, side.tally.bytes) = (sent.segments, sent.bytes);
            side.tally.after_peer_fin = sent.after_peer_fin;
            side.unanswered_since = sent.unanswered_since;
            side.last = point(self.sides[role]);
        }
        history.transitions.clone_from(&from.transitions);
        for (transition, [at, confirmed]) in history.transitions.iter_mut().zip(&self.transitions) {
            (transition.at, transition.confirmed) = (point(*at), point(*confirmed));
        }
        history.facts.clone_from(&from.facts);
        for (fact, [first, last]) in history.facts.iter_mut().zip(&self.facts) {
            (fact.first, fact.last) = (point(*first), point(*last));
        }
        history.refuted.clone_from(&from.refuted);
        for (refuted, [at, by]) in history.refuted.iter_mut().zip(&self.refuted) {
            (refuted.at, refuted.by) = (point(*at), point(*by));
        }
        (history.dropped, history.predecessor) = (0, None);
        (history.zeek, history.digest) = (from.zeek, from.digest.clone());
    }
}

impl Side {
    /// Whether nothing but what a shape holds is told of it.
    fn is_plain(&self) -> bool {
        let Tally { missing, zero_window, .. } = self.tally;
        (missing, zero_window) == Default::default()
            && self.window_closed.is_none()
            && self.syn_gaps == Default::default()
    }
}
