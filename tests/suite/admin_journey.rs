//! The first-run wizard in a real browser: from an empty database to a stranger who holds a time.

use serde_json::json;

use crate::support::App;
use crate::support::browser::{Browser, on_a_phone};
use crate::support::people::PASSWORD;

/// Makes the first administrator as `legwork admin create` does, and sets the password with the link of the mail.
async fn first_administrator(app: &App) -> &'static str {
    const EMAIL: &str = "boss@clinic.example";
    legwork::accounts::admin::create(&app.env, EMAIL, "Bo Boss").await.expect("an administrator");
    let token = app.mails_to(EMAIL).await[0].token();
    let body = json!({"token": token, "new_password": PASSWORD});
    app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
    EMAIL
}

/// Signs in, takes the steps, signs out, and holds a time as a stranger.
async fn open_the_clinic(app: App, phone: Browser, es: bool) {
    let say = |english: &'static str, spanish: &'static str| if es { spanish } else { english };
    let email = first_administrator(&app).await;
    phone.open_page(&format!("{}/sign-in?lang={}", app.base, if es { "es" } else { "en" })).await;
    phone.fill(say("E\u{2011}mail address", "Correo electrónico"), email).await;
    phone.fill(say("Password", "Contraseña"), PASSWORD).await;
    phone.press(say("Sign in", "Iniciar sesión")).await;
    phone.see(say("Patients cannot book yet", "Los pacientes todavía no pueden reservar")).await;
    phone.expect_accessible().await;

    phone.press(say("Add a place", "Añadir un lugar")).await;
    phone.fill(say("Name of the place", "Nombre del lugar"), "Elm Street").await;
    phone.press(say("Save", "Guardar")).await;
    phone.see(say("Please check these fields", "Revise estos campos")).await;
    phone.expect_accessible().await;
    phone.fill(say("Address", "Dirección"), "12 Elm Street, Springfield").await;
    phone.fill(say("Telephone", "Teléfono"), "(212) 555-0100").await;
    phone.fill(say("Time zone", "Zona horaria"), "America/New_York").await;
    phone.press(say("Save", "Guardar")).await;
    phone.see(say("Saved.", "Guardado.")).await;
    phone.expect_accessible().await;

    phone.press(say("Enter closed days", "Indicar días cerrados")).await;
    phone.see(say("None to come.", "Ninguno próximo.")).await;
    phone.expect_accessible().await;
    phone.press(say("← The steps to open the clinic", "← Los pasos para abrir la clínica")).await;

    phone.press(say("Add a kind of visit", "Añadir un tipo de cita")).await;
    phone.expect_accessible().await;
    phone.fill(say("Name among staff", "Nombre para el personal"), "RLS first visit").await;
    phone.fill(say("Name for patients", "Nombre para los pacientes"), "First visit").await;
    phone.press(say("Save", "Guardar")).await;

    phone.press(say("Add a practitioner", "Añadir un profesional")).await;
    phone.expect_accessible().await;
    phone.fill(say("Name", "Nombre"), "Dr. Ada Osei").await;
    phone.press(say("Save", "Guardar")).await;
    phone.see(say("This is a suggestion", "Es una propuesta")).await;
    phone.expect_accessible().await;
    phone.press(say("Save the hours", "Guardar el horario")).await;
    phone
        .see(say("Your clinic is open: patients can book", "Su clínica está abierta: los pacientes pueden reservar"))
        .await;
    phone.expect_accessible().await;

    phone.press(say("Invite a member of staff", "Invitar a alguien del personal")).await;
    phone.expect_accessible().await;
    phone.fill(say("E\u{2011}mail address", "Correo electrónico"), "dana@clinic.example").await;
    phone.fill(say("Name", "Nombre"), "Dana Desk").await;
    phone.pick(say("Role", "Rol"), say("Front desk", "Recepción")).await;
    phone.press(say("Send the invitation", "Enviar la invitación")).await;
    phone.see(say("Dana Desk (Front desk): invited", "Dana Desk (Recepción): con invitación")).await;
    assert_eq!(app.mails_to("dana@clinic.example").await.len(), 1);

    for page in [
        "locations",
        "visit-types",
        "practitioners",
        "staff",
        "documents",
        "documents/treatment",
        "clients",
        "clients/new",
        "audit",
        "utilisation",
        "health",
        "webhooks",
        "resources",
        "resources/new",
        "webhooks/new",
    ] {
        phone.open_page(&format!("{}/admin/{page}?lang={}", app.base, if es { "es" } else { "en" })).await;
        phone.expect_accessible().await;
    }
    phone.press(say("Overview", "Resumen")).await;
    phone.see(say("Your clinic is open", "Su clínica está abierta")).await;
    phone.expect_accessible().await;
    phone.press(say("Sign out", "Cerrar sesión")).await;
    phone.see(say("You are signed out.", "La sesión está cerrada.")).await;

    // A stranger takes a time.
    phone.open_page(&format!("{}/book?lang={}", app.base, if es { "es" } else { "en" })).await;
    phone.press(say("Choose a day: First visit", "Elegir un día: First visit")).await;
    phone.press_first(".days a").await;
    phone.press_first("[name=slot_id]").await;
    phone.see(say("Your details", "Sus datos")).await;
    let open = app.desk().await.get("/v1/appointments").await.items();
    assert!(open.is_empty(), "a hold is no visit yet: {open:?}");
}

#[test]
fn an_administrator_opens_an_empty_clinic_without_a_script_and_a_stranger_holds_a_time() {
    on_a_phone(async |app: App, phone: Browser| {
        phone.without_scripts().await;
        open_the_clinic(app, phone, false).await;
    });
}

#[test]
fn an_administrator_opens_an_empty_clinic_in_spanish_with_the_script() {
    on_a_phone(async |app: App, phone: Browser| open_the_clinic(app, phone, true).await);
}
