//! Tests of the whole, through the library and the program, in one binary: against recordings of
//! a real kernel, the textbook, random input, and public captures where they are at hand.

mod briefly;
mod broken;
mod chosen;
mod corpus;
mod extract;
mod files;
mod formats;
mod frames;
mod halves;
mod join;
mod kernel;
mod knowable;
mod misses;
mod notes;
mod observer;
mod passage;
mod peers;
mod properties;
mod recording;
mod reference;
mod replay;
mod score;
mod services;
mod sharing;
mod sockets;
mod streams;
mod tcpdump;
mod terminal;
mod text;
mod textbook;
mod threads;
mod tidy;
mod transformed;
mod windump;
