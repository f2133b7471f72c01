//! Legs and audio on other nodes: who is asked for what, and what nodes tell.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_b2bua::aor;
use hookswitch_call::directory::UserLimits;
use hookswitch_call::port::Backend as _;
use hookswitch_call::{MediaOp, MediaReport, Op, Report, Time};
use hookswitch_channels::Channels;
use hookswitch_dialect::mediaswitch::CONTENT_TYPE;
use hookswitch_nodes::{Answer, NodeStatus, Nodes};
use serde_json::{Value, json};

use crate::rest::domain_of;
use crate::{HttpId, Output, Shard};

impl Shard {
    /// Legs and audio are elsewhere from now on, as far as these nodes have them. To be said before anything happens.
    #[must_use]
    pub fn with_nodes(self, nodes: Nodes) -> Self {
        let mut shard = Self { nodes, ..self };
        shard.tell_nodes_all();
        shard
    }

    /// How the nodes stand that have our legs and audio; none where those are in this process.
    #[must_use]
    pub fn node_status(&self) -> Vec<NodeStatus> {
        self.nodes.status()
    }

    /// The board wants something done to a leg: by whoever has the legs.
    pub(crate) fn perform(&mut self, now: Time, op: Op) {
        // Whom an address means, our own directory knows; where that is, the nodes do.
        if let (Op::Locate { call, to, anywhere, .. }, Some(legs)) = (&op, self.nodes.legs_mut()) {
            let user = self.b2bua.user_of(to).map(|(user, domain)| aor(&user, domain));
            legs.seek(*call, &to.0, *anywhere, user);
            return self.b2bua.perform(now, op);
        }
        if let Err(op) = self.nodes.perform(now, op) {
            self.b2bua.perform(now, op);
        }
    }

    /// What our own directory says of an address is completed by what nodes know.
    pub(crate) fn located(&mut self, report: Report) -> Report {
        let Some(legs) = self.nodes.legs_mut() else { return report };
        if let Report::Located { call, found, codecs, forwards } = report {
            return Report::Located { call, found: legs.found(call, found), codecs, forwards };
        }
        report
    }

    /// Nodes with our legs have to know a domain that is new, has changed or is gone.
    pub(crate) fn tell_nodes(&mut self, domain: &str) {
        let Some(legs) = self.nodes.legs_mut() else { return };
        let directory = self.b2bua.directory();
        let users = directory.users(domain).map(|users| {
            let user = |user: CompactString| {
                let secret = directory.secret(domain, &user)?;
                let UserLimits { contacts, calls, .. } = directory.limits(domain, &user);
                let mut shown = json!({ "username": user, "secret": secret.reveal() });
                if contacts.is_some() || calls.is_some() {
                    shown["limits"] = json!({ "contacts": contacts, "calls": calls });
                }
                Some(shown)
            };
            Value::Array(users.into_iter().filter_map(user).collect()).to_string()
        });
        legs.domain(domain, users);
    }

    /// All domains of the configuration.
    fn tell_nodes_all(&mut self) {
        let domains: Vec<CompactString> =
            self.b2bua.directory().domains_after(None, usize::MAX).into_iter().map(CompactString::from).collect();
        for domain in domains {
            self.tell_nodes(&domain);
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
                let b2bua = &self.b2bua;
                let kept = self.rest.recorded(now, call, recording, &news, |party| domain_of(b2bua, party));
                self.out.extend(kept.map(Output::Keep));
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
        } else if let Some((node, call, recording)) = self.nodes.poll_recorded() {
            self.rest.lies_at(call, recording, &node);
        } else if let Some(report) = self.nodes.poll_media_report() {
            self.media_told(now, report);
        } else if let Some(news) = self.nodes.poll_news() {
            self.out.push_back(Output::NodeNews(news));
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
