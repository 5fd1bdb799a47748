//! When attempts came, so that many in a short time are seen wherever in a long capture they are.

use crate::findings::kept::joined;
use crate::findings::time_buckets::TimeBuckets;
use crate::findings::trend::Stretch;
use crate::limits::RUSH_BUCKETS_MAX;
use crate::time::{Span, Timestamp};

/// The shortest time in which a rate is told.
const SECOND: Span = Span::from_secs(1);

/// Attempts, good and bad, in buckets of time.
#[derive(Debug)]
pub(super) struct Rush(TimeBuckets<Bucket>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    all: u64,
    bad: u64,
    /// The first and the last of the bad ones.
    span: Stretch,
}

/// The time in which bad attempts came the fastest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// How many in a second.
    pub per_second: f64,
    /// The first and the last that came as fast as is asked for.
    pub span: (Timestamp, Timestamp),
}

impl Default for Rush {
    fn default() -> Self {
        Rush(TimeBuckets::new(|buckets| buckets.len() > RUSH_BUCKETS_MAX))
    }
}

impl Rush {
    /// One more.
    pub fn add(&mut self, ts: Timestamp, is_bad: bool) {
        let span = Stretch(is_bad.then_some((ts, ts)));
        self.0.add(ts, Bucket { all: 1, bad: u64::from(is_bad), span });
    }

    /// Where at least so many bad ones came, and that share of all, at so many a second or faster.
    pub fn peak(&self, least: u64, share: f64, per_second: f64) -> Option<Peak> {
        let runs = self.runs();
        let mut found: Option<Peak> = None;
        let (mut begin, mut all, mut bad) = (0, 0, 0);
        for run in &runs {
            (all, bad) = (all + run.before + run.all, bad + run.bad);
            // From the longest time that ends here and may do to the shortest that has enough and
            // is not too short to tell a rate.
            while let Some(first) = runs.get(begin).filter(|_| bad >= least) {
                let length = run.last.since(first.first).max(SECOND);
                let rate = bad as f64 / length.as_secs_f64();
                if rate >= per_second && bad as f64 >= share * (all - first.before) as f64 {
                    let span = (first.first, run.last);
                    let before = found.unwrap_or(Peak { per_second: rate, span });
                    let span = (before.span.0.min(span.0), span.1);
                    found = Some(Peak { per_second: before.per_second.max(rate), span });
                }
                let is_long = |next: &Run| run.last.since(next.first) >= SECOND;
                if bad - first.bad < least || !runs.get(begin + 1).is_some_and(is_long) {
                    break;
                }
                (all, bad) = (all - first.before - first.all, bad - first.bad);
                begin += 1;
            }
        }
        found
    }

    /// The buckets with bad attempts.
    fn runs(&self) -> Vec<Run> {
        let mut before = 0;
        let mut run = |bucket: &Bucket| match bucket.span.ends() {
            None => {
                before += bucket.all;
                None
            }
            Some((first, last)) => {
                let (all, bad) = (bucket.all, bucket.bad);
                Some(Run { before: core::mem::take(&mut before), all, bad, first, last })
            }
        };
        self.0.iter().filter_map(|(_, bucket)| run(bucket)).collect()
    }
}

joined!(Rush(_));

joined!(Bucket { all, bad, span });

/// A bucket with bad attempts, and how many good ones came since the last such.
struct Run {
    before: u64,
    all: u64,
    bad: u64,
    first: Timestamp,
    last: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn rush(attempts: impl IntoIterator<Item = (i64, bool)>) -> Rush {
        let mut rush = Rush(TimeBuckets::new(|buckets| buckets.len() > 8));
        attempts.into_iter().for_each(|(millis, is_bad)| rush.add(at(millis), is_bad));
        rush
    }

    /// So many bad ones, so many milliseconds apart.
    fn bad(count: i64, from: i64, apart: i64) -> impl DoubleEndedIterator<Item = (i64, bool)> {
        (0..count).map(move |n| (from + n * apart, true))
    }

    #[test]
    fn a_peak_is_found_wherever_it_is() {
        for stray in [-900_000, -30_000, 60_000, 9_000_000] {
            let peak = rush(bad(40, 0, 100).chain([(stray, true)])).peak(20, 0.5, 5.0).unwrap();
            assert!((10.0..12.0).contains(&peak.per_second), "{stray}: {peak:?}");
            assert_eq!(peak.span, (at(0), at(3_900)), "{stray}");
        }
        assert_eq!(rush(bad(40, 0, 1_000)).peak(20, 0.5, 5.0), None, "too slow");
        assert_eq!(rush(bad(19, 0, 1)).peak(20, 0.5, 5.0), None, "too few");
        let peak = rush(bad(20, 0, 1)).peak(20, 0.5, 5.0).unwrap();
        assert!((peak.per_second - 20.0).abs() < 0.01, "never told of less than a second");
    }

    #[test]
    fn only_the_good_ones_at_that_time_count_against_it() {
        let good = |from: i64, count: i64| (0..count).map(move |n| (from + n * 100, false));
        let long_before = rush(good(-500_000, 90).chain(bad(40, 0, 100)));
        assert!(long_before.peak(20, 0.5, 5.0).is_some());
        let among = rush(good(0, 90).chain(bad(40, 0, 100)).chain(good(50, 90)));
        assert_eq!(among.peak(20, 0.5, 5.0), None);
    }

    #[test]
    fn the_order_does_not_show() {
        let all: Vec<_> = bad(300, 0, 700).chain((0..90).map(|n| (n * n * 77, false))).collect();
        let forth = rush(all.iter().copied());
        let back = rush(all.iter().rev().copied());
        assert!(forth.0.iter().eq(back.0.iter()));
        assert!(forth.0.iter().count() <= 8 && !forth.0.are_narrow());
    }
}
