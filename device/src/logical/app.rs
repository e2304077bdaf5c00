//! Which domains belong to an app.
use std::collections::BTreeMap;

use plist::Value;

use crate::plist_guard::{PlistLimits, read_value};

/// The groups of each app, as far as `Manifest.plist` names them.
#[derive(Debug, Default)]
pub struct AppDomains {
    groups: BTreeMap<String, Vec<String>>,
}

impl AppDomains {
    /// Reads the list of apps; what cannot be read of it is left out, since names say much too.
    pub(super) fn of(manifest_plist: &[u8]) -> AppDomains {
        AppDomains { groups: groups(manifest_plist).unwrap_or_default() }
    }

    /// Whether `domain` is of the app `id`: its own, those of its extensions, and those it shares. Groups
    /// that no list names are known by their names, which begin like the app's.
    pub fn is_of(&self, domain: &str, id: &str) -> bool {
        let Some((kind, name)) = domain.split_once('-') else { return false };
        let begins = |name: &str| {
            name.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        match kind {
            "AppDomain" | "AppDomainPlaceholder" => name == id,
            "AppDomainPlugin" => begins(name),
            "AppDomainGroup" => {
                let is_named = |groups: &Vec<String>| groups.iter().any(|group| group == name);
                self.groups.get(id).is_some_and(is_named)
                    || begins(name.strip_prefix("group.").unwrap_or(name))
            }
            _ => false,
        }
    }
}

fn groups(manifest_plist: &[u8]) -> Option<BTreeMap<String, Vec<String>>> {
    let list = read_value(manifest_plist, &PlistLimits::BACKUP_SET).ok()?;
    let apps = list.as_dictionary()?.get("Applications")?.as_dictionary()?;
    let named = apps.iter().filter_map(|(id, app)| {
        let groups = app.as_dictionary()?.get("Groups")?.as_array()?;
        let groups = groups.iter().filter_map(Value::as_string).map(str::to_owned).collect();
        Some((id.clone(), groups))
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apps_domains_are_told_from_those_that_begin_like_them() {
        let groups = vec!["group.net.whatsapp.family".to_owned(), "group.shared".to_owned()];
        let apps =
            AppDomains { groups: BTreeMap::from([("net.whatsapp.WhatsApp".into(), groups)]) };
        let is_of = |domain| apps.is_of(domain, "net.whatsapp.WhatsApp");
        for domain in [
            "AppDomain-net.whatsapp.WhatsApp",
            "AppDomainPlugin-net.whatsapp.WhatsApp.ServiceExtension",
            "AppDomainGroup-group.net.whatsapp.WhatsApp.shared",
            "AppDomainGroup-group.net.whatsapp.family",
            "AppDomainGroup-group.shared",
        ] {
            assert!(is_of(domain), "{domain}");
        }
        for domain in [
            "AppDomain-net.whatsapp.WhatsAppX",
            "AppDomain-net.whatsapp.WhatsApp.shared",
            "AppDomainGroup-group.net.whatsapp.WhatsAppX",
            "HomeDomain",
            "SysContainerDomain-net.whatsapp.WhatsApp",
        ] {
            assert!(!is_of(domain), "{domain}");
        }
    }
}
