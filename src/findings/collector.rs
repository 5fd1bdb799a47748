//! Findings over a whole capture, gathered while its connections finish, without keeping them.
//!
//! Connections come in the order in which they end, which says nothing; so whatever is kept is
//! put in an order of its own, and the same capture gives the same findings.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::findings::finding::{Finding, Severity};
use crate::findings::rule::{Context, Grouping, Rule, Scope};
use crate::findings::thresholds::Thresholds;
use crate::findings::{ALL, check};
use crate::history::History;
use crate::limits::FINDINGS_KEPT_PER_NAME;
use crate::time::{Span, Timestamp};

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
    /// The worst about single connections, by name: at most [`FINDINGS_KEPT_PER_NAME`] each.
    pub worst: BTreeMap<&'static str, Vec<Finding>>,
    /// Groups for which there was no room.
    pub groups_beyond: u64,
}

/// Gathers findings while connections finish.
pub struct Collector {
    thresholds: Thresholds,
    groupings: Vec<(&'static Rule, Box<dyn Grouping>)>,
    summary: Summary,
}

impl Collector {
    /// With these thresholds.
    pub fn new(thresholds: Thresholds) -> Collector {
        let groupings = ALL
            .iter()
            .filter(|rule| thresholds.is_on(rule.name))
            .filter_map(|rule| match rule.scope {
                Scope::Grouped(new) => Some((*rule, new())),
                _ => None,
            })
            .collect();
        Collector { thresholds, groupings, summary: Summary::default() }
    }

    /// The thresholds in force.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Takes a finished connection.
    pub fn on_history(&mut self, history: &History) {
        self.take(history, check(history, &self.thresholds));
    }

    /// Takes a finished connection with the findings about it by itself.
    pub fn take(&mut self, history: &History, own: impl IntoIterator<Item = Finding>) {
        for (rule, grouping) in &mut self.groupings {
            grouping.take(history, &Context::new(rule, &self.thresholds));
        }
        for finding in own {
            self.summary.count(&finding);
            let kept = self.summary.worst.entry(finding.name).or_default();
            kept.push(finding);
            if kept.len() >= 2 * FINDINGS_KEPT_PER_NAME {
                keep_worst(kept);
            }
        }
    }

    /// The capture is over.
    pub fn finish(mut self, capture: &CaptureFacts) -> Summary {
        let mut summary = core::mem::take(&mut self.summary);
        let mut grouped = Vec::new();
        for rule in ALL.iter().filter(|rule| self.thresholds.is_on(rule.name)) {
            let context = Context::new(rule, &self.thresholds);
            let mut found = Vec::new();
            match rule.scope {
                Scope::PerConnection(_) => {}
                Scope::Capture(check) => check(capture, &context, &mut found),
                Scope::Grouped(_) => {
                    let own = self.groupings.iter_mut().find(|(of, _)| of.name == rule.name);
                    if let Some((_, grouping)) = own {
                        grouping.finish(capture, &context, &mut found);
                        summary.groups_beyond += grouping.beyond();
                    }
                }
            }
            found.sort_by_cached_key(Finding::order);
            grouped.append(&mut found);
        }
        for (place, finding) in grouped.iter().enumerate() {
            summary.count(finding);
            if let Some(id) = finding.connection {
                summary.of_one.entry(id).or_default().push(place);
            }
        }
        summary.grouped = grouped;
        summary.worst.values_mut().for_each(keep_worst);
        summary
    }
}

impl Summary {
    fn count(&mut self, finding: &Finding) {
        self.findings.add(finding.severity);
        *self.by_name.entry(finding.name).or_default() += 1;
    }
}

/// Keeps the worst, in order. Cutting early is safe: what is cut had enough worse ones before it,
/// and they stay.
fn keep_worst(findings: &mut Vec<Finding>) {
    findings.sort_by_cached_key(Finding::order);
    findings.truncate(FINDINGS_KEPT_PER_NAME);
}
