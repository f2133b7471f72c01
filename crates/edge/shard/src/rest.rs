//! The native REST of the switch.

use hookswitch_dialect::rest::{Request, Response};

use crate::{HttpId, Output, Shard};

impl Shard {
    pub(crate) fn rest(&mut self, id: HttpId, request: &Request) {
        let detail = format!("nothing is at {}", request.path);
        let body = serde_json::json!({"type": "/problems/not_found", "title": "Not Found", "status": 404, "code": "not_found", "detail": detail});
        let content_type = "application/problem+json";
        let response = Response { status: 404, content_type, headers: Vec::new(), body: body.to_string() };
        self.out.push_back(Output::Rest { id, response });
    }
}
