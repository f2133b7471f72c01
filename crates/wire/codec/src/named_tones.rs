//! The tones of telephone networks (ITU-T E.180 and national documents).

use crate::Tone;

/// A tone that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedTone {
    /// What configuration and commands call it.
    pub name: &'static str,
    /// What it is.
    pub text: &'static str,
    /// Where it is heard.
    pub used: &'static str,
}

/// All named tones.
pub const NAMED_TONES: &[NamedTone] = &[
    named("uk-dial", "350+440*0.25:1000", "United Kingdom, dial"),
    named("uk-ringback", "400+450*0.25/0/400+450*0.25/0:400/200/400/2000", "United Kingdom, ringing"),
    named("uk-busy", "400*0.25/0:375/375", "United Kingdom, engaged"),
    named("uk-congestion", "400*0.25/0/400*0.25/0:400/350/225/525", "United Kingdom, equipment engaged"),
    named("uk-unobtainable", "400*0.25:1000", "United Kingdom, number unobtainable"),
    named("eu-dial", "425*0.25:1000", "most of Europe (ETSI), dial"),
    named("eu-ringback", "425*0.25/0:1000/4000", "most of Europe (ETSI), ringing"),
    named("eu-busy", "425*0.25/0:500/500", "most of Europe (ETSI), busy"),
    named("eu-congestion", "425*0.25/0:250/250", "most of Europe (ETSI), congestion"),
    named("us-dial", "350+440*0.25:1000", "North America, dial"),
    named("us-ringback", "440+480*0.25/0:2000/4000", "North America, ringing"),
    named("us-busy", "480+620*0.25/0:500/500", "North America, busy"),
    named("us-congestion", "480+620*0.25/0:250/250", "North America, reorder"),
    named("us-howler", "480+620*0.5/0:100/100", "North America, receiver off hook"),
    named("call-waiting", "425*0.25/0/425*0.25/0:200/200/200/9000", "call waiting (ETSI)"),
    named("special-information", "950*0.25/1400*0.25/1800*0.25/0:333/333/333/1000", "announcement follows (E.180)"),
    named("beep", "1000*0.25/0:500/600000", "record after the tone"),
    named("test", "1004*0.36:1000", "milliwatt test tone, about -9 dBFS"),
];

const fn named(name: &'static str, text: &'static str, used: &'static str) -> NamedTone {
    NamedTone { name, text, used }
}

impl Tone {
    /// A tone of [`NAMED_TONES`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let row = NAMED_TONES.iter().find(|row| row.name == name)?;
        Self::parse(row.text).ok()
    }
}
