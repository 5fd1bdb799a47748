//! The rows of a table of findings: a place each, and for those places of a kind that have no room
//! one that sums them up.

use crate::findings::Severity;
use crate::findings::survey::Lasted;
use crate::report::ci::gate::{Judged, Judgement};
use crate::report::kinds::{Kind, Room, beyond, kinds, others};
use crate::report::text::plural;

/// A row.
pub struct Row<'a> {
    /// The finding's name.
    pub name: &'static str,
    /// Where it is.
    pub place: String,
    /// The gravest severity.
    pub severity: Severity,
    /// Whether it fails the job.
    pub fails: bool,
    /// How many there are.
    pub count: u64,
    /// How many of them a baseline holds already.
    pub known: u64,
    /// How many connections they say are stuck.
    pub stuck: u64,
    /// The longest.
    pub longest: Lasted,
    /// What it is a row of, or the first; none if that stands above already.
    pub first: Option<&'a Judged>,
}

/// At most so many rows, the first of each kind before any second one; and what says how many kinds
/// have none.
pub fn rows(judgement: &Judgement, max: usize) -> (Vec<Row<'_>>, Option<String>) {
    let room = Room::rows(max).with_sums();
    let kinds = kinds(&judgement.issues, |judged| judged.issue.key.name, room);
    let rows = kinds.iter().flat_map(|kind| {
        let shown = kind.shown.iter().map(|judged| Row::of(judged));
        shown.chain(Row::of_rest(kind))
    });
    (rows.collect(), beyond(&kinds, |judged| judged.issue.count()))
}

/// At most so many issues of those that are wanted, the first of each kind before any second one.
pub fn first_of_kinds(
    judgement: &Judgement,
    is_wanted: impl Fn(&Judged) -> bool,
    max: usize,
) -> Vec<Kind<'_, Judged>> {
    let wanted = judgement.issues.iter().filter(|judged| is_wanted(judged));
    kinds(wanted, |judged| judged.issue.key.name, Room::rows(max))
}

impl<'a> Row<'a> {
    fn of(judged: &'a Judged) -> Row<'a> {
        let issue = &judged.issue;
        Row {
            name: issue.key.name,
            place: issue.key.at(),
            severity: issue.severity(),
            fails: judged.fails(),
            count: issue.count(),
            known: judged.known,
            stuck: issue.stuck,
            longest: Lasted::of(&issue.worst),
            first: Some(judged),
        }
    }

    /// The row that sums up what is not shown of a kind, if there is such and room for it.
    fn of_rest(kind: &Kind<'a, Judged>) -> Option<Row<'a>> {
        let first = kind.rest.first().filter(|_| kind.has_room)?;
        let rest = || kind.rest.iter();
        let is_first = kind.shown.is_empty();
        let place = match is_first {
            true => {
                let more = plural(kind.rest.len().saturating_sub(1) as u64, "other place");
                format!("{} and {more}", first.issue.key.at())
            }
            false => others(kind.shown.len(), kind.rest.len()),
        };
        Some(Row {
            place,
            severity: rest().map(|it| it.issue.severity()).max()?,
            fails: rest().any(|it| it.fails()),
            count: rest().map(|it| it.issue.count()).sum(),
            known: rest().map(|it| it.known).sum(),
            stuck: rest().map(|it| it.issue.stuck).sum(),
            longest: rest().map(|it| Lasted::of(&it.issue.worst)).max()?,
            first: is_first.then_some(*first),
            ..Row::of(first)
        })
    }
}
