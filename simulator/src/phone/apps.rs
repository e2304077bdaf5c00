//! The apps a person has installed.

/// One app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// E.g. `org.example.tides`.
    pub bundle_id: String,
    /// Under its icon.
    pub name: String,
    /// `CFBundleShortVersionString`.
    pub version: String,
    /// It came from the store: `ApplicationSINF` and `iTunesMetadata` are there. An app of a
    /// developer, or of a company, has neither.
    pub from_store: bool,
}

/// What is on a phone that nobody said otherwise of.
pub(super) fn default_apps() -> Vec<App> {
    let app = |bundle_id: &str, name: &str, version: &str, from_store| App {
        bundle_id: bundle_id.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        from_store,
    };
    let mut apps = vec![
        app("org.example.tides", "Tides", "3.2.1", true),
        app("org.example.recipes", "Grandma\u{2019}s Recipes", "12.0", true),
        app("org.example.birds", "Birds 🐦", "1.0.4", true),
        app("org.example.nightly", "Nightly", "0.1", false),
    ];
    apps.extend((1..=19).map(|number| {
        app(&format!("org.example.game{number}"), &format!("Game {number}"), "1.0", number % 3 != 0)
    }));
    apps
}
