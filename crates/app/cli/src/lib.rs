//! Commands beside the server: phone, ladder, bench.
