//! Parameters and headers that many operations share. Each is described once, as a component, and operations refer to
//! it.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Ref, RefOr, Required, Type};

/// A parameter that handlers declare by name and type only, such as `("If-Match" = String, Header)`.
pub struct SharedParameter {
    /// The component's name.
    pub component: &'static str,
    name: &'static str,
    location: ParameterIn,
    required: bool,
    description: &'static str,
    schema: fn() -> Object,
}

const PARAMETERS: &[SharedParameter] = &[
    SharedParameter {
        component: "IdempotencyKey",
        name: "Idempotency-Key",
        location: ParameterIn::Header,
        required: false,
        description: IDEMPOTENCY_KEY,
        schema: || text(1, 255),
    },
    SharedParameter {
        component: "RequiredIdempotencyKey",
        name: "Idempotency-Key",
        location: ParameterIn::Header,
        required: true,
        description: IDEMPOTENCY_KEY,
        schema: || text(1, 255),
    },
    SharedParameter {
        component: "IfMatch",
        name: "If-Match",
        location: ParameterIn::Header,
        required: false,
        description: "The `ETag` of the version that you read. Without it, the operation applies to any version.",
        schema: any_text,
    },
    SharedParameter {
        component: "RequiredIfMatch",
        name: "If-Match",
        location: ParameterIn::Header,
        required: true,
        description: "The `ETag` of the version that you read.",
        schema: any_text,
    },
    SharedParameter {
        component: "Cursor",
        name: "cursor",
        location: ParameterIn::Query,
        required: false,
        description: "The `next_cursor` of the previous page.",
        schema: || text(1, 255),
    },
    SharedParameter {
        component: "Limit",
        name: "limit",
        location: ParameterIn::Query,
        required: false,
        description: "The maximum number of items on a page.",
        schema: || {
            let limit = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
            limit.minimum(Some(1)).maximum(Some(200)).default(Some(50.into())).build()
        },
    },
    SharedParameter {
        component: "HoldSecret",
        name: "Hold-Secret",
        location: ParameterIn::Header,
        required: false,
        description: "The `secret` of a hold that was taken without a session.",
        schema: || text(1, 128),
    },
    SharedParameter {
        component: "AccessReason",
        name: "Access-Reason",
        location: ParameterIn::Header,
        required: false,
        description: "Why a practitioner without a care relationship needs the patient's record. It opens the record for \
            some hours (the setting `RECORD_OPEN_HOURS`). The audit trail keeps the reason for administrators.",
        schema: || text(5, 200),
    },
];

const IDEMPOTENCY_KEY: &str = "A unique value of your choice, such as a UUID. Send the same value when you retry, and the operation \
    runs only once.";

impl SharedParameter {
    /// Returns the shared parameter that equals an operation's own one.
    pub fn of(parameter: &Parameter) -> Option<&'static Self> {
        let required = matches!(parameter.required, Required::True);
        PARAMETERS.iter().find(|shared| {
            shared.name == parameter.name && shared.location == parameter.parameter_in && shared.required == required
        })
    }

    /// Returns a reference to the component.
    pub fn reference(component: &str) -> RefOr<Parameter> {
        RefOr::Ref(Ref::new(format!("#/components/parameters/{component}")))
    }

    fn build(&self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(self.location.clone())
            .required(if self.required { Required::True } else { Required::False })
            .description(Some(self.description))
            .schema(Some((self.schema)()))
            .build()
    }
}

/// Returns the components of all shared parameters.
pub fn parameters() -> impl Iterator<Item = (String, RefOr<Parameter>)> {
    PARAMETERS.iter().map(|shared| (shared.component.to_owned(), RefOr::T(shared.build())))
}

/// Response headers: the component, the header's name and its description.
const HEADERS: &[(&str, &str, &str)] = &[
    ("ETag", "ETag", "The version of the object, to send as `If-Match` with a change."),
    ("Location", "Location", "The path of the new object."),
    (
        "RateLimit",
        "RateLimit",
        "How many requests of the quota remain (r), and in how many seconds it is full again (t).",
    ),
    ("RateLimitPolicy", "RateLimit-Policy", "The quota: its name, how many requests (q) in how many seconds (w)."),
    ("RequestId", "X-Request-Id", "The request's id in the server's log."),
    ("RetryAfter", "Retry-After", "The number of seconds after which to retry."),
];

/// Returns a reference to the shared header with this name, if there is one.
pub fn header(name: &str) -> Option<RefOr<Header>> {
    let (component, ..) = HEADERS.iter().find(|(_, shared, _)| *shared == name)?;
    Some(RefOr::Ref(Ref::new(format!("#/components/headers/{component}"))))
}

/// Returns the components of all shared headers.
pub fn headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    HEADERS.iter().map(|(component, _, description)| {
        let header = HeaderBuilder::new().schema(Some(any_text())).description(Some(*description)).build();
        ((*component).to_owned(), RefOr::T(header))
    })
}

fn any_text() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build()
}

fn text(least: usize, most: usize) -> Object {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    text.min_length(Some(least)).max_length(Some(most)).build()
}
