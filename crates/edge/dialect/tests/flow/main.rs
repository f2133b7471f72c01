//! Call flows: documents, and the machine that runs their verbs.

mod any_document;
mod desk;
mod documents;
mod limits;
mod questions;
mod verbs;
mod webhooks;
