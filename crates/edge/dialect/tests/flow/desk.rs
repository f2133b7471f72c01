//! A machine of flows, and the call that it leads: a test says what the switch answers.

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{
    Address, CallId, Cause, Command, Event, Failure, Flow, OrderNews, Outcome, Party, Refused, Stage, Step, StepWanted,
    Ticket, Time, Told,
};
use hookswitch_dialect::flow::{Document, FlowOutput, FlowTerms, Flows, Note, Question, Reply};
use serde_json::Value;
use std::time::Duration;

pub const CALL: CallId = CallId(7);

pub struct Desk {
    pub flows: Flows,
    pub now: Time,
    pub commands: Vec<Command>,
    pub questions: Vec<Question>,
    pub notes: Vec<Note>,
    /// The webhooks that the call was to be given, by name.
    pub webhooks: Vec<CompactString>,
    /// The webhook that the call has, which is all that it gets.
    pub has: Option<CompactString>,
    /// What the next command is refused with.
    pub refuses: Option<Refused>,
    /// The call is over but for its legs.
    pub over: bool,
    tickets: u64,
}

pub fn sec(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn document(text: &str) -> Document {
    Document::read(text.as_bytes()).expect(text)
}

impl Desk {
    /// A flow `sales` with a URL, and what is done without it.
    pub fn new(fallback: Option<&str>) -> Self {
        let fallback = fallback.map(|text| document(text).verbs);
        Self::with(FlowTerms { has_url: true, fallback })
    }

    pub fn with(terms: FlowTerms) -> Self {
        let terms = AHashMap::from_iter([(CompactString::from("sales"), terms)]);
        Self {
            flows: Flows::new(terms, 1),
            now: sec(1_000),
            commands: Vec::new(),
            questions: Vec::new(),
            notes: Vec::new(),
            webhooks: Vec::new(),
            has: None,
            refuses: None,
            over: false,
            tickets: 0,
        }
    }

    /// The call has come to the flow, or comes back to it.
    pub fn wanted(&mut self, answered: bool) {
        let flow = Flow { name: "sales".into(), domain: "x.test".into() };
        let parties = (Address::from("sip:alice@x.test"), Address::from("sip:sales@x.test"));
        self.flows.wanted(self.now, StepWanted { call: CALL, flow, party: Party::Caller, answered }, parties);
        self.run();
    }

    fn run(&mut self) {
        while let Some(output) = self.flows.poll_output() {
            match output {
                FlowOutput::Submit(call, command) => {
                    self.commands.push(command);
                    self.tickets += 1;
                    let result = self.refuses.take().map_or(Ok(Ticket(self.tickets)), Err);
                    self.flows.submitted(self.now, call, result);
                }
                FlowOutput::Tell(command) => self.commands.push(command),
                FlowOutput::Webhook(call, name) => {
                    let result = self.has.clone().filter(|has| *has != name).map_or(Ok(()), Err);
                    self.webhooks.push(name);
                    self.flows.given(self.now, call, result);
                }
                FlowOutput::Ask(question) => self.questions.push(question),
                FlowOutput::News(news) => self.notes.push(news.what),
            }
        }
    }

    /// The last question is answered with this document.
    pub fn reply(&mut self, text: &str) {
        let Document { verbs, webhook } = document(text);
        assert_eq!(webhook, None, "nobody takes it on");
        self.reply_with(Reply { verbs, webhook: None });
    }

    /// The same, and its webhook was taken on.
    pub fn reply_with(&mut self, reply: Reply) {
        let id = self.questions.last().expect("a question").id;
        self.flows.replied(self.now, id, Ok(reply));
        self.run();
    }

    /// The URL of the flow has no good answer, and its fallback URL is asked.
    pub fn elsewhere(&mut self, why: &str) {
        let id = self.questions.last().expect("a question").id;
        self.flows.asked_elsewhere(id, why.into());
        self.run();
    }

    pub fn fails(&mut self) {
        let id = self.questions.last().expect("a question").id;
        self.flows.replied(self.now, id, Err("status 500".into()));
        self.run();
    }

    /// What was posted last.
    pub fn posted(&self) -> Value {
        serde_json::from_str(&self.questions.last().expect("a question").body).expect("JSON")
    }

    /// The last command is done, or has failed.
    pub fn done(&mut self, result: Result<(), Cause>) {
        let result = result.map_err(|cause| Failure::new(Stage::Callee, cause));
        let over = self.over;
        self.flows.outcome(self.now, &Outcome { ticket: Ticket(self.tickets), result }, |_| over);
        self.run();
    }

    /// Of the last command, or of nobody's.
    pub fn told(&mut self, ours: bool, event: Event) {
        let owner = ours.then_some(Ticket(self.tickets));
        self.flows.told(&Told { at: self.now, seq: 0, call: CALL, owner, event });
        self.run();
    }

    pub fn collected(&mut self, keys: &str) {
        let news = OrderNews::Collected { keys: keys.into(), complete: !keys.is_empty() };
        self.told(true, Event::Audio { party: Party::Caller, news });
        self.done(Ok(()));
    }

    pub fn ended(&mut self) {
        self.told(false, Event::Ended { cause: Cause::hangup(), talked: sec(3) });
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.flows.poll_timeout().filter(|at| *at <= until) {
            self.now = at;
            self.flows.handle_timeout(at);
            self.run();
        }
        self.now = until;
    }

    /// What was ordered since the last look, in short.
    pub fn since(&mut self) -> Vec<String> {
        self.commands.drain(..).map(|command| short(&command)).collect()
    }
}

fn short(command: &Command) -> String {
    match command {
        Command::Step { step: Step::Dial(dialled), .. } => {
            let names = |group: &Vec<Address>| group.iter().map(|to| to.0.as_str()).collect::<Vec<_>>().join("+");
            let groups: Vec<String> = dialled.groups.iter().map(names).collect();
            format!("dial {}", groups.join(" then "))
        }
        Command::Step { step: Step::Divert(to), .. } => format!("divert {to}"),
        Command::Step { step, .. } => format!("{step:?}").to_lowercase(),
        Command::Transfer { to, .. } => format!("transfer {to}"),
        Command::End { cause, .. } => format!("end {cause}"),
        Command::Join { other, other_party, .. } => format!("join {other:?} {other_party:?}"),
        Command::Audio { order, .. } => {
            let text = format!("{order:?}");
            text.split([' ', '(']).next().unwrap_or_default().to_lowercase()
        }
        Command::Start { .. } | Command::Hold { .. } | Command::Unhold { .. } => panic!("no verb does that"),
    }
}
