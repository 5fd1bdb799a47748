//! Connections that pile up in CLOSE_WAIT on one service: the classic leak.

use std::collections::BTreeMap;

use crate::addr::{Addr, HostPort};
use crate::findings::closing::health_check::{HEALTH_CHECK, health_check};
use crate::findings::kept::{Join, Kept};
use crate::findings::passive::Passive;
use crate::findings::release::Released;
use crate::findings::rule::{AnyGrouping, finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::trend::{Came, Hosts, Trend};
use crate::findings::waits::{Wait, close_wait, lasting};
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Severity, Value};
use crate::grouped::Grouped;
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;
use crate::infer::trail::Moment;
use crate::limits::SERVICES_MAX;
use crate::time::{Span, Timestamp};

finding! {
    /// Connections pile up in CLOSE_WAIT: a program does not close what its peers have closed.
    ///
    /// ## What it means
    ///
    /// Each peer sent its FIN, the kernel acknowledged it, and the program that holds the socket
    /// never called `close()`. Each such socket keeps a descriptor and its memory until the process
    /// ends, because no timer ends CLOSE_WAIT. When the descriptors run out, `accept()` fails and
    /// the service stands still. The passive side's program is to blame, not the peer that closed
    /// and not the network, and no kernel setting helps.
    ///
    /// ## How it is inferred
    ///
    /// Connections are counted per service and side: servers by their address and port, clients by
    /// their host and the service that they use. `stuck_min` stuck connections or more are a leak;
    /// a single one is only a long-close-wait.
    ///
    /// - `stuck`: CLOSE_WAIT lasted `hold_s` in silence, and the program did not end it
    /// - `open`: those of them that are still in CLOSE_WAIT; a peer can end them with a RST or a
    ///   new connection
    /// - `closed`: those of them on which this side did send its FIN or RST
    /// - `total`: all connections except health checks
    /// - `per_minute`: how many entered CLOSE_WAIT and stayed, including those too young to be
    ///   stuck, from the first of them to the capture's end
    /// - `limit_in_s`: the time until `fd_limit` descriptors are used up at that rate, while the
    ///   trend is `growing`; 0 if they already are
    ///
    /// A socket that the peer ended counts towards the limit: it is CLOSED, but keeps its
    /// descriptor until the program closes it. `trend` is the first of these that applies:
    ///
    /// - `released`: this side closed all that had been stuck, half of them or more at the same
    ///   time, as when a program ends; a warning
    /// - `ended`: none is open any more
    /// - `burst`: for `hold_s`, and for more than four times as long as all took to come, no more
    ///   have come
    /// - `steady`: for `hold_s`, and for more than five times the average time from one to the
    ///   next, no more have come
    /// - `growing`: otherwise
    ///
    /// ## When it is wrong
    ///
    /// A burst of long polls whose clients went away looks the same for a while: watch whether the
    /// number falls again. A pool that looks for dead connections every few minutes also releases
    /// them together. Long half-closes in which data flows do not count. FINs that the capture
    /// dropped look as if they were never sent; see capture-gap.
    ///
    /// ## What to do
    ///
    /// Find the process with `ss -tanp state close-wait`, then the code path that reads the end of
    /// the stream (a read of 0 bytes) and does not close: often an error path, an idle connection
    /// in a pool, an HTTP response body that nobody closed, or a descriptor that a child process
    /// inherited. Restarting the process frees the sockets but hides the bug.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.3.2 and 3.6
    pub CLOSE_WAIT_LEAK = {
        name: "close-wait-leak",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            hold_s: 60.0 "seconds" "Silence in CLOSE_WAIT after which a connection is stuck.",
            stuck_min: 3.0 "connections" "Stuck connections of one service that make it a leak.",
            fd_limit: 1024.0 "descriptors" "Descriptors that the program may have open.",
        },
        scope: Grouped(new),
        looks_for: [Signs::state(State::CloseWait)],
        raises: "0.000 > S  0:0(0)
                 0.010 < S. 0:0(0) ack 1
                 0.020 > .  1:1(0) ack 1
                 0.030 > F. 1:1(0) ack 1
                 0.040 < .  1:1(0) ack 2
                 1.000 1> S  0:0(0)
                 1.010 1< S. 0:0(0) ack 1
                 1.020 1> .  1:1(0) ack 1
                 1.030 1> F. 1:1(0) ack 1
                 1.040 1< .  1:1(0) ack 2
                 2.000 2> S  0:0(0)
                 2.010 2< S. 0:0(0) ack 1
                 2.020 2> .  1:1(0) ack 1
                 2.030 2> F. 1:1(0) ack 1
                 2.040 2< .  1:1(0) ack 2
                 70.00 end",
        // One connection is no leak, however long.
        near_miss: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             900. end"
        ),
    }
}

struct Leaks {
    parties: Parties<Passive>,
    /// The first service that a leaking host uses or offers in its other part.
    legs: [Kept<Addr, HostPort>; 2],
}

/// Of two services that a host uses or offers, the first in order.
impl Join for HostPort {
    fn join(&mut self, other: &HostPort) {
        *self = *other.min(self);
    }
}

fn new() -> Box<dyn AnyGrouping> {
    let legs = [Kept::new(SERVICES_MAX), Kept::new(SERVICES_MAX)];
    Box::new(Leaks { parties: Parties::default(), legs })
}

impl Grouping for Leaks {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        let concern = |suspects: &Suspects, keys: &Keys| {
            let is_suspect = |role: Role| {
                suspects.holds(keys.party(role)) || suspects.holds(keys.host(role, role.peer()))
            };
            Role::BOTH.into_iter().any(is_suspect)
        };
        Some(Suspects::new(context.count("stuck_min"), concern))
    }

    fn suspect(
        &mut self,
        history: &History,
        keys: &Keys,
        context: &Context,
        suspects: &mut Suspects,
    ) {
        for role in Role::BOTH {
            // Mostly one of them.
            if history.was_in(role, State::CloseWait) && waited(history, role, context).is_some() {
                suspects.count(keys.party(role));
                suspects.count(keys.host(role, role));
            }
        }
    }

    fn again(&mut self, history: &History, keys: &Keys, context: &Context, suspects: &Suspects) {
        for role in Role::BOTH {
            if suspects.holds(keys.host(role, role.peer())) {
                self.note_leg(keys, role);
            }
            if !suspects.holds(keys.party(role)) {
                continue;
            }
            let waited = waited(history, role, context);
            // Nobody's program can leak what only asks whether somebody listens.
            let is_check = health_check(history, &context.of(&HEALTH_CHECK)).is_some();
            if is_check && waited.is_none() {
                continue;
            }
            let party = self.parties.entry(Party::of(keys, role));
            party.total += 1;
            party.closed += u64::from(has_closed(history, role));
            if waited.is_some() || history.closed_first() == Some(role.peer().into()) {
                party.left += 1;
                party.leavers.add(keys.addr(role.peer()).ip());
            }
            if let Some(wait) = waited.as_ref().filter(|wait| wait.was_closed()) {
                party.released.add(history, role, wait);
            }
            let stuck = waited.filter(|wait| !wait.was_closed());
            match (stuck, history.stay_in(role, State::CloseWait)) {
                (Some(wait), _) => party.add(history, role, &wait),
                (None, Some(stay)) if stay.left.is_none() => party.add_young(stay.entered.at.ts),
                _ => {}
            }
        }
    }

    fn join(&mut self, other: Self) {
        let Leaks { parties, legs } = other;
        self.parties.join(parties);
        self.legs.iter_mut().zip(legs).for_each(|(own, more)| own.join(more, |_, _| {}));
    }

    fn counts(&self, history: &History, role: Role, finding: &Finding, context: &Context) -> bool {
        let is_released = finding.value("trend") == Some(&Value::from("released"));
        waited(history, role, context).is_some_and(|wait| wait.was_closed() == is_released)
    }

    fn finish(&mut self, capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        let [used, offered] = self
            .legs
            .each_mut()
            .map(|legs| legs.drain(|_, _| {}).into_iter().collect::<BTreeMap<_, _>>());
        for (party, passive) in &self.parties.drain() {
            let least = context.count("stuck_min").max(1);
            let mut finding = match passive.stuck {
                0 => match passive.released.at_once(least) {
                    Some((them, within)) => passive.released_finding(party, &them, within, context),
                    None => continue,
                },
                stuck if stuck >= least => passive.finding(party, capture, context),
                _ => continue,
            };
            let leg = match party.role {
                Role::Server => used.get(&party.host).map(|to| {
                    format!("; it also connects to {to}: if it is a proxy, this is its front leg")
                }),
                Role::Client => offered.get(&party.host).map(|at| {
                    format!("; it also serves {at}: if it is a proxy, this is its back leg")
                }),
            };
            finding.message += leg.as_deref().unwrap_or_default();
            out.push(finding);
        }
    }

    fn beyond(&self) -> u64 {
        self.parties.beyond()
    }
}

impl Leaks {
    /// A host that may leak in its other part uses or offers a service here, to another host.
    fn note_leg(&mut self, keys: &Keys, role: Role) {
        let Party { host, service, .. } = Party::of(keys, role);
        if keys.addr(role.peer()).ip() == host {
            return;
        }
        let [used, offered] = &mut self.legs;
        let legs = if role == Role::Client { used } else { offered };
        legs.entry(host, |_, _| {}).or_insert(service).join(&service);
    }
}

impl Passive {
    fn finding(&self, party: &Party, capture: &CaptureFacts, context: &Context) -> Finding {
        let trend = self.trend(capture, context);
        let mut message = format!(
            "{} never closed {} of the {} connections that {} had closed first{}: {}{}; {}",
            party.words(),
            Grouped(self.stuck),
            Grouped(self.left),
            peer_words(party, &self.leavers),
            self.whose(party),
            self.state_words(party),
            trend.words,
            self.hint(party),
        );
        if self.assumed > 0 {
            message += &format!(
                " ({} of them were open before the capture began, and are assumed not to have \
                 closed by then)",
                Grouped(self.assumed)
            );
        }
        let first = self.entered.ends().map_or(Timestamp::default(), |(first, _)| first);
        let mut finding = context
            .of_capture(Moment::silent(first), message)
            .lasting(self.longest)
            .going_on(self.ongoing > 0);
        finding.role = Some(party.role);
        finding.host = Some(party.addr());
        finding.service = Some(party.service);
        finding.frames = self.worst.iter().map(|(_, _, frame)| *frame).collect();
        let finding = finding
            .with("stuck", self.stuck)
            .with("open", self.ongoing)
            .with("closed", self.closed)
            .with("total", self.total)
            .with("confirmed", self.confirmed)
            .with("oldest_s", self.longest)
            .with("per_minute", Value::Number(trend.per_minute))
            .with("trend", trend.name)
            .with("ages", self.ages.words().as_str())
            .with("peers", self.peers.count())
            .with("service", party.service.to_string().as_str());
        match trend.left {
            Some(left) => finding.with("limit_in_s", left),
            None => finding,
        }
    }

    /// Whose connections are stuck, where others closed theirs first too.
    fn whose(&self, party: &Party) -> String {
        match party.role {
            Role::Server if self.peers != self.leavers => {
                format!(", all {} with {}", Grouped(self.stuck), self.peers.words())
            }
            _ => String::new(),
        }
    }

    /// How many are in CLOSE_WAIT, and how many were until their peer ended them.
    fn state_words(&self, party: &Party) -> String {
        let ages = match self.shortest.is_some_and(|shortest| shortest.times(2) <= self.longest) {
            true => format!(" ({})", self.ages.words()),
            false => String::new(),
        };
        let peer = party.role.peer().name();
        let ended = self.stuck - self.ongoing;
        match (self.ongoing, ended) {
            (_, 0) => {
                let oldest = lasting(self.longest, true);
                format!("they are in CLOSE_WAIT, the oldest for {oldest}{ages}")
            }
            (0, _) => format!(
                "they were in CLOSE_WAIT, one for {}{ages}, until a RST or a new connection from \
                 the {peer} ended each",
                self.longest
            ),
            (ongoing, ended) => format!(
                "{} are in CLOSE_WAIT, the oldest for {}, and {} were, one for {}, until a RST or \
                 a new connection from the {peer} ended each{ages}",
                Grouped(ongoing),
                lasting(self.longest_ongoing, true),
                Grouped(ended),
                self.longest_ended,
            ),
        }
    }

    /// Those that were stuck were closed, most of them at once.
    fn released_finding(
        &self,
        party: &Party,
        released: &Released,
        within: Span,
        context: &Context,
    ) -> Finding {
        let all = self.released.count();
        let these = match all - released.count {
            0 => "all".to_owned(),
            _ => Grouped(released.count).to_string(),
        };
        let message = format!(
            "{} left in CLOSE_WAIT {} of the {} connections that {} had closed first, one of them \
             for {}, and closed {these} of them within {within}: its program ended or was \
             restarted, or cleans up only now and then; {}",
            party.words(),
            Grouped(all),
            Grouped(self.left),
            peer_words(party, &self.leavers),
            released.longest,
            path_hint(party),
        );
        let since = Moment::silent(released.since());
        let finding = context.of_capture(since, message).lasting(released.longest).going_on(false);
        Finding {
            severity: Severity::Warning,
            role: Some(party.role),
            host: Some(party.addr()),
            service: Some(party.service),
            frames: released.frames.clone(),
            ..finding
        }
        .with("stuck", all)
        .with("closed", self.closed)
        .with("total", self.total)
        .with("oldest_s", released.longest)
        .with("per_minute", Value::Number(released.per_minute()))
        .with("trend", "released")
        .with("peers", released.peers.count())
        .with("service", party.service.to_string().as_str())
    }

    /// What to look at in the program that is to blame.
    fn hint(&self, party: &Party) -> String {
        if party.role == Role::Server && self.mute == self.stuck {
            return "it never sent a byte on any of them: check whether its program still calls \
                    accept() and reads"
                .to_owned();
        }
        let idle = self.idle_least.filter(|least| {
            self.idle == self.stuck && self.idle_most.as_nanos() <= least.as_nanos() / 10 * 11
        });
        match (party.role, idle) {
            (Role::Client, Some(least)) => format!(
                "the server closes after {least} idle{}: in the client program, look for a pool \
                 that keeps connections longer or does not test them",
                consistent(least, Ends::Idle)
            ),
            _ => path_hint(party),
        }
    }

    fn trend(&self, capture: &CaptureFacts, context: &Context) -> Trend {
        let (first, last) = self.entered.ends().unwrap_or_default();
        let came = Came {
            count: self.stuck + self.young,
            ended: self.stuck - self.ongoing,
            first,
            last,
            until: capture.last_ts.unwrap_or(last),
        };
        match self.ongoing {
            0 => came.ended(),
            _ => came.trend(context.span("hold_s"), context.value("fd_limit")),
        }
    }
}

/// The CLOSE_WAIT of a role that lasted too long.
fn waited(history: &History, role: Role, context: &Context) -> Option<Wait> {
    let hold = context.span("hold_s");
    // Hardly any stays so long.
    if !history.stayed_in(role, State::CloseWait, hold) {
        return None;
    }
    close_wait(history, role)
        .filter(|wait| wait.length >= hold && wait.ended_by != Some(Event::GaveUp))
}

/// Who closed first.
fn peer_words(party: &Party, peers: &Hosts) -> String {
    match party.role {
        Role::Server => format!("its clients ({})", peers.words()),
        Role::Client => "the server".to_owned(),
    }
}

/// Where to look for the path that does not close.
fn path_hint(party: &Party) -> String {
    match party.role {
        Role::Client => "in the client program, look for a response body that is not read to its \
                         end or not closed, or for a pool that does not test its idle connections"
            .to_owned(),
        Role::Server => format!(
            "in the program at {}, look for a code path where a read of 0 bytes or an error does \
             not lead to close(), or for a child process that still holds the descriptor",
            party.service
        ),
    }
}

/// Whether the side closed by itself, first or second.
fn has_closed(history: &History, role: Role) -> bool {
    const CLOSES: [Event; 3] = [Event::SentFin, Event::SentUnseenFin, Event::SentRst];
    history.by_event(role, &CLOSES).is_some()
}
