//! The numbers that a user may change, and the findings that are switched off.
//!
//! Names are checked when they are set, not when they are used: a typing error in a
//! configuration file must not turn a check into one that never fails.

use crate::findings::rule::Rule;
use crate::findings::{ALL, rule};
use crate::flow::kinds::Only;
use crate::time::Span;

/// The findings that `--close-wait` speaks of, with the threshold that it sets.
const CLOSE_WAIT: [(&str, &str); 2] =
    [("close-wait-leak", "hold_s"), ("long-close-wait", "hold_s")];

/// Why a threshold could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// It is not of the form `NAME.THRESHOLD=VALUE`.
    #[error("`{0}` is not NAME.THRESHOLD=VALUE, as in close-wait-leak.stuck_min=10")]
    Form(String),
    /// There is no such finding.
    #[error("no finding is named `{name}`{}", hint(*nearest))]
    Name {
        /// What was given.
        name: String,
        /// What it may be meant to be.
        nearest: Option<&'static str>,
    },
    /// The finding has no such threshold.
    #[error("`{name}` has no threshold `{threshold}`; it has {known}")]
    Threshold {
        /// The finding.
        name: &'static str,
        /// What was given.
        threshold: String,
        /// What there is.
        known: String,
    },
    /// The value is none.
    #[error("`{value}` is not a number of {unit} for {name}.{threshold}{bound}")]
    Value {
        /// The finding.
        name: &'static str,
        /// The threshold.
        threshold: &'static str,
        /// Its unit.
        unit: &'static str,
        /// Which it must not be below, in words, if it has such a bound.
        bound: String,
        /// What was given.
        value: String,
    },
}

/// Every threshold's value, and which findings are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    changed: Vec<(&'static str, &'static str, f64)>,
    allowed: Vec<&'static str>,
    /// To what the capture that is judged is limited.
    only: Option<Only>,
}

impl Thresholds {
    /// Sets one threshold from `NAME.THRESHOLD=VALUE`.
    pub fn set(&mut self, text: &str) -> Result<(), ThresholdError> {
        let form = || ThresholdError::Form(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(form)?;
        let (name, threshold) = key.split_once('.').ok_or_else(form)?;
        let rule = find(name.trim())?;
        let threshold = threshold.trim();
        let Some(known) = rule.thresholds.iter().find(|known| known.name == threshold) else {
            let names: Vec<_> = rule.thresholds.iter().map(|known| known.name).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let threshold = threshold.to_owned();
            return Err(ThresholdError::Threshold { name: rule.name, threshold, known });
        };
        let number = value.trim().parse::<f64>().ok().filter(|number| known.takes(*number));
        let Some(number) = number else {
            let bound = match known.least {
                0.0 => String::new(),
                least => format!(", which is at least {least}"),
            };
            return Err(ThresholdError::Value {
                bound,
                name: rule.name,
                threshold: known.name,
                unit: known.unit,
                value: value.trim().to_owned(),
            });
        };
        self.put(rule.name, known.name, number);
        Ok(())
    }

    /// From how long on a CLOSE_WAIT is too long, for every finding that asks.
    pub fn set_close_wait(&mut self, hold: Span) {
        for (name, threshold) in CLOSE_WAIT {
            self.put(name, threshold, hold.as_secs_f64());
        }
    }

    /// How many descriptors a program may have open.
    pub fn set_fd_limit(&mut self, limit: u64) {
        self.put("close-wait-leak", "fd_limit", limit as f64);
    }

    /// Switches a finding off.
    pub fn allow(&mut self, name: &str) -> Result<(), ThresholdError> {
        let rule = find(name.trim())?;
        if self.is_on(rule.name) {
            self.allowed.push(rule.name);
        }
        Ok(())
    }

    /// The same for a capture that is limited to these segments, if it is to any.
    pub(crate) fn of_capture(self, only: Option<Only>) -> Thresholds {
        Thresholds { only, ..self }
    }

    /// To which segments the capture that is judged is limited.
    pub(crate) fn only(&self) -> Option<Only> {
        self.only
    }

    /// Whether a finding is wanted.
    pub fn is_on(&self, name: &str) -> bool {
        !self.allowed.contains(&name)
    }

    /// A threshold of a rule, if it has one of that name.
    pub fn value(&self, rule: &Rule, threshold: &str) -> Option<f64> {
        let changed =
            self.changed.iter().find(|(name, key, _)| *name == rule.name && *key == threshold);
        match changed {
            Some((_, _, value)) => Some(*value),
            None => rule.thresholds.iter().find(|it| it.name == threshold).map(|it| it.default),
        }
    }

    fn put(&mut self, name: &'static str, threshold: &'static str, value: f64) {
        self.changed.retain(|(known, key, _)| (*known, *key) != (name, threshold));
        self.changed.push((name, threshold, value));
    }
}

/// The rule of that name, or an error that names the nearest.
pub fn find(name: &str) -> Result<&'static Rule, ThresholdError> {
    rule(name).ok_or_else(|| ThresholdError::Name {
        name: name.to_owned(),
        nearest: nearest(name, ALL.iter().map(|rule| rule.name)),
    })
}

/// Which of the known names one that is not known may be meant to be: that with the fewest letters
/// typed otherwise, if these are a third of them at most, or else one that begins or ends with it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const PART_MIN: usize = 4;
    let far = |known: &str| {
        let is_part = known.starts_with(name) || known.ends_with(name);
        let letters = known.chars().count().max(name.chars().count());
        match distance(known, name) {
            typed if typed * 3 <= letters => Some((0, typed)),
            typed => (is_part && name.len() >= PART_MIN).then_some((1, typed)),
        }
    };
    let near = known.into_iter().filter_map(|known| Some((far(known)?, known)));
    near.min_by_key(|(far, _)| *far).map(|(_, known)| known)
}

/// What a name that is not known may be meant to be, or where all are.
fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(_) => did_you_mean(nearest),
        None => "; `finwait explain` lists all".to_string(),
    }
}

/// `; did you mean ...?` behind a name that is not known, if one is near.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"))
}

/// How many letters must be typed otherwise (Levenshtein's distance).
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (at, letter) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(right.chars()) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            *cell = changed.min(before + 1).min(diagonal + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::closing::close_wait_leak::CLOSE_WAIT_LEAK;
    use crate::findings::closing::long_close_wait::LONG_CLOSE_WAIT;

    #[test]
    fn a_threshold_keeps_its_default_until_it_is_set() {
        let mut thresholds = Thresholds::default();
        assert_eq!(thresholds.value(&CLOSE_WAIT_LEAK, "stuck_min"), Some(3.0));
        thresholds.set("close-wait-leak.stuck_min = 10").unwrap();
        thresholds.set("syn-flood.per_second_min = 0.5").unwrap();
        assert_eq!(thresholds.value(&CLOSE_WAIT_LEAK, "stuck_min"), Some(10.0));
        thresholds.set_close_wait(Span::from_secs(5));
        assert_eq!(thresholds.value(&CLOSE_WAIT_LEAK, "hold_s"), Some(5.0));
        assert_eq!(thresholds.value(&LONG_CLOSE_WAIT, "hold_s"), Some(5.0));
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let mut thresholds = Thresholds::default();
        let refused = |error: Result<(), ThresholdError>| error.unwrap_err().to_string();
        assert_eq!(
            refused(thresholds.set("close-wait-leek.hold_s=5")),
            "no finding is named `close-wait-leek`; did you mean `close-wait-leak`?"
        );
        assert!(refused(thresholds.allow("connection-refuse")).contains("connection-refused"));
        assert!(refused(thresholds.set("close-wait-leak.hold=5")).contains("hold_s"));
        assert!(refused(thresholds.set("close-wait-leak.hold_s=-5")).contains("`-5`"));
        assert_eq!(
            refused(thresholds.set("close-wait-leak.stuck_min=1.5")),
            "`1.5` is not a number of connections for close-wait-leak.stuck_min"
        );
        assert_eq!(
            refused(thresholds.set("syn-flood.share_min=500")),
            "`500` is not a number of percent for syn-flood.share_min"
        );
        assert_eq!(
            refused(thresholds.set("silent-drop.idle_s=5")),
            "`5` is not a number of seconds for silent-drop.idle_s, which is at least 10"
        );
        assert!(refused(thresholds.set("close-wait-leak.hold_s=inf")).contains("`inf`"));
        assert!(refused(thresholds.set("close-wait-leak")).contains("NAME.THRESHOLD=VALUE"));
        assert_eq!(thresholds, Thresholds::default());
    }

    #[test]
    fn an_allowed_finding_is_off() {
        let mut thresholds = Thresholds::default();
        thresholds.allow("long-close-wait").unwrap();
        assert!(!thresholds.is_on("long-close-wait"));
        assert!(thresholds.is_on("close-wait-leak"));
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let said = |name: &str| find(name).unwrap_err().to_string();
        for name in ["foo", "nosuch", "", "x"] {
            assert_eq!(
                said(name),
                format!("no finding is named `{name}`; `finwait explain` lists all")
            );
        }
        assert!(said("closewaitleak").ends_with("did you mean `close-wait-leak`?"));
        assert!(said("flood").ends_with("did you mean `syn-flood`?"));
        assert!(said("Keepalive").ends_with("did you mean `keepalive`?"));
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
