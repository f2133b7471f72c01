//! What happens becomes events: numbers, documents, schemas.

mod documents;
mod numbers;
mod schemas;
mod told;
