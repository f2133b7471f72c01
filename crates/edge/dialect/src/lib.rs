//! What applications speak: Call API and the pushed directory.
