//! A search for patients forgives one typing mistake.

use serde_json::{Value, json};

use crate::merging::merge;
use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, both};

async fn record(desk: &Client, given: &str, family: &str, born: &str) -> String {
    let mut body = patient_json(given, &format!("{given}.{}@patients.example", family.len()));
    body["family_name"] = json!(family);
    body["date_of_birth"] = json!(born);
    desk.post("/v1/patients", body).await.expect(201).id()
}

async fn search(desk: &Client, query: &str) -> Reply {
    desk.get(&format!("/v1/patients?{query}")).await
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().map(|ids| ids.iter().map(|id| id.as_str().expect("an id")).collect()).unwrap_or_default()
}

/// The ids of the patients found, and those of the near matches among them.
fn found(reply: &Reply) -> (Vec<String>, Vec<String>) {
    let all = reply.items().iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect();
    (all, ids(&reply.body["near_matches"]).into_iter().map(str::to_owned).collect())
}

both! {
    async fn one_mistake_finds_the_patient_behind_those_who_match(app: App) {
        let desk = app.desk().await;
        let garcia = record(&desk, "Ana", "García", "1950-01-01").await;
        let garner = record(&desk, "Eva", "Garner", "1950-01-01").await;
        let garcias = record(&desk, "Lena", "Garcias", "1960-01-01").await;
        // A missing, a wrong, a doubled letter, and two that changed places; alone, with another name, and with the birth date.
        for query in ["q=garia", "q=gartia", "q=garrcia", "q=Gracia", "q=gracia%20ana", "q=ana%20gracia", "q=gracia&date_of_birth=1950-01-01"] {
            let reply = search(&desk, query).await;
            let (all, near) = found(&reply);
            assert!(all.contains(&garcia) && !all.contains(&garner), "{query}: {}", reply.text);
            assert_eq!((all, reply.body["next_cursor"].clone()), (near, Value::Null), "{query}");
        }
        // A whole name comes before the beginning of one, although that record is newer.
        assert_eq!(found(&search(&desk, "q=gracia").await).0, [garcia.clone(), garcias.clone()]);
        // Those who match come first and are not marked.
        let (all, near) = found(&search(&desk, "q=garcias").await);
        assert_eq!((all, near), (vec![garcias.clone(), garcia.clone()], vec![garcia.clone()]));
        // Without a mistake nothing is marked; two mistakes find nobody.
        let exact = search(&desk, "q=gar").await;
        assert_eq!((exact.items().len(), exact.body.get("near_matches")), (3, None));
        for query in ["q=gracai", "q=aan%20gracia", "q=gracia&date_of_birth=1950-01-02", "q=gracia&updated_since=2020-01-01T00:00:00Z"] {
            assert!(search(&desk, query).await.items().is_empty(), "{query}");
        }
    }

    async fn a_full_page_and_later_pages_have_no_near_matches(app: App) {
        let desk = app.desk().await;
        for number in 0..3 {
            record(&desk, &format!("Ben{number}"), "Smith", "1950-01-01").await;
        }
        let smyth = record(&desk, "Otto", "Smyth", "1950-01-01").await;
        let full = search(&desk, "q=smith&limit=2").await;
        assert_eq!((full.items().len(), full.body.get("near_matches")), (2, None));
        let cursor = full.string("/next_cursor");
        let last = search(&desk, &format!("q=smith&limit=2&cursor={cursor}")).await;
        assert_eq!((last.items().len(), last.body.get("near_matches")), (1, None));
        let (all, near) = found(&search(&desk, "q=smith&limit=4").await);
        assert_eq!((all.len(), near), (4, vec![smyth]));
        // At most a page.
        let (all, near) = found(&search(&desk, "q=smitt&limit=2").await);
        assert_eq!((all.len(), near.len()), (2, 2));
    }

    async fn records_that_are_merged_or_retired_are_no_near_matches(app: App) {
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ana", "Gonzalez", "1950-01-01").await, record(&desk, "Ana", "Gonzalez", "1950-01-01").await);
        let wrong = record(&desk, "Mila", "Gonzalez", "1970-01-01").await;
        assert_eq!(found(&search(&desk, "q=gonzales").await).1.len(), 3);
        merge(&desk, &kept, &old).await.expect(201);
        let retirements = format!("/v1/patients/{wrong}/retirements");
        desk.post_with(&retirements, json!({"reason": "Made by mistake"}), &[("If-Match", "\"1\"")]).await.expect(201);
        for query in ["q=gonzales", "q=gonzales&include_inactive=true", "q=gonzales&phone=0123&include_inactive=true"] {
            assert_eq!(found(&search(&desk, query).await).0, std::slice::from_ref(&kept), "{query}");
        }
    }
}
