//! Collecting vectors, and writing or comparing their files.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Serialize)]
struct Vector {
    description: String,
    topic: String,
    input: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// All vectors by file name.
pub struct Out {
    folder: PathBuf,
    files: BTreeMap<String, String>,
    /// Whether age files are made anew.
    pub anew: bool,
}

impl Out {
    /// None yet.
    pub fn new(folder: PathBuf, anew: bool) -> Self {
        Self { folder, files: BTreeMap::new(), anew }
    }

    /// A vector that is decoded to `expect`.
    pub fn good(&mut self, topic: &str, scenario: &str, description: &str, input: Value, expect: Value) {
        self.add(topic, scenario, description, input, Some(expect), None);
    }

    /// A vector that is refused with an error of class `error`.
    pub fn bad(&mut self, topic: &str, scenario: &str, description: &str, input: Value, error: &str) {
        self.add(topic, scenario, description, input, None, Some(error.to_owned()));
    }

    fn add(
        &mut self,
        topic: &str,
        scenario: &str,
        description: &str,
        mut input: Value,
        mut expect: Option<Value>,
        error: Option<String>,
    ) {
        // The order of a map's keys depends on a feature of serde_json that any dependency may switch on.
        input.sort_all_objects();
        if let Some(expect) = &mut expect {
            expect.sort_all_objects();
        }
        let vector = Vector { description: description.to_owned(), topic: topic.to_owned(), input, expect, error };
        let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
        let name = format!("{topic}/{scenario}.json");
        assert!(self.files.insert(name.clone(), text).is_none(), "{name} is made twice");
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// A value of the vector that is on disk, unless everything is to be made anew.
    pub fn kept(&self, topic: &str, scenario: &str, key: &str) -> Option<Value> {
        if self.anew {
            return None;
        }
        let text = std::fs::read_to_string(self.folder.join(format!("{topic}/{scenario}.json"))).ok()?;
        let mut vector: Value = serde_json::from_str(&text).unwrap();
        Some(vector["input"][key].take())
    }

    fn with_index(&self) -> BTreeMap<String, String> {
        let mut files = self.files.clone();
        let list: String = self.files.keys().map(|name| format!("{name}\n")).collect();
        files.insert("INDEX".to_owned(), list);
        files
    }

    /// Writes what is missing or differs, removes what does not belong; how many files that were.
    pub fn write(&self) -> usize {
        let (mut changed, files) = (0, self.with_index());
        for (name, text) in &files {
            let path = self.folder.join(name);
            if std::fs::read_to_string(&path).ok().as_ref() != Some(text) {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap();
                changed += 1;
            }
        }
        for name in present(&self.folder).into_iter().filter(|name| !files.contains_key(name)) {
            std::fs::remove_file(self.folder.join(name)).unwrap();
            changed += 1;
        }
        changed
    }

    /// Names every file that is missing, differs or does not belong; how many there are.
    pub fn check(&self) -> usize {
        let (mut wrong, files) = (0, self.with_index());
        for (name, text) in &files {
            if std::fs::read_to_string(self.folder.join(name)).ok().as_ref() != Some(text) {
                eprintln!("differs: {name}");
                wrong += 1;
            }
        }
        for name in present(&self.folder).into_iter().filter(|name| !files.contains_key(name)) {
            eprintln!("does not belong: {name}");
            wrong += 1;
        }
        wrong
    }
}

/// The files below the folder, as in INDEX.
fn present(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for topic in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let topic_name = topic.file_name().into_string().unwrap();
        if topic.path().is_dir() {
            for file in std::fs::read_dir(topic.path()).unwrap().flatten() {
                names.push(format!("{topic_name}/{}", file.file_name().into_string().unwrap()));
            }
        } else {
            names.push(topic_name);
        }
    }
    names
}
