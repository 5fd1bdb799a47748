//! Reads a recording of the kernel lab and scores finwait's histories against its truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use finwait::capture::Source;
use finwait::decode::tuple::End;
use finwait::decode::{Decoded, decode};
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::infer::state::{Basis, State};
use finwait::infer::trail::Transition;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Sink};
use finwait::time::{Span, Timestamp};
use serde_json::Value;

/// How far a capture's clock and the kernel's may differ for one event, on top of the path's delay.
const TOLERANCE: Span = Span::from_millis(2);

/// One transition of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    to: State,
    at: Timestamp,
    /// No captured segment of the connection accompanies it, and the next transition that one does
    /// accompany comes then: nobody who sees segments only can know of it before.
    unseen_until: Option<Timestamp>,
}

/// One recording: the kernel's transitions of each endpoint of each connection.
pub struct Recording {
    pub name: String,
    /// What the path does to its packets, in words; `none` for nothing.
    pub impairment: String,
    dir: PathBuf,
    end: Timestamp,
    /// The longest that a segment took between the client's and the server's interface.
    transit: Span,
    truths: BTreeMap<(u64, u16, u16, &'static str), Vec<Truth>>,
}

/// One packet of a capture.
struct Kept {
    link: u16,
    data: Vec<u8>,
    orig_len: u32,
    ts: Timestamp,
}

impl Kept {
    fn decode(&self, at: usize) -> Option<Decoded> {
        decode(self.link, &self.data, self.orig_len, self.ts, at as u64 + 1).ok()
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

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Score {
    pub endpoints: u32,
    pub finals_right: u32,
    pub sequences_right: u32,
    pub time: u128,
    pub time_right: u128,
    pub confirmed: u32,
    pub confirmed_right: u32,
    pub confident_wrong: u32,
    pub misses: Vec<String>,
}

#[derive(Default)]
struct Keep(Vec<History>);

impl Sink for Keep {
    fn finished(&mut self, history: History) {
        self.0.push(history);
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
            impairment: String::new(),
            end: Timestamp::default(),
            transit: Span::ZERO,
            truths: BTreeMap::new(),
        };
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            if let Some(impairment) = line["impairment"].as_str() {
                recording.impairment = impairment.to_owned();
            } else if let Some(end) = line["end_ts"].as_str() {
                recording.end = time(end);
            } else if let Some(to) = line["to"].as_str() {
                let role = if line["endpoint"] == "client" { "client" } else { "server" };
                let port = |name| line[name].as_u64().unwrap_or_default() as u16;
                let conn = line["conn"].as_u64().unwrap_or_default();
                let key = (conn, port("client_port"), port("server_port"), role);
                let at = time(line["ts"].as_str().expect("a time"));
                let to = State::from_name(to).expect("a state");
                recording.truths.entry(key).or_default().push(Truth { to, at, unseen_until: None });
            }
        }
        recording.transit = recording.longest_transit();
        recording
    }

    /// The packets of one point's capture, as a faulty one would hold them.
    fn packets(&self, point: &str, fault: Fault) -> Vec<Kept> {
        let mut source = Source::open(self.dir.join(format!("{point}.pcap"))).expect("a capture");
        let mut packets = Vec::new();
        while let Ok(Some(packet)) = source.next_packet() {
            let (link, orig_len, ts) = (packet.link.0, packet.orig_len, packet.ts);
            packets.push(Kept { link, data: packet.data.to_vec(), orig_len, ts });
        }
        fault.of(packets)
    }

    /// The segments among them.
    fn segments(&self, point: &str, fault: Fault) -> Vec<Decoded> {
        let packets = self.packets(point, fault);
        packets.iter().enumerate().filter_map(|(at, packet)| packet.decode(at)).collect()
    }

    fn tolerance(&self) -> Span {
        TOLERANCE.plus(self.transit)
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

    fn faulty_histories(&self, point: &str, fault: Fault) -> Vec<History> {
        let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Keep::default());
        for (at, packet) in self.packets(point, fault).iter().enumerate() {
            let frame = at as u64 + 1;
            pipeline.packet(packet.link, &packet.data, packet.orig_len, packet.ts, frame);
        }
        pipeline.silence(self.end);
        let mut histories = pipeline.finish().0.0;
        histories.sort_by_key(|history| history.id);
        histories
    }

    /// Whether no four-tuple lives twice in it.
    pub fn has_single_lives(&self) -> bool {
        let conns: BTreeSet<_> = self.truths.keys().map(|key| (key.0, key.1, key.2)).collect();
        let tuples: BTreeSet<_> = conns.iter().map(|conn| (conn.1, conn.2)).collect();
        conns.len() == tuples.len()
    }

    /// Holds one point's histories against the truth.
    pub fn score(&self, point: &str) -> Score {
        self.faulty_score(point, Fault::None)
    }

    /// Holds the histories of a faulty capture against the truth.
    pub fn faulty_score(&self, point: &str, fault: Fault) -> Score {
        let histories = self.faulty_histories(point, fault);
        let passed = self.segments(point, fault);
        let mut score = Score::default();
        let mut conns: Vec<_> = self.truths.keys().map(|key| (key.0, key.1, key.2)).collect();
        conns.dedup();
        for (conn, client_port, server_port) in conns {
            let nth = self
                .truths
                .keys()
                .filter(|k| k.1 == client_port && k.2 == server_port && k.0 < conn)
                .map(|key| key.0)
                .collect::<BTreeSet<_>>()
                .len();
            let found = histories
                .iter()
                .filter(|history| {
                    let mut ports =
                        [history.addr(Role::Client).port(), history.addr(Role::Server).port()];
                    let mut wanted = [client_port, server_port];
                    ports.sort();
                    wanted.sort();
                    ports == wanted
                })
                .nth(nth);
            for (name, role) in [("client", Role::Client), ("server", Role::Server)] {
                let key = (conn, client_port, server_port, name);
                let Some(truths) = self.truths.get(&key) else { continue };
                let truths = &self.watched(truths, &passed, [client_port, server_port]);
                let Some(history) = found else {
                    // Nothing of the connection passed this observer.
                    if truths.iter().all(|truth| truth.unseen_until == Some(self.end)) {
                        continue;
                    }
                    score.endpoints += 1;
                    score.misses.push(format!("conn {conn} {name}: no history"));
                    continue;
                };
                // Roles by port: who is client to the lab may not be to a capture that began late.
                let port = if role == Role::Client { client_port } else { server_port };
                let role = Role::BOTH
                    .into_iter()
                    .find(|role| history.addr(*role).port() == port)
                    .unwrap_or(role);
                self.score_endpoint(
                    history,
                    role,
                    truths,
                    &mut score,
                    &format!("conn {conn} {name}"),
                );
            }
        }
        score
    }

    /// Marks what happened without a segment of the connection passing the observer.
    fn watched(&self, truths: &[Truth], passed: &[Decoded], ports: [u16; 2]) -> Vec<Truth> {
        let own = |decoded: &&Decoded| {
            let [a, b] = End::BOTH.map(|end| decoded.tuple.endpoint(end).port());
            ports == [a, b] || ports == [b, a]
        };
        let times: Vec<_> = passed.iter().filter(own).map(|decoded| decoded.segment.ts).collect();
        let is_seen = |truth: &Truth| {
            let apart = |ts: &Timestamp| ts.since(truth.at).max(truth.at.since(*ts));
            times.iter().any(|ts| apart(ts) <= self.tolerance())
        };
        let mark = |(at, truth): (usize, &Truth)| {
            let next = truths.iter().skip(at + 1).find(|next| is_seen(next));
            let until = next.map_or(self.end, |next| next.at);
            Truth { unseen_until: (!is_seen(truth)).then_some(until), ..*truth }
        };
        truths.iter().enumerate().map(mark).collect()
    }

    fn score_endpoint(
        &self,
        history: &History,
        role: Role,
        truths: &[Truth],
        score: &mut Score,
        who: &str,
    ) {
        score.endpoints += 1;
        let claims: Vec<Transition> = history.transitions_of(role).copied().collect();
        let wanted = with_instants_optional(truths);
        let states: Vec<State> = wanted.iter().map(|truth| truth.to).collect();
        let claimed = claimed_states(&claims);
        let last_true = truths.last().map_or(State::Unknown, |truth| truth.to);
        let last_claimed = history.last_state(role);
        // What happened unseen at the very end is nothing that anybody can know.
        let unseen = |truth: &&Truth| truth.unseen_until.is_some_and(|until| until >= self.end);
        let hidden = truths.iter().rev().take_while(unseen).count();
        let knowable = truths.len().checked_sub(hidden + 1).and_then(|at| truths.get(at));
        let stayed = hidden > 0 && knowable.is_none_or(|truth| truth.to == last_claimed);
        if last_true == last_claimed || stayed {
            score.finals_right += 1;
        } else {
            score.misses.push(format!("{who}: ends {last_claimed}, truly {last_true}"));
        }
        if agree(&wanted, &claimed) {
            score.sequences_right += 1;
        } else {
            let names = |states: &[State]| {
                states.iter().map(|state| state.name()).collect::<Vec<_>>().join(" ")
            };
            score.misses.push(format!("{who}: said {} | is {}", names(&claimed), names(&states)));
        }
        self.score_time(&claims, truths, score, who);
        for claim in &claims {
            self.score_claim(claim, truths, score, who);
        }
    }

    /// The share of the endpoint's life in which the claimed state is the true one, claims being
    /// allowed to lag or lead by the tolerance.
    fn score_time(&self, claims: &[Transition], truths: &[Truth], score: &mut Score, who: &str) {
        let mut wrong = 0u128;
        for (at, truth) in truths.iter().enumerate() {
            let until = truths.get(at + 1).map_or(self.end, |next| next.at);
            let mut now = truth.at;
            while now < until {
                let state = state_at(claims, now);
                let next = claims
                    .iter()
                    .map(|claim| claim.at.ts)
                    .find(|ts| *ts > now)
                    .map_or(until, |ts| ts.min(until));
                let span = next.since(now);
                let hidden = truth.unseen_until.map_or(Span::ZERO, |until| until.since(now));
                let span = Span::from_nanos(span.as_nanos().saturating_sub(hidden.as_nanos()));
                if state != truth.to && span > self.tolerance() {
                    wrong += u128::from(span.as_nanos());
                    let began = now.since(truths[0].at);
                    score.misses.push(format!(
                        "{who}: {state} for {span} from +{began}, truly {}",
                        truth.to
                    ));
                }
                now = next;
            }
        }
        let Some(first) = truths.first() else { return };
        let life = u128::from(self.end.since(first.at).as_nanos());
        score.time += life;
        score.time_right += life.saturating_sub(wrong);
    }

    fn score_claim(&self, claim: &Transition, truths: &[Truth], score: &mut Score, who: &str) {
        let confirmed = claim.confirmed.frame > 0;
        if claim.basis == Basis::Inferred && confirmed {
            score.confirmed += 1;
            let early = self.tolerance();
            let right = truths.iter().any(|truth| {
                truth.to == claim.to
                    && truth.at.after(early) >= claim.at.ts
                    && claim.confirmed.ts.after(early) >= truth.at
            });
            if right {
                score.confirmed_right += 1;
            } else {
                score.misses.push(format!(
                    "{who}: {} at frame {} confirmed by {} does not hold the truth",
                    claim.to, claim.at.frame, claim.confirmed.frame
                ));
            }
        }
        let confident =
            claim.basis == Basis::Observed || (claim.basis == Basis::Inferred && confirmed);
        // It must have been in that state then, or else have passed through it.
        let slack = self.tolerance();
        let was = truths.iter().enumerate().any(|(at, truth)| {
            let left = truths.get(at + 1).map_or(self.end, |next| next.at);
            let until = claim.confirmed.ts.max(claim.at.ts);
            truth.to == claim.to
                && truth.at <= until.after(slack)
                && claim.at.ts <= left.after(slack)
        });
        if confident && !was {
            score.confident_wrong += 1;
            score.misses.push(format!("{who}: CONFIDENT {} at frame {}", claim.to, claim.at.frame));
        }
    }
}

/// Whether the claimed states are the true ones in order, but for those that began unseen.
fn agree(truths: &[Truth], claimed: &[State]) -> bool {
    match (truths.split_first(), claimed.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((truth, truths)), None) => truth.unseen_until.is_some() && agree(truths, &[]),
        (Some((truth, rest)), Some((state, states))) => {
            (truth.to == *state && agree(rest, states))
                || (truth.unseen_until.is_some() && agree(rest, claimed))
        }
    }
}

/// The kernel passes through some states in one go: a stay of no length may be told or not.
fn with_instants_optional(truths: &[Truth]) -> Vec<Truth> {
    const INSTANT: Span = Span::from_micros(500);
    let mut marked = truths.to_vec();
    for at in 0..truths.len().saturating_sub(1) {
        let (truth, next) = (truths[at], truths[at + 1]);
        if next.at.since(truth.at) < INSTANT && truth.to != State::CloseWait {
            marked[at].unseen_until.get_or_insert(next.at);
        }
    }
    marked
}

/// The claimed states, without those that never lasted.
fn claimed_states(claims: &[Transition]) -> Vec<State> {
    claims.iter().map(|claim| claim.to).collect()
}

fn state_at(claims: &[Transition], now: Timestamp) -> State {
    let newest = claims.iter().take_while(|claim| claim.at.ts <= now).last();
    newest.map_or(State::Unknown, |claim| claim.to)
}

fn time(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().expect("RFC 3339");
    Timestamp::from_nanos(time.as_nanosecond() as i64)
}

impl Score {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Score) {
        self.endpoints += other.endpoints;
        self.finals_right += other.finals_right;
        self.sequences_right += other.sequences_right;
        self.time += other.time;
        self.time_right += other.time_right;
        self.confirmed += other.confirmed;
        self.confirmed_right += other.confirmed_right;
        self.confident_wrong += other.confident_wrong;
    }
}

impl Score {
    /// The five shares in percent, and the count of confident falsehoods.
    pub fn shares(&self) -> [f64; 4] {
        let share = |part: u128, whole: u128| match whole {
            0 => 100.0,
            whole => part as f64 * 100.0 / whole as f64,
        };
        let count = |part: u32, whole: u32| share(part.into(), whole.into());
        [
            count(self.finals_right, self.endpoints),
            count(self.sequences_right, self.endpoints),
            share(self.time_right, self.time),
            count(self.confirmed_right, self.confirmed),
        ]
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [finals, sequences, time, confirmed] = self.shares();
        write!(
            f,
            "ends {:6}  finals {finals:6.2} %  sequences {sequences:6.2} %  time {time:6.2} %  \
             confirmed {confirmed:6.2} %  confident wrong {}",
            self.endpoints, self.confident_wrong,
        )
    }
}
