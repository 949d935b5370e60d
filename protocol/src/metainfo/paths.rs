//! Other paths for the files of a torrent than those that it says.

use std::collections::BTreeMap;

use super::Metainfo;

impl Metainfo {
    /// Has files lie elsewhere: each by its number, with the elements of its path. Symbolic links that lead to one of them lead
    /// there then. Numbers that no file has are passed over; whether the paths are fit for a disk is not looked at.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = (usize, Vec<String>)>) {
        let mut moved: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        let links = self.files.iter().any(|file| file.symlink.is_some());
        for (number, path) in paths {
            let Some(file) = self.files.get_mut(number) else {
                continue;
            };
            if links {
                moved.insert(file.components().to_vec(), path.clone());
            }
            file.renamed = Some(path);
        }
        for file in &mut self.files {
            if let Some(target) = &mut file.symlink
                && let Some(path) = moved.get(target)
            {
                target.clone_from(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::metainfo::{LoadLimits, Metainfo};

    #[test]
    fn links_lead_where_their_files_have_gone() {
        let files = [
            "d6:lengthi3e4:pathl1:aee",
            "d4:attr1:l6:lengthi0e4:pathl1:be12:symlink pathl1:aee",
        ];
        let torrent = format!(
            "d4:infod5:filesl{}e4:name1:t12:piece lengthi16384e6:pieces20:{}ee",
            files.concat(),
            "x".repeat(20)
        );
        let loaded = Metainfo::from_bytes(torrent.as_bytes(), &LoadLimits::default());
        let mut metainfo = loaded.unwrap();
        let path = |elements: &[&str]| -> Vec<String> {
            elements.iter().map(|it| (*it).to_owned()).collect()
        };
        metainfo.set_paths([(0, path(&["u", "c"])), (7, path(&["x"]))]);
        assert_eq!(metainfo.files()[0].components(), ["u", "c"]);
        assert_eq!(metainfo.files()[0].path, ["t", "a"]);
        assert_eq!(metainfo.files()[1].symlink, Some(path(&["u", "c"])));
        assert_eq!(metainfo.files()[1].components(), ["t", "b"]);
    }
}
