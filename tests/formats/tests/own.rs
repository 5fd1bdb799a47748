//! The JSON of every recording, before the schema that is promised.

use finwait::report::census::{Census, moments};
use finwait::report::explain::{self, Subject};
use finwait::report::json::Shape;
use finwait::report::sockets::SocketTable;
use finwait::run::{Options, read};
use finwait::sockets::Snapshot;
use finwait_formats::{LEAKING, recording, recordings, written};
use serde_json::Value;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/schema-1.json")).unwrap()
}

/// The schema, closed: a member that it does not name is an error here, so that none is added
/// without a word in it. Readers are to let unknown members pass.
fn closed(schema: &mut Value) {
    if let Value::Object(members) = schema {
        let is_object = members.get("type").is_some_and(|kind| kind == "object");
        if is_object && members.contains_key("properties") {
            members.insert("additionalProperties".into(), false.into());
        }
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(closed),
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

#[test]
fn every_line_of_every_recording_is_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for capture in recordings() {
        for line in
            written(&["report", "--format", "jsonl"], std::slice::from_ref(&capture)).lines()
        {
            let value: Value = serde_json::from_str(line).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| format!("{error} at {}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}: {line}", capture.display());
            kinds.insert(value["type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

#[test]
fn what_hosts_say_is_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let table = recording("sockets/holders/sockets/server.netstat-antpeo.txt");
    let capture = recording("sockets/holders/server.pcap");
    let args = ["report", "--format", "jsonl", "--sockets", table.to_str().unwrap()];
    let text = written(&args, std::slice::from_ref(&capture));
    assert!(text.contains("\"socket_tables\"") && text.contains("\"on_host\""));
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}: {line}");
    }
}

/// A pcapng block: its type, and the words that it is made of.
fn block(kind: u32, body: &[u32]) -> Vec<u8> {
    let length = body.len() as u32 * 4 + 12;
    let words = [&[kind, length], body, &[length]].concat();
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn what_a_capture_notes_is_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    // A SYN to port 80 that went out, of process 7, with the comment `hm`.
    let syn = [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 80];
    let syn = [&syn[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 9, 9, 0, 0, 0, 0]].concat();
    let syn = syn.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let options = [0x4_0002, 2, 0x4_8001, 0, 0x2_0001, u32::from_le_bytes(*b"hm\0\0")];
    let packet: Vec<u32> = [0, 0, 0, 40, 40].into_iter().chain(syn).chain(options).collect();
    let file = [
        block(0x0a0d_0d0a, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]),
        block(1, &[101, 0]),
        block(0x8000_0001, &[7]),
        block(6, &packet),
    ];
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("noted.pcapng");
    std::fs::write(&path, file.concat()).unwrap();
    let mut text = written(&["report", "--format", "jsonl"], std::slice::from_ref(&path));
    assert!(text.contains("\"comments\""), "{text}");
    let analysis = read(&[path], &Options::default(), &mut ()).unwrap();
    let (mut sockets, last) = (Vec::new(), analysis.totals.last_ts.unwrap());
    SocketTable::new(&analysis, last, &[]).as_json(Shape::Lines, &mut sockets).unwrap();
    text += &String::from_utf8(sockets).unwrap();
    assert_eq!(text.matches("\"noted_owners\"").count(), 2, "{text}");
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}: {line}");
    }
}

#[test]
fn one_object_is_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let text = written(&["report", "--format", "json"], &[recording(LEAKING)]);
    let mut object: Value = serde_json::from_str(&text).unwrap();
    assert!(validator.is_valid(&object));
    object["connections"][0]["final"]["client"] = "FIN_WAIT_3".into();
    assert!(!validator.is_valid(&object));
}

#[test]
fn what_is_explained_is_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let explained = |subject| {
        let mut text = Vec::new();
        explain::as_json(subject, &mut text).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    let all = explained(None);
    assert!(all.as_array().unwrap().len() > 60);
    for value in [explained(Subject::named("CLOSE_WAIT")), explained(Subject::named("keepalive"))] {
        assert!(validator.is_valid(&value), "{value}");
        assert!(all.as_array().unwrap().contains(&value));
    }
    let errors: Vec<String> = validator.iter_errors(&all).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!validator.is_valid(&serde_json::json!([{"type": "state"}])));
}

#[test]
fn sockets_and_counts_are_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let analysis = read(&[recording(LEAKING)], &Options::default(), &mut ()).unwrap();
    let (first, last) = (analysis.totals.first_ts.unwrap(), analysis.totals.last_ts.unwrap());
    let table = SocketTable::new(&analysis, last, &[]);
    let census = Census::new(&analysis, moments(first, last, 9), &[]);
    for shape in [Shape::Lines, Shape::Object] {
        let mut text = Vec::new();
        table.as_json(shape, &mut text).unwrap();
        census.as_json(shape, &mut text).unwrap();
        let values = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
        let values: Vec<Value> = values.map(Result::unwrap).collect();
        assert!(values.len() >= 2);
        for value in values {
            assert!(validator.is_valid(&value), "{value}");
        }
    }
}

/// The recorded table, with a row that the capture lacks; the host has forgotten one of its own.
#[test]
fn sockets_beside_a_hosts_table_are_what_the_schema_says() {
    let mut schema = schema();
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let table = recording("sockets/holders/sockets/server.ss-tanp.txt");
    let table = std::fs::read_to_string(table).unwrap();
    let table = table + "CLOSE-WAIT 1 0 10.9.0.2:6800 10.9.0.77:4000\n";
    let capture = recording("sockets/holders/server.pcap");
    let mut analysis = read(&[capture], &Options::default(), &mut ()).unwrap();
    let last = analysis.totals.last_ts.unwrap();
    analysis.join(vec![(Snapshot::parse("table", table.as_bytes()), last)]);
    for shape in [Shape::Lines, Shape::Object] {
        let mut text = Vec::new();
        SocketTable::new(&analysis, last, &[]).as_json(shape, &mut text).unwrap();
        let values = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
        let values: Vec<Value> = values.map(Result::unwrap).collect();
        assert!(values.iter().all(|value| validator.is_valid(value)), "{values:#?}");
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("10.9.0.77:4000") && text.contains("host-lacks"), "{text}");
    }
}

#[test]
fn the_schema_is_a_schema_and_lets_new_members_pass() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut line = serde_json::json!({
        "type": "capture", "schema": 1, "tool": "finwait", "version": "9", "files": [], "new": 1
    });
    assert!(validator.is_valid(&line));
    line["schema"] = 2.into();
    assert!(!validator.is_valid(&line));
    assert!(!validator.is_valid(&serde_json::json!({"type": "packet"})));
}
