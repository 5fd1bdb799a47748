//! Every connection of a run, open or over, found by its number.
//!
//! What one tracker follows stands on one `Shelf`. Where several threads read a capture, each has
//! a shelf of its own, and a `Deal` says which connection stands where.

mod deal;
mod forget;
mod foundry;
mod numbers;
mod shelf;

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

    /// Who is the client and who the server of the connection at that place, where that is known
    /// at a glance.
    pub fn client_and_server(&self, place: u64) -> Option<(HostPort, HostPort)> {
        let (shelf, place, _) = self.at(place)?;
        shelf.client_and_server(place)
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
        (0..self.reach()).filter_map(move |place| {
            let mut room = Room::default();
            self.read(place, &mut foundry, &mut room)?;
            Some(room.into_history())
        })
    }

    /// The history at that place, of which there are [`Archive::reach`], in room that was used
    /// before.
    pub fn read<'a>(
        &self,
        place: u64,
        foundry: &mut Foundry,
        room: &'a mut Room,
    ) -> Option<&'a History> {
        let (shelf, own, index) = self.at(place)?;
        let history = shelf.read(own, foundry, room)?;
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

    /// Has what the histories a little after that place are made of fetched from memory, without
    /// waiting for it: to be called at each of many places that are read in order.
    #[inline]
    pub fn look_ahead(&self, place: u64) {
        if let Some((shelf, own, _)) = self.at(place + 2 * AHEAD) {
            shelf.prefetch_close(own);
        }
        // Where an opening is, a close tells.
        if let Some((shelf, own, _)) = self.at(place + AHEAD) {
            shelf.prefetch_opening(own);
        }
    }

    /// The place of the connection of that number.
    fn place(&self, id: u64) -> Option<u64> {
        match &self.deals {
            Some(_) => Some(id),
            None => self.shelves.first()?.place(id).map(u64::from),
        }
    }

    /// The shelf and the place on it, and which shelf it is.
    #[inline]
    fn at(&self, place: u64) -> Option<(&Shelf, u32, usize)> {
        let (index, place) = match &self.deals {
            Some(deals) => deals.connections.at(place)?,
            None => (0, u32::try_from(place).ok()?),
        };
        Some((self.shelves.get(index)?, place, index))
    }
}
