//! The safety questions. They come first, and every save of a draft evaluates them.

use super::YesNo;
use crate::form_dsl::{ask, section};

section! {
    /// Safety questions: symptoms that cannot wait for the visit.
    Safety {
        /// Chest pain, breathlessness or coughing blood, now or in the last few days: may be a clot in the lung or the
        /// heart. Yes: emergency.
        chest_pain_breathlessness: YesNo = ask(
            "Do you have chest pain or trouble breathing, or do you cough up blood, now or in the last few days?",
            "¿Tiene dolor en el pecho o dificultad para respirar, o tose sangre, ahora o en los últimos días?",
        ).required(),
        /// A leg that suddenly became cold and pale, with or without pain: may be a blocked artery. Yes: emergency.
        sudden_cold_pale_leg: YesNo = ask(
            "Has a leg suddenly become cold and pale?",
            "¿Se le ha puesto de repente una pierna fría y pálida?",
        ).required(),
        /// New weakness of a leg, numbness between the legs, or loss of control of bladder or bowel. Yes: emergency.
        new_weakness_saddle_bladder_bowel: YesNo = ask(
            "Do you have new weakness in a leg, numbness between the legs, or new trouble controlling bladder or bowel?",
            "¿Tiene debilidad nueva en una pierna, entumecimiento entre las piernas o problemas nuevos para controlar la orina o las heces?",
        ).required(),
        /// New within 14 days: swelling, pain, warmth or redness of one leg. Yes: same day; together with chest pain or
        /// breathlessness an emergency.
        acute_unilateral_leg_symptoms: YesNo = ask(
            "In the last 14 days, has one leg become swollen, painful, warm or red?",
            "En los últimos 14 días, ¿se le ha hinchado, puesto caliente o roja, o le ha empezado a doler una sola pierna?",
        ).required(),
        /// A vein that bleeds or bled. Yes: same day.
        bleeding_vein: YesNo = ask(
            "Is a vein in your leg bleeding, or has one bled recently?",
            "¿Le sangra una vena de la pierna, o le ha sangrado hace poco?",
        ).required(),
        /// Bleeding that does not stop under pressure. Yes or unknown: emergency.
        bleeding_vein_uncontrolled: YesNo = ask(
            "Does it go on bleeding although you press on it and raise the leg?",
            "¿Sigue sangrando aunque presione y levante la pierna?",
        ).when("safety.bleeding_vein", &["yes"]).required(),
        /// Redness that spreads, with heat. Yes: same day.
        spreading_hot_redness: YesNo = ask(
            "Is there redness on a leg that feels hot and is spreading?",
            "¿Tiene en una pierna un enrojecimiento caliente que se extiende?",
        ).required(),
        /// An open sore on a leg. Yes: same day if it is new or worse, prompt if it is long-standing.
        open_leg_ulcer: YesNo = ask(
            "Do you have an open sore on a leg?",
            "¿Tiene una llaga abierta en una pierna?",
        ).required(),
        /// Whether the open sore is new or has become worse. Anything but no: same day.
        open_leg_ulcer_new_or_worse: YesNo = ask(
            "Is the sore new, or has it become worse?",
            "¿La llaga es nueva o ha empeorado?",
        ).when("safety.open_leg_ulcer", &["yes"]).required(),
        /// Thoughts of harming oneself. Yes: same day, and the response shows the crisis line.
        self_harm_thoughts: YesNo = ask(
            "Do you have thoughts of harming yourself?",
            "¿Tiene pensamientos de hacerse daño?",
        ).required().private_for_minors(),
    }
}
