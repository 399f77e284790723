//! Medicines, allergies, substances, lifestyle, and effects of dopamine medicines.

use super::{
    DoseIncrease, DoseUnit, HabitFrequency, Measure, MedicationStatus, MedicineClass, Nicotine, NumberStatus, Route,
    SideEffect, TreatmentResponse, YesNo,
};
use crate::form_dsl::{Decimal, LongText, PartialDate, ShortText, TimeOfDay, ask, section, status};
use crate::medicine_names::{ever_dopaminergic, ever_dopaminergic_or_opioid};

section! {
    /// A medicine: one that is taken now, or one that was ever taken for restless legs.
    Medication {
        /// The name as the patient knows it, generic or brand.
        name: ShortText<200> = ask("What is the medicine called?", "¿Cómo se llama la medicina?").required(),
        /// The RxNorm concept id, if the sender has it; never guessed.
        rxnorm: ShortText<20> = ask("Which RxNorm code does it have?", "¿Qué código RxNorm tiene?")
            .help("Leave it out. A program fills it in.", "Déjelo en blanco. Lo llena un programa."),
        /// The class. Optional: the service looks up exact names in its own table.
        class: MedicineClass = ask("What kind of medicine is it?", "¿Qué tipo de medicina es?")
            .help("Leave it out if you do not know it.", "Déjelo en blanco si no lo sabe."),
        /// The amount of one dose.
        dose: Decimal<0, 100_000> = ask("How much do you take at a time?", "¿Cuánto toma cada vez?"),
        /// The dose's unit.
        unit: DoseUnit = ask("In which unit?", "¿En qué unidad?"),
        /// How often.
        frequency: ShortText<100> = ask("How often do you take it?", "¿Con qué frecuencia la toma?"),
        /// Route of administration.
        route: Route = ask("How do you take it?", "¿Cómo la toma?"),
        /// When it was started, as far as known.
        started_on: PartialDate = ask("When did you start it?", "¿Cuándo la empezó?").in_past(),
        /// When it was stopped, as far as known.
        stopped_on: PartialDate = ask("When did you stop it?", "¿Cuándo la dejó?").when("medications.status", &["stopped"]).in_past(),
        /// Whether it is taken now.
        status: MedicationStatus = ask("Do you take it now?", "¿La toma ahora?").required(),
        /// Whether it is or was taken for restless legs.
        for_rls: YesNo = ask("Is it, or was it, for restless legs?", "¿Es o era para las piernas inquietas?"),
        /// How the restless legs changed under it.
        response: TreatmentResponse = ask("How did the restless legs change?", "¿Cómo cambiaron las piernas inquietas?"),
        /// Unwanted effects.
        side_effects: Vec<SideEffect> = ask("Which side effects does it have, or did it have?", "¿Qué efectos secundarios tiene o tuvo?"),
        /// Why it was stopped.
        stop_reason: LongText<500> = ask("Why did you stop it?", "¿Por qué la dejó?").when("medications.status", &["stopped"]),
    }
}

section! {
    /// An allergy or intolerance.
    Allergy {
        /// The substance.
        substance: ShortText<200> = ask("To what?", "¿A qué?").required(),
        /// The reaction.
        reaction: LongText<500> = ask("What happened?", "¿Qué pasó?"),
    }
}

section! {
    /// Caffeine, alcohol, nicotine.
    Substances {
        /// Drinks with caffeine a day.
        caffeine_drinks_day: Decimal<0, 30> = ask(
            "How many drinks with caffeine do you have in a day (coffee, tea, cola, energy drinks)?",
            "¿Cuántas bebidas con cafeína toma al día (café, té, cola, bebidas energéticas)?",
        ).unit("/d"),
        /// Why `caffeine_drinks_day` is missing.
        caffeine_drinks_day_status: NumberStatus = status(),
        /// Caffeine a day in milligrams, instead of drinks.
        caffeine_mg_day: Decimal<0, 2000> = ask("How much caffeine is that in a day, if you know the milligrams?", "¿Cuánta cafeína es al día, si sabe los miligramos?")
            .unit("mg/d"),
        /// Why `caffeine_mg_day` is missing.
        caffeine_mg_day_status: NumberStatus = status(),
        /// When the last caffeine of the day is taken.
        caffeine_last_time: TimeOfDay = ask("At what time is the last one?", "¿A qué hora toma la última?"),
        /// Alcoholic drinks a week.
        alcohol_drinks_week: Decimal<0, 200> = ask("How many alcoholic drinks do you have in a week?", "¿Cuántas bebidas alcohólicas toma a la semana?").unit("/wk")
            .private_for_minors(),
        /// Why `alcohol_drinks_week` is missing.
        alcohol_drinks_week_status: NumberStatus = status().private_for_minors(),
        /// Use of nicotine.
        nicotine: Nicotine = ask("Do you use tobacco or nicotine?", "¿Usa tabaco o nicotina?").private_for_minors(),
    }
}

section! {
    /// A lifestyle measure.
    LifestyleMeasure {
        /// Which measure.
        measure: Measure = ask("Which habit is it?", "¿Qué hábito es?").required(),
        /// Whether it was tried.
        tried: YesNo = ask("Have you tried it?", "¿Lo ha intentado?"),
        /// Whether it helped.
        helped: YesNo = ask("Did it help?", "¿Le ayudó?").when("lifestyle.tried", &["yes"]),
        /// How often it is done now.
        how_often: HabitFrequency = ask("How often do you do it now?", "¿Con qué frecuencia lo hace ahora?").when("lifestyle.tried", &["yes"]),
    }
}

section! {
    /// Changes under a dopamine medicine, which can be augmentation. Asked if one was ever taken. The service counts
    /// the answers; the count is not a validated score.
    Augmentation {
        /// The symptoms begin earlier in the day than before the medicine.
        earlier_onset: YesNo = ask(
            "Do the symptoms begin earlier in the day than before the medicine?",
            "¿Los síntomas empiezan más temprano que antes de la medicina?",
        ).given(ever_dopaminergic_or_opioid()),
        /// The time of day at which they began before the medicine.
        onset_time_before_treatment: TimeOfDay = ask(
            "At what time of day did they begin before it?",
            "¿A qué hora empezaban antes?",
        ).when("augmentation.earlier_onset", &["yes"]),
        /// A higher dose is needed than at first, or an earlier intake.
        more_needed: YesNo = ask(
            "Do you now need a higher dose than at first, or to take the medicine earlier in the day?",
            "¿Necesita ahora una dosis mayor que al principio, o tomar la medicina más temprano en el día?",
        ).given(ever_dopaminergic_or_opioid()),
        /// The symptoms are stronger than before the medicine.
        increased_intensity: YesNo = ask("Are they stronger than before it?", "¿Son más fuertes que antes?")
            .given(ever_dopaminergic_or_opioid()),
        /// The symptoms spread to other parts of the body.
        spread_to_other_sites: YesNo = ask(
            "Have they spread to other parts of the body?",
            "¿Se han extendido a otras partes del cuerpo?",
        ).given(ever_dopaminergic_or_opioid()),
        /// At rest the symptoms come sooner.
        shorter_latency_at_rest: YesNo = ask(
            "When you sit or lie down, do they come sooner than before it?",
            "Al sentarse o acostarse, ¿aparecen más pronto que antes?",
        ).given(ever_dopaminergic_or_opioid()),
        /// A higher dose made it worse. It does not apply if the dose was never raised, which is an answer of its own.
        dose_increase_worsened: DoseIncrease = ask("If the dose was raised, did the higher dose make it worse?", "Si le subieron la dosis, ¿empeoró con la dosis mayor?")
            .given(ever_dopaminergic_or_opioid()),
    }
}

section! {
    /// Urges under a dopamine medicine. Asked if one was ever taken. Any yes: prompt.
    ImpulseControl {
        /// Gambling.
        gambling: YesNo = ask("Do you have a new or stronger urge to gamble?", "¿Tiene un impulso nuevo o más fuerte de apostar?").given(ever_dopaminergic()).private_for_minors(),
        /// Shopping.
        shopping: YesNo = ask("Do you have a new or stronger urge to shop?", "¿Tiene un impulso nuevo o más fuerte de comprar?").given(ever_dopaminergic()).private_for_minors(),
        /// Eating.
        eating: YesNo = ask("Do you have a new or stronger urge to eat?", "¿Tiene un impulso nuevo o más fuerte de comer?").given(ever_dopaminergic()).private_for_minors(),
        /// Sexual urges.
        sexual: YesNo = ask("Do you have new or stronger sexual urges?", "¿Tiene impulsos sexuales nuevos o más fuertes?").given(ever_dopaminergic()).private_for_minors(),
        /// Excessive hobbies or punding.
        hobbyism_punding: YesNo = ask(
            "Do you spend hours on hobbies, or on sorting and handling things, more than before?",
            "¿Pasa horas con pasatiempos, u ordenando y manipulando cosas, más que antes?",
        ).given(ever_dopaminergic()).private_for_minors(),
        /// Falling asleep suddenly and without warning.
        sleep_attacks: YesNo = ask(
            "Do you fall asleep suddenly, without warning?",
            "¿Se queda dormido de repente, sin aviso?",
        ).given(ever_dopaminergic()),
    }
}
