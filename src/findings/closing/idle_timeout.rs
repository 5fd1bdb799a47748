//! An idle timeout: one side closes whatever nobody uses for so long.

use std::collections::BTreeMap;

use crate::findings::kept::{Join, joined};
use crate::findings::rule::finding;
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::timeouts::{Ends, consistent, named};
use crate::findings::trend::Firsts;
use crate::findings::waits::silence_before_close;
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Value};
use crate::grouped::Grouped;
use crate::history::{History, Role, Signs};
use crate::infer::fact::{Fact, FactKind};
use crate::limits::CLOSES_APART_MAX;
use crate::time::{Span, Timestamp};

finding! {
    /// One side of a service always closes connections after the same idle time.
    ///
    /// ## What it means
    ///
    /// Servers, proxies and pools close connections that nobody uses for a while, and how long is a
    /// setting. Whoever keeps connections for reuse must know the shortest such timeout on the
    /// path: a request on a connection that the other side has just closed is lost (see
    /// keepalive-race), and a pool that does not check holds closed connections (see
    /// close-wait-leak).
    ///
    /// A client that closes when its own data was the last does not mind an idle connection: it
    /// had waited for an answer, and gave up. The message says so, and then the service is what
    /// takes too long.
    ///
    /// ## How it is inferred
    ///
    /// A side closed first, by FIN or RST, after both ends had been silent for `idle_s` or more. A
    /// few bytes that answer nothing, with the FIN at once behind them, are a farewell (TLS
    /// close_notify, HTTP/2 GOAWAY, a last word of SMTP or PostgreSQL), and end the silence. At
    /// least `connections_min` connections of the service were closed after the same silence,
    /// within four percent, at as many moments, and that are at least half of the moments at which
    /// this side closed so. Connections that are closed together count once, for a program that
    /// ends closes all that it has, after whatever silence: moments are apart by 10 ms and by four
    /// times as much as the silences differ, or by 0.13 s and two percent of the silence. Two are
    /// enough if the silences differ by no more than a thousandth. For servers, a well-known
    /// timeout that the shortest of these silences is consistent with is named; if that is a minute
    /// or more, which no chance gives, one connection is enough.
    ///
    /// ## When it is wrong
    ///
    /// A program that works in steps of a fixed time looks the same: one that asks every ten
    /// seconds and closes then. Programs that look for idle connections now and then close them
    /// later than their setting, each after another time, and are not told. Neither is a timeout
    /// by which all connections were closed together, as after one burst of use. A client whose
    /// data asks for no answer (syslog, HTTP/2's WINDOW_UPDATE) may close for want of use though
    /// its own data was the last.
    ///
    /// ## What to do
    ///
    /// Where a client gave up, look why the service takes so long, or let the client wait for
    /// longer. Else let the side that sends requests have the shorter timeout, or let it test a
    /// connection before it uses it. If the time is neither side's setting, it is that of a device
    /// between.
    ///
    /// ## References
    ///
    /// RFC 9112 section 9.3; RFC 9293 section 3.6
    pub IDLE_TIMEOUT = {
        name: "idle-timeout",
        severity: Note,
        since: "0.1.0",
        thresholds: {
            idle_s: 1.9 at_least 1.0 "seconds" "Silence before a close that counts; 1 s or more.",
            connections_min: 3.0 "connections"
                "Connections closed after the same silence, at as many moments.",
        },
        scope: Grouped(|| Box::new(Timeouts::default())),
        looks_for: [Signs::fact(FactKind::ClosedAfterIdle)],
        raises: "clients 3 0.7
                 0.000 > S  0:0(0)
                 0.010 < S. 0:0(0) ack 1
                 0.020 > .  1:1(0) ack 1
                 0.030 > P. 1:101(100) ack 1
                 0.040 < P. 1:901(900) ack 101
                 0.041 > .  101:101(0) ack 901
                 75.05 < F. 901:901(0) ack 101
                 75.06 > F. 101:101(0) ack 902
                 75.07 < .  902:902(0) ack 102",
        // It closes when it has answered.
        near_miss: "clients 3 0.7
                    0.000 > S  0:0(0)
                    0.010 < S. 0:0(0) ack 1
                    0.020 > .  1:1(0) ack 1
                    75.03 > P. 1:101(100) ack 1
                    75.04 < P. 1:901(900) ack 101
                    75.05 < F. 901:901(0) ack 101
                    75.06 > F. 101:101(0) ack 902
                    75.07 < .  902:902(0) ack 102",
    }
}

/// Silences of about the same length.
#[derive(Debug, Default)]
struct Alike {
    count: u64,
    closed: Occasions,
    least: Span,
    most: Span,
    first: Firsts,
}

/// The moments at which connections were closed, in buckets of time that are 2^`shift` nanoseconds
/// wide. The first in order, as far as there is room.
#[derive(Debug, Default)]
struct Occasions {
    shift: u32,
    /// In order.
    buckets: Vec<i64>,
}

/// What a silence ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// A connection that nobody used.
    Unused,
    /// A client that had spoken last gave up.
    Unanswered,
}

impl Ending {
    /// In a word.
    fn name(self) -> &'static str {
        match self {
            Ending::Unused => "unused",
            Ending::Unanswered => "unanswered",
        }
    }

    fn of(history: &History, role: Role) -> Ending {
        match history.fact(FactKind::ClosedUnanswered, role) {
            Some(_) => Ending::Unanswered,
            None => Ending::Unused,
        }
    }
}

/// Silences before closes, by magnitude: each class is two percent longer than the one before.
#[derive(Debug, Default)]
struct Silences(BTreeMap<(Ending, u32), Alike>);

joined!(Silences(_));

#[derive(Default)]
struct Timeouts(Parties<Silences>);

/// Who closed first, and the silence before it.
fn closed_idle<'a>(history: &'a History, context: &Context) -> Option<(Role, &'a Fact)> {
    let role = history.closed_first()?.role()?;
    let silence = silence_before_close(history, role)?;
    (silence.span() >= context.span("idle_s")).then_some((role, silence))
}

/// Whether one such silence tells enough: it is as long as a known timeout, and that is long.
fn is_telling(role: Role, silence: Span) -> bool {
    /// A minute, within two percent.
    const LONG: Span = Span::from_secs(58);
    role == Role::Server && silence >= LONG && named(silence, Ends::Idle).is_some()
}

impl Grouping for Timeouts {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        Some(Suspects::new(context.count("connections_min"), |suspects, keys| {
            Role::BOTH.into_iter().any(|role| suspects.holds(keys.party(role)))
        }))
    }

    fn suspect(
        &mut self,
        history: &History,
        keys: &Keys,
        context: &Context,
        suspects: &mut Suspects,
    ) {
        if let Some((role, silence)) = closed_idle(history, context) {
            let enough = context.count("connections_min").min(u8::MAX.into());
            let times = if is_telling(role, silence.span()) { enough } else { 1 };
            (0..times).for_each(|_| suspects.count(keys.party(role)));
        }
    }

    fn again(&mut self, history: &History, keys: &Keys, context: &Context, suspects: &Suspects) {
        if let Some((role, silence)) = closed_idle(history, context)
            && suspects.holds(keys.party(role))
        {
            self.0.entry(Party::of(keys, role)).add(history, role, silence);
        }
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, role: Role, finding: &Finding, context: &Context) -> bool {
        let bound = |key| match finding.value(key) {
            Some(Value::Seconds(span)) => *span,
            _ => Span::ZERO,
        };
        let alike = bound("idle_s")..=bound("idle_most_s");
        let is_so = |ending| finding.value("ended") == Some(&Value::from(ending));
        closed_idle(history, context).is_some_and(|(closer, silence)| {
            let is_alike = closer == role && alike.contains(&silence.span());
            is_alike && is_so(Ending::of(history, role).name())
        })
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, silences) in self.0.drain() {
            let all: u64 = silences.0.values().map(|alike| alike.count).sum();
            let Some((ending, alike, others)) = silences.most_frequent() else { continue };
            let moments = alike.moments();
            let least = context.count("connections_min").max(1);
            let is_enough = moments >= least
                || (moments > 1 && alike.count >= least && alike.is_exact())
                || alike.closed.buckets.len() == CLOSES_APART_MAX
                || is_telling(party.role, alike.least);
            if !is_enough || moments < others {
                continue;
            }
            // What is known are timeouts of servers and of what stands before them.
            let whose = match party.role {
                Role::Server => consistent(alike.least, Ends::Idle),
                Role::Client => String::new(),
            };
            let (who, idle) = (party.words(), alike.least);
            let count = format!(
                "{} of the {} that it closed after a silence",
                Grouped(alike.count),
                Grouped(all)
            );
            let message = match (ending, all) {
                (Ending::Unanswered, _) => format!(
                    "{who} closes connections when {idle} have brought no answer to its last data: \
                     {count}; if that was a request, the server takes too long, and the client \
                     gives up"
                ),
                (_, 1) => format!("{who} closed a connection after {idle} idle{whose}"),
                _ => format!("{who} closes connections after {idle} idle{whose}: {count}"),
            };
            let finding = alike.first.finding(alike.count, &party, context, message);
            out.push(
                finding
                    .with("connections", alike.count)
                    .with("idle_s", alike.least)
                    .with("idle_most_s", alike.most)
                    .with("closed_after_idle", all)
                    .with("ended", ending.name()),
            );
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Silences {
    fn add(&mut self, history: &History, role: Role, silence: &Fact) {
        /// Ratio of one class to the one before.
        const STEP: f64 = 1.02;
        let idle = silence.span();
        let class = (idle.as_secs_f64().max(1.0).ln() / STEP.ln()) as u32;
        let mut first = Firsts::default();
        first.add(history.first, history.id);
        first.goes_on(silence.last.ts);
        // All of a class in buckets of one width.
        let closed = Occasions::one(silence.last.ts, Span::from_secs_f64(STEP.powi(class as i32)));
        let one = Alike { count: 1, closed, least: idle, most: idle, first };
        self.0.entry((Ending::of(history, role), class)).or_default().join(&one);
    }

    /// The two neighbouring classes with the most moments of closes, then the most silences, the
    /// shorter ones if there are several; what they ended in, and how many moments the other
    /// classes have.
    fn most_frequent(&self) -> Option<(Ending, Alike, u64)> {
        let all: u64 = self.0.values().map(Alike::moments).sum();
        let pairs = self.0.iter().map(|((ending, class), alike)| {
            let next = self.0.get(&(*ending, class + 1));
            let own: u64 = next.into_iter().chain([alike]).map(Alike::moments).sum();
            let mut both = Alike::default();
            both.join(alike);
            next.into_iter().for_each(|next| both.join(next));
            (*ending, both, all - own)
        });
        pairs
            .max_by_key(|(_, pair, _)| (pair.moments(), pair.count, core::cmp::Reverse(pair.least)))
    }
}

impl Occasions {
    /// One, after such a silence.
    fn one(at: Timestamp, silence: Span) -> Occasions {
        /// The narrowest bucket, 4 ms, and how many are in a silence at least.
        const SHIFT_MIN: u32 = 22;
        const BUCKETS: u64 = 500;
        let shift = (silence.as_nanos() / BUCKETS).max(1 << SHIFT_MIN).ilog2();
        Occasions { shift, buckets: vec![at.as_nanos() >> shift] }
    }

    /// How many are further apart than that for certain.
    fn count(&self, gap: Span) -> u64 {
        let width = 1 << self.shift;
        let is_apart = |newest: i64, bucket: i64| {
            ((bucket - newest) as u64).saturating_mul(width) > gap.as_nanos() + width
        };
        let (mut count, mut newest) = (0, None);
        for bucket in &self.buckets {
            if newest.is_none_or(|newest| is_apart(newest, *bucket)) {
                (count, newest) = (count + 1, Some(*bucket));
            }
        }
        count
    }
}

impl Join for Occasions {
    fn join(&mut self, other: &Occasions) {
        let shift = self.shift.max(other.shift);
        self.buckets.iter_mut().for_each(|bucket| *bucket >>= shift - self.shift);
        self.buckets.extend(other.buckets.iter().map(|bucket| bucket >> (shift - other.shift)));
        self.shift = shift;
        self.buckets.sort_unstable();
        self.buckets.dedup();
        self.buckets.truncate(CLOSES_APART_MAX);
    }
}

impl Alike {
    /// Whether they differ by no more than a thousandth: that does not happen twice by chance.
    fn is_exact(&self) -> bool {
        self.most.as_nanos() - self.least.as_nanos() <= self.least.as_nanos() / 1_000
    }

    /// At how many moments they ended. What a program closes together when it ends was used over a
    /// longer time than it is closed in, so that the silences differ by more than the closes are
    /// apart.
    fn moments(&self) -> u64 {
        /// A program takes so long to close all that it has, or less.
        const ENDING: Span = Span::from_millis(10);
        /// By so much closes are apart whatever the silences: these are alike within four percent.
        const APART: Span = Span::from_millis(130);
        let differ = Span::from_nanos(self.most.as_nanos() - self.least.as_nanos());
        let apart = Span::from_nanos(self.least.as_nanos() / 50).max(APART);
        self.closed.count(differ.times(4).max(ENDING).min(apart))
    }
}

impl Join for Alike {
    fn join(&mut self, other: &Alike) {
        self.least = if self.count == 0 { other.least } else { self.least.min(other.least) };
        self.most = self.most.max(other.most);
        self.count += other.count;
        self.closed.join(&other.closed);
        self.first.join(&other.first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::rule::opened;
    use crate::testkit::findings;

    /// Whether a timeout is told where clients come at these moments, and their connections are
    /// closed after such silences.
    fn is_told(clients: impl IntoIterator<Item = (f64, f64)>) -> bool {
        let mut lines = Vec::new();
        for (client, (begin, idle)) in clients.into_iter().enumerate() {
            let close = 0.04 + idle;
            for (at, step) in [
                (0.00, "> S  0:0(0)"),
                (0.01, "< S. 0:0(0) ack 1"),
                (0.02, "> .  1:1(0) ack 1"),
                (0.03, "> P. 1:101(100) ack 1"),
                (0.04, "< P. 1:901(900) ack 101"),
                (close, "< F. 901:901(0) ack 101"),
                (close + 0.01, "> F. 101:101(0) ack 902"),
                (close + 0.02, "< .  902:902(0) ack 102"),
            ] {
                let at = begin + at;
                lines.push((at, format!("{at:.3} {client}{step}\n")));
            }
        }
        lines.sort_by(|one, other| one.0.total_cmp(&other.0));
        let trace: String = lines.into_iter().map(|(_, line)| line).collect();
        findings(&trace).iter().any(|it| it.name == IDLE_TIMEOUT.name)
    }

    #[test]
    fn a_time_after_which_fewer_than_half_are_closed_is_no_timeout() {
        let after = |others: &[f64]| {
            let idle = [5.0; 3].iter().chain(others).copied();
            is_told(idle.enumerate().map(|(client, idle)| (client as f64, idle)))
        };
        assert!(after(&[7.0, 9.0, 12.0]));
        assert!(!after(&[7.0, 9.0, 12.0, 15.0]));
    }

    /// A program that ends closes at one moment all that was last used at about one moment.
    #[test]
    fn what_is_closed_together_shows_no_timeout() {
        let restarted = [(0.0, 2.13), (0.01, 2.12), (0.02, 2.11), (0.03, 2.1), (0.04, 2.09)];
        assert!(!is_told(restarted));
        // After one burst of use, too, a timeout closes as the connections were used.
        assert!(is_told((0..3).map(|client| (0.05 * f64::from(client), 3.0))));
        assert!(!is_told((0..3).map(|client| (0.002 * f64::from(client), 3.0))));
        // What is closed within a second after silences that differ by as much.
        assert!(!is_told(
            (0..8).map(|client| (f64::from(client) * 0.7, 86.3 - f64::from(client) * 0.6))
        ));
        assert!(is_told((0..3).map(|client| (f64::from(client) * 9.0, 86.3))));
        // A timer that fires to the millisecond does so twice.
        assert!(is_told([(0.0, 6.0), (0.001, 6.0), (3.0, 6.001)]));
        assert!(!is_told([(0.0, 6.0), (0.001, 6.0), (3.0, 6.02)]));
        // Nor does it hide one.
        let kept = (0..3).map(|client| (10.0 + f64::from(client), 4.0));
        assert!(is_told(restarted.into_iter().chain(kept)));
    }

    /// What is told of three clients, each of whose connections goes on so.
    fn told(rest: &str) -> Option<String> {
        let found = findings(&format!("clients 3 9.0\n{}{rest}", opened!("")));
        found.into_iter().find(|it| it.name == IDLE_TIMEOUT.name).map(|it| it.message)
    }

    #[test]
    fn a_client_that_waits_for_an_answer_does_not_mind_an_idle_connection() {
        let request = "0.030 > P. 1:99(98) ack 1\n0.031 < . 1:1(0) ack 99\n";
        let gave_up = told(&format!("{request}3.03 > R. 99:99(0) ack 1")).expect("it is told");
        assert!(
            gave_up.contains("closes connections when 3 s have brought no answer"),
            "{gave_up}"
        );
        // Keepalives are no data.
        let kept = "0.030 > P. 1:99(98) ack 1
             0.040 < P. 1:51(50) ack 99
             1.500 > .  98:98(0) ack 51
             1.501 < .  51:51(0) ack 99
             3.040 > F. 99:99(0) ack 51";
        let kept = told(kept).expect("it is told");
        assert!(kept.contains("closes connections after 3 s idle"), "{kept}");
    }

    #[test]
    fn a_farewell_ends_the_silence() {
        let answered = "0.030 > P. 1:101(100) ack 1\n0.040 < P. 1:901(900) ack 101\n";
        let closes = "5.0401 < F. 932:932(0) ack 101";
        let idle = told(&format!("{answered}5.040 < P. 901:932(31) ack 101\n{closes}"));
        assert!(idle.is_some_and(|it| it.contains("server") && it.contains("after 5 s idle")));
        // It has worked for so long, and closes when it has answered.
        let asked = "0.030 > P. 1:101(100) ack 1\n0.040 < . 1:1(0) ack 101\n";
        assert_eq!(
            told(&format!("{asked}5.040 < P. 1:32(31) ack 101\n5.041 < F. 32:32(0) ack 101")),
            None
        );
        assert_eq!(told(&format!("{asked}5.040 < FP. 1:32(31) ack 101")), None);
        // It goes on, and closes later.
        let goes_on = "5.040 < P. 901:932(31) ack 101\n6.5 < P. 932:963(31) ack 101\n";
        assert_eq!(
            told(&format!(
                "{answered}{goes_on}6.9 > P. 101:141(40) ack 963\n7.0 < F. 963:963(0) ack 141"
            )),
            None
        );
        // A client's, and a request with which it closes its half.
        let parts =
            format!("{answered}5.040 > P. 101:132(31) ack 901\n5.041 > F. 132:132(0) ack 901\n");
        assert!(told(&format!("{parts}5.050 < F. 901:901(0) ack 133")).is_some());
        assert_eq!(told(&format!("{parts}5.050 < P. 901:1801(900) ack 133")), None);
    }

    #[test]
    fn moments_do_not_depend_on_the_order() {
        let all = [(5, 30), (1, 4), (70, 30), (1, 200), (9, 4)]
            .map(|(at, idle)| (Timestamp::from_nanos(at * 1_000_000_000), Span::from_secs(idle)));
        let fill = |order: &mut dyn Iterator<Item = &(Timestamp, Span)>| {
            let mut moments = Occasions::default();
            order.for_each(|(at, idle)| moments.join(&Occasions::one(*at, *idle)));
            (moments.shift, moments.buckets)
        };
        assert_eq!(fill(&mut all.iter()), fill(&mut all.iter().rev()));
    }
}
