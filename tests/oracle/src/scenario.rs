//! What happens in one run: two scripts, a path, what the network does to single packets.
//!
//! Everything is spelled out, down to the fate of each packet, so that a failing scenario can be
//! cut down to what matters.

use crate::Micros;

/// One step of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Puts so many bytes into the socket, and waits until they are all in it.
    Send(u32),
    /// Closes its sending half. Waits until the handshake is over: smoltcp loses count of its
    /// numbers when it is closed in SYN-RECEIVED.
    Close,
    /// Drops the connection with a RST.
    Abort,
    /// Takes no more bytes from the socket.
    StopReading,
    /// Takes bytes again.
    Read,
    /// Waits until the peer has closed or the connection is over.
    AwaitPeerClose,
    /// Does nothing, as a step of its own so that a script can wait twice.
    Idle,
}

/// How an endpoint opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Actively, after some time.
    Connect(Micros),
    /// Passively, after some time.
    Listen(Micros),
    /// Never: its host refuses.
    Nobody,
}

/// One endpoint: how it opens, and its steps, each after some time.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// How it opens.
    pub open: Open,
    /// Its steps.
    pub script: Vec<(Micros, Action)>,
    /// The interval of its keepalives, if it sends any.
    pub keep_alive: Option<Micros>,
    /// How long it waits for the peer before it aborts, if it does.
    pub timeout: Option<Micros>,
    /// Whether it delays ACKs by 10 ms.
    pub delays_acks: bool,
    /// Bytes its receive buffer holds.
    pub buffer: u32,
}

/// What the network does to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Clean,
    /// It is lost between its sender and the observer.
    LostBefore,
    /// It is lost between the observer and its receiver.
    LostBehind,
    /// It comes so much later, and loses the time before the observer.
    LateBefore(Micros),
    /// It comes so much later, and loses the time behind the observer.
    LateBehind(Micros),
    /// The network doubles it before the observer; the copy comes so much later.
    TwiceBefore(Micros),
    /// The network doubles it behind the observer; the copy comes so much later.
    TwiceBehind(Micros),
}

/// Where the observer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On A's host.
    NearA,
    /// In the middle.
    Middle,
    /// On B's host.
    NearB,
}

/// For some time nothing gets through a part of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Packets from A, or from B.
    pub from_a: bool,
    /// Before the observer, or behind it.
    pub before: bool,
    /// When it begins.
    pub begins: Micros,
    /// How long it lasts.
    pub lasts: Micros,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// End A and end B.
    pub ends: [Endpoint; 2],
    /// How long a packet takes from A to B, and from B to A.
    pub delays: [Micros; 2],
    /// Where the observer stands.
    pub place: Place,
    /// What happens to the first packets of A and of B; nothing to those after.
    pub fates: [Vec<Fate>; 2],
    /// When nothing gets through.
    pub outages: Vec<Outage>,
    /// Whether packets bear an IP identification of their own.
    pub marked: bool,
    /// Whether the sockets use the timestamp option.
    pub timestamps: bool,
    /// When the capture ends.
    pub until: Micros,
    /// Where the sockets' sequence numbers begin.
    pub seed: u64,
}

impl Default for Endpoint {
    fn default() -> Self {
        Endpoint {
            open: Open::Listen(0),
            script: Vec::new(),
            keep_alive: None,
            timeout: None,
            delays_acks: false,
            buffer: 4_096,
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        let client = Endpoint { open: Open::Connect(0), ..Endpoint::default() };
        Scenario {
            ends: [client, Endpoint::default()],
            delays: [10_000; 2],
            place: Place::Middle,
            fates: [Vec::new(), Vec::new()],
            outages: Vec::new(),
            marked: true,
            timestamps: false,
            until: 150_000_000,
            seed: 1,
        }
    }
}
