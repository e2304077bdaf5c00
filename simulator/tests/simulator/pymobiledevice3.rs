//! pymobiledevice3, as it is.
use crate::tools::{Ran, Running, client, options_of, pymobiledevice3, run, simulator_of};
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Options, Simulator};
use std::fs::File;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The tool on one person's computer.
struct Tool<'a> {
    simulator: &'a Simulator,
    home: TempDir,
}

impl Tool<'_> {
    fn of(simulator: &Simulator) -> Tool<'_> {
        Tool { simulator, home: tempfile::tempdir().unwrap() }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = client(&pymobiledevice3(), self.simulator, self.home.path());
        run(command.args(arguments), self.home.path())
    }

    /// What it prints, when it succeeds.
    fn output(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert!(ran.succeeded, "{arguments:?}: {ran:?}");
        ran.output
    }
}

#[test]
fn usbmux_list_shows_every_phone_with_its_name() {
    let simulator = simulator_of(2);

    let listed = Tool::of(&simulator).output(&["usbmux", "list"]);

    let list: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|phone| phone["DeviceName"].as_str().unwrap())
        .collect();
    for phone in simulator.phones() {
        assert!(names.contains(&phone.identity().name.as_str()), "{listed}");
    }
}

#[test]
fn lockdown_info_pairs_and_tells_all() {
    let simulator = simulator_of(1);
    let tool = Tool::of(&simulator);

    let info: serde_json::Value =
        serde_json::from_str(&tool.output(&["lockdown", "info"])).unwrap();

    let identity = simulator.phones()[0].identity();
    assert_eq!(info["UniqueDeviceID"], identity.udid.as_str());
    assert_eq!(info["SerialNumber"], identity.serial_number.as_str());
    assert_eq!(info["DeviceName"], identity.name.as_str());
}

#[test]
fn pairing_and_reading_bear_cruel_weather() {
    for seed in 0..3 {
        let options = Options { weather: Weather::Cruel, seed, ..options_of(1) };
        let simulator = Simulator::start(options).unwrap();

        let info = Tool::of(&simulator).output(&["lockdown", "info"]);

        assert!(info.contains(&simulator.phones()[0].identity().serial_number));
    }
}

#[test]
fn afc_lists_pushes_pulls_and_removes() {
    let simulator = simulator_of(1);
    let tool = Tool::of(&simulator);
    let local = tool.home.path().join("local");
    std::fs::write(&local, "bytes to push").unwrap();

    assert!(tool.output(&["afc", "ls", "/DCIM/100APPLE"]).contains("IMG_0001.JPG"));
    tool.output(&["afc", "push", local.to_str().unwrap(), "/Downloads/pushed"]);
    let pushed = simulator.phones()[0].media().file("/Downloads/pushed").unwrap().to_vec();
    assert_eq!(pushed, b"bytes to push");
    let pulled = tool.home.path().join("pulled");
    tool.output(&["afc", "pull", "/DCIM/100APPLE/IMG_0001.JPG", pulled.to_str().unwrap()]);
    let photo = simulator.phones()[0].media().file("/DCIM/100APPLE/IMG_0001.JPG").unwrap().to_vec();
    assert_eq!(std::fs::read(pulled).unwrap(), photo);
    tool.output(&["afc", "rm", "/Downloads/pushed"]);
    assert!(simulator.phones()[0].media().entry("/Downloads/pushed").is_err());
}

#[test]
fn apps_list_has_every_app_with_its_name() {
    let simulator = simulator_of(1);
    let tool = Tool::of(&simulator);

    let apps: serde_json::Value =
        serde_json::from_str(&tool.output(&["apps", "list", "--type", "User"])).unwrap();

    let apps = apps.as_object().unwrap();
    assert_eq!(apps.len(), simulator.phones()[0].apps().len());
    assert_eq!(apps["org.example.birds"]["CFBundleDisplayName"], "Birds 🐦");
}

#[test]
fn notification_observe_is_told_what_the_phone_posts() {
    let simulator = simulator_of(1);
    let tool = Tool::of(&simulator);
    tool.output(&["lockdown", "pair"]);
    let output = tool.home.path().join("observed");

    let mut command = client(&pymobiledevice3(), &simulator, tool.home.path());
    let errors = File::create(&output).unwrap();
    command.args(["notification", "observe", "org.example.high-tide"]);
    let _observer =
        Running(command.stdout(errors.try_clone().unwrap()).stderr(errors).spawn().unwrap());

    for _ in 0..600 {
        simulator.phones()[0].post("org.example.high-tide");
        if std::fs::read_to_string(&output).unwrap().contains("org.example.high-tide") {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("nothing was observed: {}", std::fs::read_to_string(&output).unwrap());
}

#[test]
fn notification_post_reaches_those_who_observe_on_the_phone() {
    let simulator = simulator_of(1);
    let observer = simulator.phones()[0].observe();
    observer.watch("org.example.low-tide");

    Tool::of(&simulator).output(&["notification", "post", "org.example.low-tide"]);

    // The post is not answered: it may still be on its way.
    for _ in 0..600 {
        if observer.take().is_some() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing was posted");
}
