//! Changes of classes, one at a time.

use std::collections::BTreeSet;

use super::{
    ALWAYS, AddressClasses, AddressRange, ClassKind, GLOBAL, KindClasses, KindRule, PeerClass, text,
};
use crate::Limits;
use crate::settings::Settings;

/// A change of the classes; see [`EngineHandle::change_peer_classes`](crate::EngineHandle::change_peer_classes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassChange {
    /// There is one more, of this name.
    Create(String, PeerClass),
    /// One becomes as this.
    Set(String, PeerClass),
    /// One goes, from ranges of addresses and kinds of connections, too.
    Delete(String),
    /// These are the classes of ranges of addresses, and no others.
    Addresses(Vec<(AddressRange, BTreeSet<String>)>),
    /// This is what a kind of connection changes.
    Kind(ClassKind, KindRule),
}

/// Why classes are not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassError {
    /// There is one of that name.
    #[error("there is a class `{0}` already")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no class `{0}`")]
    Missing(String),
    /// There always is one of that name.
    #[error("there always is a class `{0}`")]
    Always(String),
    /// It cannot be so.
    #[error("{0}")]
    Wrong(String),
}

impl ClassChange {
    /// The settings after it.
    pub(crate) fn apply(self, settings: &Settings) -> Result<Settings, ClassError> {
        let mut changed = settings.clone();
        let there =
            |name: &str| ALWAYS.contains(&name) || settings.classes.list.0.contains_key(name);
        match self {
            Self::Create(name, _) if there(&name) => return Err(ClassError::Exists(name)),
            Self::Set(name, _) | Self::Delete(name) if !there(&name) => {
                return Err(ClassError::Missing(name));
            }
            Self::Delete(name) if ALWAYS.contains(&&*name) => {
                return Err(ClassError::Always(name));
            }
            Self::Create(name, class) | Self::Set(name, class) => {
                put(&mut changed, name, class)?;
            }
            Self::Delete(name) => remove(&mut changed, &name),
            Self::Addresses(ranges) => changed.classes.addresses = AddressClasses(ranges),
            Self::Kind(kind, rule) => {
                let KindClasses(kinds) = &mut changed.classes.kinds;
                kinds.insert(kind, rule);
                kinds.retain(|_, rule| *rule != KindRule::default());
            }
        }
        if let Some(wrong) = text::unknown(&changed).first() {
            return Err(ClassError::Wrong(wrong.kind.to_string()));
        }
        let checked = changed.check();
        checked.map_err(|error| ClassError::Wrong(error.to_string()))?;
        Ok(changed)
    }
}

fn put(settings: &mut Settings, name: String, mut class: PeerClass) -> Result<(), ClassError> {
    if name == GLOBAL {
        (settings.limits.down, settings.limits.up) = (class.limits.down, class.limits.up);
        class.limits = Limits::default();
    }
    if let Some(flaw) = text::flaw(&name, &class) {
        return Err(ClassError::Wrong(flaw));
    }
    let list = &mut settings.classes.list;
    list.0.insert(name, class);
    list.flaw()
        .map_or(Ok(()), |flaw| Err(ClassError::Wrong(flaw)))
}

fn remove(settings: &mut Settings, name: &str) {
    let classes = &mut settings.classes;
    classes.list.0.remove(name);
    for (_, named) in &mut classes.addresses.0 {
        named.remove(name);
    }
    for rule in classes.kinds.0.values_mut() {
        rule.leave.remove(name);
        rule.join.remove(name);
    }
    classes
        .kinds
        .0
        .retain(|_, rule| *rule != KindRule::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn classes_come_change_and_go_with_all_that_was_said_of_them() {
        let slow = PeerClass {
            limits: Limits {
                down: Some(1000),
                up: None,
            },
            ..PeerClass::default()
        };
        let mut now = Settings::default();
        let mut then = |change: ClassChange| {
            let changed = change.apply(&now)?;
            now = changed.clone();
            Ok::<_, ClassError>(changed)
        };
        let name = || "slow".to_owned();
        assert_eq!(
            then(ClassChange::Set(name(), slow)).unwrap_err(),
            ClassError::Missing(name())
        );
        then(ClassChange::Create(name(), slow)).unwrap();
        let again = then(ClassChange::Create(name(), slow));
        assert_eq!(again.unwrap_err(), ClassError::Exists(name()));
        let range = AddressRange::new([9, 0, 0, 0].into(), [9, 0, 0, 9].into()).unwrap();
        then(ClassChange::Addresses(vec![(range, names(&["slow"]))])).unwrap();
        let rule = KindRule {
            leave: names(&["global"]),
            join: names(&["slow"]),
        };
        let changed = then(ClassChange::Kind(ClassKind::Utp, rule.clone())).unwrap();
        assert_eq!(changed.peer_classes()["slow"], slow);
        assert_eq!(changed.classes.kinds.0[&ClassKind::Utp], rule);
        let odd = ClassChange::Addresses(vec![(range, names(&["odd"]))]);
        assert!(matches!(then(odd), Err(ClassError::Wrong(why)) if why.contains("odd")));
        let changed = then(ClassChange::Delete(name())).unwrap();
        assert_eq!(changed.classes.addresses.0, [(range, BTreeSet::new())]);
        let left = &changed.classes.kinds.0[&ClassKind::Utp];
        assert!(left.join.is_empty() && left.leave == names(&["global"]));
        assert_eq!(changed.peer_classes().len(), 3);
    }

    #[test]
    fn limits_of_the_global_class_are_those_of_the_session() {
        let class = PeerClass {
            limits: Limits {
                down: Some(7),
                up: Some(8),
            },
            free_slots: true,
            ..PeerClass::default()
        };
        let change = ClassChange::Set(GLOBAL.to_owned(), class);
        let now = change.apply(&Settings::default()).unwrap();
        assert_eq!((now.limits.down, now.limits.up), (Some(7), Some(8)));
        assert_eq!(now.peer_classes()[GLOBAL], class);
        let gone = ClassChange::Delete(GLOBAL.to_owned()).apply(&now);
        assert_eq!(gone, Err(ClassError::Always(GLOBAL.to_owned())));
        let bad = PeerClass {
            up_priority: 9,
            ..class
        };
        let refused = ClassChange::Create("x".to_owned(), bad).apply(&now);
        assert!(matches!(refused, Err(ClassError::Wrong(_))), "{refused:?}");
    }
}
