//! The `web` shape: many short connections of all classes, up to ten thousand at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use crate::conn::{Conn, Place, Step};
use crate::player::{Player, START};
use crate::rng::Rng;
use crate::script::{Script, begins_before, draw, may_be_followed};

/// Connections played at once, at most.
const SEATS_MAX: u64 = 10_000;
/// A four-tuple is used again after this many nanoseconds, more than Linux's tcp_tw_reuse asks for.
const REUSED_AFTER: u64 = 1_500_000_000;
/// Of a thousand connections that may be followed on their four-tuple, so many are.
const REUSED_PERMILLE: u64 = 6;

/// Where one connection after the other is played.
#[derive(Debug)]
struct Seat {
    conn: Conn,
    class: usize,
    steps: Vec<Step>,
    at: usize,
    /// Nanoseconds that the timer runs, and when it began.
    timer: u64,
    timer_since: u64,
}

/// Plays about `packets` packets; whatever has begun is played to its end.
pub fn play<W: Write>(player: &mut Player<W>, packets: u64, rng: &mut Rng) -> io::Result<()> {
    let mut agenda = BinaryHeap::new();
    let mut seats: Vec<Seat> = Vec::new();
    let mut planned = 0;
    for seat in 0..(packets / 100).clamp(16, SEATS_MAX) {
        if planned >= packets {
            break;
        }
        let now = START + rng.range(0, 1_000_000_000);
        seats.push(Seat::begin(player, rng, now, None, Vec::new()));
        planned += seats[seat as usize].steps.len() as u64;
        agenda.push(Reverse((now, seat as usize)));
    }
    while let Some(Reverse((now, at))) = agenda.pop() {
        let seat = &mut seats[at];
        let step = seat.steps[seat.at];
        player.send(seat.class, &mut seat.conn, &step, now)?;
        if step.starts_timer {
            seat.timer_since = now;
        }
        seat.at += 1;
        if let Some(next) = seat.steps.get(seat.at) {
            agenda.push(Reverse((now + next.wait, at)));
            continue;
        }
        let followed = may_be_followed(seat.class)
            && seat.conn.place.timestamps
            && rng.permille(REUSED_PERMILLE);
        if followed {
            player.truth.supersede(seat.class);
        } else if seat.timer > 0 {
            player.truth.wait(seat.class, seat.timer_since + seat.timer);
        }
        if !followed && planned >= packets {
            continue;
        }
        let begins = now + if followed { REUSED_AFTER } else { rng.range(1, 300_000_000) };
        let before = followed.then_some((seat.class, seat.conn.place));
        let steps = std::mem::take(&mut seat.steps);
        *seat = Seat::begin(player, rng, begins, before, steps);
        planned += seat.steps.len() as u64;
        agenda.push(Reverse((begins, at)));
    }
    Ok(())
}

impl Seat {
    /// A connection that begins at `now`, on the four-tuple of the one before if that is given.
    fn begin<W: Write>(
        player: &mut Player<W>,
        rng: &mut Rng,
        now: u64,
        before: Option<(usize, Place)>,
        mut steps: Vec<Step>,
    ) -> Seat {
        let (class, place) = before.unwrap_or_else(|| {
            let class = draw(rng);
            (class, player.new_place(class, rng))
        });
        let mut conn = Conn::new(place, now);
        if begins_before(class) {
            conn.skip_handshake();
        }
        player.truth.begin(class);
        let mut script = Script::new(&mut steps, rng, place.v6, place.timestamps);
        script.write(class);
        let timer = script.timer;
        Seat { conn, class, steps, at: 0, timer, timer_since: 0 }
    }
}
