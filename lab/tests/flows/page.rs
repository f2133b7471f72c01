//! One flow: its phones, and the page that comes of it.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;
use hookswitch_lab::{AgentId, Audio, Lab, PhoneId, SIP_PORT, SwitchConfig, millis, seconds};
use hookswitch_phone::{PhoneConfig, Sound};
use hookswitch_sip_msg::{HeaderName, Message};

/// Writes the pages instead of comparing them.
pub const VARIABLE: &str = "HOOKSWITCH_LADDERS";

/// Marked packets that tell who hears whom.
const MARKS: u16 = 8;

/// What a page is called: file name without its ending, title, and what happens in a sentence or two.
pub type Page = [&'static str; 3];

/// Whoever is spoken to.
pub trait Somebody {
    fn ip(self, lab: &Lab) -> IpAddr;
}

impl Somebody for PhoneId {
    fn ip(self, lab: &Lab) -> IpAddr {
        lab.handset(self).phone.config().local.ip()
    }
}

impl Somebody for AgentId {
    fn ip(self, lab: &Lab) -> IpAddr {
        lab.agent_rtp(self, SIP_PORT).ip()
    }
}

pub struct Flow {
    pub lab: Lab,
    /// SIP messages under way so far, and where to.
    spoken: Rc<RefCell<Vec<(SocketAddr, Bytes)>>>,
    /// File name without its ending.
    name: &'static str,
    title: &'static str,
    about: &'static str,
    serial: u16,
}

impl Flow {
    /// A switch without phones. Name, title, and what happens in a sentence or two.
    pub fn new(name: &'static str, title: &'static str, about: &'static str) -> Flow {
        Flow::on([name, title, about], |_| {})
    }

    /// The same with a switch of its own.
    pub fn on([name, title, about]: Page, change: impl FnOnce(&mut SwitchConfig)) -> Flow {
        let mut lab = Lab::with_switch(change);
        lab.set_audio(Audio::Marked);
        let spoken: Rc<RefCell<Vec<(SocketAddr, Bytes)>>> = Rc::default();
        let heard = Rc::clone(&spoken);
        lab.lose(move |letter| {
            if letter.to.port() == SIP_PORT {
                heard.borrow_mut().push((letter.to, Bytes::copy_from_slice(letter.bytes)));
            }
            false
        });
        Flow { lab, spoken, name, title, about, serial: 0 }
    }

    /// The same with phones of these users, registered, in two lines and without sound. The ladder begins behind that.
    pub fn with<const N: usize>(
        page: [&'static str; 3],
        users: [&str; N],
        change: impl Fn(&str, &mut PhoneConfig),
    ) -> (Flow, [PhoneId; N]) {
        let mut flow = Flow::on(page, |_| {});
        let phones = flow.phones(users, change);
        (flow, phones)
    }

    /// Registered phones of these users. The ladder begins behind that.
    pub fn phones<const N: usize>(
        &mut self,
        users: [&str; N],
        change: impl Fn(&str, &mut PhoneConfig),
    ) -> [PhoneId; N] {
        let phones = users.map(|user| self.phone(user, |config| change(user, config)));
        phones.into_iter().for_each(|phone| self.lab.register(phone));
        self.lab.pass(millis(100));
        self.lab.begin_ladder();
        phones
    }

    /// The first phone calls the user of the second, who answers; they talk.
    pub fn talk(&mut self, one: PhoneId, other: PhoneId) {
        let user = self.lab.handset(other).phone.config().user.clone();
        self.lab.dial(one, &user);
        self.lab.pass(seconds(1));
        self.assert_talking(one, other);
    }

    /// Ends every call of these phones, one after the other.
    pub fn hang_up(&mut self, phones: &[PhoneId]) {
        for phone in phones {
            while self.lab.in_call(*phone) {
                self.lab.hang_up(*phone);
                self.lab.pass(millis(500));
            }
        }
        self.lab.pass(millis(500));
    }

    /// The last message to somebody whose first line begins so.
    #[track_caller]
    pub fn last(&self, to: impl Somebody, begins: &str) -> Message {
        let ip = to.ip(&self.lab);
        let spoken = self.spoken.borrow();
        let found = spoken.iter().rev().find(|(at, bytes)| at.ip() == ip && bytes.starts_with(begins.as_bytes()));
        Message::parse(found.expect("such a message").1.clone()).expect("it is SIP")
    }

    /// Writes these headers of that message into the ladder; those that it has not as missing. Returns their values.
    #[track_caller]
    pub fn show(&mut self, to: impl Somebody + Copy, begins: &str, headers: &[HeaderName]) -> Vec<String> {
        let (ip, message) = (to.ip(&self.lab), self.last(to, begins));
        let mut shown = Vec::new();
        for name in headers {
            let values: Vec<_> = message.headers(*name).map(String::from_utf8_lossy).collect();
            if values.is_empty() {
                self.lab.note(format!("  {begins} to {ip}: without {}", name.as_str()));
            }
            values.iter().for_each(|value| self.lab.note(format!("  {begins} to {ip}: {}: {value}", name.as_str())));
            shown.push(values.join(", "));
        }
        shown
    }

    pub fn phone(&mut self, user: &str, change: impl FnOnce(&mut PhoneConfig)) -> PhoneId {
        self.lab.phone_with(user, |config| {
            config.lines = 2;
            config.sound = Sound::Nothing;
            change(config);
        })
    }

    /// Who of these hears whom, as pairs (listener, speaker). Takes half a second.
    pub fn hearing(&mut self, phones: &[PhoneId]) -> Vec<(PhoneId, PhoneId)> {
        self.lab.take_marks();
        for _ in 0..MARKS {
            phones.iter().for_each(|phone| self.lab.mark(*phone, self.serial));
            self.serial += 1;
            self.lab.pass(millis(20));
        }
        self.lab.pass(millis(340));
        let marks = self.lab.take_marks();
        let mut pairs = Vec::new();
        for listener in phones {
            let ip = self.lab.handset(*listener).phone.config().rtp.ip();
            for speaker in phones {
                if marks.iter().any(|mark| mark.to.ip() == ip && mark.voice.phone == *speaker) {
                    pairs.push((*listener, *speaker));
                }
            }
        }
        pairs
    }

    #[track_caller]
    pub fn assert_talking(&mut self, one: PhoneId, other: PhoneId) {
        let hearing = self.hearing(&[one, other]);
        assert!(hearing.contains(&(one, other)) && hearing.contains(&(other, one)), "{hearing:?}");
    }

    #[track_caller]
    pub fn assert_apart(&mut self, one: PhoneId, other: PhoneId) {
        assert_eq!(self.hearing(&[one, other]), []);
    }

    /// Compares the page with what is written, and lets the lab insist that nothing is left.
    #[track_caller]
    pub fn finish(self) {
        let Flow { lab, name, title, about, .. } = self;
        let ladder: String = lab.ladder().lines().map(|line| format!("{}\n", line.trim_end())).collect();
        lab.finish();
        let page = format!("# {title}\n\n{about}\n\n```\n{ladder}```\n\nMade by `lab/tests/flows`.\n");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/flows/{name}.md"));
        if std::env::var(VARIABLE).is_ok_and(|what| what == "write") {
            std::fs::write(&path, page).expect("the page can be written");
            return;
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "docs/flows/{name}.md is not what happens ({VARIABLE}=write writes it):\n{page}");
    }
}
