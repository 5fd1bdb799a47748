//! One connection: how long each end was in each state, and the segments that show it.
//!
//! Both ends share one axis of time. It is stretched where much happens at once: a handshake takes
//! milliseconds and a leak takes hours, and both have to be seen.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::chip;
use crate::findings::Finding;
use crate::history::{History, Role};
use crate::infer::event::Event;
use crate::infer::state::State;
use crate::infer::trail::{Moment, Transition};
use crate::report::marks::{Mark, Marks, of_change, of_frame, put_in};
use crate::report::text::{Since, dwell, plural};
use crate::run::Analysis;
use crate::time::Timestamp;

/// What the marks in the drawings mean.
pub(super) const LEGEND: &str = "Time is stretched where much happens at once. Marks after a \
                                 state: none, shown by what the endpoint itself sent; + inferred, \
                                 confirmed later; ~ inferred, not confirmed; @ by a timer; ? \
                                 assumed. ✓ confirmed here, ✗ refuted here.";

/// Rows of the ladder.
const ROWS_MAX: usize = 40;

/// The least share of the axis, in percent, that a time between two changes has.
const SHARE_MIN: f64 = 7.0;

/// Draws one connection, which is there for that finding.
pub(super) fn draw(analysis: &Analysis, history: &History, finding: &Finding) -> Markup {
    let [client, server] = Role::BOTH.map(|role| analysis.names.socket(history.addr(role)));
    let ends = ends(history);
    let axis = Axis::new(history, ends);
    html! {
        article id={ "c" (history.id) } {
            h3 { "Connection " (history.id) ": " (client) " → " (server) }
            p { span class={ "chip " (finding.severity) } { (finding.name) } " " (finding.message) }
            div class="lanes" {
                @for role in Role::BOTH {
                    div class="lane" {
                        span class="who" { (role.name()) }
                        div class="bar" { (lane(history, role, &axis)) }
                    }
                }
                div class="lane" {
                    span class="who" {}
                    div class="axis faint" {
                        span { "0" }
                        span { (ends.since(history.first.ts)) }
                    }
                }
            }
            (ladder(history))
            p class="faint" {
                "tcp.stream " (history.stream) ", frames " (history.first.frame) " to "
                (history.last.frame) ": " code { "finwait show " (history.id) }
                " has every segment."
            }
        }
    }
}

/// Where the drawing ends: where the record does, or where nothing is left of the connection.
fn ends(history: &History) -> Timestamp {
    let is_over = Role::BOTH.iter().all(|role| is_nothing(history.last_state(*role)));
    let newest = history.transitions.last().map_or(history.last.ts, |newest| newest.at.ts);
    if is_over { newest.max(history.last.ts) } else { history.until }
}

/// The moments at which something changes, and where they stand, in percent.
struct Axis {
    marks: Vec<(Timestamp, f64)>,
}

impl Axis {
    fn new(history: &History, ends: Timestamp) -> Axis {
        let changes = history.transitions.iter().map(|transition| transition.at.ts);
        let moments: BTreeSet<Timestamp> = changes.chain([history.first.ts, ends]).collect();
        let moments: Vec<Timestamp> = moments.into_iter().collect();
        let whole = ends.since(history.first.ts).as_secs_f64();
        let steps = moments.len().saturating_sub(1).max(1);
        let least = SHARE_MIN.min(70.0 / steps as f64);
        let rest = 100.0 - least * steps as f64;
        let mut marks = Vec::with_capacity(moments.len());
        let mut place = 0.0;
        let mut before = None;
        for moment in moments {
            if let Some(before) = before {
                let took = moment.since(before).as_secs_f64();
                place += least + if whole > 0.0 { rest * took / whole } else { 0.0 };
            }
            marks.push((moment, place));
            before = Some(moment);
        }
        Axis { marks }
    }

    fn at(&self, ts: Timestamp) -> f64 {
        let next = self.marks.partition_point(|(moment, _)| *moment < ts);
        self.marks.get(next).or(self.marks.last()).map_or(0.0, |(_, place)| *place).min(100.0)
    }
}

/// The stays of one end. What lasts no time has no room.
fn lane(history: &History, role: Role, axis: &Axis) -> Markup {
    html! {
        @for stay in history.stays(role) {
            @let begins = axis.at(stay.entered.at.ts);
            @let ends = stay.left.map_or(100.0, |left| axis.at(left));
            @if ends > begins && !is_nothing(stay.state) {
                @let lasted = dwell(&stay);
                @let style = format!("left:{begins:.2}%;width:{:.2}%", ends - begins);
                span class={ "stay state " (stay.state) } style=(style)
                    title={ (stay.state) " " (lasted) } {
                    (stay.state) " " (lasted)
                }
            }
        }
    }
}

/// Where there is no connection there is nothing to draw.
const fn is_nothing(state: State) -> bool {
    matches!(state, State::Closed | State::Listen)
}

/// A moment at which something is known.
struct Row<'a> {
    at: Moment,
    /// Who sent the segment, if there is one.
    from: Option<Role>,
    what: String,
    marks: Marks<'a>,
}

fn ladder(history: &History) -> Markup {
    let rows = rows(history);
    let more = rows.len().saturating_sub(ROWS_MAX);
    html! {
        div class="wide" {
            table class="ladder" {
                thead {
                    tr {
                        th scope="col" class="number" { "time" }
                        th scope="col" { "client" }
                        th scope="col" class="arrow" { "segment" }
                        th scope="col" { "server" }
                        th scope="col" class="number" { "frame" }
                    }
                }
                tbody {
                    @for row in rows.iter().take(ROWS_MAX) {
                        @let [client, server] = &row.marks;
                        tr {
                            td class="number" { (Since(row.at.ts.since(history.first.ts))) }
                            td { (marks(client)) }
                            td class="arrow" { (arrow(row)) }
                            td { (marks(server)) }
                            td class="number" { @if row.at.frame > 0 { (row.at.frame) } }
                        }
                    }
                }
            }
        }
        @if more > 0 { p { "And " (plural(more as u64, "more row")) "." } }
    }
}

fn marks(marks: &[Mark]) -> Markup {
    html! {
        @for (before, state, after) in marks.iter().map(Mark::parts) {
            span class="mark" { (before) (chip(state)) (after) }
        }
    }
}

fn arrow(row: &Row) -> String {
    match row.from {
        Some(Role::Client) => format!("{} ⟶", row.what),
        Some(Role::Server) => format!("⟵ {}", row.what),
        None => row.what.clone(),
    }
}

/// What is known, frame by frame, and between them what no frame shows.
fn rows(history: &History) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    let confirmations = history.transitions.iter().filter_map(Transition::confirmation);
    let refutations = history.refuted.iter().map(|it| it.by.frame);
    let mut frames: BTreeSet<u64> = history.transitions.iter().map(|it| it.at.frame).collect();
    frames.extend(confirmations.map(|moment| moment.frame));
    frames.extend(refutations);
    frames.remove(&0);
    for frame in frames {
        rows.extend(row(history, frame));
    }
    // A clock that was set back numbers frames in another order than their times.
    rows.sort_by_key(|row| row.at.ts);
    for transition in history.transitions.iter().filter(|it| it.at.frame == 0) {
        let (at, what) = (transition.at, transition.event.cause().to_string());
        let row = Row { at, from: None, what, marks: of_change(history, transition) };
        put_in(&mut rows, row, |row| row.at.ts);
    }
    rows
}

fn row(history: &History, frame: u64) -> Option<Row<'_>> {
    let entered: Vec<&Transition> =
        history.transitions.iter().filter(|it| it.at.frame == frame).collect();
    let confirmed: Vec<&Transition> =
        history.transitions.iter().filter(|it| it.confirmed.frame == frame).collect();
    let refuted = || history.refuted.iter().filter(|it| it.by.frame == frame);
    let changes = entered.iter().map(|it| it.at).chain(confirmed.iter().map(|it| it.confirmed));
    let at = changes.chain(refuted().map(|it| it.by)).next()?;
    let sent = entered.iter().find_map(|it| Some((history.role(it.end), sent(it.event)?)));
    // Only the endpoint itself can confirm or refute what it was taken to be in.
    let witness = confirmed.first().map(|it| it.end).or(refuted().next().map(|it| it.end));
    let received = entered.first().map(|it| (history.role(it.end).peer(), it.event));
    let (from, what) = match (sent, received, witness) {
        (Some((role, what)), ..) => (role, what.to_string()),
        (None, Some((role, event)), _) => (role, received_words(event)),
        (None, None, Some(end)) => (history.role(end), "a later segment".to_string()),
        (None, None, None) => return None,
    };
    Some(Row { at, from: Some(from), what, marks: of_frame(history, frame) })
}

/// What a change says of the segment that its own end sent.
const fn sent(event: Event) -> Option<&'static str> {
    Some(match event {
        Event::SentSyn => "SYN",
        Event::SentSynAck => "SYN+ACK",
        Event::SentFin => "FIN",
        Event::SentRst | Event::SentRstWithoutSocket => "RST",
        _ => return None,
    })
}

/// What a change says of the segment that its end received.
fn received_words(event: Event) -> String {
    let cause = event.cause();
    cause.strip_prefix("received ").unwrap_or(cause).to_string()
}
