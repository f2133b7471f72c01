//! Call flows: a web server is asked what to do with a call, and answers with a list of verbs.
//!
//! ```text
//!   a call comes to a flow ──▶ Question ── the driver posts it ──▶ Document ──▶ verbs, one after the other ──▶ Command
//!                                 ▲                                              │ ▲
//!                                 └── collect, dial, record with `then`; ask ────┘ └── outcomes, events
//! ```
//!
//! A [`Document`] is what the server answers, read and checked with the exact place of what is wrong in it. [`Flows`] is the
//! machine that runs the verbs of all calls; what it knows of a call is one [`Run`].

mod body;
mod check;
mod document;
mod machine;
mod perform;
mod run;
mod sounds;
mod totals;
mod verb;

pub use document::{Document, DocumentError, MAX_DOCUMENT, MAX_NESTING, MAX_VERBS, Reply, check_verbs, schema, tones};
pub use machine::{FlowNews, FlowOutput, FlowTerms, Flows, Note, Question, QuestionId};
pub use run::{MAX_IDLE, MAX_PER_MINUTE, MAX_QUESTIONS, QUESTION_TIME, Run};
pub use sounds::SoundOf;
pub use totals::{AnswerTimes, FlowTotals};
pub use verb::{
    Answer, Ask, Bridge, Collect, Conference, Dial, End, Groups, Hangup, Pause, Play, Record, Redirect, Reject, Ring,
    Sides, Verb,
};
