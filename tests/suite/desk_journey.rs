//! A busy morning at the front desk, in a real browser: two screens stay in step.

use serde_json::json;

use crate::support::booking::book_nth;
use crate::support::browser::{Browser, on_a_phone};
use crate::support::people::PASSWORD;
use crate::support::{App, id};

#[test]
fn a_visit_that_another_screen_changes_changes_on_this_one() {
    on_a_phone(async |app: App, screen: Browser| {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let first = book_nth(&desk, &clinic.check, 0, &app.patient("ann").await.patient_id).await.body;
        screen.open_page(&format!("{}/desk", app.base)).await;
        screen.fill("E\u{2011}mail address", "desk@clinic.example").await;
        screen.fill("Password", PASSWORD).await;
        screen.press("Sign in").await;
        screen.see("ann Tester").await;
        screen.expect_accessible().await;
        // The row of another patient has the focus, and keeps it.
        screen.run("document.querySelector('tbody button').focus(); window.marked = true").await;
        book_nth(&desk, &clinic.check, 20, &app.patient("ben").await.patient_id).await;
        screen.see("ben Tester").await;
        assert_eq!(
            screen.run("return document.activeElement.closest('tr').innerText.includes('ann')").await,
            json!(true)
        );
        desk.post_empty(&format!("/v1/appointments/{}/check-in", id(&first))).await.expect(200);
        screen.see("Checked in").await;
        let still = "return [window.marked, document.activeElement.innerText.trim()]";
        assert_eq!(
            screen.run(still).await,
            json!([true, "Complete"]),
            "the page is the same, and the focus is in the same row"
        );
        screen.press("Complete").await;
        screen.see("Completed").await;
        let visit = desk.get(&format!("/v1/appointments/{}", id(&first))).await;
        assert_eq!(visit.body["status"], "fulfilled");
        screen.expect_accessible().await;
    });
}

/// Signs the desk in on one of its pages.
async fn sign_in(app: &App, screen: &Browser, page: &str) {
    screen.open_page(&format!("{}{page}", app.base)).await;
    screen.fill("E\u{2011}mail address", "desk@clinic.example").await;
    screen.fill("Password", PASSWORD).await;
    screen.press("Sign in").await;
}

#[test]
fn a_patient_is_found_while_the_desk_types_and_no_address_has_the_name() {
    on_a_phone(async |app: App, screen: Browser| {
        app.clinic().await;
        app.desk().await;
        for name in ["ann", "ben"] {
            app.patient(name).await;
        }
        sign_in(&app, &screen, "/desk/patients").await;
        screen.see("Write a name, a birth date").await;
        screen.expect_accessible().await;
        screen.run("document.getElementById('q').focus(); window.marked = true").await;
        screen.keys("te").await;
        screen.see("2 patients").await;
        screen.keys("ster an").await;
        screen.see("1 patient").await;
        screen.see("ann Tester").await;
        let state =
            "const field = document.activeElement; return [window.marked, field.id, field.value, location.search]";
        assert_eq!(screen.run(state).await, json!([true, "q", "tester an", "?lang=en"]), "the field keeps the focus");
        screen.expect_accessible().await;
        let asked = "return performance.getEntriesByType('resource').map((one) => one.name).join(' ')";
        let asked = screen.run(asked).await;
        assert!(asked.as_str().is_some_and(|all| all.contains("/desk/patients") && !all.contains("ster")), "{asked}");
        // Without the script, the button finds the same.
        screen.without_scripts().await;
        screen.press("Find").await;
        screen.see("1 patient").await;
        screen.press("ann Tester").await;
        screen.see("LW-").await;
    });
}

#[test]
fn a_patient_who_walks_in_is_registered_booked_and_checked_in() {
    on_a_phone(async |app: App, screen: Browser| {
        app.clinic().await;
        app.desk().await;
        sign_in(&app, &screen, "/desk").await;
        screen.press("9:15 AM to 5:00 PM").await;
        screen.see("For whom?").await;
        screen.see("Monday, March 2, 9:15 AM, Dr. Ada Vein, Main Street").await;
        screen.expect_accessible().await;
        screen.press_first("main p a.button").await;
        screen.see("Sex, as the insurance has it").await;
        let focus = "return document.activeElement.id";
        assert_eq!(screen.run(focus).await, json!("family_name"), "the first field has the focus");
        screen.keys("Walker").await;
        screen.fill("First name", "Will").await;
        screen.run("document.getElementById('date_of_birth').value = '1970-02-03'").await;
        screen.pick("Sex, as the insurance has it", "male").await;
        screen.fill("Telephone", "(202) 555-0144").await;
        screen.expect_accessible().await;
        screen.press("Register").await;
        screen.see("Book a visit for Will Walker").await;
        let focus = "return document.activeElement.getAttribute('aria-label')";
        assert_eq!(screen.run(focus).await, json!("9:15 AM Dr. Ada Vein, Monday, March 2, Main Street"));
        screen.expect_accessible().await;
        screen.press_first("button[autofocus]").await;
        screen.see("The visit is booked.").await;
        screen.expect_accessible().await;
        screen.press("Check in").await;
        screen.see("Checked in").await;
    });
}

#[test]
fn a_visit_is_overbooked_and_those_of_a_sick_day_are_moved() {
    on_a_phone(async |app: App, screen: Browser| {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        book_nth(&desk, &clinic.check, 0, &app.patient("ann").await.patient_id).await;
        sign_in(&app, &screen, "/desk/time-off").await;
        screen.see("Nobody is away.").await;
        screen.expect_accessible().await;
        let ben = app.patient("ben").await.patient_id;
        let search =
            format!("visit_type_id={}&practitioner_id={}&date=2026-03-02", clinic.check, clinic.practitioner_id);
        screen.open_page(&format!("{}/desk/patients/{ben}/times?{search}", app.base)).await;
        screen.press_first("h2 ~ details:not(#wait) summary").await;
        screen.fill("Reason (required; staff see it)", "Wound check").await;
        screen.expect_accessible().await;
        screen.press_first("[aria-label$=overbook]").await;
        screen.see("overbooked").await;
        screen.expect_accessible().await;
        screen.open_page(&format!("{}/desk/time-off", app.base)).await;
        screen.pick("Who", "Dr. Ada Vein").await;
        screen.fill("Reason (required; staff see it)", "Ill").await;
        screen.press("Add the time off").await;
        screen.see("2 booked visits are affected").await;
        screen.expect_accessible().await;
        screen.press("Move the chosen visits").await;
        screen.see("Moved: 2.").await;
        screen.expect_accessible().await;
    });
}
