//! What the scripted phone does, one file for each behaviour, in one program.

mod answers_and_refuses;
mod changes_sessions;
mod draws_ladders;
mod hears_what_is_played;
mod keys_and_texts;
#[path = "../line/mod.rs"]
mod line;
mod registers;
mod transfers;
