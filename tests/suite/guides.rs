//! The guides in `docs/api` and the README are true: their commands run against a demo, and print what the guides show.

use std::process::Command;

use super::support::process::Process;
use super::support::site::Site;
use super::support::{Engine, app, print_uncaptured};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A block between fences: its language and its lines.
fn blocks(guide: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = guide;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (language, after) = after.split_once('\n').expect("a line");
        let (block, after) = after.split_once("\n```").expect("an end");
        found.push((language.trim(), block));
        rest = after;
    }
    found
}

/// The README's commands to try out the demo: the block that begins by sourcing the functions.
fn first_minute() -> String {
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).expect("the README");
    let blocks = blocks(&readme);
    let (_, block) = blocks.iter().find(|(_, block)| block.starts_with("$ . examples/api.sh")).expect("the block");
    let commands: Vec<&str> = block.lines().map(|line| line.strip_prefix("$ ").expect("a command")).collect();
    commands.join("\n")
}

/// Runs a script in the root of the repository, against the server.
fn run(name: &str, script: &str, server: &Process, site: &Site) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(ROOT)
        .env("BASE_URL", &server.base)
        .env("MAIL_DIR", site.mail_dir())
        .output()
        .expect("bash");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {}\n{printed}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// Whether the output has the parts of what a guide shows, in their order. `…` stands for anything.
fn shows(output: &str, shown: &str) -> bool {
    let mut rest = output;
    shown.split('…').all(|part| match rest.split_once(part.trim()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_commands_of_the_guides_run_and_print_what_the_guides_show() {
    const END: &str = "-- end of a block --";
    if let Some(missing) = ["bash", "curl", "jq"].into_iter().find(|tool| !has(tool)) {
        return print_uncaptured(&format!("==> SKIPPED for want of {missing}: the guides in docs/api"));
    }
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always available");
    let server = app::runtime().block_on(Process::start_demo(&site));
    let printed = run("README.md", &first_minute().replace(">/tmp/summary.html", ""), &server, &site);
    assert!(printed.contains(" booked ") && printed.contains("<!DOCTYPE html>"), "{printed}");
    let printed = run("examples/stranger.sh", "examples/stranger.sh", &server, &site);
    assert!(printed.ends_with("\n== Booked in five requests\n"), "{printed}");
    let mut guides = 0;
    let files = std::fs::read_dir(format!("{ROOT}/docs/api")).expect("the guides");
    let files = files.map(|entry| entry.expect("an entry").path());
    for path in files.filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let name = path.display().to_string();
        let guide = std::fs::read_to_string(&path).expect("a guide");
        let blocks = blocks(&guide);
        let commands: Vec<String> = blocks
            .iter()
            .filter(|(language, _)| *language == "sh")
            .map(|(_, block)| format!("{block}\necho '{END}'"))
            .collect();
        let printed = run(&name, &commands.join("\n"), &server, &site);
        let mut outputs = printed.split(END);
        let mut last = "";
        for (language, block) in blocks {
            match language {
                // Other tests run the programs. Some commands do not end, such as those that start a server.
                "console" | "python" => {}
                "sh" => last = outputs.next().expect("an output of each block"),
                _ => assert!(shows(last, block), "{name} shows\n{block}\nbut the commands print\n{last}"),
            }
        }
        guides += 1;
    }
    assert!(guides >= 12, "{guides}");
}
