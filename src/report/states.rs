//! What each state means: the text that `explain` teaches and the gloss beside a state in reports.
//!
//! The words are those of RFC 9293 with what hosts make of it: how long a state lasts, who has to
//! act to end it, and how an observer can tell.

use crate::infer::state::State;
use crate::infer::table::{ROWS, Row};
use crate::rfc::{Cite, rfc9293};

/// One state, explained.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// Which state.
    pub state: State,
    /// A line to stand beside the state's name.
    pub gloss: &'static str,
    /// What it means.
    pub means: &'static str,
    /// How long it lasts.
    pub lasts: &'static str,
    /// Who has to act for it to end.
    pub acts: &'static str,
    /// How an observer knows it, and when that is wrong.
    pub seen: &'static str,
    /// Where the RFC has it.
    pub cite: Cite,
}

impl Lesson {
    /// The transitions into the state.
    pub fn ways_in(&self) -> impl Iterator<Item = &'static Row> {
        let state = self.state;
        ROWS.iter().filter(move |row| row.to == state)
    }

    /// The transitions out of it.
    pub fn ways_out(&self) -> impl Iterator<Item = &'static Row> {
        let state = self.state;
        ROWS.iter().filter(move |row| row.from == state)
    }
}

/// The explanation of a state.
pub fn lesson(state: State) -> &'static Lesson {
    // The place in the list is the state's number; a test holds the two together.
    LESSONS.get(state as usize).unwrap_or(&UNKNOWN)
}

/// Every state, in the order of a connection's life.
pub const LESSONS: [Lesson; State::ALL.len()] = [
    UNKNOWN,
    CLOSED,
    LISTEN,
    SYN_SENT,
    SYN_RCVD,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    CLOSING,
    TIME_WAIT,
    CLOSE_WAIT,
    LAST_ACK,
];

const STATES: Cite = rfc9293("3.3.2");

const UNKNOWN: Lesson = Lesson {
    state: State::Unknown,
    gloss: "the capture does not tell",
    means: "No state of TCP: the capture does not show enough to name one. Either the connection \
            was there before the capture began, or nothing that this end sent was captured.",
    lasts: "Until a segment settles it.",
    acts: "Nobody. To know more, start the capture before the connection, or capture both \
           directions.",
    seen: "A segment that only one state can send or answer ends it. A FIN, a RST, or the \
           sequence numbers of later segments may do so even without the handshake.",
    cite: STATES,
};

const CLOSED: Lesson = Lesson {
    state: State::Closed,
    gloss: "no connection",
    means: "There is no connection, and no memory of one. It is where every connection begins and \
            where both ends arrive: the active closer from TIME_WAIT after 2MSL, the passive \
            closer from LAST_ACK at once, and either of them at once by a RST.",
    lasts: "For ever, or until a new connection begins on the same addresses and ports.",
    acts: "An application, by opening a new connection.",
    seen: "The RST that ends the connection shows it, or the ACK of the last FIN, or 2MSL of \
           silence, or that a host answers with the RST of one that has no such socket. A socket \
           that its kernel drops silently leaves no packet, so the true moment may be earlier.",
    cite: STATES,
};

const LISTEN: Lesson = Lesson {
    state: State::Listen,
    gloss: "a server waits for anybody's SYN",
    means: "The server's application has opened passively and waits for any client. It is a state \
            of the listening socket, not of a connection; each SYN makes a new connection in \
            SYN_RCVD.",
    lasts: "As long as the server runs.",
    acts: "A client, by sending a SYN.",
    seen: "Never by itself: a listening socket sends nothing. It is what a server was in before \
           its SYN+ACK. A SYN alone proves nothing about the server, which may be down or may \
           refuse.",
    cite: rfc9293("3.10.7.2"),
};

const SYN_SENT: Lesson = Lesson {
    state: State::SynSent,
    gloss: "sent its SYN, waits for the answer",
    means: "The client has opened actively: it sent a SYN with its initial sequence number x, \
            which carries no data and takes one number, and waits for the SYN+ACK (y, ack x+1). \
            With that it is ESTABLISHED, before the server is. The options that both ends will \
            use (MSS, window scale, timestamps, SACK) are agreed on here.",
    lasts: "One round trip. Without an answer the SYN is repeated, each time after twice the wait; \
            Linux gives up after six repeats, about two minutes.",
    acts: "The server, or whatever stands in the way: a firewall that drops packets, a host that \
           is down, a full backlog. A RST as the answer means that no program listens there.",
    seen: "The client's own SYN shows it. Only an answer can show whether the SYN arrived.",
    cite: rfc9293("3.5"),
};

const SYN_RCVD: Lesson = Lesson {
    state: State::SynRcvd,
    gloss: "answered a SYN, waits for the ACK",
    means: "The server got a SYN and answered with a SYN+ACK; it waits for the third segment (ack \
            y+1). The third segment exists so that the client can refuse: a SYN delayed in the \
            network may arrive after its connection has closed, and without the third segment the \
            server would open a connection that nobody wants. Two ends that open at the same time \
            both pass through this state.",
    lasts: "One round trip, so it is rarely seen. It lasts when the last ACK is missing or \
            ignored: a SYN flood, a path that drops it, a full accept queue, or TCP_DEFER_ACCEPT. \
            Linux repeats the SYN+ACK five times and forgets the connection after about 63 s.",
    acts: "The client, by its ACK; the third segment may already carry data. If the accept queue \
           is full: the server's application, by calling accept().",
    seen: "The SYN+ACK shows it. A repeated SYN+ACK after an ACK means that the ACK was lost, or \
           that the server ignored it.",
    cite: rfc9293("3.10.7.3"),
};

const ESTABLISHED: Lesson = Lesson {
    state: State::Established,
    gloss: "open; data may flow both ways",
    means: "The connection is open, and data may flow both ways. Each end gets here at its own \
            moment: the client with the SYN+ACK, the server half a round trip later with the ACK.",
    lasts: "As long as the applications want, even without any traffic. A host that crashes or a \
            cable that is pulled sends nothing, and the other end stays here until its own data \
            goes unanswered (Linux: about 15 minutes) or keepalives find out (off by default; \
            first probe after 2 hours, then 75 s apart). A killed process is not such a case: its \
            kernel sends the FIN.",
    acts: "Either application, by closing. The one that closes first is the active closer, \
           whether client or server.",
    seen: "For a client, its ACK of the SYN+ACK shows it; for a server, its first segment that \
           answers the handshake's ACK. In a capture that began later, it is assumed.",
    cite: STATES,
};

const FIN_WAIT_1: Lesson = Lesson {
    state: State::FinWait1,
    gloss: "closed first; its FIN is not acknowledged yet",
    means: "This end closed first: it sent its FIN (u), which only says that it has no more data, \
            and waits for the ACK (u+1). A FIN takes one sequence number, and it may carry the \
            last data.",
    lasts: "One round trip. The peer's kernel acknowledges a FIN by itself, so no application can \
            prolong it; it lasts only if the FIN or its ACK is lost, if the peer is gone, or if \
            the peer's window is closed and the FIN waits behind unsent data.",
    acts: "The peer's kernel. Nobody has to do anything.",
    seen: "The FIN shows it. The application may have closed earlier: a FIN waits behind data \
           that is not sent yet.",
    cite: rfc9293("3.6"),
};

const FIN_WAIT_2: Lesson = Lesson {
    state: State::FinWait2,
    gloss: "closed first; waits for the peer to close too",
    means: "This end closed first and its FIN is acknowledged; the peer has not closed. This end \
            can receive but not send (the half-close). The state mirrors the peer's CLOSE_WAIT: if \
            the peer's application never closes, both stay. If the peer answers the FIN with FIN \
            and ACK in one segment, this state is skipped.",
    lasts: "Until the peer's FIN. If this end called close(), its kernel reaps the orphan without \
            a packet (Linux: 60 s, tcp_fin_timeout); if it called shutdown() and still holds the \
            socket, there is no limit.",
    acts: "The peer's application, which has not closed.",
    seen: "The ACK of the FIN, on its way, shows it; a repeat of the FIN would refute it. When the \
           orphan is reaped nothing is sent, so a long FIN_WAIT_2 may already be over: a later \
           segment from the peer would be answered with a RST.",
    cite: rfc9293("3.6"),
};

const CLOSING: Lesson = Lesson {
    state: State::Closing,
    gloss: "both closed at once; waits for the ACK of its FIN",
    means: "Both ends closed at the same time and their FINs crossed: this end has sent its FIN, \
            got the peer's, and waits for the ACK of its own. Both ends are in CLOSING, and both \
            go on to TIME_WAIT.",
    lasts: "One round trip. Rare.",
    acts: "The peer's kernel.",
    seen: "A FIN shows it that does not acknowledge the FIN that this end had already sent.",
    cite: rfc9293("3.6"),
};

const TIME_WAIT: Lesson = Lesson {
    state: State::TimeWait,
    gloss: "closed first and is done; waits out 2MSL",
    means: "Both ends have closed; the one that closed first waits for twice the maximum segment \
            lifetime. It does so to repeat its last ACK if that was lost (a repeated FIN starts \
            the wait again), and to let old segments of this connection die before the same \
            addresses and ports are used again.",
    lasts: "2MSL, which is 1 to 4 minutes depending on the system: RFC 9293 assumes an MSL of 2 \
            minutes, Linux waits 60 s, classic Windows 240 s. Here --msl sets it.",
    acts: "Nobody. It is not a leak, and the active closer pays for it: on a busy client it can \
           use up the ports. SO_REUSEADDR lets a server bind again (its meaning differs by \
           platform); timestamps let a newer SYN end it early. SO_LINGER with a timeout of zero \
           avoids it by sending a RST instead of the FIN, at the price of unsent data.",
    seen: "The peer's FIN, on its way to the end that closed first, shows it, and the last ACK \
           confirms it. The end of TIME_WAIT sends no packet: it is taken to come after 2MSL of \
           silence.",
    cite: rfc9293("3.6.1"),
};

const CLOSE_WAIT: Lesson = Lesson {
    state: State::CloseWait,
    gloss: "the peer has closed; the application has not",
    means: "The peer closed, the kernel here acknowledged its FIN, and the application here has \
            not called close(). It is the passive closer's state, whether client or server. Many \
            of them on one service are the classic leak: sockets whose owner has forgotten them, \
            each holding a file descriptor (one real case: a process that held port 6800 with rows \
            of CLOSE_WAIT in `lsof -i`; killing it released them).",
    lasts: "Milliseconds, until the application reads the end of the stream and closes. There is \
            no timer: without close() it lasts as long as the process. A half-close, in which \
            this end goes on sending data, is legal and may last.",
    acts: "The application here: not the peer, not the network, and no kernel setting. Look for a \
           code path that drops the socket without close(), a response body that is not read to \
           its end, a pool that does not notice, a descriptor that a child process inherited, or \
           an accept queue that nobody drains.",
    seen: "The FIN, on its way to this end, shows it, and an ACK that covers the FIN confirms it. \
           close() and shutdown() look alike on the wire, so the peer may still be reading.",
    cite: rfc9293("3.6"),
};

const LAST_ACK: Lesson = Lesson {
    state: State::LastAck,
    gloss: "closed second; waits for the ACK of its FIN",
    means: "This end closed second: it got the peer's FIN, sent its own (w), and waits for the \
            one ACK (w+1) that ends the connection. With it this end is CLOSED at once, without \
            TIME_WAIT.",
    lasts: "One round trip. If the last ACK is lost, the FIN is repeated, and the peer in \
            TIME_WAIT acknowledges it again; if the peer is gone, this end gives up after its \
            repeats.",
    acts: "The peer's kernel.",
    seen: "This end's FIN shows it, after it has acknowledged the peer's.",
    cite: rfc9293("3.6"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_own_lesson() {
        for state in State::ALL {
            let lesson = lesson(state);
            assert_eq!(lesson.state, state);
            assert!(lesson.gloss.len() <= 50, "{state}: a gloss stands beside a name");
        }
    }
}
