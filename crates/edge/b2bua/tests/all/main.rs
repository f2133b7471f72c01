//! What the B2BUA does on the wire, one file for each behaviour, in one program.

mod dial_refused;
mod early_changes;
#[path = "../line/mod.rs"]
mod line;
mod names;
mod new_lines;
mod session_changes;
mod texts;
mod transfers;
mod trunk_registration;
mod trunks;
