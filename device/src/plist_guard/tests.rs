use super::*;
use proptest::prelude::*;

const LIMITS: PlistLimits = PlistLimits::BACKUP_SET;

/// A binary list made of `objects` as they stand, whatever they say; object 0 is the root.
fn binary(objects: &[Vec<u8>], ref_len: u8) -> Vec<u8> {
    let mut bytes = binary_table::MAGIC.to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(object);
    }
    let table_start = bytes.len() as u64;
    bytes.extend_from_slice(&offsets);
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 4, ref_len]);
    bytes.extend_from_slice(&(objects.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&0u64.to_be_bytes());
    bytes.extend_from_slice(&table_start.to_be_bytes());
    bytes
}

/// An array of references to `children`, four bytes each.
fn array(children: &[u32]) -> Vec<u8> {
    let mut object = vec![0xaf, 0x12];
    object.extend_from_slice(&u32::try_from(children.len()).unwrap().to_be_bytes());
    children.iter().for_each(|child| object.extend_from_slice(&child.to_be_bytes()));
    object
}

fn xml(body: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">{body}</plist>\n")
        .into_bytes()
}

fn sample() -> Value {
    let lockdown = Dictionary::from_iter([("UniqueDeviceID", Value::from("00008030"))]);
    let date = plist::Date::from(UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    Value::Dictionary(Dictionary::from_iter([
        ("IsEncrypted", Value::Boolean(true)),
        ("Date", Value::Date(date)),
        ("BackupKeyBag", Value::Data(vec![7; 300])),
        ("Lockdown", Value::Dictionary(lockdown)),
        ("Version", Value::from("10.0 – grün")),
        ("Applications", Value::Array(vec![Value::from(1), Value::from(2.5)])),
    ]))
}

fn encoded(value: &Value) -> [Vec<u8>; 2] {
    let (mut binary, mut xml) = (Vec::new(), Vec::new());
    value.to_writer_binary(&mut binary).unwrap();
    value.to_writer_xml(&mut xml).unwrap();
    [binary, xml]
}

#[test]
fn an_honest_list_comes_through_whole_in_both_encodings() {
    for bytes in encoded(&sample()) {
        assert_eq!(read_value(&bytes, &LIMITS).unwrap(), sample());
    }
}

#[test]
fn only_the_keys_asked_for_are_kept() {
    for bytes in encoded(&sample()) {
        let fields = read_keys(&bytes, &LIMITS, &["Version", "Lockdown", "Absent"]).unwrap();
        assert_eq!(fields.text("Version").unwrap().as_deref(), Some("10.0 – grün"));
        let lockdown = fields.dictionary("Lockdown").unwrap();
        assert_eq!(lockdown.text("UniqueDeviceID").unwrap().as_deref(), Some("00008030"));
        assert_eq!(fields.text("Absent").unwrap(), None);
        assert_eq!(fields.flag("IsEncrypted").unwrap(), None);
    }
}

#[test]
fn a_million_nested_arrays_are_refused() {
    let objects: Vec<_> = (0..1_000_000).map(|i: u32| array(&[(i + 1) % 1_000_000])).collect();
    let refused = read_value(&binary(&objects, 4), &LIMITS);
    assert!(matches!(refused, Err(BadPlist::TooManyValues { .. })), "{refused:?}");
}

#[test]
fn nesting_is_refused_one_level_past_the_limit_and_not_before() {
    let nested = |levels: u32| {
        let mut objects: Vec<_> = (1..levels).map(|i| array(&[i])).collect();
        objects.push(array(&[]));
        binary(&objects, 4)
    };
    let deepest = u32::try_from(LIMITS.depth_max).unwrap();
    assert!(read_value(&nested(deepest), &LIMITS).is_ok());
    let refused = read_value(&nested(deepest + 1), &LIMITS);
    assert!(matches!(refused, Err(BadPlist::TooDeep { .. })), "{refused:?}");
}

#[test]
fn nesting_under_a_key_nobody_asked_for_is_refused() {
    let deep = "<array>".repeat(100_000) + &"</array>".repeat(100_000);
    let bytes = xml(&format!("<dict><key>other</key>{deep}</dict>"));
    assert!(matches!(read_value(&bytes, &LIMITS), Err(BadPlist::TooDeep { .. })));
    assert!(matches!(read_keys(&bytes, &LIMITS, &["key"]), Err(BadPlist::TooDeep { .. })));
}

#[test]
fn shared_references_are_counted_each_time() {
    // Eight arrays, each holding the next ten times: 10^8 values in under 500 bytes.
    let mut objects: Vec<_> = (1..=8).map(|i| array(&[i; 10])).collect();
    objects.push(vec![0x09]);
    let bytes = binary(&objects, 4);
    assert!(bytes.len() < 500);
    let refused = read_value(&bytes, &LIMITS);
    assert!(matches!(refused, Err(BadPlist::TooManyValues { .. })), "{refused:?}");
}

#[test]
fn shared_data_is_counted_each_time() {
    let mut data = vec![0x4f, 0x12];
    data.extend_from_slice(&(1u32 << 20).to_be_bytes());
    data.resize(data.len() + (1 << 20), 0);
    let bytes = binary(&[array(&[1; 2000]), data], 4);
    let refused = read_value(&bytes, &LIMITS);
    assert!(matches!(refused, Err(BadPlist::TooMuchContent { .. })), "{refused:?}");
}

#[test]
fn a_cycle_is_refused() {
    assert!(read_value(&binary(&[array(&[1]), array(&[0])], 4), &LIMITS).is_err());
}

#[test]
fn a_collection_larger_than_the_limits_is_refused_before_it_is_read() {
    let mut huge = vec![0xaf, 0x12];
    huge.extend_from_slice(&(1u32 << 20).to_be_bytes());
    huge.resize(huge.len() + (1 << 20), 0);
    let refused = read_value(&binary(&[huge], 1), &LIMITS);
    assert!(matches!(refused, Err(BadPlist::TooManyValues { .. })), "{refused:?}");
}

#[test]
fn a_list_past_its_length_limit_is_not_looked_at() {
    let limits = PlistLimits { bytes_max: 100, ..LIMITS };
    let refused = read_value(&[b'<'; 101], &limits);
    assert!(matches!(refused, Err(BadPlist::TooLong { max: 100 })));
}

#[test]
fn a_list_cut_anywhere_before_its_last_value_ends_is_refused() {
    let [binary, xml] = encoded(&sample());
    for len in 0..binary.len() {
        assert!(read_value(&binary[..len], &LIMITS).is_err(), "binary cut at {len}");
    }
    // What follows the root's end tag carries nothing, and its loss loses nothing.
    let root_end = xml.windows(7).rposition(|w| w == b"</dict>").unwrap() + 7;
    for len in 0..root_end {
        assert!(read_value(&xml[..len], &LIMITS).is_err(), "xml cut at {len}");
        assert!(read_keys(&xml[..len], &LIMITS, &["Version"]).is_err(), "xml cut at {len}");
    }
}

/// The reader below us panics on the first two and, when printing, on the third.
#[test]
fn dates_that_no_calendar_holds_are_refused() {
    for date in [
        "9999-12-31T23:59:59-01:00",
        "&#57;999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59<!-- -->-01:00",
        "2026-11-01T20:04:00+00:00",
    ] {
        let refused = read_value(&xml(&format!("<date>{date}</date>")), &LIMITS);
        assert!(matches!(refused, Err(BadPlist::BadDate)), "{date}: {refused:?}");
    }
    for odd in ["<x:date>9999-12-31T23:59:59-01:00</x:date>", "<date a='>'>2026</date>"] {
        assert!(matches!(read_value(&xml(odd), &LIMITS), Err(BadPlist::BadDate)), "{odd}");
    }
    let mut before_year_0 = vec![0x33];
    before_year_0.extend_from_slice(&(-70_000_000_000f64).to_be_bytes());
    let refused = read_value(&binary(&[before_year_0], 4), &LIMITS);
    assert!(matches!(refused, Err(BadPlist::BadDate)), "{refused:?}");
    assert!(read_value(&xml("<date>0001-01-01T00:00:00Z</date>"), &LIMITS).is_ok());
}

#[test]
fn what_is_no_list_is_refused_in_words() {
    assert!(matches!(read_value(b"", &LIMITS), Err(BadPlist::Empty)));
    // The old ASCII format is a list to `plist`, not to us.
    assert!(read_value(b"{ a = b; }", &LIMITS).is_err());
    assert!(read_value(b"bplist00", &LIMITS).is_err());
    assert!(read_value(&xml("<dict/><dict/>"), &LIMITS).is_err());
    for odd in ["<dict><key>a</key></dict>", "<dict><true/><true/></dict>", "", "</dict>"] {
        assert!(read_keys(&xml(odd), &LIMITS, &["a"]).is_err(), "{odd}");
        assert!(read_keys(&xml(odd), &LIMITS, &["b"]).is_err(), "{odd}");
    }
    assert!(matches!(read_keys(&xml("<array/>"), &LIMITS, &[]), Err(BadPlist::NotADictionary)));
}

#[test]
fn a_value_of_the_wrong_type_is_named() {
    let bytes = xml("<dict><key>a</key><integer>1</integer></dict>");
    let fields = read_keys(&bytes, &LIMITS, &["a"]).unwrap();
    assert_eq!(fields.text("a").unwrap_err().to_string(), "`a` in it is not a short text");
    assert!(fields.flag("a").is_err() && fields.date("a").is_err());
    assert!(fields.dictionary("a").is_err());

    let long = xml(&format!("<dict><key>a</key><string>{}</string></dict>", "x".repeat(1025)));
    assert!(read_keys(&long, &LIMITS, &["a"]).unwrap().text("a").is_err());
}

/// How many values a list came to, keys included.
fn values_in(value: &Value) -> usize {
    value.events().filter(|event| !matches!(event, Event::EndCollection)).count()
}

const SMALL: PlistLimits =
    PlistLimits { bytes_max: 4096, depth_max: 8, values_max: 64, content_bytes_max: 4096 };

fn holds_the_limits(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = read_value(bytes, &SMALL) {
        prop_assert!(values_in(&value) <= SMALL.values_max);
    }
    let _ = read_keys(bytes, &SMALL, &["Version", "a"]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        holds_the_limits(&bytes)?;
    }

    #[test]
    fn no_binary_objects_panic(
        objects in proptest::collection::vec(
            (prop_oneof![Just(0xa0u8), Just(0xd0), Just(0x50), Just(0x30), any::<u8>()],
             proptest::collection::vec(0u8..12, 0..12))
                .prop_map(|(kind, rest)| {
                    let mut object = vec![kind | u8::try_from(rest.len() / 2).unwrap()];
                    object.extend(rest);
                    object
                }),
            1..12),
        ref_len in prop_oneof![Just(1u8), Just(2), any::<u8>()],
    ) {
        holds_the_limits(&binary(&objects, ref_len))?;
    }

    #[test]
    fn no_change_to_an_honest_list_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for mut bytes in encoded(&sample()) {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            holds_the_limits(&bytes)?;
            holds_the_limits(&bytes[..cut.index(bytes.len())])?;
        }
    }

    #[test]
    fn no_markup_panics(text in "(<(/)?(plist|dict|key|array|date|data|integer|string|true)/?>|[0-9T:Z&;#<>! -]{0,6}){0,30}") {
        holds_the_limits(text.as_bytes())?;
    }
}
