//! Legs that controllers drive, beside the calls of the switchboard: who owns a leg that comes in, and who hears of it.

use bytes::Bytes;
use hookswitch_b2bua::{Manner, drained, is_phone};
use hookswitch_call::port::Backend;
use hookswitch_call::{CallId, Cause, Fault, Found, Incoming, Kind, LegId, Op, Report, Target, Time};
use hookswitch_dialect::mediaswitch::CONTENT_TYPE;
use hookswitch_mediaswitch::{
    Arrival, Config, Dialogs, Output as Wanted, Party, Phone, Record, Registration, Request, RequestId, Response, Seen,
    user_of,
};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::registrar::{Binding, Change, RemovedWhy};

use crate::{HttpId, Output, Shard};

/// How the shard is with controllers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DialogsConfig {
    /// Calls into the switch by users of a domain with a controller, and calls to such a domain, belong to the controller, which also hears of
    /// registrations. Default false: the switch carries them itself, as it does those of other domains.
    pub controllers: bool,
    /// The switch carries no calls of its own: a call that belongs to no controller is refused with 480. Default false.
    pub only: bool,
    /// What there may be.
    pub limits: Config,
}

/// What a request to the SIP server's HTTP interface asks of dialogs, if anything: what follows `/dialog/`.
///
/// The examples in the readme of project-mediaswitch post to `/invite` and, to let a phone ring, to `/dir`.
pub(crate) fn action<'a>(method: &str, path: &'a str, body: &[u8]) -> Option<&'a str> {
    let path = path.trim_end_matches('/');
    match path {
        "/dialog" => return Some(""),
        "/invite" if method == "POST" => return Some("invite"),
        "/dir" if method == "POST" && body.windows(8).any(|word| word == b"\"callid\"") => return Some("ring"),
        _ => {}
    }
    path.strip_prefix("/dialog/")
}

impl Shard {
    /// All that is known of a dialog, by the name that its controller has for it.
    #[must_use]
    pub fn dialog(&self, callid: &str) -> Option<&Record> {
        self.dialogs.by_callid(callid)
    }

    /// Events for controllers that wait or are under way, and those that nobody has taken since the start.
    #[must_use]
    pub const fn controller_notes(&self) -> (usize, u64) {
        self.dialogs.notes()
    }

    /// A report goes to whoever owns its leg.
    pub(crate) fn reported(&mut self, now: Time, report: Report) {
        let (call, leg) = match &report {
            Report::Incoming(incoming) => match self.controller_of(incoming) {
                Some((domain, control)) => return self.arrived(now, incoming, domain, control),
                None if self.controllers_only => {
                    let cause = Cause::new(Kind::Unreachable, Fault::Server).with_text("No Controller");
                    return self.b2bua.perform(now, Op::Refuse { handle: incoming.handle, cause });
                }
                None => (CallId(0), None),
            },
            Report::Located { call, .. } => (*call, None),
            Report::Dialed { call, leg, .. }
            | Report::Progress { call, leg, .. }
            | Report::Redirected { call, leg, .. }
            | Report::Answered { call, leg, .. }
            | Report::Confirmed { call, leg, .. }
            | Report::Reoffered { call, leg, .. }
            | Report::Withdrawn { call, leg }
            | Report::Reaccepted { call, leg, .. }
            | Report::ReferAsked { call, leg, .. }
            | Report::ReferAnswered { call, leg, .. }
            | Report::ReferProgress { call, leg, .. }
            | Report::Brought { call, leg, .. }
            | Report::Delivered { call, leg, .. }
            | Report::Digit { call, leg, .. }
            | Report::Ended { call, leg, .. } => (*call, Some(*leg)),
        };
        if Dialogs::owns(call) {
            let seen = leg.map(|leg| self.seen(call, leg)).unwrap_or_default();
            let report = self.located_of_wanted(now, report);
            let report = self.located_while_drained(report);
            return self.dialogs.report(now, report, seen);
        }
        let report = self.located(report);
        self.note_unreached(&report);
        self.tell_board(now, report);
    }

    /// Whoever has legs on several hosts may want some phones of a user called from this one, and the others from those.
    fn located_of_wanted(&self, now: Time, report: Report) -> Report {
        let Report::Located { call, found: Found::Targets(mut places), codecs, forwards } = report else {
            return report;
        };
        let wanted = self.dialogs.record(call).map_or(&[][..], Record::only_phones);
        let registrar = self.b2bua.registrar();
        let is_wanted = |place: &Target| {
            let binding = place.via.filter(|_| is_phone(place)).and_then(|key| registrar.by_key(now, key));
            binding.is_some_and(|binding| wanted.contains(&phone(binding)))
        };
        if !wanted.is_empty() {
            places.retain(is_wanted);
        }
        let found = if places.is_empty() {
            Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer))
        } else {
            Found::Targets(places)
        };
        Report::Located { call, found, codecs, forwards }
    }

    /// Whoever drains a host can call everybody from another one, except the phones that are registered there.
    fn located_while_drained(&self, report: Report) -> Report {
        if !self.board.draining() {
            return report;
        }
        if let Report::Located { call, found: Found::Targets(places), codecs, forwards } = report {
            let places: Vec<Target> = places.into_iter().filter(is_phone).collect();
            let found = if places.is_empty() { Found::Nowhere(drained()) } else { Found::Targets(places) };
            return Report::Located { call, found, codecs, forwards };
        }
        report
    }

    /// Whose a call is that comes in: the controller of its domain, if domains have theirs. The domain is that of the user
    /// who calls, and for whoever calls without being one (a trunk, a trusted network) that of the user who is called.
    fn controller_of(&self, incoming: &Incoming) -> Option<(compact_str::CompactString, compact_str::CompactString)> {
        if !self.controllers || incoming.replaces.is_some_and(|replaces| !Dialogs::owns(replaces.call)) {
            return None;
        }
        let domain = match self.b2bua.offered_by(incoming.handle) {
            Some(caller) => caller.rsplit_once('@')?.1,
            None => self.b2bua.user_of(&incoming.to)?.1,
        };
        let control = self.b2bua.directory().control(domain)?;
        Some((domain.into(), control.into()))
    }

    fn arrived(
        &mut self,
        now: Time,
        incoming: &Incoming,
        domain: compact_str::CompactString,
        control: compact_str::CompactString,
    ) {
        let arrival = Arrival {
            handle: incoming.handle,
            wire_id: incoming.wire_id.clone(),
            control,
            domain,
            from: user_of(&incoming.from.0),
            to: user_of(&incoming.to.0),
            // The backend has counted this hop already; the controller counts itself.
            maxforwards: incoming.hops.saturating_add(1),
            offer: incoming.offer.clone(),
            replaces: incoming.replaces.map(|replaces| replaces.call),
            party: Party::of(incoming),
        };
        let call = self.dialogs.arrived(now, arrival);
        // The leg has its name before anything is said of it.
        self.control_all(now);
        if let Some(call) = call {
            let seen = self.seen(call, LegId(0));
            self.dialogs.introduced(now, call, seen);
        }
    }

    fn seen(&self, call: CallId, leg: LegId) -> Seen {
        let Some((_, Some(dialog))) = self.b2bua.leg(call, leg) else { return Seen::default() };
        let target = dialog.remote_target();
        let contact = (!target.is_empty()).then(|| compact_str::format_compact!("<{target}>"));
        Seen { remote: Some(dialog.flow().remote), contact }
    }

    /// Does everything that is to be done for dialogs.
    pub(crate) fn control_all(&mut self, now: Time) {
        while let Some(output) = self.dialogs.poll_output() {
            self.control(now, output);
        }
    }

    pub(crate) fn control(&mut self, now: Time, output: Wanted) {
        match output {
            Wanted::Op(op) => self.b2bua.perform(now, op),
            Wanted::Manner(call, leg, manner) => {
                let credentials = manner.login.map(|(user, secret)| Credentials::new(user, secret.reveal()));
                let manner = Manner { credentials, remote_party: manner.remote_party, alert_info: manner.alert_info };
                self.b2bua.set_manner(call, leg, manner);
            }
            Wanted::Answer(id, response) => self.answer_dialogs(HttpId(id.0), response),
            Wanted::Note(note) => self.out.push_back(Output::Controller(note)),
        }
    }

    pub(crate) fn dialog_request(&mut self, now: Time, id: HttpId, method: &str, action: &str, body: &Bytes) {
        let request = Request { method, action, body };
        self.dialogs.request(now, RequestId(id.0), request, self.b2bua.directory());
    }

    /// `/drain`: no new calls, until that is taken back. Calls that there are go on, and phones stay registered.
    pub(crate) fn asked_to_drain(&mut self, id: HttpId, method: &str) {
        const ALLOW: &str = "POST, DELETE";
        let on = match method {
            "POST" => true,
            "DELETE" => false,
            _ => {
                let refusal = Response::refused(405, "allowed here: POST, DELETE", "method");
                return self.answer_dialogs(id, Response { allow: Some(ALLOW), ..refusal });
            }
        };
        self.b2bua.set_draining(on || self.board.stopping());
        self.board.set_draining(on);
        self.dialogs.set_draining(on);
        self.answer_dialogs(id, Response::json(&self.dialogs.load()));
    }

    fn answer_dialogs(&mut self, id: HttpId, response: Response) {
        self.out.push_back(Output::Http {
            id,
            status: response.status,
            content_type: CONTENT_TYPE,
            allow: response.allow,
            body: response.body,
        });
    }

    /// A binding has changed: the controller of its domain hears how its user is now.
    pub(crate) fn registration_changed(&mut self, now: Time, change: &Change) {
        if !self.controllers {
            return;
        }
        let aor = match change {
            Change::Put(binding) => &binding.aor,
            Change::Stale { aor, .. } | Change::Revived { aor, .. } => aor,
            // Its phone has registered anew, which is told.
            Change::Removed { why: RemovedWhy::Replaced, .. } => return,
            Change::Removed { aor, .. } => aor,
        };
        let Some((name, domain)) = aor.rsplit_once('@') else { return };
        let Some(control) = self.b2bua.directory().control(domain) else { return };
        let known = || self.b2bua.registrar().bindings(now, aor).filter(|binding| !binding.is_stale());
        // A stale binding that goes had been told when its phone fell silent; another one may be left.
        let at = known().max_by_key(|binding| binding.refreshed_at).map(|newest| Registration {
            remote: newest.source,
            agent: newest.user_agent.as_deref().map(Into::into),
            phones: known().map(|binding| (phone(binding), binding.refreshed_at)).collect(),
            is_new: matches!(change, Change::Put(_) | Change::Revived { .. }),
        });
        self.dialogs.registration(now, control, (name, domain), at);
    }
}

/// The name of the phone of a binding, the same at every host.
pub(crate) fn phone(binding: &Binding) -> Phone {
    Phone::of(binding.instance.as_deref(), &binding.contact)
}
