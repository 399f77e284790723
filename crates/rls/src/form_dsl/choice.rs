//! `choice!`: an enum with the labels of its options in both languages.

/// One option of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceOption {
    /// The value in the API.
    pub value: &'static str,
    /// Its label in English.
    pub en: &'static str,
    /// Its label in Spanish.
    pub es: &'static str,
}

/// The detail of the error about a value that is no option.
pub fn options_detail(options: &[ChoiceOption]) -> String {
    let offered = options.iter().map(|option| option.value).filter(|value| *value != "not_asked");
    format!("must be one of {}", offered.collect::<Vec<_>>().join(", "))
}

/// Defines the enum, its JSON representation, its schema and its options.
macro_rules! choice {
    ($($(#[doc = $doc:literal])+ $name:ident { $($variant:ident = $value:literal, $en:literal, $es:literal;)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub enum $name {
            $(
                #[doc = $en]
                #[serde(rename = $value)]
                $variant,
            )+
        }

        impl $name {
            /// Every option in the order of the form.
            pub const OPTIONS: &'static [$crate::form_dsl::ChoiceOption] = &[
                $($crate::form_dsl::ChoiceOption { value: $value, en: $en, es: $es },)+
            ];

            /// Every value in the order of the form.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the value in the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                }
            }
        }

        // The derived implementation would also accept `{"yes": null}` for "yes".
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::ALL.iter().find(|one| one.as_str() == text).copied().ok_or_else(|| {
                    $crate::form_dsl::coded_error(text::FieldCode::NotAnOption, &$crate::form_dsl::options_detail(Self::OPTIONS))
                })
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::string_enum::schema([$($doc),+].join("\n").trim(), &[$($value),+])
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(concat!("Rls", stringify!($name)))
            }
        }

        impl $crate::form_dsl::Answer for $name {
            fn kind() -> $crate::form_dsl::Kind {
                $crate::form_dsl::Kind::Choice(Self::OPTIONS)
            }

            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::Ref::from_schema_name(concat!("Rls", stringify!($name))).into()
            }

            fn collect(into: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                into.push((concat!("Rls", stringify!($name)).to_owned(), <Self as utoipa::PartialSchema>::schema()));
            }
        }
    )+};
}
pub(crate) use choice;
