//! The doctor's four minutes before a visit, in a real browser without a script: from the sign-in to the review.

use serde_json::json;

use crate::support::booking::book_nth;
use crate::support::browser::{Browser, on_a_phone};
use crate::support::intakes::{june, patients_example, submitted};
use crate::support::people::PASSWORD;
use crate::support::{App, id};

/// Opens the summary from the day, reads it and the course, writes the review, and acknowledges the flag.
async fn four_minutes(app: App, phone: Browser, es: bool) {
    let app = june(app);
    let say = |english: &'static str, spanish: &'static str| if es { spanish } else { english };
    let clinic = app.clinic().await;
    let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
    book_nth(&app.desk().await, &clinic.check, 0, &ann.patient_id).await;
    let mut answers = patients_example();
    answers["safety"]["bleeding_vein"] = "yes".into();
    answers["safety"]["bleeding_vein_uncontrolled"] = "no".into();
    let intake = submitted(&ann, &ann.patient_id, answers).await;

    phone.open_page(&format!("{}/doctor?lang={}", app.base, if es { "es" } else { "en" })).await;
    phone
        .fill(
            say("E\u{2011}mail address", "Correo electrónico"),
            &format!("doctor-{}@clinic.example", clinic.practitioner_id),
        )
        .await;
    phone.fill(say("Password", "Contraseña"), PASSWORD).await;
    phone.press(say("Sign in", "Iniciar sesión")).await;
    phone.see(say("Wednesday, June 10, 2026", "miércoles, 10 de junio de 2026")).await;
    phone.see(say("Urgent flag", "Alerta urgente")).await;
    phone.expect_accessible().await;

    // One press to what has to be read.
    phone.press(say("Summary", "Resumen")).await;
    phone.see("Allergies").await;
    phone.see("pramipexole").await;
    phone.see("Not reviewed yet.").await;
    phone.press(say("Course", "Evolución")).await;
    phone.see(say("Course of restless legs", "Evolución de las piernas inquietas")).await;
    phone.expect_accessible().await;
    phone.press_first("main nav.turn a").await;
    phone.see(say("What the patient has answered", "Lo que ha contestado el paciente")).await;
    phone.expect_accessible().await;
    phone.press(say("History, June 10, 2026", "Historia, 10 de junio de 2026")).await;
    phone.see("Allergies").await;
    phone.press(say("Write the review", "Escribir la revisión")).await;
    phone.see(say("Confirmed contributors", "Factores confirmados")).await;
    phone.expect_accessible().await;
    phone.fill(say("Plan", "Plan"), "Iron by mouth").await;
    phone.press(say("Save the review", "Guardar la revisión")).await;
    phone.see(say("Not saved yet", "Todavía no se ha guardado")).await;
    phone.expect_accessible().await;
    phone
        .choose(
            say(
                "Do other conditions alone explain the symptoms?",
                "¿Otras afecciones por sí solas explican los síntomas?",
            ),
            say(
                "Other conditions alone do not explain the symptoms",
                "Otras afecciones por sí solas no explican los síntomas",
            ),
        )
        .await;
    phone.press(say("Save the review", "Guardar la revisión")).await;
    phone.see("Iron by mouth").await;
    phone.press(say("My day", "Mi día")).await;
    phone.see(say("History reviewed", "Historia revisada")).await;

    phone.press(say("Flags", "Alertas")).await;
    phone.see("Patient reported").await;
    phone.expect_accessible().await;
    let open = doctor.get("/v1/intake-flags").await.items().len();
    phone.press_first("main .cards button").await;
    phone.see(say("The flag is acknowledged", "La alerta está atendida")).await;
    phone.expect_accessible().await;
    assert_eq!(doctor.get("/v1/intake-flags").await.items().len(), open - 1);
    let review = doctor.get(&intake).await.body["review"].clone();
    assert_eq!(review, json!({"mimic_review": "not_solely_explained", "plan_note": "Iron by mouth"}));
    let visit = doctor.get("/v1/appointments").await.items();
    assert_eq!((id(&visit[0]).len(), &visit[0]["intake_status"]), (36, &json!("reviewed")));
}

#[test]
fn a_doctor_reads_and_reviews_within_four_minutes_without_a_script() {
    on_a_phone(async |app: App, phone: Browser| {
        phone.without_scripts().await;
        four_minutes(app, phone, false).await;
    });
}

#[test]
fn a_doctor_reads_and_reviews_in_spanish_with_the_script() {
    on_a_phone(async |app: App, phone: Browser| four_minutes(app, phone, true).await);
}
