//! What the section `services` means.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_b2bua::{Configured, is_built_in, is_conference_name};
use hookswitch_call::{
    Address, Attendant, Collect, Form, MAX_CHOICES, MAX_KEYS, MAX_SOUNDS, Menu, Pattern, Plays, Sound, SoundKind, Soup,
    Then,
};
use hookswitch_codec::Tone;
use hookswitch_drive::is_url;
use hookswitch_sip_msg::Uri;

use super::messages::message;
use crate::config::{self, Config, ConfigError, Loop};

/// Most services.
const MAX_SERVICES: usize = 1_000;

/// Longest wait for a key, in seconds.
const MAX_WAIT_S: u64 = 600;

/// The services by name.
pub(super) fn services(config: &Config) -> Result<AHashMap<CompactString, Configured>, ConfigError> {
    if config.services.len() > MAX_SERVICES {
        return Err(ConfigError::value("services", format!("more than {MAX_SERVICES}")));
    }
    let one = |(name, service): (&String, &config::Service)| {
        let key = format!("services.{name}");
        if name.is_empty() || is_built_in(name) {
            return Err(ConfigError::value(key, "the switch has a service of that name, or it has no name"));
        }
        let configured = match (&service.conference, &service.play, &service.flow) {
            (Some(room), None, None) => Configured::Conference(conference(&key, room, service)?),
            (None, Some(play), None) => Configured::Attendant(Arc::new(attendant(config, &key, service, play)?)),
            (None, None, Some(_)) => flow(&key, service)?,
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) | (None, None, None) => {
                return Err(ConfigError::value(key, "either `play` or `conference` or `flow`"));
            }
        };
        Ok((name.as_str().into(), configured))
    };
    config.services.iter().map(one).collect()
}

fn conference(key: &str, room: &str, service: &config::Service) -> Result<CompactString, ConfigError> {
    if service.menu.is_some() || service.then != "hangup" {
        return Err(ConfigError::value(key, "a conference has no menu, and nothing comes after it"));
    }
    if !is_conference_name(room) {
        return Err(ConfigError::value(format!("{key}.conference"), "no name, or one of more than 53 bytes"));
    }
    Ok(room.into())
}

fn flow(key: &str, service: &config::Service) -> Result<Configured, ConfigError> {
    if service.menu.is_some() || service.record.is_some() || service.then != "hangup" {
        return Err(ConfigError::value(key, "what comes in a call flow its documents say"));
    }
    Ok(Configured::Flow)
}

fn attendant(
    config: &Config,
    key: &str,
    service: &config::Service,
    play: &config::Soup,
) -> Result<Attendant, ConfigError> {
    let play = soup(config, &format!("{key}.play"), play)?;
    let menu = service.menu.as_ref().map(|written| menu(config, &format!("{key}.menu"), written)).transpose()?;
    let take = |written| message(config, &format!("{key}.record"), written);
    let record = service.record.as_ref().map(take).transpose()?;
    if record.is_some() && menu.is_some() {
        return Err(ConfigError::value(key, "a service has a `menu` or takes a message (`record`), not both"));
    }
    let then = match service.then.as_str() {
        "hangup" => Then::Hangup,
        to => Then::To(address(&format!("{key}.then"), to)?),
    };
    Ok(Attendant { play, menu, record, then })
}

fn menu(config: &Config, key: &str, written: &config::Menu) -> Result<Menu, ConfigError> {
    if written.keys.len() > MAX_CHOICES {
        return Err(ConfigError::value(format!("{key}.keys"), format!("more than {MAX_CHOICES}")));
    }
    let choice = |(keys, to): (&String, &String)| {
        let here = format!("{key}.keys.{keys}");
        let all_keys = !keys.is_empty() && keys.len() <= MAX_KEYS && keys.chars().all(is_key);
        if !all_keys || written.terminator.is_some_and(|key| keys.contains(key)) {
            let why = "the keys of a telephone are 0-9, *, # and A-D, and the terminator is not among them";
            return Err(ConfigError::value(here, why));
        }
        Ok((keys.as_str().into(), address(&here, to)?))
    };
    let choices = written.keys.iter().map(choice).collect::<Result<Vec<(CompactString, _)>, _>>()?;
    let bad_pattern = |error| ConfigError::value(format!("{key}.pattern"), error);
    let pattern = written.pattern.as_deref().map(Pattern::parse).transpose().map_err(bad_pattern)?;
    if pattern.is_some() != written.to.is_some() {
        return Err(ConfigError::value(key, "`pattern` and `to` go together"));
    }
    if choices.is_empty() && pattern.is_none() {
        return Err(ConfigError::value(key, "neither `keys` nor `pattern`: no key leads anywhere"));
    }
    if written.terminator.is_some_and(|key| !is_key(key)) {
        return Err(ConfigError::value(format!("{key}.terminator"), "no key of a telephone"));
    }
    let others = written.to.as_ref().map(|to| address(&format!("{key}.to"), to)).transpose()?;
    let longest = choices.iter().map(|(keys, _)| keys.len()).max().unwrap_or(MAX_KEYS);
    let most = written.most.map_or(if pattern.is_some() { MAX_KEYS } else { longest }, usize::from);
    check(most, 1..=MAX_KEYS, &format!("{key}.most"))?;
    check(written.tries, 1..=100, &format!("{key}.tries"))?;
    check(written.first_key, 0..=MAX_WAIT_S, &format!("{key}.first_key"))?;
    check(written.next_key, 1..=MAX_WAIT_S, &format!("{key}.next_key"))?;
    let collect = Collect {
        // At most 32.
        most: most as u8,
        terminator: written.terminator,
        pattern,
        first: Duration::from_secs(written.first_key),
        next: Duration::from_secs(written.next_key),
    };
    let invalid = written.invalid.as_ref().map(|soup_of| soup(config, &format!("{key}.invalid"), soup_of));
    Ok(Menu { collect, choices, others, invalid: invalid.transpose()?, tries: written.tries })
}

pub(super) fn check<T: PartialOrd + std::fmt::Display>(
    value: T,
    range: std::ops::RangeInclusive<T>,
    key: &str,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::value(key, format!("{value} is not from {} to {}", range.start(), range.end())))
}

pub(super) fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')
}

/// An address, or the name of a user or service of whichever domain the service is called in.
fn address(key: &str, text: &str) -> Result<Address, ConfigError> {
    let tried = text.replace("{keys}", "0");
    let whole = if tried.contains(':') { tried } else { format!("sip:{tried}@localhost") };
    let sip = Uri::parse(&whole).is_ok_and(|uri| uri.is_sip() || uri.scheme_text().eq_ignore_ascii_case("tel"));
    if text.is_empty() || !sip {
        return Err(ConfigError::value(key, format!("`{text}` is neither a name nor a SIP address")));
    }
    Ok(Address::from(text))
}

fn soup(config: &Config, key: &str, written: &config::Soup) -> Result<Arc<Soup>, ConfigError> {
    if written.files.is_empty() || written.files.len() > MAX_SOUNDS {
        return Err(ConfigError::value(key, format!("a soup has 1 to {MAX_SOUNDS} sounds")));
    }
    let sounds = written.files.iter().map(|sound| self::sound(config, key, &sound.0)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Soup { sounds, plays: plays(written.plays), interrupt: written.interrupt }))
}

const fn plays(written: Loop) -> Plays {
    match written {
        Loop::Times(times) => Plays::Times(times),
        Loop::Forever => Plays::Forever,
    }
}

fn sound(config: &Config, key: &str, written: &config::Forms) -> Result<Sound, ConfigError> {
    let kinds = [
        (SoundKind::Wav, &written.wav),
        (SoundKind::Pcmu, &written.pcmu),
        (SoundKind::Pcma, &written.pcma),
        (SoundKind::L168k, &written.l168k),
        (SoundKind::L1616k, &written.l1616k),
        (SoundKind::Ilbc, &written.ilbc),
        (SoundKind::G722, &written.g722),
        (SoundKind::Tone, &written.tone),
    ];
    let forms: Vec<Form> = kinds
        .into_iter()
        .filter_map(|(kind, name)| Some(Form { kind, name: name.as_ref()?.as_str().into() }))
        .collect();
    if forms.is_empty() {
        return Err(ConfigError::value(key, "a sound has no file and no tone"));
    }
    if let Some(text) = &written.tone {
        Tone::parse(text).map_err(|error| ConfigError::value(key, error))?;
    }
    let files = forms.iter().filter(|form| form.kind != SoundKind::Tone);
    let (urls, files): (Vec<_>, Vec<_>) = files.partition(|form| is_url(&form.name));
    if !files.is_empty() && config.media.sounds.is_empty() {
        return Err(ConfigError::value(key, "there is no folder of sounds: set media.sounds"));
    }
    if !urls.is_empty() {
        let web = super::web_sounds::web_sounds(config)?;
        let refused = urls.iter().find(|form| !web.as_ref().is_some_and(|web| web.allows(&form.name)));
        if let Some(form) = refused {
            let why = format!("`{}` is below none of media.web_sounds.from", form.name);
            return Err(ConfigError::value(key, why));
        }
    }
    let stop = written.stop.map(Duration::from_millis);
    let start = Duration::from_millis(written.start);
    if stop.is_some_and(|stop| stop <= start) {
        return Err(ConfigError::value(key, "a sound stops before it starts"));
    }
    Ok(Sound { forms, start, stop, plays: plays(written.plays) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(text: &str) -> Result<AHashMap<CompactString, Configured>, String> {
        let text = format!("media: {{ sounds: [ /sounds ] }}\nservices:\n  s: {text}\n");
        let config = Config::parse("t", &text).map_err(|error| error.to_string())?;
        let shown = config.effective().expect("an effective configuration");
        assert_eq!(Config::parse("effective", &shown).expect("the same").services, config.services);
        services(&config).map_err(|error| error.to_string())
    }

    fn one(text: &str) -> Attendant {
        let services = composed(text).expect("a service");
        let Configured::Attendant(attendant) = &services["s"] else { panic!("{services:?}") };
        Attendant::clone(attendant)
    }

    #[test]
    fn a_service_can_be_a_conference() {
        let services = composed("{ conference: sales }").expect("a service");
        assert_eq!(services["s"], Configured::Conference("sales".into()));
        let name = "a".repeat(54);
        for (text, expected) in [
            ("{}", "services.s: either `play` or `conference` or `flow`"),
            ("{ play: a.wav, conference: sales }", "services.s: either `play` or `conference` or `flow`"),
            ("{ play: a.wav, flow: { fallback: [] } }", "services.s: either `play` or `conference` or `flow`"),
            ("{ flow: { fallback: [] }, then: bob }", "what comes in a call flow its documents say"),
            ("{ conference: sales, then: bob }", "a conference has no menu, and nothing comes after it"),
            ("{ conference: '' }", "services.s.conference: no name"),
            (&format!("{{ conference: {name} }}"), "services.s.conference: no name, or one of more than 53 bytes"),
        ] {
            let error = composed(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        composed(&format!("{{ conference: {} }}", &name[1..])).expect("the longest name");
    }

    #[test]
    fn a_soup_is_a_name_a_list_or_a_map() {
        let a = Sound::of(SoundKind::Wav, "a.wav");
        assert_eq!(one("{ play: a.wav }").play.sounds.as_slice(), std::slice::from_ref(&a));
        let soup = one("{ play: [ a.wav, { pcmu: a.ul, g722: a.g722, start: 100, stop: 900, loop: 3 } ] }").play;
        let forms = [(SoundKind::Pcmu, "a.ul"), (SoundKind::G722, "a.g722")];
        let forms = forms.map(|(kind, name)| Form { kind, name: name.into() }).to_vec();
        let (start, stop) = (Duration::from_millis(100), Some(Duration::from_millis(900)));
        assert_eq!(soup.sounds, [a, Sound { forms, start, stop, plays: Plays::Times(3) }]);
        for spelling in ["interrupt", "interupt"] {
            let soup =
                one(&format!("{{ play: {{ files: [ {{ tone: '425:100' }} ], loop: true, {spelling}: true }} }}")).play;
            assert_eq!((soup.plays, soup.interrupt), (Plays::Forever, true));
            assert_eq!(soup.sounds, [Sound::of(SoundKind::Tone, "425:100")]);
        }
        assert_eq!(one("{ play: { files: [ a.wav ], loop: false } }").play.plays, Plays::ONCE);
    }

    #[test]
    fn a_menu_knows_how_many_keys_it_wants() {
        let menu = |text: &str| one(&format!("{{ play: a.wav, menu: {text} }}")).menu.expect("a menu");
        let short = menu("{ keys: { '1': sales, '22': 'sip:x@y.test' } }");
        assert_eq!((short.collect.most, short.tries, short.collect.first.as_secs()), (2, 3, 5));
        assert_eq!(short.choice("1"), Some(Address::from("sales")));
        let long = menu("{ pattern: '2..', to: 'sip:{keys}@y.test', terminator: '#' }");
        assert_eq!(usize::from(long.collect.most), MAX_KEYS);
        assert_eq!(long.choice("234"), Some(Address::from("sip:234@y.test")));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (text, expected) in [
            ("{ play: [] }", "services.s.play: a soup has 1 to 64 sounds"),
            ("{ play: [ { start: 1 } ] }", "services.s.play: a sound has no file and no tone"),
            ("{ play: [ { wav: a, start: 5, stop: 5 } ] }", "services.s.play: a sound stops before it starts"),
            ("{ play: [ { tone: '5' } ] }", "services.s.play: a tone is <frequencies>:<cadences>, with one colon"),
            ("{ play: a, then: 'http://x' }", "services.s.then: `http://x` is neither a name nor a SIP address"),
            ("{ play: a, menu: {} }", "services.s.menu: neither `keys` nor `pattern`: no key leads anywhere"),
            ("{ play: a, menu: { keys: { x: y } } }", "services.s.menu.keys.x: the keys of a telephone"),
            ("{ play: a, menu: { pattern: '1' } }", "services.s.menu: `pattern` and `to` go together"),
            ("{ play: a, menu: { pattern: '1*', to: b } }", "services.s.menu.pattern: it matches no keys at all"),
            ("{ play: a, menu: { keys: { '1': b }, tries: 0 } }", "services.s.menu.tries: 0 is not from 1 to 100"),
            ("{ play: a, menu: { keys: { '1': b }, most: 33 } }", "services.s.menu.most: 33 is not from 1 to 32"),
            ("{ play: a, menu: { keys: { '1': b } }, record: {} }", "recordings.folder"),
            ("{ play: a, plya: b }", "t:3: unknown key `plya`"),
            ("{ play: [ { wave: a } ] }", "unknown key `wave`"),
        ] {
            let error = composed(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        let config = Config::parse("t", "services: { s: { play: a } }\n").expect("a configuration");
        let error = services(&config).expect_err("no folder").to_string();
        assert!(error.contains("set media.sounds"), "{error}");
        let url = "services: { s: { play: 'https://s.test/a.wav' } }\n";
        for (sources, works) in [("", false), ("https://s.test/b/", false), ("https://s.test", true)] {
            let text = format!("media: {{ web_sounds: {{ from: [ {sources} ] }} }}\n{url}");
            let config = Config::parse("t", &text).expect("a configuration");
            let outcome = services(&config).map_err(|error| error.to_string());
            assert_eq!(outcome.is_ok(), works, "{sources}: {outcome:?}");
            assert!(outcome.err().is_none_or(|error| error.contains("none of media.web_sounds.from")));
        }
        let config = Config::parse("t", "services: { echo: { play: [ { tone: '425:1' } ] } }\n").expect("one");
        services(&config).expect_err("a name that is taken");
        let config =
            Config::parse("t", "services: { conference-tea: { play: [ { tone: '425:1' } ] } }\n").expect("one");
        services(&config).expect_err("the name of a conference");
    }
}
