//! What Zeek's conn.log would call the connection, for people who join the two.
//!
//! Zeek keeps one coarse state per endpoint, moved by flags alone, and turns the last pair into a
//! word. This follows its documented meanings; it decides nothing else here.

use core::fmt;

use serde::Serialize;

use crate::decode::segment::{Flags, Segment};

/// The coarse state of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coarse {
    #[default]
    Inactive,
    SynSent,
    SynAckSent,
    Partial,
    Established,
    Closed,
    Reset,
}

/// The two coarse states: of the originator, as the first packet or the handshake has it, and of
/// the responder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracker {
    ends: [Coarse; 2],
}

/// Zeek's `conn_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConnState {
    /// A SYN without an answer.
    S0,
    /// Established, not closed.
    S1,
    /// Closed by the originator only.
    S2,
    /// Closed by the responder only.
    S3,
    /// Opened and closed.
    Sf,
    /// The SYN was refused.
    Rej,
    /// Reset by the originator.
    Rsto,
    /// Reset by the responder.
    Rstr,
    /// A SYN, then a RST, by the originator alone.
    Rstos0,
    /// A SYN+ACK, then a RST, by the responder alone.
    Rstrh,
    /// A SYN, then a FIN, by the originator alone.
    Sh,
    /// A SYN+ACK, then a FIN, by the responder alone.
    Shr,
    /// No SYN was seen.
    Oth,
}

impl ConnState {
    /// Every word, in the order above.
    pub const ALL: [ConnState; 13] = [
        ConnState::S0,
        ConnState::S1,
        ConnState::S2,
        ConnState::S3,
        ConnState::Sf,
        ConnState::Rej,
        ConnState::Rsto,
        ConnState::Rstr,
        ConnState::Rstos0,
        ConnState::Rstrh,
        ConnState::Sh,
        ConnState::Shr,
        ConnState::Oth,
    ];

    /// The word as conn.log has it.
    pub const fn name(self) -> &'static str {
        match self {
            ConnState::S0 => "S0",
            ConnState::S1 => "S1",
            ConnState::S2 => "S2",
            ConnState::S3 => "S3",
            ConnState::Sf => "SF",
            ConnState::Rej => "REJ",
            ConnState::Rsto => "RSTO",
            ConnState::Rstr => "RSTR",
            ConnState::Rstos0 => "RSTOS0",
            ConnState::Rstrh => "RSTRH",
            ConnState::Sh => "SH",
            ConnState::Shr => "SHR",
            ConnState::Oth => "OTH",
        }
    }
}

impl fmt::Display for ConnState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Tracker {
    /// Takes the next segment, sent by the end with index `sender`. `opens` says whether that end
    /// is the originator so far.
    pub(super) fn on_segment(&mut self, sender: usize, opens: bool, segment: &Segment) {
        let [a, b] = self.ends;
        let (own, peer) = if sender == 0 { (a, b) } else { (b, a) };
        let (mut own, mut peer) = match own {
            Coarse::Inactive => (first(own, peer, opens, segment), peer),
            Coarse::Closed | Coarse::Reset => (own, peer),
            _ => (own, peer),
        };
        if segment.has(Flags::SYN) && !opens && peer == Coarse::SynSent {
            peer = Coarse::Established;
        }
        if segment.has(Flags::FIN) && own != Coarse::Reset {
            own = Coarse::Closed;
        }
        let both_closed = own == Coarse::Closed && peer == Coarse::Closed;
        if segment.has(Flags::RST) && !both_closed {
            own = Coarse::Reset;
        }
        self.ends = if sender == 0 { [own, peer] } else { [peer, own] };
    }

    /// Zeek's word for the pair; `originator` is the index of the end that opened.
    pub(super) fn conn_state(&self, originator: usize, has_data: bool) -> ConnState {
        let [a, b] = self.ends;
        let (own, peer) = if originator == 0 { (a, b) } else { (b, a) };
        let silent = |end| matches!(end, Coarse::Inactive | Coarse::Partial);
        match (own, peer) {
            (Coarse::SynSent | Coarse::SynAckSent, Coarse::Reset) => ConnState::Rej,
            (Coarse::Reset, Coarse::Reset) if !has_data => ConnState::Rej,
            (own, Coarse::Reset) if silent(own) => ConnState::Rstrh,
            (_, Coarse::Reset) => ConnState::Rstr,
            (Coarse::Reset, peer) if silent(peer) => ConnState::Rstos0,
            (Coarse::Reset, _) => ConnState::Rsto,
            (Coarse::Closed, Coarse::Closed) => ConnState::Sf,
            (Coarse::Closed, peer) if silent(peer) => ConnState::Sh,
            (Coarse::Closed, _) => ConnState::S2,
            (own, Coarse::Closed) if silent(own) => ConnState::Shr,
            (_, Coarse::Closed) => ConnState::S3,
            (Coarse::SynSent, Coarse::Inactive) => ConnState::S0,
            (Coarse::Established, Coarse::Established) => ConnState::S1,
            _ => ConnState::Oth,
        }
    }
}

/// The state that an end's first segment puts it in.
fn first(own: Coarse, peer: Coarse, opens: bool, segment: &Segment) -> Coarse {
    let with_ack = segment.has(Flags::ACK);
    if segment.has(Flags::SYN) {
        return match (opens, with_ack) {
            (true, false) => Coarse::SynSent,
            (true, true) => Coarse::SynAckSent,
            (false, _) => Coarse::Established,
        };
    }
    if segment.has(Flags::FIN) || segment.has(Flags::RST) {
        return own;
    }
    match peer {
        Coarse::SynSent if !opens && segment.payload == 0 => Coarse::Inactive,
        Coarse::Established if with_ack => Coarse::Established,
        _ => Coarse::Partial,
    }
}
