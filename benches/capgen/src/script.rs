//! The eighteen classes of the `web` shape, each as the script of one connection.
//!
//! A script is written as two hosts would play it: who speaks next, and what. The times come from
//! the path: an answer takes the way from the observer to the host and back, a host's next segment
//! follows its last one closely, and acknowledgements may be delayed.

use crate::conn::{Side, Step};
use crate::frame::flag::{ACK, FIN, PSH, RST, SYN};
use crate::frame::segment_size;
use crate::rng::Rng;
use crate::truth::{Class, Later, Outcome};

const MICROS: u64 = 1000;
const MILLIS: u64 = 1_000_000;
const SECONDS: u64 = 1_000_000_000;

/// 2MSL as Linux has it.
const TIME_WAIT: u64 = 60 * SECONDS;
/// Repeats of a FIN that nobody answers.
const FIN_REPEATS: u32 = 4;

const fn class(
    name: &'static str,
    weight: u64,
    words: [&'static str; 3],
    states: [&'static str; 2],
) -> Class {
    const fn optional(word: &'static str) -> Option<&'static str> {
        if word.is_empty() { None } else { Some(word) }
    }
    let [handshake, close, closed_first] = words;
    let (close, closed_first) = (optional(close), optional(closed_first));
    let [client, server] = states;
    let outcome = Outcome { handshake, close, closed_first, client, server };
    Class { name, weight, outcome, later: None }
}

/// Its TIME_WAITs become CLOSED.
const fn waits(class: Class) -> Class {
    let close = class.outcome.close;
    let later = Later { close, client: "CLOSED", server: "CLOSED", doubt: SECONDS };
    Class { later: Some(later), ..class }
}

/// One end gives up in the end.
const fn gives_up(
    class: Class,
    close: Option<&'static str>,
    client: &'static str,
    server: &'static str,
) -> Class {
    Class { later: Some(Later { close, client, server, doubt: 2 * SECONDS }), ..class }
}

const FOUR: &str = "four-segment";
const THREE: &str = "fin-ack-skips-fin-wait-2";
const DONE: &str = "complete";
const C: &str = "client";
const S: &str = "server";
const CLOSED: &str = "CLOSED";
const WAIT: &str = "TIME_WAIT";
const OPEN: &str = "ESTABLISHED";
const LEFT: &str = "timed-out";

/// The classes, in the order of their server ports.
pub const CLASSES: [Class; 18] = [
    waits(class("four-segment-client", 200, [DONE, FOUR, C], [WAIT, CLOSED])),
    waits(class("four-segment-server", 100, [DONE, FOUR, S], [CLOSED, WAIT])),
    waits(class("three-segment-client", 150, [DONE, THREE, C], [WAIT, CLOSED])),
    waits(class("three-segment-server", 125, [DONE, THREE, S], [CLOSED, WAIT])),
    class("reset-client", 60, [DONE, "reset", C], [CLOSED, CLOSED]),
    class("reset-server", 50, [DONE, "reset", S], [CLOSED, CLOSED]),
    class("reset-after-fin", 40, [DONE, "reset", C], [CLOSED, CLOSED]),
    class("refused", 40, ["refused", "", ""], [CLOSED, CLOSED]),
    gives_up(
        class("syn-unanswered", 30, ["unanswered", "", ""], ["SYN_SENT", "UNKNOWN"]),
        None,
        CLOSED,
        "UNKNOWN",
    ),
    class("close-wait-server", 40, [DONE, "half-closed", C], ["FIN_WAIT_2", "CLOSE_WAIT"]),
    class("close-wait-client", 20, [DONE, "half-closed", S], ["CLOSE_WAIT", "FIN_WAIT_2"]),
    waits(class("half-close-data", 30, [DONE, FOUR, C], [WAIT, CLOSED])),
    waits(class("simultaneous-close", 10, [DONE, "simultaneous", "both"], [WAIT, WAIT])),
    class("left-open", 60, [DONE, "open", ""], [OPEN, OPEN]),
    waits(class("begun-before", 15, ["not-captured", FOUR, C], [WAIT, CLOSED])),
    waits(class("simultaneous-open", 10, ["simultaneous", FOUR, C], [WAIT, CLOSED])),
    gives_up(
        class("fin-unanswered", 10, [DONE, "half-closed", C], ["FIN_WAIT_1", OPEN]),
        Some(LEFT),
        CLOSED,
        OPEN,
    ),
    gives_up(
        class("last-ack-pending", 10, [DONE, "last-ack-pending", C], ["FIN_WAIT_2", "LAST_ACK"]),
        Some(LEFT),
        "FIN_WAIT_2",
        CLOSED,
    ),
];

/// A class drawn by the weights.
pub fn draw(rng: &mut Rng) -> usize {
    let mut left = rng.range(0, CLASSES.iter().map(|class| class.weight).sum());
    for (at, class) in CLASSES.iter().enumerate() {
        match left.checked_sub(class.weight) {
            None => return at,
            Some(rest) => left = rest,
        }
    }
    0
}

/// Whether a connection of the class may be followed by another on its four-tuple.
pub fn may_be_followed(class: usize) -> bool {
    class < 4
}

/// Whether the class's handshake was before the capture.
pub fn begins_before(class: usize) -> bool {
    CLASSES[class].outcome.handshake == "not-captured"
}

/// Writes scripts.
#[derive(Debug)]
pub struct Script<'a> {
    /// The steps so far.
    pub steps: &'a mut Vec<Step>,
    /// Nanoseconds from the marked step until the timer runs out; 0 for no timer.
    pub timer: u64,
    /// Added to the wait of the next segment.
    extra: u64,
    rng: &'a mut Rng,
    /// From the observer to the client and back, in nanoseconds, and the same for the server.
    path: [u64; 2],
    segment: u16,
}

impl<'a> Script<'a> {
    /// An empty script.
    pub fn new(steps: &'a mut Vec<Step>, rng: &'a mut Rng, v6: bool, timestamps: bool) -> Self {
        steps.clear();
        let path = [rng.range(200 * MICROS, 60 * MILLIS), rng.range(100 * MICROS, 5 * MILLIS)];
        Script { steps, timer: 0, extra: 0, rng, path, segment: segment_size(v6, timestamps) }
    }

    /// Writes the class's whole script.
    pub fn write(&mut self, class: usize) {
        use Side::{Client, Server};
        match CLASSES[class].name {
            "refused" => return self.refused(),
            "syn-unanswered" => return self.unanswered(),
            "simultaneous-open" => self.open_simultaneously(),
            "begun-before" => {}
            _ => self.open(),
        }
        self.exchange();
        if self.rng.permille(400) {
            self.pause();
            self.exchange();
        }
        match CLASSES[class].name {
            "four-segment-server" => self.close_in_four(Server),
            "three-segment-client" => self.close_in_three(Client),
            "three-segment-server" => self.close_in_three(Server),
            "reset-client" => self.step(Client, RST | ACK, 0),
            "reset-server" => self.step(Server, RST | ACK, 0),
            "reset-after-fin" => self.reset_after_fin(),
            "close-wait-server" => self.half_close(Client),
            "close-wait-client" => self.half_close(Server),
            "half-close-data" => self.half_close_with_data(),
            "simultaneous-close" => self.close_simultaneously(),
            "left-open" => {}
            "fin-unanswered" => self.fin_unanswered(Client),
            "last-ack-pending" => {
                self.half_close(Client);
                self.pause();
                self.fin_unanswered(Server);
            }
            _ => self.close_in_four(Client),
        }
    }

    fn open(&mut self) {
        self.step(Side::Client, SYN, 0);
        self.step(Side::Server, SYN | ACK, 0);
        self.newest().no_ip_id = true;
        self.step(Side::Client, ACK, 0);
    }

    fn refused(&mut self) {
        self.step(Side::Client, SYN, 0);
        self.step(Side::Server, RST | ACK, 0);
        self.newest().no_ip_id = true;
    }

    /// Four SYNs, at 0, 1, 3 and 7 seconds; at 15 the client gives up.
    fn unanswered(&mut self) {
        self.step(Side::Client, SYN, 0);
        self.newest().arrives = false;
        for seconds in [1, 2, 4] {
            self.repeat(seconds * SECONDS);
        }
        self.newest().starts_timer = true;
        self.timer = 8 * SECONDS;
    }

    fn open_simultaneously(&mut self) {
        self.step(Side::Client, SYN, 0);
        self.step(Side::Server, SYN, 0);
        self.newest().wait = self.path[0] / 4;
        for side in [Side::Client, Side::Server] {
            self.step(side, SYN | ACK, 0);
            self.newest().again = true;
        }
        self.step(Side::Client, ACK, 0);
    }

    /// A request and its answer.
    fn exchange(&mut self) {
        let request = self.rng.range(80, 900) as u16;
        self.data(Side::Client, request, 1);
        if self.rng.permille(500) {
            // The answer takes longer than the acknowledgement may wait.
            self.idle(40 * MILLIS, 44 * MILLIS);
            self.step(Side::Server, ACK, 0);
            self.idle(MILLIS, 250 * MILLIS);
        } else {
            self.idle(MICROS, 35 * MILLIS);
        }
        self.answer();
    }

    /// An answer of some segments, the last one shorter, every other one acknowledged.
    fn answer(&mut self) {
        let segments = self.rng.range(1, 8);
        for at in 1..=segments {
            let last = at == segments;
            let full = self.segment;
            let payload = if last { self.rng.range(20, u64::from(full)) as u16 } else { full };
            self.data(Side::Server, payload, segments);
            if last && at % 2 == 1 && self.rng.permille(300) {
                self.idle(40 * MILLIS, 44 * MILLIS);
            }
            if last || at % 2 == 0 {
                self.step(Side::Client, ACK, 0);
            }
        }
    }

    /// A data segment. What closes a burst of `burst` segments may be lost and sent again; so many
    /// of these are that it is one in two hundred of all.
    fn data(&mut self, from: Side, payload: u16, burst: u64) {
        self.step(from, PSH | ACK, payload);
        let closes = payload < self.segment;
        if closes && self.rng.range(0, 200) < burst {
            self.newest().arrives = false;
            let timeout = self.timeout();
            self.repeat(timeout);
        }
    }

    fn close_in_four(&mut self, first: Side) {
        self.half_close(first);
        self.pause_briefly();
        self.close_second(first.peer());
    }

    fn close_in_three(&mut self, first: Side) {
        self.step(first, FIN | ACK, 0);
        self.close_second(first.peer());
    }

    /// The FIN of the end that closes second, and its acknowledgement.
    fn close_second(&mut self, second: Side) {
        self.step(second, FIN | ACK, 0);
        self.begin_time_wait();
        self.step(second.peer(), ACK, 0);
    }

    fn half_close(&mut self, first: Side) {
        self.step(first, FIN | ACK, 0);
        self.step(first.peer(), ACK, 0);
    }

    fn half_close_with_data(&mut self) {
        self.half_close(Side::Client);
        self.pause_briefly();
        self.answer();
        self.close_second(Side::Server);
    }

    fn close_simultaneously(&mut self) {
        self.step(Side::Client, FIN | ACK, 0);
        self.step(Side::Server, FIN | ACK, 0);
        self.newest().wait = self.path[1] / 4;
        self.newest().unaware = true;
        self.step(Side::Client, ACK, 0);
        self.step(Side::Server, ACK, 0);
        self.begin_time_wait();
    }

    /// The client has closed for good, and the server still sends.
    fn reset_after_fin(&mut self) {
        self.half_close(Side::Client);
        self.pause_briefly();
        let payload = self.segment;
        self.step(Side::Server, PSH | ACK, payload);
        self.step(Side::Client, RST, 0);
    }

    /// A FIN that nobody answers, though it is repeated.
    fn fin_unanswered(&mut self, from: Side) {
        self.step(from, FIN | ACK, 0);
        self.newest().arrives = false;
        let mut gap = self.timeout();
        for _ in 0..FIN_REPEATS {
            self.repeat(gap);
            gap *= 2;
        }
        self.newest().starts_timer = true;
        self.timer = gap;
    }

    fn begin_time_wait(&mut self) {
        self.newest().starts_timer = true;
        self.timer = TIME_WAIT;
    }

    /// One segment. An answer takes its time; what follows the sender's own segment does not.
    fn step(&mut self, from: Side, flags: u8, payload: u16) {
        let answers = self.steps.last().is_none_or(|last| last.from != from);
        let wait = match answers {
            true => self.path[from as usize] + self.rng.range(10 * MICROS, 200 * MICROS),
            false => self.rng.range(12 * MICROS, 60 * MICROS),
        };
        self.steps.push(Step {
            wait: wait + std::mem::take(&mut self.extra),
            from,
            flags,
            payload,
            again: false,
            arrives: true,
            unaware: false,
            starts_timer: false,
            no_ip_id: false,
        });
    }

    /// The newest segment again, `wait` later; it arrives if it is data.
    fn repeat(&mut self, wait: u64) {
        let step = *self.newest();
        let arrives = step.payload > 0;
        self.steps.push(Step { wait, again: true, arrives, ..step });
    }

    /// A retransmission timeout on this path.
    fn timeout(&mut self) -> u64 {
        self.path[0] + self.path[1] + self.rng.range(200 * MILLIS, 230 * MILLIS)
    }

    /// The next segment comes after the user's pause.
    fn pause(&mut self) {
        self.idle(100 * MILLIS, 800 * MILLIS);
    }

    /// The next segment comes after the application's.
    fn pause_briefly(&mut self) {
        self.idle(MILLIS, 30 * MILLIS);
    }

    /// The next segment comes some time later than the path alone would have it.
    fn idle(&mut self, low: u64, high: u64) {
        self.extra = self.rng.range(low, high);
    }

    fn newest(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a step was pushed")
    }
}
