//! What every finding file declares, and the macro that declares it.
//!
//! The `///` text above a declaration is its explanation: the same words are the documentation of
//! the constant and what `finwait explain NAME` prints.

use core::any::Any;

use crate::addr::HostPort;
use crate::findings::collector::CaptureFacts;
use crate::findings::finding::{Finding, Severity};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::thresholds::Thresholds;
use crate::flow::kinds::Only;
use crate::history::{History, Role, Signs};
use crate::infer::trail::Moment;
use crate::time::Span;

/// A number that a user may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Its name within the finding. Durations end in `_s`.
    pub name: &'static str,
    /// Its value unless changed.
    pub default: f64,
    /// The least value that it may have: of shorter silences no record is kept.
    pub least: f64,
    /// What it counts.
    pub unit: &'static str,
    /// What it bounds.
    pub doc: &'static str,
}

impl Threshold {
    /// Whether it may have that value: a time or a rate any that is not negative, or its least
    /// value or more, a share one up to 100, and what is counted whole numbers.
    pub fn takes(&self, value: f64) -> bool {
        let fits = match self.unit {
            "seconds" => true,
            "percent" => value <= 100.0,
            rate if rate.ends_with(" per second") => true,
            _ => value.fract() == 0.0,
        };
        fits && value.is_finite() && value >= self.least
    }
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// One connection by itself.
    PerConnection(fn(&History, &Context, &mut Vec<Finding>)),
    /// Many connections together; makes the place where they are counted.
    Grouped(fn() -> Box<dyn AnyGrouping>),
    /// The capture.
    Capture(fn(&CaptureFacts, &Context, &mut Vec<Finding>)),
}

/// Counts connections for a rule that judges many together. Neither the order in which they come
/// nor how they are shared out among several that are joined must show in what it finds.
pub trait Grouping: Any + Send {
    /// Counts one connection.
    fn take(&mut self, history: &History, keys: &Keys, context: &Context) {
        let _ = (history, keys, context);
    }

    /// For a rule that looks twice: who is suspect, at first nobody. It is given to the next two
    /// in place of [`Grouping::take`].
    fn suspects(&self, context: &Context) -> Option<Suspects> {
        let _ = context;
        None
    }

    /// Looks at one connection for the first time.
    fn suspect(
        &mut self,
        history: &History,
        keys: &Keys,
        context: &Context,
        suspects: &mut Suspects,
    ) {
        let _ = (history, keys, context, suspects);
    }

    /// All connections were looked at for the first time, and all that did are joined.
    fn settle(&mut self, suspects: &mut Suspects) {
        let _ = suspects;
    }

    /// Counts one connection that concerns a suspect.
    fn again(&mut self, history: &History, keys: &Keys, context: &Context, suspects: &Suspects) {
        let _ = (history, keys, context, suspects);
    }

    /// Counts what another one counted of other connections, too.
    fn join(&mut self, other: Self)
    where
        Self: Sized;

    /// Whether a finding of this rule counts a connection, for what the end in that role did. It is
    /// asked of connections at the finding's place, and of the role that it is about if it is about
    /// one.
    fn counts(&self, history: &History, role: Role, finding: &Finding, context: &Context) -> bool;

    /// Judges what was counted.
    fn finish(&mut self, capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>);

    /// How often something was to be counted for a group that had no room, once it is judged.
    fn beyond(&self) -> u64 {
        0
    }
}

/// A rule's [`Grouping`] of whatever type.
pub trait AnyGrouping: Grouping {
    /// Counts what another one of the same rule counted of other connections, too.
    fn join_any(&mut self, other: Box<dyn AnyGrouping>);
}

impl<T: Grouping> AnyGrouping for T {
    fn join_any(&mut self, other: Box<dyn AnyGrouping>) {
        let other: Box<dyn Any> = other;
        if let Ok(other) = other.downcast() {
            self.join(*other);
        }
    }
}

/// One kind of finding.
#[derive(Debug)]
pub struct Rule {
    /// Its kebab-case name, for ever.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The version that first had it.
    pub since: &'static str,
    /// What a user may change.
    pub thresholds: &'static [Threshold],
    /// The explanation as it was written, in Markdown; [`Rule::text`] is fit to print.
    pub explanation: &'static str,
    /// What it looks at.
    pub scope: Scope,
    /// What must be there of a connection for it to matter: of each of these, something.
    pub looks_for: &'static [Signs],
    /// A trace that must raise it.
    pub raises: &'static str,
    /// A trace that comes near and must not.
    pub near_miss: &'static str,
}

impl Rule {
    /// Whether a connection with these signs can matter to it.
    #[inline]
    pub fn may_concern(&self, signs: Signs) -> bool {
        self.looks_for.iter().all(|any| any.meets(signs))
    }

    /// Whether a finding of this rule that is about many connections counts this one.
    pub fn counts(
        &'static self,
        history: &History,
        finding: &Finding,
        thresholds: &Thresholds,
    ) -> bool {
        let Scope::Grouped(new) = self.scope else { return false };
        let (grouping, context) = (new(), Context::new(self, thresholds));
        let is_there = |role: &Role| {
            let addr = history.addr(*role);
            let is_host = |host: HostPort| match host.port() {
                0 => host.ip() == addr.ip(),
                _ => host == addr,
            };
            let is_service = |service| service == history.addr(Role::Server);
            finding.role.is_none_or(|own| own == *role)
                && finding.host.is_none_or(is_host)
                && finding.service.is_none_or(is_service)
        };
        let mut there = Role::BOTH.into_iter().filter(is_there);
        there.any(|role| grouping.counts(history, role, finding, &context))
    }

    /// The explanation, without the blank that `///` leaves before each line.
    pub fn text(&self) -> String {
        let lines = self.explanation.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// The trace that raises it and the one that only comes near, without indentation.
    pub fn examples(&self) -> [String; 2] {
        [self.raises, self.near_miss].map(|trace| {
            let lines: Vec<&str> = trace.lines().map(str::trim).collect();
            lines.join("\n").trim().to_owned()
        })
    }

    /// The explanation's first sentence, which says what the finding is.
    pub fn title(&self) -> &'static str {
        self.explanation.lines().next().unwrap_or_default().trim()
    }
}

/// A rule at work, with the thresholds in force.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    rule: &'static Rule,
    thresholds: &'a Thresholds,
    /// The rule's own, in its order, where they were looked up before.
    amounts: &'a [Amount],
    is_sketching: bool,
}

/// A threshold's value, and the same as a length of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    value: f64,
    span: Span,
}

impl Amount {
    fn of(value: f64) -> Amount {
        Amount { value, span: Span::from_secs_f64(value) }
    }

    /// Those of a rule, in its order.
    pub fn all(rule: &Rule, thresholds: &Thresholds) -> Vec<Amount> {
        let value = |it: &Threshold| thresholds.value(rule, it.name).unwrap_or_default();
        rule.thresholds.iter().map(|it| Amount::of(value(it))).collect()
    }
}

impl<'a> Context<'a> {
    /// For one rule.
    pub fn new(rule: &'static Rule, thresholds: &'a Thresholds) -> Self {
        Context { rule, thresholds, amounts: &[], is_sketching: false }
    }

    /// The same, with the rule's thresholds looked up: for one that is asked of every connection.
    pub(super) fn with(self, amounts: &'a [Amount]) -> Self {
        Context { amounts, ..self }
    }

    /// The same for findings that are only counted and compared: without words, frames and
    /// evidence, which take far longer to write than to see that they are due.
    pub fn sketching(self) -> Self {
        Context { is_sketching: true, ..self }
    }

    /// The rule.
    pub fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// Whether its findings are wanted.
    pub fn is_on(&self) -> bool {
        self.thresholds.is_on(self.rule.name)
    }

    /// Whether findings are told in full.
    pub fn is_telling(&self) -> bool {
        !self.is_sketching
    }

    /// The same thresholds, seen from another rule: where one finding gives way to another.
    pub fn of(&self, rule: &'static Rule) -> Context<'a> {
        Context { rule, amounts: &[], ..*self }
    }

    /// To which segments the capture is limited, if beyond doubt it is to any.
    pub fn only(&self) -> Option<Only> {
        self.thresholds.only()
    }

    /// Whether not one ACK of a handshake can be in the capture.
    pub fn lacks_acks(&self) -> bool {
        self.only().is_some_and(Only::lacks_handshakes_ack)
    }

    /// A threshold of the rule; 0 for a name that it does not have.
    pub fn value(&self, threshold: &str) -> f64 {
        self.amount(threshold).value
    }

    /// A threshold in whole numbers.
    pub fn count(&self, threshold: &str) -> u64 {
        self.value(threshold) as u64
    }

    /// A threshold in seconds.
    pub fn span(&self, threshold: &str) -> Span {
        self.amount(threshold).span
    }

    #[inline]
    fn amount(&self, threshold: &str) -> Amount {
        let own = self.rule.thresholds.iter().zip(self.amounts);
        // A rule's names and what it asks for are mostly the same text in memory.
        let is = |name: &str| core::ptr::eq(name, threshold) || name == threshold;
        match own.into_iter().find(|(it, _)| is(it.name)) {
            Some((_, amount)) => *amount,
            None => Amount::of(self.thresholds.value(self.rule, threshold).unwrap_or_default()),
        }
    }

    /// A finding about one end of a connection that began at that moment.
    pub fn about(&self, history: &History, role: Role, at: Moment, message: String) -> Finding {
        let place = Finding {
            connection: Some(history.id),
            role: Some(role),
            host: Some(history.addr(role)),
            ..self.of_capture(at, message)
        };
        place.frame(at)
    }

    /// A finding about no connection in particular.
    pub fn of_capture(&self, at: Moment, message: String) -> Finding {
        Finding {
            name: self.rule.name,
            severity: self.rule.severity,
            message,
            connection: None,
            role: None,
            host: None,
            service: None,
            ts: at.ts,
            duration: None,
            ongoing: None,
            newest: None,
            frames: Vec::new(),
            evidence: Vec::new(),
            is_sketch: self.is_sketching,
        }
    }
}

/// Declares a finding: the `///` above it is its explanation.
macro_rules! finding {
    (
        $(#[doc = $doc:literal])+
        pub $id:ident = {
            name: $name:literal,
            severity: $severity:ident,
            since: $since:literal,
            thresholds: {
                $($threshold:ident: $default:literal $(at_least $least:literal)?
                $unit:literal $about:literal),* $(,)?
            },
            scope: $scope:ident($check:expr),
            $(looks_for: [$($signs:expr),+ $(,)?],)?
            raises: $raises:expr,
            near_miss: $near_miss:expr $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        pub static $id: $crate::findings::rule::Rule = $crate::findings::rule::Rule {
            name: $name,
            severity: $crate::findings::finding::Severity::$severity,
            since: $since,
            thresholds: &[$($crate::findings::rule::Threshold {
                name: stringify!($threshold),
                default: $default,
                least: 0.0 $(+ $least)?,
                unit: $unit,
                doc: $about,
            }),*],
            explanation: concat!($($doc, "\n"),+),
            scope: $crate::findings::rule::Scope::$scope($check),
            looks_for: &[$($($signs),+)?],
            raises: $raises,
            near_miss: $near_miss,
        };
    };
}
pub(crate) use finding;

/// A message as `format!` makes it, where the finding is told in full.
macro_rules! words {
    ($context:expr, $($text:tt)+) => {
        if $context.is_telling() { format!($($text)+) } else { String::new() }
    };
}
pub(crate) use words;

/// A trace that goes on after a handshake that took 11 ms.
macro_rules! opened {
    ($rest:literal) => {
        concat!(
            "0.000 > S  0:0(0) <mss 1460,wscale 7>\n",
            "0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7>\n",
            "0.011 > .  1:1(0) ack 1\n",
            $rest
        )
    };
}
pub(crate) use opened;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::closing::close_wait_leak::CLOSE_WAIT_LEAK;
    use crate::findings::closing::health_check::HEALTH_CHECK;

    #[test]
    fn thresholds_that_were_looked_up_are_those_of_their_rule_only() {
        let thresholds = Thresholds::default();
        let amounts = [Amount::of(4_711.0); 4];
        let leak = Context::new(&CLOSE_WAIT_LEAK, &thresholds).with(&amounts);
        let first = CLOSE_WAIT_LEAK.thresholds[0].name;
        assert_eq!(leak.value(first), 4_711.0);
        let check = leak.of(&HEALTH_CHECK);
        assert_eq!(check.value("check_s"), HEALTH_CHECK.thresholds[0].default);
    }
}
