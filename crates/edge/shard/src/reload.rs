//! The configuration is read again, without harm to any call.

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_call::directory::{DirectoryChange, DirectoryError};

use crate::{Shard, ShardConfig};

impl Shard {
    /// Takes what can change while calls go on: what [`B2bua::reload`](hookswitch_b2bua::B2bua::reload) takes, the limits of
    /// calls, and whose calls are recorded. Calls that there are keep what was decided for them. Users who are in no
    /// directory any more lose their registrations.
    ///
    /// # Errors
    /// The directory is full; nothing has changed then.
    pub fn reload(&mut self, now: Time, fresh: ShardConfig) -> Result<(), DirectoryError> {
        let registered: Vec<CompactString> = self.b2bua.registrar().domains().map(Into::into).collect();
        self.b2bua.reload(fresh.b2bua, fresh.directory)?;
        self.board.set_limits(fresh.limits);
        self.record_rule = fresh.record;
        for domain in registered {
            self.revoke_bindings(now, &DirectoryChange::Removed(domain));
        }
        self.settle(now);
        Ok(())
    }
}
