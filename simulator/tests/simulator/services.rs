//! The small services, where no client shows a thing.
use crate::host::{Host, LOCKDOWN, Secret, devices, dictionary, receive, send, stream_to};
use crate::tools::{options_of, simulator_of};
use devsnap_simulator::Simulator;
use devsnap_simulator::phone::Passcode;
use plist::{Dictionary, Value};
use std::time::Duration;

/// A connection of a paired host to a service of the simulator's first phone.
fn service(simulator: &Simulator, name: &str) -> Secret {
    let id = devices(simulator)[0].0;
    Host::shared().pair(&mut stream_to(simulator, id, LOCKDOWN)).unwrap();
    Host::shared().service(simulator, id, name)
}

fn command(name: &str) -> Dictionary {
    dictionary([("Command", name.into())])
}

fn named(command: &str, name: &str) -> Dictionary {
    dictionary([("Command", command.into()), ("Name", name.into())])
}

#[test]
fn a_host_that_observes_is_told_and_one_that_leaves_is_seen_off() {
    let simulator = simulator_of(1);
    let mut proxy = service(&simulator, "com.apple.mobile.notification_proxy");
    let mut other = service(&simulator, "com.apple.mobile.notification_proxy");

    send(&mut proxy, named("ObserveNotification", "org.example.a"));
    send(&mut proxy, named("ObserveNotification", "org.example.b"));
    // Answers to one's own posts say that observing has begun.
    send(&mut proxy, named("PostNotification", "org.example.a"));
    assert_eq!(receive(&mut proxy).unwrap(), named("RelayNotification", "org.example.a"));
    send(&mut other, named("PostNotification", "org.example.unheard"));
    send(&mut other, named("PostNotification", "org.example.b"));
    assert_eq!(receive(&mut proxy).unwrap(), named("RelayNotification", "org.example.b"));
    simulator.phones()[0].post("org.example.a");
    assert_eq!(receive(&mut proxy).unwrap(), named("RelayNotification", "org.example.a"));

    send(&mut proxy, command("Shutdown"));
    assert_eq!(receive(&mut proxy).unwrap(), command("ProxyDeath"));
    assert!(receive(&mut proxy).is_err());
}

#[test]
fn the_relay_says_whether_there_is_a_passcode_and_then_goodbye() {
    for (passcode, is_there) in
        [(Passcode::Absent, false), (Passcode::Entered(Duration::ZERO), true)]
    {
        let mut options = options_of(1);
        options.phones[0].faults.passcode = passcode;
        let simulator = Simulator::start(options).unwrap();
        let mut relay = service(&simulator, "com.apple.mobile.diagnostics_relay");

        send(
            &mut relay,
            dictionary([
                ("Request", "MobileGestalt".into()),
                ("MobileGestaltKeys", Value::Array(vec!["PasswordConfigured".into()])),
            ]),
        );
        let answer = receive(&mut relay).unwrap();
        let diagnostics = answer.get("Diagnostics").unwrap().as_dictionary().unwrap();
        let gestalt = diagnostics.get("MobileGestalt").unwrap().as_dictionary().unwrap();
        assert_eq!(gestalt.get("PasswordConfigured"), Some(&Value::Boolean(is_there)));

        send(&mut relay, dictionary([("Request", "Goodbye".into())]));
        assert_eq!(receive(&mut relay).unwrap().get("Status"), Some(&"Success".into()));
        assert!(receive(&mut relay).is_err());
    }
}

#[test]
fn apps_come_in_pieces_and_only_those_of_the_store_have_its_papers() {
    let simulator = simulator_of(1);
    let mut proxy = service(&simulator, "com.apple.mobile.installation_proxy");
    let wanted = ["CFBundleIdentifier", "ApplicationSINF", "iTunesMetadata"];
    let options = dictionary([
        ("ApplicationType", "User".into()),
        ("ReturnAttributes", Value::Array(wanted.iter().map(|name| (*name).into()).collect())),
    ]);
    let mut browse = command("Browse");
    browse.insert("ClientOptions".into(), Value::Dictionary(options));

    send(&mut proxy, browse);
    let mut pieces = Vec::new();
    loop {
        let piece = receive(&mut proxy).unwrap();
        if piece.get("Status") == Some(&"Complete".into()) {
            break;
        }
        pieces.push(piece.get("CurrentList").unwrap().as_array().unwrap().clone());
    }

    assert!(pieces.len() > 1);
    let told: Vec<Dictionary> =
        pieces.concat().into_iter().map(|app| app.into_dictionary().unwrap()).collect();
    assert_eq!(told.len(), simulator.phones()[0].apps().len());
    for (app, told) in simulator.phones()[0].apps().iter().zip(&told) {
        assert_eq!(told.get("CFBundleIdentifier"), Some(&app.bundle_id.as_str().into()));
        assert_eq!(told.contains_key("ApplicationSINF"), app.from_store);
        assert_eq!(told.contains_key("iTunesMetadata"), app.from_store);
        assert!(!told.contains_key("CFBundleName"));
    }
}

#[test]
fn an_app_has_a_picture_and_what_is_no_app_has_none() {
    let simulator = simulator_of(1);
    let mut springboard = service(&simulator, "com.apple.springboardservices");
    let mut picture = |id: &str| {
        let question = [("command", "getIconPNGData".into()), ("bundleId", id.into())];
        send(&mut springboard, dictionary(question));
        receive(&mut springboard)
            .unwrap()
            .get("pngData")
            .and_then(Value::as_data)
            .map(<[u8]>::to_vec)
    };

    assert!(picture("org.example.tides").unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_ne!(picture("org.example.tides"), picture("org.example.birds"));
    assert_eq!(picture("org.example.nobody"), None);
}
