//! The section `trunks`.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A carrier, or another switch, that routes lead to as `trunk:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trunk {
    /// Where calls are sent, at most 10.
    pub hosts: Vec<TrunkHost>,
    /// User name for digest authentication, if the trunk asks for a password.
    pub user: Option<String>,
    /// The password, see `user`. Never shown again.
    pub secret: Option<String>,
    /// The only realm that gets the password. Default: whichever asks.
    pub realm: Option<String>,
    /// User part of From, in place of the number that calls; that is then told in P-Asserted-Identity if the trunk is
    /// `trusted`.
    pub from_user: Option<String>,
    /// Host of From and of P-Asserted-Identity, in place of the caller's own.
    pub from_domain: Option<String>,
    /// Whether it is told who calls even if the caller wishes to stay unknown, and believed when it says so (RFC 3325).
    pub trusted: bool,
    /// Answers upon which the next host or trunk is called, beside 401, 407, 408 and 503: 400 to 599, but not 486 and
    /// 487.
    pub fail_over: Vec<u16>,
    /// Most calls at a time; 0 is no limit. Beyond it the next trunk is called, or the call refused with 503.
    pub max_calls: usize,
    /// Most calls that are begun to it in a second; 0 is no limit.
    pub max_calls_per_second: u32,
    /// What becomes of the number that is called: the first rule that matches. At most 100.
    pub called: Vec<NumberRule>,
    /// What becomes of the number that calls.
    pub calling: Vec<NumberRule>,
    /// What becomes of the headers of an INVITE to it. At most 16 rules with 4 kB of text.
    pub headers: Vec<HeaderRule>,
    /// Calls that come from it.
    pub inbound: TrunkInbound,
    /// Our registration there; it gets no calls while it does not take that. Default: none.
    pub register: Option<TrunkRegister>,
    /// OPTIONS by which its hosts are watched; one that is out of order gets no calls. Default: none.
    pub options: Option<TrunkOptions>,
}

/// Our registration at a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkRegister {
    /// A SIP URI without user. Default: the first host.
    pub registrar: Option<String>,
    /// Who we are there. Default: `from_user`, else `user` of the trunk.
    pub user: Option<String>,
    /// User part of our Contact, by which calls of several accounts on one host are told apart. Default: the user.
    pub contact_user: Option<String>,
    /// For how long is asked, in seconds: 60 to 86400.
    pub expires: u64,
}

impl Default for TrunkRegister {
    fn default() -> Self {
        Self { registrar: None, user: None, contact_user: None, expires: 3_600 }
    }
}

/// How the hosts of a trunk are watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkOptions {
    /// Between an answer and the next OPTIONS, in seconds.
    pub interval: u64,
    /// Failures in a row after which a host gets no calls: no answer, or 500 and above.
    pub down_after: u16,
    /// Successes in a row after which it gets calls again.
    pub up_after: u16,
    /// Answers below 500 that are failures too.
    pub down_on: Vec<u16>,
}

impl Default for TrunkOptions {
    fn default() -> Self {
        Self { interval: 30, down_after: 2, up_after: 2, down_on: Vec::new() }
    }
}

/// How calls from a trunk are known, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkInbound {
    /// Networks whose calls are the trunk's and need no digest, `ADDRESS/BITS`.
    #[schemars(with = "Vec<String>")]
    pub from: Vec<IpNet>,
    /// Domains or addresses: a call over TLS or WSS is the trunk's if the other side's certificate is for one of them (RFC
    /// 5922: its `sip:` URIs, else its DNS names; whole names, no `*`), and needs no digest. With `from` as well, a call has
    /// to be both. Those who connect are asked for one by `sip.tls.client_certificates`.
    pub certificate: Vec<String>,
    /// Where the number that is called stands: `request_uri`, or `to` where the Request-URI only names our account.
    pub number_in: NumberIn,
    /// What becomes of the number that is called.
    pub called: Vec<NumberRule>,
    /// What becomes of the number that calls.
    pub calling: Vec<NumberRule>,
    /// The number is a user of this domain. Default: of the host that the trunk names.
    pub domain: Option<String>,
    /// Where numbers go, the first that matches; if there are any, others are refused with 404. At most 100.
    pub routes: Vec<InboundRoute>,
}

/// Where a trunk puts the number that it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberIn {
    /// Into the Request-URI.
    #[default]
    RequestUri,
    /// Into To.
    To,
}

/// Where numbers go that a trunk calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboundRoute {
    /// Pattern for the number, in which `*` stands for anything.
    #[serde(rename = "match")]
    pub pattern: String,
    /// A SIP URI, which goes on as any that is dialled here. Without a user part it keeps the number.
    pub to: String,
}

/// One host of a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkHost {
    /// A SIP URI such as `sip:sbc.example.net;transport=tcp`. Without a user part the number that is called goes there.
    pub uri: String,
    /// Hosts are called in ascending order of this.
    #[serde(default)]
    pub order: u16,
    /// Its share of the calls in which it is the first of those of the same order.
    #[serde(default = "one")]
    pub weight: u16,
}

fn one() -> u16 {
    1
}

/// A rule about numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberRule {
    /// Pattern for the number, in which one `*` stands for anything; `\*` is the key of that name.
    #[serde(rename = "match")]
    pub pattern: String,
    /// What it becomes; `*` is what the star of the pattern stands for.
    pub to: String,
}

/// A rule about headers: `set`, `add` or `remove`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderRule {
    /// This header gets the value, in place of any that it has.
    pub set: Option<String>,
    /// Another line of this header with the value.
    pub add: Option<String>,
    /// This header is left out.
    pub remove: Option<String>,
    /// The value for `set` and `add`.
    pub value: Option<String>,
}
