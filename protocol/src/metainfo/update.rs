//! Where a newer version of a torrent may be found, and whose word it is (BEP 39).

use crate::id::InfoHash;
use crate::signing::{self, Certificate, Digest};

use super::Metainfo;

/// Whose word a newer torrent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Word {
    /// That of whoever answers at the URL: the older torrent names no originator.
    Anyone,
    /// Not that of the originator whom the older torrent names.
    NotOriginator,
    /// The originator's, whom the older torrent names: it has signed the newer one.
    Originator(Digest),
    /// The older torrent names an originator whose certificate cannot be used.
    Unknown,
}

impl Metainfo {
    /// Where a newer version may be found (BEP 39): what the originator has signed for that, or else the URL in the info
    /// dictionary.
    pub fn newer_at(&self) -> Option<String> {
        let originator = self.originator_certificate().and_then(Result::ok);
        let signed = originator.and_then(|originator| {
            let mut own = self.signatures().iter().filter(|signature| {
                signing::verify(self.info_bytes(), signature, &originator).is_some()
            });
            own.find_map(super::Signature::update_url)
        });
        signed.or_else(|| self.update_url().map(str::to_owned))
    }

    /// The request by which a newer version is asked for: the URL with the info-hash.
    pub fn newer_request(&self) -> Option<String> {
        Some(with_hash(&self.newer_at()?, self.hashes().wire()))
    }

    /// Whose word it is that `newer` is a newer version of this torrent.
    pub fn word_for(&self, newer: &Self) -> Word {
        let originator = match self.originator_certificate() {
            None => return Word::Anyone,
            Some(Err(_)) => return Word::Unknown,
            Some(Ok(originator)) => originator,
        };
        let signatures = newer.signatures().iter();
        let mut found = signatures
            .filter_map(|signature| signing::verify(newer.info_bytes(), signature, &originator));
        found.next().map_or(Word::NotOriginator, Word::Originator)
    }

    fn originator_certificate(&self) -> Option<Result<Certificate, signing::CertificateError>> {
        self.originator().map(|der| Certificate::from_der(der))
    }
}

/// A URL with the parameter `info_hash`, in hexadecimal digits as BEP 39 has it.
fn with_hash(url: &str, hash: InfoHash) -> String {
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let sign = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{sign}info_hash={hash}{fragment}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::metainfo::build::{Extras, Hashes, Layout, Padding, Plan, SourceFile};
    use crate::metainfo::{LoadLimits, Signature, Version};
    use crate::signing::Signer;
    use crate::testing::vectors;

    fn golden(name: &str) -> Vec<u8> {
        let all = vectors(include_str!("../../tests/vectors/signing.json"));
        let text = all["certificates"][name].as_str();
        text.or_else(|| all[name].as_str())
            .unwrap()
            .as_bytes()
            .to_vec()
    }

    fn certificate(name: &str) -> Certificate {
        Certificate::parse(&golden(name)).unwrap()
    }

    /// A torrent with these names, signed by the key of the vectors with what comes along in the signature.
    fn torrent(name: &str, originator: Option<&[u8]>, along: Option<&str>) -> Metainfo {
        let file = SourceFile {
            len: 5,
            ..SourceFile::default()
        };
        let layout = Layout::SingleFile;
        let plan = Plan::new(name, Version::V1, layout, vec![file], Padding::None, None);
        let plan = plan.unwrap();
        let hashes = Hashes {
            pieces: vec![[7; 20]],
            ..Hashes::default()
        };
        let extras = Extras {
            update_url: Some("http://a.example/x?y=1".to_owned()),
            originator: originator.map(<[u8]>::to_vec),
            ..Extras::default()
        };
        let signed = plan.write_signed(&hashes, &extras, |info| {
            let signer = Signer::new(&golden("key_pkcs8"), certificate("cert")).unwrap();
            let sign = |url: &str| {
                let along = format!("d10:update-url{}:{url}e", url.len());
                let along = Some(Bytes::from(along)).filter(|_| !url.is_empty());
                let message = [info, along.as_deref().unwrap_or_default()].concat();
                Signature {
                    info: along,
                    ..signer.sign(&message, "com.example", false).unwrap()
                }
            };
            along.into_iter().map(sign).collect()
        });
        Metainfo::from_bytes(&signed.unwrap().0, &LoadLimits::default()).unwrap()
    }

    #[test]
    fn the_hash_goes_behind_whatever_the_url_asks_already() {
        let hash = InfoHash([0xab; 20]);
        let ab = "ab".repeat(20);
        for (url, expected) in [
            ("http://a/x", format!("http://a/x?info_hash={ab}")),
            ("http://a/x?y", format!("http://a/x?y&info_hash={ab}")),
            ("http://a/x?", format!("http://a/x?info_hash={ab}")),
            ("http://a/x#y?z", format!("http://a/x?info_hash={ab}#y?z")),
        ] {
            assert_eq!(with_hash(url, hash), expected);
        }
    }

    #[test]
    fn a_newer_torrent_is_the_originators_only_with_his_signature() {
        let [own, other] = ["cert", "other"].map(|name| certificate(name).der().clone());
        let newer = torrent("newer", None, Some(""));
        let word =
            |originator: Option<&[u8]>, newer| torrent("x", originator, None).word_for(newer);
        assert_eq!(word(None, &newer), Word::Anyone);
        assert_eq!(word(Some(&own), &newer), Word::Originator(Digest::Sha256));
        assert_eq!(word(Some(&other), &newer), Word::NotOriginator);
        assert_eq!(word(Some(b"hello"), &newer), Word::Unknown);
        let unsigned = torrent("newer", None, None);
        assert_eq!(word(Some(&own), &unsigned), Word::NotOriginator);
    }

    #[test]
    fn the_originator_may_name_another_place_and_nobody_else() {
        let [own, other] = ["cert", "other"].map(|name| certificate(name).der().clone());
        let place = "https://b.example/";
        let signed = Some(place);
        let by_originator = torrent("x", Some(&own), signed);
        assert_eq!(by_originator.newer_at().as_deref(), Some(place));
        for originator in [None, Some(&other[..])] {
            let torrent = torrent("x", originator, signed);
            assert_eq!(torrent.newer_at().as_deref(), torrent.update_url());
        }
        let request = by_originator.newer_request().unwrap();
        assert!(
            request.starts_with("https://b.example/?info_hash="),
            "{request}"
        );
    }
}
