//! The requests that the service sends: `webhooks` of the document.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, OpenApi, Ref, Required, ResponseBuilder, ResponsesBuilder};

/// The headers of a request, by the conventions of Standard Webhooks.
const HEADERS: [(&str, &str, usize); 3] = [
    (
        "webhook-id",
        "Identifies the event for this webhook. The same for each attempt: a receiver that knows it ignores the request.",
        128,
    ),
    (
        "webhook-timestamp",
        "The time of the attempt, in seconds since 1970. Refuse one that is more than five minutes away.",
        20,
    ),
    (
        "webhook-signature",
        "One or two signatures, separated by a space: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, with the base64-decoded \
            part of the secret after `whsec_` as the key.",
        128,
    ),
];

/// Adds the requests that the service sends.
pub fn complete(document: &mut OpenApi) {
    let event = request(
        "receive_event",
        "Receive an event",
        "The service sends each event to the URL of a webhook, one after the other. It sends the next one after a response of 2xx within ten \
         seconds. 410 pauses the webhook. After any other response the event is tried again, for `WEBHOOK_PAUSE_AFTER_HOURS`.",
        "WebhookEvent",
    );
    let test = request(
        "receive_test_event",
        "Receive a test event",
        "An administrator tries the webhook (`POST /v1/webhooks/{id}/test-events`). It is sent once.",
        "WebhookTestEvent",
    );
    document.webhooks = Some(PathsBuilder::new().path("event", event).path("test_event", test).build());
}

fn request(id: &str, summary: &str, description: &str, body: &str) -> PathItem {
    let mut operation = OperationBuilder::new()
        .tag("webhooks")
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(description))
        .securities(Some([]))
        .request_body(Some(
            RequestBodyBuilder::new()
                .content("application/json", Content::new(Some(Ref::from_schema_name(body))))
                .required(Some(Required::True))
                .build(),
        ));
    for (name, text, longest) in HEADERS {
        let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(longest)).build();
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::True);
        operation = operation.parameter(parameter.description(Some(text)).schema(Some(schema)).build());
    }
    let response = |text: &str| ResponseBuilder::new().description(text).build();
    let responses = ResponsesBuilder::new()
        .response("2XX", response("The receiver has the event."))
        .response("410", response("The receiver wants no more events."));
    PathItem::new(HttpMethod::Post, operation.responses(responses.build()).build())
}
