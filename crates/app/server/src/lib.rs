//! The hookswitch program: configuration, serve, demo.
