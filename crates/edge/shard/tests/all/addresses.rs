//! Where others are told to reach us.

use crate::support::*;

use crate::support::raw::{Raw, request, trusting_config, udp};

use hookswitch_b2bua::route::Route;
use hookswitch_shard::Input;
use hookswitch_sip::{Addresses, Interface};
use hookswitch_sip_msg::{HeaderName, Message};

/// A switch on a LAN, from which somebody calls a carrier on the Internet.
struct Office(Raw);

impl Office {
    fn new() -> Self {
        let mut config = trusting_config();
        config.b2bua.endpoint.listen[0].address = at("0.0.0.0:5060");
        let lan = Interface { addr: at(SWITCH).ip(), prefix: 24, default: true };
        config.b2bua.endpoint.addresses = Addresses { interfaces: vec![lan], ..Addresses::default() };
        config.b2bua.routes.push(Route::new("sip:carrier-*@*", "sip:8.8.4.4:5060").unwrap());
        Self(Raw::new(config))
    }

    fn seen_at(&mut self, public: &[&str]) {
        let public = public.iter().map(|ip| ip.parse().unwrap()).collect();
        self.0.shard.handle(self.0.now, Input::PublicAddresses(public));
    }

    /// What a callee reads of us in Via and Contact.
    fn call(&mut self, to: &str) -> [String; 2] {
        let raw = &mut self.0;
        let invite = request("INVITE", &format!("sip:{to}@x.test"), 1, "", "a");
        let invite =
            invite.replace("Call-ID: one", &format!("Call-ID: {to}")).replace("z9hG4bK", &format!("z9hG4bK{to}"));
        raw.hear(udp("10.0.0.2:5060"), &invite);
        let (_, invite) = raw.last("INVITE");
        [HeaderName::Via, HeaderName::Contact].map(|name| text(invite, name))
    }
}

fn text(message: &Message, name: HeaderName) -> String {
    message.header(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

#[test]
fn the_internet_is_told_the_public_address_from_when_it_is_known_and_the_lan_its_own() {
    let mut office = Office::new();
    let all = |said: [String; 2], address: &str| assert!(said.iter().all(|line| line.contains(address)), "{said:?}");
    all(office.call("carrier-1"), "10.0.0.1:5060");
    office.seen_at(&["203.0.113.5"]);
    all(office.call("carrier-2"), "203.0.113.5:5060");
    all(office.call("bench-1"), "10.0.0.1:5060");
    office.seen_at(&["203.0.113.6"]);
    all(office.call("carrier-3"), "203.0.113.6:5060");
}
