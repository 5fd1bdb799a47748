//! A client that tries many ports and says nothing to any.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::addr::{Addr, HostPort};
use crate::findings::kept::{Join, joined};
use crate::findings::rule::finding;
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::{Firsts, Stretch};
use crate::findings::waits::{had_socket, number_at_least};
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Value};
use crate::history::{Handshake, History, Role};
use crate::limits::{FIRST_LOOK_CLIENTS_MAX, SPOKEN_TO_MAX};

finding! {
    /// One host tried many ports or hosts and exchanged no data with them: a port scan.
    ///
    /// ## What it means
    ///
    /// A scanner wants to know who listens. It sends a SYN (or a FIN, or something that makes no
    /// sense) to port after port, learns from the SYN+ACK, RST or silence, and moves on. The
    /// refused connections and half-open handshakes in the same capture are its traces, not faults
    /// of your services.
    ///
    /// ## How it is inferred
    ///
    /// A client tried at least `targets_min` different addresses and ports, exchanged no payload
    /// with at least nine in ten of them, and at least half of them refused, did not answer, or
    /// never became a connection.
    ///
    /// ## When it is wrong
    ///
    /// A monitor that watches many services looks the same while most of them are down, and so does
    /// a peer-to-peer program that tries old addresses.
    ///
    /// ## What to do
    ///
    /// If the scanner is yours, leave its address out. If not, see what it found open, by
    /// `finwait list --host` with its address.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.1
    pub PORT_SCAN = {
        name: "port-scan",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            targets_min: 15.0 "targets" "Different addresses and ports that one host tried.",
        },
        scope: Grouped(|| Box::new(Scans::default())),
        raises: "0.01 > S 0:0(0) dport 1
                 0.02 < R. 0:0(0) ack 1 dport 1
                 0.03 > S 0:0(0) dport 2
                 0.03 > S 0:0(0) dport 3
                 0.03 > S 0:0(0) dport 4
                 0.03 > S 0:0(0) dport 5
                 0.03 > S 0:0(0) dport 6
                 0.03 > S 0:0(0) dport 7
                 0.03 > S 0:0(0) dport 8
                 0.03 > S 0:0(0) dport 9
                 0.04 > S 0:0(0) dport 10
                 0.04 > S 0:0(0) dport 11
                 0.04 > S 0:0(0) dport 12
                 0.04 > S 0:0(0) dport 13
                 0.04 > S 0:0(0) dport 14
                 0.04 > S 0:0(0) dport 15
                 0.05 < S. 0:0(0) ack 1 dport 15
                 0.06 > R  1:1(0) dport 15
                 5.00 end",
        // A client that tries one service that is down, again and again.
        near_miss: "0.1 1> S  0:0(0)
                    0.2 1< R. 0:0(0) ack 1
                    0.3 2> S  0:0(0)
                    0.4 2< R. 0:0(0) ack 1
                    0.5 3> S  0:0(0)
                    0.6 3< R. 0:0(0) ack 1",
    }
}

/// What is counted of one client at one service.
#[derive(Debug, Default)]
struct Tried {
    spoke: bool,
    /// Somebody listens there.
    answered: bool,
    /// A connection came of it.
    opened: bool,
    stretch: Stretch,
    first: Firsts,
}

/// What is counted of one client.
#[derive(Debug, Default)]
struct Scanner {
    targets: u64,
    silent: u64,
    open: u64,
    shut: u64,
    hosts: BTreeSet<Addr>,
    /// Other targets of it may not have been counted.
    is_cut: bool,
    stretch: Stretch,
    first: Firsts,
}

joined!(Tried { spoke, answered, opened, stretch, first });

/// What is counted of one client at the first look.
#[derive(Debug, Default)]
struct Client {
    /// Connections without data: at least as many as targets to which it said nothing.
    silent: u64,
    /// Some of the targets to which it said something, each once.
    spoken_to: Vec<HostPort>,
}

impl Join for Client {
    fn join(&mut self, other: &Client) {
        self.silent += other.silent;
        other.spoken_to.iter().for_each(|target| self.says_to(*target));
    }
}

impl Client {
    /// It exchanged data with a target, or the target with it.
    fn says_to(&mut self, target: HostPort) {
        if self.spoken_to.len() < SPOKEN_TO_MAX && !self.spoken_to.contains(&target) {
            self.spoken_to.push(target);
        }
    }

    /// Whether that alone is more than a scanner says.
    fn is_talker(&self) -> bool {
        !is_silent_to_most(self.silent, self.spoken_to.len() as u64)
    }
}

#[derive(Default)]
struct Scans {
    tried: Parties<Tried>,
    /// As long as they are few: so most that talk are no suspects, however often they are refused.
    clients: HashMap<Addr, Client, RandomState>,
}

impl Grouping for Scans {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        let silent = (targets_min(context) * 9).div_ceil(10);
        Some(Suspects::new(silent, |suspects, keys| {
            suspects.holds(keys.host(Role::Client, Role::Client))
        }))
    }

    fn suspect(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        let is_silent = !has_data(history);
        // Whoever talks to many does so in some of its connections.
        if !is_silent && !history.id.is_multiple_of(ASKED_WHO_TALKS) {
            return;
        }
        if !self.are_many() {
            let client = self.clients.entry(keys.addr(Role::Client).ip()).or_default();
            if is_silent {
                client.silent += 1;
            } else {
                client.says_to(keys.addr(Role::Server));
            }
        } else if is_silent {
            suspects.count(keys.host(Role::Client, Role::Client));
        }
    }

    fn settle(&mut self, suspects: &mut Suspects) {
        let are_many = self.are_many();
        // Where clients are many, others of their connections without data are no part of this.
        for (host, client) in self.clients.drain().filter(|(_, it)| are_many || !it.is_talker()) {
            let end = HostPort::new(host, 0);
            let group = Keys::new(end, end).host(Role::Client, Role::Client);
            (0..client.silent.min(u8::MAX.into())).for_each(|_| suspects.count(group));
        }
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, _: &Suspects) {
        let tried = self.tried.entry(Party::of(keys, Role::Client));
        tried.spoke |= has_data(history);
        let is_half = history.handshake() == Handshake::HalfOpen;
        tried.answered |= had_socket(history, Role::Server);
        tried.opened |= had_socket(history, Role::Server) && !is_half;
        tried.stretch.add(history.first.ts);
        tried.stretch.add(history.last.ts);
        tried.first.add(history.first, history.id);
        tried.first.goes_on(history.last.ts);
    }

    fn join(&mut self, other: Self) {
        let Scans { tried, clients } = other;
        self.tried.join(tried);
        for (host, client) in clients {
            self.clients.entry(host).or_default().join(&client);
        }
    }

    fn counts(&self, _: &History, _: Role, _: &Finding, _: &Context) -> bool {
        true
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        let tried = self.tried.drain();
        // Those that come first in order were kept, so of no client but the last one some are not.
        let last = tried.last().map(|(party, _)| party.host);
        let cut = last.filter(|_| self.beyond() > 0);
        // A client's parties stand together: they are in order of its address.
        for client in tried.chunk_by(|(one, _), (other, _)| one.host == other.host) {
            let is_cut = client.first().map(|(party, _)| party.host) == cut && cut.is_some();
            let mut scanner = Scanner { is_cut, ..Scanner::default() };
            client.iter().for_each(|(party, tried)| scanner.add(party, tried));
            let least = targets_min(context);
            let is_scan = scanner.targets >= least
                && is_silent_to_most(scanner.silent, scanner.targets - scanner.silent)
                && scanner.shut * 2 >= scanner.targets;
            if let (true, Some((party, _))) = (is_scan, client.first()) {
                out.push(scanner.finding(party, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.tried.beyond()
    }
}

impl Scans {
    /// Whether clients are more than are counted at the first look.
    fn are_many(&self) -> bool {
        self.clients.len() > FIRST_LOOK_CLIENTS_MAX
    }
}

/// One in so many connections with data is asked at the first look who talks to whom.
const ASKED_WHO_TALKS: u64 = 8;

/// Whether payload was exchanged.
fn has_data(history: &History) -> bool {
    history.sides.iter().any(|side| side.tally.bytes > 0)
}

/// Whether a client that said nothing to so many targets, and something to so many, said nothing to
/// nine in ten.
fn is_silent_to_most(silent: u64, spoken_to: u64) -> bool {
    silent >= spoken_to * 9
}

/// Targets that make a scan.
fn targets_min(context: &Context) -> u64 {
    context.count("targets_min").clamp(1, u64::from(u32::MAX))
}

impl Scanner {
    fn add(&mut self, party: &Party, tried: &Tried) {
        self.targets += 1;
        self.silent += u64::from(!tried.spoke);
        self.open += u64::from(tried.answered);
        self.shut += u64::from(!tried.opened);
        self.hosts.insert(party.service.ip());
        self.stretch.join(&tried.stretch);
        self.first.join(&tried.first);
    }

    fn finding(&self, party: &Party, context: &Context) -> Finding {
        let (first, last) = self.stretch.ends().unwrap_or_default();
        let length = last.since(first);
        let hosts = self.hosts.len() as u64;
        let at_least = if self.is_cut { "at least " } else { "" };
        let message = format!(
            "client {} tried {} of {} in {length} and exchanged no data with {at_least}{} of them; \
             {}: a port scan",
            party.host,
            number_at_least(self.targets, "port", self.is_cut),
            number_at_least(hosts, "host", self.is_cut),
            self.silent,
            match self.open {
                0 if self.is_cut => "none of those that were counted was open".to_owned(),
                1 => format!("{at_least}1 was open"),
                open => format!("{at_least}{open} were open"),
            },
        );
        let count = |count| Value::count(count, self.is_cut);
        let finding = self.first.finding(self.targets, party, context, message);
        // It is about the client, and all that it tried.
        Finding { service: None, ..finding }
            .lasting(length)
            .with("targets", count(self.targets))
            .with("hosts", count(hosts))
            .with("silent", count(self.silent))
            .with("open", count(self.open))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::findings::{Collector, Thresholds, check};
    use crate::testkit::connections;

    const REFUSED: &str = "0.1 > S 0:0(0)\n0.2 < R. 0:0(0) ack 1";
    const ANSWERED: &str = "0.1 > S  0:0(0)
                            0.2 < S. 0:0(0) ack 1
                            0.3 > P. 1:101(100) ack 1
                            0.4 < .  1:1(0) ack 101";

    /// It opens, and nobody says anything.
    const SILENT: &str = "0.1 > S  0:0(0)
                          0.2 < S. 0:0(0) ack 1
                          0.3 > .  1:1(0) ack 1
                          0.4 > F. 1:1(0) ack 1
                          0.5 < F. 1:1(0) ack 2
                          0.6 > .  2:2(0) ack 2";

    #[test]
    fn whoever_finds_more_than_half_open_does_not_search() {
        let told = |open: usize| {
            let mut all = histories(&(0..20).map(|server| (1, server, false)).collect::<Vec<_>>());
            let silent = &connections(SILENT)[0];
            for history in all.iter_mut().take(open) {
                let (id, tuple) = (history.id, history.tuple);
                history.clone_from(silent);
                (history.id, history.tuple) = (id, tuple);
            }
            found(&all).0.len()
        };
        assert_eq!((told(10), told(11)), (1, 0));
    }

    /// One connection for each of these: its client, its server, and whether it says something.
    fn histories(all: &[(u32, u32, bool)]) -> Vec<History> {
        let [refused, answered] = [REFUSED, ANSWERED].map(|trace| connections(trace).remove(0));
        let one = |(id, (client, server, speaks)): (u64, &(u32, u32, bool))| {
            let mut history = if *speaks { answered.clone() } else { refused.clone() };
            let [client, server] =
                [0x0a00_0000 + client, 0x0b00_0000 + server].map(|it| Addr::from(it.to_be_bytes()));
            let own = history.addr(Role::Client).ip();
            history.id = id;
            let moved = |addr| if addr == own { client } else { server };
            history.tuple = history.tuple.with_addrs(moved);
            history
        };
        (0..).zip(all).map(one).collect()
    }

    /// What a collector finds, and how many connections it would look at again.
    fn found(histories: &[History]) -> (Vec<Finding>, usize) {
        let thresholds = Thresholds::default();
        let mut collector = Collector::new(thresholds.clone(), histories.len() as u64);
        for history in histories {
            collector.take(&[(history, &Keys::of(history))], check(history, &thresholds));
        }
        let suspicions = collector.suspicions();
        let again = histories.iter().filter(|it| suspicions.concern(&Keys::of(it))).count();
        let summary =
            Collector::collect(thresholds, histories.iter(), &CaptureFacts::default()).grouped;
        (summary.into_iter().filter(|it| it.name == PORT_SCAN.name).collect(), again)
    }

    /// The same of port scans, where every connection is counted.
    fn counted(histories: &[History]) -> Vec<Finding> {
        let thresholds = Thresholds::default();
        let context = Context::new(&PORT_SCAN, &thresholds);
        let (mut scans, nobody) = (Scans::default(), Suspects::new(1, |_, _| true));
        histories.iter().for_each(|it| scans.again(it, &Keys::of(it), &context, &nobody));
        let mut all = Vec::new();
        scans.finish(&CaptureFacts::default(), &context, &mut all);
        all.sort_by_key(Finding::order);
        all
    }

    #[test]
    fn a_client_that_talks_to_many_is_no_suspect_however_many_refuse_it() {
        let talks = (0..80).map(|server| (1, server, true));
        let refused = (200..240).map(|server| (1, server, false));
        let all: Vec<_> = talks.chain(refused).collect();
        assert_eq!(found(&histories(&all)), (Vec::new(), 0));
    }

    #[test]
    fn one_that_says_just_too_much_is_no_suspect_and_one_that_does_not_is_a_scanner() {
        let tried = |silent: u32| {
            // The first and the one that is asked next say something.
            let speaks = |at: u32| at == 0 || u64::from(at) == ASKED_WHO_TALKS;
            let all = (0..silent + 2).map(|at| (1, at, speaks(at)));
            found(&histories(&all.collect::<Vec<_>>()))
        };
        assert_eq!(tried(17), (Vec::new(), 0));
        let (scans, again) = tried(18);
        assert_eq!((scans.len(), again), (1, 20));
    }

    #[test]
    fn a_scanner_is_found_among_more_clients_than_are_told_apart() {
        let clients = FIRST_LOOK_CLIENTS_MAX as u32;
        let scan =
            |servers: core::ops::Range<u32>| servers.map(move |at| (clients / 2, at, at == 0));
        let others = (0..=clients).map(|client| (client, 999, false));
        // What it says at first is much for one that tries no more.
        let all: Vec<_> = scan(0..8).chain(others).chain(scan(8..19)).collect();
        let histories = histories(&all);
        let (scans, again) = found(&histories);
        assert_eq!(scans, counted(&histories));
        assert!(scans.len() == 1 && again < 200, "{again}");
    }

    #[test]
    fn targets_beyond_the_bound_are_said_to_be_more() {
        let targets = |client: u32| (0..30).map(move |server| (client, server, false));
        let histories = histories(&targets(1).chain(targets(2)).collect::<Vec<_>>());
        let thresholds = Thresholds::default();
        let context = Context::new(&PORT_SCAN, &thresholds);
        let mut scans = Scans { tried: Parties::with_max(50), ..Scans::default() };
        let nobody = Suspects::new(1, |_, _| true);
        histories.iter().for_each(|it| scans.again(it, &Keys::of(it), &context, &nobody));
        let mut found = Vec::new();
        scans.finish(&CaptureFacts::default(), &context, &mut found);
        let [whole, cut] = &found[..] else { panic!("{found:#?}") };
        assert_eq!(whole.value("targets"), Some(&Value::Integer(30)));
        assert_eq!(cut.value("targets"), Some(&Value::AtLeast(20)));
        let said = "tried at least 20 ports of at least 20 hosts";
        assert!(cut.message.contains(said), "{}", cut.message);
        assert!(!whole.message.contains("at least"), "{}", whole.message);
    }

    proptest! {
        #[test]
        fn whoever_scans_is_suspect_whatever_else_it_says(
            all in prop::collection::vec((0..3_u32, 0..40_u32, 0..16_u32), 0..300),
            talk in 0..4_u32,
        ) {
            let all: Vec<_> = all
                .iter()
                .map(|(client, server, chance)| (*client, *server, *chance < talk * client))
                .collect();
            let histories = histories(&all);
            prop_assert_eq!(found(&histories).0, counted(&histories));
        }
    }
}
