//! Findings over a whole capture, gathered while its connections finish, without keeping them.
//!
//! Connections come in any order, and a collector may see some of them only, to be joined with
//! those that see the others. So whatever is kept is put in an order of its own, and the same
//! capture gives the same findings.

use core::mem::take;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use serde::Serialize;

use crate::addr::HostPort;
use crate::findings::due::{Due, Places};
use crate::findings::finding::{Finding, Order, Severity};
use crate::findings::kept::{Join, Name, joined};
use crate::findings::rule::{AnyGrouping, Context, Rule, Scope};
use crate::findings::survey::Group;
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::thresholds::Thresholds;
use crate::findings::{ALL, check, worst_of};
use crate::history::{History, Role};
use crate::limits::FINDINGS_KEPT_PER_NAME;
use crate::time::{Span, Timestamp};

/// Groups of one name whose examples stand in front of the worst.
const LEADING_GROUPS_MAX: usize = 8;

/// What is known of the capture as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureFacts {
    /// Packets of the input.
    pub packets: u64,
    /// TCP segments that were used.
    pub segments: u64,
    /// Connections.
    pub connections: u64,
    /// Packets that were captured before.
    pub duplicates: u64,
    /// Packets cut before the end of their TCP header.
    pub cut_headers: u64,
    /// Packets that the capturing host counted as dropped.
    pub dropped: u64,
    /// Packets whose clock ran backwards.
    pub backwards: u64,
    /// By how much, at most, against the newest packet.
    pub backwards_most: Span,
    /// The first packet's time.
    pub first_ts: Option<Timestamp>,
    /// The last packet's time.
    pub last_ts: Option<Timestamp>,
}

/// Findings by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Errors.
    pub error: u64,
    /// Warnings.
    pub warning: u64,
    /// Notes.
    pub note: u64,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Error => self.error += 1,
            Severity::Warning => self.warning += 1,
            Severity::Note => self.note += 1,
        }
    }

    /// How many are at least that grave.
    pub const fn at_least(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Error => self.error,
            Severity::Warning => self.error + self.warning,
            Severity::Note => self.error + self.warning + self.note,
        }
    }
}

joined!(Counts { error, warning, note });

/// All findings of a capture, as far as they are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many there are, kept or not.
    pub findings: Counts,
    /// How many of each name; names without any are left out.
    pub by_name: BTreeMap<&'static str, u64>,
    /// Those about services, hosts and the capture, in the order of [`ALL`].
    pub grouped: Vec<Finding>,
    /// Their places in `grouped`, for those that only one connection raised, by its number.
    pub of_one: BTreeMap<u64, Vec<usize>>,
    /// The places in `grouped` of those of each name, at each place.
    at: HashMap<At, Vec<usize>, RandomState>,
    /// The worst about single connections, by name: at most [`FINDINGS_KEPT_PER_NAME`] each, those
    /// of the largest groups in front.
    pub worst: BTreeMap<&'static str, Vec<Finding>>,
    /// How often something was to be counted for a group that had no room.
    pub groups_beyond: u64,
}

/// What a finding about many connections is found by: its name, side and address.
type At = (&'static str, Option<Role>, Option<HostPort>);

/// Gathers findings while connections finish.
///
/// Every connection is shown once ([`Collector::take`]), and then those that concern a suspect once
/// more ([`Collector::again`]): see [`suspects`](super::suspects). Several collectors can share the
/// connections, and are joined after each look; it does not matter which of them sees which.
pub struct Collector {
    thresholds: Thresholds,
    watches: Vec<Watch>,
    /// Which of them are due.
    due: Due,
    /// What was found about single connections, by name.
    single: HashMap<Name, Single, RandomState>,
}

/// A rule that judges many connections together, at work.
struct Watch {
    rule: &'static Rule,
    grouping: Box<dyn AnyGrouping>,
    suspects: Option<Suspects>,
    /// Which of the connections that are taken at the moment it is shown.
    shown: Places,
}

/// The findings of one name about single connections: how many, and the worst.
#[derive(Default)]
struct Single {
    counts: Counts,
    worst: Worst,
}

/// Those whom the rules that look twice suspect, and the places of those rules that suspect any.
pub struct Suspicions(Vec<(usize, Suspects)>);

impl Suspicions {
    /// Whether there is anybody to look at again.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a connection with these groups is one to look at again.
    pub fn concern(&self, keys: &Keys) -> bool {
        self.0.iter().any(|(_, suspects)| suspects.concern(keys))
    }
}

impl Collector {
    /// With these thresholds, for so many connections.
    pub fn new(thresholds: Thresholds, connections: u64) -> Collector {
        let watch = |rule: &&'static Rule| {
            let Scope::Grouped(new) = rule.scope else { return None };
            let grouping = new();
            let suspects = grouping.suspects(&Context::new(rule, &thresholds));
            let suspects = suspects.map(|it| it.among(connections));
            let shown = Places::default();
            thresholds.is_on(rule.name).then_some(Watch { rule, grouping, suspects, shown })
        };
        let watches: Vec<Watch> = ALL.iter().filter_map(watch).collect();
        let due = Due::of(watches.iter().map(|watch| watch.rule), &thresholds);
        Collector { thresholds, watches, due, single: HashMap::default() }
    }

    /// Takes all connections, and what is known of the capture as a whole.
    pub fn collect<'a>(
        thresholds: Thresholds,
        histories: impl Iterator<Item = &'a History> + Clone,
        capture: &CaptureFacts,
    ) -> Summary {
        let mut collector = Collector::new(thresholds, histories.clone().count() as u64);
        for history in histories.clone() {
            let own = check(history, &collector.thresholds);
            collector.take(&[(history, &Keys::of(history))], own);
        }
        let suspicions = collector.suspicions();
        for history in histories {
            let keys = Keys::of(history);
            if suspicions.concern(&keys) {
                collector.again(history, &keys, &suspicions);
            }
        }
        collector.finish(capture)
    }

    /// Takes some finished connections with the findings about each by itself.
    ///
    /// Rule by rule, so that the counts of several connections are waited for together.
    pub fn take(&mut self, some: &[(&History, &Keys)], own: impl IntoIterator<Item = Finding>) {
        some.chunks(Places::MAX).for_each(|some| self.watch(some));
        for finding in own {
            let Single { counts, worst } = self.single.entry(Name(finding.name)).or_default();
            counts.add(finding.severity);
            worst.take(finding);
        }
    }

    fn watch(&mut self, some: &[(&History, &Keys)]) {
        for (at, (history, _)) in some.iter().enumerate() {
            for place in self.due.to(history.signs()) {
                if let Some(Watch { shown, .. }) = self.watches.get_mut(place) {
                    shown.add(at);
                }
            }
        }
        for (place, watch) in self.watches.iter_mut().enumerate() {
            let Watch { grouping, suspects, shown, .. } = watch;
            let Some(context) = self.due.context(place, &self.thresholds) else { continue };
            for (history, keys) in take(shown).filter_map(|at| some.get(at)) {
                match suspects {
                    Some(suspects) => grouping.suspect(history, keys, &context, suspects),
                    None => grouping.take(history, keys, &context),
                }
            }
        }
    }

    /// All connections were shown: whom to look at again.
    pub fn suspicions(&mut self) -> Suspicions {
        let settled = |(place, watch): (usize, &mut Watch)| {
            let mut suspects = watch.suspects.take()?;
            watch.grouping.settle(&mut suspects);
            suspects.settle();
            suspects.any().then_some((place, suspects))
        };
        Suspicions(self.watches.iter_mut().enumerate().filter_map(settled).collect())
    }

    /// Takes a connection that concerns a suspect for the second time.
    pub fn again(&mut self, history: &History, keys: &Keys, suspicions: &Suspicions) {
        for (place, suspects) in suspicions.0.iter().filter(|(_, it)| it.concern(keys)) {
            if let Some(Watch { rule, grouping, .. }) = self.watches.get_mut(*place) {
                let context = Context::new(rule, &self.thresholds);
                grouping.again(history, keys, &context, suspects);
            }
        }
    }

    /// Adds what another one, with the same thresholds and for as many connections, gathered of
    /// others.
    pub fn join(&mut self, other: Collector) {
        for (own, more) in self.watches.iter_mut().zip(other.watches) {
            own.grouping.join_any(more.grouping);
            if let (Some(own), Some(more)) = (&mut own.suspects, more.suspects) {
                own.join(more);
            }
        }
        for (name, more) in other.single {
            let own = self.single.entry(name).or_default();
            own.counts.join(&more.counts);
            own.worst.kept.extend(more.worst.kept);
            own.worst.cut();
        }
    }

    /// The capture is over.
    pub fn finish(mut self, capture: &CaptureFacts) -> Summary {
        let mut summary = Summary::default();
        for rule in ALL {
            let context = Context::new(rule, &self.thresholds);
            let mut found = Vec::new();
            match rule.scope {
                _ if !self.thresholds.is_on(rule.name) => {}
                Scope::PerConnection(_) => {}
                Scope::Capture(check) => check(capture, &context, &mut found),
                Scope::Grouped(_) => {
                    let own = self.watches.iter_mut().find(|watch| watch.rule.name == rule.name);
                    if let Some(Watch { grouping, .. }) = own {
                        grouping.finish(capture, &context, &mut found);
                        summary.groups_beyond += grouping.beyond();
                    }
                }
            }
            found.sort_by_cached_key(Finding::order);
            let Single { mut counts, worst } =
                self.single.remove(&Name(rule.name)).unwrap_or_default();
            found.iter().for_each(|finding| counts.add(finding.severity));
            summary.count(rule.name, &counts);
            summary.grouped.append(&mut found);
            if !worst.kept.is_empty() {
                summary.worst.insert(rule.name, worst.sorted());
            }
        }
        for (place, finding) in summary.grouped.iter().enumerate() {
            if let Some(id) = finding.connection {
                summary.of_one.entry(id).or_default().push(place);
            }
            let at = (finding.name, finding.role, finding.host);
            summary.at.entry(at).or_default().push(place);
        }
        summary
    }
}

impl Summary {
    /// The findings of that rule about many connections, one of which this may be.
    pub fn about(&self, rule: &Rule, history: &History) -> impl Iterator<Item = &Finding> {
        let ends = Role::BOTH.map(|role| (role, history.addr(role)));
        let of_ends = ends.into_iter().flat_map(|(role, addr)| {
            let host = HostPort::new(addr.ip(), 0);
            [(Some(role), Some(addr)), (Some(role), Some(host)), (None, Some(host))]
        });
        let all = of_ends.chain([(None, None)]);
        let places = all.filter_map(move |(role, host)| self.at.get(&(rule.name, role, host)));
        places.flatten().filter_map(|place| self.grouped.get(*place))
    }

    /// Puts in front, of the findings of each name about single connections, one of each of its
    /// largest groups, which stand in order: where it happens most is looked at first. `read` has
    /// the history of a number.
    pub fn lead(
        &mut self,
        groups: &[Group],
        thresholds: &Thresholds,
        mut read: impl FnMut(u64) -> Option<History>,
    ) {
        for (name, worst) in &mut self.worst {
            let Some(severity) = worst.first().map(|first| first.severity) else { continue };
            let own = groups.iter().filter(|it| it.name == *name && it.place.is_some());
            let examples = own.filter_map(|group| group.example).take(LEADING_GROUPS_MAX);
            let mut leading: Vec<Finding> = examples
                .filter_map(|id| worst_of(name, &read(id)?, thresholds))
                .filter(|finding| finding.severity == severity)
                .collect();
            worst.retain(|finding| !leading.contains(finding));
            leading.append(worst);
            leading.truncate(FINDINGS_KEPT_PER_NAME);
            *worst = leading;
        }
    }

    fn count(&mut self, name: &'static str, counts: &Counts) {
        self.findings.join(counts);
        let all = counts.at_least(Severity::Note);
        if all > 0 {
            self.by_name.insert(name, all);
        }
    }
}

/// The worst findings of one name.
#[derive(Default)]
struct Worst {
    kept: Vec<Finding>,
    /// The order of the last of those that stand in front, once they are as many as are kept.
    least: Option<Order>,
}

impl Worst {
    /// Cutting early is safe: what is cut had enough worse ones before it, and they stay.
    fn take(&mut self, finding: Finding) {
        if self.least.is_some_and(|least| least <= finding.order()) {
            return;
        }
        self.kept.push(finding);
        if self.kept.len() >= 2 * FINDINGS_KEPT_PER_NAME {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.kept.sort_by_cached_key(Finding::order);
        self.kept.truncate(FINDINGS_KEPT_PER_NAME);
        self.least = self.kept.get(FINDINGS_KEPT_PER_NAME - 1).map(Finding::order);
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.cut();
        self.kept
    }
}
