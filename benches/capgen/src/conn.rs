//! One connection that is being played: its addresses, its numbers, and the segment that each step
//! of its script becomes.

use crate::frame::{Fields, flag};
use crate::rng::mix;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that opens.
    Client,
    /// The one that is called.
    Server,
}

impl Side {
    /// The other one.
    pub fn peer(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// One segment to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Nanoseconds after the step before.
    pub wait: u64,
    /// Who sends it.
    pub from: Side,
    /// Its flags.
    pub flags: u8,
    /// Its payload.
    pub payload: u16,
    /// It repeats the sender's last segment that had a sequence length.
    pub again: bool,
    /// The receiver gets it; else it is lost behind the observer.
    pub arrives: bool,
    /// It was sent before the peer's newest segment came, and acknowledges no more than before.
    pub unaware: bool,
    /// A timer that decides the connection's outcome counts from here.
    pub starts_timer: bool,
    /// Its IPv4 identification is 0, as Linux sends where no socket counts.
    pub no_ip_id: bool,
}

/// One end's numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// The next that it sends.
    next: u32,
    /// Where its last segment with a sequence length began.
    last: u32,
    /// The next that it waits for.
    received: u32,
    /// What it acknowledged last.
    acked: u32,
    /// Added to the time for its TSval.
    clock: u32,
    /// The newest TSval that it got.
    echo: u32,
}

/// Where a connection runs: what stays the same when its ports are used again.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// IPv6, else IPv4.
    pub v6: bool,
    /// With timestamps.
    pub timestamps: bool,
    /// The client's address, IPv4 in the last four bytes.
    pub client: [u8; 16],
    /// The server's.
    pub server: [u8; 16],
    /// The client's port.
    pub client_port: u16,
    /// The server's, which tells the class too.
    pub server_port: u16,
    /// Which counter of IPv4 identifications the client has.
    pub client_host: u32,
    /// Which one the server has.
    pub server_host: u32,
}

/// A connection.
#[derive(Clone, Copy, Debug)]
pub struct Conn {
    /// Where it runs.
    pub place: Place,
    ends: [Numbers; 2],
}

impl Conn {
    /// A connection that begins at `now`, in nanoseconds. Initial numbers are as RFC 6528 has
    /// them, so those of a later connection on the same four-tuple are ahead.
    pub fn new(place: Place, now: u64) -> Conn {
        let hosts = mix(word(&place.client) ^ word(&place.server).rotate_left(32));
        let ports = u64::from(place.client_port) << 16 | u64::from(place.server_port);
        let tuple = mix(hosts ^ ports);
        let ticks = (now / 64) as u32;
        let [client, server] = [tuple as u32, (tuple >> 32) as u32].map(|n| n.wrapping_add(ticks));
        let mut conn = Conn::at_numbers(place, client, server);
        conn.ends[0].clock = hosts as u32;
        conn.ends[1].clock = (hosts >> 32) as u32;
        conn
    }

    /// A connection with these initial numbers.
    pub fn at_numbers(place: Place, client: u32, server: u32) -> Conn {
        let end = |next| Numbers { next, last: next, ..Numbers::default() };
        Conn { place, ends: [end(client), end(server)] }
    }

    /// Makes it one whose handshake is over: the capture begins later.
    pub fn skip_handshake(&mut self) {
        let [client, server] = &mut self.ends;
        (client.received, server.received) = (server.next, client.next);
        (client.acked, server.acked) = (server.next, client.next);
    }

    /// Sends the step's segment at `now`.
    pub fn send(&mut self, step: &Step, now: u64, ip_id: u16) -> Fields {
        let [client, server] = &mut self.ends;
        let (own, peer) = match step.from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let acks = step.flags & flag::ACK > 0;
        if acks && !step.unaware {
            own.acked = own.received;
        }
        let marks = (step.flags & (flag::SYN | flag::FIN)).count_ones();
        let length = u32::from(step.payload) + marks;
        let seq = if step.again { own.last } else { own.next };
        if length > 0 {
            own.last = seq;
            own.next = seq.wrapping_add(length);
        }
        let refuses = step.flags & flag::RST > 0 && step.no_ip_id;
        let tsval = ((now / 1_000_000) as u32).wrapping_add(own.clock);
        let timestamps =
            (self.place.timestamps && !refuses).then_some((tsval, if acks { own.echo } else { 0 }));
        if step.arrives && step.flags & flag::RST == 0 {
            peer.received = own.next;
            peer.echo = tsval;
        }
        let window = match step.flags {
            _ if refuses => 0,
            flags if flags & flag::SYN > 0 => 64_240,
            _ => 501 + (own.received >> 12 & 7) as u16,
        };
        let (seq, ack) = (if refuses { 0 } else { seq }, if acks { own.acked } else { 0 });
        Fields { seq, ack, window, timestamps, ..self.fields(step, ip_id) }
    }

    /// What does not depend on the numbers.
    fn fields(&self, step: &Step, ip_id: u16) -> Fields {
        let place = &self.place;
        let mut fields = Fields {
            v6: place.v6,
            source: place.client,
            destination: place.server,
            source_port: place.client_port,
            destination_port: place.server_port,
            seq: 0,
            ack: 0,
            flags: step.flags,
            window: 0,
            ip_id: if step.no_ip_id { 0 } else { ip_id },
            timestamps: None,
            payload: step.payload,
        };
        if step.from == Side::Server {
            std::mem::swap(&mut fields.source, &mut fields.destination);
            std::mem::swap(&mut fields.source_port, &mut fields.destination_port);
        }
        fields
    }
}

fn word(addr: &[u8; 16]) -> u64 {
    let [.., a, b, c, d] = *addr;
    u64::from(u32::from_be_bytes([a, b, c, d])) << 8 | u64::from(addr[5])
}
