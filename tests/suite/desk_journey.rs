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
