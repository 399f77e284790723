//! Texts about flags: notices for the person who saves answers, and texts for staff. They never state a finding, such
//! as "DVT suspected", "you have" or "normal".

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Language;
use super::flags::{Flag, Rule, Urgency};

/// A text to show at once to the person who saves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsNotice)]
pub struct FlagNotice {
    /// The rule that raised the flag. The first one, if several have the same text.
    pub rule: Rule,
    /// How long it may wait.
    pub urgency: Urgency,
    /// The text, in the patient's language.
    #[schema(examples("Call 911 now. Do not wait for an answer to this form: it is not watched in real time."))]
    pub text: String,
}

/// The telephone numbers of a location and its country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneNumbers {
    /// The emergency number, such as 911 or 112.
    pub emergency: String,
    /// The crisis line, such as 988.
    pub crisis: String,
    /// The clinic's own number.
    pub clinic: String,
}

/// Returns the notices of the flags, most urgent first. Pass the flags of a [`super::View`], because a notice must not
/// reveal private answers to a guardian of a minor. Routine flags have no notice, except that an aggravating medicine
/// must not be stopped without the prescriber. A text that several flags share comes once.
pub fn flag_notices(flags: &[Flag], language: Language, numbers: &PhoneNumbers) -> Vec<FlagNotice> {
    let mut flags = flags.to_vec();
    flags.sort_by_key(|flag| (flag.urgency, flag.rule));
    let text = |flag: &Flag| match language {
        Language::English => english(*flag, numbers),
        Language::Spanish => spanish(*flag, numbers),
    };
    let mut notices: Vec<FlagNotice> = Vec::new();
    for flag in &flags {
        if let Some(text) = text(flag).filter(|text| notices.iter().all(|shown| shown.text != *text)) {
            notices.push(FlagNotice { rule: flag.rule, urgency: flag.urgency, text });
        }
    }
    notices
}

/// What a prompt notice is about.
enum PromptTopic {
    Driving,
    Urges,
    Medicines,
    Iron,
    Compression,
    Worse,
    OpenSafetyQuestion,
}

/// Returns the topic of a rule's prompt notice. Names each rule, so that a new one does not get an unsuitable text.
fn prompt_topic(rule: Rule) -> PromptTopic {
    match rule {
        Rule::DrowsyDriving | Rule::SleepAttacks => PromptTopic::Driving,
        Rule::ImpulseBehavior => PromptTopic::Urges,
        Rule::PregnancyMedication | Rule::OpioidSedative | Rule::OpioidAlcohol | Rule::OpioidSleepApnea => {
            PromptTopic::Medicines
        }
        Rule::CompressionArterial => PromptTopic::Compression,
        Rule::WorseSinceVisit => PromptTopic::Worse,
        Rule::IronExcessReview => PromptTopic::Iron,
        Rule::SelfHarmThoughts
        | Rule::ChestPainBreathlessness
        | Rule::SuddenColdPaleLeg
        | Rule::NewWeaknessSaddleBladderBowel
        | Rule::AcuteUnilateralLegSymptoms
        | Rule::BleedingVein
        | Rule::SpreadingHotRedness
        | Rule::OpenLegUlcer
        | Rule::BreathingSideEffect
        | Rule::HemoglobinBelow8
        | Rule::AugmentationReview
        | Rule::IronReview
        | Rule::IronReviewIntravenous
        | Rule::IronReviewChild
        | Rule::IronReviewKidney
        | Rule::IronOverloadReview
        | Rule::GabapentinoidBreathing
        | Rule::KidneyDose
        | Rule::AggravatingDrug
        | Rule::MimicReview
        | Rule::IronMonitoringDue
        | Rule::FerritinOutOfDate
        | Rule::RecheckDue => PromptTopic::OpenSafetyQuestion,
    }
}

fn english(flag: Flag, numbers: &PhoneNumbers) -> Option<String> {
    let PhoneNumbers { emergency, crisis, clinic } = numbers;
    if flag.rule == Rule::SelfHarmThoughts {
        return Some(format!(
            "You are not alone with this. If you might act on these thoughts, call {emergency} now. You can call the crisis line at {crisis} at any time. The clinic will call you; this form is not watched in real time."
        ));
    }
    match flag.urgency {
        Urgency::Emergency => Some(format!(
            "Call {emergency} now{}. Do not wait for an answer to this form: it is not watched in real time.",
            if flag.rule == Rule::BleedingVein {
                ", lie down, raise the leg and press firmly on the place"
            } else {
                ""
            }
        )),
        Urgency::SameDay => Some(format!(
            "{}Call us today at {clinic}; if we are closed, go to urgent care or an emergency department. If it gets worse, call {emergency}.",
            if flag.rule == Rule::BleedingVein {
                "Lie down, raise the leg and press firmly on the place. "
            } else {
                ""
            }
        )),
        Urgency::Prompt => Some(match prompt_topic(flag.rule) {
            PromptTopic::Driving => {
                "Please do not drive while you are sleepy. The clinic will talk with you about it.".to_owned()
            }
            PromptTopic::Urges => format!(
                "Urges like these can come with some medicines for restless legs and are not your fault. Do not stop a medicine by yourself; call us at {clinic} to talk about it before your visit."
            ),
            PromptTopic::Medicines => format!(
                "Your medicines may be worth reviewing before your visit. Do not stop any without your prescriber; call your prescriber, or us at {clinic}."
            ),
            PromptTopic::Iron => {
                format!("Your iron treatment may be worth reviewing before your visit. Please call us at {clinic}.")
            }
            PromptTopic::Compression => format!(
                "Your compression stockings may be worth reviewing before your visit. Please call us at {clinic} before you wear them again."
            ),
            PromptTopic::Worse => format!(
                "Thank you for telling us. Please call us at {clinic} about an earlier visit. Do not change your medicines by yourself."
            ),
            PromptTopic::OpenSafetyQuestion => format!(
                "One of the safety questions is open. If it might apply to you, call us today at {clinic}; in an emergency call {emergency}."
            ),
        }),
        Urgency::Routine if flag.rule == Rule::AggravatingDrug => {
            Some("One of your medicines may be worth reviewing; do not stop it without your prescriber.".to_owned())
        }
        Urgency::Routine => None,
    }
}

fn spanish(flag: Flag, numbers: &PhoneNumbers) -> Option<String> {
    let PhoneNumbers { emergency, crisis, clinic } = numbers;
    if flag.rule == Rule::SelfHarmThoughts {
        return Some(format!(
            "No está solo con esto. Si cree que podría hacerse daño, llame ya al {emergency}. Puede llamar a la línea de crisis, {crisis}, a cualquier hora. La clínica le llamará; nadie vigila este formulario en tiempo real."
        ));
    }
    match flag.urgency {
        Urgency::Emergency => Some(format!(
            "Llame ya al {emergency}{}. No espere respuesta a este formulario: nadie lo vigila en tiempo real.",
            if flag.rule == Rule::BleedingVein { ", acuéstese, levante la pierna y presione con fuerza" } else { "" }
        )),
        Urgency::SameDay => Some(format!(
            "{}Llámenos hoy al {clinic}; si está cerrado, vaya a un centro de urgencias o a una sala de emergencias. Si empeora, llame al {emergency}.",
            if flag.rule == Rule::BleedingVein { "Acuéstese, levante la pierna y presione con fuerza. " } else { "" }
        )),
        Urgency::Prompt => Some(match prompt_topic(flag.rule) {
            PromptTopic::Driving => {
                "Por favor, no conduzca mientras tenga sueño. La clínica hablará con usted sobre esto.".to_owned()
            }
            PromptTopic::Urges => format!(
                "Estos impulsos pueden aparecer con algunas medicinas para las piernas inquietas y no son culpa suya. No deje ninguna medicina por su cuenta; llámenos al {clinic} para hablarlo antes de su visita."
            ),
            PromptTopic::Medicines => format!(
                "Puede valer la pena revisar sus medicinas antes de su visita. No deje ninguna sin hablar con quien se la recetó; llame a esa persona o a nosotros al {clinic}."
            ),
            PromptTopic::Iron => format!(
                "Puede valer la pena revisar su tratamiento con hierro antes de su visita. Por favor, llámenos al {clinic}."
            ),
            PromptTopic::Compression => format!(
                "Puede valer la pena revisar sus medias de compresión antes de su visita. Por favor, llámenos al {clinic} antes de volver a usarlas."
            ),
            PromptTopic::Worse => format!(
                "Gracias por decírnoslo. Por favor, llámenos al {clinic} para adelantar su visita. No cambie sus medicinas por su cuenta."
            ),
            PromptTopic::OpenSafetyQuestion => format!(
                "Queda abierta una de las preguntas de seguridad. Si pudiera ser su caso, llámenos hoy al {clinic}; en una emergencia llame al {emergency}."
            ),
        }),
        Urgency::Routine if flag.rule == Rule::AggravatingDrug => Some(
            "Puede valer la pena revisar una de sus medicinas; no la deje sin hablar con quien se la recetó."
                .to_owned(),
        ),
        Urgency::Routine => None,
    }
}

/// Returns the text of a flag for staff.
pub fn staff_text(flag: Flag) -> String {
    format!("{}; clinician review requested.", reported(flag.rule, flag.urgency))
}

fn reported(rule: Rule, urgency: Urgency) -> &'static str {
    let safety_question_open = urgency == Urgency::Prompt;
    match rule {
        Rule::ChestPainBreathlessness
        | Rule::SuddenColdPaleLeg
        | Rule::NewWeaknessSaddleBladderBowel
        | Rule::AcuteUnilateralLegSymptoms
        | Rule::BleedingVein
        | Rule::SpreadingHotRedness
        | Rule::SelfHarmThoughts
            if safety_question_open =>
        {
            "Patient did not know or declined to answer a safety question"
        }
        Rule::ChestPainBreathlessness => "Patient reported chest pain, breathlessness or coughing blood",
        Rule::SuddenColdPaleLeg => "Patient reported a leg suddenly cold and pale",
        Rule::NewWeaknessSaddleBladderBowel => {
            "Patient reported new weakness, saddle numbness, or bladder or bowel trouble"
        }
        Rule::AcuteUnilateralLegSymptoms => "Patient reported new swelling, pain, warmth or redness of one leg",
        Rule::BleedingVein => "Patient reported a bleeding vein",
        Rule::SpreadingHotRedness => "Patient reported spreading hot redness",
        Rule::OpenLegUlcer if safety_question_open => {
            "Patient reported a long-standing open sore on a leg, or left the question open"
        }
        Rule::OpenLegUlcer => "Patient reported an open sore on a leg",
        Rule::SelfHarmThoughts => "Patient reported thoughts of self-harm",
        Rule::BreathingSideEffect => "Patient reported trouble breathing as a side effect",
        Rule::HemoglobinBelow8 => "A hemoglobin below 8.0 g/dL was reported",
        Rule::PregnancyMedication => {
            "Patient reported a pregnancy, a wish for one or breastfeeding, and a medicine to review for it"
        }
        Rule::OpioidSedative => "Patient reported an opioid with another medicine that can slow breathing",
        Rule::OpioidAlcohol => "Patient reported an opioid and alcohol",
        Rule::CompressionArterial => "Patient reported compression stockings and signs of arterial disease",
        Rule::OpioidSleepApnea => "Patient reported an opioid and sleep apnea",
        Rule::ImpulseBehavior => "Patient reported urges that are new or stronger",
        Rule::SleepAttacks => "Patient reported falling asleep without warning",
        Rule::DrowsyDriving => "Patient reported sleepiness while driving",
        Rule::IronExcessReview => "Iron is taken with ferritin above 300 ng/mL or TSAT above 45%",
        Rule::WorseSinceVisit => "Patient reported symptoms worse than before",
        Rule::AugmentationReview => "Patient reported features of augmentation",
        Rule::IronReview => "Reported ferritin is at most 75 ng/mL, or TSAT is below 20%",
        Rule::IronReviewIntravenous => "Reported ferritin is above 75 and at most 100 ng/mL",
        Rule::IronReviewChild => "Under 18: reported ferritin is below 50 ng/mL",
        Rule::IronReviewKidney => "Kidney failure: reported ferritin is below 200 ng/mL and TSAT below 20%",
        Rule::IronOverloadReview => {
            "TSAT above 45% or ferritin above 300 ng/mL, and no iron is taken now: possible iron overload"
        }
        Rule::GabapentinoidBreathing => "Patient reported a gabapentinoid and a risk for breathing",
        Rule::KidneyDose => "Patient reported kidney disease and a medicine whose dose depends on the kidney",
        Rule::AggravatingDrug => "Patient reported a medicine that can aggravate restless legs",
        Rule::MimicReview => "Conditions that can mimic restless legs are not ruled out",
        Rule::IronMonitoringDue => "Iron is taken or was infused, and the next ferritin is due",
        Rule::FerritinOutOfDate => "The newest ferritin is older than 12 months",
        Rule::RecheckDue => "The day is reached on which the review wanted to look again",
    }
}
