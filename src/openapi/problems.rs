//! The members that some problems have beside those of every problem.

use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, SchemaFormat, SchemaType};
use utoipa::openapi::{ObjectBuilder, OpenApi, Ref, RefOr, Schema, Type};

/// What a member is.
enum Kind {
    /// A value of this schema.
    One(&'static str),
    /// At most so many values of this schema.
    Several(&'static str, usize),
    /// At most so many texts.
    Texts(usize),
    Text,
    Id,
    Integer,
    IntegerOrNull,
}

/// The members: the name, what it is, and of which problems. The tests' client rejects problems with other members.
const MEMBERS: &[(&str, Kind, &str)] = &[
    ("next_free", Kind::Several("Slot", 5), "The next free slots. With `slot_taken` and `hold_lapsed`."),
    ("pointer", Kind::Text, "The JSON pointer to the member of the body that conflicts."),
    ("allowed", Kind::Several("AppointmentStep", 10), "The steps that the appointment allows now."),
    ("appointment_status", Kind::One("AppointmentStatus"), "The status of the appointment."),
    ("appointment_id", Kind::Id, "The appointment that conflicts. With `series_gap`."),
    ("intake_status", Kind::One("IntakeStatus"), "The status of the intake."),
    ("intake_id", Kind::Id, "The open draft. With `draft_exists`."),
    ("lab_result_status", Kind::One("LabResultStatus"), "The status of the laboratory result."),
    ("offer_status", Kind::One("OfferStatus"), "The status of the offer. With `offer_ended`."),
    ("waitlist_offer_id", Kind::Id, "The open offer. With `offer_open`."),
    ("waitlist_entry_id", Kind::Id, "The entry that waits already. With `already_waiting`."),
    ("resource_id", Kind::Id, "The resource that is taken. With `slot_taken`."),
    ("replaced_by", Kind::Id, "The record to use instead. With `patient_merged`."),
    ("taken_by", Kind::Id, "The object that has the identifier. With `identifier_taken`."),
    ("conflicts", Kind::Several("MergeConflict", 1000), "What hinders the merge. With `merge_conflicts`."),
    ("uses", Kind::Several("MergeUse", 20), "What was done with the joined record. With `used_since_merge`."),
    ("used_by", Kind::Texts(10), "What keeps the record in use. With `patient_in_use`."),
    ("gap_days", Kind::Integer, "The days between the two visits. With `series_gap`."),
    ("min_gap_days", Kind::Integer, "The least number of days between them."),
    ("max_gap_days", Kind::IntegerOrNull, "The greatest number of days between them. Null if there is no limit."),
    ("oldest_seq", Kind::Integer, "The number of the oldest event that is kept. With `events_expired`."),
    ("newest_seq", Kind::Integer, "The number of the newest event. With `events_expired`."),
    ("limit", Kind::Integer, "The greatest number of bytes of a body. With `body_too_large`."),
];

impl Kind {
    fn schema(&self, description: &str) -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let array = |items: RefOr<Schema>, most| {
            let array = ArrayBuilder::new().items(items).max_items(Some(most));
            RefOr::T(Schema::Array(array.description(Some(description)).build()))
        };
        let object = match self {
            Self::One(schema) => {
                let mut reference = Ref::from_schema_name(*schema);
                description.clone_into(&mut reference.description);
                return RefOr::Ref(reference);
            }
            Self::Several(schema, most) => return array(RefOr::Ref(Ref::from_schema_name(*schema)), *most),
            Self::Texts(most) => return array(RefOr::T(Schema::Object(text().build())), *most),
            Self::Text => text(),
            Self::Id => text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
            Self::Integer => ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)),
            Self::IntegerOrNull => ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::Null])),
        };
        RefOr::T(Schema::Object(object.description(Some(description)).build()))
    }
}

/// Adds the members to the schema of problems.
pub fn complete(document: &mut OpenApi) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    if let Some(RefOr::T(Schema::Object(problem))) = schemas.and_then(|schemas| schemas.get_mut("Problem")) {
        for (name, kind, description) in MEMBERS {
            problem.properties.insert((*name).to_owned(), kind.schema(description));
        }
    }
    list_field_codes(document);
}

/// Lists the codes of broken rules. Their type is in a crate that knows nothing of the document.
fn list_field_codes(document: &mut OpenApi) {
    let Some(components) = document.components.as_mut() else { return };
    let codes = text::FieldCode::ALL.iter().map(|code| code.as_str());
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(codes));
    let schema = schema.description(Some("The kind of a broken rule. New kinds may be added."));
    components.schemas.insert("FieldCode".to_owned(), RefOr::T(Schema::Object(schema.build())));
    if let Some(RefOr::T(Schema::Object(error))) = components.schemas.get_mut("FieldError")
        && let Some(member) = error.properties.get_mut("code")
    {
        let mut reference = Ref::from_schema_name("FieldCode");
        "The kind of rule, for programs.".clone_into(&mut reference.description);
        *member = RefOr::Ref(reference);
    }
}
