//! Where the steps of all shapes become packets of the file, and are counted.

use std::io::{self, Write};

use crate::conn::{Conn, Place, Side, Step};
use crate::file::Capture;
use crate::frame::{HEADERS_MAX, PAYLOAD_MAX, build, flag};
use crate::rng::Rng;
use crate::truth::{Truth, server_port};

/// When the captures begin: 2026-01-01T00:00:00Z.
pub const START: u64 = 1_767_225_600_000_000_000;
/// Clients' hosts, and as many counters of IPv4 identifications.
const CLIENTS: u64 = 4096;
/// Servers' hosts.
const SERVERS: u64 = 64;
/// The first port that Linux gives out.
const PORT_MIN: u64 = 32_768;
const PORTS: u64 = 28_232;

/// The file, the counts, and what all connections share.
#[derive(Debug)]
pub struct Player<W> {
    capture: Capture<W>,
    /// The counts.
    pub truth: Truth,
    /// The next IPv4 identification of each host: clients', then servers'.
    ip_ids: Vec<u16>,
    drop_permille: u64,
    dropping: Rng,
    places: u64,
    frame: Box<[u8]>,
}

impl<W: Write> Player<W> {
    /// Writes into `capture`; `drop_permille` of the packets are left out.
    pub fn new(capture: Capture<W>, truth: Truth, drop_permille: u64, seed: u64) -> Player<W> {
        let mut ids = Rng::new(seed ^ 1);
        Player {
            capture,
            truth,
            ip_ids: (0..CLIENTS + SERVERS).map(|_| ids.draw() as u16).collect(),
            drop_permille,
            dropping: Rng::new(seed ^ 2),
            places: 0,
            frame: vec![0; HEADERS_MAX + PAYLOAD_MAX].into(),
        }
    }

    /// A place that no connection had before, for a connection of the class. One in ten is IPv6,
    /// one in ten without timestamps.
    pub fn new_place(&mut self, class: usize, rng: &mut Rng) -> Place {
        let turn = self.places;
        self.places += 1;
        let (client, server) = (turn % CLIENTS, rng.range(0, SERVERS));
        let v6 = rng.permille(100);
        Place {
            v6,
            timestamps: !rng.permille(100),
            client: client_addr(v6, client as u32),
            server: server_addr(v6, server as u32),
            // Different starts, so that the hosts' ports do not go in step.
            client_port: (PORT_MIN + (turn / CLIENTS + client * 7919) % PORTS) as u16,
            server_port: server_port(class),
            client_host: client as u32,
            server_host: (CLIENTS + server) as u32,
        }
    }

    /// Sends a step's segment at `now`.
    pub fn send(&mut self, class: usize, conn: &mut Conn, step: &Step, now: u64) -> io::Result<()> {
        let host = match step.from {
            Side::Client => conn.place.client_host,
            Side::Server => conn.place.server_host,
        };
        let ip_id = &mut self.ip_ids[host as usize];
        if !step.no_ip_id {
            // 0 is kept for those that have none.
            *ip_id = ip_id.wrapping_add(1).max(1);
        }
        let fields = conn.send(step, now, *ip_id);
        let room = self.capture.room();
        let (kept, whole) = build(&fields, &mut self.frame, room);
        if self.drop_permille > 0 && self.dropping.permille(self.drop_permille) {
            self.truth.dropped += 1;
            return Ok(());
        }
        let opens_again = step.flags & (flag::SYN | flag::ACK) == flag::SYN | flag::ACK;
        self.truth.packet(class, step.again && !opens_again);
        self.truth.packets += 1;
        self.truth.first.get_or_insert(now);
        self.truth.last = now;
        self.capture.packet(now, &self.frame[..kept], whole as u32)
    }

    /// Closes the file and returns the counts.
    pub fn finish(self) -> io::Result<Truth> {
        self.capture.finish()?;
        Ok(self.truth)
    }
}

/// Clients stand below and above the servers in the order of addresses, so that either end of a
/// canonical four-tuple may be the client.
fn client_addr(v6: bool, host: u32) -> [u8; 16] {
    let [.., high, low] = host.to_be_bytes();
    match (v6, host % 2) {
        (false, 0) => v4([10, 1, high, low]),
        (false, _) => v4([192, 168, high, low]),
        (true, 0) => v6_addr([0, 1], high, low),
        (true, _) => v6_addr([0xf0, 1], high, low),
    }
}

fn server_addr(v6: bool, host: u32) -> [u8; 16] {
    let [.., low] = host.to_be_bytes();
    if v6 { v6_addr([0x80, 0], 0, low + 1) } else { v4([172, 20, 0, low + 1]) }
}

/// An IPv4 address in the last four bytes.
pub fn v4(addr: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[12..].copy_from_slice(&addr);
    wide
}

/// An address in the prefix kept for documentation.
fn v6_addr(net: [u8; 2], high: u8, low: u8) -> [u8; 16] {
    let [first, second] = net;
    [0x20, 1, 0x0d, 0xb8, first, second, 0, 0, 0, 0, 0, 0, 0, 0, high, low]
}
