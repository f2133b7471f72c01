//! Every torture message of RFC 4475, with what the message layer says to it and which layer answers the rest.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use hookswitch_sip_msg::{HeaderName, Message, Method, ParseError, Scheme, response_to};

/// What the message layer does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Reads and validates.
    Accepted,
    /// A request that is refused with this status.
    Refused(u16),
    /// A response that is dropped: nobody answers a response.
    Dropped,
    /// Reads and validates here; the answer is another layer's.
    LeftTo(Layer, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Layer {
    Transport,
    Transaction,
    Server,
    Registrar,
}

use Layer::{Registrar, Server, Transaction, Transport};
use Verdict::{Accepted, Dropped, LeftTo, Refused};

/// Section, message, verdict. Where the RFC leaves a choice, the comment says which one is ours.
const CASES: &[(&str, &str, Verdict)] = &[
    ("3.1.1.1", "wsinv", Accepted),
    // Valid syntax; a server then says 501 or 405 to the method.
    ("3.1.1.2", "intmeth", Accepted),
    ("3.1.1.3", "esc01", Accepted),
    ("3.1.1.4", "escnull", Accepted),
    // RE%47IST%45R is not REGISTER.
    ("3.1.1.5", "esc02", Accepted),
    ("3.1.1.6", "lwsdisp", Accepted),
    ("3.1.1.7", "longreq", Accepted),
    ("3.1.1.8", "dblreq", Accepted),
    ("3.1.1.9", "semiuri", Accepted),
    ("3.1.1.10", "transports", Accepted),
    ("3.1.1.11", "mpart01", Accepted),
    ("3.1.1.12", "unreason", Accepted),
    ("3.1.1.13", "noreason", Accepted),
    ("3.1.2.1", "badinv01", Refused(400)),
    ("3.1.2.2", "clerr", Refused(400)),
    ("3.1.2.3", "ncl", Refused(400)),
    ("3.1.2.4", "scalar02", Refused(400)),
    ("3.1.2.5", "scalarlg", Dropped),
    ("3.1.2.6", "quotbal", Refused(400)),
    ("3.1.2.7", "ltgtruri", Refused(400)),
    ("3.1.2.8", "lwsruri", Refused(400)),
    // Our choice: strict, so that no other element reads another start line than we do. The same for trws.
    ("3.1.2.9", "lwsstart", Refused(400)),
    ("3.1.2.10", "trws", Refused(400)),
    // Our choice: strict, because a Route smuggled in would be followed by somebody.
    ("3.1.2.11", "escruri", Refused(400)),
    // Our choice: liberal, because nothing of ours reads the Date of a request.
    ("3.1.2.12", "baddate", Accepted),
    ("3.1.2.13", "regbadct", Refused(400)),
    ("3.1.2.14", "badaspec", Refused(400)),
    // Our choice: liberal, because the address itself is beyond doubt.
    ("3.1.2.15", "baddn", Accepted),
    ("3.1.2.16", "badvers", Refused(505)),
    ("3.1.2.17", "mismatch01", Refused(400)),
    // 400 and 501 are both allowed.
    ("3.1.2.18", "mismatch02", Refused(400)),
    ("3.1.2.19", "bigcode", Dropped),
    ("3.2.1", "badbranch", LeftTo(Transaction, "matches by the rules of RFC 2543: the branch is not unique")),
    ("3.3.1", "insuf", Refused(400)),
    ("3.3.2", "unkscm", LeftTo(Server, "416: the scheme of the Request-URI is unknown")),
    ("3.3.3", "novelsc", LeftTo(Server, "416: the scheme of the Request-URI is known to others")),
    ("3.3.4", "unksm2", LeftTo(Registrar, "400: an address of record is a SIP or SIPS URI")),
    ("3.3.5", "bext01", LeftTo(Server, "420 with Unsupported")),
    ("3.3.6", "invut", LeftTo(Server, "415 with Accept")),
    ("3.3.7", "regaut01", LeftTo(Registrar, "401: credentials of an unknown scheme count as none")),
    ("3.3.8", "multi01", Refused(400)),
    ("3.3.9", "mcl01", Refused(400)),
    ("3.3.10", "bcast", LeftTo(Transport, "dropped: the topmost Via is not ours")),
    ("3.3.11", "zeromf", LeftTo(Server, "483 when it would be forwarded, else answered")),
    ("3.3.12", "cparam01", LeftTo(Registrar, "200: the parameter belongs to the header")),
    ("3.3.13", "cparam02", LeftTo(Registrar, "200: the parameter belongs to the URI")),
    ("3.3.14", "regescrt", LeftTo(Registrar, "200: the binding keeps its Route")),
    ("3.3.15", "sdp01", LeftTo(Server, "406 or an answer without body: no acceptable type")),
    ("3.4.1", "inv2543", Accepted),
];

/// Messages whose verdict above is not yet reached, with the reason. A message that starts to behave must leave this
/// list: the test asserts that each of them still fails.
const KNOWN_GAPS: &[(&str, &str)] = &[];

fn read(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475").join(name).with_extension("sip");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn parse(name: &str) -> Message {
    Message::parse(read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn judge(name: &str) -> (Option<Message>, Result<(), ParseError>) {
    match Message::parse(read(name)) {
        Ok(message) => {
            let verdict = message.validate();
            (Some(message), verdict)
        }
        Err(error) => (error.salvage().cloned(), Err(error)),
    }
}

/// `None` when the verdict is reached, else what happened instead.
fn deviation(name: &str, expected: Verdict) -> Option<String> {
    let (message, outcome) = judge(name);
    let reached = match (&outcome, expected) {
        (Ok(()), Accepted | LeftTo(..)) => true,
        (Err(error), Refused(status)) => {
            error.status() == status && message.is_some_and(|message| message.is_request())
        }
        (Err(_), Dropped) => message.is_none_or(|message| message.is_response()),
        _ => false,
    };
    (!reached).then(|| format!("{name}: expected {expected:?}, got {outcome:?}"))
}

#[test]
fn every_message_gets_its_verdict() {
    let deviations: Vec<String> = CASES
        .iter()
        .filter(|(_, name, _)| !KNOWN_GAPS.iter().any(|(gap, _)| gap == name))
        .filter_map(|(section, name, verdict)| deviation(name, *verdict).map(|text| format!("{section} {text}")))
        .collect();
    assert!(deviations.is_empty(), "{}", deviations.join("\n"));
}

#[test]
fn known_gaps_are_still_gaps() {
    for (name, reason) in KNOWN_GAPS {
        let (_, _, verdict) = CASES.iter().find(|(_, case, _)| case == name).expect("a gap is one of the cases");
        assert!(deviation(name, *verdict).is_some(), "{name} works now ({reason}): take it off the list");
    }
}

#[test]
fn every_message_of_the_rfc_is_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the fixtures are part of the crate")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let cases: BTreeSet<String> = CASES.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    assert_eq!(files, cases);
    assert_eq!(cases.len(), 49);
}

#[test]
fn every_refused_request_that_has_a_via_gets_a_readable_answer() {
    for (_, name, verdict) in CASES {
        let Refused(status) = verdict else {
            continue;
        };
        let (message, outcome) = judge(name);
        let (message, error) = (message.expect("requests are salvaged"), outcome.expect_err("it was refused"));
        let answer = response_to(&message, *status, &error.reason(), Some("t")).expect(name).finish();
        let answer = Message::parse(answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.status(), Some(*status), "{name}");
        for header in [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            assert!(answer.headers(header).eq(message.headers(header)), "{name}: {header}");
        }
    }
}

#[test]
fn wsinv_reads_as_the_rfc_says() {
    let message = parse("wsinv");
    assert_eq!(message.request_uri(), Some("sip:vivekg@chair-dnrc.example.com;unknownparam"));
    assert_eq!(message.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(message.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(message.from().unwrap().display_text().as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(message.max_forwards().unwrap(), Some(68));
    let cseq = message.cseq().unwrap();
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
    let hops: Vec<_> = vias.iter().map(|via| (via.transport, via.host.to_string(), via.branch())).collect();
    assert_eq!(
        hops,
        [
            ("UDP", "192.0.2.2".to_owned(), Some("390skdjuw")),
            ("TCP", "spindle.example.com".to_owned(), Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111".to_owned(), Some("z9hG4bK30239")),
        ]
    );
    assert_eq!(message.header(HeaderName::Subject), Some(&b""[..]));
    let unusual: Vec<_> = message.header_by_name("unknownheaderwithunusualvalue").collect();
    assert_eq!(unusual, [b";;,,;;,;"]);
    let contact = message.contacts().next().unwrap().unwrap();
    assert_eq!(contact.display_text().as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.param("newparam"), Some("newvalue"));
    assert_eq!(contact.param("secondparam"), Some(""));
    assert_eq!(contact.q(), Some(330));
    let route = message.addresses(HeaderName::Route).next().unwrap().unwrap().uri().unwrap();
    assert_eq!((route.param("lr"), route.param("unknownwith")), (Some(""), Some("value")));
    assert_eq!(message.body_bytes().len(), 150);
}

#[test]
fn intmeth_keeps_every_character() {
    let message = parse("intmeth");
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(message.method().unwrap().as_str(), method);
    assert_eq!(message.cseq().unwrap().method.as_str(), method);
    let target = hookswitch_sip_msg::Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(target.user, Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(target.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(message.to().unwrap().display, Some(&b"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f"[..]));
    assert_eq!(message.from().unwrap().tag(), Some("_token~1'+`*%!-."));
    assert_eq!(message.call_id().unwrap(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
}

#[test]
fn escapes_are_kept_and_understood() {
    let message = parse("esc01");
    let target = hookswitch_sip_msg::Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(target.scheme, Scheme::Sip);
    assert_eq!(target.user_unescaped().as_deref(), Some("sips:user@example.com"));
    assert_eq!(target.host.to_string(), "example.net");
    let from = message.from().unwrap().uri().unwrap();
    assert_eq!(from.user_unescaped().as_deref(), Some("I have spaces"));
    let null = parse("escnull");
    assert_eq!(null.to().unwrap().uri().unwrap().user, Some("null-%00-null"));
    assert_eq!(null.contacts().count(), 2);
    // What is no header name by its bytes is none after unescaping either.
    let other = parse("esc02");
    assert_eq!(other.method(), Some(&Method::Other("RE%47IST%45R".into())));
    assert_eq!(other.contacts().count(), 2);
    assert_eq!(other.to().unwrap().display, Some(&b"%Z%45"[..]));
}

#[test]
fn bodies_end_where_content_length_says() {
    let message = parse("dblreq");
    assert_eq!(message.method(), Some(&Method::Register));
    assert!(message.body().is_empty());
    assert!(memchr::memmem::find(message.as_bytes(), b"INVITE").is_none());
    let multipart = parse("mpart01");
    assert_eq!(multipart.body_bytes().len(), 553);
    assert!(read("mpart01").ends_with(multipart.body_bytes()));
}

#[test]
fn the_rest_of_the_valid_messages_reads_as_the_rfc_says() {
    let message = parse("lwsdisp");
    assert_eq!(message.from().unwrap().display, Some(&b"caller"[..]));
    let message = parse("semiuri");
    let target = hookswitch_sip_msg::Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(target.user, Some("user;par=u%40example.net"));
    assert_eq!(target.params.iter().count(), 0);
    let transports: Vec<_> = parse("transports").vias().map(|via| via.unwrap().transport.to_owned()).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    let reason = parse("unreason");
    assert_eq!(reason.status(), Some(200));
    assert_eq!(std::str::from_utf8(reason.reason()), Ok("= 2**3 * 5**2 но сто девяносто девять - простое"));
    assert_eq!((parse("noreason").status(), parse("noreason").reason()), (Some(100), &b""[..]));
    assert_eq!(parse("longreq").values(HeaderName::Via).count(), 34);
}

#[test]
fn what_other_layers_answer_can_be_seen_by_them() {
    assert!(!parse("badbranch").via().unwrap().has_unique_branch());
    let scheme = |name| hookswitch_sip_msg::Uri::parse(parse(name).request_uri().unwrap()).unwrap().scheme;
    assert_eq!((scheme("unkscm"), scheme("novelsc")), (Scheme::Other, Scheme::Other));
    assert!(!parse("unksm2").to().unwrap().uri().unwrap().is_sip());
    assert!(parse("bext01").has_token(HeaderName::Require, "NothingSupportsThis"));
    assert_eq!(parse("bext01").values(HeaderName::ProxyRequire).count(), 2);
    assert_eq!(parse("invut").content_type(), Some("application/unknownformat"));
    let authorization = parse("regaut01");
    let value = authorization.header(HeaderName::Authorization).unwrap();
    assert!(!hookswitch_sip_msg::AuthParams::parse(value).unwrap().is_digest());
    assert_eq!(parse("bcast").vias().last().unwrap().unwrap().host.to_string(), "255.255.255.255");
    assert_eq!(parse("zeromf").max_forwards().unwrap(), Some(0));
    assert!(!parse("sdp01").has_token(HeaderName::Accept, "application/sdp"));
    let contact = |name| parse(name).contacts().next().unwrap().map(|c| (c.bracketed, c.params.has("unknownparam")));
    assert_eq!(contact("cparam01"), Ok((false, true)));
    assert_eq!(contact("cparam02"), Ok((true, false)));
    let escaped = parse("regescrt");
    let binding = escaped.contacts().next().unwrap().unwrap().uri().unwrap();
    assert_eq!(binding.headers, Some("Route=%3Csip:sip.example.com%3E"));
}
