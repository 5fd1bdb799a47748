//! Which rows stand where there is no room for all.
//!
//! A capture of an hour has hundreds of places with one kind of finding and one with another, which
//! may be what matters. So room is dealt out kind by kind: each has a row before any has a second.

use crate::report::text::{Grouped, plural};

/// The room that there is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Rows at most.
    pub rows: usize,
    /// Rows of one kind at most.
    pub each: usize,
    /// What is not shown of a kind has a row of its own, which sums it up.
    pub has_sums: bool,
}

impl Room {
    /// For so many rows, whatever their kinds.
    pub const fn rows(rows: usize) -> Room {
        Room { rows, each: rows, has_sums: false }
    }

    /// The same where a kind's last row sums up what is not shown of it.
    pub const fn with_sums(self) -> Room {
        Room { has_sums: true, ..self }
    }
}

/// The rows of one kind.
#[derive(Debug)]
pub struct Kind<'a, T> {
    /// What it is called.
    pub name: &'static str,
    /// Those that are shown.
    pub shown: Vec<&'a T>,
    /// Those that are not.
    pub rest: Vec<&'a T>,
    /// There was a row for it; if not, it is to be named elsewhere.
    pub has_room: bool,
}

/// Deals out the room among rows that stand in order, the first of each kind first.
pub fn kinds<'a, T>(
    all: impl IntoIterator<Item = &'a T>,
    name: impl Fn(&T) -> &'static str,
    room: Room,
) -> Vec<Kind<'a, T>> {
    let mut kinds: Vec<Kind<'a, T>> = Vec::new();
    for one in all {
        let name = name(one);
        match kinds.iter_mut().find(|kind| kind.name == name) {
            Some(kind) => kind.rest.push(one),
            None => {
                kinds.push(Kind { name, shown: Vec::new(), rest: vec![one], has_room: false });
            }
        }
    }
    let dealt = dealt(&kinds, room);
    for (kind, rows) in kinds.iter_mut().zip(dealt) {
        let has_sum = room.has_sums && rows < kind.rest.len();
        kind.has_room = rows > 0;
        let rest = kind.rest.split_off(if has_sum { rows.saturating_sub(1) } else { rows });
        kind.shown = core::mem::replace(&mut kind.rest, rest);
    }
    kinds
}

/// How many rows each kind has.
fn dealt<T>(kinds: &[Kind<'_, T>], room: Room) -> Vec<usize> {
    // A line that names one more takes as much room as its row.
    let mut left = room.rows.max(usize::from(room.has_sums) * kinds.len().min(room.rows + 1));
    let mut rows = vec![0; kinds.len()];
    let mut is_dealing = true;
    while is_dealing {
        is_dealing = false;
        for (own, kind) in rows.iter_mut().zip(kinds) {
            if left > 0 && *own < kind.rest.len().min(room.each) {
                (*own, left, is_dealing) = (*own + 1, left - 1, true);
            }
        }
    }
    rows
}

/// What stands for the places that a row sums up, beside so many that are shown.
pub fn others(shown: usize, rest: usize) -> String {
    match shown {
        0 => plural(rest as u64, "place"),
        _ => format!("{} others", Grouped(rest as u64)),
    }
}

/// A connection to look at; of one finding about many connections, how many are stuck.
pub fn example(connection: Option<u64>, stuck: u64) -> String {
    match (connection, stuck) {
        (Some(id), _) => format!("id {id}"),
        (None, 0) => String::new(),
        (None, stuck) => format!("{} stuck", Grouped(stuck)),
    }
}

/// `7 other findings of 2 kinds: keepalive 4, fast-open 3`, of kinds without a row.
pub fn beyond<T>(kinds: &[Kind<'_, T>], count: impl Fn(&T) -> u64) -> Option<String> {
    let without: Vec<_> = kinds.iter().filter(|kind| !kind.has_room).collect();
    let counts = without.iter().map(|kind| kind.rest.iter().map(|it| count(it)).sum::<u64>());
    let counts: Vec<u64> = counts.collect();
    let names = without.iter().zip(&counts);
    let names: Vec<String> =
        names.map(|(kind, count)| format!("{} {}", kind.name, Grouped(*count))).collect();
    let (findings, of) =
        (plural(counts.iter().sum(), "other finding"), plural(without.len() as u64, "kind"));
    (!names.is_empty()).then(|| format!("{findings} of {of}: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds with that many rows each, as they are dealt: shown, not shown, and whether there is
    /// room.
    fn shown(lens: &[(&'static str, usize)], room: Room) -> Vec<(usize, usize, bool)> {
        let all: Vec<(&'static str, usize)> =
            lens.iter().flat_map(|(name, len)| (0..*len).map(|at| (*name, at))).collect();
        let kinds = kinds(&all, |it| it.0, room);
        for kind in &kinds {
            let order: Vec<usize> = kind.shown.iter().chain(&kind.rest).map(|it| it.1).collect();
            assert!(order.is_sorted(), "{order:?}");
        }
        kinds.iter().map(|it| (it.shown.len(), it.rest.len(), it.has_room)).collect()
    }

    #[test]
    fn a_kind_with_many_places_hides_no_other() {
        let many = [("a", 100), ("b", 3), ("c", 1)];
        assert_eq!(shown(&many, Room::rows(10)), [(6, 94, true), (3, 0, true), (1, 0, true)]);
        let sums = Room::rows(10).with_sums();
        assert_eq!(shown(&many, sums), [(5, 95, true), (3, 0, true), (1, 0, true)]);
        let few = Room { each: 3, ..sums };
        assert_eq!(shown(&many, few), [(2, 98, true), (3, 0, true), (1, 0, true)]);
        assert_eq!(shown(&many, Room::rows(2)), [(1, 99, true), (1, 2, true), (0, 1, false)]);
    }

    #[test]
    fn a_row_that_sums_up_stands_for_more_than_one() {
        let room = Room { each: 3, ..Room::rows(9).with_sums() };
        for len in 1..9 {
            let [(shown, rest, true)] = shown(&[("a", len)], room)[..] else { panic!() };
            assert!(rest != 1 && shown + usize::from(rest > 0) <= 3, "{len}: {shown} {rest}");
        }
        let tight = shown(&[("a", 5), ("b", 1), ("c", 2)], Room::rows(2).with_sums());
        assert_eq!(tight, [(0, 5, true), (1, 0, true), (0, 2, true)], "one more has room");
    }

    #[test]
    fn kinds_without_a_row_are_named() {
        let all = [("a", 4_u64), ("b", 1_000), ("c", 7), ("c", 8), ("d", 1)];
        let told = beyond(&kinds(&all, |it| it.0, Room::rows(1)), |it| it.1);
        assert_eq!(told.unwrap(), "1,016 other findings of 3 kinds: b 1,000, c 15, d 1");
        assert_eq!(beyond(&kinds(&all, |it| it.0, Room::rows(4)), |it| it.1), None);
        assert_eq!((others(2, 1_234), others(0, 4)), ("1,234 others".into(), "4 places".into()));
    }
}
