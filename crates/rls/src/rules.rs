//! The rules as data: what each looks at, what it means, and where it comes from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::form::Text;
use super::sources::{self, Source};

/// What a rule rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsRuleStrength)]
pub enum RuleStrength {
    /// A recommendation or good practice statement of a guideline.
    Guideline,
    /// A published consensus of experts.
    Consensus,
    /// A warning of a medicines authority.
    RegulatorWarning,
    /// The prescribing information of a medicine.
    Label,
    /// A published study or review.
    Study,
    /// The clinic's own judgement. The source says why.
    ClinicJudgement,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsRuleDefinition)]
pub struct RuleDefinition {
    /// The id. It is never reused for another rule.
    #[schema(examples("iron_review"))]
    pub id: String,
    /// The version of the rule. It grows with every change of its result.
    #[schema(minimum = 1)]
    pub version: u16,
    /// Whether the rule raises a flag. The others compute a value.
    pub raises_flag: bool,
    /// The ids of the fields that the rule uses.
    #[schema(examples(json!(["labs"])))]
    pub inputs: Vec<String>,
    /// What the rule says.
    pub meaning: Text,
    /// The publication, or for a clinic judgement the reason.
    #[schema(examples("Winkelman et al., AASM clinical practice guideline, J Clin Sleep Med 2025;21:137"))]
    pub source: String,
    /// The address of the publication.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, examples("https://doi.org/10.5664/jcsm.11390"))]
    pub url: Option<String>,
    /// What the rule rests on.
    pub strength: RuleStrength,
}

/// The constant parts of a rule.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    id: &'static str,
    /// The version of the rule. It grows with every change of its result.
    pub version: u16,
    en: &'static str,
    es: &'static str,
    /// The source.
    pub source: Source,
    /// The fields that the rule uses.
    pub inputs: &'static [&'static str],
}

impl Definition {
    fn describe(&self, raises_flag: bool) -> RuleDefinition {
        RuleDefinition {
            id: self.id.to_owned(),
            version: self.version,
            raises_flag,
            inputs: self.inputs.iter().map(|input| (*input).to_owned()).collect(),
            meaning: Text { en: Some(self.en.to_owned()), es: Some(self.es.to_owned()) },
            source: self.source.citation.to_owned(),
            url: self.source.url.map(str::to_owned),
            strength: self.source.strength,
        }
    }
}

/// Returns every rule: first those that raise flags, then those that compute values.
pub fn rules() -> Vec<RuleDefinition> {
    let flags = Rule::ALL.iter().map(|rule| rule.definition().describe(true));
    flags.chain(COMPUTED.iter().map(|one| one.describe(false))).collect()
}

/// Defines the rules that raise flags. Flags of the same urgency are in this order.
macro_rules! flag_rules {
    ($($variant:ident = $id:literal v $version:literal, $en:literal, $es:literal, $source:expr, [$($input:literal),*];)+) => {
        /// A rule that raises flags. An id is never reused for another rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rule {
            $(
                #[doc = $en]
                #[serde(rename = $id)]
                $variant,
            )+
        }

        impl utoipa::PartialSchema for Rule {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::string_enum::schema("A rule that raises flags. An id is never reused for another rule.", &[$($id),+])
            }
        }

        impl ToSchema for Rule {
            fn name() -> std::borrow::Cow<'static, str> {
                "RlsRule".into()
            }
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the id.
            pub fn as_str(self) -> &'static str {
                self.definition().id
            }

            /// Returns what the rule looks at, means and rests on.
            pub fn definition(self) -> Definition {
                match self {
                    $(Self::$variant => Definition {
                        id: $id, version: $version, en: $en, es: $es, source: $source, inputs: &[$($input),*],
                    },)+
                }
            }
        }
    };
}

flag_rules! {
    ChestPainBreathlessness = "chest_pain_breathlessness" v 2,
        "Chest pain, breathlessness or coughing blood, now or in the last few days: yes is an emergency.",
        "Dolor en el pecho, falta de aire o tos con sangre, ahora o en los últimos días: sí es una emergencia.",
        sources::SAFETY_NET, ["safety.chest_pain_breathlessness"];
    SuddenColdPaleLeg = "sudden_cold_pale_leg" v 1,
        "A leg suddenly cold and pale: yes is an emergency.",
        "Una pierna de repente fría y pálida: sí es una emergencia.",
        sources::SAFETY_NET, ["safety.sudden_cold_pale_leg"];
    NewWeaknessSaddleBladderBowel = "new_weakness_saddle_bladder_bowel" v 1,
        "New weakness, saddle numbness, bladder or bowel trouble: yes is an emergency.",
        "Debilidad nueva, entumecimiento entre las piernas o problemas de orina o heces: sí es una emergencia.",
        sources::SAFETY_NET, ["safety.new_weakness_saddle_bladder_bowel"];
    AcuteUnilateralLegSymptoms = "acute_unilateral_leg_symptoms" v 2,
        "One leg swollen, painful, warm or red within 14 days: same day. With chest pain, breathlessness or coughing blood: an emergency.",
        "Una pierna hinchada, dolorosa, caliente o roja en los últimos 14 días: el mismo día. Con dolor en el pecho, falta de aire o tos con sangre: una emergencia.",
        sources::SAFETY_NET, ["safety.acute_unilateral_leg_symptoms", "safety.chest_pain_breathlessness"];
    BleedingVein = "bleeding_vein" v 1,
        "A vein bleeds: same day. An emergency if it is, or may be, not controlled.",
        "Una vena sangra: el mismo día. Una emergencia si no se controla o quizá no.",
        sources::SAFETY_NET, ["safety.bleeding_vein", "safety.bleeding_vein_uncontrolled"];
    SpreadingHotRedness = "spreading_hot_redness" v 1,
        "Spreading hot redness: same day.",
        "Enrojecimiento caliente que se extiende: el mismo día.",
        sources::SAFETY_NET, ["safety.spreading_hot_redness"];
    OpenLegUlcer = "open_leg_ulcer" v 1,
        "An open sore on a leg: same day, prompt if it is neither new nor worse.",
        "Una llaga abierta en una pierna: el mismo día; pronto si no es nueva ni ha empeorado.",
        sources::SAFETY_NET, ["safety.open_leg_ulcer", "safety.open_leg_ulcer_new_or_worse"];
    SelfHarmThoughts = "self_harm_thoughts" v 1,
        "Thoughts of self-harm: same day.",
        "Pensamientos de hacerse daño: el mismo día.",
        sources::SAFETY_NET, ["safety.self_harm_thoughts"];
    BreathingSideEffect = "breathing_side_effect" v 1,
        "Trouble breathing is reported as a side effect since the last visit: same day.",
        "Se informa de dificultad para respirar como efecto secundario desde la última visita: el mismo día.",
        sources::BREATHING, ["follow_up.side_effects"];
    HemoglobinBelow8 = "hemoglobin_below_8" v 1,
        "The newest hemoglobin is below 8.0 g/dL: same day.",
        "La hemoglobina más reciente es menor de 8,0 g/dL: el mismo día.",
        sources::ANEMIA, ["labs"];
    PregnancyMedication = "pregnancy_medication" v 2,
        "Pregnant, trying to become pregnant or breastfeeding, and taking an opioid, a benzodiazepine, a gabapentinoid, a dopamine medicine or carbamazepine: routine. Taking valproate or topiramate: prompt.",
        "Embarazo, búsqueda de embarazo o lactancia, y toma de un opioide, una benzodiacepina, un gabapentinoide, una medicina dopaminérgica o carbamazepina: de rutina. Toma de valproato o topiramato: pronto.",
        sources::PREGNANCY_2015, ["risk.pregnancy_status", "risk.trying_to_conceive", "risk.breastfeeding", "medications"];
    OpioidSedative = "opioid_sedative" v 2,
        "An opioid together with a benzodiazepine, a z-drug, a barbiturate, a muscle relaxant or a gabapentinoid.",
        "Un opioide junto con una benzodiacepina, un fármaco Z, un barbitúrico, un relajante muscular o un gabapentinoide.",
        sources::FDA_2016, ["medications"];
    OpioidAlcohol = "opioid_alcohol" v 1,
        "An opioid together with alcohol.",
        "Un opioide junto con alcohol.",
        sources::FDA_2016, ["medications", "substances.alcohol_drinks_week"];
    OpioidSleepApnea = "opioid_sleep_apnea" v 1,
        "An opioid in sleep apnea.",
        "Un opioide con apnea del sueño.",
        sources::AASM_OPIOIDS, ["medications", "risk.sleep_apnea"];
    CompressionArterial = "compression_arterial" v 1,
        "Compression stockings are worn, and calf pain on walking or narrowed leg arteries are reported.",
        "Se usan medias de compresión y se informa de dolor en las pantorrillas al caminar o de arterias estrechas.",
        sources::COMPRESSION_2020, ["venous.compression_use", "venous.claudication_or_pad"];
    ImpulseBehavior = "impulse_behavior" v 3,
        "An urge under a dopamine medicine is reported, in the questions or as a side effect.",
        "Se informa de un impulso con una medicina dopaminérgica, en las preguntas o como efecto secundario.",
        sources::IMPULSE_CONTROL,
        ["impulse_control.gambling", "impulse_control.shopping", "impulse_control.eating", "impulse_control.sexual", "impulse_control.hobbyism_punding", "medications.side_effects", "follow_up.urges", "follow_up.side_effects"];
    SleepAttacks = "sleep_attacks" v 2,
        "Falling asleep without warning is reported.",
        "Se informa de quedarse dormido de repente.",
        sources::DOPAMINE_LABELS, ["impulse_control.sleep_attacks", "medications.side_effects", "follow_up.side_effects"];
    DrowsyDriving = "drowsy_driving" v 1,
        "Sleepiness while driving is reported.",
        "Se informa de sueño al conducir.",
        sources::DRIVING, ["sleep.drowsy_driving"];
    IronExcessReview = "iron_excess_review" v 2,
        "Iron is taken with ferritin above 300 ng/mL or TSAT above 45%. In kidney failure only TSAT counts.",
        "Se toma hierro con ferritina mayor de 300 ng/mL o saturación mayor de 45 %. En la insuficiencia renal terminal solo cuenta la saturación.",
        sources::IRON_LIMITS, ["labs", "medications", "risk.esrd", "risk.dialysis", "risk.ckd_stage"];
    WorseSinceVisit = "worse_since_visit" v 1,
        "Follow-up: the patient reports symptoms somewhat worse than at the last visit, or a severity at least 2 points above the answers before: routine. Much worse: prompt.",
        "Seguimiento: el paciente informa de síntomas algo peores que en la última visita, o de una intensidad al menos 2 puntos mayor que en las respuestas anteriores: de rutina. Mucho peores: pronto.",
        sources::CHANGE, ["follow_up.change", "symptoms.severity_0_10"];
    AugmentationReview = "augmentation_review" v 4,
        "Any feature of augmentation is reported, under a dopamine medicine or an opioid, or in a follow-up under any treatment.",
        "Se informa de alguna característica de aumento con una medicina dopaminérgica o un opioide, o en un seguimiento con cualquier tratamiento.",
        sources::AUGMENTATION,
        ["augmentation.earlier_onset", "augmentation.more_needed", "augmentation.increased_intensity", "augmentation.spread_to_other_sites", "augmentation.shorter_latency_at_rest", "augmentation.dose_increase_worsened", "follow_up.augmentation"];
    IronReview = "iron_review" v 2,
        "Adults: ferritin at most 75 ng/mL or TSAT below 20%, unless TSAT is above 45%.",
        "Adultos: ferritina de 75 ng/mL o menos o saturación menor de 20 %, salvo saturación mayor de 45 %.",
        sources::AASM_2025, ["labs", "risk.esrd", "risk.dialysis", "risk.ckd_stage"];
    IronReviewIntravenous = "iron_review_intravenous" v 1,
        "Adults: ferritin above 75 and at most 100 ng/mL. The guideline names intravenous iron only.",
        "Adultos: ferritina mayor de 75 y hasta 100 ng/mL. La guía nombra solo el hierro intravenoso.",
        sources::AASM_2025, ["labs", "risk.esrd", "risk.dialysis", "risk.ckd_stage"];
    IronReviewChild = "iron_review_child" v 1,
        "Under 18: ferritin below 50 ng/mL.",
        "Menores de 18 años: ferritina menor de 50 ng/mL.",
        sources::AASM_2025, ["labs"];
    IronReviewKidney = "iron_review_kidney" v 1,
        "End-stage kidney disease, stage 5 or dialysis: ferritin below 200 ng/mL and TSAT below 20%.",
        "Enfermedad renal terminal, etapa 5 o diálisis: ferritina menor de 200 ng/mL y saturación menor de 20 %.",
        sources::AASM_2025_KIDNEY, ["labs", "risk.esrd", "risk.dialysis", "risk.ckd_stage"];
    IronOverloadReview = "iron_overload_review" v 3,
        "No iron is taken now, and the sample is not from the weeks after an infusion: TSAT above 45% or ferritin above 300 ng/mL. Possible iron overload. In kidney failure only TSAT counts.",
        "No se toma hierro ahora, y la muestra no es de las semanas después de una infusión: saturación mayor de 45 % o ferritina mayor de 300 ng/mL. Posible exceso de hierro. En la insuficiencia renal terminal solo cuenta la saturación.",
        sources::OVERLOAD, ["labs", "medications", "risk.esrd", "risk.dialysis", "risk.ckd_stage"];
    GabapentinoidBreathing = "gabapentinoid_breathing" v 1,
        "A gabapentinoid with sleep apnea, chronic lung disease or an age of at least 65 years.",
        "Un gabapentinoide con apnea del sueño, enfermedad pulmonar crónica o 65 años o más.",
        sources::FDA_2019, ["medications", "risk.sleep_apnea", "risk.chronic_lung_disease"];
    KidneyDose = "kidney_dose" v 2,
        "Gabapentin, pregabalin or pramipexole in kidney disease of stage 4 or 5 or with dialysis. The dose depends on the kidney.",
        "Gabapentina, pregabalina o pramipexol con enfermedad renal en etapa 4 o 5 o con diálisis. La dosis depende del riñón.",
        sources::KIDNEY_LABELS, ["medications", "risk.ckd_stage", "risk.dialysis", "risk.esrd"];
    AggravatingDrug = "aggravating_drug" v 2,
        "A medicine of an aggravating class is taken.",
        "Se toma una medicina de una clase que agrava.",
        sources::SILBER_2021, ["medications"];
    MimicReview = "mimic_review" v 3,
        "Mimics are not reviewed, and one is reported or all four features are.",
        "No se revisaron otras causas, y se informa de una o de las cuatro características.",
        sources::CRITERIA_2014, ["mimics.leg_cramps", "mimics.positional_discomfort", "mimics.arthritis", "mimics.myalgia", "mimics.venous_stasis", "mimics.leg_edema", "mimics.habitual_foot_tapping", "mimics.neuropathy_symptoms", "mimics.akathisia_after_drug", "symptoms.urge_to_move_legs", "symptoms.urge_previously_present", "symptoms.worse_at_rest", "symptoms.rest_pattern_previously_present", "symptoms.relief_with_movement", "symptoms.relief_previously_present", "symptoms.worse_evening_or_night", "symptoms.evening_pattern_previously_present"];
    IronMonitoringDue = "iron_monitoring_due" v 4,
        "Iron is taken or was infused, and the next ferritin result is due: some weeks after the start or the last infusion, then some months after each result while the treatment lasts, and for two years after an infusion. A result from the first three quarters of those weeks does not count. The periods are settings.",
        "Se toma o se infundió hierro, y ya toca la próxima ferritina: unas semanas después del inicio o de la última infusión, y luego unos meses después de cada resultado mientras dure el tratamiento, y durante dos años después de una infusión. Un resultado de las primeras tres cuartas partes de esas semanas no cuenta. Los plazos son ajustes.",
        sources::MONITORING, ["labs", "medications"];
    FerritinOutOfDate = "ferritin_out_of_date" v 1,
        "The newest ferritin is older than 12 months.",
        "La ferritina más reciente tiene más de 12 meses.",
        sources::OUT_OF_DATE, ["labs"];
    RecheckDue = "recheck_due" v 1,
        "The day is reached on which the review of the answers wanted to look again.",
        "Llegó el día en que la revisión de las respuestas quería volver a mirar.",
        sources::RECHECK, [];
}

const fn computed(
    id: &'static str,
    version: u16,
    [en, es]: [&'static str; 2],
    source: Source,
    inputs: &'static [&'static str],
) -> Definition {
    Definition { id, version, en, es, source, inputs }
}

/// The rules that compute values without raising a flag.
const COMPUTED: &[Definition] = &[
    computed(
        "criteria",
        3,
        [
            "The five consensus criteria, three-valued. Criteria 1 to 4 are also met by history, such as before a treatment. Only a clinician judges the fifth, and then confirms the criteria or not.",
            "Los cinco criterios de consenso, con tres valores. Los criterios 1 a 4 también se cumplen por historia, como antes de un tratamiento. Solo un profesional juzga el quinto, y entonces confirma o no los criterios.",
        ],
        sources::CRITERIA_2014,
        &[
            "symptoms.urge_to_move_legs",
            "symptoms.urge_previously_present",
            "symptoms.worse_at_rest",
            "symptoms.rest_pattern_previously_present",
            "symptoms.relief_with_movement",
            "symptoms.relief_previously_present",
            "symptoms.worse_evening_or_night",
            "symptoms.evening_pattern_previously_present",
        ],
    ),
    computed(
        "first_degree_relative",
        1,
        [
            "A parent, sister, brother, son or daughter has restless legs. It supports the diagnosis of a child.",
            "La madre, el padre, una hermana, un hermano, un hijo o una hija tiene piernas inquietas. Apoya el diagnóstico de un niño.",
        ],
        sources::CHILDREN_2013,
        &["risk.family_history_rls", "risk.family_relations"],
    ),
    computed(
        "clinical_course",
        1,
        [
            "Chronic-persistent from two days a week without treatment on average over a year; intermittent below, with at least five events in life.",
            "Crónico persistente desde dos días por semana sin tratamiento en promedio durante un año; intermitente por debajo, con al menos cinco episodios en la vida.",
        ],
        sources::CRITERIA_2014,
        &["symptoms.days_per_week_untreated", "symptoms.lifetime_episodes_5_or_more"],
    ),
    computed(
        "clinical_significance",
        1,
        [
            "Moderate or severe impact counts as clinically significant.",
            "Una repercusión moderada o intensa cuenta como clínicamente significativa.",
        ],
        sources::SIGNIFICANCE,
        &["symptoms.impact_level"],
    ),
    computed(
        "irls_band",
        1,
        [
            "IRLS total: 0 none, 1–10 mild, 11–20 moderate, 21–30 severe, 31–40 very severe. No total unless all ten items are answered.",
            "Total IRLS: 0 ninguna, 1–10 leve, 11–20 moderada, 21–30 intensa, 31–40 muy intensa. Sin las diez respuestas no hay total.",
        ],
        sources::IRLS_2003,
        &["irls.items"],
    ),
    computed(
        "iron_review_band",
        3,
        [
            "The band of the newest valid ferritin and TSAT; of several values of one day, the last entered. A sample older than 12 months never gives \"above thresholds\".",
            "El grupo de la ferritina y la saturación válidas más recientes; de varios valores de un día, el último anotado. Una muestra de más de 12 meses nunca da «por encima de los umbrales».",
        ],
        sources::AASM_2025,
        &["labs", "risk.esrd", "risk.dialysis", "risk.ckd_stage"],
    ),
    computed(
        "iron_sample_doubts",
        2,
        [
            "Iron and TSAT are doubtful if iron was taken within 24 hours, and a ferritin is unreliable during infection or inflammation, or with a CRP above 5 mg/L of the same day. Values older than 12 months are out of date.",
            "El hierro y la saturación son dudosos si se tomó hierro en las 24 horas anteriores, y la ferritina no es fiable con infección o inflamación, o con una PCR mayor de 5 mg/L del mismo día. Los valores de más de 12 meses están desactualizados.",
        ],
        sources::SAMPLES,
        &["labs", "risk.infection_or_inflammation"],
    ),
    computed(
        "trimester",
        1,
        [
            "Up to 13 weeks the first, 14 to 27 the second, from 28 the third. Symptoms are often worst in the third.",
            "Hasta 13 semanas el primero, de 14 a 27 el segundo, desde 28 el tercero. Los síntomas suelen ser más intensos en el tercero.",
        ],
        sources::TRIMESTER,
        &["risk.pregnancy_status", "risk.gestational_weeks", "risk.estimated_due_date"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_names_fields_of_the_form_and_a_source_in_both_languages() {
        let fields = crate::answers::all_fields();
        let with_children = fields.iter().flat_map(|field| std::iter::once(field.clone()).chain(field.children()));
        let known: Vec<String> = with_children.map(|field| field.id).collect();
        let mut seen = std::collections::HashSet::new();
        for rule in rules() {
            assert!(seen.insert(rule.id.clone()), "{} is there twice", rule.id);
            for input in &rule.inputs {
                assert!(known.contains(input), "{} uses {input}", rule.id);
            }
            assert!(rule.meaning.en.is_some_and(|text| !text.is_empty()) && rule.meaning.es.is_some(), "{}", rule.id);
            assert!(!rule.source.to_lowercase().contains("clinic rule"), "{}", rule.id);
        }
    }

    #[test]
    fn a_rule_has_the_address_of_a_publication_or_says_why_it_is_a_judgement() {
        for rule in rules() {
            if rule.strength == RuleStrength::ClinicJudgement {
                assert!(rule.source.starts_with("Clinic judgement: ") && rule.url.is_none(), "{}", rule.id);
            } else {
                assert!(rule.url.is_some_and(|url| url.starts_with("https://")), "{}", rule.id);
            }
        }
    }
}
