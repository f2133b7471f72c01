//! The native REST, beside what its own files test.

mod documented;
mod limits;
