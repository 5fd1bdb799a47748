//! Every connection of a run, open or over, found by its number.
//!
//! What one tracker follows stands on one `Shelf`. Where several threads read a capture, each has
//! a shelf of its own, and a `Deal` says which connection stands where.

mod deal;
mod forget;
mod foundry;
mod numbers;
mod shelf;

use core::ops::Range;

use crate::addr::HostPort;
use crate::history::History;

pub(crate) use deal::{Ascending, Deal};
pub use foundry::{Foundry, Room};
pub(crate) use shelf::{Before, Followed, Shelf};

/// Connections from one step of fetching what a history is made of to the next.
const AHEAD: u64 = 16;

/// Connections in the order of their numbers.
#[derive(Debug)]
pub struct Archive {
    /// At least one.
    shelves: Vec<Shelf>,
    /// What stands where, if there are several.
    deals: Option<Deals>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its place among all, of which there are [`Archive::reach`]; where there are several shelves,
    /// that is its number.
    place: u64,
    /// Its shelf, and its place there.
    shelf: usize,
    own: u32,
}

/// How connections and Wireshark's streams are dealt out to shelves.
#[derive(Debug)]
struct Deals {
    connections: Deal,
    /// None if each connection began a stream, and nothing else did.
    streams: Option<Deal>,
}

impl Default for Archive {
    fn default() -> Self {
        Archive::of(Shelf::default())
    }
}

impl Archive {
    /// What stands on one shelf.
    pub(crate) fn of(shelf: Shelf) -> Archive {
        Archive { shelves: vec![shelf], deals: None }
    }

    /// What stands on several, with where each connection is, and which shelf's each stream is.
    /// None of them has forgotten any.
    pub(crate) fn of_several(shelves: Vec<Shelf>, connections: Deal, streams: Deal) -> Archive {
        let streams = (streams != connections).then_some(streams);
        Archive { shelves, deals: Some(Deals { connections, streams }) }
    }

    /// The shelf on which all stands.
    pub(crate) fn into_one(mut self) -> Shelf {
        self.shelves.pop().unwrap_or_default()
    }

    /// An empty archive for the same connections.
    pub(crate) fn like(other: &Archive) -> Archive {
        let like = |first: &Shelf| Shelf::like(first);
        let is_one = other.deals.is_none();
        Archive::of(other.shelves.first().filter(|_| is_one).map(like).unwrap_or_default())
    }

    /// Keeps a finished history under its number.
    pub fn push(&mut self, history: &History) {
        if let Some(shelf) = self.shelves.first_mut() {
            shelf.push(history);
        }
    }

    /// The places of connections, in order.
    pub fn places(&self, places: Range<u64>) -> impl Iterator<Item = Place> {
        let mut dealt = self.deals.as_ref().map(|deals| deals.connections.from(places.start));
        places.map_while(move |place| {
            let (shelf, own) = match &mut dealt {
                Some(dealt) => dealt.next()?,
                None => (0, u32::try_from(place).ok()?),
            };
            Some(Place { place, shelf, own })
        })
    }

    /// The same for histories that are then read in this order: what those a little after a place
    /// are made of is fetched from memory, without waiting for it.
    pub fn places_ahead(&self, places: Range<u64>) -> impl Iterator<Item = Place> {
        let all = || {
            let places = self.places(places.clone());
            places.filter_map(|place| Some((self.shelves.get(place.shelf)?, place.own)))
        };
        let (mut records, mut closes, mut openings) = (all(), all(), all());
        // The record tells where its close is, and that where the opening is.
        let mut fetch = move |steps| {
            if let Some((shelf, own)) = records.next() {
                shelf.prefetch(own);
            }
            if steps > 1
                && let Some((shelf, own)) = closes.next()
            {
                shelf.prefetch_close(own);
            }
            if steps > 2
                && let Some((shelf, own)) = openings.next()
            {
                shelf.prefetch_opening(own);
            }
        };
        (1..=3).for_each(|steps| (0..AHEAD).for_each(|_| fetch(steps)));
        self.places(places).inspect(move |_| fetch(3))
    }

    /// Who is the client and who the server of the connection at that place, where that is known
    /// at a glance.
    pub fn client_and_server(&self, place: Place) -> Option<(HostPort, HostPort)> {
        self.shelves.get(place.shelf)?.client_and_server(place.own)
    }

    /// The place after the last.
    pub fn reach(&self) -> u64 {
        match &self.deals {
            Some(deals) => deals.connections.len(),
            None => self.shelves.first().map_or(0, Shelf::reach),
        }
    }

    /// How many connections began: the number after the last.
    pub fn begun(&self) -> u64 {
        match &self.deals {
            Some(deals) => deals.connections.len(),
            None => self.shelves.first().map_or(0, Shelf::begun),
        }
    }

    /// How many of them were forgotten while the capture grew.
    pub fn forgotten(&self) -> u64 {
        self.shelves.iter().map(Shelf::forgotten).sum()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shelves.iter().map(Shelf::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The history of that number.
    pub fn get(&self, id: u64) -> Option<History> {
        let mut room = Room::default();
        self.find(id, &mut Foundry::default(), &mut room)?;
        Some(room.into_history())
    }

    /// The same, in room that was used before.
    pub fn find<'a>(
        &self,
        id: u64,
        foundry: &mut Foundry,
        room: &'a mut Room,
    ) -> Option<&'a History> {
        self.read(self.place(id)?, foundry, room)
    }

    /// All histories, by number.
    pub fn iter(&self) -> impl Iterator<Item = History> {
        let mut foundry = Foundry::default();
        self.places(0..self.reach()).filter_map(move |place| {
            let mut room = Room::default();
            self.read(place, &mut foundry, &mut room)?;
            Some(room.into_history())
        })
    }

    /// The history at that place, in room that was used before.
    pub fn read<'a>(
        &self,
        place: Place,
        foundry: &mut Foundry,
        room: &'a mut Room,
    ) -> Option<&'a History> {
        let Place { place, shelf: index, own } = place;
        let history = self.shelves.get(index)?.read(own, foundry, room)?;
        if let Some(Deals { connections, streams }) = &self.deals {
            history.id = place;
            history.stream = match streams {
                // Mostly it began with the stream, and that stands where it stands itself.
                None if history.stream == own => place,
                None => connections.number(index, history.stream)?,
                Some(streams) => streams.number(index, history.stream)?,
            } as u32;
            if let Some(before) = &mut history.predecessor {
                before.id = connections.number(index, u32::try_from(before.id).ok()?)?;
            }
        }
        Some(history)
    }

    /// Where the connection of that number stands.
    fn place(&self, id: u64) -> Option<Place> {
        let (place, (shelf, own)) = match &self.deals {
            Some(deals) => (id, deals.connections.at(id)?),
            None => {
                let own = self.shelves.first()?.place(id)?;
                (own.into(), (0, own))
            }
        };
        Some(Place { place, shelf, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_in_order_and_none_is_left_out() {
        let shelf_of = |number: u64| number.count_ones() as usize % 3;
        let mut deal = Deal::by_time(vec![Ascending::default(); 3].iter());
        (0..600).for_each(|number| deal.push(shelf_of(number)));
        let shelves = || [(); 3].map(|()| Shelf::default()).into();
        let several = Archive::of_several(shelves(), deal.clone(), deal);
        let one = Archive::of(Shelf::default());
        let told = |place: Place| (place.place, place.shelf, place.own);
        for range in [0..0, 0..1, 0..256, 63..65, 255..257, 256..512, 512..600] {
            let all = range.clone().filter_map(|number| several.place(number)).map(told);
            assert!(several.places(range.clone()).map(told).eq(all.clone()), "{range:?}");
            assert!(several.places_ahead(range.clone()).map(told).eq(all), "{range:?}");
            let all = range.clone().map(|place| (place, 0, place as u32));
            assert!(one.places(range.clone()).map(told).eq(all.clone()), "{range:?}");
            assert!(one.places_ahead(range.clone()).map(told).eq(all), "{range:?}");
        }
        assert_eq!(several.places(590..700).count(), 10);
    }
}
