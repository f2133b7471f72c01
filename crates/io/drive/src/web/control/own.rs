//! Operations of the native REST that are no business of the switch behind it: the listener has whom to ask by itself.

use hookswitch_dialect::access::Grant;
use hookswitch_dialect::rest::{self, Code, Problem, Response};

use crate::reload::ReloadHandle;
use crate::webhook::{self, WebhookHandle};

/// Whom to ask.
#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) reload: Option<ReloadHandle>,
    pub(crate) webhooks: WebhookHandle,
}

type Answered = Result<Response, Problem>;

impl Own {
    /// Takes on the webhook that a request names for its call.
    pub(crate) async fn take_on(&self, request: &mut rest::Request) {
        if let Some((wanted, place)) = rest::webhook_wanted(request) {
            request.webhook = Some(webhook::pages::take_on(&self.webhooks, &wanted, place).await);
        }
    }

    /// Answers a request that [`rest::is_of_listener`].
    pub(crate) async fn answer(&self, request: &rest::Request) -> Answered {
        let admitted = rest::admit(request)?;
        match admitted.name() {
            "reload" => self.reload(&request.grant).await,
            // Where there is a log, it is asked before.
            "listEvents" | "getEvent" => Err(Problem::new(Code::Unavailable, "events are not kept here")),
            _ => webhook::pages::answer(&self.webhooks, &request.grant, &admitted).await,
        }
    }

    async fn reload(&self, grant: &Grant) -> Answered {
        if !grant.domains.is_empty() {
            let why = "the configuration is read again only for those who see all domains";
            return Err(Problem::new(Code::DomainNotAllowed, why));
        }
        let nobody = || Problem::new(Code::Unavailable, "nobody can read the configuration again now");
        let handle = self.reload.as_ref().ok_or_else(nobody)?;
        match handle.ask().await.ok_or_else(nobody)? {
            Ok(report) => Ok(rest::reload_answer(report.file.as_deref(), &report.applied, &report.needs_restart)),
            Err(why) => Err(Problem::new(Code::BadConfiguration, why)),
        }
    }
}
