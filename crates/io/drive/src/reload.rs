//! The configuration is read again while calls go on: who asks for it, and what of the switch can take it.
//!
//! ```text
//!   SIGHUP, or POST /v1/reload ──▶ the program reads its file ──▶ Switch::reconfigure ──▶ listeners: could they take it?
//!                 ▲                                                    │ no: nothing changes
//!                 └──────────── what took effect ◀── listeners ◀── shard: takes it, or says why not
//! ```

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use hookswitch_call::directory::DirectoryError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::pii::show_pii;
use crate::sip::Message;
use crate::switch::PATIENCE;
use crate::web::WebError;
use crate::{Switch, SwitchConfig};

/// Requests to read the configuration again that may wait.
const MAX_WAITING: usize = 4;

/// How long whoever asks waits: a program that is about to end reads nothing any more.
const PATIENCE_OF_ASKER: Duration = Duration::from_secs(20);

/// What came of reading the configuration again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReloadReport {
    /// The file that was read; none where the defaults serve.
    pub file: Option<String>,
    /// The keys whose new values are in effect.
    pub applied: Vec<String>,
    /// The keys whose new values will be in effect after a restart.
    pub needs_restart: Vec<String>,
}

/// A report, or why nothing has changed.
pub type Reloaded = Result<ReloadReport, String>;

/// Where the control listener asks for the configuration to be read again.
#[derive(Clone, Debug)]
pub struct ReloadHandle(mpsc::Sender<oneshot::Sender<Reloaded>>);

/// Who asks for the configuration to be read again.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<oneshot::Sender<Reloaded>>);

/// A way from the control listener to whoever reads the configuration.
#[must_use]
pub fn reload_requests() -> (ReloadHandle, ReloadRequests) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    (ReloadHandle(sender), ReloadRequests(receiver))
}

impl ReloadHandle {
    /// What came of it; none if nobody can do it now.
    pub(crate) async fn ask(&self) -> Option<Reloaded> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(reply).ok()?;
        timeout(PATIENCE_OF_ASKER, answer).await.ok()?.ok()
    }
}

impl ReloadRequests {
    /// The next one, to be answered. It never comes when nobody can ask any more.
    pub async fn next(&mut self) -> oneshot::Sender<Reloaded> {
        match self.0.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }
}

/// Why a running switch does not take a configuration. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Tokens or grants that the listeners cannot be opened with.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Too many domains together with those that were pushed.
    #[error("domains: {0}")]
    Directory(#[from] DirectoryError),
    /// The switch does not answer.
    #[error("the switch does not answer")]
    Silent,
}

impl Switch {
    /// Takes of a configuration what can change while calls go on: what the shard takes
    /// ([`Shard::reload`](hookswitch_shard::Shard::reload)), tokens, grants and origins of the Call API and of the control
    /// listener, and whether logs show addresses. Everything else of it is not looked at.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then, but for [`ReloadError::Silent`], after which it is not known.
    pub fn reconfigure(&self, fresh: SwitchConfig) -> Result<(), ReloadError> {
        let (application, control) = (fresh.application.as_ref(), fresh.control.as_ref());
        if let Some(web) = &self.web {
            web.check(application, control)?;
        }
        let (answer, answered) = sync_channel(1);
        self.inbox.push_always(Message::Reload(Box::new(fresh.shard), answer));
        answered.recv_timeout(PATIENCE).map_err(|_| ReloadError::Silent)??;
        if let Some(web) = &self.web {
            web.admit(application, control);
        }
        show_pii(fresh.log_pii);
        Ok(())
    }
}
