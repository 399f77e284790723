//! Symptoms after the IRLSSG 2014 consensus criteria, in words of this service, and the scores of the rating scale.

use jiff::civil::Date;

use super::{BodySite, ImpactDomain, ImpactLevel, IrlsMode, NumberStatus, Sensation, YesNo};
use crate::form_dsl::{
    Condition, Decimal, Integer, LongText, Operator, PartialDate, ShortText, Test, TimeOfDay, ask, section, status,
};

section! {
    /// Symptoms and how they behave. Source of the criteria C1 to C5: IRLSSG consensus 2014.
    Symptoms {
        /// C1: an urge to move the legs.
        urge_to_move_legs: YesNo = ask(
            "Do you feel an urge to move your legs?",
            "¿Siente la necesidad de mover las piernas?",
        ).required(),
        /// C1: the urge was there before a treatment; only asked if it is not there now.
        urge_previously_present: YesNo = ask(
            "Did you feel it before a treatment, or in earlier years?",
            "¿La sentía antes de un tratamiento o en años anteriores?",
        ).when("symptoms.urge_to_move_legs", &["no"]),
        /// C1: what accompanies the urge. Sensations are not essential. `none` excludes the others.
        sensations: Vec<Sensation> = ask("What do your legs feel like then?", "¿Qué siente entonces en las piernas?"),
        /// How a child describes it. Criteria of a child rest on the child's own words.
        childs_own_words: LongText<500> = ask(
            "If the patient is a child: how does the child describe it?",
            "Si el paciente es un niño o una niña: ¿cómo lo describe?",
        ).help("Please use the child's own words.", "Con sus propias palabras, por favor.").minors_only(),
        /// Where the symptoms are.
        body_sites: Vec<BodySite> = ask("Where do you feel it?", "¿Dónde lo siente?"),
        /// C2: it begins or becomes worse at rest, lying or sitting.
        worse_at_rest: YesNo = ask(
            "Does it begin or get worse when you rest, lying or sitting?",
            "¿Empieza o empeora cuando descansa, acostado o sentado?",
        ).required(),
        /// C2: it began or became worse at rest before a treatment; only asked if it does not now.
        rest_pattern_previously_present: YesNo = ask(
            "Did it begin or get worse at rest before a treatment, or in earlier years?",
            "¿Empezaba o empeoraba al descansar antes de un tratamiento o en años anteriores?",
        ).when("symptoms.worse_at_rest", &["no"]),
        /// C3: moving relieves it, at least while moving.
        relief_with_movement: YesNo = ask(
            "Does it get better while you walk or stretch?",
            "¿Mejora mientras camina o se estira?",
        ).required(),
        /// C3: moving relieved it in earlier years; only asked if it does not now.
        relief_previously_present: YesNo = ask(
            "Did moving help in earlier years?",
            "¿Le ayudaba moverse en años anteriores?",
        ).when("symptoms.relief_with_movement", &["no"]).required(),
        /// C4: only or more in the evening or at night.
        worse_evening_or_night: YesNo = ask(
            "Is it worse in the evening or at night than during the day?",
            "¿Es peor al anochecer o por la noche que durante el día?",
        ).required(),
        /// C4: it was worse in the evening or at night in earlier years; only asked if it is not now.
        evening_pattern_previously_present: YesNo = ask(
            "Was it worse in the evening or at night in earlier years?",
            "¿Era peor al anochecer o por la noche en años anteriores?",
        ).when("symptoms.worse_evening_or_night", &["no"]).required(),
        /// When the symptoms began, as far as known.
        symptom_onset_date: PartialDate = ask("When did it begin?", "¿Cuándo empezó?")
            .help("The year is enough.", "Basta con el año.").in_past(),
        /// Days a week with symptoms, averaged over the past year, without treatment. 2 and more: chronic-persistent.
        days_per_week_untreated: Decimal<0, 7> = ask(
            "Without treatment, on how many days a week do you have it, on average over the past year?",
            "Sin tratamiento, ¿cuántos días a la semana lo tiene, en promedio durante el último año?",
        ).unit("d/wk").required(),
        /// Why `days_per_week_untreated` is missing: people treated for years cannot know it.
        days_per_week_untreated_status: NumberStatus = status(),
        /// Days a week with symptoms in the last month, with the current treatment.
        days_per_week_treated: Decimal<0, 7> = ask(
            "With your current treatment, on how many days a week have you had it in the last month?",
            "Con su tratamiento actual, ¿cuántos días a la semana lo ha tenido en el último mes?",
        ).help("Leave it out if you take nothing for it.", "Déjelo en blanco si no toma nada para esto.").unit("d/wk"),
        /// Why `days_per_week_treated` is missing.
        days_per_week_treated_status: NumberStatus = status(),
        /// At least five times in life; asked if it is less than twice a week.
        lifetime_episodes_5_or_more: YesNo = ask(
            "Have you had it at least five times in your life?",
            "¿Lo ha tenido al menos cinco veces en su vida?",
        ).given(Condition { any: vec![Test { field: "symptoms.days_per_week_untreated", op: Operator::Below(2) }] }).required(),
        /// The time of day at which it usually begins: the baseline for augmentation.
        usual_onset_time: TimeOfDay = ask("At what time of day does it usually begin?", "¿A qué hora suele empezar?"),
        /// How much it disturbs life.
        impact_level: ImpactLevel = ask(
            "How much does it disturb your life?",
            "¿Cuánto afecta a su vida?",
        ).required(),
        /// What it disturbs.
        impact_domains: Vec<ImpactDomain> = ask("What does it disturb?", "¿Qué afecta?")
            .when("symptoms.impact_level", &["mild", "moderate", "severe"]).required(),
        /// How bothersome it is, 0 (not at all) to 10 (as much as can be). A question of this service, not part of the
        /// IRLS. Required where the clinic has no licence for the IRLS, unless a clinician gives the scores of its items.
        severity_0_10: Integer<0, 10> = ask(
            "How bothersome has it been in the last week, from 0 (not at all) to 10 (as much as can be)?",
            "¿Cuánto le ha molestado en la última semana, de 0 (nada) a 10 (lo máximo posible)?",
        ),
        /// Why `severity_0_10` is missing.
        severity_0_10_status: NumberStatus = status(),
    }
}

section! {
    /// The IRLS rating scale (IRLSSG): ten items of 0 to 4. The instrument is licensed; its questions are not part of
    /// this form.
    Irls {
        /// The version of the instrument.
        irls_version: ShortText<20> = ask("Which version of the scale was used?", "¿Qué versión de la escala se usó?").clinician_only(),
        /// The period that the patient was asked about, in days.
        irls_recall_days: Integer<1, 365> = ask("About how many days was the patient asked?", "¿Sobre cuántos días se preguntó?").unit("d").clinician_only(),
        /// Who filled in the scale.
        irls_mode: IrlsMode = ask("How was it filled in?", "¿Cómo se contestó?").clinician_only(),
        /// The day on which the scale was filled in.
        irls_assessed_on: Date = ask("On which day was it filled in?", "¿Qué día se contestó?").in_past().clinician_only(),
        /// The ten items in order, 0 to 4, `null` where one is missing: discomfort, need to move, relief (4 is no
        /// relief), sleep disturbance, daytime tiredness, overall, frequency, daily duration, daily affairs, mood.
        items: [Option<Integer<0, 4>>; 10] = ask("What are the scores of the ten items?", "¿Cuáles son las puntuaciones de los diez ítems?"),
        /// The total as computed by the sender, 0 to 40. It must be the sum of the items.
        irls_total: Integer<0, 40> = ask("What is the total?", "¿Cuál es el total?"),
    }
}
