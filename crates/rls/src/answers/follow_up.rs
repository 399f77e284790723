//! What the follow-up asks beside the repeated questions about symptoms, in words of this service.

use super::{ChangeSinceVisit, SideEffect, YesNo};
use crate::form_dsl::{ask, section};

section! {
    /// What changed since the last visit. Only the follow-up asks for it.
    FollowUp {
        /// How the symptoms changed since the last visit.
        change: ChangeSinceVisit = ask(
            "Compared with your last visit, how are your restless legs?",
            "En comparación con su última visita, ¿cómo están sus piernas inquietas?",
        ).required(),
        /// Whether any feature of augmentation appeared since the present treatment began: earlier onset, more intensity
        /// or spread.
        augmentation: YesNo = ask(
            "Since you began your present treatment, do the symptoms begin earlier in the day, feel stronger, or reach other parts of your body?",
            "Desde que empezó su tratamiento actual, ¿los síntomas empiezan más temprano en el día, son más fuertes o llegan a otras partes del cuerpo?",
        ).required(),
        /// Whether there are urges that are new or stronger.
        urges: YesNo = ask(
            "Have you noticed new or stronger urges that are hard to resist, such as to gamble, shop, eat or have sex?",
            "¿Ha notado impulsos nuevos o más fuertes, difíciles de resistir, como apostar, comprar, comer o tener sexo?",
        ).help("This can come with some medicines and is not your fault.", "Puede aparecer con algunas medicinas y no es culpa suya.")
            .required().private_for_minors(),
        /// Whether the treatment has side effects.
        has_side_effects: YesNo = ask(
            "Does your treatment cause side effects?",
            "¿Le causa su tratamiento efectos secundarios?",
        ).required(),
        /// The side effects.
        side_effects: Vec<SideEffect> = ask("Which side effects?", "¿Cuáles?")
            .when("follow_up.has_side_effects", &["yes"]).required(),
    }
}
