//! Parameters and headers that many operations share. Each is described once, as a component, and operations refer to
//! it.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, Ref, RefOr, Required, Type};

use crate::http::etag;

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
        schema: || text(1, etag::LONGEST),
    },
    SharedParameter {
        component: "RequiredIfMatch",
        name: "If-Match",
        location: ParameterIn::Header,
        required: true,
        description: "The `ETag` of the version that you read.",
        schema: || text(1, etag::LONGEST),
    },
    SharedParameter {
        component: "IfNoneMatch",
        name: "If-None-Match",
        location: ParameterIn::Header,
        required: false,
        description: "The `ETag` of the version that you have. If it is the current one, the response is 304 without a body. \
            Anything else is ignored.",
        schema: || ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build(),
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
            let format = SchemaFormat::KnownFormat(KnownFormat::Int32);
            let limit = limit.format(Some(format));
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

/// A response header.
struct SharedHeader {
    /// The component's name.
    component: &'static str,
    name: &'static str,
    description: &'static str,
    schema: fn() -> Object,
}

const HEADERS: &[SharedHeader] = &[
    SharedHeader {
        component: "ETag",
        name: "ETag",
        description: "The version of the object, to send as `If-Match` with a change.",
        schema: || pattern("^\"[0-9]+\"$", 12),
    },
    SharedHeader {
        component: "Location",
        name: "Location",
        description: "The path of the new object.",
        schema: || pattern("^/", 255),
    },
    SharedHeader {
        component: "RateLimit",
        name: "RateLimit",
        description: "How many requests of the quota remain (r), and in how many seconds it is full again (t). Not sent if the \
            operator has switched the limits off.",
        schema: || pattern("^\"[a-z]+\";r=[0-9]+;t=[0-9]+$", 60),
    },
    SharedHeader {
        component: "RateLimitPolicy",
        name: "RateLimit-Policy",
        description: "The quota: its name, how many requests (q) in how many seconds (w). Not sent if the operator has switched the \
            limits off.",
        schema: || pattern("^\"[a-z]+\";q=[0-9]+;w=[0-9]+$", 60),
    },
    SharedHeader {
        component: "RequestId",
        name: "X-Request-Id",
        description: "The request's id in the server's log.",
        schema: || pattern("^[0-9A-Za-z-]+$", 64),
    },
    SharedHeader {
        component: "RetryAfter",
        name: "Retry-After",
        description: "The number of seconds after which to retry.",
        schema: || {
            let seconds = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
            let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
            seconds.format(Some(format)).minimum(Some(1)).maximum(Some(u32::MAX)).build()
        },
    },
    SharedHeader {
        component: "Deprecation",
        name: "Deprecation",
        description: "Since when the operation is deprecated (RFC 9745): `@` and seconds since 1970.",
        schema: || pattern("^@[0-9]+$", 20),
    },
    SharedHeader {
        component: "Sunset",
        name: "Sunset",
        description: "From when the operation may be gone (RFC 8594), as a date of HTTP.",
        schema: || pattern("GMT$", 29),
    },
    SharedHeader {
        component: "WWWAuthenticate",
        name: "WWW-Authenticate",
        description: "How to authenticate: `Bearer` (RFC 6750). With 403, only if a machine client lacks a scope, with the scope.",
        schema: || pattern("^(Bearer|Basic)", 255),
    },
];

/// Returns a reference to the shared header with this name, if there is one.
pub fn header(name: &str) -> Option<RefOr<Header>> {
    let shared = HEADERS.iter().find(|shared| shared.name == name)?;
    Some(RefOr::Ref(Ref::new(format!("#/components/headers/{}", shared.component))))
}

/// Returns the components of all shared headers.
pub fn headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    HEADERS.iter().map(|shared| {
        let header = HeaderBuilder::new().schema(Some((shared.schema)())).description(Some(shared.description)).build();
        (shared.component.to_owned(), RefOr::T(header))
    })
}

/// A text with a pattern. The pattern is not checked where the header is sent by a caller.
fn pattern(pattern: &str, most: usize) -> Object {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    text.pattern(Some(pattern)).max_length(Some(most)).build()
}

fn text(least: usize, most: usize) -> Object {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    text.min_length(Some(least)).max_length(Some(most)).build()
}
