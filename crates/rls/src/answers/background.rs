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
        gestational_weeks: Integer<0, 44> = ask("How many weeks pregnant are you?", "¿De cuántas semanas está?").unit("wk")
            .when("risk.pregnancy_status", &["pregnant"]).private_for_minors().codes(&[(LOINC, "18185-9")]),
        /// Why `gestational_weeks` is missing.
        gestational_weeks_status: NumberStatus = status()
            .when("risk.pregnancy_status", &["pregnant"]).private_for_minors(),
        /// Expected day of birth. LOINC 11778-8.
        estimated_due_date: Date = ask("When is the baby due?", "¿Cuál es la fecha probable de parto?")
            .when("risk.pregnancy_status", &["pregnant"]).private_for_minors().codes(&[(LOINC, "11778-8")]),
        /// Restless legs in an earlier pregnancy.
        rls_in_past_pregnancy: YesNo = ask(
            "Did you have restless legs in an earlier pregnancy?",
            "¿Tuvo piernas inquietas en un embarazo anterior?",
        ).private_for_minors(),
        /// Trying to become pregnant.
        trying_to_conceive: YesNo = ask("Are you trying to become pregnant?", "¿Está intentando quedar embarazada?")
            .private_for_minors(),
        /// Breastfeeding.
        breastfeeding: YesNo = ask("Are you breastfeeding?", "¿Está amamantando?").private_for_minors(),
        /// Iron deficiency, as told by a doctor. ICD-10-CM E61.1.
        iron_deficiency: YesNo = ask("Has a doctor told you that you have too little iron?", "¿Le ha dicho un médico que le falta hierro?")
            .codes(&[(ICD, "E61.1")]),
        /// Iron deficiency anemia.
        iron_deficiency_anemia: YesNo = ask("Has a doctor told you that you have anemia from too little iron?", "¿Le ha dicho un médico que tiene anemia por falta de hierro?"),
        /// Chronic kidney disease.
        ckd: YesNo = ask("Do you have chronic kidney disease?", "¿Tiene enfermedad renal crónica?"),
        /// Stage of chronic kidney disease.
        ckd_stage: CkdStage = ask("Which stage is the kidney disease?", "¿En qué etapa está la enfermedad renal?").when("risk.ckd", &["yes"]),
        /// Dialysis.
        dialysis: YesNo = ask("Are you on dialysis?", "¿Recibe diálisis?"),
        /// End-stage kidney disease. ICD-10-CM N18.6.
        esrd: YesNo = ask("Has a doctor told you that your kidneys have failed (end-stage kidney disease)?", "¿Le ha dicho un médico que sus riñones ya no funcionan (enfermedad renal terminal)?").codes(&[(ICD, "N18.6")]),
        /// Peripheral neuropathy.
        peripheral_neuropathy: YesNo = ask("Do you have neuropathy (damaged nerves in legs or arms)?", "¿Tiene neuropatía (nervios dañados en piernas o brazos)?"),
        /// Nerve injury.
        nerve_damage: YesNo = ask("Has a nerve been injured?", "¿Ha tenido una lesión de un nervio?"),
        /// Spinal cord lesion.
        spinal_cord_lesion: YesNo = ask("Has your spinal cord been injured?", "¿Tiene una lesión de la médula espinal?"),
        /// Diabetes.
        diabetes_type: DiabetesType = ask("Do you have diabetes?", "¿Tiene diabetes?"),
        /// Parkinson disease. SNOMED CT 49049000. It has no ICD-10-CM code, because the title of G20.A1 asserts "without
        /// dyskinesia, without mention of fluctuations".
        parkinson_disease: YesNo = ask("Do you have Parkinson disease?", "¿Tiene la enfermedad de Parkinson?")
            .codes(&[(SNOMED, "49049000")]),
        /// Multiple sclerosis. SNOMED CT 24700007.
        multiple_sclerosis: YesNo = ask("Do you have multiple sclerosis?", "¿Tiene esclerosis múltiple?").codes(&[(SNOMED, "24700007")]),
        /// Blood donation within 12 months.
        blood_donation_12mo: YesNo = ask("Have you given blood in the last 12 months?", "¿Ha donado sangre en los últimos 12 meses?"),
        /// Gastrointestinal or bariatric surgery.
        gi_or_bariatric_surgery: YesNo = ask(
            "Have you had surgery of the stomach or bowel, or to lose weight?",
            "¿Ha tenido una cirugía de estómago o intestino, o para bajar de peso?",
        ),
        /// Heavy menstrual bleeding.
        heavy_menses: YesNo = ask("Do you have heavy periods?", "¿Tiene menstruaciones abundantes?"),
        /// Gastrointestinal bleeding.
        gi_bleeding: YesNo = ask("Have you had bleeding from the stomach or bowel?", "¿Ha tenido sangrado de estómago o intestino?"),
        /// Sleep apnea.
        sleep_apnea: YesNo = ask("Has a doctor told you that you have sleep apnea?", "¿Le ha dicho un médico que tiene apnea del sueño?"),
        /// Chronic obstructive pulmonary disease or another chronic lung disease.
        chronic_lung_disease: YesNo = ask(
            "Do you have a chronic lung disease, such as COPD?",
            "¿Tiene una enfermedad crónica de los pulmones, como EPOC?",
        ),
        /// Infection or inflammation around the blood test: ferritin rises then.
        infection_or_inflammation: YesNo = ask(
            "Did you have an infection or an inflammation when the blood was taken?",
            "¿Tenía una infección o inflamación cuando le sacaron la sangre?",
        ),
        /// Deficiency of vitamins or other nutrients.
        nutritional_deficiency: YesNo = ask("Has a doctor told you that you lack vitamins or other nutrients?", "¿Le ha dicho un médico que le faltan vitaminas u otros nutrientes?"),
    }
}

section! {
    /// One laboratory value, as reported.
    Lab {
        /// What was measured.
        test: LabTest = ask("Which test is it?", "¿Qué análisis es?").required(),
        /// The value in its unit: ferritin 0 to 5000 ng/mL (= µg/L), TSAT 0 to 100 %, iron and TIBC 0 to 1000 µg/dL
        /// (0 to 179 µmol/L), hemoglobin 2 to 25 g/dL (20 to 250 g/L, 1.2 to 15.5 mmol/L), CRP 0 to 1000 mg/L
        /// (0 to 100 mg/dL).
        value: Decimal<0, 5000> = ask("What is the value?", "¿Cuál es el valor?").required(),
        /// Set if the report states a bound instead of a value: `<5` is `<` and 5.
        comparator: Comparator = ask("Does the report say less than (<) or more than (>)?", "¿Dice el informe menos de (<) o más de (>)?"),
        /// The unit. It must be a unit of the test.
        unit: LabUnit = ask("In which unit?", "¿En qué unidad?").required(),
        /// The day of the sample. Year and month suffice for a value that the patient reports. The service computes
        /// TSAT only from iron and TIBC of the same full date.
        collected_on: PartialDate = ask("On which day was the blood taken?", "¿Qué día le sacaron la sangre?")
            .help("Year and month are enough if you do not know the day.", "Basta con el año y el mes si no sabe el día.")
            .required().in_past(),
        /// The source of the value.
        source: LabSource = ask("Where is the value from?", "¿De dónde viene el valor?"),
        /// Whether the sample was taken in the morning.
        morning: YesNo = ask("Was the blood taken in the morning?", "¿Le sacaron la sangre por la mañana?"),
        /// Whether no iron was taken in the 24 hours before the sample.
        iron_free_24h: YesNo = ask(
            "Had you taken no iron in the 24 hours before?",
            "¿Llevaba 24 horas sin tomar hierro?",
        ),
    }
}
