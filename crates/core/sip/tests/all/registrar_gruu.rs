//! Addresses of one phone (GRUU, RFC 5627).

use std::collections::BTreeSet;

use crate::registrar_phone::*;
use hookswitch_sip::Time;
use hookswitch_sip::registrar::{Gruu, GruuKey, RegisterOutcome, Registrar, RegistrarConfig};
use hookswitch_sip_msg::{NameAddr, Uri};

const DOMAIN: &str = "example.test";

fn keyed() -> Registrar {
    Registrar::new(RegistrarConfig { gruu_key: GruuKey([7; 32]), ..RegistrarConfig::default() })
}

fn contact(host: &str, instance: u32) -> String {
    format!("Contact: <sip:a@{host}>;+sip.instance=\"<urn:uuid:{instance}>\"")
}

/// A phone registers and wants its addresses.
fn ask(registrar: &mut Registrar, now: Time, call_id: &str, cseq: u32, contact: &str) -> RegisterOutcome {
    let outcome =
        registrar.register(now, ALICE, &register(call_id, cseq, &[contact, "Supported: path, gruu"]), udp(5060));
    assert_status(&outcome, 200);
    outcome
}

/// The public and the temporary address in the first Contact of an answer.
#[track_caller]
fn gruus(outcome: &RegisterOutcome) -> (String, String) {
    let text = contacts(outcome)[0];
    let address = NameAddr::parse(text.as_bytes()).expect("a contact");
    let param = |name: &str| {
        let value = address.params.find(name).flatten().expect("such a parameter");
        String::from_utf8_lossy(value).trim_matches('"').to_owned()
    };
    (param("pub-gruu"), param("temp-gruu"))
}

/// Contacts that an address leads to; `None` when it is nobody's.
fn lead(registrar: &Registrar, now: Time, gruu: &str) -> Option<Vec<String>> {
    let uri = Uri::parse(gruu).expect("a URI");
    let user = uri.user_unescaped().expect("a user part");
    match registrar.by_gruu(now, &user, &uri.host.to_string(), uri.param("gr").expect("gr")) {
        Gruu::Contacts(found) => Some(found.iter().map(|binding| binding.contact.to_string()).collect()),
        Gruu::Invalid => None,
    }
}

#[test]
fn a_phone_that_asks_is_told_its_addresses_and_both_lead_to_it() {
    let mut registrar = keyed();
    let outcome = ask(&mut registrar, at(0), "one", 1, &contact("h1", 1));
    ask(&mut registrar, at(1), "two", 1, &contact("h2", 2));
    let (public, temporary) = gruus(&outcome);
    assert_eq!(public, "sip:alice@example.test;gr=urn:uuid:1");
    assert!(temporary.starts_with("sip:tgruu.") && temporary.ends_with("@example.test;gr"), "{temporary}");
    assert!(!temporary.contains("alice"));
    for gruu in [&public, &temporary] {
        assert_eq!(lead(&registrar, at(1), gruu), Some(vec!["sip:a@h1".to_owned()]), "not to the other phone");
    }
    let shouted = public.replace("urn:uuid:1", "URN:UUID:1");
    assert_eq!(lead(&registrar, at(1), &shouted), Some(vec!["sip:a@h1".to_owned()]), "a URN has no case");
}

#[test]
fn who_does_not_ask_or_has_no_instance_is_told_none() {
    let mut registrar = keyed();
    let silent = registrar.register(at(0), ALICE, &register("one", 1, &[&contact("h1", 1)]), udp(5060));
    assert!(!contacts(&silent)[0].contains("gruu"));
    let plain = ask(&mut keyed(), at(0), "one", 1, "Contact: <sip:a@h1>");
    assert!(!contacts(&plain)[0].contains("gruu"));
}

#[test]
fn every_refresh_gives_another_temporary_address_and_the_older_ones_stay_good() {
    let mut registrar = keyed();
    let given: Vec<String> =
        (1..=5).map(|n| gruus(&ask(&mut registrar, at(n.into()), "one", n, &contact("h1", 1))).1).collect();
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 5);
    // Nobody sees that two of them belong to one phone.
    for at in [0, 8, 16, 24] {
        let token = |gruu: &String| gruu["sip:tgruu.".len() + at..][..8].to_owned();
        assert_eq!(given.iter().map(token).collect::<BTreeSet<_>>().len(), 5, "from character {at}");
    }
    for gruu in &given {
        assert_eq!(lead(&registrar, at(5), gruu), Some(vec!["sip:a@h1".to_owned()]));
    }
}

#[test]
fn a_phone_that_starts_anew_ends_its_temporary_addresses_and_not_the_public_one() {
    let mut registrar = keyed();
    let (public, old) = gruus(&ask(&mut registrar, at(0), "one", 1, &contact("h1", 1)));
    let (same, new) = gruus(&ask(&mut registrar, at(1), "after-reboot", 1, &contact("h1", 1)));
    assert_eq!(public, same);
    assert_eq!(lead(&registrar, at(1), &old), None);
    assert!(lead(&registrar, at(1), &new).is_some() && lead(&registrar, at(1), &public).is_some());
    // The same Call-ID after the registration was over is another registration.
    send(&mut registrar, at(2), 9, &["Contact: *", "Expires: 0"]);
    assert_eq!((lead(&registrar, at(2), &new), lead(&registrar, at(2), &public)), (None, Some(vec![])));
    ask(&mut registrar, at(3), "after-reboot", 2, &contact("h1", 1));
    assert_eq!(lead(&registrar, at(3), &new), None);
    assert!(lead(&registrar, at(3), &public).is_some_and(|found| found.len() == 1));
}

#[test]
fn a_restart_with_the_same_key_knows_them_and_another_key_does_not() {
    let mut first = keyed();
    let (_, temporary) = gruus(&ask(&mut first, at(0), "one", 1, &contact("h1", 1)));
    let stored = only(&first, at(0));
    for (key, known) in [([7; 32], true), ([8; 32], false)] {
        let mut second = Registrar::new(RegistrarConfig { gruu_key: GruuKey(key), ..RegistrarConfig::default() });
        assert!(second.restore(stored.clone()));
        assert_eq!(lead(&second, at(1), &temporary).is_some(), known);
        // The phone goes on where it was.
        ask(&mut second, at(2), "one", 2, &contact("h1", 1));
        assert_eq!(lead(&second, at(2), &temporary).is_some(), known);
    }
}

#[test]
fn of_several_contacts_of_a_phone_the_newest_comes_first() {
    let mut registrar = keyed();
    ask(&mut registrar, at(0), "one", 1, &contact("old", 1));
    let (public, _) = gruus(&ask(&mut registrar, at(1), "one", 2, &contact("new", 1)));
    let expected = ["sip:a@new", "sip:a@old"].map(str::to_owned);
    assert_eq!(lead(&registrar, at(1), &public), Some(expected.into()));
}

#[test]
fn what_we_have_not_made_leads_nowhere() {
    let mut registrar = keyed();
    let (_, good) = gruus(&ask(&mut registrar, at(0), "one", 1, &contact("h1", 1)));
    for at_char in "sip:tgruu.".len()..good.find('@').expect("a host") {
        let mut letters: Vec<char> = good.chars().collect();
        letters[at_char] = if letters[at_char] == 'A' { 'B' } else { 'A' };
        let changed: String = letters.into_iter().collect();
        assert_eq!(lead(&registrar, at(0), &changed), None, "{changed}");
    }
    for bad in [
        good.replace(DOMAIN, "other.test"),
        "sip:tgruu.@example.test;gr".to_owned(),
        "sip:alice@example.test;gr".to_owned(),
        format!("sip:tgruu.{}@example.test;gr", "A".repeat(2_000)),
    ] {
        assert_eq!(lead(&registrar, at(0), &bad), None, "{bad}");
    }
}

#[test]
fn an_instance_that_does_not_fit_a_uri_is_escaped() {
    let mut registrar = keyed();
    let line = "Contact: <sip:a@h1>;+sip.instance=\"<urn:x:a;b c@d>\"";
    let (public, _) = gruus(&ask(&mut registrar, at(0), "one", 1, line));
    assert_eq!(public, "sip:alice@example.test;gr=urn:x:a%3Bb%20c%40d");
    assert_eq!(lead(&registrar, at(0), &public), Some(vec!["sip:a@h1".to_owned()]));
}
