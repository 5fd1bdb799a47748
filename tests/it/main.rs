//! Tests of the whole, through the library and the program, in one binary: against recordings of
//! a real kernel, against the textbook, and against public captures where they are at hand.

mod corpus;
mod kernel;
mod recording;
mod textbook;
mod windump;
