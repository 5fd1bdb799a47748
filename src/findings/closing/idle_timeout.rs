//! An idle timeout: one side closes whatever nobody uses for so long.

use std::collections::BTreeMap;

use crate::findings::kept::{Join, joined};
use crate::findings::rule::finding;
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::timeouts::{Ends, consistent, named};
use crate::findings::trend::Firsts;
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Value};
use crate::grouped::Grouped;
use crate::history::{History, Role, Signs};
use crate::infer::fact::{Fact, FactKind};
use crate::time::Span;

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
    /// ## How it is inferred
    ///
    /// A side closed first, by FIN or RST, after both ends had been silent for `idle_s` or more. At
    /// least `connections_min` connections of the service were closed after the same silence,
    /// within four percent, and they are at least half of all that this side closed after a
    /// silence. For servers, the message names a well-known timeout with which the shortest of
    /// these silences is consistent; if that is a minute or more, which is hardly chance, one
    /// connection is enough.
    ///
    /// ## When it is wrong
    ///
    /// A program that works in fixed steps looks the same, such as one that asks every ten seconds
    /// and then closes. Programs that look for idle connections only now and then close them later
    /// than their setting says, each after a different time, and are not reported.
    ///
    /// ## What to do
    ///
    /// Let the side that sends requests have the shorter timeout, or let it test a connection
    /// before it uses it. If neither side has that time as a setting, a device between them does.
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
            connections_min: 3.0 "connections" "Connections closed after the same silence.",
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
    least: Span,
    most: Span,
    first: Firsts,
}

/// Silences before closes, by magnitude: each class is two percent longer than the one before.
#[derive(Debug, Default)]
struct Silences(BTreeMap<u32, Alike>);

joined!(Silences(_));

#[derive(Default)]
struct Timeouts(Parties<Silences>);

/// Who closed first, and the silence before it.
fn closed_idle<'a>(history: &'a History, context: &Context) -> Option<(Role, &'a Fact)> {
    let role = history.closed_first()?.role()?;
    let silence = history.fact(FactKind::ClosedAfterIdle, role)?;
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
            self.0.entry(Party::of(keys, role)).add(history, silence);
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
        closed_idle(history, context)
            .is_some_and(|(closer, silence)| closer == role && alike.contains(&silence.span()))
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, silences) in self.0.drain() {
            let all: u64 = silences.0.values().map(|alike| alike.count).sum();
            let Some(alike) = silences.most_frequent() else { continue };
            let is_enough = alike.count >= context.count("connections_min").max(1)
                || is_telling(party.role, alike.least);
            if !is_enough || alike.count * 2 < all {
                continue;
            }
            // What is known are timeouts of servers and of what stands before them.
            let whose = match party.role {
                Role::Server => consistent(alike.least, Ends::Idle),
                Role::Client => String::new(),
            };
            let (who, idle, count) = (party.words(), alike.least, alike.count);
            let message = match all {
                1 => format!("{who} closed a connection after {idle} idle{whose}"),
                _ => format!(
                    "{who} closes connections after {idle} idle{whose}: {} of the {} that it \
                     closed after a silence",
                    Grouped(count),
                    Grouped(all),
                ),
            };
            let finding = alike.first.finding(alike.count, &party, context, message);
            out.push(
                finding
                    .with("connections", alike.count)
                    .with("idle_s", alike.least)
                    .with("idle_most_s", alike.most)
                    .with("closed_after_idle", all),
            );
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Silences {
    fn add(&mut self, history: &History, silence: &Fact) {
        /// Ratio of one class to the one before.
        const STEP: f64 = 1.02;
        let idle = silence.span();
        let class = (idle.as_secs_f64().max(1.0).ln() / STEP.ln()) as u32;
        let mut first = Firsts::default();
        first.add(history.first, history.id);
        first.goes_on(silence.last.ts);
        let one = Alike { count: 1, least: idle, most: idle, first };
        self.0.entry(class).or_default().join(&one);
    }

    /// The two neighbouring classes with the most silences, the shorter ones if there are several.
    fn most_frequent(&self) -> Option<Alike> {
        let pairs = self.0.iter().map(|(class, alike)| {
            let mut both = Alike::default();
            both.join(alike);
            self.0.get(&(class + 1)).into_iter().for_each(|next| both.join(next));
            both
        });
        pairs.max_by_key(|pair| (pair.count, core::cmp::Reverse(pair.least)))
    }
}

impl Join for Alike {
    fn join(&mut self, other: &Alike) {
        self.least = if self.count == 0 { other.least } else { self.least.min(other.least) };
        self.most = self.most.max(other.most);
        self.count += other.count;
        self.first.join(&other.first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::findings;

    #[test]
    fn a_time_after_which_fewer_than_half_are_closed_is_no_timeout() {
        let is_told = |others: &[f64]| {
            let mut lines = Vec::new();
            for (client, idle) in [5.0; 3].iter().chain(others).enumerate() {
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
                    lines.push((at, format!("{at} {client}{step}\n")));
                }
            }
            lines.sort_by(|one, other| one.0.total_cmp(&other.0));
            let trace: String = lines.into_iter().map(|(_, line)| line).collect();
            findings(&trace).iter().any(|it| it.name == IDLE_TIMEOUT.name)
        };
        assert!(is_told(&[7.0, 9.0, 12.0]));
        assert!(!is_told(&[7.0, 9.0, 12.0, 15.0]));
    }
}
