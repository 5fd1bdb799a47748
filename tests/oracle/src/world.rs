//! Virtual time: plays a scenario, and keeps what was sent, what passed, what came, and every
//! state that the sockets went through with the reason for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smoltcp::socket::tcp::State;

use crate::host::{Host, set_clock};
use crate::scenario::{Fate, Place, Scenario};
use crate::{Micros, NEVER};

/// Steps after which a run that does not come to rest is stopped.
const STEPS_MAX: u32 = 20_000;
/// What a packet takes between its host and an observer on that host.
const NEAR: Micros = 5;

/// What TCP's header says, as far as states go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, if the flag is set.
    pub ack: Option<u32>,
    /// SYN.
    pub syn: bool,
    /// FIN.
    pub fin: bool,
    /// RST.
    pub rst: bool,
    /// Bytes of payload.
    pub payload: u32,
    /// The window field.
    pub window: u16,
}

/// One transmission: what a stack handed to the network once.
#[derive(Clone, Debug)]
pub struct Sent {
    /// By A (0) or B (1).
    pub by: usize,
    /// When.
    pub at: Micros,
    /// What.
    pub header: Header,
    /// The packet.
    pub packet: Vec<u8>,
    /// When it passed the observer: not at all, once, or twice.
    pub passes: Vec<Micros>,
    /// When it came to its receiver.
    pub arrivals: Vec<Micros>,
}

/// Why a socket changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It got the transmission of that number.
    Received(usize),
    /// Its application asked for it.
    Application,
    /// A timer of its own.
    Timer,
}

/// A socket changed its state.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When.
    pub at: Micros,
    /// From which.
    pub from: State,
    /// To which.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// How many transmissions there had been.
    pub sent: usize,
}

/// What happened in one run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Every transmission, in order.
    pub sent: Vec<Sent>,
    /// What A and B went through.
    pub changes: [Vec<Change>; 2],
    /// When the capture ended.
    pub until: Micros,
    /// The longest time that a packet took from its sender to the observer and on to its receiver
    /// and back.
    pub round_trip: Micros,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Pass(usize),
    Arrive(usize),
}

struct World<'a> {
    scenario: &'a Scenario,
    hosts: [Host; 2],
    queue: BinaryHeap<Reverse<(Micros, u64, Due)>>,
    ticket: u64,
    run: Run,
    counts: [usize; 2],
}

/// Plays a scenario.
pub fn play(scenario: &Scenario) -> Run {
    let host = |index: usize| {
        let Scenario { seed, marked, timestamps, .. } = *scenario;
        Host::new(index, &scenario.ends[index], seed, marked, timestamps)
    };
    let run = Run {
        sent: Vec::new(),
        changes: [Vec::new(), Vec::new()],
        until: scenario.until,
        round_trip: scenario.delays.iter().sum(),
    };
    let hosts = [host(0), host(1)];
    let queue = BinaryHeap::new();
    let mut world = World { scenario, hosts, queue, ticket: 0, run, counts: [0; 2] };
    let mut now = 0;
    for _ in 0..STEPS_MAX {
        let packet = world.queue.peek().map_or(NEVER, |Reverse((at, ..))| *at);
        let [a, b] = [0, 1].map(|end| world.hosts[end].wakes_at(now));
        let next = packet.min(a).min(b);
        if next > scenario.until {
            break;
        }
        now = next;
        set_clock(now);
        if packet == now {
            world.next_packet(now);
        } else {
            world.wake(usize::from(a != now), now);
        }
    }
    world.run
}

impl World<'_> {
    fn next_packet(&mut self, now: Micros) {
        match self.queue.pop() {
            Some(Reverse((_, _, Due::Pass(id)))) => self.run.sent[id].passes.push(now),
            Some(Reverse((_, _, Due::Arrive(id)))) => {
                let to = 1 - self.run.sent[id].by;
                self.run.sent[id].arrivals.push(now);
                let (packet, before) = (self.run.sent[id].packet.clone(), self.hosts[to].state());
                self.hosts[to].deliver(packet, now);
                self.note(to, before, Cause::Received(id), now);
                if before == State::SynReceived && self.hosts[to].state() == State::Listen {
                    self.hosts[to].close_listener();
                }
                self.wake(to, now);
            }
            None => {}
        }
    }

    /// Application and timers of one host.
    fn wake(&mut self, end: usize, now: Micros) {
        loop {
            let before = self.hosts[end].state();
            let stepped = self.hosts[end].step(now);
            self.note(end, before, Cause::Application, now);
            let before = self.hosts[end].state();
            let packets = self.hosts[end].send(now);
            self.note(end, before, Cause::Timer, now);
            let sent = !packets.is_empty();
            for packet in packets {
                self.transmit(end, packet, now);
            }
            if !stepped && !sent {
                break;
            }
        }
    }

    fn note(&mut self, end: usize, from: State, cause: Cause, at: Micros) {
        let to = self.hosts[end].state();
        if from != to {
            self.run.changes[end].push(Change { at, from, to, cause, sent: self.run.sent.len() });
        }
    }

    /// Hands a packet to the network, which decides its fate.
    fn transmit(&mut self, by: usize, packet: Vec<u8>, now: Micros) {
        let id = self.run.sent.len();
        let header = header(&packet);
        let number = self.counts[by];
        self.counts[by] += 1;
        let (passes, arrivals) = (Vec::new(), Vec::new());
        self.run.sent.push(Sent { by, at: now, header, packet, passes, arrivals });
        let fate = self.scenario.fates[by].get(number).copied().unwrap_or(Fate::Clean);
        let fate = self.possible(by, fate);
        let (before, behind) = self.legs(by);
        let late = if let Fate::LateBefore(late) = fate { late } else { 0 };
        let passes = now + before + late;
        if fate == Fate::LostBefore || self.is_out(by, true, now) {
            return;
        }
        self.pass(by, id, passes, behind, fate);
        if let Fate::TwiceBefore(later) = fate {
            self.pass(by, id, passes + later, behind, Fate::Clean);
        }
        let extra = match fate {
            Fate::LateBefore(time) | Fate::LateBehind(time) => time,
            Fate::TwiceBefore(time) | Fate::TwiceBehind(time) => time,
            _ => 0,
        };
        let total: Micros = self.scenario.delays.iter().sum::<Micros>() + extra;
        self.run.round_trip = self.run.round_trip.max(total);
    }

    fn pass(&mut self, by: usize, id: usize, at: Micros, behind: Micros, fate: Fate) {
        self.plan(at, Due::Pass(id));
        if fate == Fate::LostBehind || self.is_out(by, false, at) {
            return;
        }
        let late = if let Fate::LateBehind(late) = fate { late } else { 0 };
        self.plan(at + behind + late, Due::Arrive(id));
        if let Fate::TwiceBehind(later) = fate {
            self.plan(at + behind + later, Due::Arrive(id));
        }
    }

    fn plan(&mut self, at: Micros, due: Due) {
        self.ticket += 1;
        self.queue.push(Reverse((at, self.ticket, due)));
    }

    /// How long a packet of that end takes to the observer, and from there.
    fn legs(&self, by: usize) -> (Micros, Micros) {
        let delay = self.scenario.delays[by];
        let before = match (self.scenario.place, by) {
            (Place::Middle, _) => delay / 2,
            (Place::NearA, 0) | (Place::NearB, 1) => NEAR,
            _ => delay.saturating_sub(NEAR),
        };
        (before, delay.saturating_sub(before).max(1))
    }

    /// On the host itself nothing happens to a packet: what was to happen there happens elsewhere.
    fn possible(&self, by: usize, fate: Fate) -> Fate {
        let own = matches!((self.scenario.place, by), (Place::NearA, 0) | (Place::NearB, 1));
        let far = matches!((self.scenario.place, by), (Place::NearA, 1) | (Place::NearB, 0));
        match fate {
            Fate::LostBefore if own => Fate::LostBehind,
            Fate::LateBefore(late) if own => Fate::LateBehind(late),
            Fate::TwiceBefore(later) if own => Fate::TwiceBehind(later),
            Fate::LostBehind if far => Fate::LostBefore,
            Fate::LateBehind(late) if far => Fate::LateBefore(late),
            Fate::TwiceBehind(later) if far => Fate::TwiceBefore(later),
            fate => fate,
        }
    }

    fn is_out(&self, by: usize, before: bool, now: Micros) -> bool {
        self.scenario.outages.iter().any(|outage| {
            let own = outage.from_a == (by == 0) && outage.before == before;
            own && now >= outage.begins && now - outage.begins < outage.lasts
        })
    }
}

fn header(packet: &[u8]) -> Header {
    let tcp = &packet[20..];
    let number = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
    let flags = tcp[13];
    Header {
        seq: number(4),
        ack: (flags & 16 > 0).then(|| number(8)),
        syn: flags & 2 > 0,
        fin: flags & 1 > 0,
        rst: flags & 4 > 0,
        payload: (tcp.len() - usize::from(tcp[12] >> 4) * 4) as u32,
        window: u16::from_be_bytes([tcp[14], tcp[15]]),
    }
}

impl Header {
    /// The number behind the segment.
    pub fn end(&self) -> u32 {
        self.seq.wrapping_add(self.payload + u32::from(self.syn) + u32::from(self.fin))
    }

    /// Whether it acknowledges everything up to `number`.
    pub fn covers(&self, number: u32) -> bool {
        self.ack.is_some_and(|ack| ack.wrapping_sub(number) as i32 >= 0)
    }
}
