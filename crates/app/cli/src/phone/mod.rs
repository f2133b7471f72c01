//! `hookswitch phone`: a SIP phone for scripts.

mod args;
pub(crate) mod report;

use std::process::ExitCode;
use std::time::Duration;

pub use args::{ExpectedTone, PhoneArgs, TransportArg};

use args::{Plan, TONE_HZ};
use hookswitch_phone::{AnswerPolicy, BLOCK, EndCause, Event, PhoneConfig, Sound};
use hookswitch_sip::auth::Credentials;
use report::Report;

use crate::line::Line;
use crate::sound;

/// How long the expected tone must be heard in all.
const HEARD_FOR: Duration = Duration::from_secs(1);

/// How long an answer to our requests may take: the longest that SIP's own timers allow.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long removing the registration may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// How often the loop looks up although nothing happens.
const TURN: Duration = Duration::from_millis(100);

/// How the command ended. The number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Verdict {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotRegistered = 3,
    CallFailed = 4,
    NoReply = 5,
    NotHeard = 6,
    NoCall = 7,
}

/// Runs the phone until what was asked for has happened, or has not.
#[must_use]
pub fn run(args: &PhoneArgs) -> ExitCode {
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("hookswitch phone: {error:#}");
            return ExitCode::from(Verdict::Usage as u8);
        }
    };
    match Script::new(args, plan).and_then(|mut script| script.run(args)) {
        Ok(verdict) => ExitCode::from(verdict as u8),
        Err(error) => {
            eprintln!("hookswitch phone: {error:#}");
            ExitCode::from(Verdict::Failed as u8)
        }
    }
}

struct Script {
    line: Line,
    plan: Plan,
    report: Report,
    /// Time for which the expected tone was heard in the present call.
    heard: Duration,
    answered: bool,
}

impl Script {
    fn new(args: &PhoneArgs, plan: Plan) -> anyhow::Result<Script> {
        let sound = sound_of(args)?;
        let line = Line::open(plan.transport, plan.listen, plan.server, |config| PhoneConfig {
            user: args.user.as_str().into(),
            domain: plan.domain.as_str().into(),
            credentials: args.secret.as_ref().map(|secret| Credentials::new(args.user.as_str(), secret.as_str())),
            expires: Duration::from_secs(args.expires.into()),
            answer: plan.incoming.unwrap_or(AnswerPolicy::BUSY),
            late_offer: args.late_offer,
            hang_up_after: plan.duration,
            sound,
            record: args.record.is_some(),
            ..config
        })?;
        let mut report = Report::new(line.now(), args.json, args.ladder);
        let config = line.phone().config();
        if let Some(ladder) = report.ladder_mut() {
            // Over TCP the phone also speaks from ports of its own choosing.
            let any_port = |address: std::net::SocketAddr| std::net::SocketAddr::new(address.ip(), 0);
            ladder.party(&args.user, config.local).party("server", plan.server);
            if config.local.ip() != plan.server.ip() {
                ladder.party("server", any_port(plan.server));
            }
            ladder.party(&args.user, any_port(config.local));
        }
        Ok(Script { line, plan, report, heard: Duration::ZERO, answered: false })
    }

    fn run(&mut self, args: &PhoneArgs) -> anyhow::Result<Verdict> {
        let verdict = self.perform(args)?;
        if args.register && self.line.phone().is_registered() {
            self.line.ask(|phone, now| phone.unregister(now));
            self.until(GOODBYE, |_, event| matches!(event, Event::Unregistered).then_some(()))?;
        }
        if let Some(path) = &args.record {
            let samples = self.line.ask(|phone, _| phone.take_recording()).unwrap_or_default();
            sound::write(path, &samples)?;
        }
        Ok(verdict)
    }

    fn perform(&mut self, args: &PhoneArgs) -> anyhow::Result<Verdict> {
        if args.register && !self.register()? {
            return Ok(self.conclude(Verdict::NotRegistered, "the registration failed"));
        }
        if let Some(target) = self.plan.target.clone() {
            let config = self.line.phone().config();
            let text = format!("calls {target} from {} over {}", config.local, config.transport);
            self.report.say(self.line.now(), &text);
            self.line.ask(|phone, now| phone.call(now, &target))?;
            return self.follow();
        }
        let mut taken = 0;
        while self.plan.incoming.is_some() && (args.calls == 0 || taken < args.calls) {
            let wait = self.plan.wait;
            let came = self.until(wait, |_, event| matches!(event, Event::Incoming { .. }).then_some(()))?;
            if came.is_none() && args.calls == 0 {
                continue;
            }
            if came.is_none() {
                return Ok(self.conclude(Verdict::NoCall, "no call came in"));
            }
            let verdict = self.follow()?;
            if verdict != Verdict::Done && args.calls != 0 {
                return Ok(verdict);
            }
            taken += 1;
        }
        Ok(Verdict::Done)
    }

    fn register(&mut self) -> anyhow::Result<bool> {
        self.line.ask(|phone, now| phone.register(now));
        let outcome = self.until(PATIENCE, |_, event| match event {
            Event::Registered { .. } => Some(true),
            Event::RegisterFailed { .. } => Some(false),
            _ => None,
        })?;
        Ok(outcome.unwrap_or(false))
    }

    /// Follows the call to its end and judges it.
    fn follow(&mut self) -> anyhow::Result<Verdict> {
        // A phone that lets it ring, or calls one that does, ends when the other side has had enough.
        let forever = Duration::from_secs(24 * 3600);
        let cause = self.until(forever, |_, event| match event {
            Event::Ended { cause, .. } => Some(cause.clone()),
            _ => None,
        })?;
        let (answered, heard) = (std::mem::take(&mut self.answered), std::mem::take(&mut self.heard));
        let Some(cause) = cause else {
            return Ok(self.conclude(Verdict::NoReply, "the call never ended"));
        };
        let refusing = !matches!(self.plan.incoming, Some(AnswerPolicy::Answer { .. }) | None);
        let verdict = match &cause {
            _ if answered => return Ok(self.judge_sound(heard)),
            EndCause::Declined { .. } | EndCause::Cancelled if refusing => Verdict::Done,
            EndCause::NoReply | EndCause::Unreachable => Verdict::NoReply,
            EndCause::HungUp
            | EndCause::PeerHungUp { .. }
            | EndCause::Refused { .. }
            | EndCause::Declined { .. }
            | EndCause::Cancelled
            | EndCause::Lost
            | EndCause::Replaced
            | EndCause::Media(_) => Verdict::CallFailed,
        };
        let text = match (verdict, &cause) {
            (Verdict::Done, _) => "the call was refused as asked",
            (_, EndCause::Refused { status: 401 | 407, .. }) => {
                "the call was not answered: the server wants a password, see --user and --secret"
            }
            _ => "the call was not answered",
        };
        Ok(self.conclude(verdict, text))
    }

    fn judge_sound(&mut self, heard: Duration) -> Verdict {
        let Some(expected) = self.plan.expect else {
            return self.conclude(Verdict::Done, "the call was answered");
        };
        let seconds = heard.as_secs_f32();
        if heard >= HEARD_FOR {
            let text = format!("heard {:.0} Hz for {seconds:.1} s: as expected", expected.hz);
            self.conclude(Verdict::Done, &text)
        } else {
            let text = format!(
                "{:.0} Hz at {:.0} dBFS or more was heard for {seconds:.1} s only; {:.1} s were expected",
                expected.hz,
                expected.level_dbfs,
                HEARD_FOR.as_secs_f32()
            );
            self.conclude(Verdict::NotHeard, &text)
        }
    }

    fn conclude(&mut self, verdict: Verdict, text: &str) -> Verdict {
        self.report.verdict(self.line.now(), verdict as u8, text);
        verdict
    }

    /// Turns until an event says what is asked for, at most `patience`.
    fn until<T>(
        &mut self,
        patience: Duration,
        mut found: impl FnMut(&mut Script, &Event) -> Option<T>,
    ) -> anyhow::Result<Option<T>> {
        let end = self.line.now() + patience;
        loop {
            while let Some(seen) = self.line.poll_seen() {
                self.report.seen(&seen);
            }
            while let Some(event) = self.line.poll_event() {
                self.note(&event);
                if let Some(outcome) = found(self, &event) {
                    return Ok(Some(outcome));
                }
            }
            let left = end.saturating_sub(self.line.now());
            if left.is_zero() {
                return Ok(None);
            }
            self.line.turn(left.min(TURN))?;
        }
    }

    fn note(&mut self, event: &Event) {
        self.report.event(self.line.now(), event);
        match event {
            Event::Answered { .. } => self.answered = true,
            Event::Heard(heard) => {
                let expected = self.plan.expect;
                if expected.is_some_and(|expected| heard.is_tone(expected.hz, expected.level_dbfs)) {
                    self.heard += BLOCK;
                }
            }
            _ => {}
        }
    }
}

fn sound_of(args: &PhoneArgs) -> anyhow::Result<Sound> {
    Ok(match &args.play {
        Some(path) => Sound::Samples(sound::read(path)?.into()),
        None if args.silent => Sound::Nothing,
        None => Sound::tone(args.tone.unwrap_or(TONE_HZ)),
    })
}
