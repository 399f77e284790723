//! The history in a real browser: without a script on a phone, and with it on one device after another.

use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::browser::{Browser, on_a_phone};
use crate::support::people::PASSWORD;
use crate::support::{App, Client, id};

const ANN: &str = "ann@patients.example";

async fn sign_in(phone: &Browser) {
    phone.see("Sign in").await;
    phone.fill("E\u{2011}mail address", ANN).await;
    phone.fill("Password", PASSWORD).await;
    phone.press("Sign in").await;
}

async fn answers(ann: &Client, patient: &str) -> Value {
    let listed = ann.get(&format!("/v1/patients/{patient}/intakes")).await.items();
    ann.get(&format!("/v1/intakes/{}", id(&listed[0]))).await.expect(200).body["answers"].clone()
}

async fn list_a_medicine(phone: &Browser) {
    phone.see("All medicines you take now").await;
    phone.choose("Do you take any medicines", "I list them here").await;
    phone.choose("Do you have an allergy", "None that I know of").await;
    phone.press("Save and continue").await;
    phone.see("this page asks more").await;
    phone.expect_accessible().await;
    phone.press("Add").await;
    phone.see("What is the medicine called?").await;
    phone.expect_accessible().await;
    phone.fill("What is the medicine called?", "Vitamin D").await;
    phone.choose("Do you take it now?", "I take it now").await;
    phone.press("Save").await;
    phone.see("Vitamin D").await;
    phone.expect_accessible().await;
    phone.press("Save and continue").await;
}

#[test]
fn a_patient_answers_the_history_on_a_phone_without_a_script() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        book_nth(&ann, &clinic.check, 100, &ann.patient_id).await;
        phone.without_scripts().await;
        phone.open_page(&format!("{}/visits?lang=en", app.base)).await;
        sign_in(&phone).await;
        phone.see("Questions before the visit: not begun").await;
        phone.expect_accessible().await;
        phone.press("Answer the questions before the visit").await;
        phone.see("The rest is optional").await;
        phone.expect_accessible().await;
        phone.press("Begin").await;
        phone.see("First: is anything urgent?").await;
        phone.expect_accessible().await;
        for question in [
            "Do you have chest pain",
            "Has a leg suddenly",
            "Do you have new weakness",
            "In the last 14 days",
            "Is there redness",
            "Do you have an open sore",
            "Do you have thoughts",
        ] {
            phone.choose(question, "No").await;
        }
        phone.choose("Is a vein in your leg bleeding", "Yes").await;
        phone.press("Save and continue").await;
        // At once, and then the question that follows from it.
        phone.see("Please read this now").await;
        phone.see("(202) 555-0100").await;
        phone.expect_accessible().await;
        phone.press("I have read it. Go on with the form").await;
        phone.see("Does it go on bleeding").await;
        phone.expect_accessible().await;
        phone.choose("Does it go on bleeding", "No").await;
        phone.press("Save and continue").await;
        phone.see("Your legs").await;
        phone.choose("Do you feel an urge", "Yes").await;
        phone
            .fill("Without treatment, on how many days a week do you have it, on average over the past year?", "often")
            .await;
        phone.press("Save and continue").await;
        phone.see("Not saved yet").await;
        phone.expect_accessible().await;
        phone
            .fill("Without treatment, on how many days a week do you have it, on average over the past year?", "4")
            .await;
        for question in ["Does it begin or get worse", "Does it get better", "Is it worse in the evening"] {
            phone.choose(question, "Yes").await;
        }
        phone.choose("How much does it disturb", "Not at all").await;
        phone.choose("How bothersome", "7").await;
        phone.press("Save and continue").await;
        phone.see("What else it could be").await;
        phone.expect_accessible().await;
        phone.press("Save and continue").await;
        phone.see("Veins and circulation").await;
        phone.expect_accessible().await;
        phone.choose("Do you have varicose veins", "No").await;
        phone.choose("Has a doctor ever told you that you had a blood clot", "No").await;
        phone.press("Save and continue").await;
        phone.see("Family and health").await;
        phone.expect_accessible().await;
        phone.choose("Does a blood relative", "No").await;
        phone.press("Save and continue").await;
        phone.see("Laboratory results").await;
        phone.press("Save and continue").await;
        list_a_medicine(&phone).await;
        phone.see("Coffee, alcohol, nicotine").await;
        phone.expect_accessible().await;
        phone.press("Save and continue").await;
        phone.see("What you have tried yourself").await;
        phone.press("Save and continue").await;
        phone.see("Sleep").await;
        phone.expect_accessible().await;
        phone.press("Save and continue").await;
        phone.see("Check your answers").await;
        phone.expect_accessible().await;
        phone.press("Send my answers").await;
        phone.see("Thank you, we have your answers").await;
        phone.expect_accessible().await;
        let stored = answers(&ann, &ann.patient_id).await;
        assert_eq!(stored["safety"]["bleeding_vein_uncontrolled"], "no");
        assert_eq!(stored["medications"], json!([{"name": "Vitamin D", "status": "current"}]));
        assert_eq!(
            (&stored["symptoms"]["days_per_week_untreated"], &stored["symptoms"]["severity_0_10"]),
            (&json!(4), &json!(7))
        );
    });
}

#[test]
fn a_patient_resumes_the_history_on_another_device() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        book_nth(&ann, &clinic.check, 100, &ann.patient_id).await;
        phone.open_page(&format!("{}/visits?lang=en", app.base)).await;
        sign_in(&phone).await;
        phone.press("Answer the questions before the visit").await;
        phone.press("Begin").await;
        phone.see("First: is anything urgent?").await;
        // The question appears, and the text is shown, without a press of the button.
        phone.choose("Is a vein in your leg bleeding", "Yes").await;
        phone.see("Does it go on bleeding").await;
        phone.see("press firmly on the place").await;
        phone.expect_accessible().await;
        phone.choose("Is a vein in your leg bleeding", "No").await;
        phone.choose("Do you have chest pain", "No").await;
        phone.see("Saved").await;
        let text = phone.text().await;
        assert!(!text.contains("Does it go on bleeding") && !text.contains("press firmly"), "{text}");
        let stored = answers(&ann, &ann.patient_id).await;
        assert_eq!(stored, json!({"safety": {"bleeding_vein": "no", "chest_pain_breathlessness": "no"}}));
        // The battery is empty. Another device has no cookie.
        phone.command("Network.clearBrowserCookies", json!({})).await;
        phone.open_page(&format!("{}/visits?lang=en", app.base)).await;
        sign_in(&phone).await;
        phone.see("Questions before the visit: about 5 minutes left").await;
        phone.press("Go on with the questions").await;
        phone.see("6 answers are open").await;
        phone.press("Go on").await;
        phone.see("First: is anything urgent?").await;
        let chosen = phone
            .run("return [...document.querySelectorAll('input:checked')].map((one) => `${one.name}=${one.value}`)")
            .await;
        assert_eq!(chosen, json!(["safety.chest_pain_breathlessness=no", "safety.bleeding_vein=no"]));
        // The button and a save under way do not disturb each other.
        phone.choose("Has a leg suddenly", "No").await;
        phone.press("Save and continue").await;
        phone.see("These are still open").await;
        assert_eq!(answers(&ann, &ann.patient_id).await["safety"]["sudden_cold_pale_leg"], "no");
        phone.press("Go on, and answer it later").await;
        phone.see("Your legs").await;
        // A page that is typed into is saved before the device is put away.
        phone
            .fill("Without treatment, on how many days a week do you have it, on average over the past year?", "3")
            .await;
        phone.see("Saved").await;
        assert_eq!(answers(&ann, &ann.patient_id).await["symptoms"]["days_per_week_untreated"], 3);
        // One press goes on, also after a save.
        phone.press("Save and continue").await;
        phone.see("These are still open").await;
    });
}
