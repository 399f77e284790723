//! The code of each rule that an input can break. The published document lists them.

macro_rules! field_codes {
    ($($variant:ident = $code:literal: $meaning:literal;)*) => {
        /// The kind of a broken rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FieldCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl FieldCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as clients see it. Stable.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What is wrong, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

field_codes! {
    // The shape of the input.
    Required = "required": "The member or parameter is missing, empty, or must not be removed.";
    UnknownField = "unknown_field": "The object has no such member.";
    UnknownParameter = "unknown_parameter": "The operation has no such query parameter.";
    DuplicateField = "duplicate_field": "The member is in the object more than once.";
    DuplicateParameter = "duplicate_parameter": "The parameter is in the query more than once.";
    WrongType = "wrong_type": "The value has another JSON type or form.";
    NotAnOption = "not_an_option": "The value is none of the options.";
    WrongValue = "wrong_value": "The value is not possible here.";
    OutOfRange = "out_of_range": "The number, day or instant is outside its range.";
    TooShort = "too_short": "The text is too short.";
    TooLong = "too_long": "The text is too long.";
    TooFew = "too_few": "The list has too few entries.";
    TooMany = "too_many": "The list has too many entries.";
    Duplicate = "duplicate": "The entry is in the list twice.";
    ForbiddenCharacter = "forbidden_character": "The text has a control, invisible or private-use character.";

    // Texts with a form.
    InvalidCountry = "invalid_country": "The value is no country code of ISO 3166-1.";
    InvalidLanguage = "invalid_language": "The value is no language tag of BCP 47.";
    InvalidPhone = "invalid_phone": "The value is no telephone number.";
    InvalidTime = "invalid_time": "The value is no time of day, or does not exist on that day.";
    NotADate = "not_a_date": "The value is no date of the calendar.";
    NotATime = "not_a_time": "The value is no time of day.";
    InvalidCursor = "invalid_cursor": "The cursor is not one of this list with these filters.";
    InvalidSystem = "invalid_system": "The system of the identifier is no URI.";
    InvalidUrl = "invalid_url": "The value is no URL that the server may send to.";
    InvalidIdentifier = "invalid_identifier": "The value is no `system|value`.";
    InvalidToken = "invalid_token": "The token is unknown, used or expired.";
    NotAName = "not_a_name": "The text is no name of a person.";
    NotAnEmail = "not_an_email": "The value is no e-mail address.";
    UnknownTimeZone = "unknown_time_zone": "The value is no time zone of IANA.";

    // Values that depend on others.
    UnknownReference = "unknown_reference": "The id names nothing that the caller can use here.";
    UnknownVersion = "unknown_version": "The document has no such version.";
    Inactive = "inactive": "The id names an object that is out of use.";
    OutOfOrder = "out_of_order": "The end is not after the start.";
    Overlap = "overlap": "Two entries overlap.";
    InPast = "in_past": "The time is in the past.";
    InThePast = "in_the_past": "The day is in the past.";
    Unchanged = "unchanged": "The value is the current one.";
    Contradiction = "contradiction": "Two values contradict each other.";
    DoesNotFit = "does_not_fit": "The value does not fit another setting.";
    OtherSlot = "other_slot": "The hold is for another slot.";
    OtherPractitioner = "other_practitioner": "The object belongs to another practitioner.";
    SameRecord = "same_record": "Both ids name the same record.";
    ContactRequired = "contact_required": "A telephone number or an e-mail address is missing.";
    NotWithMononym = "not_with_mononym": "A person with one name has no given name.";

    // What the caller may set.
    ForbiddenField = "forbidden_field": "The caller may not set the member.";
    StaffOnly = "staff_only": "Only staff may set the member.";
    NotSignedIn = "not_signed_in": "The member needs a session.";
    RoleMismatch = "role_mismatch": "The role does not fit the account.";
    NotThePatient = "not_the_patient": "Only the patient can sign this.";
    NotTheHolder = "not_the_holder": "The signer is not the holder of the account.";
    NotTheAccount = "not_the_account": "The address is not that of the account.";

    // Secrets.
    WrongPassword = "wrong_password": "The password is not that of the account.";
    WrongCode = "wrong_code": "The code is wrong, too old or used.";
    TooCommon = "too_common": "The password is one of those that are guessed first.";

    // Answers of the RLS form.
    NotAsked = "not_asked": "The question was not asked.";
    ConditionNotMet = "condition_not_met": "The answer does not apply to the other answers.";
    StatusContradicts = "status_contradicts": "The status states that there is no number, but a number is given.";
    NoneStandsAlone = "none_stands_alone": "`none` excludes other options.";
    BeforeBirth = "before_birth": "The day is before the birth.";
    InFuture = "in_future": "The day is after the day of the answers.";
    BeforeStart = "before_start": "The end is before the start.";
    MonthRequired = "month_required": "The date needs the year and the month.";
    FullDateRequired = "full_date_required": "The date needs the day.";
    FullDateForTsat = "full_date_for_tsat": "The saturation is only computed from values with a full date.";
    TsatDiffers = "tsat_differs": "The saturation differs from iron and TIBC of that day.";
    IronAboveTibc = "iron_above_tibc": "Iron is above TIBC of that day.";
    TotalDiffers = "total_differs": "The total is not the sum of the ten items.";
    ScaleIncomplete = "scale_incomplete": "Not all ten items are answered.";
    FrequencyDiffers = "frequency_differs": "Item 7 does not match the days per week.";
    WeeksDisagree = "weeks_disagree": "The weeks differ from those of the due date.";
    ImplausibleDueDate = "implausible_due_date": "The due date is not possible on the day of the answers.";
    KidneyDiseaseDenied = "kidney_disease_denied": "The answers deny a kidney disease.";
    SexMismatch = "sex_mismatch": "The answer does not match the sex on record.";
    ClassDiffers = "class_differs": "The table lists another class for this medicine.";
    GuardianOrStaff = "guardian_or_staff": "A guardian or staff must answer for a minor.";
    ClinicianOnly = "clinician_only": "A clinician must answer this.";
}

impl FieldCode {
    /// Returns the code with this text.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl std::fmt::Display for FieldCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for FieldCode {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::FieldCode;

    #[test]
    fn no_two_kinds_share_a_code_and_every_meaning_ends() {
        for code in FieldCode::ALL {
            assert_eq!(FieldCode::of(code.as_str()), Some(*code));
            assert!(code.meaning().ends_with('.'), "{code}");
        }
    }
}
