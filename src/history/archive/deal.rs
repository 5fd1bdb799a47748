//! What is numbered in one order, and stands on several shelves, on each in that order.

/// Numbers for which a count of those before them is kept.
const RUN: usize = 64;

/// Which shelf each number is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deal {
    shelves: usize,
    /// The shelf of each number.
    shelf: Vec<u8>,
    /// For each run of numbers, how many of those before it are on each shelf.
    before: Vec<u32>,
    /// How many are on each shelf.
    dealt: Vec<u32>,
}

impl Deal {
    /// Deals out by when the things on each shelf came.
    pub fn by_time<'a>(came: impl Iterator<Item = &'a Ascending> + Clone) -> Deal {
        let shelves = came.clone().count();
        let mut deal =
            Deal { shelves, shelf: Vec::new(), before: Vec::new(), dealt: vec![0; shelves] };
        deal.shelf.reserve_exact(came.clone().map(|it| it.len() as usize).sum());
        let mut times: Vec<_> = came.map(Ascending::iter).collect();
        let mut next: Vec<Option<u64>> = times.iter_mut().map(Iterator::next).collect();
        // There are a few shelves, and mostly one of two is the first.
        let first = |next: &[Option<u64>]| {
            let all = next.iter().enumerate();
            all.filter_map(|(shelf, time)| Some(((*time)?, shelf))).min()
        };
        while let Some((_, shelf)) = first(&next) {
            deal.push(shelf);
            if let (Some(time), Some(times)) = (next.get_mut(shelf), times.get_mut(shelf)) {
                *time = times.next();
            }
        }
        deal
    }

    /// The next number is on that shelf.
    pub fn push(&mut self, shelf: usize) {
        if self.shelf.len().is_multiple_of(RUN) {
            self.before.extend(&self.dealt);
        }
        self.shelf.push(shelf as u8);
        if let Some(dealt) = self.dealt.get_mut(shelf) {
            *dealt += 1;
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.shelf.len() as u64
    }

    /// How many are on that shelf.
    pub fn dealt_to(&self, shelf: usize) -> u64 {
        self.dealt.get(shelf).copied().unwrap_or_default().into()
    }

    /// The shelf of a number, and its place there.
    #[inline]
    pub fn at(&self, number: u64) -> Option<(usize, u32)> {
        let number = usize::try_from(number).ok()?;
        let shelf = *self.shelf.get(number)?;
        // Added up in bytes, of which the processor adds many at once.
        let run = self.shelf.get(number / RUN * RUN..number)?;
        let same: u8 = run.iter().map(|it| u8::from(*it == shelf)).sum();
        let before = self.before_run(number / RUN, shelf.into())?;
        Some((shelf.into(), before + u32::from(same)))
    }

    /// The shelf of each number from one on, and its place there: found one after the other, in a
    /// fraction of the time that [`Deal::at`] takes.
    pub fn from(&self, number: u64) -> impl Iterator<Item = (usize, u32)> {
        let number = usize::try_from(number).unwrap_or(usize::MAX).min(self.shelf.len());
        let run = number / RUN;
        let mut next: Vec<u32> =
            (0..self.shelves).map(|it| self.before_run(run, it).unwrap_or_default()).collect();
        let mut place = move |shelf: &u8| {
            let next = next.get_mut(usize::from(*shelf))?;
            *next += 1;
            Some((usize::from(*shelf), *next - 1))
        };
        let (passed, from) = self.shelf.split_at(number);
        passed.iter().skip(run * RUN).for_each(|shelf| _ = place(shelf));
        from.iter().map_while(place)
    }

    /// The number of what is at a place on a shelf.
    pub fn number(&self, shelf: usize, place: u32) -> Option<u64> {
        let (mut low, mut high) = (0, self.shelf.len().div_ceil(RUN));
        // The last run before which there are no more than that place.
        while high - low > 1 {
            let middle = low.midpoint(high);
            match self.before_run(middle, shelf)? <= place {
                true => low = middle,
                false => high = middle,
            }
        }
        let further = (place - self.before_run(low, shelf)?) as usize;
        let numbers = low * RUN..self.shelf.len();
        let run = self.shelf.get(numbers.clone())?;
        let mut own =
            numbers.zip(run).filter(|(_, it)| usize::from(**it) == shelf).map(|(number, _)| number);
        own.nth(further).map(|number| number as u64)
    }

    #[inline]
    fn before_run(&self, run: usize, shelf: usize) -> Option<u32> {
        self.before.get(run * self.shelves + shelf).copied()
    }
}

/// Numbers that do not fall, in a byte or two each if they are close.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ascending {
    bytes: Vec<u8>,
    last: u64,
    len: u32,
}

impl Ascending {
    /// Adds a number that is not less than the last.
    pub fn push(&mut self, number: u64) {
        let mut more = number - self.last;
        while more >= 0x80 {
            self.bytes.push(more as u8 | 0x80);
            more >>= 7;
        }
        self.bytes.push(more as u8);
        (self.last, self.len) = (number, self.len + 1);
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let (mut bytes, mut last) = (self.bytes.iter(), 0);
        core::iter::from_fn(move || {
            let mut shift = 0;
            loop {
                let byte = *bytes.next()?;
                last += u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    return Some(last);
                }
                shift += 7;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_places_find_each_other(
            dealt in prop::collection::vec((0..3_usize, 0..3_000_u64), 0..500),
            from in 0..501_u64,
        ) {
            let mut came = vec![Ascending::default(); 3];
            let (mut time, mut places) = (0, [0_u32; 3]);
            // Only one shelf has what came at one time.
            for (shelf, later) in &dealt {
                time += 1 + later;
                came[*shelf].push(time);
            }
            let deal = Deal::by_time(came.iter());
            prop_assert_eq!(deal.len(), dealt.len() as u64);
            for (number, (shelf, _)) in (0..).zip(&dealt) {
                let place = places[*shelf];
                places[*shelf] += 1;
                prop_assert_eq!(deal.at(number), Some((*shelf, place)));
                prop_assert_eq!(deal.number(*shelf, place), Some(number));
            }
            prop_assert_eq!(deal.at(dealt.len() as u64), None);
            let from = from.min(dealt.len() as u64);
            let found = (from..dealt.len() as u64).filter_map(|number| deal.at(number));
            prop_assert!(deal.from(from).eq(found));
            prop_assert_eq!(deal.number(1, places[1]), None);
        }
    }
}
