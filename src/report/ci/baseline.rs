//! What is known already and does not fail a job: counts of findings by name, service and side.
//!
//! No ephemeral port and no time stands in it, so that it holds in the next run. It is TOML, to be
//! read in a review and edited by hand: `reason` is free text, an address may be `*`, where each
//! run of a job gives the hosts new ones, and an entry may hold for a time only.

use core::fmt;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use toml::value::{Date, Datetime};

use crate::addr::{Addr, HostPort};
use crate::findings::thresholds::find;
use crate::findings::{Severity, ThresholdError};
use crate::history::Role;
use crate::report::ci::form::fault;
use crate::report::ci::issues::{Issue, Key, Place};

/// A baseline, with what is left of its counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    entries: Vec<Entry>,
    /// The places in `entries` of those that are for one place.
    of_one: HashMap<Key, usize>,
    /// The places of the others; they are written by hand, and few.
    of_many: Vec<usize>,
}

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not TOML, or has other members.
    #[error("{0}")]
    Form(String),
    /// It names a finding that there is not.
    #[error(transparent)]
    Name(#[from] ThresholdError),
    /// A place is none.
    #[error("`{0}` is not a service, such as 10.9.0.2:6800, *:6800 or 10.9.0.2")]
    Place(String),
    /// A day is none.
    #[error("`{0}` is not a day, such as 2027-01-31")]
    Day(String),
    /// It says twice how many.
    #[error("there are two entries for {0}")]
    TwoCounts(String),
    /// It says twice where.
    #[error("the entry of `{0}` has both a service and a client")]
    TwoPlaces(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    line: Line,
    name: &'static str,
    place: Where,
    left: u64,
    /// How many more stuck connections it holds, if it says how many.
    stuck_left: Option<u64>,
    has_expired: bool,
}

/// An entry as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<Side>,
    count: u64,
    /// How many connections are stuck, of a leak: with more it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<u64>,
    /// The last day on which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Datetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Client,
    Server,
}

impl From<Role> for Side {
    fn from(role: Role) -> Side {
        match role {
            Role::Client => Side::Client,
            Role::Server => Side::Server,
        }
    }
}

impl From<Side> for Role {
    fn from(side: Side) -> Role {
        match side {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    known: Vec<Line>,
}

/// Places that an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    One(Place),
    /// A service of that port, at any address.
    AnyService(u16),
    /// Any client.
    AnyClient,
}

impl Where {
    fn parse(line: &Line) -> Result<Where, BaselineError> {
        let (service, client) = (line.service.as_deref(), line.client.as_deref());
        let wrong = || BaselineError::Place(service.or(client).unwrap_or_default().to_owned());
        match (service, client) {
            (None, None) => Ok(Where::One(Place::Capture)),
            (Some(_), Some(_)) => Err(BaselineError::TwoPlaces(line.finding.clone())),
            (None, Some("*")) => Ok(Where::AnyClient),
            (None, Some(client)) => {
                client.parse().map(|host| Where::One(Place::Client(host))).map_err(|_| wrong())
            }
            (Some(service), None) => match service.strip_prefix("*:") {
                Some(port) => port.parse().map(Where::AnyService).map_err(|_| wrong()),
                None => service
                    .parse::<HostPort>()
                    .map(Place::Service)
                    .or_else(|_| service.parse::<Addr>().map(Place::Server))
                    .map(Where::One)
                    .map_err(|_| wrong()),
            },
        }
    }

    fn holds(self, place: Place) -> bool {
        match (self, place) {
            (Where::One(one), place) => one == place,
            (Where::AnyService(port), Place::Service(service)) => service.port() == port,
            (Where::AnyClient, Place::Client(_)) => true,
            _ => false,
        }
    }
}

impl Baseline {
    /// What of these issues is at least that grave. What an earlier baseline says of their places
    /// and the reasons stays.
    pub fn new(issues: &[Issue], fail_on: Severity, before: &Baseline) -> Baseline {
        let mut issues: Vec<&Issue> = issues.iter().filter(|it| it.severity() >= fail_on).collect();
        issues.sort_by_key(|issue| issue.key);
        let mut baseline = Baseline::default();
        for issue in issues {
            let mut entry = Entry::new(issue);
            let earlier = before.about(&issue.key).next().and_then(|at| before.entries.get(at));
            if let Some(Entry { line, place, has_expired, .. }) = earlier {
                entry.place = *place;
                let expires = line.expires.filter(|_| !has_expired);
                let stuck = entry.stuck_left;
                entry.line = Line { count: entry.left, stuck, expires, ..line.clone() };
            }
            let same = baseline.same(&entry).and_then(|at| baseline.entries.get_mut(at));
            if let Some(same) = same {
                same.line.count += entry.left;
                same.left += entry.left;
                same.stuck_left = same.stuck_left.zip(entry.stuck_left).map(|(a, b)| a + b);
                same.line.stuck = same.stuck_left;
            } else {
                baseline.push(entry);
            }
        }
        baseline
    }

    /// Reads a baseline.
    pub fn parse(text: &str) -> Result<Baseline, BaselineError> {
        let wrong = |error| BaselineError::Form(fault(&error, text));
        let page: Page = toml::from_str(text).map_err(wrong)?;
        let mut baseline = Baseline::default();
        for line in page.known {
            let rule = find(&line.finding)?;
            let place = Where::parse(&line)?;
            if let Some(no_day) = line.expires.filter(|expires| expires.date.is_none()) {
                return Err(BaselineError::Day(no_day.to_string()));
            }
            let (name, left, stuck_left) = (rule.name, line.count, line.stuck);
            let entry = Entry { name, place, left, stuck_left, line, has_expired: false };
            if baseline.same(&entry).is_some() {
                return Err(BaselineError::TwoCounts(entry.to_string()));
            }
            baseline.push(entry);
        }
        Ok(baseline)
    }

    /// From now on only those entries hold that do on that day. What does not, and since when.
    pub fn expire(&mut self, today: Date) -> Option<String> {
        let mut said = Vec::new();
        for entry in &mut self.entries {
            let Some(last) = entry.line.expires.and_then(|expires| expires.date) else { continue };
            if last < today {
                (entry.left, entry.has_expired) = (0, true);
                said.push(format!("{} after {last}", entry.what()));
            }
        }
        told("warning: in the baseline, these entries have expired: ", said)
    }

    /// How many of so many findings it holds, which say that so many connections are stuck; they
    /// are counted off. An entry with fewer stuck connections holds none.
    pub fn take(&mut self, key: &Key, count: u64, stuck: u64) -> u64 {
        let mut known = 0;
        for at in self.about(key).collect::<Vec<_>>() {
            if let Some(entry) = self.entries.get_mut(at) {
                let taken = entry.left.min(count - known);
                entry.left -= taken;
                let Some(left) = &mut entry.stuck_left else {
                    known += taken;
                    continue;
                };
                // One that has grown is there, so it is not stale, and it is new.
                if taken > 0 && stuck <= *left {
                    *left -= stuck;
                    known += taken;
                }
            }
        }
        known
    }

    /// The entries that are about findings of that key: what is said of one place counts before
    /// what is said of many.
    fn about(&self, key: &Key) -> impl Iterator<Item = usize> {
        let is_about = |at: &usize| self.entries.get(*at).is_some_and(|entry| entry.is_about(key));
        let of_many = self.of_many.iter().copied().filter(is_about);
        self.of_one.get(key).copied().into_iter().chain(of_many)
    }

    /// The entry that is about the same as this one.
    fn same(&self, entry: &Entry) -> Option<usize> {
        let is_same = |at: &usize| {
            let known = self.entries.get(*at);
            known.is_some_and(|it| {
                (it.name, it.place, it.line.side) == (entry.name, entry.place, entry.line.side)
            })
        };
        match entry.key() {
            Some(key) => self.of_one.get(&key).copied(),
            None => self.of_many.iter().copied().find(is_same),
        }
    }

    fn push(&mut self, entry: Entry) {
        match entry.key() {
            Some(key) => drop(self.of_one.insert(key, self.entries.len())),
            None => self.of_many.push(self.entries.len()),
        }
        self.entries.push(entry);
    }

    /// What it holds and was not found, once all that was found is counted off: it should go, or
    /// the next such finding passes unseen.
    pub fn stale(&self) -> Option<String> {
        let stale = self.entries.iter().filter(|entry| entry.left > 0);
        told("the baseline is stale: ", stale.map(ToString::to_string).collect())
    }
}

/// The first few of what is said of entries, if there is any.
fn told(head: &str, mut said: Vec<String>) -> Option<String> {
    const TOLD_MAX: usize = 5;
    if let Some(more @ 1..) = said.len().checked_sub(TOLD_MAX) {
        said.truncate(TOLD_MAX);
        said.push(format!("{more} more"));
    }
    (!said.is_empty()).then(|| format!("{head}{}", said.join("; ")))
}

impl Entry {
    fn new(issue: &Issue) -> Entry {
        let Key { name, place, side } = issue.key;
        let (service, client) = match place {
            Place::Capture => (None, None),
            Place::Client(host) => (None, Some(host.to_string())),
            Place::Service(_) | Place::Server(_) => (Some(place.to_string()), None),
        };
        let (finding, side) = (name.to_owned(), side.map(Side::from));
        let (count, expires, reason) = (issue.count(), None, None);
        let stuck = Some(issue.stuck).filter(|stuck| *stuck > 0);
        let line = Line { finding, service, client, side, count, stuck, expires, reason };
        let place = Where::One(place);
        Entry { left: count, stuck_left: stuck, line, name, place, has_expired: false }
    }

    /// `close-wait-leak at 10.9.0.2:6800 (server)`.
    fn what(&self) -> String {
        let Line { finding, service, client, side, .. } = &self.line;
        let place = service.as_ref().or(client.as_ref());
        let place = place.map_or(String::new(), |place| format!(" at {place}"));
        let side = match side {
            Some(Side::Client) => " (client)",
            Some(Side::Server) => " (server)",
            None => "",
        };
        format!("{finding}{place}{side}")
    }

    /// What it is about, if that is one place.
    fn key(&self) -> Option<Key> {
        let Where::One(place) = self.place else { return None };
        Some(Key { name: self.name, place, side: self.line.side.map(Role::from) })
    }

    fn is_about(&self, key: &Key) -> bool {
        let is_side = self.line.side.map(Role::from) == key.side;
        self.name == key.name && is_side && self.place.holds(key.place)
    }
}

impl fmt::Display for Entry {
    /// `close-wait-leak at 10.9.0.2:6800 (server): 3 known, 1 found`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.line.count;
        write!(f, "{}: {count} known, {} found", self.what(), count - self.left)
    }
}

impl fmt::Display for Baseline {
    /// The file, always the same for the same findings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Findings that do not fail `finwait check --baseline`, unless there are more."
        )?;
        let known = self.entries.iter().map(|entry| entry.line.clone()).collect();
        f.write_str(&toml::to_string(&Page { known }).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(service: &str) -> Key {
        let place = Place::Service(service.parse().unwrap());
        Key { name: "close-wait-leak", place, side: Some(Role::Server) }
    }

    fn baseline(service: &str, count: u64) -> Baseline {
        let text = format!(
            "[[known]]\nfinding = \"close-wait-leak\"\nservice = \"{service}\"\n\
             side = \"server\"\ncount = {count}\n"
        );
        Baseline::parse(&text).unwrap()
    }

    #[test]
    fn counts_are_taken_off_and_what_is_left_is_stale() {
        let mut known = baseline("10.9.0.2:6800", 3);
        assert_eq!(known.take(&key("10.9.0.2:8080"), 1, 0), 0);
        assert_eq!(known.take(&key("10.9.0.2:6800"), 2, 0), 2);
        let stale = known.stale().unwrap();
        assert!(stale.contains("close-wait-leak at 10.9.0.2:6800 (server): 3 known, 2 found"));
        assert_eq!(known.take(&key("10.9.0.2:6800"), 2, 0), 1);
        assert_eq!(known.stale(), None);
        let client = Key { side: Some(Role::Client), ..key("10.9.0.2:6800") };
        assert_eq!(baseline("10.9.0.2:6800", 3).take(&client, 1, 0), 0);
    }

    #[test]
    fn an_entry_holds_to_the_end_of_its_last_day() {
        let text = baseline("10.9.0.2:6800", 3).to_string() + "expires = 2027-01-31\n";
        let day = |month, day| Date { year: 2027, month, day };
        let mut known = Baseline::parse(&text).unwrap();
        assert_eq!(known.expire(day(1, 31)), None);
        assert_eq!(known.take(&key("10.9.0.2:6800"), 1, 0), 1);
        let said = "warning: in the baseline, these entries have expired: close-wait-leak at \
                    10.9.0.2:6800 (server) after 2027-01-31";
        assert_eq!(known.expire(day(2, 1)).as_deref(), Some(said));
        assert_eq!(known.take(&key("10.9.0.2:6800"), 1, 0), 0);
        assert_eq!(known.stale(), None, "nobody waits for it");
        let wrong = text.replace("2027-01-31", "07:30:00");
        assert!(Baseline::parse(&wrong).unwrap_err().to_string().contains("not a day"));
        assert_eq!(Baseline::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn a_leak_that_has_grown_is_new() {
        let text = baseline("10.9.0.2:6800", 1).to_string() + "stuck = 3\n";
        let taken = |stuck| {
            let mut known = Baseline::parse(&text).unwrap();
            (known.take(&key("10.9.0.2:6800"), 1, stuck), known.stale())
        };
        assert_eq!([2, 3, 4].map(taken), [(1, None), (1, None), (0, None)]);
        let any = text.replace("10.9.0.2", "*").replace("count = 1", "count = 2");
        let mut known = Baseline::parse(&any).unwrap();
        let services = ["10.9.0.2:6800", "10.9.0.3:6800"];
        assert_eq!(services.map(|service| known.take(&key(service), 1, 2)), [1, 0]);
    }

    #[test]
    fn a_star_stands_for_any_address() {
        let mut known = baseline("*:6800", 2);
        assert_eq!(known.take(&key("10.9.0.2:6800"), 1, 0), 1);
        assert_eq!(known.take(&key("[2001:db8::1]:6800"), 5, 0), 1);
        assert_eq!(baseline("*:6800", 2).take(&key("10.9.0.2:6801"), 1, 0), 0);
    }

    #[test]
    fn what_is_written_is_read() {
        for service in ["10.9.0.2:6800", "[2001:db8::1]:443", "10.9.0.2", "*:80"] {
            let known = baseline(service, 1);
            assert_eq!(Baseline::parse(&known.to_string()).unwrap(), known);
        }
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        let refused = |text: &str| Baseline::parse(text).unwrap_err().to_string();
        let entry = |rest: &str| format!("[[known]]\nfinding = \"close-wait-leak\"\n{rest}");
        assert!(refused("[[known]]\nfinding = \"leak\"\ncount = 1").contains("did you mean"));
        assert!(refused(&entry("count = 1\nserver = 1")).contains("unknown field"));
        assert!(refused(&entry("count = -1")).contains("invalid value"));
        assert!(refused(&entry("count = 1\nservice = \"web 80\"")).contains("web 80"));
        let one = entry("count = 1\nservice = \"10.9.0.2:80\"\n");
        assert!(refused(&format!("{one}{one}")).contains("two entries"));
        let both = entry("count = 1\nservice = \"10.9.0.2:80\"\nclient = \"*\"");
        assert!(refused(&both).contains("both"));
    }
}
