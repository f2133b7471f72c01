//! The CODECS table: G.711, telephone-event, tones.
