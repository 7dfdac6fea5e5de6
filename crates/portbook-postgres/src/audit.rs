//! The rows as they lie, however wrong: for checks after somebody else's hand was in the tables.

use portbook_model::{Model, Space};
use portbook_store::{Audit, Claim, StoreError};

use crate::reading::View;

impl View<'_> {
    pub(crate) fn audit(&self, space: &Space) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        let claims = self.query(
            "SELECT port, role, model, held.app_num, app.model IS NOT NULL FROM portbook_ports AS held
             LEFT JOIN portbook_apps AS app USING (space, identity, app_num)
             WHERE space = $1 ORDER BY port",
            &[&space.as_str()],
        )?;
        for row in &claims {
            let port: i32 = row.get(0);
            let app = row.get::<_, Option<String>>(2);
            let number: i32 = row.get(3);
            audit.claims.push(Claim {
                port: i64::from(port),
                app: app.map(|model| format!("{model}/app{number}")),
                role: row.get(1),
            });
        }
        let apps = self.query(
            "SELECT model, app_num, identity FROM portbook_apps
             WHERE space = $1 AND state = 'held' ORDER BY identity, app_num",
            &[&space.as_str()],
        )?;
        for row in &apps {
            let (model, number, identity): (String, i32, String) =
                (row.get(0), row.get(1), row.get(2));
            let app = format!("{model}/app{number}");
            match Model::new(&model) {
                Ok(model) if model.identity() == identity => {}
                Ok(_) => audit
                    .damage
                    .push(format!("{app} has the identity `{identity}`")),
                Err(error) => audit.damage.push(format!("{app}: {error}")),
            }
            audit.apps.push(app);
        }
        Ok(audit)
    }
}
