//! The configuration file is read again: what can change while calls go on takes effect, the rest is named, and a file
//! that cannot be used changes nothing.
//!
//! ```text
//!   file ─▶ Config ─▶ well for a start? ─▶ changes since the running one ─▶ well together? ─▶ switch, front, webhooks, log
//! ```

use anyhow::{Context as _, bail};
use hookswitch_drive::{OpenSipsFrontConfig, ReloadReport, Webhooks};

use crate::config::{Changes, Config};
use crate::serve::Running;
use crate::{ServeArgs, compose, logging};

impl Running {
    /// Reads the file again, and certificates and keys with it, and opens the audit log anew.
    ///
    /// # Errors
    /// What is wrong with the file, and where. Nothing has changed then.
    pub fn reload(&mut self, args: &ServeArgs) -> anyhow::Result<ReloadReport> {
        let found = args.find()?;
        // What a start would say of it: a file that could not be started with is not for later either.
        compose::check(&found.config)?;
        let changes = self.config.changes(&found.config)?;
        self.take(&changes).with_context(|| match changes.needs_restart.as_slice() {
            [] => "the file cannot be taken".to_owned(),
            keys => format!("the file cannot be taken without a restart, which {} needs", keys.join(", ")),
        })?;
        self.refresh();
        self.config = changes.config;
        let file = found.file.map(|file| file.display().to_string());
        Ok(ReloadReport { file, applied: changes.applied, needs_restart: changes.needs_restart })
    }

    fn take(&mut self, changes: &Changes) -> anyhow::Result<()> {
        let config = &changes.config;
        let (switch, front) = (compose::switch_config(config)?, compose::front_config(config)?);
        let filter = logging::filter(&config.log)?;
        let has_webhooks = changes.applied.iter().any(|key| key == "webhooks" || key == "call_webhooks");
        self.take_front(front)?;
        if has_webhooks && let Err(error) = self.take_webhooks(config) {
            self.take_front(compose::front_config(&self.config)?)?;
            return Err(error.context("webhooks"));
        }
        // The last that may refuse.
        if let Err(error) = self.switch.reconfigure(switch) {
            self.take_front(compose::front_config(&self.config)?)?;
            if has_webhooks {
                let before = self.config.clone();
                self.take_webhooks(&before).context("webhooks")?;
            }
            return Err(error.into());
        }
        logging::set(filter);
        Ok(())
    }

    fn take_front(&self, fresh: Option<OpenSipsFrontConfig>) -> anyhow::Result<()> {
        if let (Some(front), Some(application)) = (&self.front, fresh.and_then(|front| front.application)) {
            front.reconfigure(&application)?;
        }
        Ok(())
    }

    /// Ends all webhooks and starts those of this configuration where they were. If they do not start, the running ones do
    /// again.
    fn take_webhooks(&mut self, config: &Config) -> anyhow::Result<()> {
        let fresh = compose::webhooks_config(config)?;
        // There is one store, and whoever has it open has it alone.
        drop(self.webhooks.take());
        let start = |config| Webhooks::start_behind(self.webhook_handle.clone(), config, &self.journal.handle());
        match fresh.map(start).transpose() {
            Ok(webhooks) => {
                self.webhooks = webhooks;
                Ok(())
            }
            Err(error) => {
                let before = compose::webhooks_config(&self.config)?;
                match before.map(start).transpose() {
                    Ok(webhooks) => self.webhooks = webhooks,
                    Err(lost) => bail!("{error}; and those that there were do not start again: {lost}"),
                }
                Err(error.into())
            }
        }
    }
}
