//! Media channels, latching, relay, tones and offer/answer, sans-IO.
