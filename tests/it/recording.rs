//! Reads a recording of the kernel lab and scores finwait's histories against its truth.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use finwait::capture::{LinkType, Packet, Source};
use finwait::decode::segment::Flags;
use finwait::decode::tuple::End;
use finwait::decode::{Decoded, decode};
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::infer::state::State;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;
use finwait::time::{Span, Timestamp};
use serde_json::Value;

use crate::knowable::Truth;
use crate::passage::Passage;

/// How far a capture's clock and the kernel's may differ for one event, on top of the path's delay.
pub const TOLERANCE: Span = Span::from_millis(2);

/// One connection as the kernel tells it.
#[derive(Debug)]
pub struct Conn {
    pub number: u64,
    /// The client's and the server's.
    pub ports: [u16; 2],
    /// The transitions of client and server.
    pub truths: [Vec<Truth>; 2],
}

impl Conn {
    /// The moment of its first transition.
    fn began(&self) -> Timestamp {
        let first = self.truths.iter().filter_map(|truths| truths.first()).map(|truth| truth.at);
        first.min().unwrap_or_default()
    }
}

/// One recording: what the kernel says of each connection, and three captures.
pub struct Recording {
    pub name: String,
    /// What the path does to its packets, in words; `none` for nothing.
    pub impairment: String,
    dir: PathBuf,
    /// The client host's address.
    client: IpAddr,
    end: Timestamp,
    /// The longest that a segment took between the client's and the server's interface.
    transit: Span,
    conns: Vec<Conn>,
}

/// One packet of a capture.
struct Kept {
    link: LinkType,
    data: Vec<u8>,
    orig_len: u32,
    ts: Timestamp,
}

impl Kept {
    /// As the packet at that place of a capture, from 0.
    fn at(&self, place: usize) -> Packet<'_> {
        Packet::new(self.link, &self.data, self.orig_len, self.ts, place as u64 + 1)
    }

    fn decode(&self, place: usize) -> Option<Decoded> {
        decode(&self.at(place)).ok()
    }
}

/// What may be wrong with a capture.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// It begins after so many packets.
    Late(usize),
    /// It ends so many packets before its time.
    Early(usize),
    /// It misses every so many-th packet.
    Lossy(usize),
    /// It holds one direction only: what comes from this end.
    OneWay(End),
    /// It holds every packet twice.
    Twice,
    /// It holds 64 bytes of each packet.
    Cut,
}

impl Fault {
    fn of(self, mut packets: Vec<Kept>) -> Vec<Kept> {
        match self {
            Fault::None => {}
            Fault::Late(count) => {
                packets.drain(..count.min(packets.len()));
            }
            Fault::Early(count) => packets.truncate(packets.len().saturating_sub(count)),
            Fault::Lossy(every) => {
                let mut at = 0;
                packets.retain(|_| {
                    at += 1;
                    at % every != 0
                });
            }
            Fault::OneWay(end) => packets
                .retain(|packet| packet.decode(0).is_some_and(|decoded| decoded.sender == end)),
            Fault::Twice => {
                let copy = |packet: &Kept| Kept { data: packet.data.clone(), ..*packet };
                packets = packets.iter().flat_map(|packet| [copy(packet), copy(packet)]).collect();
            }
            Fault::Cut => packets.iter_mut().for_each(|packet| packet.data.truncate(64)),
        }
        packets
    }
}

impl Recording {
    /// All recordings below a folder, by name.
    pub fn all(root: &Path) -> Vec<Recording> {
        let mut dirs: Vec<_> = std::fs::read_dir(root)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        dirs.retain(|dir: &PathBuf| dir.join("truth.jsonl").exists());
        dirs.sort();
        dirs.iter().map(|dir| Recording::read(dir)).collect()
    }

    fn read(dir: &Path) -> Recording {
        let text = std::fs::read_to_string(dir.join("truth.jsonl")).expect("a truth");
        let mut recording = Recording {
            name: dir.file_name().unwrap().to_string_lossy().into_owned(),
            dir: dir.to_owned(),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            impairment: String::new(),
            end: Timestamp::default(),
            transit: Span::ZERO,
            conns: Vec::new(),
        };
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            if let Some(impairment) = line["impairment"].as_str() {
                recording.impairment = impairment.to_owned();
                let client = line["endpoints"]["client"].as_str().expect("the client's address");
                recording.client = client.parse::<SocketAddr>().expect("an address").ip();
            } else if let Some(end) = line["end_ts"].as_str() {
                recording.end = time(end);
            } else if line["to"].is_string() {
                recording.take_truth(&line);
            }
        }
        recording.transit = recording.longest_transit();
        recording
    }

    fn take_truth(&mut self, line: &Value) {
        let ports = ["client_port", "server_port"].map(|it| line[it].as_u64().unwrap_or(0) as u16);
        let number = line["conn"].as_u64().unwrap_or_default();
        let state = |name: &str| {
            let name = line[name].as_str().expect("a state");
            State::from_name(name).expect("a state of RFC 9293")
        };
        let at = time(line["ts"].as_str().expect("a time"));
        let truth = Truth { from: state("from"), to: state("to"), at };
        let known = self.conns.iter().position(|it| (it.number, it.ports) == (number, ports));
        let place = known.unwrap_or_else(|| {
            self.conns.push(Conn { number, ports, truths: Default::default() });
            self.conns.len() - 1
        });
        self.conns[place].truths[usize::from(line["endpoint"] != "client")].push(truth);
    }

    /// The packets of one point's capture, as a faulty one would hold them.
    fn packets(&self, point: &str, fault: Fault) -> Vec<Kept> {
        let mut source = Source::open(self.dir.join(format!("{point}.pcap"))).expect("a capture");
        let mut packets = Vec::new();
        while let Ok(Some(packet)) = source.next_packet() {
            let (link, orig_len, ts) = (packet.link, packet.orig_len, packet.ts);
            packets.push(Kept { link, data: packet.data.to_vec(), orig_len, ts });
        }
        fault.of(packets)
    }

    /// The segments among them.
    pub fn segments(&self, point: &str, fault: Fault) -> Vec<Decoded> {
        let packets = self.packets(point, fault);
        packets.iter().enumerate().filter_map(|(at, packet)| packet.decode(at)).collect()
    }

    /// How far a claim and the truth may be apart: what a segment takes between the observer and
    /// the endpoint, and how far clocks differ.
    pub fn tolerance(&self) -> Span {
        TOLERANCE.plus(self.transit)
    }

    /// The longest that a segment took from one end to the other.
    pub fn transit(&self) -> Span {
        self.transit
    }

    /// Matches the segments that both ends' captures hold.
    fn longest_transit(&self) -> Span {
        let mark = |decoded: &Decoded| {
            let segment = decoded.segment;
            let numbers = (segment.seq.0, segment.ack.0, segment.flags.bits(), segment.ip_id);
            (decoded.tuple.to_string(), decoded.sender.index(), numbers, segment.options.timestamps)
        };
        let mut left: BTreeMap<_, Timestamp> = BTreeMap::new();
        for decoded in self.segments("client", Fault::None) {
            left.entry(mark(&decoded)).or_insert(decoded.segment.ts);
        }
        let mut longest = Span::ZERO;
        for decoded in self.segments("server", Fault::None) {
            if let Some(ts) = left.remove(&mark(&decoded)) {
                let apart = ts.since(decoded.segment.ts).max(decoded.segment.ts.since(ts));
                longest = longest.max(apart);
            }
        }
        longest
    }

    /// The histories that finwait gives for one point's capture.
    pub fn histories(&self, point: &str) -> Vec<History> {
        self.faulty_histories(point, Fault::None)
    }

    /// The histories that finwait gives for a faulty capture.
    pub fn faulty_histories(&self, point: &str, fault: Fault) -> Vec<History> {
        let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
        for (at, packet) in self.packets(point, fault).iter().enumerate() {
            pipeline.packet(&packet.at(at));
        }
        pipeline.silence(self.end);
        let mut histories = pipeline.finish().0;
        histories.sort_by_key(|history| history.id);
        histories
    }

    /// The history of a connection, told from others on its ports by their order.
    pub fn history_of<'a>(&self, conn: &Conn, histories: &'a [History]) -> Option<&'a History> {
        let before = self.conns.iter().filter(|it| it.ports == conn.ports);
        let nth = before.filter(|it| it.number < conn.number).count();
        let same = |history: &&History| {
            let mut ports = Role::BOTH.map(|role| history.addr(role).port());
            let mut wanted = conn.ports;
            ports.sort_unstable();
            wanted.sort_unstable();
            ports == wanted
        };
        histories.iter().filter(same).nth(nth)
    }

    /// What became of the segments of the connection's client (0) or server (1).
    pub fn passage(&self, conn: &Conn, role: usize, seen: &[Decoded], own: &[Decoded]) -> Passage {
        let later = self.conns.iter().filter(|it| it.ports == conn.ports);
        let until = later.map(Conn::began).filter(|began| *began > conn.began()).min();
        let on_ports = |decoded: &&Decoded| {
            let mut ports = End::BOTH.map(|end| decoded.tuple.endpoint(end).port());
            let mut wanted = conn.ports;
            ports.sort_unstable();
            wanted.sort_unstable();
            ports == wanted
        };
        let of_conn = |decoded: &&Decoded| {
            let ts = decoded.segment.ts;
            let began = ts.after(TOLERANCE) >= conn.began();
            on_ports(decoded) && began && until.is_none_or(|until| ts < until)
        };
        let part = |all: &[Decoded]| all.iter().filter(of_conn).copied().collect::<Vec<_>>();
        // The next life's SYN may pass long before the kernel that it is for says a word.
        let opens = |it: &Decoded| it.segment.has(Flags::SYN) && !it.segment.has(Flags::ACK);
        let first = part(own).into_iter().find(opens).map(|it| it.segment.seq);
        let is_open_at = |ts: Timestamp| {
            let opened = |truth: &Truth| truth.to == State::Established && truth.at < ts;
            conn.truths.iter().flatten().any(opened)
        };
        // Before it is open, its own SYN may be sent again.
        let is_syn = |it: &&Decoded| {
            opens(it)
                && (Some(it.segment.seq) != first || is_open_at(it.segment.ts))
                && on_ports(it)
                && it.segment.ts > conn.began().after(TOLERANCE)
        };
        let next = until.map(|until| until.after(TOLERANCE));
        let before_next = |it: &&Decoded| next.is_some_and(|next| it.segment.ts <= next);
        let mut superseded = seen.iter().filter(is_syn).filter(before_next).map(|it| it.segment.ts);
        let superseded = superseded.next_back();
        let is_own = |decoded: &Decoded| {
            (decoded.tuple.endpoint(decoded.sender).ip().ip() == self.client) == (role == 0)
        };
        Passage { superseded, ..Passage::new(&part(own), &part(seen), is_own) }
    }

    /// Whether no four-tuple lives twice in it.
    pub fn has_single_lives(&self) -> bool {
        let tuples: BTreeSet<_> = self.conns().map(|conn| conn.ports).collect();
        self.conns().count() == tuples.len()
    }

    /// The connections in order.
    pub fn conns(&self) -> impl Iterator<Item = &Conn> {
        self.conns.iter()
    }

    /// When the recording ends.
    pub fn end(&self) -> Timestamp {
        self.end
    }
}

fn time(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().expect("RFC 3339");
    Timestamp::from_nanos(time.as_nanosecond() as i64)
}
