//! Forgetting connections: those that are kept move up in their order, and keep their numbers.

use core::mem::take;

use super::shelf::{Form, Shelf, stream_at};

impl Shelf {
    /// Lets go of all connections but those at the places that `keep` chooses.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let (streams, numbers) = (take(&mut self.streams), take(&mut self.numbers));
        let mut before = take(&mut self.before);
        let reach = self.records.reach();
        self.numbers.next = numbers.of(reach);
        let mut new = 0;
        for old in 0..reach {
            if !keep(old) {
                self.release(old);
                continue;
            }
            self.shift(old, new);
            let stream = stream_at(&streams, old);
            if stream_at(&self.streams, new) != stream {
                self.streams.push((new, stream));
            }
            self.numbers.kept.push(numbers.of(old));
            if let Some(before) = before.remove(&old) {
                self.before.insert(new, before);
            }
            new += 1;
        }
        self.records.truncate(new);
    }

    /// Puts the record at a place to another place before it.
    fn shift(&mut self, old: u32, new: u32) {
        let Some(record) = self.records.get(old).copied() else { return };
        if let Form::Followed(at) = record.form
            && let Some(Some(followed)) = self.followed.get_mut(at.get())
        {
            followed.place = new;
        }
        if let Some(place) = self.records.get_mut(new) {
            *place = record;
        }
    }

    /// Gives back what a record has elsewhere.
    fn release(&mut self, place: u32) {
        let Some(record) = self.records.get(place) else { return };
        if let Some(place) = record.key.wide_place() {
            self.wide.give_back(place);
        }
        match record.form {
            Form::Brief(brief) => brief.give_back(&mut self.blocks),
            Form::Followed(at) => drop(self.followed.remove(at.get())),
            Form::Packed(at) => drop(self.packed.remove(at.get())),
            Form::Gone => {}
        }
    }

    /// Whether segments still come to the connection at that place: it is the newest of its
    /// four-tuple.
    pub(crate) fn is_newest(&self, place: u32) -> bool {
        let form = self.records.get(place).map(|record| &record.form);
        matches!(form, Some(Form::Brief(_) | Form::Followed(_)))
    }
}
