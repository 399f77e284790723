//! The macros that declare the fields of a record once, and how a stored field takes a change from a patch.

use crate::clock::Timestamp;
use crate::db::types::Date;
use crate::error::{Check, FieldCode, FieldError, Rule};
use crate::http::input::Change;

use super::demographics::AdministrativeSex;

/// A member of a body: its pointer, and the check that collects its broken rules.
pub struct Member<'a> {
    /// The JSON pointer.
    pub pointer: String,
    /// The time of the request.
    pub now: Timestamp,
    /// The check.
    pub check: &'a mut Check,
}

impl Member<'_> {
    /// The member of this one that has this name.
    pub fn within(&mut self, name: &str) -> Member<'_> {
        Member { pointer: format!("{}/{name}", self.pointer), now: self.now, check: self.check }
    }

    /// Replaces a value with its normalised form, or reports the broken rule.
    pub fn set<C>(&mut self, value: &mut C, read: Result<C, Rule>) {
        if let Some(read) = self.check.field(&self.pointer, read) {
            *value = read;
        }
    }

    /// Checks the change of a stored field of type `S`.
    pub fn change<S: Field<C>, C>(&mut self, change: &mut Change<C>, rule: impl Fn(&mut C, &mut Member<'_>)) {
        match change {
            Change::Set(value) => rule(value, self),
            Change::Clear if S::IS_REQUIRED => {
                self.check.add(FieldError::new(self.pointer.as_str(), FieldCode::Required, "cannot be removed"));
            }
            Change::Clear | Change::Keep => {}
        }
    }
}

/// A stored field that takes changes of type `C`.
pub trait Field<C>: Sized {
    /// Whether a change cannot remove the value.
    const IS_REQUIRED: bool;

    /// Applies a change.
    fn merge(&mut self, change: Change<C>, member: &mut Member<'_>);

    /// The change that sets this value in an empty record.
    fn into_change(self) -> Change<C>;
}

impl<T> Field<T> for Option<T> {
    const IS_REQUIRED: bool = false;

    fn merge(&mut self, change: Change<T>, _: &mut Member<'_>) {
        change.apply(self);
    }

    fn into_change(self) -> Change<T> {
        self.map_or(Change::Keep, Change::Set)
    }
}

impl<T> Field<Vec<T>> for Vec<T> {
    const IS_REQUIRED: bool = false;

    fn merge(&mut self, change: Change<Vec<T>>, _: &mut Member<'_>) {
        match change {
            Change::Keep => {}
            Change::Clear => self.clear(),
            Change::Set(list) => *self = list,
        }
    }

    fn into_change(self) -> Change<Vec<T>> {
        Change::Set(self)
    }
}

macro_rules! required_fields {
    ($($type:ty),*) => {$(
        impl Field<$type> for $type {
            const IS_REQUIRED: bool = true;

            fn merge(&mut self, change: Change<$type>, _: &mut Member<'_>) {
                if let Change::Set(value) = change {
                    *self = value;
                }
            }

            fn into_change(self) -> Change<$type> {
                Change::Set(self)
            }
        }
    )*};
}
required_fields!(String, bool, Date, AdministrativeSex);

/// A text in a nested object, which is either required (`String`) or optional (`Option<String>`).
pub trait NestedText: Field<String> {
    /// Merges a change into the text that was there; none, and a broken rule, if a required text is missing.
    fn merged(change: Change<String>, was: Option<Self>, member: &mut Member<'_>) -> Option<Self>;
}

impl NestedText for String {
    fn merged(change: Change<String>, was: Option<Self>, member: &mut Member<'_>) -> Option<Self> {
        let mut text = was;
        change.apply(&mut text);
        member.check.require(text.is_some(), member.pointer.as_str(), FieldCode::Required, "must be sent");
        text
    }
}

impl NestedText for Option<String> {
    fn merged(change: Change<String>, was: Option<Self>, _: &mut Member<'_>) -> Option<Self> {
        let mut text = was.flatten();
        change.apply(&mut text);
        Some(text)
    }
}

/// Declares a nested object of texts with its merge patch. Each field has its type, its schema and its rule.
macro_rules! nested_object {
    (
        $(#[$meta:meta])* object $name:ident;
        $(#[$patch_meta:meta])* patch $patch:ident;
        $($(#[doc = $doc:literal])+ $(#[serde($($serde:tt)*)])?
            $field:ident: $type:ty, schema($($schema:tt)*) = $rule:expr;)+
    ) => {
        #[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name {
            $($(#[doc = $doc])+ $(#[serde($($serde)*)])? #[schema($($schema)*)] pub $field: $type,)+
        }

        #[derive(Clone, Default, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$patch_meta])*
        pub struct $patch {
            $(
                $(#[doc = $doc])+
                #[serde(default)]
                #[schema(value_type = Option<String>)]
                #[schema($($schema)*)]
                pub $field: Change<String>,
            )+
        }

        impl $patch {
            /// Checks every text by itself. The merge reports a required text that is removed.
            pub(super) fn check(&mut self, at: &mut Member<'_>) {
                $(at.within(stringify!($field)).change::<Option<String>, String>(&mut self.$field, $rule);)+
            }
        }

        impl Field<$patch> for Option<$name> {
            const IS_REQUIRED: bool = false;

            fn merge(&mut self, change: Change<$patch>, at: &mut Member<'_>) {
                let patch = match change {
                    Change::Keep => return,
                    Change::Clear => return *self = None,
                    Change::Set(patch) => patch,
                };
                let was = self.take();
                $(let $field = <$type as NestedText>::merged(
                    patch.$field,
                    was.as_ref().map(|was| was.$field.clone()),
                    &mut at.within(stringify!($field)),
                );)+
                *self = (|| Some($name { $($field: $field?,)+ }))();
            }

            fn into_change(self) -> Change<$patch> {
                self.map_or(Change::Keep, |it| Change::Set($patch { $($field: it.$field.into_change(),)+ }))
            }
        }
    };
}
pub(super) use nested_object;

/// Declares the fields of a record: of its row, of its profile with the sealed details, of the bodies that create and change it, and of
/// the view that callers get.
///
/// A line of `columns` or `details` declares a field in all of them, with its type, the type of its change, its schema in the bodies,
/// and its rule. The sections before have the members that only some of them have, or that have another form in some of them.
macro_rules! patient_fields {
    (
        row($row_profile:ident: &Profile, $row_key:ident: $row_key_type:ty) {
            $($(#[$row_meta:meta])* $row:ident: $row_type:ty = $row_value:expr,)*
        }
        profile($of_row:ident: &Patient, $of_details:ident: Details) {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty = $own_value:expr,)*
        }
        $(#[$new_meta:meta])*
        new {
            $($(#[$new_field_meta:meta])* $new:ident: $new_type:ty,)*
        }
        $(#[$patch_meta:meta])*
        patch($of_new:ident: NewPatient) {
            $($(#[$patch_field_meta:meta])* $patch:ident: $patch_type:ty = $patch_value:expr,)*
        }
        $(#[$view_meta:meta])*
        view($view_record:ident: &Record, $view_profile:ident: Profile) {
            $($(#[$view_field_meta:meta])* $view:ident: $view_type:ty = $view_value:expr,)*
        }
        columns {
            $($(#[doc = $column_doc:literal])+ $(#[serde($($column_serde:tt)*)])?
                $column:ident: $column_type:ty, change $column_change:ty $(, schema($($column_schema:tt)*))? = $column_rule:expr;)*
        }
        details {
            $($(#[doc = $detail_doc:literal])+ $(#[serde($($detail_serde:tt)*)])?
                $detail:ident: $detail_type:ty, change $detail_change:ty $(, schema($($detail_schema:tt)*))? = $detail_rule:expr;)*
        }
    ) => {
        /// A row of the patients (FHIR `Patient`).
        #[derive(
            Clone, diesel::Queryable, diesel::Selectable, diesel::Identifiable, diesel::Insertable, diesel::AsChangeset,
        )]
        #[diesel(table_name = patients, treat_none_as_null = true, treat_none_as_default_value = false)]
        pub struct Patient {
            $($(#[$row_meta])* pub $row: $row_type,)*
            $($(#[doc = $column_doc])+ pub $column: $column_type,)*
        }

        /// What a record says, without what the server adds to it.
        #[derive(Clone, Default, PartialEq)]
        pub struct Profile {
            $($(#[$own_meta])* pub $own: $own_type,)*
            $($(#[doc = $column_doc])+ pub $column: $column_type,)*
            /// The fields that no search needs.
            pub details: Details,
        }

        /// The fields that no search needs; stored as one sealed value.
        #[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct Details {
            $($(#[doc = $detail_doc])+ pub $detail: $detail_type,)*
        }

        impl Patient {
            /// The row that stores a profile.
            pub(super) fn with_profile($row_profile: &Profile, $row_key: $row_key_type) -> Self {
                Self {
                    $($row: $row_value,)*
                    $($column: $row_profile.$column.clone(),)*
                }
            }
        }

        impl Profile {
            /// The profile that a row stores, with its opened details.
            pub(super) fn of_row($of_row: &Patient, $of_details: Details) -> Self {
                Self {
                    $($own: $own_value,)*
                    $($column: $of_row.$column.clone(),)*
                    details: $of_details,
                }
            }
        }

        #[derive(Clone, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$new_meta])*
        pub struct NewPatient {
            $($(#[$new_field_meta])* pub $new: $new_type,)*
            $(
                $(#[doc = $column_doc])+
                $(#[serde($($column_serde)*)])?
                $(#[schema($($column_schema)*)])?
                pub $column: $column_type,
            )*
            $(
                $(#[doc = $detail_doc])+
                $(#[serde($($detail_serde)*)])?
                $(#[schema($($detail_schema)*)])?
                pub $detail: $detail_type,
            )*
        }

        #[derive(Clone, Default, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$patch_meta])*
        pub struct PatientPatch {
            $($(#[$patch_field_meta])* #[serde(default)] pub $patch: $patch_type,)*
            $(
                $(#[doc = $column_doc])+
                #[serde(default)]
                #[schema(value_type = Option<$column_change>)]
                $(#[schema($($column_schema)*)])?
                pub $column: Change<$column_change>,
            )*
            $(
                $(#[doc = $detail_doc])+
                #[serde(default)]
                #[schema(value_type = Option<$detail_change>)]
                $(#[schema($($detail_schema)*)])?
                pub $detail: Change<$detail_change>,
            )*
        }

        /// A new record is a patch of an empty one.
        impl From<NewPatient> for PatientPatch {
            fn from($of_new: NewPatient) -> Self {
                Self {
                    $($patch: $patch_value,)*
                    $($column: <$column_type as Field<$column_change>>::into_change($of_new.$column),)*
                    $($detail: <$detail_type as Field<$detail_change>>::into_change($of_new.$detail),)*
                }
            }
        }

        impl PatientPatch {
            /// Checks every declared field by itself.
            pub(super) fn check_fields(&mut self, at: &mut Member<'_>) {
                $(at.within(stringify!($column)).change::<$column_type, $column_change>(&mut self.$column, $column_rule);)*
                $(at.within(stringify!($detail)).change::<$detail_type, $detail_change>(&mut self.$detail, $detail_rule);)*
            }

            /// Merges every declared field into a profile.
            pub(super) fn merge_fields(self, profile: &mut Profile, at: &mut Member<'_>) {
                $(profile.$column.merge(self.$column, &mut at.within(stringify!($column)));)*
                $(profile.details.$detail.merge(self.$detail, &mut at.within(stringify!($detail)));)*
            }
        }

        #[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        $(#[$view_meta])*
        pub struct PatientView {
            $($(#[$view_field_meta])* pub $view: $view_type,)*
            $($(#[doc = $column_doc])+ pub $column: $column_type,)*
            $($(#[doc = $detail_doc])+ pub $detail: $detail_type,)*
        }

        impl PatientView {
            /// The record as callers see it.
            pub(super) fn of_record($view_record: &Record, $view_profile: Profile) -> Self {
                Self {
                    $($view: $view_value,)*
                    $($column: $view_profile.$column,)*
                    $($detail: $view_profile.details.$detail,)*
                }
            }
        }
    };
}
pub(super) use patient_fields;
