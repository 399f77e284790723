//! Rules for all schemas of the document: limits by type and format, members that are always there, alternatives that can be told apart.
//! Each rule is decided here once, for every schema.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ArrayItems, Discriminator, KnownFormat, OneOf, SchemaFormat, SchemaType};
use utoipa::openapi::{Content, Object, OpenApi, Ref, RefOr, Schema, Type};

/// The greatest length of a text that the server returns in JSON. Texts come from bodies, which are at most 64 KiB.
const TEXT: usize = 65_536;
/// The length of a UUID.
const UUID: usize = 36;
/// The length of a day, `YYYY-MM-DD`.
const DAY: usize = 10;
/// The greatest length of an instant: nanoseconds, and an offset.
const INSTANT: usize = 35;
/// The lengths of an e-mail address such as `a@b.c` (RFC 5321, 4.5.3.1.3).
const SHORTEST_ADDRESS: usize = 5;
const LONGEST_ADDRESS: usize = 254;
/// The integers that every reader of JSON can hold (RFC 8259, section 6).
const SAFE_INTEGER: i64 = 9_007_199_254_740_991;
/// The greatest number of items on a page.
const PAGE: usize = 200;
/// The patterns of texts of one length, with this length.
const FIXED_LENGTHS: [(&str, usize); 4] = [("^[A-Za-z]{2}$", 2), ("^([01]", 5), ("^(([01]", 5), ("^[0-9]{4}(-", 10)];

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Applies the rules to a document whose paths and schemas are complete.
pub fn complete(document: &mut OpenApi) {
    let Some(mut components) = document.components.take() else { return };
    let schemas = &mut components.schemas;
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            limit_page(operation, schemas);
        }
    }
    name_alternatives(schemas);
    let (sent, returned) = directions(document, schemas);
    // A problem has only the members of its kind.
    for name in returned.difference(&sent).filter(|name| *name != "Problem") {
        schemas.get_mut(name).into_iter().for_each(|schema| visit(schema, &mut require_always_there));
    }
    copy_limits(schemas);
    keep_what_is_required(schemas);
    let scalars: BTreeMap<String, Object> = schemas.iter().filter_map(scalar).collect();
    let mut rules = |schema: &mut RefOr<Schema>| {
        inline_nullable(schema, &scalars);
        lift_examples(schema);
        mark_addresses(schema);
        limit(schema);
    };
    for (name, schema) in &mut *schemas {
        visit(schema, &mut rules);
        // A member that a patch does not send keeps its value.
        let is_patch = name.ends_with("Patch");
        visit(schema, &mut |schema| explain_defaults(schema, is_patch));
    }
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                let RefOr::T(parameter) = parameter else { continue };
                parameter.schema.iter_mut().for_each(|schema| visit(schema, &mut rules));
            }
            for content in contents(operation) {
                // A body that is no JSON can be longer than any text within one.
                content.schema.iter_mut().for_each(|schema| visit(schema, &mut |schema| lift_examples(schema)));
                show_example(content, schemas);
            }
        }
    }
    document.components = Some(components);
}

/// The operations of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// The bodies of a request and its responses.
fn contents(operation: &mut Operation) -> impl Iterator<Item = &mut Content> {
    let responses = operation.responses.responses.values_mut().filter_map(own).flat_map(|it| it.content.values_mut());
    let bodies = operation.request_body.iter_mut().filter_map(own).flat_map(|body| body.content.values_mut());
    bodies.filter_map(own).chain(responses.filter_map(own))
}

fn own<T>(value: &mut RefOr<T>) -> Option<&mut T> {
    match value {
        RefOr::T(value) => Some(value),
        RefOr::Ref(_) => None,
    }
}

/// The name of the schema that a reference names.
fn name(reference: &Ref) -> &str {
    reference.ref_location.rsplit('/').next().unwrap_or_default()
}

/// Calls a function with a schema and all that it contains, the inner ones first. Does not follow references.
fn visit(schema: &mut RefOr<Schema>, rule: &mut dyn FnMut(&mut RefOr<Schema>)) {
    if let RefOr::T(inner) = schema {
        match inner {
            Schema::Object(object) => object.properties.values_mut().for_each(|member| visit(member, rule)),
            Schema::Array(array) => {
                if let ArrayItems::RefOrSchema(items) = &mut array.items {
                    visit(items, rule);
                }
            }
            Schema::OneOf(OneOf { items, .. }) => items.iter_mut().for_each(|item| visit(item, rule)),
            Schema::AllOf(all) => all.items.iter_mut().for_each(|item| visit(item, rule)),
            Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| visit(item, rule)),
            _ => {}
        }
    }
    rule(schema);
}

/// The schemas that callers send, and those that the server returns, with all that they refer to.
fn directions(document: &mut OpenApi, schemas: &mut Schemas) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut sent, mut returned) = (BTreeSet::new(), BTreeSet::new());
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            for parameter in operation.parameters.iter_mut().flatten().filter_map(own) {
                parameter.schema.iter_mut().for_each(|schema| collect(schema, &mut sent));
            }
            for body in operation.request_body.iter_mut().filter_map(own).flat_map(|body| body.content.values_mut()) {
                own(body)
                    .and_then(|content| content.schema.as_mut())
                    .into_iter()
                    .for_each(|schema| collect(schema, &mut sent));
            }
            for response in operation.responses.responses.values_mut().filter_map(own) {
                for content in response.content.values_mut().filter_map(own) {
                    content.schema.iter_mut().for_each(|schema| collect(schema, &mut returned));
                }
            }
        }
    }
    for direction in [&mut sent, &mut returned] {
        let mut waiting: Vec<_> = direction.iter().cloned().collect();
        while let Some(name) = waiting.pop() {
            let mut named = BTreeSet::new();
            schemas.get_mut(&name).into_iter().for_each(|schema| collect(schema, &mut named));
            waiting.extend(named.into_iter().filter(|name| direction.insert(name.clone())));
        }
    }
    (sent, returned)
}

/// Adds the names of the schemas that a schema refers to.
fn collect(schema: &mut RefOr<Schema>, names: &mut BTreeSet<String>) {
    visit(schema, &mut |schema| {
        if let RefOr::Ref(reference) = schema {
            names.insert(name(reference).to_owned());
        }
    });
}

/// Gives each alternative of a tagged schema a name and a discriminator. Otherwise a client has to try one after the other.
fn name_alternatives(schemas: &mut Schemas) {
    let mut named = Schemas::new();
    for (parent, schema) in schemas.iter_mut() {
        let RefOr::T(Schema::OneOf(one)) = schema else { continue };
        let mut mapping = BTreeMap::new();
        let mut property = String::new();
        for item in &mut one.items {
            let Some((tag, value)) = tag(item) else { continue };
            // `IntakeSummaryPatient` is the patient in a summary.
            let component = format!("{parent}As{}", pascal(&value));
            let reference = format!("#/components/schemas/{component}");
            mapping.insert(value, reference.clone());
            property = tag;
            named.insert(component, std::mem::replace(item, RefOr::Ref(Ref::new(reference))));
        }
        if !mapping.is_empty() {
            let mut discriminator = Discriminator::new(property);
            discriminator.mapping = mapping;
            one.discriminator = Some(discriminator);
        }
    }
    schemas.extend(named);
}

/// The member and its only option by which an alternative is recognised.
fn tag(alternative: &RefOr<Schema>) -> Option<(String, String)> {
    let RefOr::T(Schema::AllOf(all)) = alternative else { return None };
    all.items.iter().find_map(|item| {
        let RefOr::T(Schema::Object(object)) = item else { return None };
        let (name, member) = object.properties.iter().next()?;
        let RefOr::T(Schema::Object(Object { enum_values: Some(options), .. })) = member else { return None };
        let [only] = options.as_slice() else { return None };
        Some((name.clone(), only.as_str()?.to_owned()))
    })
}

fn pascal(snake: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    snake.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}

/// A member that can be left out is not nullable (`nullable = false`), so a member of a response that may be null is always there.
fn require_always_there(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    let always: Vec<_> =
        object.properties.iter().filter(|(_, member)| is_nullable(member)).map(|(name, _)| name.clone()).collect();
    for name in always {
        if !object.required.contains(&name) {
            object.required.push(name);
        }
    }
}

fn is_nullable(schema: &RefOr<Schema>) -> bool {
    let RefOr::T(schema) = schema else { return false };
    match schema {
        Schema::Object(object) => has_null(&object.schema_type),
        Schema::Array(array) => has_null(&array.schema_type),
        Schema::OneOf(one) => one.items.iter().any(is_nullable),
        _ => false,
    }
}

fn has_null(kind: &SchemaType) -> bool {
    match kind {
        SchemaType::Type(kind) => *kind == Type::Null,
        SchemaType::Array(kinds) => kinds.contains(&Type::Null),
        SchemaType::AnyValue => false,
    }
}

fn is(kind: &SchemaType, wanted: &Type) -> bool {
    match kind {
        SchemaType::Type(kind) => kind == wanted,
        SchemaType::Array(kinds) => kinds.contains(wanted),
        SchemaType::AnyValue => false,
    }
}

/// What was checked when it was sent has the same limits when it is returned: a member of `Thing` those of `NewThing`.
fn copy_limits(schemas: &mut Schemas) {
    let limits: Vec<_> = schemas
        .iter()
        .filter_map(|(name, schema)| Some((name.strip_prefix("New")?.to_owned(), schema.clone())))
        .collect();
    for (name, sent) in limits {
        let (RefOr::T(Schema::Object(sent)), Some(RefOr::T(Schema::Object(returned)))) =
            (&sent, schemas.get_mut(&name))
        else {
            continue;
        };
        for (member, value) in &mut returned.properties {
            match (value, sent.properties.get(member)) {
                (RefOr::T(Schema::Object(value)), Some(RefOr::T(Schema::Object(sent))))
                    if value.enum_values.is_none() =>
                {
                    value.max_length = value.max_length.or(sent.max_length);
                    value.minimum = value.minimum.take().or_else(|| sent.minimum.clone());
                    value.maximum = value.maximum.take().or_else(|| sent.maximum.clone());
                }
                (RefOr::T(Schema::Array(value)), Some(RefOr::T(Schema::Array(sent)))) => {
                    value.max_items = value.max_items.or(sent.max_items);
                }
                _ => {}
            }
        }
    }
}

/// A patch cannot remove what an object always has: a member of `ThingPatch` may be null only if that of `Thing` may be. Lists are different,
/// because null can empty them; those that cannot be emptied are declared as not nullable.
fn keep_what_is_required(schemas: &mut Schemas) {
    let patches: Vec<_> = schemas.keys().filter_map(|name| Some(name.strip_suffix("Patch")?.to_owned())).collect();
    for name in patches {
        let kept: BTreeSet<String> = schemas.get(&name).into_iter().flat_map(always_set).collect();
        let Some(RefOr::T(Schema::Object(patch))) = schemas.get_mut(&format!("{name}Patch")) else { continue };
        for (_, member) in patch.properties.iter_mut().filter(|(member, _)| kept.contains(*member)) {
            forbid_null(member);
        }
    }
}

/// The members that are always there and never null.
fn always_set(schema: &RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            let members = object
                .properties
                .iter()
                .filter(|(name, member)| object.required.contains(name) && !is_nullable(member));
            members.map(|(name, _)| name.clone()).collect()
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter().flat_map(always_set).collect(),
        _ => Vec::new(),
    }
}

fn forbid_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(inner) = schema else { return };
    match inner {
        Schema::Object(object) => {
            if let SchemaType::Array(kinds) = &object.schema_type
                && let Some(kind) = kinds.iter().find(|kind| **kind != Type::Null)
            {
                object.schema_type = SchemaType::Type(kind.clone());
            }
        }
        Schema::OneOf(one) => {
            let null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if has_null(&object.schema_type));
            one.items.retain(|item| !null(item));
            if let [RefOr::Ref(reference)] = one.items.as_mut_slice() {
                reference.description = one.description.take().unwrap_or_default();
                *schema = RefOr::Ref(reference.clone());
            }
        }
        _ => {}
    }
}

/// Moves the default of an optional member to its description. Client generators treat a member with a `default` as required.
fn explain_defaults(schema: &mut RefOr<Schema>, is_patch: bool) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for (name, member) in &mut object.properties {
        let (default, description) = match member {
            RefOr::T(Schema::Object(member)) => (&mut member.default, &mut member.description),
            RefOr::T(Schema::Array(member)) => (&mut member.default, &mut member.description),
            _ => continue,
        };
        if let Some(value) = default.take_if(|_| !object.required.contains(name))
            && !is_patch
        {
            let text = description.take().unwrap_or_default();
            *description = Some(format!("{text} Without it: `{value}`.").trim_start().to_owned());
        }
    }
}

/// The greatest number of items on a page of a list with `limit`.
fn limit_page(operation: &Operation, schemas: &mut Schemas) {
    let limit = |parameter: &RefOr<_>| matches!(parameter, RefOr::Ref(reference) if name(reference) == "Limit");
    if !operation.parameters.iter().flatten().any(limit) {
        return;
    }
    let Some(RefOr::T(response)) = operation.responses.responses.get("200") else { return };
    for content in response.content.values() {
        let RefOr::T(Content { schema: Some(RefOr::Ref(page)), .. }) = content else { continue };
        let Some(RefOr::T(Schema::Object(page))) = schemas.get_mut(name(page)) else { continue };
        if let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items") {
            items.max_items = Some(PAGE);
        }
    }
}

/// A component that is a text or number without options.
fn scalar((name, schema): (&String, &RefOr<Schema>)) -> Option<(String, Object)> {
    match schema {
        RefOr::T(Schema::Object(object))
            if object.enum_values.is_none()
                && matches!(object.schema_type, SchemaType::Type(Type::String | Type::Integer | Type::Number)) =>
        {
            Some((name.clone(), object.clone()))
        }
        _ => None,
    }
}

/// Writes `null` beside the type of a text or number, since readers understand this better than alternatives.
fn inline_nullable(schema: &mut RefOr<Schema>, scalars: &BTreeMap<String, Object>) {
    let RefOr::T(Schema::OneOf(one)) = schema else { return };
    let [RefOr::Ref(reference), RefOr::T(Schema::Object(null))] = one.items.as_slice() else { return };
    let (Some(scalar), SchemaType::Type(Type::Null)) = (scalars.get(name(reference)), &null.schema_type) else {
        return;
    };
    let SchemaType::Type(kind) = scalar.schema_type.clone() else { return };
    let mut object = scalar.clone();
    object.schema_type = SchemaType::Array(vec![kind, Type::Null]);
    object.description = one.description.take().or(object.description);
    object.default = one.default.take().or(object.default);
    object.example = one.example.take().or(object.example);
    if !one.examples.is_empty() {
        object.examples = std::mem::take(&mut one.examples);
    }
    *schema = RefOr::T(Schema::Object(object));
}

/// Moves an example of a whole array from its items, where the macro writes it, to the array.
fn lift_examples(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Array(array)) = schema else { return };
    let ArrayItems::RefOrSchema(items) = &mut array.items else { return };
    if let RefOr::T(Schema::Object(object)) = &mut **items
        && !is(&object.schema_type, &Type::Array)
        && object.examples.iter().any(serde_json::Value::is_array)
    {
        array.examples = std::mem::take(&mut object.examples);
    }
}

/// A member whose name ends in `email` is an address. Its local part may be in any script.
fn mark_addresses(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for (_, member) in object.properties.iter_mut().filter(|(name, _)| name.ends_with("email")) {
        if let RefOr::T(Schema::Object(address)) = member
            && is(&address.schema_type, &Type::String)
        {
            address.format = Some(SchemaFormat::KnownFormat(KnownFormat::IdnEmail));
            address.min_length = Some(SHORTEST_ADDRESS);
            address.max_length = Some(LONGEST_ADDRESS);
        }
    }
}

/// Adds the limits that follow from the type and the format.
fn limit(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    if is(&object.schema_type, &Type::String) && object.enum_values.is_none() && object.max_length.is_none() {
        let fixed = |pattern: &String| FIXED_LENGTHS.iter().find(|(start, _)| pattern.starts_with(start));
        object.max_length = Some(match &object.format {
            Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)) => UUID,
            Some(SchemaFormat::KnownFormat(KnownFormat::Date)) => DAY,
            Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)) => INSTANT,
            _ => object.pattern.as_ref().and_then(fixed).map_or(TEXT, |(_, length)| *length),
        });
    }
    if is(&object.schema_type, &Type::Integer) && object.enum_values.is_none() {
        let format = object.format.get_or_insert(SchemaFormat::KnownFormat(KnownFormat::Int64));
        let (least, most) = match format {
            SchemaFormat::KnownFormat(KnownFormat::Int32) => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (-SAFE_INTEGER, SAFE_INTEGER),
        };
        object.minimum.get_or_insert(least.into());
        object.maximum.get_or_insert(most.into());
    }
}

/// Shows the example of a schema at each body with it, where tools look for it.
fn show_example(content: &mut Content, schemas: &Schemas) {
    let Some(RefOr::Ref(reference)) = &content.schema else { return };
    if content.example.is_some() || !content.examples.is_empty() || name(reference) == "Problem" {
        return;
    }
    let Some(RefOr::T(schema)) = schemas.get(name(reference)) else { return };
    content.example = match schema {
        Schema::Object(object) => object.example.clone(),
        Schema::OneOf(one) => one.example.clone(),
        Schema::AllOf(all) => all.example.clone(),
        _ => None,
    };
}
