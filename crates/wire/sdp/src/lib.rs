//! Session descriptions, lossless, with a typed view.
