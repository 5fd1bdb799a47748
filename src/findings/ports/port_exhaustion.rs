//! A client that runs out of ports for one service.

use crate::findings::kept::joined;
use crate::findings::rule::finding;
use crate::findings::service::{InTunnel, Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::{Crowd, Firsts, Stretch};
use crate::findings::waits::ended;
use crate::findings::{CaptureFacts, Context, Finding, Grouping, Value};
use crate::grouped::Grouped;
use crate::history::{Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::state::State;
use crate::limits::CROWDS_MAX;
use crate::time::Span;

finding! {
    /// A client uses up its ports towards one service: new connections are about to fail.
    ///
    /// ## What it means
    ///
    /// Every connection from one address to one address and port needs a client port of its own,
    /// and Linux hands out 28232 of them (32768 to 60999). A connection that the client closed
    /// first keeps its port for the 60 seconds of TIME_WAIT. So about 470 short connections per
    /// second use up all of them, and `connect()` fails with `EADDRNOTAVAIL`.
    ///
    /// ## How it is inferred
    ///
    /// For each client address and service, and for each tunnel by itself, finwait counts how many
    /// ports were in use at once at most, including those in TIME_WAIT, and how many per second
    /// entered TIME_WAIT to stay there. It reports when `used_percent` of `ports` were in use, or
    /// when that many would be in TIME_WAIT at that rate; then the message says how soon none will
    /// be left.
    ///
    /// A port counts once, however many connections follow one another on it: one that takes the
    /// port of an earlier one counts as soon as a second ends that it lasts beyond, and a TIME_WAIT
    /// that the next connection cut short is not part of the rate. If most were cut short, the
    /// client reuses its ports, and no rate is given.
    ///
    /// ## When it is wrong
    ///
    /// The client's port range may be set otherwise (`net.ipv4.ip_local_port_range`), and
    /// `net.ipv4.tcp_tw_reuse` lets Linux reuse ports in TIME_WAIT after a second: if it has not
    /// come to that yet, the forecast from the rate is too pessimistic. A NAT between client and
    /// observer has ports of its own. If ports came free and were taken again within one second,
    /// more may have been in use at once than is said.
    ///
    /// ## What to do
    ///
    /// Keep connections open and reuse them. If that is not possible, widen the range, let the
    /// server close first, or use more client addresses or server ports.
    ///
    /// ## References
    ///
    /// RFC 6056 section 3; RFC 9293 section 3.6.1
    pub PORT_EXHAUSTION = {
        name: "port-exhaustion",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            ports: 28232.0 "ports" "Ports that one client address has for one service.",
            used_percent: 80.0 "percent" "Share of them in use that is reported.",
            time_wait_s: 60.0 "seconds" "Time for which TIME_WAIT keeps a port.",
            connections_min: 500.0 "connections" "Connections needed to extrapolate a rate.",
        },
        scope: Grouped(|| Box::new(Clients(Parties::with_max(CROWDS_MAX)))),
        raises: "set port-exhaustion.ports=50
                 clients 45 0.5
                 0.00 > S  0:0(0)
                 0.01 < S. 0:0(0) ack 1
                 0.02 > .  1:1(0) ack 1
                 0.03 > F. 1:1(0) ack 1
                 0.04 < F. 1:1(0) ack 2
                 0.05 > .  2:2(0) ack 2",
        // The server closes first, and has the TIME_WAITs.
        near_miss: "set port-exhaustion.ports=50
                    clients 45 0.5
                    0.00 > S  0:0(0)
                    0.01 < S. 0:0(0) ack 1
                    0.02 > .  1:1(0) ack 1
                    0.03 < F. 1:1(0) ack 1
                    0.04 > F. 1:1(0) ack 2
                    0.05 < .  2:2(0) ack 2",
    }
}

/// What is counted of one client at one service.
#[derive(Debug, Default)]
struct Ports {
    connections: u64,
    /// Those whose client waits in TIME_WAIT, and no other took their port before that was over.
    waiting: u64,
    /// Those of which another one did.
    cut_short: u64,
    crowd: Crowd,
    stretch: Stretch,
    first: Firsts,
}

joined!(Ports { connections, waiting, cut_short, crowd, stretch, first });

struct Clients(Parties<Ports, InTunnel>);

impl Grouping for Clients {
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        let least = (enough(context).ceil() as u64).min(context.count("connections_min"));
        Some(Suspects::new(least, |suspects, keys| suspects.holds(keys.party(Role::Client))))
    }

    fn suspect(&mut self, _: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        suspects.count(keys.party(Role::Client));
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, _: &Suspects) {
        if history.handshake() == Handshake::NotCaptured {
            return;
        }
        let party = Party::of(keys, Role::Client);
        let ports = self.0.entry((party, history.tuple.tunnel()));
        ports.connections += 1;
        if history.was_in(Role::Client, State::TimeWait) {
            match history.left_by(Role::Client, State::TimeWait) {
                Some(Event::Superseded) => ports.cut_short += 1,
                _ => ports.waiting += 1,
            }
        }
        let at = history.first.ts;
        ports.crowd.add(at, ended(history, Role::Client), history.predecessor.is_some());
        ports.stretch.add(at);
        ports.first.add(history.first, history.id);
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, _: &Context) -> bool {
        history.handshake() != Handshake::NotCaptured
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for ((party, _), ports) in self.0.drain() {
            out.extend(ports.finding(&party, context));
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

/// Ports that one client address has for one service.
fn ports(context: &Context) -> f64 {
    context.value("ports").max(1.0)
}

/// So many of them in use that it is reported.
fn enough(context: &Context) -> f64 {
    ports(context) * context.value("used_percent") / 100.0
}

impl Ports {
    fn finding(&self, party: &Party, context: &Context) -> Option<Finding> {
        let (all, enough) = (ports(context), enough(context));
        let (peak, _) = self.crowd.peak();
        let (first, last) = self.stretch.ends()?;
        let seconds = last.since(first).as_secs_f64().max(1.0);
        let per_second = self.waiting as f64 / seconds;
        let steady = per_second * context.value("time_wait_s");
        // A client that takes ports in TIME_WAIT again and again does not run out of them.
        let is_known = self.connections >= context.count("connections_min")
            && self.waiting > self.cut_short
            && steady >= enough;
        if (peak as f64) < enough && !is_known {
            return None;
        }
        let grows = is_known && per_second > 0.0;
        let left = grows.then(|| Span::from_secs_f64((all - peak as f64).max(0.0) / per_second));
        let when = left.map_or(String::new(), |left| {
            format!(
                ", and {per_second:.0} per second enter TIME_WAIT: in {left}, none will be left"
            )
        });
        let message = format!(
            "{} had {} of {} ports in use at once{when}; keep connections open and reuse them",
            party.words(),
            Grouped(peak),
            Grouped(all as u64),
        );
        let finding = self.first.finding(self.connections, party, context, message);
        let finding = finding
            .lasting(last.since(first))
            .with("in_use", peak)
            .with("ports", all as u64)
            .with("connections", self.connections)
            .with("per_second", Value::Number(self.connections as f64 / seconds))
            .with("time_waits_per_second", Value::Number(per_second));
        Some(match left {
            Some(left) => finding.with("left_s", left),
            None => finding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Collector, Thresholds};
    use crate::testkit::connections;

    /// Two ports that a client uses by turns, each again as soon as it has closed the one before.
    fn by_turns(lives: u64) -> Vec<History> {
        let mut trace = String::new();
        for life in 0..lives {
            let [syn, data, fin] = [0, 1, 2].map(|it| life * 100_000 + it);
            let steps = [
                format!("> S {syn}:{syn}(0)"),
                format!("< S. {syn}:{syn}(0) ack {data}"),
                format!("> . {data}:{data}(0) ack {data}"),
                format!("> F. {data}:{data}(0) ack {data}"),
                format!("< F. {data}:{data}(0) ack {fin}"),
                format!("> . {fin}:{fin}(0) ack {fin}"),
            ];
            for (millis, step) in (life * 10..).zip(steps) {
                trace += &format!("{:.3} {}{step}\n", millis as f64 / 1e3, life % 2);
            }
        }
        connections(&trace)
    }

    fn in_use(histories: &[History], ports: u64) -> Vec<Value> {
        let mut thresholds = Thresholds::default();
        for setting in [format!("ports={ports}"), "connections_min=100".to_owned()] {
            thresholds.set(&format!("port-exhaustion.{setting}")).unwrap();
        }
        let summary = Collector::collect(thresholds, histories.iter(), &CaptureFacts::default());
        let found = summary.grouped.iter().filter(|it| it.name == PORT_EXHAUSTION.name);
        found.filter_map(|it| it.value("in_use").cloned()).collect()
    }

    #[test]
    fn a_port_that_is_used_again_and_again_is_one_port() {
        let histories = by_turns(300);
        assert_eq!(histories.len(), 300);
        assert!(in_use(&histories, 5).is_empty(), "neither that many at once, nor at that rate");
        assert_eq!(in_use(&histories, 2), [2_u64.into()]);
    }

    /// Half of the clients leave the TIME_WAIT to the server.
    #[test]
    fn how_many_enter_time_wait_is_told_beside_how_many_connect() {
        let mut trace = String::new();
        for client in 0..20 {
            let [first, second] = if client % 2 == 0 { ['>', '<'] } else { ['<', '>'] };
            trace += &format!(
                "{client}.00 {client}> S 0:0(0)
                 {client}.01 {client}< S. 0:0(0) ack 1
                 {client}.02 {client}> . 1:1(0) ack 1
                 {client}.03 {client}{first} F. 1:1(0) ack 1
                 {client}.04 {client}{second} F. 1:1(0) ack 2
                 {client}.05 {client}{first} . 2:2(0) ack 2\n"
            );
        }
        let mut thresholds = Thresholds::default();
        thresholds.set("port-exhaustion.ports=5").unwrap();
        let all = connections(&trace);
        let summary = Collector::collect(thresholds, all.iter(), &CaptureFacts::default());
        let found = summary.grouped.iter().find(|it| it.name == PORT_EXHAUSTION.name).unwrap();
        let rate = |key| match found.value(key) {
            Some(Value::Number(rate)) => format!("{rate:.2}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(rate("per_second"), "1.05");
        assert_eq!(rate("time_waits_per_second"), "0.53");
    }

    #[test]
    fn in_each_tunnel_there_are_ports_of_its_own() {
        let in_tunnel = |tunnel| {
            by_turns(2).into_iter().map(move |mut history| {
                history.tuple = history.tuple.in_tunnel(tunnel);
                history
            })
        };
        let histories: Vec<_> = (1..=60).flat_map(in_tunnel).collect();
        assert!(in_use(&histories, 5).is_empty());
        assert_eq!(in_use(&histories, 2), vec![2_u64.into(); 60]);
    }
}
