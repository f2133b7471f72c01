//! The Management Interface: JSON-RPC 2.0 requests, one to a datagram.

use std::time::Duration;

use compact_str::{CompactString, ToCompactString, format_compact};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::{PeerId, Sim, SimOutput, Step, Time};

/// A request's parameters by name.
pub(crate) struct Params(Map<String, Value>);

impl Params {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A parameter as text; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> CompactString {
        match self.0.get(name) {
            Some(Value::String(text)) => text.into(),
            Some(Value::Number(number)) => number.to_compact_string(),
            _ => CompactString::default(),
        }
    }

    /// A parameter as a number, which may be written as text.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    fn has_exactly(&self, names: &[&str]) -> bool {
        self.0.len() == names.len() && names.iter().all(|name| self.has(name))
    }
}

/// What a command answers.
#[derive(Debug)]
pub(crate) enum Reply {
    Result(Box<RawValue>, Duration),
    Error {
        code: i32,
        message: &'static str,
        data: &'static str,
    },
    /// When there is something to say.
    Later,
}

impl Reply {
    pub(crate) fn result(result: &impl Serialize) -> Self {
        Self::Result(to_raw_value(result).expect("plain data"), Duration::ZERO)
    }

    pub(crate) const fn error(code: i32, message: &'static str) -> Self {
        Self::Error { code, message, data: "" }
    }

    pub(crate) const fn server_error(data: &'static str) -> Self {
        Self::Error { code: -32_000, message: "Server error", data }
    }

    const fn bad_params(data: &'static str) -> Self {
        Self::Error { code: -32_602, message: "Invalid params", data }
    }

    pub(crate) fn later(self, by: Duration) -> Self {
        match self {
            Self::Result(result, _) => Self::Result(result, by),
            other => other,
        }
    }
}

/// Who waits for an answer: the sender of a request, and the request's id as OpenSIPS gives it back.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) peer: PeerId,
    /// None: the request had no id, and gets no answer.
    id: Option<CompactString>,
}

type Handler = fn(&mut Sim, Time, &Params) -> Reply;

enum Run {
    Now(Handler),
    /// Needs to know who asks: the answer comes later.
    Uac,
}

/// Which module a command comes with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Module {
    Core,
    Callops,
    Dialog,
    Usrloc,
}

struct Method {
    module: Module,
    /// Until 3.6, and an alias since.
    old: &'static str,
    /// Since 4.0.
    new: &'static str,
    recipes: &'static [&'static [&'static str]],
    /// Recipes since 4.0.
    later_recipes: &'static [&'static [&'static str]],
    run: Run,
}

const fn method(
    module: Module,
    old: &'static str,
    new: &'static str,
    recipes: &'static [&'static [&'static str]],
    run: Run,
) -> Method {
    Method { module, old, new, recipes, later_recipes: &[], run }
}

const UAC_RECIPES: &[&[&str]] = &[
    &["method", "ruri", "headers"],
    &["method", "ruri", "headers", "next_hop"],
    &["method", "ruri", "headers", "socket"],
    &["method", "ruri", "headers", "body"],
    &["method", "ruri", "headers", "next_hop", "socket"],
    &["method", "ruri", "headers", "next_hop", "body"],
    &["method", "ruri", "headers", "socket", "body"],
    &["method", "ruri", "headers", "next_hop", "socket", "body"],
];

const TRANSFER_RECIPES: &[&[&str]] = &[
    &["callid", "leg", "destination"],
    &["callid", "leg", "transfer_callid", "transfer_leg"],
    &["callid", "leg", "transfer_callid", "transfer_leg", "destination"],
    // The documented form, which its own handler cannot read.
    &["callid", "leg", "transfer_callid", "transfer_fromtag", "transfer_totag", "transfer_destination"],
];

const HOLD_RECIPES: &[&[&str]] = &[&["callid"]];
const HOLD_LEG_RECIPES: &[&[&str]] = &[&["callid", "leg"], &["callid", "leg", "headers"]];
const LIST_RECIPES: &[&[&str]] = &[&[], &["callid"], &["callid", "from_tag"], &["index", "counter"]];

const METHODS: &[Method] = &[
    method(Module::Core, "t_uac_dlg", "tm:uac_dlg", UAC_RECIPES, Run::Uac),
    method(Module::Core, "t_uac_cancel", "tm:uac_cancel", &[&["callid", "cseq"]], Run::Now(Sim::uac_cancel)),
    method(Module::Callops, "call_transfer", "callops:transfer", TRANSFER_RECIPES, Run::Now(Sim::call_transfer)),
    Method {
        later_recipes: HOLD_LEG_RECIPES,
        ..method(Module::Callops, "call_hold", "callops:hold", HOLD_RECIPES, Run::Now(Sim::call_hold))
    },
    Method {
        later_recipes: HOLD_LEG_RECIPES,
        ..method(Module::Callops, "call_unhold", "callops:unhold", HOLD_RECIPES, Run::Now(Sim::call_unhold))
    },
    method(
        Module::Dialog,
        "dlg_end_dlg",
        "dialog:end_dlg",
        &[&["dialog_id"], &["dialog_id", "extra_hdrs"]],
        Run::Now(Sim::end_dlg),
    ),
    method(Module::Dialog, "dlg_list", "dialog:list", LIST_RECIPES, Run::Now(Sim::dlg_list)),
    method(Module::Dialog, "dlg_list_ctx", "dialog:list_ctx", LIST_RECIPES, Run::Now(Sim::dlg_list_ctx)),
    method(
        Module::Dialog,
        "dlg_send_sequential",
        "dialog:send_sequential",
        &[&["callid"], &["callid", "mode"], &["callid", "mode", "method"]],
        Run::Now(|_, _, _| Reply::error(406, "Not Acceptable")),
    ),
    method(
        Module::Core,
        "event_subscribe",
        "evi:subscribe",
        &[&["event", "socket"], &["event", "socket", "expire"]],
        Run::Now(Sim::subscribe),
    ),
    method(
        Module::Core,
        "subscribers_list",
        "evi:subscribers",
        &[&[], &["event"], &["event", "socket"]],
        Run::Now(Sim::subscribers),
    ),
    method(Module::Core, "events_list", "evi:list", &[&[]], Run::Now(Sim::events)),
    method(Module::Core, "version", "core:version", &[&[]], Run::Now(Sim::version)),
    method(Module::Core, "help", "core:help", &[&["mi_cmd"]], Run::Now(Sim::help)),
    method(
        Module::Usrloc,
        "ul_show_contact",
        "usrloc:show_contact",
        &[&["table_name", "aor"]],
        Run::Now(Sim::show_contact),
    ),
];

#[derive(Serialize)]
struct Server {
    #[serde(rename = "Server")]
    server: &'static str,
}

#[derive(Serialize)]
struct Help {
    #[serde(rename = "Help")]
    help: &'static str,
    #[serde(rename = "Exported by")]
    by: &'static str,
}

#[derive(Serialize)]
struct Contacts {
    #[serde(rename = "AOR")]
    aor: CompactString,
    #[serde(rename = "Contacts")]
    contacts: [Contact; 1],
}

#[derive(Serialize)]
struct Contact {
    #[serde(rename = "Contact")]
    contact: CompactString,
    #[serde(rename = "ContactID")]
    id: &'static str,
    #[serde(rename = "Expires")]
    expires: u32,
    #[serde(rename = "Q")]
    q: &'static str,
}

impl Sim {
    pub(crate) fn request(&mut self, now: Time, peer: PeerId, bytes: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            return self.plain(peer, "400 Parse_error");
        };
        if self.chance.percent(self.config.oddities.internal_error) {
            return self.plain(peer, "500 Internal error");
        }
        let Some(name) = value.get("method").and_then(Value::as_str) else {
            if self.config.version.has_modules() {
                // The process crashes, and takes the others with it.
                self.die();
            } else {
                let asker = Asker { peer, id: Some("null".into()) };
                self.answer(now, &asker, Reply::error(-32_600, "Invalid Request"));
            }
            return;
        };
        let asker = Asker { peer, id: value.get("id").map(given_back) };
        let reply = match self.find(name) {
            Err(reply) => reply,
            Ok(method) => match self.params(method, value.get("params")) {
                Err(reply) => reply,
                Ok(params) => match method.run {
                    Run::Now(handler) => handler(self, now, &params),
                    Run::Uac => self.uac_dlg(now, &params, &asker),
                },
            },
        };
        self.answer(now, &asker, reply);
    }

    fn plain(&mut self, peer: PeerId, text: &'static str) {
        self.out.push_back(SimOutput::MiReply { to: peer, bytes: text.into() });
    }

    fn find(&self, name: &str) -> Result<&'static Method, Reply> {
        let modules = self.config.modules;
        let is_loaded = |module| match module {
            Module::Core => true,
            Module::Callops => modules.callops,
            Module::Dialog => modules.dialog,
            Module::Usrloc => modules.usrloc,
        };
        let loaded = || METHODS.iter().filter(|method| is_loaded(method.module));
        if let Some(method) = loaded().find(|method| method.old == name) {
            return Ok(method);
        }
        let not_found = Reply::error(-32_601, "Method not found");
        if !self.config.version.has_modules() {
            return Err(not_found);
        }
        if let Some(method) = loaded().find(|method| method.new == name) {
            return Ok(method);
        }
        let is_local = |method: &&Method| method.new.split_once(':').is_some_and(|(_, local)| local == name);
        let mut local = loaded().filter(is_local);
        match (local.next(), local.next()) {
            (Some(method), None) => Ok(method),
            (Some(_), Some(_)) => Err(Reply::error(-32_001, "Method ambiguous")),
            (None, _) => Err(not_found),
        }
    }

    /// The parameters, if they are those of one of the method's recipes.
    fn params(&self, method: &Method, params: Option<&Value>) -> Result<Params, Reply> {
        let later = if self.config.version.has_modules() { method.later_recipes } else { &[] };
        let recipes = || method.recipes.iter().chain(later);
        let params = match params {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) => members.clone(),
            Some(Value::Array(values)) => {
                let Some(recipe) = recipes().find(|recipe| recipe.len() == values.len()) else {
                    return Err(Reply::bad_params("Too few or too many parameters"));
                };
                recipe.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned()).collect()
            }
            Some(_) => return Err(Reply::error(-32_600, "Invalid Request")),
        };
        let params = Params(params);
        if recipes().any(|recipe| params.has_exactly(recipe)) {
            Ok(params)
        } else if recipes().any(|recipe| recipe.len() == params.0.len()) {
            Err(Reply::bad_params("Named parameters do not match"))
        } else {
            Err(Reply::bad_params("Too few or too many parameters"))
        }
    }

    /// Answers when the process has the time to.
    pub(crate) fn answer(&mut self, now: Time, asker: &Asker, reply: Reply) {
        let Some(id) = &asker.id else {
            return;
        };
        let (text, after) = match reply {
            Reply::Later => return,
            Reply::Result(result, after) => (format!("{{\"jsonrpc\":\"2.0\",\"result\":{result},\"id\":{id}}}"), after),
            Reply::Error { code, message, data } => {
                let data = if data.is_empty() { String::new() } else { format!(",\"data\":\"{data}\"") };
                let error = format!("{{\"code\":{code},\"message\":\"{message}\"{data}}}");
                (format!("{{\"jsonrpc\":\"2.0\",\"error\":{error},\"id\":{id}}}"), Duration::ZERO)
            }
        };
        let at = now + after + self.chance.within(self.config.spread);
        self.agenda.put(at, Step::Say(asker.peer, text.into()));
    }

    fn version(&mut self, _now: Time, _params: &Params) -> Reply {
        Reply::result(&Server { server: self.config.version.server() })
    }

    fn help(&mut self, _now: Time, params: &Params) -> Reply {
        match self.find(&params.text("mi_cmd")) {
            Ok(method) => {
                let by = method.new.split_once(':').map_or("core", |(module, _)| module);
                Reply::result(&Help { help: "not available for this command", by })
            }
            Err(reply) => reply,
        }
    }

    /// `ul_show_contact`
    fn show_contact(&mut self, _now: Time, params: &Params) -> Reply {
        let aor = params.text("aor");
        let Some((user, _)) = aor.split_once('@') else {
            return Reply::error(400, "Domain missing in AOR");
        };
        match self.phones.get(user).filter(|phone| phone.registered && params.text("table_name") == "location") {
            Some(phone) => {
                let contact = Contact { contact: phone.contact.clone(), id: "2914", expires: 3_412, q: "" };
                Reply::result(&Contacts { aor: user.into(), contacts: [contact] })
            }
            None => Reply::error(404, "AOR not found"),
        }
    }
}

/// An id as OpenSIPS gives it back: text as it is, integers clamped.
fn given_back(id: &Value) -> CompactString {
    match id.as_f64() {
        Some(number) => format_compact!("{}", number.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32),
        None => id.to_compact_string(),
    }
}
