//! Moves the description of members that may be null. utoipa writes it inside the reference, where many tools do not
//! look.

use utoipa::openapi::{RefOr, Schema};

/// Moves the descriptions of `oneOf [$ref, null]` out of the references, in a schema and all that it contains.
pub fn describe_outside(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => object.properties.values_mut().for_each(describe_outside),
        Schema::AllOf(all) => all.items.iter_mut().for_each(describe_outside),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(describe_outside),
        Schema::OneOf(one) => {
            let [RefOr::Ref(reference), RefOr::T(_)] = one.items.as_mut_slice() else {
                return one.items.iter_mut().for_each(describe_outside);
            };
            let description = std::mem::take(&mut reference.description);
            one.description = Some(description).filter(|text| !text.is_empty()).or(one.description.take());
        }
        _ => {}
    }
}
