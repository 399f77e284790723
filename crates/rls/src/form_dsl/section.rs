//! `section!`: a struct of answers, its schema and its questions from one definition.

/// Defines a group of optional answers. The question of a field follows its type.
macro_rules! section {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $meaning:literal])+ $field:ident: $type:ty = $ask:expr,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[doc = $meaning])+
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
        }

        impl $name {
            /// Returns whether no field is answered.
            pub fn is_blank(&self) -> bool {
                *self == Self::default()
            }
        }

        // Answers are patient data, so they must not get into logs.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $crate::form_dsl::Fields for $name {
            fn fields(prefix: &str) -> Vec<$crate::form_dsl::Field> {
                vec![$(($ask).field::<$type>(prefix, stringify!($field), &[$($meaning),+]),)+]
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use $crate::form_dsl::Answer;
                $crate::form_dsl::object_schema(
                    &[$($doc),+],
                    vec![$((stringify!($field), [$($meaning),+].join("\n"), <$type as Answer>::schema()),)+],
                )
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(concat!("Rls", stringify!($name)))
            }

            fn schemas(into: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                $(<$type as $crate::form_dsl::Answer>::collect(into);)+
            }
        }

        impl $crate::form_dsl::Answer for $name {
            fn kind() -> $crate::form_dsl::Kind {
                $crate::form_dsl::Kind::Group(<Self as $crate::form_dsl::Fields>::fields)
            }

            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::Ref::from_schema_name(concat!("Rls", stringify!($name))).into()
            }

            fn collect(into: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                into.push((concat!("Rls", stringify!($name)).to_owned(), <Self as utoipa::PartialSchema>::schema()));
                <Self as utoipa::ToSchema>::schemas(into);
            }
        }
    };
}
pub(crate) use section;
