//! The code samples of the reference run against a real server, in each of their languages.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::openapi::{METHODS, document};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{Engine, app, print_uncaptured};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api/samples");

/// The journey of the samples. Each uses what those before it have set.
const JOURNEY: [&str; 14] = [
    "create_registration",
    "verify_email",
    "confirm_password_reset",
    "create_session",
    "get_current_user",
    "list_visit_types",
    "list_slots",
    "create_hold",
    "create_intake",
    "update_intake",
    "submit_intake",
    "create_appointment",
    "reschedule_appointment",
    "cancel_appointment",
];

/// A language: its name in the document, the end of its files, the program that runs it from the standard input, the program's version that is
/// needed, and how a sample gets the token of the mail.
struct Language {
    name: &'static str,
    end: &'static str,
    program: &'static [&'static str],
    least: u32,
    token: &'static str,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "Shell",
        end: "sh",
        program: &["bash", "-euo", "pipefail", "-s"],
        least: 4,
        token: "token_of_the_mail=$TOKEN",
    },
    // They have no types, so that Node.js runs them as JavaScript. `.ci/gates/samples` compiles them as TypeScript.
    Language {
        name: "TypeScript",
        end: "ts",
        program: &["node", "--input-type=module", "-"],
        least: 20,
        token: "const tokenOfTheMail = process.env.TOKEN;",
    },
    Language {
        name: "Python",
        end: "py",
        program: &["python3", "-"],
        least: 3,
        token: "token_of_the_mail = os.environ[\"TOKEN\"]",
    },
];

impl Language {
    fn sample(&self, name: &str) -> String {
        let path = format!("{FOLDER}/{name}.{}", self.end);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Whether its program is installed in a version that suffices.
    fn is_here(&self) -> bool {
        let Ok(output) = Command::new(self.program[0]).arg("--version").output() else { return false };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let major: String = digits.chars().take_while(char::is_ascii_digit).collect();
        major.parse::<u32>().is_ok_and(|major| major >= self.least)
    }

    /// Runs a program and returns what it prints.
    fn run(&self, source: &str, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(self.program[0]);
        command.args(&self.program[1..]).envs(variables.iter().copied());
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the program");
        child.stdin.take().expect("its input").write_all(source.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}\n{source}", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The token in the first mail to an address.
fn token_of_the_mail(site: &Site, email: &str) -> String {
    let script = ". examples/api.sh; link=$(mailed_link \"$EMAIL\"); echo \"${link#*#token=}\"";
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("MAIL_DIR", site.mail_dir())
        .env("EMAIL", email)
        .output()
        .expect("bash");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_samples_of_each_language_register_book_move_and_cancel() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always available");
    let server = app::runtime().block_on(Process::start_demo(&site));
    let page = app::runtime().block_on(async { server.anon().get("/docs/").await.expect(200).text.clone() });
    for account in ["patient@demo.legwork.example", "admin@demo.legwork.example", legwork::demo::PASSWORD] {
        assert!(page.contains(account), "the index of a demo shows {account}");
    }
    for language in LANGUAGES {
        if !language.is_here() {
            print_uncaptured(&format!(
                "==> SKIPPED for want of {} {}: the samples in {}",
                language.program[0], language.least, language.name
            ));
            continue;
        }
        let email = format!("ann-{}@patients.example", language.end);
        let start = language.sample("start");
        let variables = [("BASE_URL", server.base.as_str()), ("EMAIL", email.as_str())];
        language.run(&format!("{start}\n{}", language.sample(JOURNEY[0])), &variables);
        let token = token_of_the_mail(&site, &email);
        let rest: Vec<String> = JOURNEY[1..].iter().map(|name| language.sample(name)).collect();
        let source = format!("{start}\n{}\n{}", language.token, rest.join("\n"));
        let printed = language.run(&source, &[variables[0], variables[1], ("TOKEN", &token)]);
        assert!(printed.ends_with("cancelled\n"), "{}: {printed}", language.name);
    }
}

#[test]
fn the_document_shows_each_sample_as_its_file_has_it() {
    let document = document();
    let items = document["paths"].as_object().expect("paths").values();
    let operations = items.flat_map(|item| METHODS.iter().filter_map(|method| item.get(*method)));
    let mut shown = Vec::new();
    for operation in operations.filter(|operation| !operation["x-codeSamples"].is_null()) {
        let id = operation["operationId"].as_str().expect("an id");
        let samples = operation["x-codeSamples"].as_array().expect("samples");
        let found: Vec<(&Value, &Value)> = samples.iter().map(|one| (&one["lang"], &one["source"])).collect();
        assert_eq!(found.len(), LANGUAGES.len(), "{id}");
        for (language, (name, source)) in LANGUAGES.iter().zip(found) {
            assert_eq!(
                (name.as_str(), source.as_str()),
                (Some(language.name), Some(language.sample(id).trim_end())),
                "{id}"
            );
        }
        shown.push(id);
    }
    shown.sort_unstable();
    let mut journey = JOURNEY.to_vec();
    journey.sort_unstable();
    assert_eq!(shown, journey, "every sample is run");
    assert_eq!(std::fs::read_dir(FOLDER).expect("the folder").count(), (JOURNEY.len() + 1) * LANGUAGES.len());
}
