//! The code samples of the document (`x-codeSamples`): the journey from the registration to the cancellation, in three languages. The files
//! are in `docs/api/samples`. A test runs each of them against a real server.

use serde_json::json;
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;

use super::schemas;

/// The samples of an operation.
struct Samples {
    operation: &'static str,
    curl: &'static str,
    typescript: &'static str,
    python: &'static str,
}

macro_rules! samples {
    ($($operation:literal),+ $(,)?) => {
        [$(Samples {
            operation: $operation,
            curl: include_str!(concat!("../../docs/api/samples/", $operation, ".sh")),
            typescript: include_str!(concat!("../../docs/api/samples/", $operation, ".ts")),
            python: include_str!(concat!("../../docs/api/samples/", $operation, ".py")),
        }),+]
    };
}

/// In the order of the journey, in which each sample uses what those before it have set.
static JOURNEY: [Samples; 14] = samples![
    "create_registration",
    "verify_email",
    "confirm_password_reset",
    "create_session",
    "get_current_user",
    "list_visit_types",
    "list_slots",
    "create_hold",
    "create_intake",
    "update_intake",
    "submit_intake",
    "create_appointment",
    "reschedule_appointment",
    "cancel_appointment",
];

/// Adds the samples to their operations.
pub fn add(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(schemas::operations) {
        let id = operation.operation_id.as_deref().unwrap_or_default();
        let Some(samples) = JOURNEY.iter().find(|samples| samples.operation == id) else { continue };
        let all = [
            ("Shell", "curl", samples.curl),
            ("TypeScript", "TypeScript", samples.typescript),
            ("Python", "Python", samples.python),
        ];
        let all = all.map(|(lang, label, source)| json!({"lang": lang, "label": label, "source": source.trim_end()}));
        let extension = ExtensionsBuilder::new().add("x-codeSamples", all.to_vec()).build();
        operation.extensions.get_or_insert_default().merge(extension);
    }
}

#[cfg(test)]
mod tests {
    use super::JOURNEY;

    #[test]
    fn every_operation_with_a_sample_exists_and_shows_it() {
        let document = crate::openapi::json().expect("a document");
        for samples in &JOURNEY {
            assert!(document.contains(&format!("\"operationId\": \"{}\"", samples.operation)), "{}", samples.operation);
        }
        assert_eq!(document.matches("\"x-codeSamples\"").count(), JOURNEY.len());
    }
}
