//! One host: a smoltcp interface with one socket, and the application that a script describes.

use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::scenario::{Action, Endpoint, Open};
use crate::{Micros, NEVER};

/// The ports of A and B.
pub const PORTS: [u16; 2] = [40_000, 6_800];
/// How long a step that cannot be done yet waits for the next attempt.
const RETRY: Micros = 10_000;
const MTU: usize = 576;

/// A network card of two queues.
#[derive(Default)]
struct Card {
    inbound: VecDeque<Vec<u8>>,
    outbound: Vec<Vec<u8>>,
}

/// One end.
pub struct Host {
    index: usize,
    card: Card,
    iface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    open: Option<Open>,
    script: VecDeque<(Micros, Action)>,
    next_step: Micros,
    unsent: u32,
    reads: bool,
    marks: Option<u16>,
    /// The connection was dropped in SYN-SENT: RFC 9293 section 3.10.5 sends nothing then, and
    /// smoltcp a RST with an acknowledgement number of no meaning.
    mute: bool,
}

impl Host {
    /// A host at `index` (0 is A, 1 is B).
    pub fn new(index: usize, end: &Endpoint, seed: u64, marked: bool, timestamps: bool) -> Host {
        let mut card = Card::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed.wrapping_mul(2).wrapping_add(index as u64);
        let mut iface = Interface::new(config, &mut card, Instant::ZERO);
        iface.update_ip_addrs(|addrs| {
            addrs.push(IpCidr::new(address(index), 24)).expect("room for one address");
        });
        let buffer = |bytes: usize| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(end.buffer as usize), buffer(4_096));
        socket.set_keep_alive(end.keep_alive.map(Duration::from_micros));
        socket.set_timeout(end.timeout.map(Duration::from_micros));
        socket.set_ack_delay(end.delays_acks.then(|| Duration::from_millis(10)));
        socket.set_nagle_enabled(false);
        if timestamps {
            socket.set_tsval_generator(Some(tsval));
        }
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        let script: VecDeque<_> = end.script.iter().copied().collect();
        let (opens, open) = match end.open {
            Open::Connect(at) | Open::Listen(at) => (at, Some(end.open)),
            Open::Nobody => (NEVER, None),
        };
        let marks = marked.then_some(1);
        Host {
            index,
            card,
            iface,
            sockets,
            handle,
            open,
            script,
            next_step: opens,
            unsent: 0,
            reads: true,
            marks,
            mute: false,
        }
    }

    /// The state that the socket says it is in.
    pub fn state(&self) -> State {
        self.sockets.get::<Socket>(self.handle).state()
    }

    /// When something is to be done without a packet; [`NEVER`] if never.
    pub fn wakes_at(&mut self, now: Micros) -> Micros {
        let timer = self.iface.poll_at(instant(now), &self.sockets);
        let timer = timer.map_or(NEVER, |at| (at.total_micros().max(0) as Micros).max(now));
        timer.min(self.next_step)
    }

    /// Gives the stack one packet.
    pub fn deliver(&mut self, packet: Vec<u8>, now: Micros) {
        self.card.inbound.push_back(packet);
        self.iface.poll_ingress_single(instant(now), &mut self.card, &mut self.sockets);
    }

    /// Lets the application do one step that is due, if any; whether there was one.
    pub fn step(&mut self, now: Micros) -> bool {
        self.move_bytes();
        if now < self.next_step {
            return false;
        }
        if let Some(open) = self.open.take() {
            self.open(open);
        } else if self.unsent > 0 {
            self.next_step = now + RETRY;
            return false;
        } else if let Some((_, action)) = self.script.front().copied() {
            if !self.act(action) {
                self.next_step = now + RETRY;
                return false;
            }
            self.script.pop_front();
        }
        self.next_step = self.script.front().map_or(NEVER, |(wait, _)| now + wait);
        true
    }

    /// Lets the stack send what it has to send, and returns it.
    pub fn send(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let opening = self.state() == State::SynSent;
        self.iface.poll_egress(instant(now), &mut self.card, &mut self.sockets);
        let mut packets = std::mem::take(&mut self.card.outbound);
        if self.mute || (opening && self.state() == State::Closed) {
            packets.clear();
        }
        self.mute = false;
        for packet in &mut packets {
            self.mark(packet);
        }
        packets
    }

    /// A socket that a RST has put back to LISTEN is closed: the application takes one connection.
    pub fn close_listener(&mut self) {
        self.sockets.get_mut::<Socket>(self.handle).abort();
    }

    fn open(&mut self, open: Open) {
        let socket = self.sockets.get_mut::<Socket>(self.handle);
        let (own, peer) = (self.index, 1 - self.index);
        match open {
            Open::Connect(_) => {
                let to = (address(peer), PORTS[peer]);
                socket.connect(self.iface.context(), to, PORTS[own]).expect("a closed socket");
            }
            Open::Listen(_) => socket.listen(PORTS[own]).expect("a closed socket"),
            Open::Nobody => {}
        }
    }

    /// Does a step; `false` if it has to wait.
    fn act(&mut self, action: Action) -> bool {
        let socket = self.sockets.get_mut::<Socket>(self.handle);
        let state = socket.state();
        if matches!(state, State::Listen | State::SynSent | State::SynReceived) {
            if action == Action::Abort {
                self.mute = state == State::SynSent;
                socket.abort();
                return true;
            }
            return false;
        }
        match action {
            Action::Send(bytes) => self.unsent = bytes,
            Action::Close => socket.close(),
            Action::Abort => socket.abort(),
            Action::StopReading => self.reads = false,
            Action::Read => self.reads = true,
            Action::AwaitPeerClose => return !socket.may_recv(),
            Action::Idle => {}
        }
        self.move_bytes();
        true
    }

    /// Moves bytes from the application to the socket and back.
    fn move_bytes(&mut self) {
        let socket = self.sockets.get_mut::<Socket>(self.handle);
        if self.reads {
            while socket.can_recv() {
                let taken = socket.recv(|bytes| (bytes.len(), bytes.len()));
                if taken.is_err() {
                    break;
                }
            }
        }
        if !socket.may_send() {
            self.unsent = 0;
        }
        if self.unsent > 0 && socket.can_send() {
            let bytes = vec![b'x'; self.unsent as usize];
            self.unsent -= socket.send_slice(&bytes).unwrap_or(0) as u32;
        }
    }

    /// smoltcp leaves the IP identification zero; most stacks do not.
    fn mark(&mut self, packet: &mut [u8]) {
        let Some(mark) = &mut self.marks else { return };
        packet[4..6].copy_from_slice(&mark.to_be_bytes());
        *mark = mark.wrapping_add(1).max(1);
        packet[10..12].fill(0);
        let words = packet[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum = words.sum::<u32>();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

fn address(index: usize) -> IpAddress {
    IpAddress::v4(10, 9, 0, index as u8 + 1)
}

fn instant(now: Micros) -> Instant {
    Instant::from_micros(now as i64)
}

thread_local! {
    /// The clock that timestamps show; smoltcp asks for it without saying when.
    static CLOCK: std::cell::Cell<u32> = const { std::cell::Cell::new(1) };
}

/// Sets the clock that timestamps show.
pub fn set_clock(now: Micros) {
    CLOCK.set((now / 1_000) as u32 + 1);
}

fn tsval() -> u32 {
    CLOCK.get()
}

impl Device for Card {
    type RxToken<'a> = Inbound;
    type TxToken<'a> = Outbound<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities.medium = Medium::Ip;
        capabilities.checksum.tcp = Checksum::None;
        capabilities
    }

    fn receive(&mut self, _: Instant) -> Option<(Inbound, Outbound<'_>)> {
        let packet = self.inbound.pop_front()?;
        Some((Inbound(packet), Outbound(&mut self.outbound)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outbound<'_>> {
        Some(Outbound(&mut self.outbound))
    }
}

/// A packet for the stack.
struct Inbound(Vec<u8>);

/// The room for a packet from the stack.
struct Outbound<'a>(&'a mut Vec<Vec<u8>>);

impl phy::RxToken for Inbound {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl phy::TxToken for Outbound<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut packet = vec![0; len];
        let result = fill(&mut packet);
        self.0.push(packet);
        result
    }
}
