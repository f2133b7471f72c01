//! The directory as far as users are asked for elsewhere: who is known, who has to be asked for, and what came of it.

use std::net::IpAddr;

use compact_str::CompactString;

use super::lookup::{
    Busy, FoundUser, LookupConfig, LookupNews, LookupTotals, Lookups, Question, QuestionId, UserAnswer, names_user,
};
use super::{Directory, DirectoryError, Layer, canonical, check_layer, is_numeric_or_local, without_port};
use crate::Time;

/// What is known of a user at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It exists.
    Known,
    /// It does not exist.
    Nobody,
    /// It has to be [asked](Directory::ask) for.
    Unsettled,
    /// It was asked for, and whoever would know does not say: try again [later](super::RETRY_AFTER).
    Out,
}

impl Directory {
    /// Users who are in no layer are asked for from now on. Domains that the configuration names without a `*` exist,
    /// whatever is said of their users.
    ///
    /// # Errors
    /// A name that is none, or too many.
    pub fn look_up(&mut self, config: LookupConfig) -> Result<(), DirectoryError> {
        for pattern in &config.domains {
            if pattern == "*" {
                continue;
            }
            let name = self.enter(pattern.strip_prefix("*.").unwrap_or(pattern))?;
            if !pattern.starts_with('*') {
                self.default.get_or_insert_with(|| name.clone());
                self.domains.entry(name).or_default().configured.get_or_insert_with(Layer::default);
            }
        }
        self.lookups = Some(Box::new(Lookups::new(config)));
        Ok(())
    }

    /// Whether users are asked for at all.
    #[must_use]
    pub fn looks_up(&self) -> bool {
        self.lookups.is_some()
    }

    /// What is known of a user; `domain` as [`Directory::resolve`] or [`Directory::may_become`] returns it.
    #[must_use]
    pub fn standing(&self, now: Time, domain: &str, user: &str) -> Standing {
        if self.layer_with(domain, user).is_some() {
            return Standing::Known;
        }
        match &self.lookups {
            Some(lookups) if lookups.covers(domain) && names_user(user) => lookups.standing(now, domain, user),
            Some(_) | None => Standing::Nobody,
        }
    }

    /// Whether a user exists, or may when asked for. Wherever something is kept for a user, it goes only when this says
    /// no: who is not known at the moment may well exist.
    #[must_use]
    pub fn may_have(&self, domain: &str, user: &str) -> bool {
        if self.layer_with(domain, user).is_some() {
            return true;
        }
        let lookups = self.lookups.as_ref().filter(|lookups| lookups.covers(domain) && names_user(user));
        lookups.is_some_and(|lookups| !lookups.is_nobody(domain, user))
    }

    /// The name of a domain that [`Directory::resolve`] does not know, if its users may be asked for: it is one of ours
    /// as soon as one of them is found.
    #[must_use]
    pub fn may_become(&self, host: &str) -> Option<CompactString> {
        let lookups = self.lookups.as_ref()?;
        let name = canonical(without_port(host)).ok()?;
        let named = !is_numeric_or_local(&name) && name.split('.').all(|label| !label.is_empty());
        (named && lookups.covers(&name)).then_some(name)
    }

    /// Asks for a user, with all others who wait for the same. `source` is who makes us ask, unless that is somebody
    /// trusted. What comes of it, a time-out at the latest, is told by [`Directory::poll_settled`], and then the
    /// [standing](Directory::standing) is another one.
    ///
    /// # Errors
    /// [`Busy`]: a limit is reached. The request must not be answered as if the user did not exist.
    pub fn ask(&mut self, now: Time, domain: &str, user: &str, source: Option<IpAddr>) -> Result<QuestionId, Busy> {
        self.lookups.as_mut().ok_or(Busy::Waiting)?.ask(now, domain, user, source)
    }

    /// Whether a user is known because it was asked for.
    #[must_use]
    pub fn was_found(&self, domain: &str, user: &str) -> bool {
        self.layer_with(domain, user).is_none() && self.found(domain, user).is_some()
    }

    /// Whether one request more may wait, beside so many; counted and told if not.
    pub fn has_room(&mut self, now: Time, waiting: usize) -> bool {
        self.lookups.as_mut().is_some_and(|lookups| lookups.has_room(now, waiting))
    }

    /// Whether the user with a password that was not the right one may have a new one: what is known is old enough to
    /// be asked for anew. Its [standing](Directory::standing) is [`Standing::Unsettled`] then.
    pub fn doubt(&mut self, now: Time, domain: &str, user: &str) -> bool {
        let in_layer = self.layer_with(domain, user).is_some();
        !in_layer && self.lookups.as_mut().is_some_and(|lookups| lookups.doubt(now, domain, user))
    }

    /// Whether this source has named more users than it may of whom nothing is known, without a question for each.
    pub fn is_fishing(&mut self, now: Time, source: IpAddr) -> bool {
        self.lookups.as_mut().is_none_or(|lookups| !lookups.allow_source(now, source))
    }

    /// The answer to a question; one that comes too late is dropped.
    pub fn answered(&mut self, now: Time, id: QuestionId, answer: UserAnswer) {
        let Some(lookups) = &mut self.lookups else { return };
        let answer = match answer {
            UserAnswer::Found { user, max_age } => match user.problem() {
                None => UserAnswer::Found { user, max_age },
                Some(error) => UserAnswer::Failed(error.to_string()),
            },
            other => other,
        };
        lookups.answered(now, id, answer);
    }

    /// The next question to be asked.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.lookups.as_mut()?.poll_question()
    }

    /// The next question that is over, in whichever way.
    pub fn poll_settled(&mut self) -> Option<Question> {
        self.lookups.as_mut()?.poll_settled()
    }

    /// The next thing for the log.
    pub fn poll_lookup_news(&mut self) -> Option<LookupNews> {
        self.lookups.as_mut()?.poll_news()
    }

    /// What has been counted, if users are asked for.
    #[must_use]
    pub fn lookup_totals(&self) -> Option<LookupTotals> {
        self.lookups.as_ref().map(|lookups| lookups.totals())
    }

    /// Lets time pass: questions without an answer end, and what is too old is forgotten.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(lookups) = &mut self.lookups {
            lookups.handle_timeout(now);
        }
    }

    /// When [`Directory::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.lookups.as_ref()?.poll_timeout()
    }

    /// What is remembered of a user who was asked for.
    pub(super) fn found(&self, domain: &str, user: &str) -> Option<&FoundUser> {
        self.lookups.as_ref()?.found(domain, user)
    }

    /// Forgets what is known of a user who was asked for. Whether there was anything.
    pub(super) fn forget_found(&mut self, domain: &str, user: &str) -> bool {
        let Ok(domain) = canonical(domain) else { return false };
        self.lookups.as_mut().is_some_and(|lookups| lookups.forget(&domain, user))
    }
}

impl FoundUser {
    /// What the directory would not take if this user were pushed.
    #[must_use]
    pub fn problem(&self) -> Option<DirectoryError> {
        let name = CompactString::const_new("user");
        let forwards = [(name.clone(), self.forward.clone())].into_iter().filter(|(_, forward)| !forward.is_empty());
        let limits = [(name.clone(), self.limits.clone())].into();
        let users = [(name, self.secret.clone())].into();
        check_layer(&Layer { users, forwards: forwards.collect(), limits, ..Layer::default() }).err()
    }
}
