//! Debian's libimobiledevice tools, as they are.
use crate::tools::{Ran, client, idevice, options_of, run, simulator_of};
use devsnap_simulator::phone::{Faults, Trust};
use devsnap_simulator::{Options, Simulator};
use tempfile::TempDir;

/// The tools of one person's computer.
struct Tools<'a> {
    simulator: &'a Simulator,
    home: TempDir,
}

impl Tools<'_> {
    fn of(simulator: &Simulator) -> Tools<'_> {
        Tools { simulator, home: tempfile::tempdir().unwrap() }
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Ran {
        let mut command = client(&idevice(name), self.simulator, self.home.path());
        run(command.args(arguments), self.home.path())
    }

    /// What it prints, when it succeeds.
    fn output(&self, name: &str, arguments: &[&str]) -> String {
        let ran = self.run(name, arguments);
        assert!(ran.succeeded, "{name} {arguments:?}: {ran:?}");
        ran.output
    }
}

#[test]
fn idevice_id_lists_every_phone() {
    let simulator = simulator_of(4);

    let listed = Tools::of(&simulator).output("idevice_id", &["-l"]);

    let mut udids: Vec<&str> = listed.lines().collect();
    let mut expected: Vec<&str> =
        simulator.phones().iter().map(|phone| phone.identity().udid.as_str()).collect();
    udids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(udids, expected);
}

#[test]
fn idevicepair_pairs_validates_and_unpairs() {
    let simulator = simulator_of(1);
    let tools = Tools::of(&simulator);

    assert!(tools.output("idevicepair", &["pair"]).contains("SUCCESS"));
    assert!(tools.output("idevicepair", &["validate"]).contains("SUCCESS"));
    assert!(tools.output("idevicepair", &["unpair"]).contains("SUCCESS"));
    // Without a pairing it asks for one.
    simulator.phones()[0].set_faults(Faults { trust: Trust::Denied, ..Faults::default() });
    assert!(!tools.run("idevicepair", &["validate"]).succeeded);
}

#[test]
fn idevicepair_waits_for_the_trust_dialog_and_bows_to_a_no() {
    let mut options = options_of(2);
    options.phones[0].faults.trust = Trust::After(2);
    options.phones[1].faults.trust = Trust::Denied;
    let simulator = Simulator::start(options).unwrap();
    let tools = Tools::of(&simulator);
    let udid = |number: usize| simulator.phones()[number].identity().udid.clone();

    for _ in 0..2 {
        let asked = tools.run("idevicepair", &["-u", &udid(0), "pair"]);
        assert!(!asked.succeeded && asked.words().contains("trust dialog"), "{asked:?}");
    }
    assert!(tools.output("idevicepair", &["-u", &udid(0), "pair"]).contains("SUCCESS"));
    let denied = tools.run("idevicepair", &["-u", &udid(1), "pair"]);
    assert!(!denied.succeeded && denied.words().contains("denied"), "{denied:?}");
}

#[test]
fn a_pairing_survives_a_restart_of_the_simulator() {
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let state = Some(state.path().to_owned());
        Simulator::start(Options { state, ..options_of(1) }).unwrap()
    };

    let first = start();
    Tools::of(&first).output("idevicepair", &["pair"]);
    drop(first);

    let second = start();
    assert!(Tools::of(&second).output("idevicepair", &["validate"]).contains("SUCCESS"));
}

#[test]
fn ideviceinfo_tells_all_one_value_one_domain_and_xml() {
    let simulator = simulator_of(1);
    let identity = simulator.phones()[0].identity();
    let tools = Tools::of(&simulator);
    tools.output("idevicepair", &["pair"]);

    let all = tools.output("ideviceinfo", &[]);
    for line in [
        format!("UniqueDeviceID: {}", identity.udid),
        format!("SerialNumber: {}", identity.serial_number),
        format!("DeviceName: {}", identity.name),
        "PasswordProtected: false".to_owned(),
    ] {
        assert!(all.lines().any(|other| other == line), "no {line} in {all}");
    }
    assert_eq!(tools.output("ideviceinfo", &["-k", "ProductVersion"]).trim(), "17.5.1");
    assert_eq!(tools.output("ideviceinfo", &["-k", "DeviceName"]).trim(), identity.name);

    let domain = ["-q", "com.apple.mobile.backup"];
    assert!(tools.output("ideviceinfo", &domain).contains("WillEncrypt: false"));
    simulator.phones()[0].set_backup_password(Some("secret".into()));
    assert!(tools.output("ideviceinfo", &domain).contains("WillEncrypt: true"));
    assert!(
        tools
            .output("ideviceinfo", &["-q", "com.apple.disk_usage", "-k", "TotalDiskCapacity"])
            .contains("128000000000")
    );

    let xml = tools.output("ideviceinfo", &["-x"]);
    let parsed = plist::Value::from_reader_xml(xml.as_bytes()).unwrap();
    let name = parsed.as_dictionary().unwrap().get("DeviceName").unwrap();
    assert_eq!(name.as_string(), Some(identity.name.as_str()));
}

#[test]
fn ideviceinfo_tells_little_of_a_phone_that_does_not_trust_it() {
    let simulator = simulator_of(1);
    let tools = Tools::of(&simulator);

    let simple = tools.output("ideviceinfo", &["-s"]);

    assert!(simple.contains("ProductVersion: 17.5.1"), "{simple}");
    assert!(!simple.contains("SerialNumber") && !simple.contains("PhoneNumber"), "{simple}");
}

#[test]
fn idevicedate_and_idevicename_read_and_write() {
    let simulator = simulator_of(1);
    let tools = Tools::of(&simulator);
    tools.output("idevicepair", &["pair"]);

    assert!(tools.output("idevicedate", &[]).contains("UTC"));
    assert_eq!(tools.output("idevicename", &[]).trim(), simulator.phones()[0].identity().name);
    tools.output("idevicename", &["Grace\u{2019}s \u{1f4f1}"]);
    assert_eq!(tools.output("idevicename", &[]).trim(), "Grace\u{2019}s \u{1f4f1}");
}

#[test]
fn a_host_that_the_phone_forgot_is_told_so() {
    let simulator = simulator_of(1);
    let tools = Tools::of(&simulator);
    tools.output("idevicepair", &["pair"]);
    let refusal = devsnap_simulator::phone::LockdownRefusal {
        request: "StartSession".into(),
        error: "InvalidHostID".into(),
        times: None,
    };

    simulator.phones()[0]
        .set_faults(Faults { lockdown_refusals: vec![refusal], ..Faults::default() });

    let ran = tools.run("idevicepair", &["validate"]);
    assert!(!ran.succeeded && ran.words().contains("not paired"), "{ran:?}");
}
