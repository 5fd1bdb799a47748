//! What a capture itself says of its connections beside their packets: which processes hold them,
//! and comments.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::addr::HostPort;
use crate::capture::{Note, Noted};
use crate::decode::tuple::End;
use crate::history::Role;
use crate::history::archive::Archive;
use crate::infer::state::State;
use crate::limits::{
    COMMENTS_MAX, CONNECTION_COMMENTS_MAX, FINDING_FRAMES_MAX, NOTED_CONNECTIONS_MAX,
    NOTED_HOLDERS_MAX,
};
use crate::owner::Owner;
use crate::sockets::{Held, HeldBy};

/// A comment on packets of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comment {
    /// What it says.
    pub text: Box<str>,
    /// The first frames that it is on.
    pub frames: Vec<u64>,
    /// How many frames it is on.
    pub count: u64,
}

/// All that a capture notes of its connections.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    owners: HashMap<(u64, End), Vec<Owner>>,
    by_role: HashMap<(u64, Role), Vec<Owner>>,
    held: BTreeMap<HeldBy, Held>,
    comments: HashMap<u64, Vec<Comment>>,
    /// Different comments so far.
    texts: usize,
    /// Owners and comments for which there was no room.
    pub left_out: u64,
}

impl Notes {
    /// Takes what is said of a segment of connection `id`, which `from` sent.
    pub(crate) fn take(&mut self, id: u64, from: End, note: Note) {
        if let Some((noted, owner)) = note.owner {
            let end = match noted {
                Noted::Sender => from,
                Noted::Receiver => from.peer(),
            };
            self.owner(id, end, owner);
        }
        for text in note.comments {
            self.comment(id, text, note.frame);
        }
    }

    fn owner(&mut self, id: u64, end: End, owner: Owner) {
        let has_room = self.owners.len() < NOTED_CONNECTIONS_MAX;
        match self.owners.entry((id, end)) {
            Entry::Occupied(known) if known.get().contains(&owner) => {}
            Entry::Occupied(mut known) if known.get().len() < NOTED_HOLDERS_MAX => {
                known.get_mut().push(owner);
            }
            Entry::Vacant(new) if has_room => {
                new.insert(vec![owner]);
            }
            _ => self.left_out += 1,
        }
    }

    fn comment(&mut self, id: u64, text: Box<str>, frame: u64) {
        let said = self.comments.get_mut(&id);
        let known = said.and_then(|said| said.iter_mut().find(|comment| comment.text == text));
        if let Some(comment) = known {
            comment.count += 1;
            if comment.frames.len() < FINDING_FRAMES_MAX {
                comment.frames.push(frame);
            }
            return;
        }
        let of_connection = self.comments.get(&id).map_or(0, Vec::len);
        if self.texts >= COMMENTS_MAX || of_connection >= CONNECTION_COMMENTS_MAX {
            self.left_out += 1;
            return;
        }
        self.texts += 1;
        let new = Comment { text, frames: vec![frame], count: 1 };
        self.comments.entry(id).or_default().push(new);
    }

    /// Finds the role of every end that is known by its holder, and who holds the sockets in
    /// CLOSE_WAIT on each side of a service.
    pub(crate) fn place(&mut self, archive: &Archive) {
        self.by_role.clear();
        self.held.clear();
        for ((id, end), owners) in &self.owners {
            let Some(history) = archive.get(*id) else { continue };
            let role = history.role(*end);
            self.by_role.insert((*id, role), owners.clone());
            if history.last_state(role) == State::CloseWait {
                let host = history.addr(role).ip();
                let place = HeldBy { role, host, service: history.addr(Role::Server) };
                self.held.entry(place).or_default().add_owners(owners);
            }
        }
    }

    /// Whether a process is known of any connection.
    pub fn has_owners(&self) -> bool {
        !self.by_role.is_empty()
    }

    /// Who holds a role's end of that connection.
    pub fn owners(&self, id: u64, role: Role) -> &[Owner] {
        self.by_role.get(&(id, role)).map_or(&[], Vec::as_slice)
    }

    /// Who holds the sockets in CLOSE_WAIT of that side of a service at the end.
    pub fn held(&self, role: Role, host: crate::addr::Addr, service: HostPort) -> Option<&Held> {
        self.held.get(&HeldBy { role, host, service })
    }

    /// The comments on packets of that connection, by their first frame.
    pub fn comments(&self, id: u64) -> &[Comment] {
        self.comments.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Drops what is said of connections that are not known any more.
    pub(crate) fn forget(&mut self, is_known: impl Fn(u64) -> bool) {
        self.owners.retain(|(id, _), _| is_known(*id));
        self.comments.retain(|id, _| is_known(*id));
        self.texts = self.comments.values().map(Vec::len).sum();
    }

    /// All holders, by the connection.
    pub(crate) fn owners_mut(&mut self) -> impl Iterator<Item = &mut Owner> {
        let mut all: Vec<_> = self.owners.iter_mut().collect();
        all.sort_by_key(|((id, end), _)| (*id, *end == End::B));
        all.into_iter().flat_map(|(_, owners)| owners)
    }

    /// Drops what was written by hand, which may name anything.
    pub(crate) fn drop_comments(&mut self) {
        self.comments.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(frame: u64, pid: u32, comment: &str) -> Note {
        let owner = Owner { program: None, pid: Some(pid), fd: None };
        Note { frame, owner: Some((Noted::Receiver, owner)), comments: vec![comment.into()] }
    }

    #[test]
    fn what_is_said_again_is_counted_and_what_has_no_room_too() {
        let mut notes = Notes::default();
        for frame in 1..=20 {
            notes.take(3, End::A, note(frame, 7, "slow"));
        }
        assert_eq!(notes.owners[&(3, End::B)].len(), 1);
        let [comment] = notes.comments(3) else { panic!("{:?}", notes.comments(3)) };
        assert_eq!((comment.count, comment.frames.len()), (20, FINDING_FRAMES_MAX));
        assert_eq!(notes.left_out, 0);
        for other in 0..100 {
            notes.take(3, End::A, note(30, 100 + other, &format!("{other}")));
        }
        assert_eq!(notes.owners[&(3, End::B)].len(), NOTED_HOLDERS_MAX);
        assert_eq!(notes.comments(3).len(), CONNECTION_COMMENTS_MAX);
        assert_eq!(notes.left_out, (93 + 37), "{notes:?}");
    }
}
