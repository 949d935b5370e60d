//! What is known of each key, and the declaration that it all comes from.

use super::{Settings, Value, WrongKind};

/// Keys that belong together: a table of the file.
#[derive(Debug)]
pub struct Group {
    /// Its name in files.
    pub name: &'static str,
    /// What its keys are about, a line each.
    pub doc: &'static [&'static str],
    /// Its keys.
    pub keys: &'static [Key],
}

/// What is known of a key.
#[derive(Debug)]
pub struct Key {
    /// Group and name, such as `limits.down`.
    pub path: &'static str,
    /// Its name in its group.
    pub name: &'static str,
    /// What it means, a line each.
    pub doc: &'static [&'static str],
    pub(super) read: fn(&Settings) -> Value,
    pub(super) write: fn(&mut Settings, &Value) -> Result<(), WrongKind>,
    pub(super) check: fn(&Settings) -> Result<(), WrongKind>,
    pub(super) range: fn() -> String,
}

impl Key {
    /// Its value.
    pub fn of(&self, settings: &Settings) -> Value {
        (self.read)(settings)
    }

    /// What it may be, with the unit, in words.
    pub fn range(&self) -> String {
        (self.range)()
    }

    /// What it is unless something else is asked for.
    pub fn default(&self) -> Value {
        self.of(&Settings::default())
    }
}

/// Declares the tree: for each group its keys, each with documentation, type, default, bounds and unit.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])*
        $group:ident: $Group:ident {
            $(
                $(#[doc = $doc:literal])*
                $key:ident: $type:ty = $default:expr, $bounds:expr, $unit:literal;
            )*
        }
    )*) => {
        /// All settings of an engine; see the [module](crate::settings).
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Settings {
            $(
                $(#[doc = $about])*
                pub $group: $Group,
            )*
        }

        $(
            $(#[doc = $about])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Group {
                $(
                    $(#[doc = $doc])*
                    pub $key: $type,
                )*
            }

            impl Default for $Group {
                fn default() -> Self {
                    Self { $($key: $default,)* }
                }
            }
        )*

        /// All that is known of the keys.
        pub static GROUPS: &[Group] = &[$(
            Group {
                name: stringify!($group),
                doc: &[$($about),*],
                keys: &[$(
                    Key {
                        path: concat!(stringify!($group), ".", stringify!($key)),
                        name: stringify!($key),
                        doc: &[$($doc),*],
                        read: |settings| Setting::write(&settings.$group.$key),
                        write: |settings, value| {
                            let read = <$type as Setting>::read(value)?;
                            read.check(&$bounds, $unit)?;
                            settings.$group.$key = read;
                            Ok(())
                        },
                        check: |settings| settings.$group.$key.check(&$bounds, $unit),
                        range: || <$type as Setting>::range(&$bounds, $unit),
                    },
                )*],
            },
        )*];
    };
}
pub(super) use settings;
