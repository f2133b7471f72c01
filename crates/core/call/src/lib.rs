//! The waist: words, the Call machine and the Switchboard.
