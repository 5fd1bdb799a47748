//! Words and measures that several findings share: who an endpoint is, how long it waited, and
//! whether a CLOSE_WAIT is somebody's neglect.

pub(super) use crate::grouped::{lasting, plural as number};
use crate::history::{Handshake, History, Role, Side, Signs, Stay};
use crate::infer::endpoint::Gaps;
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::{Basis, State};
use crate::infer::trail::{Moment, Transition};
use crate::time::{Span, Timestamp};

/// A stay in one state, as far as the application kept silent in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// The stay.
    pub stay: Stay,
    /// When the silence began.
    pub since: Moment,
    /// How long it lasted.
    pub length: Span,
    /// The event that ended it, or none if it lasts.
    pub ended_by: Option<Event>,
}

impl Wait {
    /// The length in words: at least so long, where the record ended first.
    pub fn words(&self) -> String {
        lasting(self.length, self.goes_on())
    }

    /// Whether it went on when the record ended.
    pub fn goes_on(&self) -> bool {
        self.ended_by.is_none()
    }

    /// What the message about a history adds where nothing but an assumption stands behind the
    /// state.
    pub fn doubt(&self, history: &History) -> &'static str {
        match (self.stay.entered.basis, history.handshake()) {
            (Basis::Assumed, Handshake::NotCaptured) => {
                " (assumed: the capture began when the connection was open)"
            }
            (Basis::Assumed, _) => " (assumed: what was captured leaves it open)",
            _ => "",
        }
    }

    /// Whether the endpoint itself ended it, by a FIN or a RST.
    pub fn was_closed(&self) -> bool {
        const CLOSES: [Event; 3] = [Event::SentFin, Event::SentUnseenFin, Event::SentRst];
        self.ended_by.is_some_and(|event| CLOSES.contains(&event))
    }
}

/// A FIN was sent.
pub(super) const FINS: Signs = Signs::event(Event::SentFin).or(Signs::event(Event::SentUnseenFin));

/// A RST was sent.
pub(super) const RESETS: Signs =
    Signs::event(Event::SentRst).or(Signs::event(Event::SentRstWithoutSocket));

/// `server 10.9.0.2:6800`.
pub(super) fn who(history: &History, role: Role) -> String {
    format!("{} {}", role.name(), history.addr(role))
}

/// A number of things of which there may be more: `at least 2 connections`.
pub(super) fn number_at_least(count: u64, word: &str, at_least: bool) -> String {
    format!("{}{}", if at_least { "at least " } else { "" }, number(count, word))
}

/// The last stay of a role in a state, with what ended it.
pub(super) fn wait_in(history: &History, role: Role, state: State) -> Option<Wait> {
    let stay = history.stay_in(role, state)?;
    let ended_by = history.left_by(role, state);
    Some(Wait { stay, since: stay.entered.at, length: stay.dwell, ended_by })
}

/// The same, from the last data on that `speaker` sent in the direction that is still open: a
/// half-close in use is no wait.
pub(super) fn silence_in(
    history: &History,
    role: Role,
    state: State,
    speaker: Role,
) -> Option<Wait> {
    let wait = wait_in(history, role, state)?;
    let spoke = history.fact(FactKind::HalfCloseData, speaker);
    let Some(last) = spoke.map(|fact| fact.last).filter(|last| last.ts > wait.since.ts) else {
        return Some(wait);
    };
    let end = wait.stay.left.unwrap_or(history.until);
    Some(Wait { since: last, length: end.since(last.ts), ..wait })
}

/// The CLOSE_WAIT of a role, if the capture tells enough of it to name its application: the FIN
/// came, and was answered unless no answer is missing, and its own FIN would have been seen.
pub(super) fn close_wait(history: &History, role: Role) -> Option<Wait> {
    let wait = silence_in(history, role, State::CloseWait, role)?;
    // A FIN that is repeated without an answer may never have come.
    let unanswered = wait.stay.entered.is_open() && history.side(role.peer()).tally.fins > 1;
    let unseen = history.side(role).tally.segments == 0;
    (!unanswered && !unseen).then_some(wait)
}

/// Whether a role sent anything but RST. Whoever did not may never have had a socket: so a host
/// answers a scan.
pub(super) fn had_socket(history: &History, role: Role) -> bool {
    let tally = &history.side(role).tally;
    tally.segments > u64::from(tally.resets)
}

/// Whether a role sent anything beyond SYNs and RSTs. Of a server that did not, nothing shows that
/// its program ever got the connection, whose ACK may have found a full accept queue.
pub(super) fn has_spoken(history: &History, role: Role) -> bool {
    let tally = &history.side(role).tally;
    tally.segments > u64::from(tally.syns) + u64::from(tally.resets)
}

/// What a message adds where a role that disowned its connection may have closed it before, among
/// what the capture misses of it.
pub(super) fn or_closed(history: &History, role: Role) -> &'static str {
    match history.side(role).tally.missing {
        0 => "",
        _ => " (or it had closed it: bytes of it are missing from the capture, perhaps its FIN)",
    }
}

/// Whether the FIN of a role is known from nothing but its ACK.
pub(super) fn is_fin_unseen(history: &History, role: Role) -> bool {
    history.fin_of(role).is_some_and(|fin| fin.event == Event::SentUnseenFin)
}

/// The RST that a role sent, from its socket or without one.
pub(super) fn rst_of(history: &History, role: Role) -> Option<&Transition> {
    history.by_event(role, &[Event::SentRst, Event::SentRstWithoutSocket])
}

/// Whether a handshake stayed half open, and its client did not reset it: one that does has another
/// purpose, as a scan has.
pub(super) fn is_left_half_open(history: &History) -> bool {
    history.handshake() == Handshake::HalfOpen && rst_of(history, Role::Client).is_none()
}

/// The silence of both ends before a role closed, if it was a second at least. What looks like a
/// client's farewell was a request if the server answered it.
pub(super) fn silence_before_close(history: &History, role: Role) -> Option<&Fact> {
    /// The longest alert of TLS, by which a peer answers a farewell.
    const ALERT_MAX: u64 = 85;
    let silence = history.fact(FactKind::ClosedAfterIdle, role)?;
    let answered = history.side(role.peer()).tally.after_peer_fin > ALERT_MAX;
    let asked = role == Role::Client && answered && said_farewell(history, role);
    (!asked).then_some(silence)
}

/// Whether a few bytes in front of a role's FIN ended that silence, as far as its numbers tell.
pub(super) fn said_farewell(history: &History, role: Role) -> bool {
    let silence = history.fact(FactKind::ClosedAfterIdle, role);
    let fin = history.fin_of(role);
    silence.zip(fin).is_some_and(|(silence, fin)| silence.last.frame < fin.at.frame)
}

/// How long that silence was.
pub(super) fn idle_before_close(history: &History, role: Role) -> Option<Span> {
    silence_before_close(history, role).map(Fact::span)
}

/// When a role's end was over, if it is.
pub(super) fn ended(history: &History, role: Role) -> Option<Timestamp> {
    let last = history.transitions_of(role).next_back()?;
    (last.to == State::Closed).then_some(last.at.ts)
}

/// When a SYN was repeated: `, again after 1.02 s, 2.05 s, 4.1 s,`, or nothing if it was not.
pub(super) fn schedule(gaps: &Gaps) -> String {
    let times: Vec<String> = gaps.iter().map(|gap| gap.to_string()).collect();
    match times.is_empty() {
        true => String::new(),
        false => format!(", again after {},", times.join(", ")),
    }
}

/// What an end that waits for the ACK of its FIN repeats: after a loss that may be the data before
/// it, and the FIN is sent once only.
pub(super) fn repeated_in_close(side: &Side) -> &'static str {
    match u64::from(side.tally.fins) {
        0 | 1 => "the data before its FIN",
        fins if fins > u64::from(side.unanswered_at_end) => "its FIN",
        _ => "data or its FIN",
    }
}

/// What an ICMP error told a role about its segments: `; ICMP said packet too big in frame 7`.
pub(super) fn icmp_said(history: &History, role: Role) -> String {
    let end = history.end(role);
    let told =
        history.facts.iter().filter(|fact| fact.end == end).find_map(|fact| match fact.kind {
            FactKind::Icmp(error) => Some((error, fact.first.frame)),
            _ => None,
        });
    told.map_or(String::new(), |(error, frame)| {
        format!("; ICMP said {} in frame {frame}", error.name())
    })
}
