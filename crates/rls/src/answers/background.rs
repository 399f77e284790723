//! Causes and risks, and laboratory results.

use jiff::civil::Date;

use super::{
    CkdStage, Comparator, DiabetesType, LabSource, LabTest, LabUnit, NumberStatus, PregnancyStatus, Relative, YesNo,
};
use crate::form_dsl::{Decimal, Integer, PartialDate, ask, section, status};

const SNOMED: &str = "http://snomed.info/sct";
const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";
const LOINC: &str = "http://loinc.org";

section! {
    /// Causes and risks.
    Risk {
        /// A blood relative has restless legs.
        family_history_rls: YesNo = ask(
            "Does a blood relative have restless legs?",
            "¿Algún familiar de sangre tiene piernas inquietas?",
        ).required(),
        /// Which relatives.
        family_relations: Vec<Relative> = ask("Who?", "¿Quién?").when("risk.family_history_rls", &["yes"]).required(),
        /// Pregnancy now. LOINC 82810-3. Not asked by sex or gender.
        pregnancy_status: PregnancyStatus = ask("Are you pregnant?", "¿Está embarazada?")
            .private_for_minors().codes(&[(LOINC, "82810-3")]),
        /// Completed weeks of pregnancy on the day of the answers. LOINC 18185-9.
        gestational_weeks: Integer<0, 44> = ask("Weeks of pregnancy", "Semanas de embarazo").unit("wk")
            .when("risk.pregnancy_status", &["pregnant"]).private_for_minors().codes(&[(LOINC, "18185-9")]),
        /// Why `gestational_weeks` is missing.
        gestational_weeks_status: NumberStatus = status()
            .when("risk.pregnancy_status", &["pregnant"]).private_for_minors(),
        /// Expected day of birth. LOINC 11778-8.
        estimated_due_date: Date = ask("Expected day of birth", "Fecha probable de parto")
            .when("risk.pregnancy_status", &["pregnant"]).private_for_minors().codes(&[(LOINC, "11778-8")]),
        /// Restless legs in an earlier pregnancy.
        rls_in_past_pregnancy: YesNo = ask(
            "Did you have restless legs in an earlier pregnancy?",
            "¿Tuvo piernas inquietas en un embarazo anterior?",
        ).private_for_minors(),
        /// Iron deficiency, as told by a doctor. SNOMED CT 35240004, ICD-10-CM E61.1.
        iron_deficiency: YesNo = ask("Too little iron, as told by a doctor", "Falta de hierro, según un médico")
            .codes(&[(SNOMED, "35240004"), (ICD, "E61.1")]),
        /// Iron deficiency anemia.
        iron_deficiency_anemia: YesNo = ask("Anemia from too little iron", "Anemia por falta de hierro"),
        /// Chronic kidney disease.
        ckd: YesNo = ask("Chronic kidney disease", "Enfermedad renal crónica"),
        /// Stage of chronic kidney disease.
        ckd_stage: CkdStage = ask("Stage of the kidney disease", "Etapa de la enfermedad renal").when("risk.ckd", &["yes"]),
        /// Dialysis.
        dialysis: YesNo = ask("Dialysis", "Diálisis"),
        /// End-stage kidney disease. ICD-10-CM N18.6.
        esrd: YesNo = ask("End-stage kidney disease", "Enfermedad renal terminal").codes(&[(ICD, "N18.6")]),
        /// Peripheral neuropathy. ICD-10-CM G62.9.
        peripheral_neuropathy: YesNo = ask("Neuropathy (damaged nerves in legs or arms)", "Neuropatía (nervios dañados en piernas o brazos)")
            .codes(&[(ICD, "G62.9")]),
        /// Nerve injury.
        nerve_damage: YesNo = ask("An injured nerve", "Lesión de un nervio"),
        /// Spinal cord lesion.
        spinal_cord_lesion: YesNo = ask("A lesion of the spinal cord", "Lesión de la médula espinal"),
        /// Diabetes.
        diabetes_type: DiabetesType = ask("Diabetes", "Diabetes"),
        /// Parkinson disease. SNOMED CT 49049000, ICD-10-CM G20.A1.
        parkinson_disease: YesNo = ask("Parkinson disease", "Enfermedad de Parkinson")
            .codes(&[(SNOMED, "49049000"), (ICD, "G20.A1")]),
        /// Multiple sclerosis. SNOMED CT 24700007.
        multiple_sclerosis: YesNo = ask("Multiple sclerosis", "Esclerosis múltiple").codes(&[(SNOMED, "24700007")]),
        /// Blood donation within 12 months.
        blood_donation_12mo: YesNo = ask("Blood donation in the last 12 months", "Donación de sangre en los últimos 12 meses"),
        /// Gastrointestinal or bariatric surgery.
        gi_or_bariatric_surgery: YesNo = ask(
            "Surgery of the stomach or bowel, or to lose weight",
            "Cirugía de estómago o intestino, o para bajar de peso",
        ),
        /// Heavy menstrual bleeding.
        heavy_menses: YesNo = ask("Heavy periods", "Menstruaciones abundantes"),
        /// Gastrointestinal bleeding.
        gi_bleeding: YesNo = ask("Bleeding from the stomach or bowel", "Sangrado de estómago o intestino"),
        /// Sleep apnea.
        sleep_apnea: YesNo = ask("Sleep apnea", "Apnea del sueño"),
        /// Deficiency of vitamins or other nutrients.
        nutritional_deficiency: YesNo = ask("A lack of vitamins or other nutrients", "Falta de vitaminas u otros nutrientes"),
    }
}

section! {
    /// One laboratory value, as reported.
    Lab {
        /// What was measured.
        test: LabTest = ask("Test", "Análisis").required(),
        /// The value in its unit: ferritin 0 to 5000 ng/mL (= µg/L), TSAT 0 to 100 %, iron and TIBC 0 to 1000 µg/dL,
        /// hemoglobin 2 to 25 g/dL (20 to 250 g/L).
        value: Decimal<0, 5000> = ask("Value", "Valor").required(),
        /// Set if the report states a bound instead of a value: `<5` is `<` and 5.
        comparator: Comparator = ask("If the report says < or >", "Si el informe dice < o >"),
        /// The unit. It must be a unit of the test.
        unit: LabUnit = ask("Unit", "Unidad").required(),
        /// The day of the sample. Year and month suffice for a value that the patient reports. The service computes
        /// TSAT only from iron and TIBC of the same full date.
        collected_on: PartialDate = ask("Day of the sample", "Día de la muestra")
            .help("Year and month are enough if you do not know the day.", "Basta con el año y el mes si no sabe el día.")
            .required().in_past(),
        /// The source of the value.
        source: LabSource = ask("Where the value is from", "De dónde viene el valor"),
        /// Whether the sample was taken in the morning.
        morning: YesNo = ask("Was the blood taken in the morning?", "¿Le sacaron la sangre por la mañana?"),
        /// Whether no iron was taken in the 24 hours before the sample.
        iron_free_24h: YesNo = ask(
            "Had you taken no iron in the 24 hours before?",
            "¿Llevaba 24 horas sin tomar hierro?",
        ),
    }
}
