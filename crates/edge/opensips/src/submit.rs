//! Commands come in: refused, failed at once because of what they say, or begun.

use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    Address, By, CallRef, Cause, Command, Failure, Kind, MAX_ADDRESS, Notes, Outcome, Party, Refused, Ticket, Time,
};

use crate::address::{header_fields, is_address, is_call_id, is_name};
use crate::command::failure::{NOT_ANSWERING, bad_address, bad_notes, unsupported};
use crate::command::{End, Hold, Machine, News, Start, Transfer};
use crate::evi::Topic;
use crate::port::Output;
use crate::{Link, OpenSips, Running};

/// What a command turned out to be.
enum Plan {
    /// To be carried out.
    Run(Machine, CompactString),
    /// To be told to the command that starts the call.
    GiveUp(Ticket),
    /// Not to be carried out, whatever OpenSIPS would say.
    Fail(Failure),
}

/// Which call a controller means.
enum Target {
    /// One that a command is making.
    Starting(Ticket),
    /// One of this Call-ID.
    Dialog(CompactString),
}

impl OpenSips {
    /// Accepts a command or says why not. An accepted one gets exactly one [`Outcome`].
    ///
    /// # Errors
    /// See [`Refused`]; nothing has changed then.
    pub fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        if self.stopping {
            return Err(Refused::Draining);
        }
        if self.health.mi.is_down() {
            return Err(Refused::CarrierDown(CompactString::const_new(NOT_ANSWERING)));
        }
        if self.commands >= self.config.max_commands {
            return Err(Refused::TooManyCommands(self.config.max_commands));
        }
        let plan = self.plan(command)?;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        match plan {
            Plan::Run(machine, callid) => self.run(now, ticket, machine, callid),
            Plan::GiveUp(start) => {
                self.commands += 1;
                self.enders.entry(start).or_default().push(ticket);
                self.hear(now, start, News::GiveUp);
            }
            Plan::Fail(failure) => self.outputs.push_back(Output::Outcome(Outcome { ticket, result: Err(failure) })),
        }
        Ok(ticket)
    }

    fn run(&mut self, now: Time, ticket: Ticket, machine: Machine, callid: CompactString) {
        let made_by = matches!(machine, Machine::Start(_)).then_some(ticket);
        let call = self.book.open(now, &callid, made_by);
        if let Some(call) = self.book.get_mut(call) {
            call.users += 1;
        }
        self.commands += 1;
        self.enter(ticket, machine, Some(call), true);
        self.follow(ticket, &callid);
        if self.is_ready() {
            self.begin(now, ticket);
        } else {
            self.waiting.push(ticket);
        }
    }

    pub(crate) fn enter(
        &mut self,
        ticket: Ticket,
        machine: Machine,
        call: Option<hookswitch_call::CallId>,
        is_asked_for: bool,
    ) {
        let running = Running {
            machine,
            call,
            second: None,
            invite: None,
            is_asked_for,
            begun: false,
            names: Vec::new(),
            requests: Vec::new(),
            armed: None,
        };
        self.running.insert(ticket, running);
    }

    fn plan(&mut self, command: Command) -> Result<Plan, Refused> {
        match command {
            Command::Start { caller, callee, wire_id } => self.plan_start(caller, callee, wire_id),
            Command::End { call, cause } => Ok(match self.target(&call)? {
                Target::Starting(start) => Plan::GiveUp(start),
                Target::Dialog(dialog) => {
                    let end = End::commanded(dialog.clone(), reason(&cause));
                    Plan::Run(Machine::End(end), dialog)
                }
            }),
            Command::Hold { call, party, notes } => self.plan_hold(&call, true, party, &notes),
            Command::Unhold { call, party, notes } => self.plan_hold(&call, false, party, &notes),
            Command::Transfer { call, party, to, by } => {
                only_refer(by)?;
                self.needs(Topic::Transfer)?;
                fits(&to)?;
                let callid = self.dialog(&call)?;
                if !is_address(&to.0) {
                    return Ok(Plan::Fail(bad_address()));
                }
                Ok(Plan::Run(Machine::Transfer(Transfer::blind(callid.clone(), party, to.0)), callid))
            }
            Command::Audio { .. } => {
                Err(Refused::Unsupported("the audio of these calls does not run through here".into()))
            }
            Command::Step { .. } => Err(Refused::Unsupported("these calls cannot be led step by step".into())),
            Command::Join { call, party, other, other_party, to, by } => {
                only_refer(by)?;
                self.needs(Topic::Transfer)?;
                if let Some(to) = &to {
                    fits(to)?;
                }
                let (callid, other) = (self.dialog(&call)?, self.dialog(&other)?);
                let to = to.map(|to| to.0);
                if !to.as_ref().is_none_or(|to| is_address(to)) {
                    return Ok(Plan::Fail(bad_address()));
                }
                let transfer = Transfer::attended(callid.clone(), party, (other, other_party), to);
                Ok(Plan::Run(Machine::Transfer(transfer), callid))
            }
        }
    }

    fn plan_start(
        &mut self,
        caller: Address,
        callee: Address,
        wire_id: Option<CompactString>,
    ) -> Result<Plan, Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        self.needs(Topic::Transfer)?;
        fits(&caller)?;
        fits(&callee)?;
        if let Some(wire_id) = &wire_id
            && (self.book.named(wire_id).is_some() || self.interest.contains_key(wire_id))
        {
            return Err(Refused::WireIdInUse(wire_id.clone()));
        }
        if self.book.len() >= self.config.max_calls {
            return Err(Refused::TooManyCalls(self.config.max_calls));
        }
        if !is_address(&caller.0) || !is_address(&callee.0) {
            return Ok(Plan::Fail(bad_address()));
        }
        let callid = match wire_id.filter(|wire_id| is_call_id(wire_id)) {
            Some(wire_id) => wire_id,
            None => self.make_call_id(),
        };
        Ok(Plan::Run(Machine::Start(Start::new(caller.0, callee.0, callid.clone())), callid))
    }

    fn plan_hold(&mut self, call: &CallRef, on: bool, party: Option<Party>, notes: &Notes) -> Result<Plan, Refused> {
        self.needs(Topic::Hold)?;
        let Some(headers) = header_fields(notes) else { return Ok(Plan::Fail(bad_notes())) };
        let headers = (!headers.is_empty()).then_some(headers);
        if let Some(why) = self.cannot_hold(party, headers.as_ref()) {
            return Err(Refused::Unsupported(why));
        }
        let callid = self.dialog(call)?;
        Ok(Plan::Run(Machine::Hold(Hold::new(callid.clone(), on, party, headers)), callid))
    }

    /// Why this OpenSIPS cannot hold like that. Unknown versions are asked.
    fn cannot_hold(&self, party: Option<Party>, headers: Option<&String>) -> Option<CompactString> {
        let version = self.probe.version.as_ref().filter(|version| !version.holds_legs())?;
        let what = match (party, headers) {
            (None, None) => return None,
            (Some(_), _) => "holding one leg is",
            (None, Some(_)) => "header fields in a hold are",
        };
        Some(format_compact!("{what} not supported by this OpenSIPS ({})", version.text))
    }

    /// OpenSIPS is there, with its version and our subscriptions: begins what has been waiting for that.
    pub(crate) fn begin_waiting(&mut self, now: Time) {
        if !self.is_ready() {
            return;
        }
        self.end_halves(now);
        self.look_up(now);
        for ticket in std::mem::take(&mut self.waiting) {
            match self.running.get(&ticket).and_then(|running| self.hindrance(&running.machine)) {
                Some(failure) => self.hear(now, ticket, News::Abandon(&failure)),
                None => self.begin(now, ticket),
            }
        }
    }

    /// What would have been refused, had it been known.
    fn hindrance(&self, machine: &Machine) -> Option<Failure> {
        let topic = match machine {
            Machine::Start(_) | Machine::Transfer(_) => Topic::Transfer,
            Machine::Hold(_) => Topic::Hold,
            Machine::End(_) => return None,
        };
        if self.subscriptions.refusal(topic).is_some() {
            return Some(crate::command::failure::backend(NO_EVENTS));
        }
        let Machine::Hold(hold) = machine else { return None };
        let (party, headers) = hold.asks_for();
        self.cannot_hold(party, headers).map(|why| unsupported(hold.stage(), &why))
    }

    fn begin(&mut self, now: Time, ticket: Ticket) {
        if let Some(running) = self.running.get_mut(&ticket) {
            running.begun = true;
            self.hear(now, ticket, News::Begin);
        }
    }

    /// Whether commands can be begun: OpenSIPS answers, and has said what it makes of our subscriptions.
    pub(crate) fn is_ready(&self) -> bool {
        self.health.mi == Link::Up && self.subscriptions.are_settled()
    }

    fn needs(&self, topic: Topic) -> Result<(), Refused> {
        match self.subscriptions.refusal(topic) {
            Some(_) => Err(Refused::CarrierDown(CompactString::const_new(NO_EVENTS))),
            None => Ok(()),
        }
    }

    fn target(&self, call: &CallRef) -> Result<Target, Refused> {
        let id = match call {
            CallRef::Id(id) => Some(*id),
            CallRef::Ticket(ticket) => self.book.made_by(*ticket),
            CallRef::Wire(name) if !is_name(name) => return Err(Refused::NoSuchCall),
            CallRef::Wire(name) => match self.book.named(name) {
                Some(id) => Some(id),
                None => return Ok(Target::Dialog(name.clone())),
            },
        };
        let call = id.and_then(|id| self.book.get(id)).ok_or(Refused::NoSuchCall)?;
        match call.made_by.filter(|ticket| self.running.contains_key(ticket)) {
            Some(start) => Ok(Target::Starting(start)),
            None => Ok(Target::Dialog(call.wire.clone())),
        }
    }

    /// The Call-ID of the call that a controller means, for what is done to a call as it is. A name that it gave
    /// itself is taken as it is.
    fn dialog(&self, call: &CallRef) -> Result<CompactString, Refused> {
        let id = match call {
            CallRef::Wire(name) if is_name(name) => return Ok(name.clone()),
            CallRef::Wire(_) => None,
            CallRef::Id(id) => Some(*id),
            CallRef::Ticket(ticket) => self.book.made_by(*ticket),
        };
        id.and_then(|id| self.book.get(id)).map(|call| call.wire.clone()).ok_or(Refused::NoSuchCall)
    }
}

const NO_EVENTS: &str = "Could not subscribe for event";

fn fits(address: &Address) -> Result<(), Refused> {
    if address.0.len() > MAX_ADDRESS { Err(Refused::AddressTooLong) } else { Ok(()) }
}

/// What the parties are told (RFC 3326); nothing where there is nothing to say.
fn reason(cause: &Cause) -> Option<String> {
    match (cause.kind, cause.q850) {
        (Kind::Hangup, _) => None,
        (_, Some(q850)) => Some(format!("Reason: SIP;cause={}\r\nReason: Q.850;cause={q850}\r\n", cause.code)),
        (_, None) => Some(format!("Reason: SIP;cause={}\r\n", cause.code)),
    }
}

/// OpenSIPS leaves every transfer to the phones.
fn only_refer(by: Option<By>) -> Result<(), Refused> {
    match by {
        None | Some(By::Refer) => Ok(()),
        Some(By::Bridge) => Err(Refused::Unsupported("OpenSIPS cannot bridge, only ask phones to transfer".into())),
    }
}
