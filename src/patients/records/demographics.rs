//! Sex, race and ethnicity, in the categories of FHIR and the US Office of Management and Budget.

use crate::db::types::text_enum;

text_enum! {
    /// The sex for administration and insurance (FHIR `administrative-gender`).
    #[derive(Default)]
    AdministrativeSex {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Neither of the two.
        Other = "other",
        /// Unknown.
        #[default]
        Unknown = "unknown",
    }
}

text_enum! {
    /// The sex recorded at birth.
    SexAssignedAtBirth {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Neither of the two.
        Other = "other",
        /// Unknown.
        Unknown = "unknown",
        /// The person prefers not to say.
        Declined = "declined",
    }
}

text_enum! {
    /// Race, in the categories of the US Office of Management and Budget.
    Race {
        /// American Indian or Alaska Native.
        AmericanIndianOrAlaskaNative = "american_indian_or_alaska_native",
        /// Asian.
        Asian = "asian",
        /// Black or African American.
        BlackOrAfricanAmerican = "black_or_african_american",
        /// Native Hawaiian or other Pacific Islander.
        NativeHawaiianOrPacificIslander = "native_hawaiian_or_pacific_islander",
        /// White.
        White = "white",
        /// None of these.
        Other = "other",
        /// The person prefers not to say. Not together with others.
        Declined = "declined",
    }
}

text_enum! {
    /// Ethnicity, in the categories of the US Office of Management and Budget.
    Ethnicity {
        /// Hispanic or Latino.
        HispanicOrLatino = "hispanic_or_latino",
        /// Not Hispanic or Latino.
        NotHispanicOrLatino = "not_hispanic_or_latino",
        /// The person prefers not to say.
        Declined = "declined",
    }
}
