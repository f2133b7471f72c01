//! Webhooks in figures, all together; `/v1/webhooks` has each by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hookswitch_dialect::webhook::{Answer, Summary};
use tokio::time::timeout;

use super::WebhookHandle;
use crate::web::{Figure, STATUS_PATIENCE};

/// Requests since the start of the program, whichever webhooks have come and gone.
#[derive(Debug, Default)]
pub(super) struct Counted {
    delivered: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    milliseconds: AtomicU64,
}

impl Counted {
    /// A request is over, after so long.
    pub(super) fn posted(&self, answer: &Answer, took: Duration) {
        let result = match answer {
            Answer::Status { code, .. } if (200..300).contains(code) => &self.delivered,
            Answer::Status { .. } => &self.refused,
            Answer::Failed(_) => &self.failed,
        };
        result.fetch_add(1, Ordering::Relaxed);
        self.milliseconds.fetch_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn figures(&self) -> [Figure; 4] {
        const POSTS: &str = "Requests of webhooks that are over: answered 2xx, answered otherwise, not answered.";
        let total = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let posts = |result, count| Figure::total("webhook_posts", POSTS, total(count)).labelled("result", result);
        let help = "Time from each request of a webhook to its answer, in all.";
        [
            posts("delivered", &self.delivered),
            posts("refused", &self.refused),
            posts("failed", &self.failed),
            Figure::total("webhook_post_milliseconds", help, total(&self.milliseconds)),
        ]
    }
}

impl WebhookHandle {
    /// What has been counted, and what there is now. Endpoints that do not answer in time are left out.
    pub(crate) async fn figures(&self) -> Vec<Figure> {
        let asked = timeout(STATUS_PATIENCE, async {
            let mut all = Vec::new();
            for name in self.names() {
                all.extend(self.with(&name, |endpoint, _| endpoint.summary()).await);
            }
            all
        });
        let all: Vec<Summary> = asked.await.unwrap_or_default();
        let now = |of: fn(&Summary) -> usize| all.iter().map(of).sum();
        let mut figures = vec![
            Figure::now(
                "webhooks",
                "Webhooks: those of the configuration, and those that calls have.",
                self.names().len(),
            ),
            Figure::now(
                "webhooks_off",
                "Webhooks whose target is gone (410).",
                now(|one| one.off_since.is_some().into()),
            ),
            Figure::now("webhook_events_waiting", "Events that webhooks have yet to deliver.", now(|one| one.waiting)),
            Figure::now(
                "webhook_posts_running",
                "Requests of webhooks that wait for an answer.",
                now(|one| one.under_way),
            ),
            Figure::now("webhook_dead_letters", "Events that webhooks have given up and keep.", now(|one| one.dead)),
        ];
        figures.extend(self.counted.figures());
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_what_came_of_them() {
        let handle = WebhookHandle::default();
        let status = |code| Answer::Status { code, retry_after: None };
        for (answer, millis) in [(status(204), 5), (status(200), 7), (status(500), 8)] {
            handle.counted.posted(&answer, Duration::from_millis(millis));
        }
        let figures = handle.figures().await;
        let value = |name: &str, label: Option<(&'static str, &'static str)>| {
            figures.iter().find(|one| one.name == name && one.label == label).map(|one| one.value)
        };
        assert_eq!(value("webhook_posts", Some(("result", "delivered"))), Some(2));
        assert_eq!(value("webhook_posts", Some(("result", "refused"))), Some(1));
        assert_eq!(value("webhook_posts", Some(("result", "failed"))), Some(0));
        assert_eq!(value("webhook_post_milliseconds", None), Some(20));
        assert_eq!(value("webhooks", None), Some(0));
    }
}
