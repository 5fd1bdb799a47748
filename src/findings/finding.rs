//! What a finding says: who, what, since when, how it is known.

use core::cmp::Reverse;
use core::fmt;

use serde::{Serialize, Serializer};

use crate::addr::HostPort;
use crate::history::Role;
use crate::infer::endpoint::Gaps;
use crate::infer::trail::Moment;
use crate::limits::FINDING_FRAMES_MAX;
use crate::time::{Span, Timestamp};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, and not a fault.
    Note,
    /// Likely a fault, or a loss of what the capture can tell.
    Warning,
    /// A fault.
    Error,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Severity; 3] = [Severity::Note, Severity::Warning, Severity::Error];

    /// `note`, `warning` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }

    /// The severity of that name.
    pub fn from_name(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A piece of evidence. Durations serialise as seconds; their keys end in `_s`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Integer(u64),
    /// A count that was not taken further. A line of JSON says so in another member: of `peers` in
    /// `peers_at_least`.
    AtLeast(u64),
    /// A rate or a share.
    Number(f64),
    /// A duration.
    Seconds(Span),
    /// Durations, in order.
    Spans(Vec<Span>),
    /// A word.
    Text(String),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Integer(number) | Value::AtLeast(number) => serializer.serialize_u64(*number),
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Seconds(span) => span.serialize(serializer),
            Value::Spans(spans) => spans.serialize(serializer),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(number) => write!(f, "{number}"),
            Value::AtLeast(number) => write!(f, ">= {number}"),
            Value::Number(number) => write!(f, "{number:.1}"),
            Value::Seconds(span) => write!(f, "{span}"),
            Value::Spans(spans) => {
                let words: Vec<String> = spans.iter().map(Span::to_string).collect();
                f.write_str(&words.join(", "))
            }
            Value::Text(text) => f.write_str(text),
        }
    }
}

impl Value {
    /// A count, which may have been taken no further.
    pub const fn count(count: u64, at_least: bool) -> Value {
        if at_least { Value::AtLeast(count) } else { Value::Integer(count) }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Integer(number)
    }
}

impl From<Span> for Value {
    fn from(span: Span) -> Value {
        Value::Seconds(span)
    }
}

impl From<&Gaps> for Value {
    fn from(gaps: &Gaps) -> Value {
        Value::Spans(gaps.iter().collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

/// See [`Finding::order`].
pub(super) type Order = (
    Reverse<(Severity, u64, Option<Span>)>,
    Option<u64>,
    Option<Role>,
    Option<HostPort>,
    Timestamp,
);

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The name of its rule.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in words that somebody can act on.
    pub message: String,
    /// The connection's number; none where it is about a host or the capture.
    pub connection: Option<u64>,
    /// The endpoint that it is about.
    pub role: Option<Role>,
    /// That endpoint's address. A client that is meant for all its ports has port 0.
    pub host: Option<HostPort>,
    /// The service, of one about one side of it.
    pub service: Option<HostPort>,
    /// When it began.
    pub ts: Timestamp,
    /// How long it lasted, as far as the capture shows.
    pub duration: Option<Span>,
    /// Whether it went on when the record ended, if it is of the kind that can.
    pub ongoing: Option<bool>,
    /// When it happened last, if it counts how often it does.
    pub newest: Option<Timestamp>,
    /// Frames to look at, at most [`FINDING_FRAMES_MAX`].
    pub frames: Vec<u64>,
    /// The numbers behind it.
    pub evidence: Vec<(&'static str, Value)>,
    /// It is without words, frames and evidence.
    pub(super) is_sketch: bool,
}

impl Finding {
    /// With a duration.
    pub fn lasting(self, duration: Span) -> Finding {
        Finding { duration: Some(duration), ..self }
    }

    /// That goes on, or does not any more.
    pub fn going_on(self, ongoing: bool) -> Finding {
        Finding { ongoing: Some(ongoing), ..self }
    }

    /// When it happened last; none of one about the capture as a whole, for what was lost stays
    /// lost.
    pub fn last(&self) -> Option<Timestamp> {
        let by_itself = || Some(self.ts.after(self.duration.unwrap_or_default()));
        self.newest.or_else(|| self.connection.and_then(|_| by_itself()))
    }

    /// With a piece of evidence.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Finding {
        if !self.is_sketch {
            self.evidence.push((key, value.into()));
        }
        self
    }

    /// With a frame to look at, if there is one and room for it. They stand in order, whichever
    /// of them a rule names first.
    pub fn frame(mut self, at: Moment) -> Finding {
        let known = at.frame == 0 || self.frames.contains(&at.frame);
        if !self.is_sketch && !known && self.frames.len() < FINDING_FRAMES_MAX {
            let place = self.frames.partition_point(|frame| *frame < at.frame);
            self.frames.insert(place, at.frame);
        }
        self
    }

    /// The evidence of that key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.evidence.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// How many connections it says are stuck: a leak is one finding, however large.
    pub fn stuck(&self) -> u64 {
        match self.value("stuck") {
            Some(Value::Integer(stuck)) => *stuck,
            _ => 0,
        }
    }

    /// What puts findings of one name in order: the gravest first, then the one that stands for
    /// the most connections, then the longest, then by connection and by place.
    pub(super) fn order(&self) -> Order {
        let many = match self.value("stuck").or(self.value("connections")) {
            Some(Value::Integer(many)) => *many,
            _ => 0,
        };
        let gravest = Reverse((self.severity, many, self.duration));
        (gravest, self.connection, self.role, self.host, self.ts)
    }
}
