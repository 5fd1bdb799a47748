//! A listener whose accept queue is full: it repeats SYN+ACKs that were acknowledged, or resets, or
//! drops SYNs.

use crate::findings::kept::{Join, joined, keep_most};
use crate::findings::opening::deferred_accept::deferral;
use crate::findings::rule::{finding, opened};
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::Firsts;
use crate::findings::waits::{ended, has_spoken, number};
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Severity};
use crate::history::{Close, Handshake, History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::{Basis, State};
use crate::infer::trail::{Refuted, Transition};
use crate::limits::QUEUED_MAX;
use crate::time::{Span, Timestamp};

finding! {
    /// A server ignores the end of handshakes: its accept queue is full.
    ///
    /// ## What it means
    ///
    /// The kernel completes handshakes on behalf of a listening program and keeps the finished ones
    /// in a queue until the program calls `accept()`. When that queue is full, Linux drops the
    /// client's last ACK and repeats the SYN+ACK. The client is ESTABLISHED and sends data into the
    /// void, while the server is still in SYN_RCVD. The service seems to be up, but hangs. With
    /// `net.ipv4.tcp_abort_on_overflow` set to 1 it answers that ACK with a RST instead, as other
    /// systems do. Once the queue is full, Linux drops new SYNs, too: then nothing but silence is
    /// seen, and the connections in the queue, to whose data the kernel sends ACKs and the program
    /// says nothing.
    ///
    /// ## How it is inferred
    ///
    /// The server repeated its SYN+ACK although an ACK of it had passed: at least `repeats_min`
    /// times on one connection, or after data from the client on `connections_min` connections of
    /// one service. A single repeat to a client that has sent nothing is a lost ACK, or see
    /// deferred-accept. Or a RST without ACK answered the handshake's own ACK within a round trip,
    /// on at least `resets_min` connections, and the server had sent nothing but its SYN+ACK: so
    /// answers whoever has no place for the connection. Or at least `mute_min` SYNs got no answer
    /// within three seconds, none since the first of them got one, and at least as many
    /// connections were open then on which the server acknowledged data and never sent any: this
    /// is a warning.
    ///
    /// ## When it is wrong
    ///
    /// On a path that loses ACKs behind the observer, the same is seen. The RST leaves open why
    /// there was no place: a program that closed its listener in that very moment, or a firewall
    /// or load balancer that answers SYNs for a server that it then cannot reach, or does not
    /// want reached, resets in the same way. Silence is the weakest sign: a service that never
    /// answers anything, as one that takes logs, looks the same when its host goes down, or when
    /// a firewall begins to drop SYNs.
    ///
    /// ## What to do
    ///
    /// `ss -ltn` shows the listener's queue (Recv-Q) and its limit (Send-Q);
    /// `nstat -az TcpExtListenOverflows` counts overflows. Find out why the program does not
    /// accept: all threads may be busy, or descriptors may have run out (see close-wait-leak). Then
    /// raise the backlog of `listen()` and `net.core.somaxconn`.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.4; listen(2), tcp(7)
    pub ACCEPT_QUEUE_OVERFLOW = {
        name: "accept-queue-overflow",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            repeats_min: 2.0 "SYN+ACKs" "Repeats after the ACK that suffice on one connection.",
            connections_min: 3.0 "connections" "Connections with a repeat each that suffice \
                                                together.",
            resets_min: 1.0 "connections" "Connections on which a RST answered the ACK.",
            mute_min: 3.0 "connections"
                "Open connections without a word of the server, and as many unanswered SYNs.",
        },
        scope: Grouped(|| Box::new(Overflows::default())),
        looks_for: [Signs::fact(FactKind::SynAckRepeatedAfterAck)
            .or(Signs::event(Event::SentRstWithoutSocket))
            .or(NOT_CLOSED)],
        raises: opened!(
            "1.01 < S. 0:0(0) ack 1
             1.02 > .  1:1(0) ack 1
             3.01 < S. 0:0(0) ack 1
             3.02 > .  1:1(0) ack 1
             7.01 < S. 0:0(0) ack 1
             7.02 > .  1:1(0) ack 1"
        ),
        // The ACK was lost once.
        near_miss: opened!(
            "1.01 < S. 0:0(0) ack 1
             1.02 > .  1:1(0) ack 1
             1.03 > P. 1:101(100) ack 1
             1.04 < .  1:1(0) ack 101"
        ),
    }
}

/// The server may not have closed by itself.
const NOT_CLOSED: Signs = Signs::close(Close::Open)
    .or(Signs::close(Close::HalfClosed))
    .or(Signs::close(Close::Reset))
    .or(Signs::close(Close::TimedOut))
    .or(Signs::close(Close::Superseded));

/// What is counted for one service.
#[derive(Debug, Default)]
struct Listener {
    connections: u64,
    repeats: u64,
    most: u64,
    /// Connections on which data of the client was ignored, too.
    ignored: u64,
    /// Connections on which a RST answered the ACK; the others are counted above.
    resets: u64,
    first: Firsts,
    queue: Queue,
}

/// What shows that a queue takes no more SYNs.
#[derive(Debug, Default)]
struct Queue {
    /// When the SYNs were sent that got no answer: the newest, as far as there is room.
    unanswered: Vec<Timestamp>,
    /// The connections without a word of the server, when they were over and when they began:
    /// those that lasted longest, as far as there is room.
    mute: Vec<(Timestamp, Timestamp)>,
    /// When a SYN was last answered.
    answered: Timestamp,
    first: Firsts,
}

impl Join for Queue {
    fn join(&mut self, other: &Queue) {
        self.unanswered.extend(&other.unanswered);
        self.mute.extend(&other.mute);
        self.answered = self.answered.max(other.answered);
        self.first.join(&other.first);
        self.cut();
    }
}

joined!(Listener { connections, repeats, most: keep_most, ignored, resets, first, queue });

#[derive(Default)]
struct Overflows(Parties<Listener>);

/// That the server ignored the ACK.
fn overflow(history: &History) -> Option<&Fact> {
    // A client that says nothing and one repeat: TCP_DEFER_ACCEPT, or an ACK that was lost.
    let is_deferred = deferral(history).is_some();
    history.fact(FactKind::SynAckRepeatedAfterAck, Role::Server).filter(|_| !is_deferred)
}

/// The RST by which the server answered the handshake's own ACK, as it seems.
pub(in crate::findings) fn refusal(history: &History) -> Option<&Transition> {
    let reset = history.by_event(Role::Server, &[Event::SentRstWithoutSocket])?;
    let opened = history.stay_in(Role::Server, State::Established).map(|stay| stay.entered);
    let may_have_opened = opened
        .is_some_and(|it| (it.event, it.basis) == (Event::RecvAckOfSyn, Basis::Assumed))
        && reset.from == State::Established;
    let is_disproof = |it: &Refuted| {
        let place = (history.role(it.end), it.state, it.by.frame);
        place == (Role::Server, State::Established, reset.at.frame)
    };
    let never_opened = reset.from == State::SynRcvd && history.refuted.iter().any(is_disproof);
    let is_silent = !has_spoken(history, Role::Server);
    (is_silent && (may_have_opened || never_opened)).then_some(reset)
}

/// Whether the server acknowledged data, never sent any, and did not close: so does a kernel for a
/// program that has not accepted the connection.
fn is_mute(history: &History) -> bool {
    let [client, server] = &history.sides;
    server.tally.bytes + server.tally.missing == 0
        && client.tally.bytes > 0
        && history.handshake() == Handshake::Complete
        && has_spoken(history, Role::Server)
        && history.fin_of(Role::Server).is_none()
}

/// Whether a SYN had time to be answered, and neither that nor an error came.
fn is_dropped(history: &History) -> bool {
    /// As long as the finding of one such connection takes.
    const WAIT: Span = Span::from_secs(3);
    history.handshake() == Handshake::Unanswered
        && history.until.since(history.first.ts) >= WAIT
        && !history.facts.iter().any(|fact| matches!(fact.kind, FactKind::Icmp(_)))
}

impl Overflows {
    fn take_signs(&mut self, history: &History, keys: &Keys) {
        if let Some(reset) = refusal(history) {
            let listener = self.0.entry(Party::of(keys, Role::Server));
            listener.resets += 1;
            listener.first.add(reset.at, history.id);
            return;
        }
        let Some(fact) = overflow(history) else { return };
        let listener = self.0.entry(Party::of(keys, Role::Server));
        listener.connections += 1;
        listener.repeats += u64::from(fact.count);
        listener.most = listener.most.max(u64::from(fact.count));
        listener.ignored +=
            u64::from(history.fact(FactKind::SynAckRepeatedAfterData, Role::Server).is_some());
        listener.first.add(fact.first, history.id);
        listener.first.goes_on(fact.last.ts);
    }
}

impl Grouping for Overflows {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        Some(Suspects::new(context.count("mute_min"), |suspects, keys| {
            suspects.holds(keys.party(Role::Server))
        }))
    }

    fn suspect(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        if is_mute(history) {
            suspects.count(keys.party(Role::Server));
        }
        self.take_signs(history, keys);
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &Suspects) {
        if suspects.holds(keys.party(Role::Server)) {
            self.0.entry(Party::of(keys, Role::Server)).queue.add(history);
        }
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, finding: &Finding, _: &Context) -> bool {
        match finding.value("mute") {
            Some(_) => is_dropped(history) || is_mute(history),
            None => refusal(history).is_some() || overflow(history).is_some(),
        }
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, listener) in self.0.drain() {
            let deep = listener.most >= context.count("repeats_min");
            let wide = listener.connections >= context.count("connections_min");
            let repeats = deep || wide;
            if repeats || listener.resets >= context.count("resets_min").max(1) {
                out.push(listener.finding(&party, repeats, context));
            } else {
                out.extend(listener.queue.finding(&party, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Queue {
    fn add(&mut self, history: &History) {
        if is_dropped(history) {
            self.unanswered.push(history.first.ts);
            self.first.add(history.first, history.id);
        }
        let answers = [Event::RecvSynAck, Event::RecvRefusal];
        if let Some(answer) = history.by_event(Role::Client, &answers) {
            self.answered = self.answered.max(answer.at.ts);
        }
        if is_mute(history) {
            let over = ended(history, Role::Server).unwrap_or(history.until);
            self.mute.push((over, history.first.ts));
        }
        self.cut();
    }

    fn cut(&mut self) {
        self.unanswered.sort_unstable_by(|one, other| other.cmp(one));
        self.unanswered.truncate(QUEUED_MAX);
        self.mute.sort_unstable_by(|one, other| other.cmp(one));
        self.mute.truncate(QUEUED_MAX);
    }

    fn finding(&self, party: &Party, context: &Context) -> Option<Finding> {
        let dropped = self.unanswered.iter().take_while(|at| **at > self.answered);
        let since = *dropped.clone().last()?;
        let is_open = |(over, began): &&(Timestamp, Timestamp)| *began < since && since < *over;
        let (dropped, mute) = (dropped.count() as u64, self.mute.iter().filter(is_open).count());
        let least = context.count("mute_min").max(1);
        if (mute as u64) < least || dropped < least {
            return None;
        }
        let message = format!(
            "{} left {} unanswered while it sent no data on {} that were open, though it \
             acknowledged the clients' data: consistent with a full accept queue of a program that \
             does not call accept(), or with a service that never answers and a firewall in front",
            party.words(),
            counted(dropped, "SYN"),
            counted(mute as u64, "connection"),
        );
        let finding = self.first.finding(dropped, party, context, message);
        let finding = Finding { severity: Severity::Warning, ..finding };
        Some(finding.with("unanswered", dropped).with("mute", mute as u64))
    }
}

/// So many of what is kept up to a bound.
fn counted(count: u64, what: &str) -> String {
    let at_least = if count < QUEUED_MAX as u64 { "" } else { "at least " };
    format!("{at_least}{}", number(count, what))
}

impl Listener {
    fn finding(&self, party: &Party, repeats: bool, context: &Context) -> Finding {
        let how = if repeats { self.repeated() } else { self.reset() };
        let message = format!(
            "{} {how}; find out why the program does not call accept() in time: busy threads, or \
             descriptors used up",
            party.words(),
        );
        let connections = self.connections + self.resets;
        let finding = self.first.finding(connections, party, context, message);
        let finding = finding.with("connections", connections).with("repeats", self.repeats);
        finding.with("resets", self.resets)
    }

    fn repeated(&self) -> String {
        let where_ = match self.connections {
            1 => number(self.most, "time"),
            count => {
                let (on, most) = (number(count, "connection"), number(self.most, "time"));
                format!("on {on}, up to {most} on one")
            }
        };
        let or_lost = match self.ignored {
            0 => ", or the ACKs are lost behind the observer",
            _ => ", as it ignores the clients' data as well",
        };
        format!("repeated its SYN+ACK after the ACK {where_}: its accept queue is full{or_lost}")
    }

    fn reset(&self) -> String {
        format!(
            "answered the ACK of its SYN+ACK with a RST on {}: it had no room for the connection \
             it had offered, which is consistent with a full accept queue (tcp_abort_on_overflow), \
             a listener that was just closed, or a firewall or load balancer in front",
            number(self.resets, "connection"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::findings;

    /// The message about what follows a handshake, if there is one.
    fn told(rest: &str) -> Option<String> {
        let found = findings(&format!("{}{rest}", opened!("")));
        found.into_iter().find(|it| it.name == ACCEPT_QUEUE_OVERFLOW.name).map(|it| it.message)
    }

    #[test]
    fn what_is_kept_up_to_a_bound_is_at_least_that() {
        let most = QUEUED_MAX as u64;
        assert_eq!(counted(most, "SYN"), format!("at least {}", number(most, "SYN")));
        assert_eq!(counted(most - 1, "SYN"), number(most - 1, "SYN"));
    }

    #[test]
    fn a_rst_to_the_ack_of_the_handshake_leaves_open_why() {
        let message = told("0.018 < R 1:1(0)").expect("it is told");
        for cause in ["consistent with a full accept queue", "listener", "firewall"] {
            assert!(message.contains(cause), "{message}");
        }
        // Its data may have asked for the RST; the server has shown nothing of an open connection.
        assert!(told("0.012 > P. 1:101(100) ack 1\n0.018 < R 1:1(0)").is_some());
    }

    /// Three clients whose data is acknowledged, and then three whose SYNs get no answer.
    #[test]
    fn syns_that_are_dropped_beside_mute_connections_are_consistent_with_a_full_queue() {
        let told = |answer: &str, end: &str| {
            let mut trace = String::new();
            for client in 0..3 {
                trace += &format!(
                    "0.{client}0 {client}> S  0:0(0)
                     0.{client}1 {client}< S. 0:0(0) ack 1
                     0.{client}2 {client}> .  1:1(0) ack 1
                     0.{client}3 {client}> P. 1:4(3) ack 1
                     0.{client}4 {client}< .  1:1(0) ack 4\n"
                );
            }
            trace += answer;
            for at in [1, 2, 4] {
                for client in 3..6 {
                    trace += &format!("{at}.{client} {client}> S 0:0(0)\n");
                }
            }
            let found = findings(&format!("{trace}{end}"));
            found.into_iter().find(|it| it.name == ACCEPT_QUEUE_OVERFLOW.name)
        };
        let found = told("", "9 end").expect("it is told");
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.message.contains("3 SYNs unanswered"), "{}", found.message);
        assert!(found.message.contains("firewall"), "{}", found.message);
        // The program answers; another SYN has been answered since.
        assert!(told("0.50 0< P. 1:4(3) ack 4\n", "9 end").is_none());
        assert!(told("", "7.0 6> S 0:0(0)\n7.1 6< S. 0:0(0) ack 1\n9 end").is_none());
        assert!(told("", "4.6 end").is_some());
    }

    #[test]
    fn other_resets_are_no_overflow() {
        // A program's own abort; a RST that answers nothing; one to what an open server was sent.
        assert_eq!(told("0.018 < R. 1:1(0) ack 1"), None);
        assert_eq!(told("5.0 < R 1:1(0)"), None);
        assert_eq!(
            told("0.012 < . 1:1(0) ack 1\n0.013 > P. 1:11(10) ack 1\n0.018 < R 1:1(0)"),
            None
        );
    }
}
