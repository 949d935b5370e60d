//! Two answers, field by field.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields of one object that are told one by one where they are missing.
const MANY: usize = 5;

/// Many differences of one object are one.
pub(super) fn gathered(differs: &[String]) -> Vec<String> {
    let object = |difference: &String| {
        let (field, _) = difference.rsplit_once(" is missing")?;
        Some(field.rsplit_once('.')?.0.to_owned())
    };
    let mut of_object: BTreeMap<Option<String>, Vec<&String>> = BTreeMap::new();
    for difference in differs {
        let object = object(difference);
        of_object.entry(object).or_default().push(difference);
    }
    let told = of_object
        .into_iter()
        .flat_map(|(object, all)| match object {
            Some(object) if all.len() > MANY => {
                vec![format!("{} fields of {object} are missing", all.len())]
            }
            _ => all.into_iter().cloned().collect(),
        });
    told.collect()
}

/// Notes where an answer has not what the recorded one has, or not of this kind. It may have more.
pub(super) fn compare(at: &str, there: &Value, here: &Value, differs: &mut Vec<String>) {
    match (there, here) {
        (Value::Object(there), Value::Object(here)) => {
            for (key, there) in there {
                let at = format!("{at}.{key}");
                match here.get(key) {
                    Some(here) => compare(&at, there, here, differs),
                    None => differs.push(format!("{at} is missing")),
                }
            }
        }
        (Value::Array(there), Value::Array(here)) => {
            // Of a list the rows are alike; which there are is of the moment.
            if let (Some(there), Some(here)) = (there.first(), here.first()) {
                compare(&format!("{at}[]"), there, here, differs);
            }
        }
        (Value::String(there), Value::String(here)) if at == ".error" => {
            if there != here {
                differs.push(format!("{at} is `{here}`"));
            }
        }
        (Value::Null, _)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        (_, here) => differs.push(format!("{at} is {here}")),
    }
}

#[test]
fn what_is_otherwise_is_seen() {
    let mut differs = Vec::new();
    let there = serde_json::json!({"a": 1, "b": [{"c": "x"}], "d": true, "e": null, "error": "y"});
    let here = serde_json::json!({"a": "1", "b": [{"x": 1}], "d": true, "e": 7, "error": "z"});
    compare("", &there, &here, &mut differs);
    assert_eq!(
        differs,
        [".a is \"1\"", ".b[].c is missing", ".error is `z`"]
    );
    differs.clear();
    compare("", &there, &there, &mut differs);
    assert!(differs.is_empty());
}
