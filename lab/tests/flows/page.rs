//! One flow: its phones, and the page that comes of it.

use std::path::PathBuf;

use hookswitch_lab::{Audio, Lab, PhoneId, millis};
use hookswitch_phone::{PhoneConfig, Sound};

/// Writes the pages instead of comparing them.
const VARIABLE: &str = "HOOKSWITCH_LADDERS";

/// Marked packets that tell who hears whom.
const MARKS: u16 = 8;

pub struct Flow {
    pub lab: Lab,
    /// File name without its ending.
    name: &'static str,
    title: &'static str,
    about: &'static str,
    serial: u16,
}

impl Flow {
    /// A switch without phones. Name, title, and what happens in a sentence or two.
    pub fn new(name: &'static str, title: &'static str, about: &'static str) -> Flow {
        let mut lab = Lab::new();
        lab.set_audio(Audio::Marked);
        Flow { lab, name, title, about, serial: 0 }
    }

    /// The same with phones of these users, registered, in two lines and without sound. The ladder begins behind that.
    pub fn with<const N: usize>(
        page: [&'static str; 3],
        users: [&str; N],
        change: impl Fn(&str, &mut PhoneConfig),
    ) -> (Flow, [PhoneId; N]) {
        let mut flow = Flow::new(page[0], page[1], page[2]);
        let phones = users.map(|user| flow.phone(user, |config| change(user, config)));
        phones.into_iter().for_each(|phone| flow.lab.register(phone));
        flow.lab.pass(millis(100));
        flow.lab.begin_ladder();
        (flow, phones)
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
