//! The configuration is read again: what can change while calls go on takes effect for whatever begins from now on.

use hookswitch_call::directory::{Directory, DirectoryError};

use crate::{B2bua, B2buaConfig};

impl B2bua {
    /// Takes the configured part of the directory, routes, codec preferences of domains, services, limits against toll
    /// fraud with what has been counted so far, the limits of users, of dialogs, and the lists of the guard. Everything else
    /// of `fresh` needs another start.
    ///
    /// # Errors
    /// The directory is full ([`Directory::reconfigure`]); nothing has changed then.
    pub fn reload(&mut self, fresh: B2buaConfig, directory: Directory) -> Result<(), DirectoryError> {
        self.directory.reconfigure(directory)?;
        let B2buaConfig { routes, codecs, services, toll, max_calls_per_user, mut endpoint, .. } = fresh;
        (self.config.routes, self.config.codecs, self.config.services) = (routes, codecs, services);
        self.config.max_calls_per_user = max_calls_per_user;
        self.endpoint.set_max_dialogs(endpoint.max_dialogs);
        self.tolls.reload(toll);
        let allow = std::mem::take(&mut endpoint.guard.allow);
        self.set_guard_lists(allow, &endpoint.guard.drop);
        Ok(())
    }
}
