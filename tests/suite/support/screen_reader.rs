//! What a screen reader says of the page that a browser shows: `@guidepup/virtual-screen-reader`, where `.ci/run` has installed it.

use std::sync::OnceLock;

use super::browser::Browser;
use super::print_uncaptured;

/// Where `.ci/run` installs the screen reader.
const READER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/tools/axe/node_modules/@guidepup/virtual-screen-reader/lib/esm/index.browser.js"
);

/// Reads the page from its beginning to its end.
const READ: &str = "const done = arguments[0];
    const read = async () => {
        await virtual.start({container: document.body});
        for (let n = 0; n < 1000 && await virtual.lastSpokenPhrase() !== 'end of document'; n++) await virtual.next();
        const said = await virtual.spokenPhraseLog();
        await virtual.stop();
        return said;
    };
    read().then(done, (error) => done([String(error)]));";

/// The source of the screen reader as a plain script. Says aloud if it is not installed.
fn reader() -> Option<&'static str> {
    static SOURCE: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let Ok(module) = std::fs::read_to_string(READER) else {
            print_uncaptured("==> SKIPPED for want of the screen reader: what it says of the pages");
            return None;
        };
        let (code, exports) = module.rsplit_once("export{").expect("a module");
        let (names, _) = exports.split_once(" as virtual").expect("its export");
        let name = names.rsplit(',').next().expect("a name");
        Some(format!("{code}; window.virtual = {name}"))
    };
    SOURCE.get_or_init(read).as_deref()
}

impl Browser {
    /// What the screen reader says of the page, a phrase a line. None if it is not installed.
    pub async fn spoken(&self) -> Option<String> {
        self.run(reader()?).await;
        let said = self.run_async(READ).await;
        let said = said.as_array().expect("phrases").iter();
        Some(said.map(|phrase| phrase.as_str().expect("a phrase").to_owned() + "\n").collect())
    }
}
