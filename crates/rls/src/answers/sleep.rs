//! Sleep.

use super::{NumberStatus, YesNo};
use crate::form_dsl::{Decimal, Integer, PartialDate, TimeOfDay, ask, section, status};

section! {
    /// Sleep. Both sleep scores are licensed instruments: the form records totals only.
    Sleep {
        /// The time of day of going to bed.
        usual_bedtime: TimeOfDay = ask("At what time do you usually go to bed?", "¿A qué hora suele acostarse?"),
        /// The time of day of getting up.
        usual_rising_time: TimeOfDay = ask("At what time do you usually get up?", "¿A qué hora suele levantarse?"),
        /// Minutes until falling asleep.
        sleep_onset_latency_min: Integer<0, 720> = ask("How many minutes does it take you to fall asleep?", "¿Cuántos minutos tarda en dormirse?").unit("min"),
        /// Why `sleep_onset_latency_min` is missing.
        sleep_onset_latency_min_status: NumberStatus = status(),
        /// Awakenings a night.
        awakenings_per_night: Integer<0, 50> = ask("How many times do you wake up in a night?", "¿Cuántas veces se despierta por noche?").unit("/d"),
        /// Why `awakenings_per_night` is missing.
        awakenings_per_night_status: NumberStatus = status(),
        /// Hours of sleep a night.
        sleep_duration_hours: Decimal<0, 24> = ask("How many hours do you sleep in a night?", "¿Cuántas horas duerme por noche?").unit("h"),
        /// Why `sleep_duration_hours` is missing.
        sleep_duration_hours_status: NumberStatus = status(),
        /// Sleepiness while driving. Yes: prompt.
        drowsy_driving: YesNo = ask(
            "Have you been sleepy while driving in the last month?",
            "¿Ha tenido sueño al conducir (manejar) en el último mes?",
        ),
        /// Total of the Epworth Sleepiness Scale, 0 to 24; a total above 10 is marked.
        ess_total: Integer<0, 24> = ask(
            "What was your Epworth score, if you were given one?",
            "¿Cuál fue su puntuación de Epworth, si se la dieron?",
        ),
        /// Why `ess_total` is missing.
        ess_total_status: NumberStatus = status(),
        /// Total of the Insomnia Severity Index, 0 to 28; bands 0–7, 8–14, 15–21, 22–28.
        isi_total: Integer<0, 28> = ask(
            "What was your insomnia score (ISI), if you were given one?",
            "¿Cuál fue su puntuación de insomnio (ISI), si se la dieron?",
        ),
        /// Why `isi_total` is missing.
        isi_total_status: NumberStatus = status(),
        /// Periodic limb movements in sleep, as told by a doctor. ICD-10-CM G47.61 is the disorder, not the
        /// movements.
        plms_diagnosed: YesNo = ask(
            "Has a doctor found periodic leg movements in your sleep?",
            "¿Le ha encontrado un médico movimientos periódicos de las piernas al dormir?",
        ),
        /// Periodic limb movements per hour of sleep, from a sleep study.
        plms_index: Decimal<0, 300> = ask("How many movements per hour does the report say?", "¿Cuántos movimientos por hora dice el informe?").unit("/h"),
        /// Why `plms_index` is missing.
        plms_index_status: NumberStatus = status(),
        /// When the sleep study was, as far as known.
        sleep_study_date: PartialDate = ask("When was the sleep study?", "¿Cuándo fue el estudio del sueño?").in_past(),
    }
}
