//! The records as they lie, however wrong: for checks after somebody else's hand was at the keys.

use std::collections::BTreeSet;

use portbook_model::{AppRecord, Space};
use portbook_store::{Audit, Claim, StoreError};

use crate::keys::{self, Keys};
use crate::records::PortRow;
use crate::snapshot::Snapshot;

impl Snapshot<'_> {
    pub(crate) fn audit(&self, space: &Space) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        let apps = self.scan(&Keys::under(keys::apps(space)))?;
        let mut claimed = BTreeSet::new();
        for (key, value) in self.scan(&Keys::under(keys::ports(space)))? {
            let port = key.rsplit('/').next().and_then(|port| port.parse().ok());
            let (Some(port), Ok(row)) = (port, self.record::<PortRow>(&key, &value)) else {
                audit.damage.push(of_no_portbook(&key));
                continue;
            };
            let owner_key = keys::app(space, &row.app);
            let owner = apps.get(&owner_key);
            let owner = owner.and_then(|value| self.app_record(&owner_key, value).ok());
            claimed.insert((owner_key, row.role.clone(), port));
            audit.claims.push(Claim {
                port,
                app: owner.map(|owner| owner.app().to_string()),
                role: row.role.to_string(),
            });
        }
        for (key, value) in &apps {
            let Ok(record) = self.app_record(key, value) else {
                audit.damage.push(of_no_portbook(key));
                continue;
            };
            let AppRecord::Held(held) = record else {
                continue;
            };
            for (role, port) in &held.ports {
                let claim = (key.clone(), role.clone(), i64::from(port.get()));
                if !claimed.contains(&claim) {
                    audit.damage.push(format!(
                        "{} is said to hold {port} as its {role}, and the port's key says otherwise",
                        held.app
                    ));
                }
            }
            audit.apps.push(held.app.to_string());
        }
        Ok(audit)
    }
}

fn of_no_portbook(key: &str) -> String {
    format!("what lies under the key {key} is of no portbook's making")
}
