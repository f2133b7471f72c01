//! Who pays for a call, and whether that is allowed.

use std::borrow::Cow;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use hookswitch_call::directory::TollLimits;
use hookswitch_call::{Address, CallId, Cause, Dial, Fault, Kind, LegId, Orderer, Time, Toll};
use hookswitch_sip::DialogId;

use super::config::{comparable, plain};
use super::{TollNews, TollWhy, Tolls};
use crate::B2bua;
use crate::locate::Place;
use crate::trunk::number_of;

/// What an account begins with: a user's address of record, the name of a trunk, an address follow.
pub(super) const USER: &str = "user:";
pub(super) const TRUNK: &str = "trunk:";
pub(super) const SOURCE: &str = "source:";

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// The class of a dialled number.
pub(super) struct Classed {
    /// Its place in the configuration.
    pub class: u8,
    /// The number as classes know it.
    pub number: CompactString,
    /// How the class says that it begins.
    pub start: CompactString,
}

impl Tolls {
    /// The class of an address that is called; none if it has none, or is an emergency number.
    pub(super) fn class_of(&self, to: &Address) -> Option<Classed> {
        if self.config.classes.is_empty() || self.is_emergency(to) {
            return None;
        }
        let number = comparable(&self.config.called, &number_of(to));
        let (class, start) = self.classes.of(&number)?;
        Some(Classed { class, start: start.into(), number })
    }

    /// Whether anybody may call there at any time.
    pub fn is_emergency(&self, to: &Address) -> bool {
        if self.config.emergency.is_empty() {
            return false;
        }
        let dialled = plain(&number_of(to));
        self.classes.is_emergency(&dialled) || self.classes.is_emergency(&comparable(&self.config.called, &dialled))
    }

    pub(super) fn is_open(&self, limits: &TollLimits) -> bool {
        let minutes = i64::try_from(self.counts.now.as_secs() / 60).unwrap_or(0) + i64::from(self.config.utc_offset);
        let minute = u16::try_from(minutes.rem_euclid(DAY)).unwrap_or(0);
        limits.hours.is_none_or(|hours| hours.has(minute))
    }

    /// Why an account may not call this number of the class now.
    fn check(&self, account: &str, limits: &TollLimits, classed: &Classed, call: CallId) -> Result<(), TollWhy> {
        if limits.blocked == Some(true) {
            return Err(TollWhy::Blocked);
        }
        if !self.is_open(limits) {
            return Err(TollWhy::Hours);
        }
        let class = &self.config.classes[usize::from(classed.class)].name;
        self.counts.check((account, class, &classed.number), limits, call)
    }

    fn refuse(&mut self, call: CallId, account: &str, class: &str, number: &str, why: TollWhy) -> Cause {
        self.refused[why as usize] += 1;
        let (account, class, number) = (account.into(), class.into(), number.into());
        self.news.push_back(TollNews { call, account, class, number, why });
        why.cause()
    }
}

impl TollWhy {
    fn cause(self) -> Cause {
        let (kind, fault) = match self {
            Self::Full => (Kind::Overloaded, Fault::Server),
            Self::Blocked
            | Self::Hours
            | Self::Calls
            | Self::CallsToNumber
            | Self::PerMinute
            | Self::PerHour
            | Self::PerDay
            | Self::MinutesPerDay
            | Self::Nobody => (Kind::Forbidden, Fault::Peer),
        };
        Cause::new(kind, fault).with_text(self.phrase())
    }
}

impl B2bua {
    /// Notes on those places that lead out of the switch whom a call costs something, or takes them away where that is
    /// not allowed. `Err` if none is left.
    pub(crate) fn charge(
        &mut self,
        (call, to): (CallId, &Address),
        by: &Orderer,
        places: &mut Vec<Place>,
    ) -> Result<(), Cause> {
        let Some(classed) = self.tolls.class_of(to).filter(|_| places.iter().any(Place::leads_out)) else {
            return Ok(());
        };
        match self.admit(call, &classed, by) {
            Ok(Some(toll)) => {
                let toll = Arc::new(toll);
                for place in places.iter_mut().filter(|place| place.leads_out()) {
                    place.target.toll = Some(Arc::clone(&toll));
                }
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(cause) => {
                places.retain(|place| !place.leads_out());
                if places.is_empty() { Err(cause) } else { Ok(()) }
            }
        }
    }

    /// Counts a call as begun, if it may be.
    fn admit(&mut self, call: CallId, classed: &Classed, by: &Orderer) -> Result<Option<Toll>, Cause> {
        let Some(toll) = self.may_call(call, classed, by)? else { return Ok(None) };
        if self.tolls.counts.begin(&toll) {
            return Ok(Some(toll));
        }
        Err(self.tolls.refuse(call, "", &toll.class, &toll.number, TollWhy::Full))
    }

    /// Whether whoever orders a call may make it, and against whom it counts.
    fn may_call(&mut self, call: CallId, classed: &Classed, by: &Orderer) -> Result<Option<Toll>, Cause> {
        let class = self.tolls.config.classes[usize::from(classed.class)].name.clone();
        let number = classed.number.clone();
        let Some(mut accounts) = self.accounts(call, by) else {
            return Err(self.tolls.refuse(call, "", &class, &number, TollWhy::Nobody));
        };
        accounts.retain(|account| !self.toll_limits(account, classed.class).is_empty());
        for account in &accounts {
            let limits = self.toll_limits(account, classed.class);
            if let Err(why) = self.tolls.check(account, &limits, classed, call) {
                return Err(self.tolls.refuse(call, account, &class, &number, why));
            }
        }
        Ok((!accounts.is_empty()).then_some(Toll { class, number, accounts }))
    }

    /// Counts a leg that costs somebody something, unless there are too many calls by now.
    pub(crate) fn count_toll(&mut self, name: (CallId, LegId), dial: &Dial) -> Result<(), Cause> {
        let Some(toll) = &dial.target.toll else { return Ok(()) };
        let class = self.tolls.config.classes.iter().zip(0..).find(|(class, _)| class.name == toll.class);
        let Some((_, class)) = class else { return Ok(()) };
        for account in &toll.accounts {
            let limits = self.toll_limits(account, class);
            let running = self.tolls.counts.check_running((account, &toll.class, &toll.number), &limits, name.0);
            if let Err(why) = running {
                return Err(self.tolls.refuse(name.0, account, &toll.class, &toll.number, why));
            }
        }
        self.tolls.counts.add(name, Arc::clone(toll));
        Ok(())
    }

    /// Why the party of a leg may not have somebody connected with an address.
    pub(crate) fn refusal_of_transfer(&mut self, now: Time, dialog: DialogId, to: &Address) -> Option<Cause> {
        let classed = self.tolls.class_of(to)?;
        let (call, leg) = self.name_of(dialog)?;
        if !self.leads_out(now, to) {
            return None;
        }
        self.may_call(call, &classed, &Orderer { leg: Some(leg), forwarders: Vec::new() }).err()
    }

    /// Against whom a call counts. `None` if that cannot be known any more.
    fn accounts(&self, call: CallId, by: &Orderer) -> Option<Vec<CompactString>> {
        let user = |aor: &str| format_compact!("{USER}{aor}");
        if let Some(forwarder) = by.forwarders.iter().rev().find_map(|address| self.user_at(&address.0)) {
            return Some(vec![user(&forwarder)]);
        }
        // A controller's token says what it may do.
        let Some(leg) = by.leg else { return Some(Vec::new()) };
        let record = self.legs.get(&self.dialog(call, leg)?)?;
        if let Some(trunk) = record.trunk.and_then(|trunk| self.trunks.name(trunk)) {
            return Some(vec![format_compact!("{TRUNK}{trunk}")]);
        }
        let source = record.source.map(|source| format_compact!("{SOURCE}{source}"));
        Some(record.user.as_deref().map(user).into_iter().chain(source).collect())
    }

    /// The limits of an account for a class.
    pub(super) fn toll_limits(&self, account: &str, class: u8) -> Cow<'_, TollLimits> {
        let class = &self.tolls.config.classes[usize::from(class)];
        if let Some(aor) = account.strip_prefix(USER) {
            let (user, domain) = aor.rsplit_once('@').unwrap_or(("", aor));
            return match self.directory.limits(domain, user).classes.get(&class.name) {
                Some(own) => Cow::Owned(own.or(&class.users)),
                None => Cow::Borrowed(&class.users),
            };
        }
        Cow::Borrowed(if account.starts_with(TRUNK) { &class.trunks } else { &class.sources })
    }
}
