//! Legs and audio on other nodes: who is asked for what, and what nodes tell.

use bytes::Bytes;
use hookswitch_call::port::Backend as _;
use hookswitch_call::{MediaOp, MediaReport, Op, Time};
use hookswitch_channels::Channels;
use hookswitch_dialect::mediaswitch::CONTENT_TYPE;
use hookswitch_nodes::{Answer, Nodes};

use crate::{HttpId, Output, Shard};

impl Shard {
    /// Legs and audio are elsewhere from now on, as far as these nodes have them. To be said before anything happens.
    #[must_use]
    pub fn with_nodes(self, nodes: Nodes) -> Self {
        Self { nodes, ..self }
    }

    /// The board wants something done to a leg: by whoever has the legs.
    pub(crate) fn perform(&mut self, now: Time, op: Op) {
        if let Err(op) = self.nodes.perform(now, op) {
            self.b2bua.perform(now, op);
        }
    }

    /// The board wants something done to audio: by whoever has it.
    pub(crate) fn perform_media(&mut self, now: Time, op: MediaOp) {
        if let Err(op) = self.nodes.perform_media(now, op) {
            self.out.push_back(Output::Media(op));
        }
    }

    /// The audio of a call or a channel has something to say.
    pub(crate) fn media_told(&mut self, now: Time, report: MediaReport) {
        match report {
            report if Channels::owns(report.call()) => self.channels.report(report),
            MediaReport::Audio { call, news, audio } => self.audio_told(now, call, news, audio),
            MediaReport::Recorded { call, recording, news } => {
                self.board.tell_media(now, MediaReport::Recorded { call, recording, news: news.clone() });
                self.rest.recorded(call, recording, &news);
                self.flows.recorded(now, call, recording, &news);
                self.recorded(now, call, recording, news);
            }
            report => self.board.tell_media(now, report),
        }
    }

    /// Takes the next thing that nodes have; false if there is none.
    pub(crate) fn step_nodes(&mut self, now: Time) -> bool {
        if let Some(report) = self.nodes.poll_report() {
            self.reported(now, report);
        } else if let Some(report) = self.nodes.poll_media_report() {
            self.media_told(now, report);
        } else if let Some(request) = self.nodes.poll_request() {
            self.out.push_back(Output::Node(request));
        } else {
            return false;
        }
        true
    }

    pub(crate) fn node_answered(&mut self, now: Time, answer: Answer) {
        self.nodes.answered(now, answer);
    }

    pub(crate) fn node_tells(&mut self, now: Time, id: HttpId, (method, path): (&str, &str), body: &Bytes) {
        let status = self.nodes.told(now, method, path, body);
        self.out.push_back(Output::Http { id, status, content_type: CONTENT_TYPE, allow: None, body: String::new() });
    }
}
