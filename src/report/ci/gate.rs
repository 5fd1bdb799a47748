//! Which findings fail a job: those at or above a severity, less what is tolerated.

use std::collections::BTreeSet;

use crate::findings::Severity;
use crate::report::ci::issues::{Issue, Issues, Place};
use crate::report::ci::obstacles;
use crate::report::ci::rows::first_of_kinds;
use crate::report::text::{Grouped, plural};
use crate::run::Analysis;

/// What a job fails on.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The mildest severity that fails.
    pub fail_on: Severity,
    /// So many findings of a name are fine, and no more.
    pub max: Vec<(&'static str, u64)>,
    /// A baseline tells what is new.
    pub has_baseline: bool,
    /// A file that ends inside a packet cannot be judged.
    pub is_strict: bool,
}

/// An issue with the gate's word on it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was found.
    pub issue: Issue,
    /// How many of its findings fail the job.
    pub failing: u64,
    /// How many a baseline holds already.
    pub known: u64,
}

impl Judged {
    /// Whether it fails the job.
    pub const fn fails(&self) -> bool {
        self.failing > 0
    }

    /// Whether a baseline holds all of it.
    pub const fn is_known(&self) -> bool {
        self.known >= self.issue.count()
    }
}

/// The gate's word on a run.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// All issues, those that fail the job first.
    pub issues: Vec<Judged>,
    /// Where something could have been found.
    pub services: BTreeSet<Place>,
    /// Names of which there are more than `max` allows, and which are too mild to fail the job.
    pub mild: Vec<(&'static str, u64)>,
    /// Names of which `max` lets so many findings pass that would fail the job.
    pub let_pass: Vec<(&'static str, u64)>,
    /// What kept the capture from being judged in full.
    pub obstacles: Vec<String>,
    /// Where files end inside a packet, if that is no obstacle.
    pub cuts: Vec<String>,
    /// What a baseline holds and is not there, if that fails the job.
    pub stale: Option<String>,
}

impl Gate {
    /// Judges the issues of a run; `known` says how many of an issue's findings are known already.
    pub fn judge(
        &self,
        analysis: &Analysis,
        found: Issues,
        mut known: impl FnMut(&Issue) -> u64,
    ) -> Judgement {
        let issues = found.issues.into_iter();
        let mut judged: Vec<Judged> = issues
            .map(|issue| {
                let grave = issue.counts.at_least(self.fail_on);
                let known = known(&issue);
                Judged { issue, failing: grave.saturating_sub(known), known }
            })
            .collect();
        let (mut mild, mut let_pass) = (Vec::new(), Vec::new());
        for (name, max) in &self.max {
            let of_name = || judged.iter().filter(|it| it.issue.key.name == *name);
            let failing: u64 = of_name().map(|it| it.failing).sum();
            let all: u64 = of_name().map(|it| it.issue.count().saturating_sub(it.known)).sum();
            if failing <= *max {
                let same = judged.iter_mut().filter(|it| it.issue.key.name == *name);
                same.for_each(|it| it.failing = 0);
                if failing > 0 {
                    let_pass.push((*name, failing));
                }
                if all > *max {
                    mild.push((*name, all));
                }
            }
        }
        judged.sort_by_key(|it| !it.fails());
        let cuts = analysis.cuts.iter().filter(|_| !self.is_strict);
        Judgement {
            issues: judged,
            services: found.services,
            mild,
            let_pass,
            obstacles: obstacles(analysis, self.is_strict),
            cuts: cuts.map(ToString::to_string).collect(),
            stale: None,
        }
    }
}

impl Judgement {
    /// The issues that fail the job.
    pub fn failures(&self) -> impl Iterator<Item = &Judged> {
        self.issues.iter().filter(|it| it.fails())
    }

    /// How many findings fail the job.
    pub fn failing(&self) -> u64 {
        self.issues.iter().map(|it| it.failing).sum()
    }

    /// How many findings a baseline held already.
    pub fn known(&self) -> u64 {
        self.issues.iter().map(|it| it.known).sum()
    }

    /// Whether the job fails, or cannot be judged in full.
    pub fn fails(&self) -> bool {
        self.failing() > 0 || self.stale.is_some() || !self.obstacles.is_empty()
    }

    /// The gate's word in a sentence, which names the first places.
    pub fn sentence(&self, gate: &Gate) -> String {
        let obstacle = (!self.obstacles.is_empty()).then_some(NOT_IN_FULL);
        let mut parts: Vec<&str> = obstacle.into_iter().chain(self.stale.as_deref()).collect();
        let found = self.found(gate);
        let at = if self.failing() > 0 { 0 } else { parts.len() };
        parts.insert(at, &found);
        let outcome = if self.fails() { "failed" } else { "passed" };
        format!("check {outcome}: {}", parts.join("; "))
    }

    /// How many findings fail, and how many do not.
    fn found(&self, gate: &Gate) -> String {
        let fail_on = gate.fail_on;
        let known = match self.known() {
            0 => String::new(),
            known => format!("; the baseline holds {} more", Grouped(known)),
        };
        let let_pass: Vec<String> = self
            .let_pass
            .iter()
            .map(|(name, count)| format!("{} {name}", Grouped(*count)))
            .collect();
        let known = match let_pass.is_empty() {
            true => known,
            false => format!("{known}; --max lets {} pass", let_pass.join(", ")),
        };
        let new = if gate.has_baseline { "new " } else { "" };
        if self.failing() == 0 {
            let other = if let_pass.is_empty() { "" } else { "other " };
            return format!("no {other}{new}finding at or above {fail_on}{known}");
        }
        let kinds = first_of_kinds(self, Judged::fails, PLACES_MAX);
        let shown = kinds.iter().flat_map(|kind| &kind.shown);
        let mut places: Vec<String> = shown.map(|it| it.issue.key.to_string()).collect();
        let rest = kinds.iter().flat_map(|kind| &kind.rest).copied();
        places.extend(more(rest, |it| it.failing));
        let what = plural(self.failing(), &format!("{new}finding"));
        format!("{what} at or above {fail_on} ({}){known}", places.join("; "))
    }
}

/// What there was no room for, if there is any: how many findings, and at how many places.
pub fn more<'a>(
    rest: impl Iterator<Item = &'a Judged>,
    count: impl Fn(&Judged) -> u64,
) -> Option<String> {
    let (mut findings, mut places) = (0_u64, BTreeSet::new());
    for judged in rest {
        findings = findings.saturating_add(count(judged));
        places.insert(judged.issue.key.place);
    }
    let at = plural(places.len() as u64, "place");
    (findings > 0).then(|| format!("{} at {at}", plural(findings, "more finding")))
}

/// What the gate's sentence says of obstacles, each of which is told of at length elsewhere.
const NOT_IN_FULL: &str = "the capture could not be judged in full";

/// Places that the gate's sentence names, of as many kinds of findings if there are.
const PLACES_MAX: usize = 3;
