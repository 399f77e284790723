//! Conditions that can feel like restless legs, and the veins.

use super::{
    Limb, NumberStatus, ResultSource, Side, StockingLength, TestKind, TreatmentResponse, Use, VeinProcedureKind, YesNo,
};
use crate::form_dsl::{Integer, LongText, PartialDate, ask, section, status};

section! {
    /// Conditions that can feel like restless legs (the mimics of the IRLSSG's criterion 5). All optional.
    Mimics {
        /// Leg cramps.
        leg_cramps: YesNo = ask("Do you have leg cramps?", "¿Tiene calambres en las piernas?"),
        /// Discomfort that ends with a change of position.
        positional_discomfort: YesNo = ask(
            "Do you have discomfort that ends when you change position?",
            "¿Tiene una molestia que se quita al cambiar de posición?",
        ),
        /// Arthritis.
        arthritis: YesNo = ask("Do you have arthritis?", "¿Tiene artritis?"),
        /// Muscle pain.
        myalgia: YesNo = ask("Do you have muscle pain?", "¿Tiene dolor muscular?"),
        /// Heavy, congested legs because of veins.
        venous_stasis: YesNo = ask("Do your legs feel heavy because of the veins?", "¿Siente las piernas pesadas por las venas?"),
        /// Swelling of the legs.
        leg_edema: YesNo = ask("Do your legs swell?", "¿Se le hinchan las piernas?"),
        /// A habit of tapping the foot.
        habitual_foot_tapping: YesNo = ask("Do you have a habit of tapping the foot?", "¿Tiene la costumbre de mover el pie?"),
        /// Numbness, burning or pins and needles that do not depend on rest or the time of day.
        neuropathy_symptoms: YesNo = ask(
            "Do you have numbness or burning in the feet at any time of day?",
            "¿Tiene entumecimiento o ardor en los pies a cualquier hora?",
        ),
        /// Inner restlessness of the whole body that began after a medicine.
        akathisia_after_drug: YesNo = ask(
            "Do you have restlessness of the whole body that began after a new medicine?",
            "¿Tiene inquietud en todo el cuerpo que empezó tras una medicina nueva?",
        ),
    }
}

section! {
    /// Veins and circulation.
    Venous {
        /// Varicose veins. ICD-10-CM I83.90 would assert more: "asymptomatic".
        varicose_veins: YesNo = ask("Do you have varicose veins?", "¿Tiene várices (varices)?").required(),
        /// On which side the varicose veins are.
        varicose_laterality: Side = ask("On which side?", "¿De qué lado?").when("venous.varicose_veins", &["yes"]),
        /// A deep vein thrombosis at any time. History: ICD-10-CM Z86.718.
        dvt_ever: YesNo = ask(
            "Has a doctor ever told you that you had a blood clot in a deep vein (DVT)?",
            "¿Le ha dicho un médico alguna vez que tuvo un coágulo en una vena profunda (TVP)?",
        ).required().codes(&[("http://hl7.org/fhir/sid/icd-10-cm", "Z86.718")]),
        /// When the thrombosis was, as far as known.
        dvt_date: PartialDate = ask("When was it?", "¿Cuándo fue?").when("venous.dvt_ever", &["yes"]).in_past(),
        /// On which side the thrombosis was.
        dvt_laterality: Side = ask("On which side?", "¿De qué lado?").when("venous.dvt_ever", &["yes"]),
        /// Chronic venous insufficiency, as told by a doctor.
        chronic_venous_insufficiency: YesNo = ask(
            "Has a doctor told you that your leg veins do not close well (venous insufficiency)?",
            "¿Le ha dicho un médico que las venas de sus piernas no cierran bien (insuficiencia venosa)?",
        ),
        /// Whether a blood thinner is taken.
        anticoagulant_use: YesNo = ask("Do you take a blood thinner?", "¿Toma un anticoagulante?"),
        /// Calf pain on walking, or a known narrowing of leg arteries: compression can then harm.
        claudication_or_pad: YesNo = ask(
            "Do your calves hurt when you walk, or do you have narrowed leg arteries?",
            "¿Le duelen las pantorrillas al caminar o tiene las arterias de las piernas estrechas?",
        ),
        /// Compression stockings. In a series of 35 patients IRLS improved after vein treatment (PMC6551200): recorded,
        /// never promised.
        compression_use: Use = ask("Do you wear compression stockings?", "¿Usa medias de compresión?"),
        /// The pressure of the stockings, 8 to 60 mmHg.
        compression_mmhg: Integer<8, 60> = ask("Which pressure do they have (mmHg on the pack)?", "¿Qué presión tienen (mmHg en el paquete)?").unit("mm[Hg]")
            .when("venous.compression_use", &["past", "current"]),
        /// Why `compression_mmhg` is missing.
        compression_mmhg_status: NumberStatus = status().when("venous.compression_use", &["past", "current"]),
        /// How far the stockings reach.
        compression_length: StockingLength = ask("How far up do they reach?", "¿Hasta dónde llegan?").when("venous.compression_use", &["past", "current"]),
        /// Whether the stockings help or helped.
        compression_helped: YesNo = ask("Do they help, or did they?", "¿Le ayudan o le ayudaron?")
            .when("venous.compression_use", &["past", "current"]),
        /// Procedures on veins.
        vein_procedures: Vec<VeinProcedure> = ask("Which procedures on your leg veins have you had?", "¿Qué procedimientos le han hecho en las venas de las piernas?"),
        /// Tests that were done.
        diagnostic_tests: Vec<DiagnosticTest> = ask("Which tests of your legs or your sleep have you had?", "¿Qué estudios de las piernas o del sueño le han hecho?"),
    }
}

section! {
    /// A procedure on veins.
    VeinProcedure {
        /// Which procedure.
        procedure: VeinProcedureKind = ask("Which procedure was it?", "¿Qué procedimiento fue?").required(),
        /// Which leg.
        limb: Limb = ask("On which leg?", "¿En qué pierna?"),
        /// When, as far as known.
        date: PartialDate = ask("When was it?", "¿Cuándo fue?").in_past(),
        /// How the restless legs were afterwards.
        rls_response: TreatmentResponse = ask("How were the restless legs afterwards?", "¿Cómo estuvieron después las piernas inquietas?"),
    }
}

section! {
    /// A test that was done.
    DiagnosticTest {
        /// Which test.
        test: TestKind = ask("Which test was it?", "¿Qué estudio fue?").required(),
        /// When, as far as known.
        date: PartialDate = ask("When was it?", "¿Cuándo fue?").in_past(),
        /// The result, from a clinician or copied from the written report.
        result: LongText<2000> = ask("What was the result?", "¿Cuál fue el resultado?")
            .when("venous.diagnostic_tests.result_source", &["clinician", "lab_report"]),
        /// The source of the result. Only clinicians may send `clinician`.
        result_source: ResultSource = ask("Where is the result from?", "¿De dónde viene el resultado?"),
    }
}
