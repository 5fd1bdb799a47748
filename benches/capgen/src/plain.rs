//! The shapes without scripts: `bulk`, `flood` and `concurrent`, each a stress of one part.
//!
//! `bulk` has eight connections of full segments whose sequence numbers wrap: the cost per packet,
//! and memory that must not grow. `flood` has a new four-tuple in nearly every packet: the cost per
//! connection. `concurrent` has all connections open at once and takes them in turn, so that each
//! packet finds its connection cold.

use std::io::{self, Write};

use crate::conn::{Conn, Place, Side, Step};
use crate::frame::flag::{ACK, FIN, PSH, SYN};
use crate::frame::segment_size;
use crate::player::{Player, START, v4};
use crate::rng::Rng;
use crate::truth::{Class, Later, Outcome};

const SECONDS: u64 = 1_000_000_000;

const fn outcome(handshake: &'static str, client: &'static str, server: &'static str) -> Outcome {
    Outcome { handshake, close: None, closed_first: None, client, server }
}

/// The classes of `bulk`.
pub const BULK: [Class; 1] = [Class {
    name: "bulk",
    weight: 1000,
    outcome: Outcome {
        close: Some("four-segment"),
        closed_first: Some("client"),
        ..outcome("complete", "TIME_WAIT", "CLOSED")
    },
    later: None,
}];

/// The classes of `flood`. A spoofed sender has no state to tell: `*` stands for any.
pub const FLOOD: [Class; 2] = [
    Class {
        name: "syn-alone",
        weight: 938,
        outcome: outcome("unanswered", "SYN_SENT", "UNKNOWN"),
        later: Some(LONE),
    },
    Class {
        name: "syn-answered",
        weight: 62,
        outcome: outcome("half-open", "*", "SYN_RCVD"),
        later: Some(Later { client: "*", server: "CLOSED", ..LONE }),
    },
];

/// A SYN that is not repeated when it should be has been given up, a SYN+ACK too.
const LONE: Later = Later { close: None, client: "CLOSED", server: "UNKNOWN", doubt: 5 * SECONDS };

/// The classes of `concurrent`.
pub const CONCURRENT: [Class; 1] = [Class {
    name: "open",
    weight: 1000,
    outcome: Outcome { close: Some("open"), ..outcome("complete", "ESTABLISHED", "ESTABLISHED") },
    later: None,
}];

fn step(from: Side, flags: u8, payload: u16) -> Step {
    Step {
        wait: 0,
        from,
        flags,
        payload,
        again: false,
        arrives: true,
        unaware: false,
        starts_timer: false,
        no_ip_id: flags == SYN | ACK,
    }
}

const OPENING: [(Side, u8); 3] =
    [(Side::Client, SYN), (Side::Server, SYN | ACK), (Side::Client, ACK)];
const CLOSING: [(Side, u8); 4] = [
    (Side::Client, FIN | ACK),
    (Side::Server, ACK),
    (Side::Server, FIN | ACK),
    (Side::Client, ACK),
];

/// Eight downloads at ten gigabits a second, four segments to an acknowledgement.
pub fn bulk<W: Write>(player: &mut Player<W>, packets: u64, rng: &mut Rng) -> io::Result<()> {
    const CONNECTIONS: u64 = 8;
    const HEADROOM: u64 = 1 << 22;
    let mut now = START;
    let mut conns = Vec::new();
    for _ in 0..CONNECTIONS {
        let place = Place { v6: false, timestamps: true, ..player.new_place(0, rng) };
        // The server's numbers wrap after a few megabytes.
        let server = 0_u32.wrapping_sub(rng.range(1 << 20, HEADROOM) as u32);
        conns.push(Conn::at_numbers(ipv4_of(place), rng.draw() as u32, server));
        player.truth.begin(0);
    }
    let mut all = |player: &mut Player<W>, from, flags, payload, gap: u64| {
        for conn in &mut conns {
            player.send(0, conn, &step(from, flags, payload), now)?;
            now += gap;
        }
        io::Result::Ok(())
    };
    for (from, flags) in OPENING {
        all(player, from, flags, 0, 20_000)?;
    }
    let segment = segment_size(false, true);
    while player.truth.packets + CONNECTIONS * 4 < packets {
        for _ in 0..4 {
            all(player, Side::Server, ACK, segment, 1_200)?;
        }
        all(player, Side::Client, ACK, 0, 300)?;
    }
    for (from, flags) in CLOSING {
        all(player, from, flags, 0, 20_000)?;
    }
    Ok(())
}

/// A place with its addresses made IPv4.
fn ipv4_of(place: Place) -> Place {
    let host = place.client_host as u8;
    Place { client: v4([10, 1, 0, host]), server: v4([172, 20, 0, 1]), ..place }
}

/// A million SYNs a second from senders that do not exist; the server answers one in sixteen.
pub fn flood<W: Write>(player: &mut Player<W>, packets: u64, rng: &mut Rng) -> io::Result<()> {
    let mut now = START;
    let mut turn: u32 = 0;
    while player.truth.packets + player.truth.dropped < packets {
        let class = usize::from(rng.permille(FLOOD[1].weight));
        // An odd factor reaches each of the 2^24 addresses once before it begins again.
        let [_, a, b, c] = (turn.wrapping_mul(0x9e37_79b1)).to_be_bytes();
        let port = 1024 + (u64::from(turn & 0xff_ffff) % 50_000 + u64::from(turn >> 24)) % 60_000;
        let place = Place {
            v6: false,
            timestamps: false,
            client: v4([11, a, b, c]),
            server: v4([172, 20, 0, 1]),
            client_port: port as u16,
            server_port: crate::truth::server_port(class),
            client_host: turn % 4096,
            server_host: 4096,
        };
        turn += 1;
        let mut conn = Conn::new(place, now);
        player.truth.begin(class);
        player.send(class, &mut conn, &step(Side::Client, SYN, 0), now)?;
        player.truth.wait(class, now + SECONDS);
        now += 1000;
        if class == 1 {
            player.send(class, &mut conn, &step(Side::Server, SYN | ACK, 0), now)?;
            now += 1000;
        }
    }
    Ok(())
}

/// `conns` connections in turn: all open, then all speak.
pub fn concurrent<W: Write>(
    player: &mut Player<W>,
    packets: u64,
    conns: u64,
    rng: &mut Rng,
) -> io::Result<()> {
    const PAYLOAD: u16 = 120;
    // A round takes half a second at most, so that nobody would have repeated.
    let gap = (SECONDS / 2 / conns).clamp(1, 500);
    let mut now = START;
    let mut all = Vec::new();
    for _ in 0..conns {
        let place = player.new_place(0, rng);
        player.truth.begin(0);
        all.push(Conn::new(place, now));
    }
    let talk = [
        step(Side::Client, PSH | ACK, PAYLOAD),
        step(Side::Server, PSH | ACK, PAYLOAD),
        step(Side::Client, ACK, 0),
    ];
    let opening = OPENING.map(|(from, flags)| step(from, flags, 0));
    for round in opening.iter().chain(talk.iter().cycle()) {
        if player.truth.packets + player.truth.dropped >= packets {
            break;
        }
        for conn in &mut all {
            player.send(0, conn, round, now)?;
            now += gap;
        }
    }
    Ok(())
}
